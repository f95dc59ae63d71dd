//! What a tenant sees, on every way there is to look.

use std::collections::BTreeMap;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::Int64Type;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use futures::TryStreamExt;
use serde_json::Value;
use spanlake_engine::SnapshotRequest;
use spanlake_model::{Clock as _, Fault, Span, SpanFilter, SpanId, Table, TimeRange, Timestamp, TraceId};
use spanlake_proto::query::{ScanRequest, SpanSource};
use tower::ServiceExt as _;

use super::truth::{Number, Version, canary};
use crate::world::World;

/// The rows seen.
pub(crate) type Seen = BTreeMap<Number, Version>;

/// A trace, summed up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) spans: i64,
    pub(crate) tokens: i64,
    pub(crate) start: String,
}

/// One tenant's eyes.
pub(crate) struct Reader<'w> {
    pub(crate) world: &'w World,
    pub(crate) holder: usize,
}

/// Longer than any story, and no longer than a list takes.
const RANGE: u64 = 390 * 86_400;

impl Reader<'_> {
    /// All rows, in as few columns as will do: what every read is made of.
    ///
    /// # Errors
    /// When the query refuses.
    pub(crate) async fn rows(&self) -> Result<Seen, Fault> {
        let request = SnapshotRequest { table: Table::Spans, range: TimeRange::all(), after: None };
        let session = self.world.engine.snapshot(&self.world.holders[self.holder].caller, &request).await?;
        let columns = ["trace_id", "span_id", "name", "end_time", "input_tokens"];
        let frame = session.frame()?.select_columns(&columns).unwrap();
        let batches = session.collect(frame).await?;
        Ok(once(batches.iter().flat_map(narrow), "the table"))
    }

    /// All rows, in full, as an export reads them.
    ///
    /// # Errors
    /// When the query refuses.
    pub(crate) async fn export(&self) -> Result<Seen, Fault> {
        let filter = SpanFilter::default();
        let request = ScanRequest {
            range: TimeRange::all(),
            filter,
            after: None,
            limit: 1_000,
            without_io: false,
            receipt: None,
        };
        let scan = self.world.query.scan(&self.world.holders[self.holder].caller, request).await?;
        let batches: Vec<_> = scan.batches.try_collect().await?;
        let spans: Vec<Span> = batches.iter().flat_map(|batch| spanlake_store::rows::decode(batch).unwrap()).collect();
        assert_eq!(scan.total, spans.len() as u64, "the export counts what it brings");
        let rows = spans.into_iter().map(|span| {
            assert_eq!(span.output.as_ref(), Some(&span.name), "a row is of one version: {span:?}");
            let number = number(&span.span_id.to_string(), &span.trace_id.to_string());
            assert_eq!(span.start, number.start());
            (number, Version { says: span.name, is_finished: span.end.is_some(), tokens: span.usage.input.unwrap() })
        });
        Ok(once(rows, "the export"))
    }

    /// The list of spans that start in a range; of all of them when there is none.
    pub(crate) async fn spans(&self, range: Option<(Timestamp, Timestamp)>) -> Seen {
        let (from, to) = range.unwrap_or_else(|| self.all());
        let list = self.get(&format!("/v1/spans?limit=1000&start_date={from}&end_date={to}")).await;
        rows(&list["data"], "the list of spans")
    }

    /// The list of traces: what each sums up.
    pub(crate) async fn traces(&self) -> BTreeMap<String, Sum> {
        let (from, to) = self.all();
        let list = self.get(&format!("/v1/traces?limit=1000&start_date={from}&end_date={to}")).await;
        let sum = |row: &Value| Sum {
            spans: row["span_count"].as_i64().unwrap(),
            tokens: row["input_tokens"].as_i64().unwrap(),
            start: row["start"].as_str().unwrap().to_owned(),
        };
        once(list["data"].as_array().unwrap().iter().map(|row| (text(row, "id"), sum(row))), "the list of traces")
    }

    /// The spans of one trace, looked up without a time.
    pub(crate) async fn trace(&self, of: Number) -> Seen {
        match self.try_get(&format!("/v1/traces/{}?fields=io", of.trace())).await {
            (StatusCode::NOT_FOUND, _) => Seen::new(),
            (status, answer) => {
                assert_eq!(status, StatusCode::OK, "{answer}");
                rows(&answer["data"]["spans"], "the trace")
            }
        }
    }

    fn all(&self) -> (Timestamp, Timestamp) {
        let now = self.world.clock.now();
        (now.minus(std::time::Duration::from_secs(RANGE)), now.plus(std::time::Duration::from_secs(3_600)))
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.try_get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    async fn try_get(&self, path: &str) -> (StatusCode, Value) {
        self.ask(Method::GET, path, Body::empty()).await
    }

    /// Asks as the tenant; whatever is answered, nothing of the other tenant is in it.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Body) -> (StatusCode, Value) {
        let key = &self.world.holders[self.holder].key;
        let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {key}"));
        let request = request.header("content-type", "application/json").body(body).unwrap();
        let answer = self.world.routes.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        let bytes = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(!text.contains(canary(1 - self.holder)), "{path} shows another tenant's: {text}");
        (status, serde_json::from_str(&text).unwrap_or_default())
    }
}

