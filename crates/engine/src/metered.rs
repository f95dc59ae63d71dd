//! An object store that counts what one query reads, and refuses more than its share.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// Reads only, and counts them. Nothing of a query writes.
#[derive(Debug)]
pub(crate) struct Metered {
    inner: Arc<dyn ObjectStore>,
    read: AtomicU64,
    bytes_max: u64,
}

impl Metered {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>, bytes_max: u64) -> Self {
        Self { inner, read: AtomicU64::new(0), bytes_max }
    }

    /// That the query has met its bound, if it has.
    pub(crate) fn error(&self) -> Option<crate::Error> {
        let is_over = self.read.load(Ordering::Relaxed) > self.bytes_max;
        is_over.then_some(crate::Error::ReadBytes { bytes_max: self.bytes_max })
    }

    /// Before they are read, so that a query stops at its bound, not behind it.
    fn take(&self, bytes: u64) -> Result<()> {
        if self.read.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) <= self.bytes_max {
            return Ok(());
        }
        let source = format!("the query read more than {} bytes", self.bytes_max).into();
        Err(Error::Generic { store: "metered", source })
    }
}

impl fmt::Display for Metered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, read for one query", self.inner)
    }
}

fn read_only() -> Error {
    Error::NotImplemented { operation: "writing".into(), implementer: "a query's store".into() }
}

#[async_trait]
impl ObjectStore for Metered {
    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(read_only())
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(read_only())
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let found = self.inner.get_opts(location, options).await?;
        // What comes with a head is known already and not read.
        self.take(found.range.end - found.range.start)?;
        Ok(found)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.take(ranges.iter().map(|range| range.end.saturating_sub(range.start)).sum())?;
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        use futures::StreamExt;
        locations.map(|_| Err(read_only())).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(read_only())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    #[tokio::test]
    async fn a_query_reads_its_share_and_not_a_byte_more() {
        let inner = InMemory::new();
        let path = Path::from("a");
        inner.put(&path, vec![7; 100].into()).await.unwrap();
        let metered = Metered::new(Arc::new(inner), 150);
        assert_eq!(metered.get_ranges(&path, &[0..60, 90..100]).await.unwrap().len(), 2);
        assert_eq!(metered.get_range(&path, 0..80).await.unwrap().len(), 80);
        assert!(metered.error().is_none());
        let refused = metered.get_range(&path, 0..1).await.unwrap_err();
        assert!(matches!(&refused, Error::Generic { store: "metered", .. }), "{refused:?}");
        assert!(matches!(metered.error(), Some(crate::Error::ReadBytes { bytes_max: 150 })));
        assert!(metered.put(&path, vec![1].into()).await.is_err());
    }
}
