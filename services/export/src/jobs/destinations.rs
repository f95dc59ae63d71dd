//! Opening destinations: what is allowed, and with which credentials.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use spanlake_access::seal::SealingKey;
use spanlake_model::{Code, Entropy, ExportId, Fault, TenantId};
use spanlake_store::disk::Disk;
use spanlake_store::export::{Bucket, Outlet, Refusal};

use super::spec::Destination;

/// What opens a bucket. Never stored in the clear, never shown.
#[derive(Clone, Serialize, Deserialize)]
pub struct Credentials {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    pub(crate) session_token: Option<String>,
}

/// What is needed to open destinations.
#[async_trait]
pub trait Destinations: Send + Sync + 'static {
    /// Opens a destination.
    ///
    /// # Errors
    /// `invalid_request_body` when it is not allowed, and will not be tomorrow; `service_unavailable` when it cannot be reached now.
    async fn open(
        &self,
        tenant: TenantId,
        destination: &Destination,
        credentials: Option<Credentials>,
    ) -> Result<Outlet, Fault>;
}

/// Folders below one that was set aside, and buckets on the internet.
pub struct Configured {
    /// Below it, each tenant has a folder; `None`: there are no destinations of this kind.
    pub folder: Option<PathBuf>,
    /// Whether buckets may lie at addresses that are not public.
    pub private_allowed: bool,
    /// How folders are written.
    pub disk: Arc<dyn Disk>,
}

#[async_trait]
impl Destinations for Configured {
    async fn open(
        &self,
        tenant: TenantId,
        destination: &Destination,
        credentials: Option<Credentials>,
    ) -> Result<Outlet, Fault> {
        match destination {
            Destination::File { path } => self.open_folder(tenant, path).await,
            Destination::S3 { bucket, prefix, region, endpoint } => {
                check(prefix, "destination.prefix")?;
                let credentials =
                    credentials.ok_or_else(|| refused("destination", "needs access_key_id and secret_access_key"))?;
                let bucket = Bucket {
                    name: bucket.clone(),
                    region: region.clone(),
                    endpoint: endpoint.clone(),
                    access_key_id: credentials.access_key_id,
                    secret_access_key: credentials.secret_access_key,
                    session_token: credentials.session_token,
                };
                Outlet::bucket(&bucket, prefix, self.private_allowed).await.map_err(not_opened)
            }
        }
    }
}

impl Configured {
    async fn open_folder(&self, tenant: TenantId, path: &str) -> Result<Outlet, Fault> {
        check(path, "destination.path")?;
        let Some(root) = self.folder.clone() else {
            return Err(refused("destination.type", "'file' is off on this server (export.folder); use 's3'"));
        };
        let below = if path.is_empty() { tenant.to_string() } else { format!("{tenant}/{path}") };
        let disk = self.disk.clone();
        let opened = tokio::task::spawn_blocking(move || Outlet::folder(&root, &below, disk));
        opened.await.map_err(|_| Fault::internal())?.map_err(super::files::refused)
    }
}

fn check(path: &str, field: &'static str) -> Result<(), Fault> {
    Outlet::check_path(path).map_err(|why| refused(field, why))
}

fn refused(field: &'static str, why: impl ToString) -> Fault {
    let why = why.to_string();
    Fault::new(Code::InvalidRequestBody, format!("The destination is refused: {field} {why}.")).detail(field, why)
}

fn not_opened(refusal: Refusal) -> Fault {
    match refusal {
        Refusal::Unknown => Fault::unavailable("The destination's host cannot be found."),
        Refusal::Endpoint | Refusal::Private => refused("destination.endpoint", refusal),
        Refusal::Setting(_) | Refusal::Settings(_) => refused("destination", refusal),
    }
}

impl Credentials {
    /// Sealed for one export: put into another's row it does not open.
    pub(crate) fn seal(&self, key: &SealingKey, export: ExportId, entropy: &dyn Entropy) -> Vec<u8> {
        let text = serde_json::to_vec(self).expect("texts make JSON");
        key.seal(&text, export.as_bytes(), entropy)
    }

    /// # Errors
    /// When the key is another than the one it was sealed with.
    pub(crate) fn open(key: Option<&SealingKey>, export: ExportId, sealed: &[u8]) -> Result<Self, Fault> {
        let opened = key.and_then(|key| key.open(sealed, export.as_bytes()));
        opened.and_then(|text| serde_json::from_slice(&text).ok()).ok_or_else(|| {
            Fault::unavailable("The destination's credentials do not open with this server's export.credentials_key.")
        })
    }
}
