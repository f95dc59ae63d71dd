//! What query answers, as plainly as it can be said: versions of spans in the order they came in, through two writers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use async_trait::async_trait;
use futures::{StreamExt, stream};
use spanlake_model::{Caller, Code, Day, Fault, Receipt, Span, SpanKey, Timestamp, TraceId, WriterId};
use spanlake_proto::query::{FITS, RowSource, Rows, RowsOf, RowsRequest};
use spanlake_store::rows::{Origin, Row, encode};

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

    fn batch(caller: &Caller, versions: &[Version], fit: bool) -> RecordBatch {
        let one = |version: &Version| {
            let origin = Origin { tenant: caller.tenant(), writer: version.place.writer };
            let received_at = Timestamp::from_secs(0);
            encode(origin, &[Row { span: version.span.clone(), received_at, sequence: version.place.sequence }])
        };
        let batches: Vec<_> = versions.iter().map(one).collect();
        let batch = arrow::compute::concat_batches(&spanlake_store::schema::spans(), &batches).unwrap();
        let mut fields: Vec<_> = batch.schema().fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new(FITS, DataType::Boolean, false)));
        let mut columns = batch.columns().to_vec();
        let fits: ArrayRef = Arc::new(BooleanArray::from(vec![fit; batch.num_rows()]));
        columns.push(fits);
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    }
}

/// The one filter this model knows: `kind = llm`.
pub(crate) fn is_wanted(request_has_filter: bool, span: &Span) -> bool {
    !request_has_filter || span.kind.as_str() == "llm"
}

#[async_trait]
impl RowSource for Model {
    async fn rows(&self, caller: &Caller, request: RowsRequest) -> Result<Rows, Fault> {
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
            batches.extend(versions.chunks(3).map(|some| Ok(Self::batch(caller, some, !unfit))));
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
        Ok(Rows { total, through, taken_at: Timestamp::from_secs(7), batches: stream::iter(batches).boxed() })
    }
}
