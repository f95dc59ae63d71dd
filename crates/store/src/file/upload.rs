//! A data file on its way into the store, in parts: no more than two of them are in memory.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, Result};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// Size of a part: above what S3 takes at least (5 MiB), and all but the last alike, as some of its kin demand.
pub(super) const PART_BYTES: usize = 8 << 20;

/// Bytes that become one object when [`Upload::finish`] says so, and nothing before. Writing blocks: one part is in the air
/// while the next is filled. Create-only: a name that is taken is refused.
pub(super) struct Upload {
    runtime: Handle,
    store: Arc<dyn ObjectStore>,
    path: Path,
    part: Vec<u8>,
    /// Once there has been a whole part.
    parts: Option<Box<dyn MultipartUpload>>,
    in_the_air: Option<JoinHandle<Result<()>>>,
    written: u64,
}

impl Upload {
    pub(super) fn new(runtime: Handle, store: Arc<dyn ObjectStore>, path: Path) -> Self {
        Self { runtime, store, path, part: Vec::new(), parts: None, in_the_air: None, written: 0 }
    }

    /// Bytes held in memory.
    pub(super) fn held(&self) -> usize {
        let in_the_air = if self.in_the_air.is_some() { PART_BYTES } else { 0 };
        self.part.capacity() + in_the_air
    }

    /// The object is there and durable when this returns its size. When it fails there is none, and nothing is left of it.
    pub(super) fn finish(mut self) -> Result<u64> {
        match self.complete() {
            Ok(()) => Ok(self.written),
            Err(error) => {
                self.abort();
                Err(error)
            }
        }
    }

    /// Gives up: nothing stays in the store, unless it is away; then a rule of the bucket or the sweep of orphans cleans up.
    pub(super) fn abort(mut self) {
        // What becomes of the part in the air does not matter, as long as it does not come after the abort.
        let _ = self.land();
        let Some(parts) = &mut self.parts else { return };
        if let Err(error) = self.runtime.block_on(parts.abort()) {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "left the parts of an upload in the store");
        }
    }

    fn complete(&mut self) -> Result<()> {
        if self.parts.is_none() {
            let whole = PutPayload::from(std::mem::take(&mut self.part));
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            return self.runtime.block_on(self.store.put_opts(&self.path, whole, options)).map(drop);
        }
        if !self.part.is_empty() {
            self.send()?;
        }
        self.land()?;
        let Some(parts) = &mut self.parts else { return Ok(()) };
        self.runtime.block_on(parts.complete()).map(drop)
    }

    /// Sends the part that is full, once the one before has arrived.
    fn send(&mut self) -> Result<()> {
        self.land()?;
        let part = PutPayload::from(Bytes::from(std::mem::take(&mut self.part)));
        let sent = match &mut self.parts {
            Some(parts) => parts.put_part(part),
            none => none.insert(self.runtime.block_on(begin(self.store.as_ref(), &self.path))?).put_part(part),
        };
        self.in_the_air = Some(self.runtime.spawn(sent));
        Ok(())
    }

    fn land(&mut self) -> Result<()> {
        let Some(part) = self.in_the_air.take() else { return Ok(()) };
        self.runtime.block_on(part).map_err(|source| Error::JoinError { source })?
    }
}

/// S3 has no multipart upload that only creates; but our names are never used twice, so looking first is enough.
async fn begin(store: &dyn ObjectStore, path: &Path) -> Result<Box<dyn MultipartUpload>> {
    match store.head(path).await {
        Err(Error::NotFound { .. }) => store.put_multipart(path).await,
        Err(error) => Err(error),
        Ok(_) => Err(Error::AlreadyExists { path: path.to_string(), source: "an object of this name is there".into() }),
    }
}

impl io::Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.part.capacity() == 0 {
            self.part.reserve_exact(PART_BYTES);
        }
        let taken = bytes.len().min(PART_BYTES - self.part.len());
        self.part.extend_from_slice(&bytes[..taken]);
        self.written += taken as u64;
        if self.part.len() == PART_BYTES {
            self.send().map_err(io::Error::other)?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;
    use std::io::Write;

    async fn uploaded(bytes: usize) -> (Arc<InMemory>, Result<u64>) {
        let store = Arc::new(InMemory::new());
        let mut upload = Upload::new(Handle::current(), store.clone(), Path::from("a"));
        let finished = tokio::task::spawn_blocking(move || {
            for chunk in vec![7; bytes].chunks(1_000_000) {
                upload.write_all(chunk).unwrap();
                assert!(upload.held() <= 2 * PART_BYTES);
            }
            upload.finish()
        });
        let finished = finished.await.unwrap();
        (store, finished)
    }

    #[tokio::test]
    async fn what_was_written_is_there_whatever_its_size() {
        for bytes in [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES + 5] {
            let (store, finished) = uploaded(bytes).await;
            assert_eq!(finished.unwrap(), bytes as u64);
            assert_eq!(store.get(&Path::from("a")).await.unwrap().bytes().await.unwrap(), vec![7; bytes]);
        }
    }

    #[tokio::test]
    async fn a_name_that_is_taken_is_refused_whatever_the_size() {
        for bytes in [1, 2 * PART_BYTES] {
            let store = Arc::new(InMemory::new());
            store.put(&Path::from("a"), PutPayload::from_static(b"mine")).await.unwrap();
            let mut upload = Upload::new(Handle::current(), store.clone(), Path::from("a"));
            let outcome = tokio::task::spawn_blocking(move || {
                let written = upload.write_all(&vec![0; bytes]).map_err(|error| error.to_string());
                match written {
                    Ok(()) => upload.finish().map_err(|error| error.to_string()).map(drop),
                    Err(error) => {
                        upload.abort();
                        Err(error)
                    }
                }
            });
            assert!(outcome.await.unwrap().unwrap_err().contains("exists"));
            assert_eq!(store.get(&Path::from("a")).await.unwrap().bytes().await.unwrap(), "mine");
        }
    }
}
