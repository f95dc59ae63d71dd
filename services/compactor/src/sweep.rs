//! Deletes files that no reader can hold any more.

use std::collections::BTreeMap;

use spanlake_catalog::Removed;
use spanlake_model::FileId;
use spanlake_store::file;

use crate::error::Error;
use crate::service::Service;

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Swept {
    /// Files deleted.
    pub(crate) removed: u64,
    /// Files that could not be; each has been logged, and the next sweep tries again.
    pub(crate) failures: u64,
}

impl Service {
    /// Deletes from the store first, then from the catalog: cut off in between, the file is deleted once more, which is harmless.
    pub(crate) async fn sweep(&self) -> Result<Swept, Error> {
        let mut deleted: Vec<FileId> = Vec::new();
        let mut failures = 0;
        for removed in self.removable().await?.into_values() {
            match file::delete(self.store.tenant(removed.tenant).as_ref(), &removed.path).await {
                Ok(()) => deleted.push(removed.id),
                Err(error) => {
                    failures += 1;
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(tenant.id = %removed.tenant, file.id = %removed.id, error, "could not delete a file");
                }
            }
        }
        if !deleted.is_empty() {
            self.files.forget(&deleted).await?;
        }
        Ok(Swept { removed: deleted.len() as u64, failures })
    }

    /// What has lingered long enough; what held erased rows has sooner.
    async fn removable(&self) -> Result<BTreeMap<FileId, Removed>, Error> {
        let (now, most) = (self.clock.now(), self.config.removed_files_per_look_max);
        let erased = self.erasures.erased_removable(now, self.config.erased_lingering(), most).await?;
        let replaced = self.files.removable(now, self.config.lingering(), most).await?;
        Ok(erased.into_iter().chain(replaced).map(|removed| (removed.id, removed)).take(most as usize).collect())
    }
}
