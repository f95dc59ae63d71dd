//! A file that comes in parts.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use object_store::path::Path;
use object_store::{Error, MultipartUpload, PutMode, PutPayload, PutResult, Result, UploadPart};

use super::{Draft, DurableFolder, blocking, failed, unpublished};

/// Parts are appended to a draft in the order they were put, however their futures are driven. Dropped before it is complete
/// or aborted, it leaves the draft behind, for the sweep of orphans.
pub(super) struct Parts {
    folder: Arc<DurableFolder>,
    location: Path,
    progress: Arc<Mutex<Progress>>,
}

struct Progress {
    /// Gone once the file is complete or aborted, or a part could not be written.
    draft: Option<Draft>,
    /// Put and not yet written. As long as the parts whose futures nobody has awaited: whoever puts them bounds that.
    waiting: Vec<PutPayload>,
}

impl Parts {
    pub(super) fn new(folder: Arc<DurableFolder>, location: Path, draft: Draft) -> Self {
        let progress = Progress { draft: Some(draft), waiting: Vec::new() };
        Self { folder, location, progress: Arc::new(Mutex::new(progress)) }
    }
}

impl Progress {
    /// Writes everything that waits. After a failure nobody can say what the draft holds, so it goes.
    fn write(&mut self, folder: &DurableFolder) -> Result<()> {
        let draft = self.draft.as_mut().ok_or_else(over)?;
        let written = self.waiting.iter().try_for_each(|part| draft.append(part));
        self.waiting.clear();
        match written {
            Ok(()) => Ok(()),
            Err(error) => {
                self.discard(folder)?;
                Err(failed(error))
            }
        }
    }

    fn discard(&mut self, folder: &DurableFolder) -> Result<()> {
        self.waiting.clear();
        self.draft.take().map_or(Ok(()), |draft| folder.discard(draft)).map_err(failed)
    }
}

fn locked(progress: &Mutex<Progress>) -> MutexGuard<'_, Progress> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}

fn over() -> Error {
    Error::Generic { store: "local folder", source: "the upload has failed or ended before".into() }
}

#[async_trait]
impl MultipartUpload for Parts {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        locked(&self.progress).waiting.push(data);
        let (folder, progress) = (self.folder.clone(), self.progress.clone());
        Box::pin(blocking(move || locked(&progress).write(&folder)))
    }

    /// Durable when it answers. Fails when a file of this name has come to be meanwhile; then nothing is left of this one.
    async fn complete(&mut self) -> Result<PutResult> {
        let (folder, location, progress) = (self.folder.clone(), self.location.clone(), self.progress.clone());
        blocking(move || {
            let mut progress = locked(&progress);
            progress.write(&folder)?;
            let draft = progress.draft.take().ok_or_else(over)?;
            folder.publish(draft, &PutMode::Create).map_err(|error| unpublished(&location, error))
        })
        .await?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn abort(&mut self) -> Result<()> {
        let (folder, progress) = (self.folder.clone(), self.progress.clone());
        blocking(move || locked(&progress).discard(&folder)).await
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("location", &self.location).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::LocalStore;
    use crate::disk::LocalDisk;
    use object_store::path::Path;
    use object_store::{Error, ObjectStoreExt, PutPayload};
    use std::path::PathBuf;
    use std::sync::Arc;

    struct Folder(PathBuf);

    impl Folder {
        fn new(test: &str) -> Self {
            Self(std::env::temp_dir().join(format!("spanlake-parts-{test}-{}", std::process::id())))
        }
        fn store(&self) -> LocalStore {
            LocalStore::open(self.0.clone(), Arc::new(LocalDisk)).unwrap()
        }
        fn names(&self) -> Vec<String> {
            let entries = std::fs::read_dir(self.0.join("t")).unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn part(byte: u8) -> PutPayload {
        PutPayload::from(vec![byte; 3])
    }

    #[tokio::test]
    async fn parts_lie_in_the_order_they_were_put_and_nothing_is_seen_before_the_end() {
        let folder = Folder::new("order");
        let (store, path) = (folder.store(), Path::from("t/a.parquet"));
        let mut upload = store.put_multipart(&path).await.unwrap();
        let (first, second, third) =
            (upload.put_part(part(b'a')), upload.put_part(part(b'b')), upload.put_part(part(b'c')));
        third.await.unwrap();
        first.await.unwrap();
        second.await.unwrap();
        assert!(matches!(store.get(&path).await, Err(Error::NotFound { .. })));
        upload.complete().await.unwrap();
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "aaabbbccc");
        assert_eq!(folder.names(), ["a.parquet"]);
    }

    #[tokio::test]
    async fn an_aborted_upload_leaves_nothing_and_cannot_be_completed() {
        let folder = Folder::new("abort");
        let mut upload = folder.store().put_multipart(&Path::from("t/a.parquet")).await.unwrap();
        upload.put_part(part(b'a')).await.unwrap();
        upload.abort().await.unwrap();
        assert!(upload.put_part(part(b'b')).await.is_err());
        assert!(upload.complete().await.is_err());
        assert_eq!(folder.names(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_name_that_is_taken_is_never_overwritten() {
        let folder = Folder::new("taken");
        let (store, path) = (folder.store(), Path::from("t/a.parquet"));
        let mut early = store.put_multipart(&path).await.unwrap();
        early.put_part(part(b'b')).await.unwrap();
        store.put(&path, part(b'a')).await.unwrap();
        assert!(matches!(store.put_multipart(&path).await, Err(Error::AlreadyExists { .. })));
        assert!(matches!(early.complete().await, Err(Error::AlreadyExists { .. })));
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "aaa");
        assert_eq!(folder.names(), ["a.parquet"]);
    }

    #[tokio::test]
    async fn what_is_deleted_is_gone_and_may_be_gone_already() {
        let folder = Folder::new("delete");
        let (store, path) = (folder.store(), Path::from("t/a.parquet"));
        store.put(&path, part(b'a')).await.unwrap();
        store.delete(&path).await.unwrap();
        store.delete(&path).await.unwrap();
        store.delete(&Path::from("no/such/folder")).await.unwrap();
        assert_eq!(folder.names(), Vec::<String>::new());
    }
}
