//! Scores between `model` and Arrow.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeBinaryArray, FixedSizeBinaryBuilder, Float64Array, Int16Array, Int32Array,
    Int64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Float64Type, Int16Type, TimestampMicrosecondType};
use sha2::{Digest, Sha256};
use spanlake_model::{AgentId, AppId, Score, SpanId, SpanKey, Timestamp, TraceId};

use super::Origin;
use super::decode::{DecodeError, broken, column, id16, ids, numbers, texts};
use super::encode::{minute_of, nanos_of};
use crate::schema;

/// A score as it was taken in.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreRow {
    /// What was sent.
    pub score: Score,
    /// When.
    pub received_at: Timestamp,
    /// In which frame of the writer's log.
    pub sequence: u64,
}

/// What tells a score from all others of its app: a digest of its id, in the form that keys of rows have.
pub fn score_key(app_id: AppId, id: &str) -> SpanKey {
    let digest = Sha256::digest(id.as_bytes());
    let high = TraceId::from_slice(&digest[..16]).expect("no text is known whose digest begins with 128 zero bits");
    let low = SpanId::from_slice(&digest[16..24]).expect("nor one with 64 zero bits in its middle");
    SpanKey { app_id, trace_id: high, span_id: low }
}

/// The rows as one batch of [`schema::scores`], in their order.
pub fn encode_scores(origin: Origin, rows: &[ScoreRow]) -> RecordBatch {
    let schema = schema::scores();
    let keys: Vec<_> = rows.iter().map(|row| score_key(row.score.app_id, &row.score.id)).collect();
    let columns = schema.fields().iter().map(|field| encode(field.name(), origin, rows, &keys)).collect();
    RecordBatch::try_new(schema.clone(), columns).expect("each column is built by its name")
}

fn encode(column: &str, origin: Origin, rows: &[ScoreRow], keys: &[SpanKey]) -> ArrayRef {
    let all = rows.iter();
    match column {
        "tenant_id" => bytes(all.map(|_| Some(origin.tenant.as_bytes()))),
        "writer_id" => bytes(all.map(|_| Some(origin.writer.as_bytes()))),
        "app_id" => bytes(all.map(|row| Some(row.score.app_id.as_bytes()))),
        "agent_id" => bytes(all.map(|row| row.score.agent_id.as_ref().map(AgentId::as_bytes))),
        "key_high" => bytes(keys.iter().map(|key| Some(key.trace_id.as_bytes()))),
        "key_low" => bytes(keys.iter().map(|key| Some(key.span_id.as_bytes()))),
        "trace_id" => bytes(all.map(|row| row.score.trace_id.as_ref().map(TraceId::as_bytes))),
        "span_id" => bytes(all.map(|row| row.score.span_id.as_ref().map(SpanId::as_bytes))),
        "start_time" => times(rows, |row| row.score.created_at),
        "received_at" => times(rows, |row| row.received_at),
        "start_nanos" => Arc::new(Int16Array::from_iter_values(all.map(|row| nanos_of(row.score.created_at)))),
        "start_minute" => Arc::new(Int32Array::from_iter_values(all.map(|row| minute_of(row.score.created_at)))),
        "value" => Arc::new(Float64Array::from_iter(all.map(|row| row.score.value))),
        "sequence" => {
            Arc::new(Int64Array::from_iter_values(all.map(|row| i64::try_from(row.sequence).unwrap_or(i64::MAX))))
        }
        _ => {
            let text = text_of(column);
            Arc::new(StringViewArray::from_iter(all.map(|row| text(&row.score))))
        }
    }
}

pub(super) fn bytes<'a, const N: usize>(values: impl ExactSizeIterator<Item = Option<&'a [u8; N]>>) -> ArrayRef {
    let width = i32::try_from(N).expect("8 or 16");
    let mut builder = FixedSizeBinaryBuilder::with_capacity(values.len(), width);
    for value in values {
        match value {
            Some(value) => builder.append_value(value).expect("of the builder's width"),
            None => builder.append_null(),
        }
    }
    Arc::new(builder.finish())
}

fn times(rows: &[ScoreRow], time: impl Fn(&ScoreRow) -> Timestamp) -> ArrayRef {
    let micros = rows.iter().map(|row| time(row).as_micros());
    Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
}

fn text_of(column: &str) -> for<'a> fn(&'a Score) -> Option<&'a str> {
    match column {
        "score_id" => |score| Some(&score.id),
        "session_id" => |score| score.session_id.as_deref(),
        "name" => |score| Some(&score.name),
        "label" => |score| score.label.as_deref(),
        "comment" => |score| score.comment.as_deref(),
        "source" => |score| Some(&score.source),
        "author" => |score| score.author.as_deref(),
        "metadata" => |score| Some(&score.metadata),
        other => unreachable!("the schema has a text column {other} that no score fills"),
    }
}

