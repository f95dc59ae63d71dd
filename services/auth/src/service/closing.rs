//! The end of a tenant.

use spanlake_catalog::ClosedTenant;
use spanlake_model::{Caller, Code, Fault, KeyId, TenantId};

use super::Service;
use super::session::hash;
use crate::error::Error;

/// How a receipt begins, so that one can be recognised.
const RECEIPT_PREFIX: &str = "aos_gone_";

impl Service {
    /// Deletes the caller's tenant, whose id `confirmed` must be. Answers a receipt, and the keys that stop with it.
    pub(crate) async fn close_tenant(
        &self,
        caller: &Caller,
        confirmed: Option<TenantId>,
    ) -> Result<(String, Vec<KeyId>), Error> {
        if confirmed != Some(caller.tenant()) {
            let why = "must be the id of the tenant that is to be deleted for good, which is yours";
            return Err(Fault::new(Code::InvalidQueryParams, format!("'confirm' {why}."))
                .detail("confirm", why)
                .into());
        }
        let receipt = format!("{RECEIPT_PREFIX}{}", self.random_text::<32>());
        let keys = self.accounts.close_tenant(caller.tenant(), &hash(&receipt), self.clock.now()).await?;
        let keys = keys.ok_or_else(|| Fault::not_found("tenant"))?;
        tracing::info!(tenant.id = %caller.tenant(), "a tenant was deleted by its owner");
        Ok((receipt, keys))
    }

    /// What became of the tenant whose deletion gave this receipt.
    pub(crate) async fn closed_tenant(&self, receipt: &str) -> Result<ClosedTenant, Error> {
        let found = self.accounts.closed_tenant(&hash(receipt)).await?;
        Ok(found.ok_or_else(|| Fault::not_found("receipt"))?)
    }
}
