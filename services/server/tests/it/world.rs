//! Two writers, a compactor and a reader over one catalog and one store, all real, in this process: what can be stopped,
//! crashed and started again at any step, with a clock that the test moves.
//!
//! ```text
//!   send ─► writers[0] ─┐                        ┌─ compactor
//!   send ─► writers[1] ─┴► catalog.db, objects ◄─┤
//!               ▲                                └─ query: routes and scan
//!               └──────────── fresh rows, by address
//! ```

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use spanlake_access::key::{self, Kind};
use spanlake_access::secret::{MasterSecret, PEPPER_VERSION};
use spanlake_access::{Gate, MemoryLimiter};
use spanlake_catalog::{
    Accounts, App, Catalog, Erasures, Files, Jobs, Keys as _, Member, NewAccount, NewKey, Recorder, Sweeps, Tenant,
};
use spanlake_dialects::otlp::{Encoding, Signal};
use spanlake_engine::Engine;
use spanlake_ingest::{Accepted, Door, Error, Incoming, Parts, Service};
use spanlake_model::{
    AppId, Caller, Clock, Day, Entropy, Fault, KeyId, Limits, MemberId, Principal, Role, ScopeSet, SystemClock,
    TenantId, Timestamp,
};
use spanlake_proto::compactor::{Compacted, Compactor};
use spanlake_proto::ingest::{Fresh, FreshRequest, FreshSource};
use spanlake_store::disk::{Disk, LocalDisk};
use spanlake_store::{Store, log};
use spanlake_testkit::{ManualClock, SeededEntropy, TemporaryFolder, eventually};

/// How many ingest processes there are.
pub(crate) const WRITERS: usize = 2;
/// Today at noon, when every world begins: objects have the machine's time on them, and ours must not be far from it.
pub(crate) fn noon() -> Timestamp {
    static NOON: LazyLock<Timestamp> =
        LazyLock::new(|| Day::of(SystemClock.now()).start().plus(Duration::from_secs(43_200)));
    *NOON
}
/// Between two requests, so that no two are received at the same instant.
const TICK: Duration = Duration::from_millis(1);
const SECRET: [u8; 32] = [0x5e; 32];

/// What one process works with. Tests put worse ones in the place of the real ones.
#[derive(Clone)]
pub(crate) struct Outside {
    pub(crate) catalog: Arc<dyn Whole>,
    pub(crate) store: Store,
    pub(crate) disk: Arc<dyn Disk>,
}

/// All of the catalog that ingest and the compactor ask.
pub(crate) trait Whole: Files + Jobs + Sweeps + Erasures {}

impl<T: Files + Jobs + Sweeps + Erasures> Whole for T {}

/// Somebody who sends and reads; all of them use the same trace and span ids.
#[derive(Clone)]
pub(crate) struct Holder {
    pub(crate) caller: Caller,
    /// Of a workspace key, for the routes.
    pub(crate) key: String,
}

/// Where data files are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    Memory,
    Folder,
}

/// All of it, gone when dropped.
pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) entropy: Arc<SeededEntropy>,
    pub(crate) catalog: Catalog,
    /// Where data files are.
    pub(crate) store: Store,
    /// The same, when they are kept in memory.
    pub(crate) objects: Option<Arc<dyn ObjectStore>>,
    pub(crate) holders: [Holder; 2],
    pub(crate) query: Arc<spanlake_query::Service>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) routes: axum::Router,
    pub(crate) writers: Arc<Writers>,
    pub(crate) config: spanlake_ingest::Config,
    gate: Gate,
    /// Last, so that it is removed after everybody has gone.
    folder: TemporaryFolder,
}

/// The writers that are up, each found by its address.
#[derive(Default)]
pub(crate) struct Writers([Mutex<Option<Arc<Service>>>; WRITERS]);

impl Writers {
    pub(crate) fn get(&self, writer: usize) -> Option<Arc<Service>> {
        self.0[writer].lock().unwrap().clone()
    }
    pub(crate) fn put(&self, writer: usize, service: Option<Arc<Service>>) -> Option<Arc<Service>> {
        std::mem::replace(&mut *self.0[writer].lock().unwrap(), service)
    }
}

