//! A whole Spanlake, in one process or in five.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use spanlake_model::{Clock, SystemClock, SystemEntropy, Timestamp};
use spanlake_server::{Config, Outside, Role, Running, start};
use spanlake_store::disk::LocalDisk;
use spanlake_store::rows::decode;
use spanlake_store::{Config as StoreConfig, Store};
use spanlake_testkit::{Authority, Database, ManualClock, TemporaryFolder, eventually, redis_url};
use spanlake_transport::shutdown::Shutdown;

use crate::client::{Bases, Client, url};
use crate::process::Process;

/// How the services run. A story cannot tell which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// All in the test's process: SQLite, a local folder, limits in memory.
    Standalone,
    /// Five processes of the binary: Postgres, Redis, a shared folder, gRPC between them.
    Processes,
}

/// Started, and stopped with [`Cluster::stop`], which checks that everything ended well.
pub(crate) struct Cluster {
    pub(crate) client: Client,
    clock: Arc<dyn Clock>,
    store: PathBuf,
    house: House,
    /// Last, so that it is removed after everybody has gone.
    folder: TemporaryFolder,
}

enum House {
    Standalone {
        running: Box<Running>,
        shutdown: Shutdown,
    },
    /// In the order they are stopped: who asks goes before who answers.
    Processes {
        processes: Vec<Process>,
        database: Database,
    },
}

/// The largest request, so that a test can send one that is larger.
pub(crate) const REQUEST_BYTES_MAX: usize = 1 << 20;

/// What the services of a cluster show each other.
pub(crate) const INTERNAL_TOKEN: &str = "a-token-between-services-of-this-test";

/// What tests set, by the names that operators use, the same for both forms.
pub(crate) fn settings(store: &Path) -> Vec<(&'static str, String)> {
    let port = "127.0.0.1:0".to_owned();
    vec![
        ("SPANLAKE_HTTP", port.clone()),
        ("SPANLAKE_OTLP_HTTP", port.clone()),
        ("SPANLAKE_OTLP_GRPC", port.clone()),
        ("SPANLAKE_GRPC", port.clone()),
        ("SPANLAKE_ADMIN", port),
        ("SPANLAKE_STORE", format!("file:{}", store.display())),
        // Hashing as it should be would be most of what the tests do.
        ("SPANLAKE_AUTH__ARGON2__MEMORY_KIB", "8".into()),
        ("SPANLAKE_AUTH__ARGON2__ITERATIONS", "1".into()),
        // What was just sent is in memory, what was sent a second ago in files: every story meets both.
        ("SPANLAKE_INGEST__FLUSH_AGE_S", "1".into()),
        ("SPANLAKE_INGEST__FLUSH_SMALL_BYTES", "0".into()),
        ("SPANLAKE_INGEST__FLUSH_CHECK_MS", "50".into()),
        ("SPANLAKE_INGEST__REQUEST_BYTES_MAX", REQUEST_BYTES_MAX.to_string()),
        // What is deleted goes from the disk while a story waits.
        ("SPANLAKE_COMPACTOR__LOOK_INTERVAL_S", "1".into()),
        ("SPANLAKE_EXPORT__FOLDER", exports_beside(store).display().to_string()),
        ("SPANLAKE_EXPORT__LOOK_INTERVAL_MS", "50".into()),
        ("SPANLAKE_EXPORT__CREDENTIALS_KEY", "c4".repeat(32)),
        // Longer than a read takes on a machine that has much else to do.
        ("SPANLAKE_COMPACTOR__ERASED_LINGERING_S", "8".into()),
    ]
}

fn internal_tls(authority: &Authority, role: &str) -> Vec<(&'static str, String)> {
    let (certificate, key) = authority.sign(role, &["IP:127.0.0.1"]);
    vec![
        ("SPANLAKE_INTERNAL_TLS__CA", authority.certificate().display().to_string()),
        ("SPANLAKE_INTERNAL_TLS__CERTIFICATE", certificate.display().to_string()),
        ("SPANLAKE_INTERNAL_TLS__KEY", key.display().to_string()),
    ]
}

fn exports_beside(store: &Path) -> PathBuf {
    store.with_file_name("exports")
}

impl Cluster {
    pub(crate) async fn start(form: Form) -> Self {
        match form {
            Form::Standalone => Self::standalone(Arc::new(SystemClock)).await,
            Form::Processes => Self::processes(None).await,
        }
    }

    /// All in this process, with a clock that the test moves.
    pub(crate) async fn with_clock(clock: Arc<ManualClock>) -> Self {
        Self::standalone(clock).await
    }

    async fn standalone(clock: Arc<dyn Clock>) -> Self {
        Self::in_folder(TemporaryFolder::new("standalone"), clock).await
    }

    /// The same house, stopped and started again; in one process.
    pub(crate) async fn restarted(self) -> Self {
        let Self { house: House::Standalone { running, shutdown }, folder, clock, .. } = self else {
            panic!("five processes are not started again")
        };
        shutdown.trigger();
        running.finish().await.unwrap();
        Self::in_folder(folder, clock).await
    }

