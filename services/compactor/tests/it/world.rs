//! A catalog, a store, and a writer that flushes what it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::compute::filter_record_batch;
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use spanlake_catalog::{
    Accounts as _, App, Catalog, Commit, Config as CatalogConfig, DataFile, Erasures, Error, Files, Jobs, Member,
    NewAccount, NewErasure, Snapshot, Subject, Sweeps, Tenant, WriterLease,
};
use spanlake_compactor::{Config, Parts, Service};
use spanlake_model::{
    AppId, Clock, Day, Entropy, Erasure, ErasureId, ErasureScope, FileId, Kind, Limits, MemberId, Receipt, Role, Span,
    SpanId, SpanKey, Status, SystemEntropy, Table, TenantId, TimeRange, Timestamp, TraceId, Usage, WriterId,
};
use spanlake_store::rows::{Origin, Row, decode, encode, row_keys};
use spanlake_store::{Store, erased, file};

pub(crate) const TENANT: TenantId = TenantId::from_bytes([1; 16]);
pub(crate) const OTHER: TenantId = TenantId::from_bytes([2; 16]);
pub(crate) const WRITER: WriterId = WriterId::from_bytes([7; 16]);
const NOON: Timestamp = Timestamp::from_nanos(1_763_726_400_000_000_001);

/// A span's number and what it says. Even numbers start on one day, odd ones on the next.
pub(crate) type Said<'a> = (u8, &'a str);

/// Moves when told.
pub(crate) struct StillClock(AtomicI64);

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.load(Ordering::SeqCst))
    }
}

impl StillClock {
    pub(crate) fn pass(&self, seconds: u64) {
        self.0.store(self.now().plus(Duration::from_secs(seconds)).as_nanos(), Ordering::SeqCst);
    }
}

/// One cluster's data, gone when dropped.
pub(crate) struct World {
    pub(crate) catalog: Catalog,
    pub(crate) store: Store,
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) clock: Arc<StillClock>,
    lease: WriterLease,
    sequence: AtomicU64,
    pub(crate) folder: PathBuf,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub(crate) fn text(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    SystemEntropy.fill(&mut random);
    random.into_iter().map(|byte| char::from(b' ' + byte % 95)).collect()
}

pub(crate) fn day(number: u8) -> Day {
    Day::of(span(number, "").start)
}

pub(crate) fn key(number: u8) -> SpanKey {
    span(number, "").key()
}

/// The trace of a span, in its app.
pub(crate) fn trace_of(number: u8) -> ErasureScope {
    let key = key(number);
    ErasureScope::Traces(key.app_id, [key.trace_id].into_iter().collect())
}

fn span(number: u8, says: &str) -> Span {
    // Spans of several apps, traces and minutes, so that the sort has something to do.
    let start = NOON.plus(Duration::from_secs(u64::from(number % 2) * 86_400 + u64::from(number) * 37 % 400));
    let key = SpanKey {
        app_id: AppId::from_bytes([1 + number % 3; 16]),
        trace_id: TraceId::from_bytes([1 + number % 5; 16]).unwrap(),
        span_id: SpanId::from_bytes([1 + number; 8]).unwrap(),
    };
    Span {
        name: "chat".into(),
        kind: Kind::new(Kind::LLM),
        status: Status::Ok,
        end: Some(start.plus(Duration::from_secs(1))),
        model: Some("gpt-4o".into()),
        usage: Usage { input: Some(i64::from(number)), ..Usage::default() },
        session_id: Some("s".into()),
        tags: vec!["tag".into()],
        input: Some("in".into()),
        output: Some(says.into()),
        ..Span::new(key, start)
    }
}

fn row(number: u8, says: &str, sequence: u64) -> Row {
    Row { span: span(number, says), received_at: NOON, sequence }
}

impl World {
    /// Objects in memory.
    pub(crate) async fn new() -> Self {
        Self::over(Arc::new(InMemory::new())).await
    }

    pub(crate) async fn over(objects: Arc<dyn ObjectStore>) -> Self {
        let mut random = [0; 8];
        SystemEntropy.fill(&mut random);
        let folder = std::env::temp_dir().join(format!("spanlake_compactor_{:016x}", u64::from_le_bytes(random)));
        std::fs::create_dir_all(&folder).unwrap();
        let url = format!("sqlite:{}", folder.join("catalog.db").display());
        let catalog = Catalog::open(&CatalogConfig::new(url)).await.unwrap();
        let lease = catalog.register_writer(WRITER, "", NOON).await.unwrap();
        let clock = Arc::new(StillClock(AtomicI64::new(NOON.as_nanos())));
        let store = Store::over(objects.clone());
        Self { catalog, store, objects, clock, lease, sequence: AtomicU64::new(0), folder }
    }

