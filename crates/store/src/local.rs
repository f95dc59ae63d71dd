//! Objects in a local folder, durable once written.
//!
//! `object_store`'s own local `put` does not fsync (version 0.13.2), so an acknowledged file could vanish with the
//! power. Here a file is written under a temporary name, synced, renamed, and its folders synced; whole, or in parts that
//! are appended as they come. Deleting is durable too. Reading is theirs.

mod parts;

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::TryFutureExt;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::disk::{Disk, DiskFile};
use parts::Parts;

/// A folder that keeps what it has taken.
struct DurableFolder {
    root: PathBuf,
    disk: Arc<dyn Disk>,
    reads: LocalFileSystem,
    temporaries: AtomicU64,
}

impl DurableFolder {
    fn open(root: PathBuf, disk: Arc<dyn Disk>) -> Result<Self> {
        disk.create_folder(&root).map_err(failed)?;
        let reads = LocalFileSystem::new_with_prefix(&root)?;
        Ok(Self { root, disk, reads, temporaries: AtomicU64::new(0) })
    }

    fn write(&self, location: &Path, payload: &PutPayload, mode: &PutMode) -> std::io::Result<()> {
        let mut draft = self.draft(location)?;
        match draft.append(payload) {
            Ok(()) => self.publish(draft, mode),
            Err(error) => {
                self.discard(draft)?;
                Err(error)
            }
        }
    }

    /// An empty file under a name that no data file has; leftovers of a crash are swept with the orphans.
    fn draft(&self, location: &Path) -> std::io::Result<Draft> {
        let path = self.path(location);
        self.disk.create_folder(path.parent().unwrap_or(&self.root))?;
        let number = self.temporaries.fetch_add(1, Ordering::Relaxed);
        let temporary = path.with_extension(format!("{}-{number}.tmp", std::process::id()));
        self.disk.remove(&temporary)?;
        let file = self.disk.create(&temporary)?;
        Ok(Draft { file, waiting_bytes: 0, temporary, path })
    }

    /// Gives a draft its name; durable when it returns. One that cannot be is removed.
    fn publish(&self, mut draft: Draft, mode: &PutMode) -> std::io::Result<()> {
        let folder = draft.path.parent().unwrap_or(&self.root).to_path_buf();
        if let Err(error) = draft.file.sync().and_then(|()| self.name(&draft, mode)) {
            self.discard(draft)?;
            return Err(error);
        }
        self.disk.sync_dir(&folder)
    }

    /// A rename would replace a file that has come meanwhile; a link does not.
    fn name(&self, draft: &Draft, mode: &PutMode) -> std::io::Result<()> {
        if !matches!(mode, PutMode::Create) {
            return self.disk.rename(&draft.temporary, &draft.path);
        }
        self.disk.link(&draft.temporary, &draft.path)?;
        self.disk.remove(&draft.temporary)
    }

    fn discard(&self, draft: Draft) -> std::io::Result<()> {
        let Draft { file, temporary, .. } = draft;
        drop(file);
        self.disk.remove(&temporary)
    }

    /// Durable, so that what was erased does not come back with the power. A file that is gone already is fine.
    fn remove(&self, location: &Path) -> std::io::Result<()> {
        let path = self.path(location);
        let folder = path.parent().unwrap_or(&self.root);
        if !folder.is_dir() {
            return Ok(());
        }
        self.disk.remove(&path)?;
        self.disk.sync_dir(folder)
    }

    fn refuse_taken(&self, location: &Path) -> Result<()> {
        if !self.path(location).exists() {
            return Ok(());
        }
        Err(taken(location, std::io::ErrorKind::AlreadyExists.into()))
    }

    fn path(&self, location: &Path) -> PathBuf {
        self.root.join(location.as_ref())
    }
}

/// So much of a file is given to the disk at a time. Synced in one piece, a file of 200 MB keeps the log's syncs, and with
/// them requests, waiting for a tenth of a second.
const WRITE_BYTES: usize = 8 << 20;

