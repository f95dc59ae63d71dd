//! Which records are about which span, and what they say together.

mod turn;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, FixedSizeBinaryArray, RecordBatch, StringViewArray};
use arrow::datatypes::TimestampMicrosecondType;
use serde::Deserialize;
use serde::de::IgnoredAny;
use spanlake_dialects::normalise::Stray;
use spanlake_engine::TenantSession;
use spanlake_engine::datafusion::prelude::{Expr, col};
use spanlake_model::{Caller, Kind, Span, SpanId, Timestamp, TraceId};
use spanlake_store::rows::{ids, numbers, texts};

use crate::error::Error;
use crate::read::columns::{id, own, text as literal};

/// Records that are read for one page of spans at most.
const RECORDS_MAX: usize = 50_000;
/// Of more traces than this, files are not looked through for those that hold one.
const NEAR_TRACES_MAX: usize = 1_000;
/// Log records have times in milliseconds, and are written a little before or after what they tell of.
const CLOCK_SLACK: Duration = Duration::from_millis(2);

/// A span that leaves its input or output open, and what is needed to find what was said of it.
pub(super) struct Mute {
    trace: TraceId,
    span: SpanId,
    parent: Option<SpanId>,
    response: Option<String>,
    session: Option<String>,
    is_call: bool,
    start: Timestamp,
    end: Option<Timestamp>,
}

struct Record {
    name: String,
    time: Timestamp,
    response: Option<String>,
    input: Option<String>,
    output: Option<String>,
}

/// Records, oldest first.
#[derive(Default)]
pub(super) struct Said {
    by_span: HashMap<(TraceId, Option<SpanId>), Vec<Arc<Record>>>,
    by_response: HashMap<String, Vec<Arc<Record>>>,
    /// Response ids that spans of these traces have: what was said of them is theirs, not their root's.
    claimed: HashSet<String>,
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
            session: span.session_id.clone(),
            is_call: span.kind.as_str() == Kind::LLM,
            start: span.start,
            end: span.end,
        })
    }

    /// The traces that hold the records that are about this span, or may be.
    fn traces(&self) -> impl Iterator<Item = TraceId> {
        let answer = self.response.as_deref().map(|id| Stray::Response.trace(id));
        [Some(self.trace), answer, self.strays()].into_iter().flatten()
    }

    /// The trace of records that name nothing but a session, for the root of a trace of that session.
    fn strays(&self) -> Option<TraceId> {
        let session = self.session.as_deref().filter(|_| self.parent.is_none())?;
        Some(Stray::Session.trace(session))
    }

    /// Whether the record was made while this span was under way.
    fn spans(&self, record: &Record) -> bool {
        let is_before_end = self.end.is_none_or(|end| record.time <= end.plus(CLOCK_SLACK));
        record.time >= self.start.minus(CLOCK_SLACK) && is_before_end
    }
}

