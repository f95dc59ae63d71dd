//! Scores: from what clients send to rows.
//!
//! Each is taken or refused by itself. Those that are taken go into the log together as they were admitted, with the ids that
//! some of them got here, so that a replay makes the same rows.

pub(crate) mod logged;

use std::collections::HashSet;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use spanlake_access::Gate;
use spanlake_model::{
    Caller, Code, Day, Entropy, Fault, Limit, Principal, Receipt, Score, ScoreId, Standing, Table, Timestamp,
};
use spanlake_store::log::{Encoding, Frame};
use spanlake_store::memtable::Prepared;
use spanlake_store::rows::{Origin, ScoreRow};
use utoipa::ToSchema;

use crate::admit::refuse;
use crate::writer::{DAYS_MAX, Writer};

/// Characters of a score's own id, and of a session's.
const ID_CHARS_MAX: usize = 800;
const NAME_CHARS_MAX: usize = 200;
const LABEL_CHARS_MAX: usize = 500;
const COMMENT_CHARS_MAX: usize = 20_000;
const METADATA_BYTES_MAX: usize = 64 << 10;
/// How far ahead of ours a client's clock may be.
const AHEAD: std::time::Duration = std::time::Duration::from_secs(86_400);

/// A score as it is sent, in any of the spellings that SDKs have: `snake_case` and `camelCase`, AgentMark's `score` and
/// `resource_id`, Langfuse's `value` and `observationId`. What is not known is passed over.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = NewScore)]
pub struct Given {
    /// Yours, to send the score again: what comes last is it. One of ours unless given.
    id: Option<String>,
    /// Echoed in the answer to a batch, not stored; at most 128 characters.
    #[serde(alias = "clientId")]
    pub(crate) client_id: Option<String>,
    /// What it is about: 32 hex digits are a trace, 16 a span, anything else a session. The fields that say it outright win.
    #[serde(alias = "resourceId")]
    resource_id: Option<String>,
    /// The trace it is about, or that the span belongs to.
    #[serde(alias = "traceId")]
    trace_id: Option<String>,
    /// The span it is about.
    #[serde(alias = "spanId", alias = "observationId", alias = "observation_id")]
    span_id: Option<String>,
    /// The session it is about.
    #[serde(alias = "sessionId")]
    session_id: Option<String>,
    /// What was judged. Required.
    name: Option<String>,
    /// A number, or true or false, or a category. `value` means the same.
    #[serde(alias = "value")]
    #[schema(value_type = Option<f64>)]
    score: Option<Value>,
    /// A category.
    label: Option<String>,
    /// Why. `comment` means the same.
    #[serde(alias = "comment")]
    reason: Option<String>,
    /// `api` (unless given), `annotation`, `experiment`, `eval`, or a word of yours.
    source: Option<String>,
    /// `BOOLEAN` gives a 0 or 1 the label false or true.
    #[serde(alias = "dataType")]
    data_type: Option<String>,
    /// Anything in JSON.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    /// When it was given, RFC 3339; when it came unless given. `timestamp` means the same.
    #[serde(alias = "createdAt", alias = "timestamp")]
    created_at: Option<String>,
}

/// What became of some scores.
#[derive(Debug)]
pub struct Taken {
    /// Proof of the write; none when nothing was to be written.
    pub receipt: Option<Receipt>,
    /// Of each, in their order, the score or why it was refused.
    pub outcomes: Vec<Result<Score, Fault>>,
    /// How the limits stand that they were taken from.
    pub standings: Vec<Standing>,
}

/// Makes what can be taken of these durable and visible. `bytes` is how long the request was.
pub(crate) async fn accept(
    gate: &Gate,
    writer: &Writer,
    entropy: &dyn Entropy,
    caller: &Caller,
    given: Vec<Given>,
    bytes: usize,
) -> Result<Taken, Fault> {
    let room = writer.room(caller.tenant(), bytes as u64).await.map_err(refuse)?;
    let costs = [(Limit::Requests, 1), (Limit::Bytes, bytes as u64), (Limit::Spans, given.len() as u64)];
    let standings = gate.take(caller, &costs).await?;
    let announced = writer.log.announce();
    let received_at = writer.received_at();
    let mut days = HashSet::new();
    let admit = |given| within(&mut days, admit(given, caller, received_at, entropy)?);
    let outcomes: Vec<_> = given.into_iter().map(admit).collect();
    let rows = rows(outcomes.iter().flatten().cloned(), received_at, 0);
    let (kept, refused) = (rows.len() as u64, (outcomes.len() - rows.len()) as u64);
    if rows.is_empty() {
        writer.figures.answered(kept, refused);
        return Ok(Taken { receipt: None, outcomes, standings });
    }
    let frame = Frame {
        sequence: 0,
        tenant: caller.tenant(),
        app: caller.app(),
        agent: caller.agent(),
        received_at,
        encoding: Encoding::Scores,
        rejected: Vec::new(),
        body: Bytes::from(logged::write(outcomes.iter().flatten())),
    };
    let prepared = Prepared::of_scores(Origin { tenant: caller.tenant(), writer: writer.id() }, &rows);
    let receipt = writer.append(announced, Table::Scores, frame, prepared, room).await.map_err(refuse)?;
    writer.figures.answered(kept, refused);
    Ok(Taken { receipt: Some(receipt), outcomes, standings })
}