#[async_trait]
impl FreshSource for Writers {
    async fn fresh(&self, address: &str, request: FreshRequest) -> Result<Fresh, Fault> {
        let up = address.parse().ok().and_then(|writer| self.get(writer));
        up.ok_or_else(|| Fault::unavailable("the writer is down"))?.fresh(address, request).await
    }
}

impl World {
    /// Nobody is up yet.
    pub(crate) async fn new(seed: u64, keep: Keep) -> Self {
        let folder = TemporaryFolder::new("world");
        let clock = Arc::new(ManualClock::at(noon()));
        let entropy = Arc::new(SeededEntropy::new(seed));
        let url = format!("sqlite:{}", folder.path().join("catalog.db").display());
        let catalog = Catalog::open(&spanlake_catalog::Config::new(url)).await.unwrap();
        let (store, objects) = match keep {
            Keep::Folder => (folder_store(folder.path(), Arc::new(LocalDisk)), None),
            Keep::Memory => {
                let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
                (Store::over(objects.clone()), Some(objects))
            }
        };
        let secret = MasterSecret::from_bytes(SECRET.to_vec()).unwrap();
        let holders = [
            holder(&catalog, &secret, &*clock, &*entropy, 1).await,
            holder(&catalog, &secret, &*clock, &*entropy, 2).await,
        ];
        let gate = gate(&catalog, secret, &clock, &entropy);
        let writers = Arc::<Writers>::default();
        let files: Arc<dyn Files> = Arc::new(catalog.clone());
        let engine = Engine::new(
            files,
            writers.clone(),
            Arc::new(store.clone()),
            clock.clone(),
            spanlake_engine::Config::default(),
        );
        let engine = Arc::new(engine.unwrap());
        let query = Arc::new(spanlake_query::Service::new(
            engine.clone(),
            Arc::new(catalog.clone()),
            Recorder { deeds: Arc::new(catalog.clone()), clock: clock.clone(), proxies: 0 },
            clock.clone(),
            entropy.clone(),
            spanlake_query::Config::default(),
        ));
        let (routes, _) = spanlake_query::routes(query.clone(), gate.clone()).split();
        let config = small();
        Self { clock, entropy, catalog, store, objects, holders, query, engine, routes, writers, config, gate, folder }
    }

    /// The real parts.
    pub(crate) fn outside(&self) -> Outside {
        Outside { catalog: Arc::new(self.catalog.clone()), store: self.store.clone(), disk: Arc::new(LocalDisk) }
    }

    /// The folder of data files, on this disk.
    pub(crate) fn folder_store(&self, disk: Arc<dyn Disk>) -> Store {
        folder_store(self.folder.path(), disk)
    }

    /// Where the writer's log is.
    pub(crate) fn log_folder(&self, writer: usize) -> PathBuf {
        self.folder.path().join(format!("log-{writer}"))
    }

