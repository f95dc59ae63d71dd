//! Rows of spans as text is made of them, read where they lie: nothing that no text has is looked at, and nothing is copied.

use arrow::array::{
    Array, AsArray, Decimal128Array, FixedSizeBinaryArray, Int8Array, Int16Array, Int64Array, ListArray, RecordBatch,
    StringViewArray, TimestampMicrosecondArray,
};
use spanlake_model::{AppId, Kind, Money, SpanId, Status, Timestamp, TraceId};
use spanlake_store::rows::{DecodeError, ids, instant, numbers, texts};

/// What text says of a span.
#[derive(Clone, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) app_id: AppId,
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    pub(crate) parent_span_id: Option<SpanId>,
    pub(crate) name: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) status: Status,
    pub(crate) model: Option<&'a str>,
    pub(crate) start: Timestamp,
    /// Null while the span runs.
    pub(crate) latency_ms: Option<f64>,
    pub(crate) input: Option<&'a str>,
    pub(crate) output: Option<&'a str>,
    /// A JSON object.
    pub(crate) metadata: &'a str,
    pub(crate) user_id: Option<&'a str>,
    pub(crate) session_id: Option<&'a str>,
    pub(crate) tags: Vec<&'a str>,
    pub(crate) input_tokens: Option<i64>,
    pub(crate) output_tokens: Option<i64>,
    pub(crate) cost: Option<Money>,
}

impl Row<'_> {
    /// `GENERATION`, `SPAN` or `EVENT`.
    pub(crate) fn coarse_type(&self) -> &'static str {
        Kind::new(self.kind).coarse().as_str()
    }
}

/// The columns of a batch of spans, looked up once.
pub(crate) struct Rows<'a> {
    count: usize,
    app_id: &'a FixedSizeBinaryArray,
    trace_id: &'a FixedSizeBinaryArray,
    span_id: &'a FixedSizeBinaryArray,
    parent_span_id: &'a FixedSizeBinaryArray,
    name: &'a StringViewArray,
    kind: &'a StringViewArray,
    status: &'a Int8Array,
    model: &'a StringViewArray,
    start_time: &'a TimestampMicrosecondArray,
    start_nanos: &'a Int16Array,
    duration_ns: &'a Int64Array,
    input: &'a StringViewArray,
    output: &'a StringViewArray,
    metadata: &'a StringViewArray,
    user_id: &'a StringViewArray,
    session_id: &'a StringViewArray,
    tags: &'a ListArray,
    tag: &'a StringViewArray,
    input_tokens: &'a Int64Array,
    output_tokens: &'a Int64Array,
    cost: &'a Decimal128Array,
}

impl<'a> Rows<'a> {
    /// # Errors
    /// When a column is missing, or not what spans have.
    pub(crate) fn of(batch: &'a RecordBatch) -> Result<Self, DecodeError> {
        let tags = batch.column_by_name("tags").and_then(|tags| tags.as_list_opt()).ok_or_else(|| strange("tags"))?;
        Ok(Self {
            count: batch.num_rows(),
            app_id: ids(batch, "app_id")?,
            trace_id: ids(batch, "trace_id")?,
            span_id: ids(batch, "span_id")?,
            parent_span_id: ids(batch, "parent_span_id")?,
            name: texts(batch, "name")?,
            kind: texts(batch, "kind")?,
            status: numbers(batch, "status")?,
            model: texts(batch, "model")?,
            start_time: numbers(batch, "start_time")?,
            start_nanos: numbers(batch, "start_nanos")?,
            duration_ns: numbers(batch, "duration_ns")?,
            input: texts(batch, "input")?,
            output: texts(batch, "output")?,
            metadata: texts(batch, "metadata")?,
            user_id: texts(batch, "user_id")?,
            session_id: texts(batch, "session_id")?,
            tag: tags.values().as_string_view_opt().ok_or_else(|| strange("tags"))?,
            tags,
            input_tokens: numbers(batch, "input_tokens")?,
            output_tokens: numbers(batch, "output_tokens")?,
            cost: numbers(batch, "cost")?,
        })
    }

