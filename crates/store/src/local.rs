//! Objects in a local folder, durable once written.
//!
//! `object_store`'s own local `put` does not fsync (version 0.13.2), so an acknowledged file could vanish with the
//! power. Here a file is written under a temporary name, synced, renamed, and its folders synced. Reading is theirs.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::disk::Disk;

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

    fn write(&self, location: &Path, payload: &PutPayload) -> std::io::Result<()> {
        let path = self.root.join(location.as_ref());
        let folder = path.parent().unwrap_or(&self.root).to_path_buf();
        self.disk.create_folder(&folder)?;
        let number = self.temporaries.fetch_add(1, Ordering::Relaxed);
        // A name that no data file has; leftovers of a crash are swept with the orphans.
        let temporary = path.with_extension(format!("{}-{number}.tmp", std::process::id()));
        self.disk.remove(&temporary)?;
        let mut file = self.disk.create(&temporary)?;
        let written = payload.iter().try_for_each(|part| file.append(part)).and_then(|()| file.sync());
        if let Err(error) = written {
            drop(file);
            self.disk.remove(&temporary)?;
            return Err(error);
        }
        self.disk.rename(&temporary, &path)?;
        self.disk.sync_dir(&folder)
    }
}

fn failed(source: std::io::Error) -> Error {
    Error::Generic { store: "local folder", source: Box::new(source) }
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
        if let PutMode::Create = options.mode
            && self.0.root.join(location.as_ref()).exists()
        {
            let source = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
            return Err(Error::AlreadyExists { path: location.to_string(), source: Box::new(source) });
        }
        let (folder, location) = (self.0.clone(), location.clone());
        let written = tokio::task::spawn_blocking(move || folder.write(&location, &payload)).await;
        written.map_err(|source| Error::JoinError { source })?.map_err(failed)?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        // Data files are put whole; nothing of ours writes in parts yet.
        Err(Error::NotImplemented { operation: "put_multipart".into(), implementer: self.to_string() })
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.reads.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.0.reads.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.0.reads.delete_stream(locations)
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