pub(crate) fn rows(scores: impl Iterator<Item = Score>, received_at: Timestamp, sequence: u64) -> Vec<ScoreRow> {
    scores.map(|score| ScoreRow { score, received_at, sequence }).collect()
}

/// Every day becomes a file: what is of further days than [`DAYS_MAX`] is refused.
fn within(days: &mut HashSet<Day>, score: Score) -> Result<Score, Fault> {
    let day = Day::of(score.created_at);
    if days.contains(&day) || (days.len() < DAYS_MAX && days.insert(day)) {
        return Ok(score);
    }
    Err(refused("created_at", &format!("one request may be about {DAYS_MAX} days; send the rest in another")))
}

fn refused(field: &str, why: &str) -> Fault {
    Fault::new(Code::InvalidRequestBody, format!("The score's '{field}' is refused: {why}.")).detail(field, why)
}

fn admit(given: Given, caller: &Caller, received_at: Timestamp, entropy: &dyn Entropy) -> Result<Score, Fault> {
    let Given { resource_id, trace_id, span_id, session_id, score, label, data_type, metadata, .. } = given;
    let (value, label) = judged(score, label, data_type.as_deref())?;
    let mut score = Score {
        id: match text("id", given.id, ID_CHARS_MAX)? {
            Some(id) => id,
            None => ScoreId::generate(&At(received_at), entropy).to_string(),
        },
        app_id: caller.app(),
        agent_id: caller.agent(),
        trace_id: id("trace_id", trace_id)?,
        span_id: id("span_id", span_id)?,
        session_id: text("session_id", session_id, ID_CHARS_MAX)?,
        name: text("name", given.name, NAME_CHARS_MAX)?.ok_or_else(|| refused("name", "it is missing"))?,
        value,
        label: text("label", label, LABEL_CHARS_MAX)?,
        comment: text("reason", given.reason, COMMENT_CHARS_MAX)?,
        source: text("source", given.source, NAME_CHARS_MAX)?.unwrap_or_else(|| "api".into()),
        author: Some(match caller.principal() {
            Principal::Key(key) => key.to_string(),
            Principal::Member(member, _) => member.to_string(),
        }),
        created_at: created(given.created_at, received_at)?,
        metadata: described(metadata)?,
    };
    if score.trace_id.is_none() && score.span_id.is_none() && score.session_id.is_none() {
        about(&mut score, text("resource_id", resource_id, ID_CHARS_MAX)?)?;
    }
    Ok(score)
}

/// A clock that stands at one instant.
struct At(Timestamp);

impl spanlake_model::Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }
}

fn about(score: &mut Score, resource: Option<String>) -> Result<(), Fault> {
    let resource = resource
        .ok_or_else(|| refused("resource_id", "name what is scored: resource_id, trace_id, span_id or session_id"))?;
    if let Ok(trace) = resource.parse() {
        score.trace_id = Some(trace);
    } else if let Ok(span) = resource.parse() {
        score.span_id = Some(span);
    } else {
        score.session_id = Some(resource);
    }
    Ok(())
}

/// Number and label.
fn judged(
    score: Option<Value>,
    label: Option<String>,
    data_type: Option<&str>,
) -> Result<(Option<f64>, Option<String>), Fault> {
    let label = label.filter(|label| !label.is_empty());
    let (value, own) = match score {
        None | Some(Value::Null) => (None, None),
        Some(Value::Bool(is)) => (Some(f64::from(u8::from(is))), Some(is.to_string())),
        Some(Value::String(category)) => (None, Some(category).filter(|category| !category.is_empty())),
        Some(Value::Number(number)) => {
            let value = number.as_f64().filter(|value| value.is_finite());
            let value = value.ok_or_else(|| refused("score", "it must be a finite number"))?;
            let is_boolean = data_type.is_some_and(|kind| kind.eq_ignore_ascii_case("boolean"));
            let own = match value {
                _ if !is_boolean => None,
                0.0 => Some("false".into()),
                1.0 => Some("true".into()),
                _ => return Err(refused("score", "a boolean is 0 or 1")),
            };
            (Some(value), own)
        }
        Some(_) => return Err(refused("score", "it must be a number, true or false, or a text")),
    };
    let label = label.or(own);
    if value.is_none() && label.is_none() {
        return Err(refused("score", "a score has a number or a label"));
    }
    Ok((value, label))
}

/// What is empty is absent.
fn text(field: &str, value: Option<String>, chars_max: usize) -> Result<Option<String>, Fault> {
    let value = value.filter(|value| !value.is_empty());
    match &value {
        Some(value) if value.chars().nth(chars_max).is_some() => {
            Err(refused(field, &format!("at most {chars_max} characters are taken")))
        }
        _ => Ok(value),
    }
}

