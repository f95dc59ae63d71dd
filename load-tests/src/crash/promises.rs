//! What was sent and what of it was acknowledged: the ledger that the server is held to.
//!
//! A batch is its number: ids, texts and times come from the seed, so that it can be sent again byte for byte and its ids
//! need not be kept. Every batch lies wholly in one *slot*, two minutes of span time; each cycle has a slot of its own (and
//! the same of the day before, so that flushes write several files), which makes "everything of this cycle" a short range
//! to read back.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;

use crate::batch::{Batch, Encoding, Pool};
use crate::random::Draw;

/// Longer than a trace of the generator.
pub(super) const SLOT_NANOS: u64 = 120_000_000_000;
const SLOTS_PER_DAY: u64 = 720;
/// One batch in so many is of the day before.
const DAY_BEFORE_EVERY: u64 = 4;
/// Different batches; then texts repeat.
const POOL: usize = 64;

/// A span by trace and span id.
pub(super) type Key = (u128, u64);

/// Two minutes of span time, counted from 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot(u64);

impl Slot {
    /// First nanosecond, and the first after it.
    pub(super) fn range(self) -> (u64, u64) {
        (self.0 * SLOT_NANOS, (self.0 + 1) * SLOT_NANOS)
    }
}

struct Sent {
    slot: Slot,
    acknowledged: bool,
}

/// What a slot may hold: every span that was sent, and whether it was acknowledged.
pub(super) type Expected = HashMap<Key, bool>;

/// Shared by all connections.
pub(super) struct Promises {
    pool: Pool,
    run: u64,
    first: Slot,
    sent: Mutex<Vec<Sent>>,
}

impl Promises {
    /// The slots of `cycles` cycles end before `now_nanos`.
    pub(super) fn new(seed: u64, batch: usize, cycles: u64, now_nanos: u64) -> Result<Self> {
        let pool = Pool::write(seed, POOL, batch, Encoding::Protobuf)?;
        let first = Slot((now_nanos / SLOT_NANOS).saturating_sub(cycles));
        Ok(Self { pool, run: now_nanos, first, sent: Mutex::default() })
    }

    /// A batch that was never sent before, noted as sent.
    pub(super) fn next(&self, cycle: u64) -> Batch {
        let mut sent = self.sent();
        let number = sent.len() as u64;
        let days = u64::from(number % DAY_BEFORE_EVERY == DAY_BEFORE_EVERY - 1);
        let slot = Slot((self.first.0 + cycle).saturating_sub(days * SLOTS_PER_DAY));
        sent.push(Sent { slot, acknowledged: false });
        drop(sent);
        self.write(number, slot)
    }

    /// A batch of before, byte for byte.
    pub(super) fn again(&self, number: u64) -> Option<Batch> {
        let slot = self.sent().get(number as usize)?.slot;
        Some(self.write(number, slot))
    }

    pub(super) fn acknowledge(&self, number: u64) {
        if let Some(sent) = self.sent().get_mut(number as usize) {
            sent.acknowledged = true;
        }
    }

    /// Batches whose sender heard no answer.
    pub(super) fn unanswered(&self) -> Vec<u64> {
        let sent = self.sent();
        (0..).zip(sent.iter()).filter(|(_, sent)| !sent.acknowledged).map(|(number, _)| number).collect()
    }

    /// Some acknowledged batches, of any age.
    pub(super) fn some_acknowledged(&self, draw: &mut Draw, count: usize) -> Vec<u64> {
        let sent = self.sent();
        let Some(last) = sent.len().checked_sub(1) else { return Vec::new() };
        let drawn: BTreeSet<u64> = (0..count).map(|_| draw.between(0, last as u64)).collect();
        drawn.into_iter().filter(|number| sent[*number as usize].acknowledged).collect()
    }

    /// The slots of batches.
    pub(super) fn slots(&self, numbers: impl IntoIterator<Item = u64>) -> BTreeSet<Slot> {
        let sent = self.sent();
        numbers.into_iter().filter_map(|number| sent.get(number as usize)).map(|sent| sent.slot).collect()
    }

    /// How many were sent up to now; also the number of the next.
    pub(super) fn count(&self) -> u64 {
        self.sent().len() as u64
    }

    /// Acknowledged spans.
    pub(super) fn acknowledged_spans(&self) -> u64 {
        let batches = self.sent().iter().filter(|sent| sent.acknowledged).count() as u64;
        batches * self.pool.spans() / POOL as u64
    }

    /// What each of these slots may hold.
    pub(super) fn expected(&self, slots: &BTreeSet<Slot>) -> BTreeMap<Slot, Expected> {
        let mut expected: BTreeMap<Slot, Expected> = slots.iter().map(|slot| (*slot, Expected::new())).collect();
        for (number, sent) in (0..).zip(self.sent().iter()) {
            let Some(expected) = expected.get_mut(&sent.slot) else { continue };
            for (trace, spans) in self.write(number, sent.slot).ids {
                expected.extend(spans.into_iter().map(|span| ((trace, span), sent.acknowledged)));
            }
        }
        expected
    }

    /// Spans lie in the minute before the time of a batch: within the slot.
    fn write(&self, number: u64, slot: Slot) -> Batch {
        self.pool.batch(self.run, number, slot.range().1 - 1)
    }

    fn sent(&self) -> MutexGuard<'_, Vec<Sent>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use prost::Message as _;

    use super::*;

    const NOW: u64 = 1_790_000_000_000_000_000;

    fn promises() -> Promises {
        Promises::new(7, 20, 10, NOW).unwrap()
    }

    #[test]
    fn a_batch_that_is_sent_again_is_the_same_bytes() {
        let promises = promises();
        let batches: Vec<_> = (0..9).map(|cycle| promises.next(cycle)).collect();
        for batch in batches {
            assert_eq!(promises.again(batch.number).unwrap().body, batch.body);
        }
        assert!(promises.again(9).is_none());
    }

    #[test]
    fn every_span_of_a_batch_starts_within_its_slot() {
        let promises = promises();
        for cycle in 0..8 {
            let batch = promises.next(cycle);
            let (from, to) = promises.slots([batch.number]).first().unwrap().range();
            let request = ExportTraceServiceRequest::decode(batch.body).unwrap();
            let spans = request.resource_spans.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans);
            assert!(spans.into_iter().all(|span| (from..to).contains(&span.start_time_unix_nano)));
        }
    }

    #[test]
    fn a_slot_expects_what_was_sent_and_knows_what_was_acknowledged() {
        let promises = promises();
        let batches: Vec<_> = (0..4).map(|_| promises.next(3)).collect();
        promises.acknowledge(batches[0].number);
        let slots = promises.slots(0..4);
        assert_eq!(slots.len(), 2, "one batch is of the day before");
        let expected = promises.expected(&slots);
        assert_eq!(expected.values().map(HashMap::len).sum::<usize>(), 80);
        let acknowledged = |expected: &Expected| expected.values().filter(|acknowledged| **acknowledged).count();
        assert_eq!(expected.values().map(acknowledged).sum::<usize>(), 20);
        assert_eq!((promises.acknowledged_spans(), promises.unanswered()), (20, vec![1, 2, 3]));
    }
}
