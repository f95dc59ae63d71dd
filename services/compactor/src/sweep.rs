//! Deletes files that no reader can hold any more.

use spanlake_catalog::Files;
use spanlake_model::{Clock, FileId};
use spanlake_store::{Store, file};

use crate::config::Config;
use crate::error::Error;

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Swept {
    /// Files deleted.
    pub(crate) removed: u64,
    /// Files that could not be; each has been logged, and the next sweep tries again.
    pub(crate) failures: u64,
}

/// Deletes from the store first, then from the catalog: cut off in between, the file is deleted once more, which is harmless.
pub(crate) async fn sweep(
    files: &dyn Files,
    store: &Store,
    clock: &dyn Clock,
    config: &Config,
) -> Result<Swept, Error> {
    let removable = files.removable(clock.now(), config.lingering(), config.removed_files_per_look_max).await?;
    let mut deleted: Vec<FileId> = Vec::with_capacity(removable.len());
    let mut failures = 0;
    for removed in removable {
        match file::delete(store.tenant(removed.tenant).as_ref(), &removed.path).await {
            Ok(()) => deleted.push(removed.id),
            Err(error) => {
                failures += 1;
                let error: &dyn std::error::Error = &error;
                tracing::error!(tenant.id = %removed.tenant, file.id = %removed.id, error, "could not delete a file");
            }
        }
    }
    if !deleted.is_empty() {
        files.forget(&deleted).await?;
    }
    Ok(Swept { removed: deleted.len() as u64, failures })
}