    /// In their order.
    ///
    /// # Errors
    /// When an id is none.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Result<Row<'a>, DecodeError>> {
        (0..self.count).map(|row| self.row(row))
    }

    fn row(&self, row: usize) -> Result<Row<'a>, DecodeError> {
        let span_id = |ids: &FixedSizeBinaryArray| SpanId::from_slice(ids.value(row)).map_err(|_| strange("span_id"));
        Ok(Row {
            app_id: self.app_id.value(row).try_into().map(AppId::from_bytes).map_err(|_| strange("app_id"))?,
            trace_id: TraceId::from_slice(self.trace_id.value(row)).map_err(|_| strange("trace_id"))?,
            span_id: span_id(self.span_id)?,
            parent_span_id: self.parent_span_id.is_valid(row).then(|| span_id(self.parent_span_id)).transpose()?,
            name: self.name.value(row),
            kind: self.kind.value(row),
            status: Status::from_i8(self.status.value(row)),
            model: text(self.model, row),
            start: instant(self.start_time.value(row), self.start_nanos.value(row)),
            latency_ms: number(self.duration_ns, row).map(|nanos| nanos.max(0) as f64 / 1e6),
            input: text(self.input, row),
            output: text(self.output, row),
            metadata: self.metadata.value(row),
            user_id: text(self.user_id, row),
            session_id: text(self.session_id, row),
            tags: self.tags(row),
            input_tokens: number(self.input_tokens, row),
            output_tokens: number(self.output_tokens, row),
            cost: self.cost.is_valid(row).then(|| Money::from_pico(self.cost.value(row))),
        })
    }

    fn tags(&self, row: usize) -> Vec<&'a str> {
        let place = |at: i32| usize::try_from(at).unwrap_or_default();
        let offsets = self.tags.value_offsets();
        (place(offsets[row])..place(offsets[row + 1])).map(|tag| self.tag.value(tag)).collect()
    }
}

fn strange(column: &'static str) -> DecodeError {
    DecodeError::new(column, "it is not what spans have")
}

fn text(texts: &StringViewArray, row: usize) -> Option<&str> {
    texts.is_valid(row).then(|| texts.value(row))
}

fn number(numbers: &Int64Array, row: usize) -> Option<i64> {
    numbers.is_valid(row).then(|| numbers.value(row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use spanlake_model::{Cost, Span, SpanKey, TenantId, Usage, WriterId};
    use spanlake_store::rows::{Origin, Row as Stored, encode};

    fn batch(spans: &[Span]) -> RecordBatch {
        let origin = Origin { tenant: TenantId::from_bytes([1; 16]), writer: WriterId::from_bytes([2; 16]) };
        let received_at = Timestamp::from_secs(9);
        let rows: Vec<_> = spans.iter().map(|span| Stored { span: span.clone(), received_at, sequence: 1 }).collect();
        encode(origin, &rows)
    }

    #[test]
    fn a_row_says_what_its_span_says_also_in_a_slice() {
        let key = |byte| SpanKey {
            app_id: AppId::from_bytes([1; 16]),
            trace_id: TraceId::from_bytes([2; 16]).unwrap(),
            span_id: SpanId::from_bytes([byte; 8]).unwrap(),
        };
        let start = Timestamp::from_nanos(1_763_700_000_123_456_789);
        let full = Span {
            parent_span_id: SpanId::from_bytes([7; 8]),
            name: "chat".into(),
            kind: Kind::new(Kind::LLM),
            status: Status::Error,
            model: Some("gpt-4o".into()),
            end: Some(start.plus(std::time::Duration::from_micros(1_500))),
            input: Some("hi".into()),
            output: Some("[]".into()),
            metadata: r#"{"k":"v"}"#.into(),
            user_id: Some("u".into()),
            session_id: Some("s".into()),
            tags: vec!["a".into(), "b".into()],
            usage: Usage { input: Some(3), output: Some(4), ..Usage::default() },
            cost: Cost { total: Money::from_dollars(0.25), ..Cost::default() },
            ..Span::new(key(3), start)
        };
        let spans =
            [Span::new(key(1), start), Span { tags: vec!["z".into()], ..Span::new(key(2), start) }, full.clone()];
        let batch = batch(&spans).slice(1, 2);
        let rows = Rows::of(&batch).unwrap();
        let rows: Vec<_> = rows.iter().collect::<Result<_, _>>().unwrap();
        let [bare, row] = &rows[..] else { panic!("{rows:?}") };
        assert_eq!((bare.span_id, &bare.tags[..], bare.parent_span_id), (key(2).span_id, &["z"][..], None));
        assert_eq!((bare.latency_ms, bare.input, bare.cost, bare.model), (None, None, None, None));
        assert_eq!((row.trace_id, row.span_id, row.parent_span_id), (full.trace_id, full.span_id, full.parent_span_id));
        assert_eq!((row.name, row.coarse_type(), row.kind, row.status), ("chat", "GENERATION", "llm", Status::Error));
        assert_eq!((row.start, row.latency_ms, row.model), (start, Some(1.5), Some("gpt-4o")));
        assert_eq!((row.input, row.output, row.metadata), (Some("hi"), Some("[]"), r#"{"k":"v"}"#));
        assert_eq!((row.user_id, row.session_id, &row.tags[..]), (Some("u"), Some("s"), &["a", "b"][..]));
        assert_eq!((row.input_tokens, row.output_tokens, row.cost), (Some(3), Some(4), Money::from_dollars(0.25)));
    }

    #[test]
    fn a_batch_that_lacks_a_column_is_refused_by_its_name() {
        let batch = batch(&[]).project(&[0]).unwrap();
        assert!(Rows::of(&batch).err().unwrap().to_string().contains("tags"));
    }
}
