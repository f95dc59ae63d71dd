//! How scores are written in the log.

use serde::{Deserialize, Serialize};
use spanlake_model::{AgentId, AppId, Score, SpanId, Timestamp, TraceId};

/// A frame's body.
#[derive(Serialize, Deserialize)]
struct Logged {
    v: u8,
    scores: Vec<One>,
}

const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
struct One {
    id: String,
    app_id: AppId,
    agent_id: Option<AgentId>,
    trace_id: Option<TraceId>,
    span_id: Option<SpanId>,
    session_id: Option<String>,
    name: String,
    /// As IEEE 754 has it: a number that is written and read as decimals may come back another.
    value_bits: Option<u64>,
    label: Option<String>,
    comment: Option<String>,
    source: String,
    author: Option<String>,
    created_at: Timestamp,
    metadata: String,
}

/// Why a frame's scores cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    /// They are no scores.
    #[error("they are not spelled as scores are")]
    Json(#[from] serde_json::Error),
    /// They are spelled in a way of a later time.
    #[error("version {0} of their spelling is not known")]
    Version(u8),
}

pub(crate) fn write<'a>(scores: impl Iterator<Item = &'a Score>) -> Vec<u8> {
    let one = |score: &Score| {
        let Score { id, app_id, agent_id, trace_id, span_id, session_id, name, value, .. } = score.clone();
        let Score { label, comment, source, author, created_at, metadata, .. } = score.clone();
        let value_bits = value.map(f64::to_bits);
        One {
            id,
            app_id,
            agent_id,
            trace_id,
            span_id,
            session_id,
            name,
            value_bits,
            label,
            comment,
            source,
            author,
            created_at,
            metadata,
        }
    };
    let logged = Logged { v: VERSION, scores: scores.map(one).collect() };
    serde_json::to_vec(&logged).expect("texts, numbers and ids make JSON")
}

pub(crate) fn read(body: &[u8]) -> Result<Vec<Score>, Unreadable> {
    let Logged { v, scores } = serde_json::from_slice(body)?;
    if v != VERSION {
        return Err(Unreadable::Version(v));
    }
    let score = |one: One| {
        let One { id, app_id, agent_id, trace_id, span_id, session_id, name, value_bits, .. } = one;
        let One { label, comment, source, author, created_at, metadata, .. } = one;
        let value = value_bits.map(f64::from_bits);
        Score {
            id,
            app_id,
            agent_id,
            trace_id,
            span_id,
            session_id,
            name,
            value,
            label,
            comment,
            source,
            author,
            created_at,
            metadata,
        }
    };
    Ok(scores.into_iter().map(score).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the first version wrote it; it is read for ever.
    const SAMPLE: &str = r#"{"v":1,"scores":[{"id":"a","app_id":"01010101-0101-0101-0101-010101010101","agent_id":null,"trace_id":"09090909090909090909090909090909","span_id":null,"session_id":null,"name":"n","value_bits":4599075939470750516,"label":null,"comment":"c","source":"api","author":"k","created_at":1763700000123456789,"metadata":"{}"}]}"#;

    #[test]
    fn what_is_written_is_read_to_the_last_bit_and_old_frames_too() {
        let scores = read(SAMPLE.as_bytes()).unwrap();
        assert_eq!(scores[0].value, Some(0.1 + 0.2));
        assert_eq!(String::from_utf8(write(scores.iter())).unwrap(), SAMPLE);
        assert!(matches!(read(br#"{"v":2,"scores":[]}"#), Err(Unreadable::Version(2))));
    }
}
