//! The parts that configuration names: catalog, store, limits, secret.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use spanlake_access::secret::MasterSecret;
use spanlake_access::{Limiter, MemoryLimiter, RedisLimiter, SharedLimiter};
use spanlake_catalog::{Catalog, Recorder};
use spanlake_export::jobs::{Configured, Jobs};
use spanlake_model::Clock;
use spanlake_proto::internal::{Certificates, InternalToken, Trust};
use spanlake_proto::query::RowSource;
use spanlake_store::Store;
use spanlake_store::disk::{Disk, LocalDisk};
use spanlake_transport::shutdown::Shutdown;

use crate::Outside;
use crate::config::Config;

/// Tenants whose use is remembered at a time, in memory.
const TENANTS_MAX: usize = 100_000;

/// The folder for what this machine keeps.
pub(crate) fn data_dir(config: &Config) -> anyhow::Result<Arc<dyn Disk>> {
    let disk = LocalDisk;
    disk.create_folder(&config.data_dir)
        .with_context(|| format!("the data folder {} cannot be made", config.data_dir.display()))?;
    Ok(Arc::new(disk))
}

pub(crate) async fn catalog(config: &Config) -> anyhow::Result<Catalog> {
    let url = match config.catalog.expose() {
        "" => format!("sqlite:{}", config.data_dir.join("catalog.db").display()),
        url => url.to_string(),
    };
    let settings = spanlake_catalog::Config { url, connections_max: config.catalog_connections_max };
    let shown = format!("{settings:?}");
    Catalog::open(&settings).await.with_context(|| format!("the catalog cannot be opened: {shown}"))
}

pub(crate) fn store(config: &Config, disk: Arc<dyn Disk>) -> anyhow::Result<Store> {
    let url = match config.store.as_str() {
        "" => format!("file:{}", config.data_dir.join("store").display()),
        url => url.to_string(),
    };
    Ok(Store::open(&spanlake_store::Config { url }, disk)?)
}

pub(crate) async fn limiter(config: &Config, clock: Arc<dyn Clock>) -> anyhow::Result<Arc<dyn Limiter>> {
    match config.limits.expose() {
        "memory" => Ok(Arc::new(MemoryLimiter::new(clock, TENANTS_MAX))),
        url if url.starts_with("redis://") || url.starts_with("rediss://") => {
            let shared = RedisLimiter::connect(url, "spanlake").await;
            let shared = Arc::new(shared.context("the Redis that `limits` names cannot be used")?);
            let local = MemoryLimiter::new(clock.clone(), TENANTS_MAX);
            Ok(Arc::new(SharedLimiter::new(shared, local, clock, config.limits_processes)))
        }
        _ => bail!("`limits` names nothing that is known; use memory or redis://host:port"),
    }
}

/// The configured secret; in standalone, else, one that is made once.
pub(crate) fn secret(config: &Config, outside: &Outside) -> anyhow::Result<MasterSecret> {
    let text = match config.secret.expose() {
        "" => own_secret(&config.data_dir.join("secret"), outside)?,
        text => text.to_string(),
    };
    MasterSecret::parse(&text).context("`secret` cannot be used")
}

/// The secret of a role, which every replica must share.
pub(crate) fn shared_secret(config: &Config) -> anyhow::Result<MasterSecret> {
    if config.secret.is_empty() {
        bail!("set SPANLAKE_SECRET to 32 random bytes as hex, the same for every auth process: openssl rand -hex 32");
    }
    MasterSecret::parse(config.secret.expose()).context("`secret` cannot be used")
}

