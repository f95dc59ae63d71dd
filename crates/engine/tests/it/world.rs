//! An engine over pieces in memory: files, writers and a store that a test fills by hand.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use spanlake_catalog::{
    Commit, DataFile, Error, Files, NewErasure, Removed, Replacement, Since, Snapshot, Watermark, Writer, WriterLease,
};
use spanlake_engine::{Config, Engine, TenantStores};
use spanlake_model::{
    AgentId, AppId, Caller, Clock, Code, Day, Erasure, ErasureId, ErasureScope, Fault, FileId, KeyId, Principal,
    Receipt, ScopeSet, Score, Span, SpanId, SpanKey, Table, TenantId, TimeRange, Timestamp, TraceId, WriterId,
};
use spanlake_proto::ingest::{Fresh, FreshRequest, FreshRows, FreshSource};
use spanlake_store::rows::{Origin, Row, ScoreRow, encode, encode_scores};

/// 2026-01-02T00:00:00Z, the midnight all tests begin at.
pub const MIDNIGHT: Timestamp = Timestamp::from_secs(1_767_312_000);
pub const WRITER: WriterId = WriterId::from_bytes([9; 16]);
const RIVAL: WriterId = WriterId::from_bytes([200; 16]);

pub fn tenant(byte: u8) -> TenantId {
    TenantId::from_bytes([byte; 16])
}

pub fn app(byte: u8) -> AppId {
    AppId::from_bytes([byte; 16])
}

pub fn caller(tenant_byte: u8, app_byte: u8) -> Caller {
    let key = Principal::Key(KeyId::from_bytes([1; 16]));
    Caller::verified(tenant(tenant_byte), app(app_byte), None, ScopeSet::all(), key)
}

pub fn trace(byte: u8) -> TraceId {
    TraceId::from_bytes([byte; 16]).unwrap()
}

pub fn id(byte: u8) -> SpanId {
    SpanId::from_bytes([byte; 8]).unwrap()
}

pub fn at(seconds: u64) -> Timestamp {
    MIDNIGHT.plus(Duration::from_secs(seconds))
}

/// A finished root span of app 1, one second long.
pub fn span(trace_byte: u8, span_byte: u8, seconds: u64) -> Span {
    let key = SpanKey { app_id: app(1), trace_id: trace(trace_byte), span_id: id(span_byte) };
    Span { name: format!("span {span_byte}"), end: Some(at(seconds + 1)), ..Span::new(key, at(seconds)) }
}

pub fn batch(tenant: TenantId, spans: &[Span], sequence: u64) -> arrow::array::RecordBatch {
    batch_of(Origin { tenant, writer: WRITER }, MIDNIGHT, spans, sequence)
}

fn batch_of(origin: Origin, received_at: Timestamp, spans: &[Span], sequence: u64) -> arrow::array::RecordBatch {
    let row = |span: &Span| Row { span: span.clone(), received_at, sequence };
    encode(origin, &spans.iter().map(row).collect::<Vec<_>>())
}

/// What a writer answers, oldest answer first; the last one stays.
pub type Answers = Vec<Result<Fresh, Fault>>;

#[derive(Default)]
pub struct World {
    store: Arc<InMemory>,
    snapshot: Mutex<Snapshot>,
    answers: Mutex<Answers>,
    rival: Mutex<Answers>,
    /// Of tenant 1, in the writer's memory.
    pub scores: Mutex<Vec<Score>>,
    /// Erasures that were asked for, and agents of whom schedules are to be told.
    #[allow(dead_code, reason = "read by query's tests, which share this file")]
    pub stored: Mutex<Vec<NewErasure>>,
    #[allow(dead_code, reason = "as above")]
    pub agents_told: Mutex<Vec<AgentId>>,
    pub asked: Mutex<Vec<FreshRequest>>,
    pub catalog_reads: Mutex<usize>,
}

impl World {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub fn engine(self: &Arc<Self>, config: Config) -> Engine {
        Engine::new(self.clone(), self.clone(), self.clone(), Arc::new(DayAfter), config).unwrap()
    }