fn id<T: std::str::FromStr<Err: std::fmt::Display>>(field: &str, value: Option<String>) -> Result<Option<T>, Fault> {
    let value = value.filter(|value| !value.is_empty());
    value.map(|value| value.parse().map_err(|why: T::Err| refused(field, &why.to_string()))).transpose()
}

fn created(at: Option<String>, received_at: Timestamp) -> Result<Timestamp, Fault> {
    let Some(at) = at else { return Ok(received_at) };
    let at = Timestamp::parse(&at).ok_or_else(|| refused("created_at", "it must be RFC 3339"))?;
    if at > received_at.plus(AHEAD) {
        return Err(refused("created_at", "it is more than a day ahead"));
    }
    Ok(at)
}

fn described(metadata: Option<Value>) -> Result<String, Fault> {
    let text = metadata.filter(|value| !value.is_null()).map_or_else(|| "{}".into(), |value| value.to_string());
    if text.len() > METADATA_BYTES_MAX {
        return Err(refused("metadata", &format!("at most {METADATA_BYTES_MAX} bytes are taken")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use spanlake_model::{AgentId, AppId, KeyId, ScopeSet, TenantId};
    use spanlake_testkit::SeededEntropy;

    const NOW: Timestamp = Timestamp::from_secs(1_767_312_000);

    fn admitted(body: Value) -> Result<Score, Fault> {
        let caller = Caller::verified(
            TenantId::from_bytes([1; 16]),
            AppId::from_bytes([2; 16]),
            Some(AgentId::from_bytes([3; 16])),
            ScopeSet::all(),
            Principal::Key(KeyId::from_bytes([4; 16])),
        );
        admit(serde_json::from_value(body).unwrap(), &caller, NOW, &SeededEntropy::new(1))
    }

    #[test]
    fn both_casings_say_the_same() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let snake = json!({"id": "a", "resource_id": trace, "name": "n", "score": 0.5, "reason": "r", "created_at": "2026-01-01T00:00:00Z"});
        let camel = json!({"id": "a", "resourceId": trace, "name": "n", "value": 0.5, "comment": "r", "timestamp": "2026-01-01T00:00:00Z", "type": "x"});
        assert_eq!(admitted(snake.clone()), admitted(camel));
        let score = admitted(snake).unwrap();
        assert_eq!((score.trace_id.unwrap().to_string(), score.span_id, score.session_id), (trace.into(), None, None));
        assert_eq!((&*score.source, score.agent_id), ("api", Some(AgentId::from_bytes([3; 16]))));
    }

    #[test]
    fn what_is_scored_is_told_by_its_shape_unless_it_is_said() {
        let about = |body: Value| {
            let score = admitted(body).unwrap();
            (score.trace_id.is_some(), score.span_id.is_some(), score.session_id)
        };
        let trace = "0af7651916cd43dd8448eb211c80319c";
        assert_eq!(about(json!({"resource_id": "b7ad6b7169203331", "name": "n", "score": 1})), (false, true, None));
        assert_eq!(about(json!({"resource_id": "talk", "name": "n", "score": 1})), (false, false, Some("talk".into())));
        assert_eq!(
            about(json!({"resource_id": trace, "session_id": trace, "name": "n", "score": 1})),
            (false, false, Some(trace.into()))
        );
    }

    #[test]
    fn numbers_booleans_and_categories_are_scores_and_nothing_is_none() {
        let judged = |score: Value| admitted(json!({"session_id": "s", "name": "n", "value": score}));
        let both = |score: Value| judged(score).map(|score| (score.value, score.label)).unwrap();
        assert_eq!(both(json!(-2)), (Some(-2.0), None));
        assert_eq!(both(json!(true)), (Some(1.0), Some("true".into())));
        assert_eq!(both(json!("good")), (None, Some("good".into())));
        for nothing in [json!(null), json!(""), json!([1]), json!({})] {
            assert!(judged(nothing).unwrap_err().details.contains_key("score"));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_name() {
        let valid = json!({"session_id": "s", "name": "n", "score": 1});
        assert!(admitted(valid.clone()).is_ok());
        let wrong = [
            ("name", json!("")),
            ("name", json!("n".repeat(201))),
            ("id", json!("i".repeat(801))),
            ("trace_id", json!("00")),
            ("span_id", json!("zz")),
            ("created_at", json!("yesterday")),
            ("created_at", json!("2027-01-01T00:00:00Z")),
            ("metadata", json!("m".repeat(70_000))),
        ];
        for (field, value) in wrong {
            let mut body = valid.clone();
            body[field] = value;
            assert!(admitted(body).unwrap_err().details.contains_key(field), "{field}");
        }
        assert!(admitted(json!({"name": "n", "score": 1})).unwrap_err().details.contains_key("resource_id"));
    }
}
