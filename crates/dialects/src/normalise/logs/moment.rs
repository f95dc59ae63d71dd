//! Records that a sender's clock cannot tell apart.

use std::collections::HashMap;

use sha2::{Digest, Sha256};
use spanlake_model::{SpanId, Timestamp, TraceId};

/// The records of one request so far.
#[derive(Default)]
pub(super) struct Moments {
    /// When the latest of each span was, as sent and as told apart.
    latest: HashMap<(TraceId, Option<SpanId>), (Timestamp, Timestamp)>,
    /// How many there were of each that say the very same.
    alike: HashMap<SpanId, u64>,
}

impl Moments {
    /// `sent`, or a nanosecond more for every record of that span that was sent right before it with the same time: the
    /// messages of a conversation are often logged in one millisecond, and their order is their time's.
    pub(super) fn after(&mut self, trace: TraceId, span: Option<SpanId>, sent: Timestamp) -> Timestamp {
        let latest = self.latest.entry((trace, span)).or_insert((sent, sent.minus(NANOSECOND)));
        let at = if latest.0 == sent { latest.1.plus(NANOSECOND) } else { sent };
        *latest = (sent, at);
        at
    }

    /// The id of a record of which all is hashed; of one that says the very same as another, an id of its own.
    pub(super) fn own_id(&mut self, hash: Sha256) -> SpanId {
        let before = self.alike.entry(id(hash.clone())).or_default();
        *before += 1;
        if *before == 1 { id(hash) } else { id(hash.chain_update(before.to_le_bytes())) }
    }
}

fn id(hash: Sha256) -> SpanId {
    let hash = hash.finalize();
    let head = hash.first_chunk().expect("it has 32 bytes");
    // No id is all zero, and one hash in 2^64 begins so.
    SpanId::from_bytes(*head).unwrap_or_else(|| SpanId::from_bytes([0xff; 8]).expect("not all zero"))
}

const NANOSECOND: std::time::Duration = std::time::Duration::from_nanos(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_one_span_at_one_time_keep_their_order() {
        let (mut moments, trace) = (Moments::default(), TraceId::from_bytes([1; 16]).unwrap());
        let (one, other) = (SpanId::from_bytes([1; 8]), SpanId::from_bytes([2; 8]));
        let times =
            [(one, 5_000), (one, 5_000), (other, 5_000), (one, 5_000), (one, 9_000), (one, 9_000), (None, 5_000)];
        let at = times.map(|(span, nanos)| moments.after(trace, span, Timestamp::from_nanos(nanos)).as_nanos());
        assert_eq!(at, [5_000, 5_001, 5_000, 5_002, 9_000, 9_001, 5_000]);
    }
}