    pub(crate) fn compactor(&self, config: Config) -> Service {
        self.compactor_over(Arc::new(self.catalog.clone()), config)
    }

    pub(crate) fn compactor_over<C: Files + Jobs + Sweeps>(&self, catalog: Arc<C>, config: Config) -> Service {
        self.compactor_with(catalog, Arc::new(SystemEntropy), config)
    }

    pub(crate) fn compactor_with<C: Files + Jobs + Sweeps>(
        &self,
        catalog: Arc<C>,
        entropy: Arc<dyn Entropy>,
        config: Config,
    ) -> Service {
        let (store, clock) = (self.store.clone(), self.clock.clone());
        Service::new(Parts {
            files: catalog.clone(),
            erasures: Arc::new(self.catalog.clone()),
            jobs: catalog.clone(),
            sweeps: catalog,
            store,
            clock,
            entropy,
            config,
        })
    }

    /// One whose way to the erasures is another.
    pub(crate) fn compactor_erasing(&self, erasures: Arc<dyn Erasures>, config: Config) -> Service {
        let catalog = Arc::new(self.catalog.clone());
        let (store, clock) = (self.store.clone(), self.clock.clone());
        let (files, jobs, sweeps, entropy) = (catalog.clone(), catalog.clone(), catalog, Arc::new(SystemEntropy));
        Service::new(Parts { files, erasures, jobs, sweeps, store, clock, entropy, config })
    }

