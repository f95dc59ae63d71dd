//! A machine whose disk forgets, with an ingest service on it; its catalog is elsewhere and forgets nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt as _;
use spanlake_access::{Config as GateConfig, Gate, MemoryLimiter};
use spanlake_catalog::{Catalog, Config as CatalogConfig, DataFile, Files as _};
use spanlake_dialects::otlp::{Encoding, Signal};
use spanlake_ingest::{Accepted, Config, Door, Error, Incoming, Parts, Service};
use spanlake_model::{
    AgentId, AppId, Caller, Clock, Fault, KeyId, Limits, Principal, Scope, ScopeSet, Score, Span, SpanId, SpanKey,
    SystemClock, SystemEntropy, Table, TenantId, TimeRange, Timestamp,
};
use spanlake_proto::auth::{Auth, KeyIdentity, PresentedKey, TenantInfo};
use spanlake_proto::ingest::{Fresh, FreshRequest, FreshSource as _};
use spanlake_store::disk::{Disk, LocalDisk};
use spanlake_store::rows::{decode, decode_scores, row_keys};
use spanlake_store::{Store, file, log};
use spanlake_testkit::otlp::{self, span_id, trace_id};
use spanlake_testkit::{SimulatedDisk, TemporaryFolder};

/// In the middle of a day, so that all spans are of one.
pub(crate) const NOON: Timestamp = Timestamp::from_secs(1_763_726_400);

pub(crate) struct Machine {
    pub(crate) disk: SimulatedDisk,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: Config,
    folder: TemporaryFolder,
    pub(crate) catalog: Catalog,
    _elsewhere: TemporaryFolder,
}

impl Machine {
    pub(crate) async fn new() -> Self {
        let (folder, elsewhere) = (TemporaryFolder::in_memory("machine"), TemporaryFolder::in_memory("catalog"));
        let url = format!("sqlite:{}", elsewhere.path().join("catalog.db").display());
        let catalog = Catalog::open(&CatalogConfig::new(url)).await.unwrap();
        Self {
            disk: SimulatedDisk::new(folder.path()),
            clock: Arc::new(SystemClock),
            config: Config {
                log: log::Config { segment_bytes_max: 2_000, ..log::Config::default() },
                ..Config::default()
            },
            folder,
            catalog,
            _elsewhere: elsewhere,
        }
    }

    /// Starts the service on what the disk holds.
    pub(crate) async fn start(&self) -> Result<Arc<Service>, Error> {
        loop {
            match Service::start(self.parts()?).await {
                // The process before has not noticed its end yet.
                Err(Error::Folder(log::FolderError::InUse(_))) => tokio::task::yield_now().await,
                outcome => return outcome,
            }
        }
    }

    fn parts(&self) -> Result<Parts, Error> {
        let limiter = Arc::new(MemoryLimiter::new(Arc::new(SystemClock), 10));
        Ok(Parts {
            gate: Gate::new(Arc::new(Everyone), limiter, Arc::new(SystemClock), GateConfig::default()),
            files: Arc::new(self.catalog.clone()),
            store: self.store(Arc::new(self.disk.clone()))?,
            disk: Arc::new(self.disk.clone()),
            log_folder: self.folder.path().join("data/log"),
            address: String::new(),
            clock: self.clock.clone(),
            entropy: Arc::new(SystemEntropy),
            config: self.config.clone(),
        })
    }

    fn store(&self, disk: Arc<dyn Disk>) -> Result<Store, Error> {
        let url = format!("file:{}", self.folder.path().join("data/store").display());
        let opened = Store::open(&spanlake_store::Config { url }, disk);
        opened.map_err(|error| Error::Start(std::io::Error::other(error)))
    }

    /// Where a data file lies.
    pub(crate) fn path(&self, file: &DataFile) -> PathBuf {
        self.folder.path().join("data/store").join(&file.path)
    }

    /// How often each span is seen: in data files, and in what the service has not flushed.
    pub(crate) async fn seen(&self, service: &Service, tenant: TenantId) -> BTreeMap<SpanId, usize> {
        let mut seen = BTreeMap::new();
        for span in self.rows(service, tenant).await {
            *seen.entry(span.span_id).or_default() += 1;
        }
        seen
    }

    /// Every row there is, in data files and in what the service has not flushed, in the order of their time.
    pub(crate) async fn rows(&self, service: &Service, tenant: TenantId) -> Vec<Span> {
        let range = TimeRange::new(NOON, NOON.plus(std::time::Duration::from_secs(3_600))).unwrap();
        let batches = self.batches(service, tenant, Table::Spans, range).await;
        let mut rows: Vec<_> = batches.iter().flat_map(|batch| decode(batch).unwrap()).collect();
        rows.sort_by_key(|row| (row.start, row.span_id));
        rows
    }

