//! Which superseded keys still hide a row.
//!
//! Nearly every key has done its work once the row it hid was in the same merge. Those that have not are found by reading the
//! key columns of the files below, a few thousand rows at a time; every query of the day would read the others for nothing.

use std::collections::HashSet;

use futures::TryStreamExt;
use spanlake_catalog::DataFile;
use spanlake_model::SpanKey;
use spanlake_store::file::merge::Error as MergeError;
use spanlake_store::{Store, file};

use crate::error::Error;

/// Those of the keys, in their order, of which a row lies in one of the `lower` files. A file that cannot be read may hold any:
/// then all of them stay.
///
/// # Errors
/// [`MergeError::Stopped`] when told not to `go_on`.
pub(crate) async fn still(
    store: &Store,
    lower: &[DataFile],
    keys: &[SpanKey],
    go_on: &dyn Fn() -> bool,
) -> Result<Vec<SpanKey>, Error> {
    let mut unmet: HashSet<SpanKey> = keys.iter().copied().collect();
    for file in lower {
        if unmet.is_empty() {
            break;
        }
        match file::caught(meet(store, file, &mut unmet, go_on)).await {
            Ok(()) => {}
            Err(Error::File(error)) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(tenant.id = %file.tenant, file.path, error, "a data file cannot be read; all keys that may hide rows of it are kept");
                return Ok(keys.to_vec());
            }
            Err(stopped) => return Err(stopped),
        }
    }
    Ok(keys.iter().copied().filter(|key| !unmet.contains(key)).collect())
}

/// Whether the file holds a row of any of the keys.
///
/// # Errors
/// When it cannot be read; [`MergeError::Stopped`] as above.
pub(crate) async fn any(
    store: &Store,
    file: &DataFile,
    keys: &[SpanKey],
    go_on: &dyn Fn() -> bool,
) -> Result<bool, Error> {
    let mut unmet: HashSet<SpanKey> = keys.iter().copied().collect();
    let all = unmet.len();
    meet(store, file, &mut unmet, go_on).await?;
    Ok(unmet.len() < all)
}

/// Takes out the keys that the file has rows of.
async fn meet(
    store: &Store,
    file: &DataFile,
    unmet: &mut HashSet<SpanKey>,
    go_on: &dyn Fn() -> bool,
) -> Result<(), Error> {
    let mut rows = file::keys(store.tenant(file.tenant), file.table, &file.path).await?;
    while let Some(keys) = rows.try_next().await? {
        if !go_on() {
            return Err(MergeError::Stopped.into());
        }
        for key in &keys {
            unmet.remove(key);
        }
        if unmet.is_empty() {
            break;
        }
    }
    Ok(())
}
