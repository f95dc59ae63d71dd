//! One tenant's part of a store, and nothing else.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use spanlake_model::TenantId;

/// Sees `t/<tenant>/…` under the same paths as the whole store does; every other path is not found.
///
/// This is the second wall: the first is that nothing hands a tenant another's paths.
#[derive(Debug, Clone)]
pub struct TenantStore {
    inner: Arc<dyn ObjectStore>,
    prefix: Path,
}

impl TenantStore {
    /// The part of `inner` that is the tenant's.
    pub fn new(inner: Arc<dyn ObjectStore>, tenant: TenantId) -> Self {
        Self { inner, prefix: prefix(tenant) }
    }

    fn check(&self, location: &Path) -> Result<()> {
        if inside(&self.prefix, location) {
            return Ok(());
        }
        // The path goes to the log of whoever asked, so it is theirs to know; it says nothing of what exists.
        let source = "outside the tenant's part of the store".into();
        Err(Error::NotFound { path: location.to_string(), source })
    }

    /// A listing never leaves the tenant's part, whatever prefix is asked for.
    fn within(&self, prefix: Option<&Path>) -> Path {
        prefix.filter(|prefix| inside(&self.prefix, prefix)).unwrap_or(&self.prefix).clone()
    }
}

/// The folder of a tenant's files.
fn prefix(tenant: TenantId) -> Path {
    Path::from_iter(["t".to_string(), tenant.to_string()])
}

/// Compared part by part, so that `t/ab` does not reach into `t/abc`; `..` and encoded slashes stay what they are: odd names.
fn inside(prefix: &Path, location: &Path) -> bool {
    location.prefix_matches(prefix)
        && location.parts().all(|part| !matches!(part.as_ref(), "" | "." | "..") && !part.as_ref().contains('\0'))
}

impl fmt::Display for TenantStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.prefix, self.inner)
    }
}

#[async_trait]
impl ObjectStore for TenantStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.check(location)?;
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.check(location)?;
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.check(location)?;
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.check(location)?;
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        let checked = locations.map(move |location| {
            let location = location?;
            this.check(&location)?;
            Ok(location)
        });
        self.inner.delete_stream(checked.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(Some(&self.within(prefix)))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(Some(&self.within(prefix))).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.check(from)?;
        self.check(to)?;
        self.inner.copy_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    #[tokio::test]
    async fn another_tenants_path_is_not_found_however_it_is_spelled() {
        let whole: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let (one, two) = (TenantId::from_bytes([1; 16]), TenantId::from_bytes([2; 16]));
        let theirs = Path::from(format!("t/{two}/spans/f.parquet"));
        whole.put(&theirs, PutPayload::from_static(b"secret")).await.unwrap();
        let mine = TenantStore::new(whole.clone(), one);
        let spelled = [
            theirs.clone(),
            Path::from(format!("t/{one}/../{two}/spans/f.parquet")),
            Path::from(format!("t/{one}%2F..%2F{two}/spans/f.parquet")),
            Path::from(format!("t/{one}x/f.parquet")),
            Path::from("t"),
        ];
        for path in spelled {
            assert!(matches!(mine.get(&path).await, Err(Error::NotFound { .. })), "{path}");
        }
        assert!(mine.put(&theirs, PutPayload::new()).await.is_err());
        assert_eq!(mine.list(None).count().await, 0);
        assert_eq!(mine.list(Some(&prefix(two))).count().await, 0);
        assert!(whole.get(&theirs).await.is_ok(), "still there");
    }
}
