//! A list of spans that can be scanned, one tenant with a key, and the routes before them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema};
use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, StatusCode};
use futures::{StreamExt, stream};
use serde_json::Value;
use spanlake_access::key::{self, Kind as KeyKind};
use spanlake_access::{Gate, MemoryLimiter};
use spanlake_catalog::{Act, Deed, Deeds, Recorder};
use spanlake_export::{Config, Service, routes};
use spanlake_model::{
    AgentId, AppId, Caller, Clock, Code, Cost, Entropy, Fault, KeyId, Kind, Limits, Money, Position, Scope, ScopeSet,
    Span, SpanFilter, SpanId, SpanKey, Status, TenantId, Timestamp, TraceId, Usage, WriterId,
};
use spanlake_proto::auth::{Auth, KeyIdentity, PresentedKey, TenantInfo};
use spanlake_proto::query::{SCORES, Scan, ScanRequest, SpanSource};
use spanlake_store::rows::{Origin, Row, encode};
use tokio::sync::Notify;
use tower::ServiceExt;

const TENANT: TenantId = TenantId::from_bytes([1; 16]);
pub(crate) const APP: AppId = AppId::from_bytes([2; 16]);

/// Stands at noon until moved.
pub(crate) struct Noon(Mutex<Timestamp>);

impl Noon {
    pub(crate) fn set(&self, time: &str) {
        *self.0.lock().unwrap() = at(time);
    }
}

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

pub(crate) fn at(time: &str) -> Timestamp {
    Timestamp::parse(time).unwrap()
}

struct Fixed;

