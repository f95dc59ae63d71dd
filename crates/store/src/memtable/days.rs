//! The keys in one day's data files, as hashes.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use spanlake_model::SpanKey;

/// Which keys a tenant's files of one day may hold, and whether each had ended. About 9 bytes a key.
///
/// Keys are kept as 63-bit hashes. Two that share one are not told apart: then a key is called superseded that need not be,
/// which hides nothing, since hiding compares whole keys; or an unfinished span is taken for a late version of another that
/// has ended. (At ten million keys that is one chance in a trillion a row; the hash is seeded by chance.)
#[derive(Debug)]
pub struct DayKeys {
    hasher: RandomState,
    /// One while there are few keys, else [`SHARDS`].
    shards: Mutex<Vec<Shard>>,
    /// Keys here, and in all that share the count.
    held: AtomicUsize,
    total: Arc<AtomicUsize>,
}

/// So that no insertion moves more than a small part of the keys.
const SHARDS: usize = 256;
/// More keys than this are split into shards.
const ONE_SHARD_MAX: usize = 16_384;

impl DayKeys {
    /// None yet; `total` counts the keys of all days together.
    pub fn new(total: Arc<AtomicUsize>) -> Self {
        let shards = Mutex::new(vec![Shard::default()]);
        Self { hasher: RandomState::new(), shards, held: AtomicUsize::new(0), total }
    }

    /// Notes keys of a file, each with whether its span has ended; once ended, always ended.
    pub fn insert(&self, keys: impl IntoIterator<Item = (SpanKey, bool)>) {
        let entries: Vec<_> = keys.into_iter().map(|(key, finished)| self.hash(key) | u64::from(finished)).collect();
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.held.load(Ordering::Relaxed);
        if shards.len() == 1 && before + entries.len() > ONE_SHARD_MAX {
            let few = std::mem::take(&mut shards[0]);
            shards.resize_with(SHARDS, Shard::default);
            deal(&mut shards, few.large.into_iter().chain(few.small));
        }
        deal(&mut shards, entries);
        let after = shards.iter().map(Shard::len).sum::<usize>();
        self.held.store(after, Ordering::Relaxed);
        self.total.fetch_add(after.saturating_sub(before), Ordering::Relaxed);
        self.total.fetch_sub(before.saturating_sub(after), Ordering::Relaxed);
    }

    /// Whether the key may be there, and had ended.
    pub fn finished(&self, key: SpanKey) -> Option<bool> {
        let hash = self.hash(key);
        let shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        shards[shard_of(hash, shards.len())].finished(hash)
    }

    /// How many keys, about: one that was noted twice may count twice.
    pub fn len(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The lowest bit is free for whether the span has ended.
    fn hash(&self, key: SpanKey) -> u64 {
        self.hasher.hash_one(key) & !1
    }
}

impl Default for DayKeys {
    fn default() -> Self {
        Self::new(Arc::default())
    }
}

impl Drop for DayKeys {
    fn drop(&mut self) {
        self.total.fetch_sub(self.len(), Ordering::Relaxed);
    }
}

fn shard_of(entry: u64, shards: usize) -> usize {
    usize::from(entry.to_be_bytes()[0]) % shards
}

fn deal(shards: &mut [Shard], entries: impl IntoIterator<Item = u64>) {
    let mut dealt = vec![Vec::new(); shards.len()];
    for entry in entries {
        dealt[shard_of(entry, shards.len())].push(entry);
    }
    for (shard, entries) in shards.iter_mut().zip(dealt) {
        shard.insert(entries);
    }
}

/// Sorted entries in two runs: the small one takes new ones in, and is merged into the large one before it weighs much.
#[derive(Debug, Default)]
struct Shard {
    large: Vec<u64>,
    small: Vec<u64>,
}

/// The large run is rewritten once per this part of it that is new.
const SMALL_PART: usize = 8;
/// Below this, merging costs next to nothing.
const SMALL_LEAST: usize = 64;

impl Shard {
    fn insert(&mut self, mut entries: Vec<u64>) {
        if entries.is_empty() {
            return;
        }
        entries.sort_unstable();
        merge(&mut self.small, entries);
        if self.small.len() > (self.large.len() / SMALL_PART).max(SMALL_LEAST) {
            merge(&mut self.large, std::mem::take(&mut self.small));
        }
    }

    fn len(&self) -> usize {
        self.large.len() + self.small.len()
    }

    fn finished(&self, hash: u64) -> Option<bool> {
        let found = [&self.small, &self.large].map(|run| find(run, hash));
        found.into_iter().flatten().reduce(|one, other| one | other)
    }
}

/// Adds sorted entries to a sorted run; of entries with one hash one stays, ended if any had.
fn merge(run: &mut Vec<u64>, entries: Vec<u64>) {
    let mut merged: Vec<u64> = Vec::with_capacity(run.len() + entries.len());
    let (mut old, mut new) = (run.iter().copied().peekable(), entries.into_iter().peekable());
    while let Some(next) = match (old.peek(), new.peek()) {
        (Some(one), Some(other)) if one <= other => old.next(),
        (_, Some(_)) => new.next(),
        (_, None) => old.next(),
    } {
        match merged.last_mut() {
            Some(last) if *last >> 1 == next >> 1 => *last |= next,
            _ => merged.push(next),
        }
    }
    *run = merged;
}

fn find(run: &[u64], hash: u64) -> Option<bool> {
    let place = run.partition_point(|entry| *entry < hash);
    run.get(place).filter(|entry| **entry >> 1 == hash >> 1).map(|entry| entry & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use spanlake_model::{AppId, SpanId, TraceId};
    use std::collections::HashMap;

    fn key(number: u64) -> SpanKey {
        SpanKey {
            app_id: AppId::from_bytes([1; 16]),
            trace_id: TraceId::from_bytes([2; 16]).unwrap(),
            span_id: SpanId::from_bytes((number + 1).to_be_bytes()).unwrap(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_was_noted_is_known_and_nothing_else(
            batches in prop::collection::vec(prop::collection::vec((0..5_000_u64, any::<bool>()), 0..2_000), 0..12)
        ) {
            let total = Arc::new(AtomicUsize::new(0));
            let keys = DayKeys::new(total.clone());
            let mut expected = HashMap::<u64, bool>::new();
            for batch in batches {
                keys.insert(batch.iter().map(|(number, finished)| (key(*number), *finished)));
                batch.into_iter().for_each(|(number, finished)| *expected.entry(number).or_default() |= finished);
            }
            for number in 0..5_000 {
                prop_assert_eq!(keys.finished(key(number)), expected.get(&number).copied());
            }
            prop_assert!(keys.len() >= expected.len() && keys.len() <= expected.len() * 9 / 8 + SHARDS * SMALL_LEAST);
            prop_assert_eq!(total.load(Ordering::Relaxed), keys.len());
            drop(keys);
            prop_assert_eq!(total.load(Ordering::Relaxed), 0);
        }
    }
}
