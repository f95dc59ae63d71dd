//! Drops files that are past their tenant's time. Queries do not see their rows any more, so this only makes room.

use std::collections::BTreeMap;

use spanlake_catalog::{Error as CatalogError, Replacement};
use spanlake_model::{FileId, Table, TenantId};

use crate::error::Error;
use crate::service::Service;

impl Service {
    /// Answers how many files were dropped. Whole files only: one in which a single row has time left stays.
    pub(crate) async fn drop_expired(&self) -> Result<u64, Error> {
        let mut dropped = 0;
        for table in Table::ALL {
            let now = self.clock.now();
            let expired = self.erasures.expired(table, now, self.config.expired_files_per_look_max).await?;
            let mut by_tenant: BTreeMap<TenantId, Vec<FileId>> = BTreeMap::new();
            for file in expired {
                by_tenant.entry(file.tenant).or_default().push(file.id);
            }
            for (tenant, inputs) in by_tenant {
                let files = inputs.len() as u64;
                let replacement = Replacement { tenant, table, inputs, outputs: Vec::new(), at: now };
                match self.files.replace(replacement).await {
                    Ok(()) => {
                        dropped += files;
                        tracing::info!(tenant.id = %tenant, dropped.files = files, "dropped files past their time");
                    }
                    // One of them was merged meanwhile; the next look finds what became of it.
                    Err(CatalogError::Changed(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(dropped)
    }
}