/// As [`Mute::of`], of each row.
pub(super) fn mutes(batch: &RecordBatch) -> Result<Vec<Option<Mute>>, Error> {
    let (input, output) = (texts(batch, "input")?, texts(batch, "output")?);
    let (traces, spans, parents) = (ids(batch, "trace_id")?, ids(batch, "span_id")?, ids(batch, "parent_span_id")?);
    let (responses, sessions) = (texts(batch, "response_id")?, texts(batch, "session_id")?);
    let kinds = texts(batch, "kind")?;
    let starts = numbers::<TimestampMicrosecondType>(batch, "start_time")?;
    let ends = numbers::<TimestampMicrosecondType>(batch, "end_time")?;
    let mute = |row: usize| {
        Ok(Mute {
            trace: trace_id(traces, row)?,
            span: span_id(spans, row).ok_or(Error::Column("span_id"))?,
            parent: span_id(parents, row),
            response: text(responses, row),
            session: text(sessions, row),
            is_call: kinds.value(row) == Kind::LLM,
            start: Timestamp::from_micros(starts.value(row)),
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
        let traces: HashSet<TraceId> = mutes.clone().flat_map(Mute::traces).collect();
        if traces.is_empty() {
            return Ok(said);
        }
        let session = near(session, &traces).await?;
        let responses: HashSet<&str> = mutes.filter_map(|mute| mute.response.as_deref()).collect();
        let wanted = is_in(&traces).or(col("response_id").in_list(responses.into_iter().map(literal).collect(), false));
        let has_content = col("input").is_not_null().or(col("output").is_not_null()).or(turn::is_mark());
        let columns = ["trace_id", "parent_span_id", "response_id", "log_name", "start_time", "input", "output"];
        let order = ["start_time", "start_nanos", "span_id"].map(|key| col(key).sort(true, false));
        let frame = session.logs()?.filter(own(caller).and(has_content).and(wanted))?.sort(order.to_vec())?;
        let frame = frame.limit(0, Some(RECORDS_MAX))?.select(columns.map(col).to_vec())?;
        for batch in session.collect(frame).await? {
            said.extend(&batch)?;
        }
        said.claim(&session, caller, &traces).await?;
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
                response: text(responses, row),
                input: text(inputs, row),
                output: text(outputs, row),
            });
            let parent = span_id(parents, row);
            if let (None, Some(response)) = (parent, record.response.clone()) {
                self.by_response.entry(response).or_default().push(record.clone());
            }
            self.by_span.entry((trace_id(traces, row)?, parent)).or_default().push(record);
        }
        Ok(())
    }

    /// Looks which answers have a span of their own.
    async fn claim(
        &mut self,
        session: &TenantSession,
        caller: &Caller,
        traces: &HashSet<TraceId>,
    ) -> Result<(), Error> {
        if self.by_response.is_empty() {
            return Ok(());
        }
        let answers =
            col("response_id").in_list(self.by_response.keys().map(|id| literal(id.as_str())).collect(), false);
        let frame = session.frame()?.filter(own(caller).and(is_in(traces)).and(answers))?;
        for batch in session.collect(frame.select(vec![col("response_id")])?).await? {
            let responses = texts(&batch, "response_id")?;
            self.claimed.extend((0..batch.num_rows()).filter_map(|row| text(responses, row)));
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
        let answer = || turn::answer(self.by_span.get(&(mute.trace, Some(mute.parent?)))?, mute);
        self.of(mute, |record| record.output.as_deref(), First::IsReplaced).or_else(answer)
    }

    /// Each side for itself: a prompt may name the span, and the answer only its own id.
    fn of(&self, mute: &Mute, content: impl Fn(&Record) -> Option<&str>, first: First) -> Option<String> {
        let together = |records: &[&Arc<Record>]| put_together(records.iter().filter_map(|one| content(one)), first);
        let own = self.by_span.get(&(mute.trace, Some(mute.span)));
        let answered = mute.response.as_deref().and_then(|response| self.by_response.get(response));
        let certain = [own, answered].into_iter().flatten();
        let mut certain = certain.map(|records| together(&records.iter().collect::<Vec<_>>()));
        certain.find_map(|said| said).or_else(|| together(&self.of_root(mute, mute.trace))).or_else(|| {
            let strays = self.of_root(mute, mute.strays()?);
            together(&strays.into_iter().filter(|record| mute.spans(record)).collect::<Vec<_>>())
        })
    }

    /// The records of the trace that are about no span in particular, when the span is a root.
    fn of_root(&self, mute: &Mute, trace: TraceId) -> Vec<&Arc<Record>> {
        let loose = self.by_span.get(&(trace, None)).filter(|_| mute.parent.is_none()).into_iter().flatten();
        let is_claimed = |record: &Record| record.response.as_ref().is_some_and(|id| self.claimed.contains(id));
        loose.filter(|record| !is_claimed(record)).collect()
    }
}

async fn near(session: &TenantSession, traces: &HashSet<TraceId>) -> Result<TenantSession, Error> {
    if traces.len() > NEAR_TRACES_MAX {
        return Ok(session.clone());
    }
    Ok(session.near(&traces.iter().copied().collect::<Vec<_>>()).await?)
}

fn is_in(traces: &HashSet<TraceId>) -> Expr {
    col("trace_id").in_list(traces.iter().map(|trace| id(trace.as_bytes())).collect(), false)
}

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