/// The scores of a batch that has every column of [`schema::scores`], in their order.
///
/// # Errors
/// When a column is missing, of another type, or holds what we never write.
pub fn decode_scores(batch: &RecordBatch) -> Result<Vec<Score>, DecodeError> {
    let apps = ids(batch, "app_id")?;
    let (agents, traces, spans) = (ids(batch, "agent_id")?, ids(batch, "trace_id")?, ids(batch, "span_id")?);
    let starts = numbers::<TimestampMicrosecondType>(batch, "start_time")?;
    let nanos = numbers::<Int16Type>(batch, "start_nanos")?;
    let values = column(batch, "value")?.as_primitive_opt::<Float64Type>();
    let values = values.ok_or_else(|| broken("value", "it is no number"))?;
    let text = |name| texts(batch, name);
    let (score_ids, sessions, names, labels) = (text("score_id")?, text("session_id")?, text("name")?, text("label")?);
    let (comments, sources, authors) = (text("comment")?, text("source")?, text("author")?);
    let metadata = text("metadata")?;
    let maybe = |texts: &StringViewArray, row| texts.is_valid(row).then(|| texts.value(row).to_owned());
    (0..batch.num_rows())
        .map(|row| {
            let micros = Timestamp::from_micros(starts.value(row)).as_nanos();
            Ok(Score {
                id: score_ids.value(row).to_owned(),
                app_id: AppId::from_bytes(id16("app_id", apps, row)?),
                agent_id: set(agents, row, |_| Ok(AgentId::from_bytes(id16("agent_id", agents, row)?)))?,
                trace_id: set(traces, row, |id| TraceId::from_slice(id).map_err(|why| broken("trace_id", why)))?,
                span_id: set(spans, row, |id| SpanId::from_slice(id).map_err(|why| broken("span_id", why)))?,
                session_id: maybe(sessions, row),
                name: names.value(row).to_owned(),
                value: values.is_valid(row).then(|| values.value(row)),
                label: maybe(labels, row),
                comment: maybe(comments, row),
                source: sources.value(row).to_owned(),
                author: maybe(authors, row),
                created_at: Timestamp::from_nanos(micros.saturating_add(i64::from(nanos.value(row)))),
                metadata: metadata.value(row).to_owned(),
            })
        })
        .collect()
}

pub(super) fn set<T>(
    ids: &FixedSizeBinaryArray,
    row: usize,
    read: impl Fn(&[u8]) -> Result<T, DecodeError>,
) -> Result<Option<T>, DecodeError> {
    if ids.is_null(row) { Ok(None) } else { read(ids.value(row)).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{row_keys, versions};
    use spanlake_model::{Table, TenantId, WriterId};

    #[test]
    fn a_score_survives_arrow_and_its_key_is_its_id_alone() {
        let bare = Score {
            id: "mine".into(),
            app_id: AppId::from_bytes([1; 16]),
            agent_id: None,
            trace_id: None,
            span_id: None,
            session_id: Some("s".into()),
            name: "accuracy".into(),
            value: None,
            label: Some("good".into()),
            comment: None,
            source: "api".into(),
            author: None,
            created_at: Timestamp::from_nanos(1_763_700_000_123_456_789),
            metadata: "{}".into(),
        };
        let full = Score {
            id: "other".into(),
            agent_id: Some(AgentId::from_bytes([2; 16])),
            trace_id: TraceId::from_bytes([9; 16]),
            span_id: SpanId::from_bytes([8; 8]),
            session_id: None,
            value: Some(0.1 + 0.2),
            label: None,
            comment: Some("why".into()),
            author: Some("key".into()),
            ..bare.clone()
        };
        let origin = Origin { tenant: TenantId::from_bytes([3; 16]), writer: WriterId::from_bytes([4; 16]) };
        let scores = [bare.clone(), full, bare];
        let row = |score: &Score| ScoreRow { score: score.clone(), received_at: Timestamp::from_secs(5), sequence: 6 };
        let batch = encode_scores(origin, &scores.iter().map(row).collect::<Vec<_>>());
        assert_eq!(decode_scores(&batch).unwrap(), scores);
        let keys = row_keys(Table::Scores, &batch).unwrap();
        assert!(keys[0] == keys[2] && keys[0] != keys[1]);
        assert!(versions(Table::Scores, &batch).unwrap().iter().all(|(_, rank)| rank.finished));
    }
}
