//! What query answers, as plainly as it can be said: versions of spans in the order they came in, through two writers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema};
use async_trait::async_trait;
use futures::{StreamExt, stream};
use spanlake_model::{Caller, Code, Day, Fault, Receipt, Span, SpanKey, Timestamp, Trace, TraceId, WriterId};
use spanlake_proto::query::{FITS, RowSource, Rows, RowsOf, RowsRequest, SCORES};
use spanlake_store::rows::{Origin, Row, encode, encode_traces};

/// A span, and its place in a writer's log.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) span: Span,
    pub(crate) place: Receipt,
}

/// What is stored.
#[derive(Default)]
pub(crate) struct Model {
    visible: Mutex<BTreeMap<SpanKey, Version>>,
    through: Mutex<BTreeMap<WriterId, u64>>,
    /// What is stored of traces, each above every place; a window tells all of them again.
    pub(crate) traces: Mutex<Vec<Trace>>,
    /// What was asked last.
    pub(crate) asked: Mutex<Option<RowsRequest>>,
    /// Rows that the next stream brings before it breaks.
    pub(crate) breaks_after: Mutex<Option<usize>>,
    /// Whether the next stream ends a row early, as if that were all.
    pub(crate) loses_one: Mutex<bool>,
    /// With what the next question is refused: at once, or in the stream.
    pub(crate) refuses: Mutex<Option<(bool, Fault)>>,
}

impl Model {
    pub(crate) fn write(&self, writer: u8, span: Span) {
        let writer = WriterId::from_bytes([writer; 16]);
        let mut through = self.through.lock().unwrap();
        let sequence = through.entry(writer).or_default();
        *sequence += 1;
        let place = Receipt { writer, sequence: *sequence };
        self.visible.lock().unwrap().insert(span.key(), Version { span, place });
    }

    /// What an erasure that is asked for now covers: of one trace, or everything.
    pub(crate) fn covered(&self, trace: Option<TraceId>) -> Vec<Version> {
        let is_meant = |version: &&Version| trace.is_none_or(|trace| version.span.trace_id == trace);
        self.visible.lock().unwrap().values().filter(is_meant).cloned().collect()
    }

    /// Hides what an erasure covers; what has come since stays.
    pub(crate) fn erase(&self, covered: &[Version]) {
        let is_covered = |version: &Version| covered.iter().any(|erased| erased.place == version.place);
        self.visible.lock().unwrap().retain(|_, version| !is_covered(version));
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        self.visible.lock().unwrap().values().map(|version| version.span.clone()).collect()
    }

    fn batch(caller: &Caller, versions: &[Version]) -> RecordBatch {
        let one = |version: &Version| {
            let origin = Origin { tenant: caller.tenant(), writer: version.place.writer };
            let received_at = Timestamp::from_secs(0);
            encode(origin, &[Row { span: version.span.clone(), received_at, sequence: version.place.sequence }])
        };
        let batches: Vec<_> = versions.iter().map(one).collect();
        arrow::compute::concat_batches(&spanlake_store::schema::spans(), &batches).unwrap()
    }

    /// Traces as they are, by their day.
    fn traces(&self) -> Rows {
        let traces = self.traces.lock().unwrap().clone();
        let mut days: BTreeMap<Day, Vec<Trace>> = BTreeMap::new();
        for trace in &traces {
            days.entry(Day::of(trace.start)).or_default().push(trace.clone());
        }
        let batches: Vec<_> = days.values().map(|traces| Ok(marked(&encode_traces(traces), true))).collect();
        let place = |byte, sequence| vec![Receipt { writer: WriterId::from_bytes([byte; 16]), sequence }];
        Rows {
            total: traces.len() as u64,
            through: place(1, 5),
            scores_through: place(1, 3),
            taken_at: Timestamp::from_secs(7),
            batches: stream::iter(batches).boxed(),
        }
    }
}

/// The batch with this column behind its own.
fn with(batch: &RecordBatch, field: Field, column: ArrayRef) -> RecordBatch {
    let fields = batch.schema().fields().iter().cloned().chain([Arc::new(field)]).collect::<Vec<_>>();
    let columns = batch.columns().iter().cloned().chain([column]).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn marked(batch: &RecordBatch, fit: bool) -> RecordBatch {
    let fits = Arc::new(BooleanArray::from(vec![fit; batch.num_rows()]));
    with(batch, Field::new(FITS, DataType::Boolean, false), fits)
}

/// As if every other row had a score.
fn scored(batch: &RecordBatch) -> RecordBatch {
    let scores = (0..batch.num_rows()).map(|row| (row % 2 == 0).then_some(r#"{"quality":0.5}"#));
    with(batch, Field::new(SCORES, DataType::Utf8View, true), Arc::new(StringViewArray::from_iter(scores)))
}

/// The one filter this model knows: `kind = llm`.
pub(crate) fn is_wanted(request_has_filter: bool, span: &Span) -> bool {
    !request_has_filter || span.kind.as_str() == "llm"
}

#[async_trait]
impl RowSource for Model {
    async fn rows(&self, caller: &Caller, request: RowsRequest) -> Result<Rows, Fault> {
        *self.asked.lock().unwrap() = Some(request.clone());
        if request.of == RowsOf::Traces {
            return Ok(self.traces());
        }
        assert_eq!(request.of, RowsOf::Spans);
        let refusal = self.refuses.lock().unwrap().take();
        if let Some((false, fault)) = refusal {
            return Err(fault);
        }
        let has_filter = !request.filter.filter.is_empty();
        let fits =
            |version: &Version| is_wanted(has_filter, &version.span) && request.range.contains(version.span.start);
        let changed = |version: &Version| {
            let Some(window) = &request.window else { return true };
            let before = window.after.iter().find(|receipt| receipt.writer == version.place.writer);
            before.is_none_or(|before| version.place.sequence > before.sequence)
                || window.again.contains(&version.span.trace_id)
        };
        let found: Vec<Version> = self.visible.lock().unwrap().values().filter(|it| changed(it)).cloned().collect();
        let mut parts: BTreeMap<(Day, bool), Vec<Version>> = BTreeMap::new();
        for version in found {
            let fit = fits(&version);
            if fit || request.window.is_some() {
                parts.entry((Day::of(version.span.start), !fit)).or_default().push(version);
            }
        }
        let total = parts.values().map(|versions| versions.len() as u64).sum();
        let mut batches: Vec<Result<RecordBatch, Fault>> = Vec::new();
        for ((_, unfit), versions) in &parts {
            let shown = |some: &[Version]| match Self::batch(caller, some) {
                batch if request.with_scores => scored(&batch),
                batch => batch,
            };
            batches.extend(versions.chunks(3).map(|some| Ok(marked(&shown(some), !unfit))));
        }
        if let Some(after) = self.breaks_after.lock().unwrap().take() {
            batches.truncate(after);
            batches.push(Err(Fault::new(Code::Timeout, "The query ran out of time.")));
        }
        if std::mem::take(&mut *self.loses_one.lock().unwrap()) {
            batches.pop();
        }
        if let Some((true, fault)) = refusal {
            batches.push(Err(fault));
        }
        let through = self.through.lock().unwrap();
        let through =
            through.iter().map(|(writer, sequence)| Receipt { writer: *writer, sequence: *sequence }).collect();
        let taken_at = Timestamp::from_secs(7);
        Ok(Rows { total, through, scores_through: Vec::new(), taken_at, batches: stream::iter(batches).boxed() })
    }
}