    async fn in_folder(folder: TemporaryFolder, clock: Arc<dyn Clock>) -> Self {
        let store = folder.path().join("store");
        let mut settings = settings(&store);
        settings.push(("SPANLAKE_DATA_DIR", folder.path().display().to_string()));
        let settings = settings.into_iter().map(|(name, value)| (name.to_owned(), value));
        let config: Config = spanlake_transport::config::load(None, settings, toml::Table::new()).unwrap();
        let shutdown = Shutdown::new(config.shutdown_deadline);
        let outside = Outside { clock: clock.clone(), entropy: Arc::new(SystemEntropy) };
        let running = start(Role::Standalone, config, outside, shutdown.clone()).await.unwrap();
        let http = url(running.addresses.http.unwrap());
        let bases = Bases {
            auth: http.clone(),
            ingest: http.clone(),
            query: http.clone(),
            export: http,
            otlp_http: url(running.addresses.otlp_http.unwrap()),
            otlp_grpc: url(running.addresses.otlp_grpc.unwrap()),
        };
        let house = House::Standalone { running: Box::new(running), shutdown };
        Self { client: Client::new(bases), clock, store, house, folder }
    }

    /// One process of the binary that does everything, over Postgres with this password, with these settings besides.
    pub(crate) async fn one_process(settings_besides: &[(&'static str, String)], password: &str) -> Self {
        let folder = TemporaryFolder::new("one-process");
        let store = folder.path().join("store");
        let database = Database::create().await;
        let (before, after) = database.url().split_once('@').unwrap();
        let (scheme, user) = before.split_once("://").unwrap();
        let user = user.split(':').next().unwrap();
        let mut own = settings(&store);
        own.push(("SPANLAKE_DATA_DIR", folder.path().join("data").display().to_string()));
        // Whom it knows by their address needs none, and takes any.
        own.push(("SPANLAKE_CATALOG", format!("{scheme}://{user}:{password}@{after}")));
        let process = Process::start("standalone", folder.path(), &[&own[..], settings_besides].concat());
        let http = url(process.address("http"));
        let bases = Bases {
            auth: http.clone(),
            ingest: http.clone(),
            query: http.clone(),
            export: http,
            otlp_http: url(process.address("otlp_http")),
            otlp_grpc: url(process.address("otlp_grpc")),
        };
        let house = House::Processes { processes: vec![process], database };
        Self { client: Client::new(bases), clock: Arc::new(SystemClock), store, house, folder }
    }

    /// Five processes that know each other by certificates that `authority` signs.
    pub(crate) async fn with_certificates(authority: &Authority) -> Self {
        Self::processes(Some(authority)).await
    }

    async fn processes(authority: Option<&Authority>) -> Self {
        let folder = TemporaryFolder::new("processes");
        let store = folder.path().join("store");
        let database = Database::create().await;
        let mut shared = settings(&store);
        shared.extend([
            ("SPANLAKE_CATALOG", database.url().to_owned()),
            ("SPANLAKE_LIMITS", redis_url()),
            ("SPANLAKE_SECRET", "5e".repeat(32)),
            // Stories look for secrets and prompts in what is logged, so much is.
            ("SPANLAKE_TELEMETRY__FILTER", "info,spanlake=debug".into()),
        ]);
        if authority.is_none() {
            shared.push(("SPANLAKE_INTERNAL_TOKEN", INTERNAL_TOKEN.into()));
        }
        let begin = |role: &'static str, own: &[(&'static str, String)]| {
            let data = ("SPANLAKE_DATA_DIR", folder.path().join(role).display().to_string());
            let tls = authority.map(|authority| internal_tls(authority, role)).unwrap_or_default();
            Process::start(role, folder.path(), &[&shared[..], &[data], &tls, own].concat())
        };
        let auth = begin("auth", &[]);
        let auth_url = ("SPANLAKE_AUTH_URL", auth.address("grpc").to_string());
        let ingest = begin("ingest", std::slice::from_ref(&auth_url));
        let query = begin("query", std::slice::from_ref(&auth_url));
        let query_url = ("SPANLAKE_QUERY_URL", query.address("grpc").to_string());
        let export = begin("export", &[auth_url, query_url]);
        let compactor = begin("compactor", &[]);
        let bases = Bases {
            auth: url(auth.address("http")),
            ingest: url(ingest.address("http")),
            query: url(query.address("http")),
            export: url(export.address("http")),
            otlp_http: url(ingest.address("otlp_http")),
            otlp_grpc: url(ingest.address("otlp_grpc")),
        };
        let processes = vec![export, query, ingest, compactor, auth];
        let house = House::Processes { processes, database };
        Self { client: Client::new(bases), clock: Arc::new(SystemClock), store, house, folder }
    }

