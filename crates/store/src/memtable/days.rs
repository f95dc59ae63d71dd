//! The keys in one day's data files, as hashes.

mod run;
mod shard;

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spanlake_model::SpanKey;

use run::Run;
use shard::Shards;

/// Which keys a tenant's files of one day may hold, and whether each had ended: 8 bytes a key, in memory until they
/// [rest](Self::rest), then on disk, with a byte or two for each in memory and 64 MiB at the most.
///
/// Keys are kept as 63-bit hashes. Two that share one are not told apart: then a key is called superseded that need not be,
/// which hides nothing, since hiding compares whole keys; or an unfinished span is taken for a late version of another that
/// has ended. (At ten million keys that is one chance in a trillion a row; the hash is seeded by chance.)
#[derive(Debug)]
pub struct DayKeys {
    hasher: RandomState,
    held: Mutex<Held>,
    /// One at a time moves keys to the disk.
    moving: Mutex<()>,
    /// What it holds in memory, in keys of 9 bytes, and what all do that share the count.
    weight: AtomicUsize,
    total: Arc<AtomicUsize>,
}

/// A key is in one of them, or in several.
#[derive(Debug, Default)]
struct Held {
    shards: Shards,
    /// On their way to the disk.
    leaving: Option<Arc<Shards>>,
    /// Oldest first, each more than twice as large as the next.
    runs: Vec<Arc<Run>>,
}

/// What a key in memory takes, the room for new ones included.
const KEY_BYTES: usize = 9;