    /// Makes the writer's process.
    pub(crate) async fn try_make_writer(&self, writer: usize, outside: &Outside) -> Result<Arc<Service>, Error> {
        let parts = Parts {
            gate: self.gate.clone(),
            files: outside.catalog.clone(),
            store: outside.store.clone(),
            disk: outside.disk.clone(),
            log_folder: self.log_folder(writer),
            address: writer.to_string(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            config: self.config.clone(),
        };
        Service::start(parts).await
    }

    /// As [`Self::try_make_writer`], once the folder is free, which the process before may still hold; from then on
    /// queries find it.
    pub(crate) async fn start_writer(&self, writer: usize, outside: &Outside) -> Result<(), Error> {
        let start = || async {
            match self.try_make_writer(writer, outside).await {
                Err(Error::Folder(log::FolderError::InUse(_))) => None,
                outcome => Some(outcome),
            }
        };
        let service = eventually("the log's folder is free", start).await?;
        self.writers.put(writer, Some(service));
        Ok(())
    }

    /// Ends a writer without a word: what it holds in memory is gone.
    pub(crate) fn crash_writer(&self, writer: usize) {
        self.writers.put(writer, None);
    }

    /// Sends a request, protobuf, a moment after the one before.
    pub(crate) async fn send(&self, writer: usize, holder: usize, body: &[u8]) -> Result<Accepted, Fault> {
        self.clock.advance(TICK);
        let service = self.writers.get(writer).ok_or_else(|| Fault::unavailable("the writer is down"))?;
        let incoming = Incoming {
            signal: Signal::Traces,
            encoding: Encoding::Protobuf,
            door: Door::Open,
            body: body.to_vec().into(),
        };
        service.accept(&self.holders[holder].caller, incoming).await
    }

    /// A compactor that merges whenever it can.
    pub(crate) fn compactor(&self, outside: &Outside) -> spanlake_compactor::Service {
        spanlake_compactor::Service::new(spanlake_compactor::Parts {
            files: outside.catalog.clone(),
            erasures: outside.catalog.clone(),
            jobs: outside.catalog.clone(),
            sweeps: outside.catalog.clone(),
            store: outside.store.clone(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            config: spanlake_compactor::Config { least_files: 2, ..spanlake_compactor::Config::default() },
        })
    }

    /// One look of a compactor.
    pub(crate) async fn compact(&self, outside: &Outside) -> Result<Compacted, Fault> {
        self.compactor(outside).run_once().await
    }
}

fn folder_store(folder: &Path, disk: Arc<dyn Disk>) -> Store {
    Store::open(&spanlake_store::Config { url: format!("file:{}", folder.join("store").display()) }, disk).unwrap()
}

/// Segments so small that they roll and are trimmed.
fn small() -> spanlake_ingest::Config {
    let log = log::Config { segment_bytes_max: 2_000, ..log::Config::default() };
    spanlake_ingest::Config { log, ..spanlake_ingest::Config::default() }
}

fn gate(catalog: &Catalog, secret: MasterSecret, clock: &Arc<ManualClock>, entropy: &Arc<SeededEntropy>) -> Gate {
    // Nobody logs in here; hashing as it should be would be most of what the tests do.
    let argon2 = spanlake_auth::Argon2Config { memory_kib: 8, iterations: 1, parallelism: 1 };
    let config = spanlake_auth::Config { argon2, ..spanlake_auth::Config::default() };
    let accounts: Arc<dyn Accounts> = Arc::new(catalog.clone());
    let auth = spanlake_auth::Service::new(accounts, secret, clock.clone(), entropy.clone(), config).unwrap();
    let limiter = Arc::new(MemoryLimiter::new(clock.clone(), 10));
    Gate::new(Arc::new(auth), limiter, clock.clone(), spanlake_access::Config::default())
}

/// An account with a key that may do everything.
async fn holder(
    catalog: &Catalog,
    secret: &MasterSecret,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    number: u8,
) -> Holder {
    let (tenant, app) = (TenantId::from_bytes([number; 16]), AppId::from_bytes([0xa0 + number; 16]));
    let (created_at, email) = (clock.now(), format!("owner-{number}@example.com"));
    let owner = MemberId::from_bytes([number; 16]);
    let password_hash = "nobody logs in".to_owned();
    let limits = Limits::default();
    let account = NewAccount {
        tenant: Tenant { id: tenant, name: email.clone(), default_app: app, limits, created_at },
        app: App { id: app, tenant, name: "default".into(), created_at },
        owner: Member { id: owner, tenant, email, password_hash, role: Role::Owner, created_at },
    };
    catalog.sign_up(account).await.unwrap();
    let id = KeyId::from_bytes([number; 16]);
    let text = key::generate(Kind::Workspace, id, entropy);
    let row = NewKey {
        id,
        tenant,
        app: None,
        agent: None,
        name: "all".into(),
        hash: key::hash(&secret.pepper(PEPPER_VERSION), &text).to_vec(),
        pepper_version: PEPPER_VERSION,
        last4: key::last4(&text).to_owned(),
        scopes: ScopeSet::all(),
        created_at,
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
        created_by: None,
    };
    catalog.add_key(row).await.unwrap();
    Holder { caller: Caller::verified(tenant, app, None, ScopeSet::all(), Principal::Key(id)), key: text }
}
