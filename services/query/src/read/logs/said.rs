//! Which records are about which span, and what they say together.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, FixedSizeBinaryArray, RecordBatch, StringViewArray};
use arrow::datatypes::TimestampMicrosecondType;
use serde::Deserialize;
use serde::de::IgnoredAny;
use spanlake_engine::TenantSession;
use spanlake_engine::datafusion::prelude::col;
use spanlake_model::{Caller, Kind, Span, SpanId, Timestamp, TraceId};
use spanlake_store::rows::{ids, numbers, texts};

use crate::error::Error;
use crate::read::columns::{id, own, text as literal};

/// Records that are read for one page of spans at most.
const RECORDS_MAX: usize = 50_000;

/// A span that leaves its input or output open, and what is needed to find what was said of it.
pub(super) struct Mute {
    trace: TraceId,
    span: SpanId,
    parent: Option<SpanId>,
    response: Option<String>,
    is_call: bool,
    end: Option<Timestamp>,
}

struct Record {
    name: String,
    time: Timestamp,
    input: Option<String>,
    output: Option<String>,
}

/// Records with content, oldest first.
#[derive(Default)]
pub(super) struct Said {
    by_span: HashMap<(TraceId, Option<SpanId>), Vec<Arc<Record>>>,
    by_response: HashMap<String, Vec<Arc<Record>>>,
}

impl Mute {
    /// `None` for a span that says all.
    pub(super) fn of(span: &Span) -> Option<Self> {
        let is_mute = span.input.is_none() || span.output.is_none();
        is_mute.then(|| Self {
            trace: span.trace_id,
            span: span.span_id,
            parent: span.parent_span_id,
            response: span.response_id.clone(),
            is_call: span.kind.as_str() == Kind::LLM,
            end: span.end,
        })
    }
}

/// As [`Mute::of`], of each row.
pub(super) fn mutes(batch: &RecordBatch) -> Result<Vec<Option<Mute>>, Error> {
    let (input, output) = (texts(batch, "input")?, texts(batch, "output")?);
    let (traces, spans, parents) = (ids(batch, "trace_id")?, ids(batch, "span_id")?, ids(batch, "parent_span_id")?);
    let (responses, kinds) = (texts(batch, "response_id")?, texts(batch, "kind")?);
    let ends = numbers::<TimestampMicrosecondType>(batch, "end_time")?;
    let mute = |row: usize| {
        Ok(Mute {
            trace: trace_id(traces, row)?,
            span: span_id(spans, row).ok_or(Error::Column("span_id"))?,
            parent: span_id(parents, row),
            response: text(responses, row),
            is_call: kinds.value(row) == Kind::LLM,
            end: ends.is_valid(row).then(|| Timestamp::from_micros(ends.value(row))),
        })
    };
    let rows = 0..batch.num_rows();
    rows.map(|row| (input.is_null(row) || output.is_null(row)).then(|| mute(row)).transpose()).collect()
}