    /// Puts a file of these spans, sorted as given, in the list of whoever asks.
    pub async fn file(&self, owner: TenantId, version: u64, spans: &[Span], superseded: &[SpanKey]) {
        // Any order will do that is the same for versions and for frames.
        let rows = batch(owner, spans, version);
        let properties =
            WriterProperties::builder().set_max_row_group_row_count(Some(4)).set_bloom_filter_enabled(true).build();
        let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).unwrap();
        writer.write(&rows).unwrap();
        let bytes = writer.into_inner().unwrap();
        let number = u8::try_from(self.snapshot.lock().unwrap().files.len()).unwrap();
        let path = format!("t/{owner}/spans/2026-01-02/{number}.parquet");
        let starts = || spans.iter().map(|span| span.start);
        let file = DataFile {
            id: FileId::from_bytes([number; 16]),
            tenant: owner,
            table: Table::Spans,
            day: Day::of(MIDNIGHT),
            path: path.clone(),
            rows: spans.len() as u64,
            bytes: bytes.len() as u64,
            min_start: starts().min().unwrap(),
            max_start: starts().max().unwrap(),
            version,
            superseded: superseded.to_vec(),
        };
        self.store.put(&Path::from(path), bytes.into()).await.unwrap();
        self.snapshot.lock().unwrap().files.push(file);
    }

    /// Has the list say that each file has so many rows.
    pub fn claim(&self, rows: u64) {
        self.snapshot.lock().unwrap().files.iter_mut().for_each(|file| file.rows = rows);
    }

    /// Takes a file from the store and leaves it in the list.
    pub async fn lose_file(&self, number: usize) {
        let path = Path::from(self.snapshot.lock().unwrap().files[number].path.clone());
        self.store.delete(&path).await.unwrap();
    }

    /// Hides what this erasure covers.
    pub fn erase(&self, scope: ErasureScope, bound: u64) {
        let id = ErasureId::from_bytes([1; 16]);
        let bounds = vec![Receipt { writer: WRITER, sequence: bound }];
        self.hide(Erasure { id, tenant: tenant(1), scope, bounds });
    }

    /// As it is.
    pub fn hide(&self, erasure: Erasure) {
        self.snapshot.lock().unwrap().erasures.push(erasure);
    }

    /// Has files of a writer that is no more.
    pub fn retired_writer(&self, writer: WriterId, sequence: u64) {
        self.snapshot.lock().unwrap().watermarks.push(Watermark { writer, sequence });
    }

    /// Has prices of its own.
    pub fn price(&self, prices: &str) {
        self.snapshot.lock().unwrap().own_prices = Some(prices.to_owned());
    }

    /// Keeps rows for so long.
    pub fn keep(&self, days: u32) {
        self.snapshot.lock().unwrap().kept_days = Some(days);
    }

    /// Registers the writer, whose log is in files up to `watermark`.
    pub fn writer(&self, watermark: u64, answers: Answers) {
        let mut snapshot = self.snapshot.lock().unwrap();
        snapshot.writers = vec![Writer { id: WRITER, address: "here".into() }];
        snapshot.watermarks = vec![Watermark { writer: WRITER, sequence: watermark }];
        *self.answers.lock().unwrap() = answers;
    }

    /// Registers a second writer, with rows received so many seconds after midnight.
    pub fn rival(&self, owner: TenantId, seconds: i64, spans: &[Span]) {
        let mut snapshot = self.snapshot.lock().unwrap();
        snapshot.writers.push(Writer { id: RIVAL, address: "there".into() });
        let batches = vec![batch_of(Origin { tenant: owner, writer: RIVAL }, after_midnight(seconds), spans, 1)];
        let rows = FreshRows { through_sequence: 9, superseded: vec![], batches };
        *self.rival.lock().unwrap() = vec![Ok(Fresh::Rows(rows))];
    }
}