    /// Every score there is, likewise, in the order of their ids.
    pub(crate) async fn scores(&self, service: &Service, tenant: TenantId) -> Vec<Score> {
        let batches = self.batches(service, tenant, Table::Scores, TimeRange::all()).await;
        let mut scores: Vec<_> = batches.iter().flat_map(|batch| decode_scores(batch).unwrap()).collect();
        scores.sort_by(|one, other| one.id.cmp(&other.id));
        scores
    }

    async fn batches(&self, service: &Service, tenant: TenantId, table: Table, range: TimeRange) -> Vec<RecordBatch> {
        let snapshot = self.catalog.snapshot(tenant, table, range).await.unwrap();
        let mut rows = Vec::new();
        // Read past the simulation, which may stop at any step.
        let store = self.store(Arc::new(LocalDisk)).unwrap().tenant(tenant);
        let mut hidden: Vec<(SpanKey, u64)> = Vec::new();
        for file in &snapshot.files {
            hidden.extend(file.superseded.iter().map(|key| (*key, file.version)));
        }
        for writer in &snapshot.writers {
            let watermark = snapshot.watermarks.iter().find(|mark| mark.writer == writer.id);
            let request = FreshRequest {
                tenant,
                table,
                range,
                writer: writer.id,
                after_sequence: watermark.map_or(0, |mark| mark.sequence),
                reach_sequence: 0,
                known_version: snapshot.version,
            };
            match service.fresh("", request).await.unwrap() {
                Fresh::Rows(fresh) => {
                    hidden.extend(fresh.superseded.iter().map(|key| (*key, u64::MAX)));
                    rows.extend(fresh.batches);
                }
                Fresh::Stale => panic!("nobody flushes meanwhile"),
            }
        }
        for file in &snapshot.files {
            let batches: Vec<_> =
                file::read(store.clone(), &file.path, None).await.unwrap().try_collect().await.unwrap();
            let is_live = |key: SpanKey| !hidden.iter().any(|(of, below)| *of == key && *below > file.version);
            for batch in batches {
                let live: BooleanArray =
                    row_keys(table, &batch).unwrap().into_iter().map(|key| Some(is_live(key))).collect();
                rows.push(filter_record_batch(&batch, &live).unwrap());
            }
        }
        rows
    }
}

pub(crate) fn tenant(number: u8) -> TenantId {
    TenantId::from_bytes([number; 16])
}

/// Sends spans of these numbers.
pub(crate) async fn send(service: &Service, tenant: TenantId, spans: &[u64]) -> Result<Accepted, Fault> {
    let spans = spans.iter().map(|number| otlp::span(trace_id(1), span_id(*number), "kept", NOON)).collect();
    send_body(service, tenant, Signal::Traces, Encoding::Protobuf, otlp::protobuf(spans)).await
}

/// Sends any request.
pub(crate) async fn send_body(
    service: &Service,
    tenant: TenantId,
    signal: Signal,
    encoding: Encoding,
    body: Vec<u8>,
) -> Result<Accepted, Fault> {
    service.accept(&caller(tenant), Incoming { signal, encoding, door: Door::Open, body: Bytes::from(body) }).await
}

/// Whoever may do anything there.
pub(crate) fn caller(tenant: TenantId) -> Caller {
    let app = AppId::from_bytes([2; 16]);
    let principal = Principal::Key(KeyId::from_bytes([3; 16]));
    Caller::verified(tenant, app, None, Scope::ALL.into_iter().collect::<ScopeSet>(), principal)
}

/// The one agent there is.
pub(crate) const AGENT: AgentId = AgentId::from_bytes([4; 16]);

/// Knows every tenant.
struct Everyone;

#[async_trait]
impl Auth for Everyone {
    async fn verify_key(&self, _: &PresentedKey) -> Result<KeyIdentity, Fault> {
        unreachable!("callers are made here")
    }
    async fn jwks(&self) -> Result<String, Fault> {
        Ok(r#"{"keys":[]}"#.into())
    }
    async fn tenant(&self, _: TenantId) -> Result<TenantInfo, Fault> {
        Ok(TenantInfo { default_app: AppId::from_bytes([2; 16]), limits: Limits::default(), spans_left: None })
    }
    async fn has_app(&self, _: TenantId, _: AppId) -> Result<bool, Fault> {
        Ok(true)
    }
    async fn find_agent(&self, _: TenantId, agent: AgentId) -> Result<Option<AppId>, Fault> {
        Ok((agent == AGENT).then_some(AppId::from_bytes([2; 16])))
    }
    async fn member_role(&self, _: TenantId, _: spanlake_model::MemberId) -> Result<spanlake_model::Role, Fault> {
        Err(Fault::not_found("member"))
    }
    async fn changes(&self, _: Option<u64>) -> Result<spanlake_model::AccountChanges, Fault> {
        Ok(spanlake_model::AccountChanges { sequence: 0, changed: Some(Vec::new()) })
    }
}