impl Entropy for Fixed {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

/// A span; `number` makes its ids.
pub(crate) fn span(number: u128, start: &str) -> Span {
    let start = at(start);
    let key = SpanKey {
        app_id: APP,
        trace_id: TraceId::from_bytes(number.to_be_bytes()).unwrap(),
        span_id: SpanId::from_bytes([9; 8]).unwrap(),
    };
    Span {
        parent_span_id: SpanId::from_bytes([8; 8]),
        name: format!("chat {number}"),
        kind: Kind::new(Kind::LLM),
        status: Status::Ok,
        end: Some(Timestamp::from_nanos(start.as_nanos() + 812_500_000)),
        request_model: Some("gpt-4o".into()),
        model: Some("gpt-4o".into()),
        usage: Usage { input: Some(10), output: Some(4), ..Usage::default() },
        cost: Cost { total: Money::from_dollars(0.25), ..Cost::default() },
        session_id: Some("s".into()),
        user_id: Some("u".into()),
        tags: vec!["beta".into()],
        metadata: r#"{"env":"prod"}"#.into(),
        input: Some(r#"[{"role":"user","content":"hi"}]"#.into()),
        output: Some("hello".into()),
        ..Span::new(key, start)
    }
}

/// Scans a list as the query service would; breaks off after `breaks_after` rows, once it may.
#[derive(Default)]
pub(crate) struct List {
    pub(crate) spans: Vec<Span>,
    /// What scores say of each of them, as JSON.
    pub(crate) scores: Option<&'static str>,
    pub(crate) breaks_after: Option<usize>,
    /// Ends one row early, as if that were all.
    pub(crate) loses_one: bool,
    /// Told when the break may come.
    pub(crate) cut: Arc<Notify>,
    /// What was asked, in order.
    pub(crate) asked: Mutex<Vec<ScanRequest>>,
}

fn matches(filter: &SpanFilter, span: &Span) -> bool {
    let same = |wanted: &Option<String>, is: &Option<String>| wanted.is_none() || wanted == is;
    filter.name_contains.as_ref().is_none_or(|part| span.name.contains(part))
        && filter.status.is_none_or(|status| span.status == status)
        && filter.coarse_type.is_none_or(|coarse| span.kind.coarse() == coarse)
        && filter.tag.as_ref().is_none_or(|tag| span.tags.contains(tag))
        && filter.metadata.as_ref().is_none_or(|(key, value)| span.metadata.contains(&format!("\"{key}\":\"{value}\"")))
        && same(&filter.model, &span.model)
        && same(&filter.user_id, &span.user_id)
}

fn position(span: &Span) -> Position {
    Position { start: span.start, trace_id: span.trace_id, span_id: span.span_id }
}

fn batch(spans: &[Span], scores: Option<&str>, without_io: bool) -> RecordBatch {
    let row = |span: &Span| {
        let mut span = span.clone();
        if without_io {
            (span.input, span.output) = (None, None);
        }
        Row { span, received_at: Timestamp::from_secs(0), sequence: 1 }
    };
    let rows: Vec<_> = spans.iter().map(row).collect();
    let spans = encode(Origin { tenant: TENANT, writer: WriterId::from_bytes([5; 16]) }, &rows);
    let scores: ArrayRef = Arc::new(StringViewArray::from_iter(vec![scores; rows.len()]));
    let mut fields = spans.schema().fields().to_vec();
    fields.push(Arc::new(Field::new(SCORES, DataType::Utf8View, true)));
    let columns = spans.columns().iter().cloned().chain([scores]).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

#[async_trait]
impl SpanSource for List {
    async fn scan(&self, caller: &Caller, request: ScanRequest) -> Result<Scan, Fault> {
        assert_eq!((caller.tenant(), caller.app()), (TENANT, APP));
        self.asked.lock().unwrap().push(request.clone());
        let mut found: Vec<_> = self.spans.iter().filter(|span| request.range.contains(span.start)).cloned().collect();
        found.retain(|span| matches(&request.filter, span));
        let total = found.len() as u64;
        found.sort_by_key(|span| std::cmp::Reverse(position(span)));
        found.retain(|span| request.after.is_none_or(|after| position(span) < after));
        found.truncate(request.limit);
        let (rows, last) = (found.len() as u64, found.last().map(position));
        found.truncate(self.breaks_after.unwrap_or(usize::MAX));
        if self.loses_one {
            found.pop();
        }
        let batches: Vec<_> =
            found.chunks(700).map(|spans| Ok(batch(spans, self.scores, request.without_io))).collect();
        let cut = self.breaks_after.map(|_| Arc::clone(&self.cut));
        let end = stream::iter(cut).then(|cut| async move {
            cut.notified().await;
            Err(Fault::new(Code::Timeout, "The query ran out of time."))
        });
        Ok(Scan { total, rows, last, batches: stream::iter(batches).chain(end).boxed() })
    }
}

/// Knows one tenant, and two keys: `full` may do everything, `reader` may not export.
pub(crate) struct Book {
    pub(crate) full: String,
    pub(crate) reader: String,
}

#[async_trait]
impl Auth for Book {
    async fn verify_key(&self, key: &PresentedKey) -> Result<KeyIdentity, Fault> {
        let (id, scopes) = match key.expose() {
            text if text == self.full => (1, ScopeSet::all()),
            text if text == self.reader => (2, [Scope::Read].into_iter().collect()),
            _ => return Err(spanlake_access::gate::refused_key()),
        };
        let key = KeyId::from_bytes([id; 16]);
        Ok(KeyIdentity { key, tenant: TENANT, app: None, agent: None, scopes, expires_at: None })
    }
    async fn jwks(&self) -> Result<String, Fault> {
        Ok(r#"{"keys":[]}"#.to_owned())
    }
    async fn tenant(&self, _tenant: TenantId) -> Result<TenantInfo, Fault> {
        Ok(TenantInfo { default_app: APP, limits: Limits::default(), spans_left: None })
    }
    async fn has_app(&self, tenant: TenantId, app: AppId) -> Result<bool, Fault> {
        Ok((tenant, app) == (TENANT, APP))
    }
    async fn find_agent(&self, _tenant: TenantId, _agent: AgentId) -> Result<Option<AppId>, Fault> {
        Ok(None)
    }
    async fn member_role(&self, _: TenantId, _: spanlake_model::MemberId) -> Result<spanlake_model::Role, Fault> {
        Err(Fault::not_found("member"))
    }
    async fn changes(&self, _: Option<u64>) -> Result<spanlake_model::AccountChanges, Fault> {
        Ok(spanlake_model::AccountChanges { sequence: 0, changed: Some(Vec::new()) })
    }
}

/// What is on record, as long as anything can be.
#[derive(Default)]
pub(crate) struct Record {
    pub(crate) deeds: Mutex<Vec<Deed>>,
    pub(crate) is_away: AtomicBool,
}

#[async_trait]
impl Deeds for Record {
    async fn put_on_record(&self, _: TenantId, _: Act, deed: Deed) -> Result<(), spanlake_catalog::Error> {
        if self.is_away.load(Ordering::SeqCst) {
            return Err(spanlake_catalog::Error::Changed("nothing can be recorded"));
        }
        self.deeds.lock().unwrap().push(deed);
        Ok(())
    }
}

pub(crate) struct World {
    pub(crate) router: Router,
    pub(crate) list: Arc<List>,
    pub(crate) record: Arc<Record>,
    pub(crate) clock: Arc<Noon>,
    pub(crate) key: String,
    pub(crate) reader: String,
}

pub(crate) fn world(list: List) -> World {
    let key = |id| key::generate(KeyKind::Workspace, KeyId::from_bytes([id; 16]), &Fixed);
    let (key, reader) = (key(1), key(2));
    let list = Arc::new(list);
    let clock = Arc::new(Noon(Mutex::new(at("2026-04-10T12:00:00Z"))));
    let auth = Arc::new(Book { full: key.clone(), reader: reader.clone() });
    let limiter = Arc::new(MemoryLimiter::new(clock.clone(), 10));
    let gate = Gate::new(auth, limiter, clock.clone(), spanlake_access::Config::default());
    let service = Arc::new(Service::new(list.clone(), clock.clone(), Config::default()));
    let record = Arc::new(Record::default());
    let recorder = Recorder { deeds: record.clone(), clock: clock.clone(), proxies: 0 };
    let (router, _) = routes(service, gate, recorder).split();
    World { router, list, record, clock, key, reader }
}

pub(crate) struct Page {
    pub(crate) rows: Vec<Value>,
    pub(crate) meta: Value,
}

impl Page {
    pub(crate) fn trace_ids(&self) -> Vec<u128> {
        let id = |row: &Value| u128::from_str_radix(row["trace_id"].as_str().unwrap(), 16).unwrap();
        self.rows.iter().map(id).collect()
    }
    pub(crate) fn cursor(&self) -> Option<&str> {
        self.meta["next_cursor"].as_str()
    }
}

impl World {
    pub(crate) async fn send(&self, query: &str, key: Option<&str>) -> Response<Body> {
        let mut request = Request::get(format!("/v1/traces/export{query}"));
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    pub(crate) async fn text(&self, query: &str) -> String {
        let response = self.send(query, Some(&self.key)).await;
        let status = response.status();
        assert_eq!(response.headers()["content-type"], "application/x-ndjson", "{status}");
        String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap()
    }

    pub(crate) async fn page(&self, query: &str) -> Page {
        let text = self.text(query).await;
        assert!(text.ends_with('\n'));
        let mut rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let meta = rows.pop().unwrap()["_export_meta"].take();
        Page { rows, meta }
    }

    /// Status and error of a request that is refused.
    pub(crate) async fn refusal(&self, query: &str, key: Option<&str>) -> (StatusCode, Value) {
        let response = self.send(query, key).await;
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice::<Value>(&body).unwrap()["error"].take())
    }
}