impl World {
    fn fresh_scores(&self, request: &FreshRequest) -> FreshRows {
        let scores = self.scores.lock().unwrap();
        if request.writer != WRITER || request.tenant != tenant(1) || scores.is_empty() {
            return FreshRows::default();
        }
        let row = |score: &Score| ScoreRow { score: score.clone(), received_at: MIDNIGHT, sequence: 9 };
        let rows: Vec<_> = scores.iter().map(row).collect();
        let batches = vec![encode_scores(Origin { tenant: tenant(1), writer: WRITER }, &rows)];
        FreshRows { through_sequence: 9, batches, ..FreshRows::default() }
    }
}

fn after_midnight(seconds: i64) -> Timestamp {
    Timestamp::from_nanos(MIDNIGHT.as_nanos() + seconds * 1_000_000_000)
}

pub fn fresh(owner: TenantId, spans: &[Span], superseded: &[SpanKey]) -> Result<Fresh, Fault> {
    let batches = vec![batch(owner, spans, 9)];
    Ok(Fresh::Rows(FreshRows { through_sequence: 9, superseded: superseded.to_vec(), batches }))
}

/// Noon of the day after the one all tests play on.
#[derive(Debug)]
struct DayAfter;

impl Clock for DayAfter {
    fn now(&self) -> Timestamp {
        at(36 * 3_600)
    }
}

impl TenantStores for World {
    fn tenant(&self, _: TenantId) -> Arc<dyn ObjectStore> {
        self.store.clone()
    }
}

#[async_trait]
impl FreshSource for World {
    async fn fresh(&self, address: &str, request: FreshRequest) -> Result<Fresh, Fault> {
        if request.table == Table::Scores {
            return Ok(Fresh::Rows(self.fresh_scores(&request)));
        }
        if request.writer == RIVAL {
            assert_eq!(address, "there");
            return self.rival.lock().unwrap()[0].clone();
        }
        assert_eq!(address, "here");
        self.asked.lock().unwrap().push(request);
        let mut answers = self.answers.lock().unwrap();
        if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() }
    }
}

fn unused<T>() -> Result<T, Error> {
    Err(Error::Changed("this catalog only lists files"))
}

#[async_trait]
impl Files for World {
    async fn snapshots(&self, _: TenantId, of: &[(Table, TimeRange)]) -> Result<Vec<Snapshot>, Error> {
        *self.catalog_reads.lock().unwrap() += 1;
        let whole = self.snapshot.lock().unwrap().clone();
        let of_table = |(table, range): &(Table, TimeRange)| {
            let mut snapshot = whole.clone();
            let is_wanted = |file: &DataFile| *table == Table::Spans && range.touches(file.min_start, file.max_start);
            snapshot.files.retain(is_wanted);
            snapshot
        };
        Ok(of.iter().map(of_table).collect())
    }
    async fn register_writer(&self, _: WriterId, _: &str, _: Timestamp) -> Result<WriterLease, Error> {
        unused()
    }
    async fn retire_writer(&self, _: WriterLease) -> Result<(), Error> {
        unused()
    }
    async fn settled(&self, _: WriterLease, _: Timestamp) -> Result<(), Error> {
        unused()
    }
    async fn watermarks(&self, _: WriterId) -> Result<Vec<(TenantId, Table, u64)>, Error> {
        unused()
    }
    async fn commit(&self, _: Commit) -> Result<Option<u64>, Error> {
        unused()
    }
    async fn files_since(&self, _: TenantId, _: Table, _: u64) -> Result<Since, Error> {
        unused()
    }
    async fn day(&self, _: TenantId, _: Table, _: Day) -> Result<Vec<DataFile>, Error> {
        unused()
    }
    async fn replace(&self, _: Replacement) -> Result<(), Error> {
        unused()
    }
    async fn removable(&self, _: Timestamp, _: Duration, _: u32) -> Result<Vec<Removed>, Error> {
        unused()
    }
    async fn forget(&self, _: &[FileId]) -> Result<(), Error> {
        unused()
    }
}

pub fn away() -> Result<Fresh, Fault> {
    Err(Fault::new(Code::ServiceUnavailable, "gone"))
}