impl DayKeys {
    /// None yet; `total` counts what all days hold together.
    pub fn new(total: Arc<AtomicUsize>) -> Self {
        Self {
            hasher: RandomState::new(),
            held: Mutex::default(),
            moving: Mutex::default(),
            weight: AtomicUsize::new(0),
            total,
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes keys of a file, each with whether its span has ended; once ended, always ended.
    pub fn insert(&self, keys: impl IntoIterator<Item = (SpanKey, bool)>) {
        let entries: Vec<_> = keys.into_iter().map(|(key, finished)| self.hash(key) | u64::from(finished)).collect();
        let mut held = self.held();
        held.shards.insert(entries);
        self.weigh(&held);
    }

    /// Whether the key may be there, and had ended. One that cannot be looked up, because the disk refuses, may be there.
    pub fn finished(&self, key: SpanKey) -> Option<bool> {
        let hash = self.hash(key);
        let held = self.held();
        let in_memory =
            std::iter::once(&held.shards).chain(held.leaving.as_deref()).map(|shards| shards.finished(hash));
        let on_disk = held.runs.iter().map(|run| run.finished(hash).unwrap_or_else(unread));
        in_memory.chain(on_disk).flatten().reduce(|one, other| one | other)
    }

    /// Moves the keys in memory into a file of this folder, which has no name and goes with them; joins files, so that few are
    /// looked into. Blocks for as long as that takes; who asks for keys meanwhile need not wait.
    ///
    /// # Errors
    /// The disk refuses. The keys stay where they are.
    pub fn rest(&self, folder: &Path) -> io::Result<()> {
        let _one = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(leaving) = self.leave() else { return Ok(()) };
        let written = Run::write(folder, leaving.entries(), leaving.len());
        self.left(&leaving, written)?;
        while let Some((one, other)) = self.alike() {
            let merged = Run::merge(folder, &one, &other)?;
            self.joined(merged);
        }
        Ok(())
    }

    fn leave(&self) -> Option<Arc<Shards>> {
        let mut held = self.held();
        if held.shards.is_empty() {
            return None;
        }
        held.leaving = Some(Arc::new(std::mem::take(&mut held.shards)));
        held.leaving.clone()
    }

    fn left(&self, leaving: &Shards, written: io::Result<Run>) -> io::Result<()> {
        let mut held = self.held();
        held.leaving = None;
        let outcome = match written {
            Ok(run) => {
                held.runs.push(Arc::new(run));
                Ok(())
            }
            Err(error) => {
                held.shards.insert(leaving.entries().collect());
                Err(error)
            }
        };
        self.weigh(&held);
        outcome
    }

    /// The two newest runs, when the newest is half as large as the one before: so there are few, and a key is written few times.
    fn alike(&self) -> Option<(Arc<Run>, Arc<Run>)> {
        let held = self.held();
        let [.., one, other] = held.runs.as_slice() else { return None };
        (one.len() <= 2 * other.len()).then(|| (one.clone(), other.clone()))
    }

    fn joined(&self, merged: Run) {
        let mut held = self.held();
        let kept = held.runs.len() - 2;
        held.runs.truncate(kept);
        held.runs.push(Arc::new(merged));
        self.weigh(&held);
    }

    fn weigh(&self, held: &Held) {
        let leaving = held.leaving.as_ref().map_or(0, |shards| shards.len());
        let runs: usize = held.runs.iter().map(|run| run.bytes() / KEY_BYTES).sum();
        let after = held.shards.len() + leaving + runs;
        let before = self.weight.swap(after, Ordering::Relaxed);
        self.total.fetch_add(after.saturating_sub(before), Ordering::Relaxed);
        self.total.fetch_sub(before.saturating_sub(after), Ordering::Relaxed);
    }

    /// Keys that could rest, about: one that was noted twice may count twice.
    pub fn awake(&self) -> usize {
        self.held().shards.len()
    }

    /// The lowest bit is free for whether the span has ended.
    fn hash(&self, key: SpanKey) -> u64 {
        self.hasher.hash_one(key) & !1
    }
}

/// As if it were there and had not ended: then the newcomer is kept, and hides what may be there.
fn unread(error: io::Error) -> Option<bool> {
    tracing::error!(
        error = &error as &dyn std::error::Error,
        "could not read keys that rest on disk; a span may be taken for one that was sent before"
    );
    Some(false)
}

impl Default for DayKeys {
    fn default() -> Self {
        Self::new(Arc::default())
    }
}

impl Drop for DayKeys {
    fn drop(&mut self) {
        self.total.fetch_sub(self.weight.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use spanlake_model::{AppId, SpanId, TraceId};
    use std::collections::HashMap;
    use std::sync::atomic::AtomicBool;

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
        fn what_was_noted_is_known_and_nothing_else_in_memory_and_on_disk(
            batches in prop::collection::vec(
                (prop::collection::vec((0..5_000_u64, any::<bool>()), 0..2_000), prop::bool::weighted(0.3)), 0..12
            )
        ) {
            let total = Arc::new(AtomicUsize::new(0));
            let keys = DayKeys::new(total.clone());
            let mut expected = HashMap::<u64, bool>::new();
            for (batch, rests) in batches {
                keys.insert(batch.iter().map(|(number, finished)| (key(*number), *finished)));
                batch.into_iter().for_each(|(number, finished)| *expected.entry(number).or_default() |= finished);
                if rests {
                    keys.rest(&std::env::temp_dir()).unwrap();
                    prop_assert_eq!(keys.awake(), 0);
                }
            }
            for number in 0..5_000 {
                prop_assert_eq!(keys.finished(key(number)), expected.get(&number).copied());
            }
            let on_disk: usize = keys.held().runs.iter().map(|run| run.len()).sum();
            let all = on_disk + keys.awake();
            prop_assert!(all >= expected.len() && all <= 3 * expected.len() + 256 * 64, "{} for {}", all, expected.len());
            prop_assert_eq!(total.load(Ordering::Relaxed), keys.weight.load(Ordering::Relaxed));
            drop(keys);
            prop_assert_eq!(total.load(Ordering::Relaxed), 0);
        }
    }

    #[test]
    fn a_large_day_rests_in_few_runs_and_little_memory() {
        let total = Arc::new(AtomicUsize::new(0));
        let keys = DayKeys::new(total.clone());
        let (rounds, each) = (40, 20_000);
        for round in 0..rounds {
            keys.insert((0..each).map(|number| (key(round * each + number), number % 2 == 0)));
            keys.rest(&std::env::temp_dir()).unwrap();
        }
        let lengths: Vec<_> = keys.held().runs.iter().map(|run| run.len()).collect();
        assert!(lengths.len() <= 6 && lengths.iter().sum::<usize>() == (rounds * each) as usize, "{lengths:?}");
        assert!(lengths.windows(2).all(|two| two[0] > 2 * two[1]), "{lengths:?}");
        assert!(total.load(Ordering::Relaxed) <= (rounds * each) as usize / 4, "{total:?}");
        let known = (0..rounds * each).step_by(97).all(|number| keys.finished(key(number)) == Some(number % 2 == 0));
        assert!(
            known && (rounds * each..2 * rounds * each).step_by(97).all(|number| keys.finished(key(number)).is_none())
        );
    }

    #[test]
    fn keys_stay_where_they_are_when_the_disk_refuses() {
        let keys = DayKeys::default();
        keys.insert((0..100).map(|number| (key(number), true)));
        keys.rest(Path::new("/nowhere/at/all")).unwrap_err();
        assert_eq!((keys.awake(), keys.finished(key(7))), (100, Some(true)));
    }

    #[test]
    fn keys_are_known_while_they_move() {
        let (keys, done) = (DayKeys::default(), AtomicBool::new(false));
        let note = |round: u64| keys.insert((0..5_000).map(|number| (key(round * 5_000 + number), true)));
        note(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..20 {
                    keys.rest(&std::env::temp_dir()).unwrap();
                    note(round);
                }
                done.store(true, Ordering::Release);
            });
            while !done.load(Ordering::Acquire) {
                assert!((0..5_000).step_by(100).all(|number| keys.finished(key(number)) == Some(true)));
            }
        });
        assert!((0..100_000).step_by(501).all(|number| keys.finished(key(number)) == Some(true)));
    }
}