/// Exports into files; below `folder` unless the configuration names another.
pub(crate) fn exports(
    config: &Config,
    outside: &Outside,
    catalog: &Catalog,
    source: Arc<dyn RowSource>,
    folder: Option<PathBuf>,
) -> anyhow::Result<Arc<Jobs>> {
    let Outside { clock, entropy } = outside.clone();
    let settings = config.export.clone();
    let folder = if settings.folder.is_empty() { folder } else { Some(PathBuf::from(&settings.folder)) };
    let destinations = Configured { folder, private_allowed: settings.private_destinations, disk: Arc::new(LocalDisk) };
    let parts = spanlake_export::jobs::Parts {
        exports: Arc::new(catalog.clone()),
        accounts: Arc::new(catalog.clone()),
        recorder: recorder(config, catalog, clock.clone()),
        source,
        destinations: Arc::new(destinations),
        clock,
        entropy,
        config: settings,
    };
    Ok(Arc::new(Jobs::new(parts).context("`export.credentials_key` cannot be used")?))
}

/// Where what callers do with data is recorded.
pub(crate) fn recorder(config: &Config, catalog: &Catalog, clock: Arc<dyn Clock>) -> Recorder {
    Recorder { deeds: Arc::new(catalog.clone()), clock, proxies: config.auth.proxies }
}

/// By what the roles know each other: certificates, or, on this machine alone, a token.
pub(crate) fn trust(config: &Config) -> anyhow::Result<Trust> {
    if let Some(files) = config.internal_tls.files()? {
        return Ok(Trust::Certificates(Certificates::read(files).context("`internal_tls` cannot be used")?));
    }
    if !config.grpc.ip().is_loopback() {
        bail!(
            "--grpc {} is more than this machine, where our services show each other certificates: \
             set SPANLAKE_INTERNAL_TLS__CA, __CERTIFICATE and __KEY to PEM files, or listen on 127.0.0.1",
            config.grpc
        );
    }
    if config.internal_token.is_empty() {
        bail!("set SPANLAKE_INTERNAL_TOKEN, the same for every role: openssl rand -hex 32");
    }
    Ok(Trust::Token(InternalToken::new(config.internal_token.expose())?))
}

/// Where operators read metrics, and what they show; on this machine alone they need not show anything.
pub(crate) fn admin(config: &Config) -> anyhow::Result<Option<(SocketAddr, Option<InternalToken>)>> {
    if config.admin.is_empty() {
        return Ok(None);
    }
    let address: SocketAddr = config
        .admin
        .parse()
        .with_context(|| format!("--admin {} is no address, such as 127.0.0.1:9091", config.admin))?;
    let token = match config.admin_token.expose() {
        "" if address.ip().is_loopback() => None,
        "" => bail!(
            "--admin {address} is more than this machine: set SPANLAKE_ADMIN_TOKEN, which Prometheus then shows as \
             its bearer token (openssl rand -hex 32), or listen on 127.0.0.1"
        ),
        token => Some(InternalToken::new(token).context("`admin_token` cannot be used")?),
    };
    Ok(Some((address, token)))
}

/// How often certificates are read again.
const CERTIFICATES_INTERVAL: Duration = Duration::from_secs(60);

/// Lets renewed certificates count for the connections to come.
pub(crate) fn reload_certificates(trust: &Trust, shutdown: &Shutdown) {
    let Trust::Certificates(certificates) = trust.clone() else { return };
    let token = shutdown.token();
    shutdown.tasks().spawn("certificates", async move {
        while token.run_until_cancelled(tokio::time::sleep(CERTIFICATES_INTERVAL)).await.is_some() {
            if let Err(error) = certificates.reload() {
                tracing::error!(%error, "the certificates cannot be read again; those read before stay in use");
            }
        }
    });
}

/// A `host:port` that a role cannot do without.
pub(crate) fn url<'a>(what: &str, url: &'a str) -> anyhow::Result<&'a str> {
    if url.is_empty() {
        bail!("set --{what}, host:port");
    }
    Ok(url)
}

fn own_secret(path: &Path, outside: &Outside) -> anyhow::Result<String> {
    match fs::read_to_string(path) {
        Ok(text) => return Ok(text.trim().to_string()),
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
    let mut bytes = [0; 32];
    outside.entropy.fill(&mut bytes);
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    // Written whole under another name first: half a secret would lock every key out.
    let temporary = path.with_extension("new");
    let mut file = fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    LocalDisk.sync_dir(path.parent().unwrap_or(Path::new(".")))?;
    Ok(text)
}