/// The rows of a batch of [`Reader::rows`].
fn narrow(batch: &RecordBatch) -> Vec<(Number, Version)> {
    let [traces, spans] = [0, 1].map(|column| batch.column(column).as_fixed_size_binary());
    let (names, ends) = (batch.column(2).as_string_view(), batch.column(3));
    let tokens = batch.column(4).as_primitive::<Int64Type>();
    let row = |row: usize| {
        let trace = TraceId::from_slice(traces.value(row)).unwrap();
        let span = SpanId::from_slice(spans.value(row)).unwrap();
        let is_finished = ends.is_valid(row);
        let version = Version { says: names.value(row).to_owned(), is_finished, tokens: tokens.value(row) };
        (number(&span.to_string(), &trace.to_string()), version)
    };
    (0..batch.num_rows()).map(row).collect()
}

fn rows(list: &Value, what: &str) -> Seen {
    let row = |row: &Value| {
        let number = number(&text(row, "id"), &text(row, "trace_id"));
        assert_eq!(text(row, "start"), number.start().to_string());
        let tokens = row["input_tokens"].as_i64().unwrap();
        (number, Version { says: text(row, "name"), is_finished: !row["end"].is_null(), tokens })
    };
    once(list.as_array().unwrap().iter().map(row), what)
}

/// A key that is there twice is the very thing that must not be.
fn once<K: Ord + std::fmt::Debug, V: std::fmt::Debug>(
    rows: impl Iterator<Item = (K, V)>,
    what: &str,
) -> BTreeMap<K, V> {
    let mut seen = BTreeMap::new();
    for (key, row) in rows {
        let shown = format!("{key:?}: {row:?}");
        if let Some(other) = seen.insert(key, row) {
            panic!("{what} shows twice {shown} and {other:?}");
        }
    }
    seen
}

fn text(row: &Value, field: &str) -> String {
    row[field].as_str().unwrap_or_else(|| panic!("no {field} in {row}")).to_owned()
}

fn number(span: &str, trace: &str) -> Number {
    let number = Number(u8::try_from(u64::from_str_radix(span, 16).unwrap() - 1).unwrap());
    assert_eq!(number.trace().to_string(), trace);
    number
}

/// While versions are on their way, each of their spans is seen as it was or as it will be, and all others as they are.
pub(crate) fn is_old_or_new(seen: &Seen, before: &Seen, to_come: &[(Number, Version)]) {
    for (number, version) in before {
        let now = seen.get(number).unwrap_or_else(|| panic!("{number:?} has gone meanwhile"));
        let is_new = to_come.iter().any(|(of, new)| of == number && new == now);
        assert!(now == version || is_new, "{number:?} is {now:?}: neither {version:?} nor among {to_come:?}");
    }
    for (number, now) in seen.iter().filter(|(number, _)| !before.contains_key(number)) {
        let is_new = to_come.iter().any(|(of, new)| of == number && new == now);
        assert!(is_new, "{number:?} came from nowhere: {now:?}");
    }
}