    pub(crate) fn form(&self) -> Form {
        match self.house {
            House::Standalone { .. } => Form::Standalone,
            House::Processes { .. } => Form::Processes,
        }
    }

    /// Where the services answer each other, by role; in one process they need no port for that.
    pub(crate) fn internal(&self) -> Vec<(&'static str, String)> {
        match &self.house {
            House::Standalone { .. } => Vec::new(),
            House::Processes { processes, .. } => {
                processes.iter().map(|process| (process.role(), url(process.address("grpc")))).collect()
            }
        }
    }

    /// Where operators read.
    pub(crate) fn admin(&self) -> Vec<String> {
        match &self.house {
            House::Standalone { running, .. } => vec![url(running.addresses.admin.unwrap())],
            House::Processes { processes, .. } => {
                processes.iter().map(|process| url(process.address("admin"))).collect()
            }
        }
    }

    /// What time it is for the services.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Some time ago: when stories say that their spans began.
    pub(crate) fn a_minute_ago(&self) -> Timestamp {
        self.now().minus(Duration::from_secs(60))
    }

    /// How many data files the tenant has.
    pub(crate) fn files(&self, tenant: &str) -> usize {
        files_in(&self.store.join("t").join(tenant), "parquet").len()
    }

    /// Their names.
    pub(crate) fn file_names(&self, tenant: &str) -> Vec<String> {
        let files = files_in(&self.store.join("t").join(tenant), "parquet");
        files.iter().map(|file| file.display().to_string()).collect()
    }

    /// Everything that the tenant's data files say, decoded.
    pub(crate) async fn stored(&self, tenant: &str) -> String {
        let url = format!("file:{}", self.store.display());
        let store = Store::open(&StoreConfig { url }, Arc::new(LocalDisk)).unwrap().tenant(tenant.parse().unwrap());
        let mut said = String::new();
        for file in files_in(&self.store.join("t").join(tenant), "parquet") {
            let path = file.strip_prefix(&self.store).unwrap().display().to_string();
            let mut batches = spanlake_store::file::read(store.clone(), &path, None).await.unwrap();
            while let Some(batch) = batches.try_next().await.unwrap() {
                said += &format!("{:?}", decode(&batch).unwrap());
            }
        }
        said
    }

    /// Every cell of every table of the tenant, as it lies in files; those that are merged away meanwhile are left out.
    pub(crate) async fn cells(&self, tenant: &str) -> String {
        let url = format!("file:{}", self.store.display());
        let store = Store::open(&StoreConfig { url }, Arc::new(LocalDisk)).unwrap().tenant(tenant.parse().unwrap());
        let mut said = String::new();
        for file in files_in(&self.store.join("t").join(tenant), "parquet") {
            let path = file.strip_prefix(&self.store).unwrap().display().to_string();
            let read = async {
                let batches: Vec<_> =
                    spanlake_store::file::read(store.clone(), &path, None).await?.try_collect().await?;
                Ok::<_, spanlake_store::file::Error>(batches)
            };
            match read.await {
                Ok(batches) => said += &arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string(),
                Err(error) => assert!(!file.exists(), "{path}: {error:?}"),
            }
        }
        said
    }

    /// Waits until the tenant has `count` data files or more.
    pub(crate) async fn has_files(&self, tenant: &str, count: usize) {
        let look = || std::future::ready((self.files(tenant) >= count).then_some(()));
        eventually("data files of the tenant", look).await;
    }

    /// Where exports into files go.
    pub(crate) fn exports(&self) -> PathBuf {
        exports_beside(&self.store)
    }

    /// Everything the services keep or have logged on disk, for tests that look for what must not be there.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where its catalog is, as the server's command line is told.
    pub(crate) fn catalog(&self) -> (&'static str, String) {
        match &self.house {
            House::Standalone { .. } => ("SPANLAKE_DATA_DIR", self.folder.path().display().to_string()),
            House::Processes { database, .. } => ("SPANLAKE_CATALOG", database.url().to_owned()),
        }
    }

    /// What the processes logged last.
    pub(crate) fn logs(&self) -> String {
        match &self.house {
            House::Standalone { .. } => String::new(),
            House::Processes { processes, .. } => processes.iter().map(|process| process.log() + "\n").collect(),
        }
    }

    /// Asks everybody to stop, as a signal does, and waits; whoever does not end well fails the test.
    pub(crate) async fn stop(self) {
        match self.house {
            House::Standalone { running, shutdown } => {
                shutdown.trigger();
                running.finish().await.unwrap();
            }
            House::Processes { processes, database: _database } => {
                for process in processes {
                    process.terminate();
                    process.ended().await;
                }
            }
        }
    }
}

/// Every file below `folder` that ends in `.extension`.
pub(crate) fn files_in(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        match path.is_dir() {
            true => found.extend(files_in(&path, extension)),
            false if path.extension().is_some_and(|own| own == extension) => found.push(path),
            false => {}
        }
    }
    found
}