    /// Writes files as ingest does, one a day, and commits them; `replaced` are the numbers that older files hold.
    pub(crate) async fn flush(&self, tenant: TenantId, said: &[Said<'_>], replaced: &[u8]) -> Vec<DataFile> {
        let files = self.put(tenant, said, replaced).await;
        self.commit(tenant, files.clone()).await.unwrap().unwrap();
        files
    }

    pub(crate) async fn commit(&self, tenant: TenantId, files: Vec<DataFile>) -> Result<Option<u64>, Error> {
        let sequence = self.sequence.fetch_add(1, Ordering::SeqCst) + 1;
        let (lease, table) = (self.lease, Table::Spans);
        let known_version = self.catalog.files_since(tenant, table, 0).await?.version;
        self.catalog.commit(Commit { lease, tenant, table, sequence, known_version, files }).await
    }

    /// As far as a crash before the commit lets it come.
    pub(crate) async fn put(&self, tenant: TenantId, said: &[Said<'_>], replaced: &[u8]) -> Vec<DataFile> {
        // The frame that the next commit takes up.
        let sequence = self.sequence.load(Ordering::SeqCst) + 1;
        let rows: Vec<_> = said.iter().map(|(number, says)| row(*number, says, sequence)).collect();
        let mut files = Vec::new();
        let batch = encode(Origin { tenant, writer: WRITER }, &rows);
        for (of, rows) in file::sort(Table::Spans, &[batch]).unwrap() {
            let id = FileId::generate(self.clock.as_ref(), &SystemEntropy);
            let name = file::Name { tenant, table: Table::Spans, day: of, file: id };
            let (bytes, written) = file::encode(&name, &rows, &file::Config::default()).unwrap();
            file::put(self.store.tenant(tenant).as_ref(), &name, bytes).await.unwrap();
            files.push(DataFile {
                id,
                tenant,
                table: Table::Spans,
                day: of,
                path: name.path(),
                rows: written.rows,
                bytes: written.bytes,
                min_start: written.min_start,
                max_start: written.max_start,
                version: 0,
                superseded: replaced.iter().filter(|number| day(**number) == of).map(|number| key(*number)).collect(),
            });
        }
        files
    }

    pub(crate) async fn live(&self, tenant: TenantId) -> Vec<DataFile> {
        self.snapshot(tenant).await.files
    }

    async fn snapshot(&self, tenant: TenantId) -> Snapshot {
        self.catalog.snapshot(tenant, Table::Spans, TimeRange::all()).await.unwrap()
    }

    /// What hides rows of the tenant.
    pub(crate) async fn hidden(&self, tenant: TenantId) -> Vec<Erasure> {
        self.snapshot(tenant).await.erasures
    }

    /// Erases what is in files by now.
    pub(crate) async fn erase(&self, tenant: TenantId, scope: ErasureScope) -> ErasureId {
        let marks = self.snapshot(tenant).await.watermarks;
        self.erase_up_to(tenant, scope, marks.first().map_or(0, |mark| mark.sequence)).await
    }

    /// Erases what was acknowledged up to this frame.
    pub(crate) async fn erase_up_to(&self, tenant: TenantId, scope: ErasureScope, sequence: u64) -> ErasureId {
        let id = ErasureId::generate(self.clock.as_ref(), &SystemEntropy);
        let erasure = Erasure { id, tenant, scope, bounds: vec![Receipt { writer: WRITER, sequence }] };
        let new = NewErasure::new(erasure, Subject::Traces, self.clock.now());
        self.catalog.add_erasure(new).await.unwrap();
        id
    }

    /// Somebody whose settings can be changed.
    pub(crate) async fn sign_up(&self, id: TenantId) {
        let app = App { id: AppId::from_bytes([1; 16]), tenant: id, name: "default".into(), created_at: NOON };
        let tenant =
            Tenant { id, name: "tenant".into(), default_app: app.id, limits: Limits::default(), created_at: NOON };
        let owner = Member {
            id: MemberId::from_bytes([1; 16]),
            tenant: id,
            email: "owner@example.com".into(),
            password_hash: String::new(),
            role: Role::Owner,
            created_at: NOON,
        };
        self.catalog.sign_up(NewAccount { tenant, app, owner }).await.unwrap();
    }

    /// What a query sees of the files, `fresh` being the numbers whose rows memory replaces; sorted. A row seen twice is there twice.
    pub(crate) async fn visible(&self, tenant: TenantId, fresh: &[u8]) -> Vec<(u8, String)> {
        let Snapshot { files, erasures, .. } = self.snapshot(tenant).await;
        let mut below: BTreeMap<SpanKey, u64> = BTreeMap::new();
        for file in &files {
            for key in &file.superseded {
                let highest = below.entry(*key).or_default();
                *highest = file.version.max(*highest);
            }
        }
        below.extend(fresh.iter().map(|number| (key(*number), u64::MAX)));
        let mut seen = Vec::new();
        for file in &files {
            assert_eq!(self.rows(file).await.len() as u64, file.rows);
            let rows = self.rows_without(file, &erasures).await;
            let live = rows.into_iter().filter(|row| below.get(&row.key()).is_none_or(|below| *below <= file.version));
            seen.extend(live.map(|row| (row.span_id.as_bytes()[0] - 1, shown(&row.output.unwrap()))));
        }
        seen.sort();
        seen
    }

    /// The rows of a file, in its order, none left out.
    pub(crate) async fn rows(&self, file: &DataFile) -> Vec<Span> {
        self.rows_without(file, &[]).await
    }

    async fn rows_without(&self, file: &DataFile, erasures: &[Erasure]) -> Vec<Span> {
        let batches: Vec<_> =
            file::read(self.store.tenant(file.tenant), &file.path, None).await.unwrap().try_collect().await.unwrap();
        for batch in &batches {
            assert_eq!(row_keys(Table::Spans, batch).unwrap().len(), batch.num_rows());
        }
        let kept = |batch: &RecordBatch| {
            filter_record_batch(batch, &erased::kept(Table::Spans, batch, erasures).unwrap()).unwrap()
        };
        batches.iter().flat_map(|batch| decode(&kept(batch)).unwrap()).collect()
    }

    /// Every object there is.
    pub(crate) async fn stored(&self) -> BTreeSet<String> {
        self.objects.list(None).map_ok(|object| object.location.to_string()).try_collect().await.unwrap()
    }

    /// Every object the catalog knows of, live or replaced.
    pub(crate) async fn known(&self) -> BTreeSet<String> {
        let mut paths: BTreeSet<_> = self.replaced().await;
        for tenant in [TENANT, OTHER] {
            paths.extend(self.live(tenant).await.into_iter().map(|file| file.path));
        }
        paths
    }

    pub(crate) async fn replaced(&self) -> BTreeSet<String> {
        let end_of_time = Timestamp::from_nanos(i64::MAX);
        let removed = self.catalog.removable(end_of_time, Duration::ZERO, u32::MAX).await.unwrap();
        removed.into_iter().map(|file| file.path).collect()
    }
}

/// Merges at the slightest occasion.
pub(crate) fn eager() -> Config {
    Config { least_files: 2, ..Config::default() }
}

pub(crate) fn said(said: &[Said<'_>]) -> Vec<(u8, String)> {
    said.iter().map(|(number, says)| (*number, shown(says))).collect()
}

/// Long texts are random: their beginning and length tell them apart, and a failure stays readable.
pub(crate) fn shown(says: &str) -> String {
    if says.len() <= 40 { says.to_owned() } else { format!("{}… of {}", &says[..12], says.len()) }
}
