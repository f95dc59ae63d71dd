//! Where objects are kept.

use std::path::PathBuf;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use spanlake_model::TenantId;

use crate::disk::Disk;
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
