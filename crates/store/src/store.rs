//! Where objects are kept.

use std::path::PathBuf;
use std::sync::Arc;

use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectMeta, ObjectStore};
use spanlake_model::{TenantId, Timestamp};

use crate::disk::Disk;
use crate::file;
use crate::local::LocalStore;
use crate::scoped::TenantStore;

/// Which store: `file:DIR` or `s3://BUCKET/PREFIX`. For S3 the endpoint and credentials come from the usual `AWS_…` variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// As above.
    pub url: String,
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Neither of the two forms.
    #[error("'{0}' names no store; use file:DIR or s3://BUCKET/PREFIX")]
    Url(String),
    /// It is named, and refuses.
    #[error("the store '{url}' cannot be opened")]
    Refused {
        /// As configured.
        url: String,
        /// Why.
        #[source]
        source: object_store::Error,
    },
}

/// What a listing tells of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Under the store's root.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// When it was written, by the store's clock.
    pub modified: Timestamp,
}

impl From<ObjectMeta> for Object {
    fn from(meta: ObjectMeta) -> Self {
        // Later than a timestamp can say: then it is young.
        let modified = meta.last_modified.timestamp_nanos_opt().unwrap_or(i64::MAX);
        Self { path: meta.location.to_string(), bytes: meta.size, modified: Timestamp::from_nanos(modified) }
    }
}

/// All tenants' objects. Hand out [`Store::tenant`], never this, to whatever works for one tenant.
#[derive(Clone, Debug)]
pub struct Store(Arc<dyn ObjectStore>);

impl Store {
    /// Opens what the configuration names; nothing else is tried.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(config: &Config, disk: Arc<dyn Disk>) -> Result<Self, OpenError> {
        let refused = |source| OpenError::Refused { url: config.url.clone(), source };
        if let Some(folder) = config.url.strip_prefix("file:") {
            return Ok(Self(Arc::new(LocalStore::open(PathBuf::from(folder), disk).map_err(refused)?)));
        }
        let rest = config.url.strip_prefix("s3://").ok_or_else(|| OpenError::Url(config.url.clone()))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let bucket = AmazonS3Builder::from_env().with_bucket_name(bucket).build().map_err(refused)?;
        Ok(Self(Arc::new(PrefixStore::new(bucket, Path::from(prefix)))))
    }

    /// A store over any objects, for tests.
    pub fn over(objects: Arc<dyn ObjectStore>) -> Self {
        Self(objects)
    }

    /// All tenants' objects whose names come after `position`, in the order of names. Across tenants: only the compactor asks.
    /// A bucket is asked for a thousand names at a time; a folder is read whole.
    pub fn objects_after(&self, position: &str) -> BoxStream<'static, Result<Object, file::Error>> {
        let root = Path::from("t");
        let position = Path::parse(position).ok().filter(|position| position.prefix_matches(&root));
        let listed = self.0.list_with_offset(Some(&root), &position.unwrap_or(root.clone()));
        listed.map_ok(Object::from).map_err(file::Error::from).boxed()
    }

    /// One tenant's part.
    pub fn tenant(&self, tenant: TenantId) -> Arc<dyn ObjectStore> {
        Arc::new(TenantStore::new(self.0.clone(), tenant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::LocalDisk;
    use object_store::{ObjectStoreExt, PutPayload};

    #[test]
    fn an_unknown_store_is_refused_with_the_two_forms() {
        let error = Store::open(&Config { url: "ftp://x".into() }, Arc::new(LocalDisk)).unwrap_err();
        assert_eq!(error.to_string(), "'ftp://x' names no store; use file:DIR or s3://BUCKET/PREFIX");
    }

    #[tokio::test]
    async fn objects_come_in_the_order_of_names_wherever_one_begins() {
        let folder = std::env::temp_dir().join(format!("spanlake-objects-{}", std::process::id()));
        let local = Store::open(&Config { url: format!("file:{}", folder.display()) }, Arc::new(LocalDisk)).unwrap();
        for store in [local, Store::over(Arc::new(object_store::memory::InMemory::new()))] {
            let mut expected = Vec::new();
            for tenant in [9, 1, 5].map(|byte| TenantId::from_bytes([byte; 16])) {
                for name in ["b", "a-", "a"] {
                    let path = Path::from(format!("t/{tenant}/spans/{name}/f"));
                    store.tenant(tenant).put(&path, PutPayload::from_static(b"rows")).await.unwrap();
                    expected.push(path.to_string());
                }
            }
            expected.sort();
            for from in 0..=expected.len() {
                let position = from.checked_sub(1).map_or("", |last| &expected[last]);
                let seen: Vec<Object> = store.objects_after(position).try_collect().await.unwrap();
                assert_eq!(
                    seen.iter().map(|object| &object.path).collect::<Vec<_>>(),
                    expected[from..].iter().collect::<Vec<_>>()
                );
                assert!(seen.iter().all(|object| object.bytes == 4 && object.modified > Timestamp::from_secs(0)));
            }
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn what_a_folder_took_is_a_plain_file_and_no_temporary_stays() {
        let folder = std::env::temp_dir().join(format!("spanlake-store-{}", std::process::id()));
        let url = format!("file:{}", folder.display());
        let store = Store::open(&Config { url }, Arc::new(LocalDisk)).unwrap();
        let tenant = TenantId::from_bytes([5; 16]);
        let path = Path::from(format!("t/{tenant}/spans/2026-01-01/a.parquet"));
        store.tenant(tenant).put(&path, PutPayload::from_static(b"rows")).await.unwrap();
        let day = folder.join(format!("t/{tenant}/spans/2026-01-01"));
        let names: Vec<_> = std::fs::read_dir(&day).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["a.parquet"]);
        assert_eq!(store.tenant(tenant).get(&path).await.unwrap().bytes().await.unwrap(), "rows");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