impl Said {
    pub(super) async fn read<'m>(
        session: &TenantSession,
        caller: &Caller,
        mutes: impl Iterator<Item = &'m Mute> + Clone,
    ) -> Result<Self, Error> {
        let mut said = Self::default();
        let traces: HashSet<TraceId> = mutes.clone().map(|mute| mute.trace).collect();
        if traces.is_empty() {
            return Ok(said);
        }
        let responses: HashSet<&str> = mutes.filter_map(|mute| mute.response.as_deref()).collect();
        let of_traces = traces.iter().map(|trace| id(trace.as_bytes())).collect();
        let of_responses = responses.into_iter().map(literal).collect();
        let wanted = col("trace_id").in_list(of_traces, false).or(col("response_id").in_list(of_responses, false));
        let has_content = col("input").is_not_null().or(col("output").is_not_null());
        let columns = ["trace_id", "parent_span_id", "response_id", "log_name", "start_time", "input", "output"];
        let order = ["start_time", "start_nanos", "span_id"].map(|key| col(key).sort(true, false));
        let frame = session.logs()?.filter(own(caller).and(has_content).and(wanted))?.sort(order.to_vec())?;
        let frame = frame.limit(0, Some(RECORDS_MAX))?.select(columns.map(col).to_vec())?;
        for batch in session.collect(frame).await? {
            said.extend(&batch)?;
        }
        Ok(said)
    }

    fn extend(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let (traces, parents, responses) =
            (ids(batch, "trace_id")?, ids(batch, "parent_span_id")?, texts(batch, "response_id")?);
        let (names, inputs, outputs) = (texts(batch, "log_name")?, texts(batch, "input")?, texts(batch, "output")?);
        let times = numbers::<TimestampMicrosecondType>(batch, "start_time")?;
        for row in 0..batch.num_rows() {
            let record = Arc::new(Record {
                name: text(names, row).unwrap_or_default(),
                time: Timestamp::from_micros(times.value(row)),
                input: text(inputs, row),
                output: text(outputs, row),
            });
            let parent = span_id(parents, row);
            if let (None, Some(response)) = (parent, text(responses, row)) {
                self.by_response.entry(response).or_default().push(record.clone());
            }
            self.by_span.entry((trace_id(traces, row)?, parent)).or_default().push(record);
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_span.is_empty()
    }

    pub(super) fn input(&self, mute: &Mute) -> Option<String> {
        self.of(mute, |record| record.input.as_deref(), First::Counts)
    }

    pub(super) fn output(&self, mute: &Mute) -> Option<String> {
        self.of(mute, |record| record.output.as_deref(), First::IsReplaced).or_else(|| self.answer_beside(mute))
    }

    /// Each side for itself: a prompt may name the span, and the answer only its own id.
    fn of(&self, mute: &Mute, content: impl Fn(&Record) -> Option<&str>, first: First) -> Option<String> {
        let together = |records: &Vec<Arc<Record>>| put_together(records.iter().filter_map(|one| content(one)), first);
        let own = || self.by_span.get(&(mute.trace, Some(mute.span))).and_then(together);
        let answered = || self.by_response.get(mute.response.as_deref()?).and_then(together);
        let at_root = || self.by_span.get(&(mute.trace, None)).filter(|_| mute.parent.is_none()).and_then(together);
        own().or_else(answered).or_else(at_root)
    }

    /// Claude Code logs each answer at the turn of the agent, just after the call that gave it.
    fn answer_beside(&self, mute: &Mute) -> Option<String> {
        let (true, Some(parent), Some(end)) = (mute.is_call, mute.parent, mute.end) else { return None };
        let records = self.by_span.get(&(mute.trace, Some(parent)))?;
        let mut answers = records.iter().filter(|record| record.name.ends_with("assistant_response"));
        answers.find(|record| record.time >= end.minus(CLOCK_SLACK))?.output.clone()
    }
}

/// Log records have times in milliseconds.
const CLOCK_SLACK: Duration = Duration::from_millis(2);

/// Of several contents that each say all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    /// What was asked first is what the span was about.
    Counts,
    /// What was answered last is what came of it.
    IsReplaced,
}

/// One that says all; else the messages as a list.
fn put_together<'a>(contents: impl Iterator<Item = &'a str>, first: First) -> Option<String> {
    let (messages, wholes): (Vec<_>, Vec<_>) = contents.partition(|content| is_message(content));
    let whole = match first {
        First::Counts => wholes.first(),
        First::IsReplaced => wholes.last(),
    };
    let list = || (!messages.is_empty()).then(|| format!("[{}]", messages.join(",")));
    whole.map(|whole| (*whole).to_owned()).or_else(list)
}

fn is_message(content: &str) -> bool {
    #[derive(Deserialize)]
    struct Message {
        #[serde(rename = "role")]
        _role: IgnoredAny,
    }
    content.starts_with('{') && serde_json::from_str::<Message>(content).is_ok()
}

pub(super) fn text(texts: &StringViewArray, row: usize) -> Option<String> {
    texts.is_valid(row).then(|| texts.value(row).to_owned())
}

fn trace_id(ids: &FixedSizeBinaryArray, row: usize) -> Result<TraceId, Error> {
    TraceId::from_slice(ids.value(row)).map_err(|_| Error::Column("trace_id"))
}

fn span_id(ids: &FixedSizeBinaryArray, row: usize) -> Option<SpanId> {
    ids.is_valid(row).then(|| SpanId::from_slice(ids.value(row)).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_become_a_list_and_a_whole_content_is_itself() {
        let messages = [r#"{"role":"system","content":"be kind"}"#, r#"{"role":"user","content":"hi"}"#];
        let list = r#"[{"role":"system","content":"be kind"},{"role":"user","content":"hi"}]"#;
        assert_eq!(put_together(messages.into_iter(), First::Counts).as_deref(), Some(list));
        for whole in [list, "hello", r#"{"city":"Paris"}"#, "{"] {
            assert_eq!(put_together([whole].into_iter(), First::Counts).as_deref(), Some(whole));
        }
        assert_eq!(put_together(std::iter::empty(), First::Counts), None);
        let answers = ["I'll look", messages[0], "done"];
        assert_eq!(put_together(answers.into_iter(), First::Counts).as_deref(), Some("I'll look"));
        assert_eq!(put_together(answers.into_iter(), First::IsReplaced).as_deref(), Some("done"));
    }
}
