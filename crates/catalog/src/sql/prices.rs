//! Prices of a tenant's own.

use spanlake_model::TenantId;
use sqlx::{AnyConnection, query};

use super::row::{Columns as _, refused};
use crate::error::Error;

pub(super) async fn own(connection: &mut AnyConnection, tenant: TenantId) -> Result<Option<String>, Error> {
    let found = query("SELECT prices FROM own_prices WHERE tenant_id = $1").bind(tenant.to_string());
    found.fetch_optional(connection).await?.map(|row| row.text("prices")).transpose()
}

pub(super) async fn set_own(connection: &mut AnyConnection, tenant: TenantId, prices: &str) -> Result<(), Error> {
    query(
        "INSERT INTO own_prices (tenant_id, prices) VALUES ($1, $2) \
         ON CONFLICT (tenant_id) DO UPDATE SET prices = excluded.prices",
    )
    .bind(tenant.to_string())
    .bind(prices)
    .execute(connection)
    .await
    .map_err(refused("prices"))?;
    Ok(())
}