/// A file that has not got its name yet.
struct Draft {
    file: Box<dyn DiskFile>,
    /// Appended, and left to the kernel so far.
    waiting_bytes: usize,
    temporary: PathBuf,
    path: PathBuf,
}

impl Draft {
    fn append(&mut self, payload: &PutPayload) -> std::io::Result<()> {
        payload.iter().flat_map(|part| part.chunks(WRITE_BYTES)).try_for_each(|piece| {
            self.file.append(piece)?;
            self.waiting_bytes += piece.len();
            if self.waiting_bytes < WRITE_BYTES {
                return Ok(());
            }
            self.waiting_bytes = 0;
            self.file.begin_writing()
        })
    }
}

fn taken(location: &Path, source: std::io::Error) -> Error {
    Error::AlreadyExists { path: location.to_string(), source: Box::new(source) }
}

/// Why an object did not get its name.
fn unpublished(location: &Path, source: std::io::Error) -> Error {
    if source.kind() == std::io::ErrorKind::AlreadyExists { taken(location, source) } else { failed(source) }
}

fn failed(source: std::io::Error) -> Error {
    Error::Generic { store: "local folder", source: Box::new(source) }
}

/// Runs what blocks off the async threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|source| Error::JoinError { source })?
}

impl fmt::Debug for DurableFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DurableFolder").field("root", &self.root).finish_non_exhaustive()
    }
}

impl fmt::Display for DurableFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "folder {}", self.root.display())
    }
}

/// A shared handle, so that writing can go to a blocking thread.
#[derive(Debug, Clone)]
pub(crate) struct LocalStore(Arc<DurableFolder>);

impl LocalStore {
    /// Opens a folder, making it if it is not there.
    ///
    /// # Errors
    /// When it cannot be made or is no folder.
    pub(crate) fn open(root: PathBuf, disk: Arc<dyn Disk>) -> Result<Self> {
        Ok(Self(Arc::new(DurableFolder::open(root, disk)?)))
    }
}

impl fmt::Display for LocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for LocalStore {
    /// Durable when it answers. Overwrites unless [`PutMode::Create`] is asked for; data files have names of their own.
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if let PutMode::Create = options.mode {
            self.0.refuse_taken(location)?;
        }
        let (folder, location) = (self.0.clone(), location.clone());
        let write =
            move || folder.write(&location, &payload, &options.mode).map_err(|error| unpublished(&location, error));
        blocking(write).await?;
        Ok(PutResult { e_tag: None, version: None })
    }

    /// Nothing is seen of it before it is complete, and then it is durable. Never overwrites.
    async fn put_multipart_opts(&self, location: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let (folder, location) = (self.0.clone(), location.clone());
        let parts = blocking(move || {
            folder.refuse_taken(&location)?;
            let draft = folder.draft(&location).map_err(failed)?;
            Ok(Parts::new(folder, location, draft))
        });
        Ok(Box::new(parts.await?))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.reads.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.0.reads.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let folder = self.0.clone();
        let delete = move |location: Path| {
            let folder = folder.clone();
            blocking(move || folder.remove(&location).map_err(failed).map(|()| location))
        };
        locations.and_then(delete).boxed()
    }

    /// In the order of names, as a bucket answers: the folders are read whole for it, whatever the offset.
    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let listed = self.0.reads.list_with_offset(prefix, offset);
        let sorted = async move {
            let mut objects: Vec<_> = listed.try_collect().await?;
            objects.sort_unstable_by(|one: &ObjectMeta, other| one.location.cmp(&other.location));
            Ok::<_, Error>(futures::stream::iter(objects).map(Ok))
        };
        sorted.try_flatten_stream().boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.reads.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.reads.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(Error::NotImplemented { operation: "copy".into(), implementer: self.to_string() })
    }
}
