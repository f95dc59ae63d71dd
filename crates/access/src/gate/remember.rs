//! A cache before one question to auth.

use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use spanlake_model::{Clock, Fault, FaultKind, Timestamp};

/// Answers stay this long, counted from when they were asked for and never from when they were last used: what is
/// revoked or removed ends within it.
pub(super) const GOOD_FOR: Duration = Duration::from_secs(10);
/// Refusals stay this long: what has just been made works soon, and garbage costs one call in this time.
pub(super) const REFUSED_FOR: Duration = Duration::from_secs(2);

/// Remembers what auth said of each `K`. Requests that ask the same thing at once share one call.
///
/// Both caches are bounded; at the bound the least used entry goes and is asked for again. Answers and refusals have
/// one each, so that garbage pushes no caller out. An error that says nothing of `K` is not remembered: this is where
/// going on with what is known, while auth is away, will belong.
pub(super) struct Remembered<K, V> {
    known: Cache<K, Aged<V>>,
    refused: Cache<K, Aged<Fault>>,
    clock: Arc<dyn Clock>,
}

#[derive(Clone)]
struct Aged<T> {
    value: T,
    asked_at: Timestamp,
}

impl<T> Aged<T> {
    /// The cache drops entries by the machine's monotonic clock; this holds them to the clock we were given as well.
    fn is_fresh(&self, now: Timestamp, good_for: Duration) -> bool {
        self.asked_at <= now && now < self.asked_at.plus(good_for)
    }
}

impl<K, V> Remembered<K, V>
where
    K: Hash + Eq + Copy + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(super) fn new(known_max: u64, refused_max: u64, clock: Arc<dyn Clock>) -> Self {
        Self {
            known: Cache::builder().max_capacity(known_max).time_to_live(GOOD_FOR).build(),
            refused: Cache::builder().max_capacity(refused_max).time_to_live(REFUSED_FOR).build(),
            clock,
        }
    }

    /// What is known of `key`, or else what `ask` answers.
    pub(super) async fn get(&self, key: K, ask: impl Future<Output = Result<V, Fault>>) -> Result<V, Fault> {
        let now = self.clock.now();
        if let Some(answer) = fresh(&self.known, key, now, GOOD_FOR).await {
            return Ok(answer);
        }
        if let Some(refusal) = fresh(&self.refused, key, now, REFUSED_FOR).await {
            return Err(refusal);
        }
        let asking = async { Ok::<_, Fault>(Aged { asked_at: self.clock.now(), value: ask.await? }) };
        match self.known.try_get_with(key, asking).await {
            Ok(answer) => Ok(answer.value),
            Err(fault) => Err(self.refuse(key, now, (*fault).clone()).await),
        }
    }

    /// Asks again next time.
    pub(super) async fn forget(&self, key: K) {
        self.known.invalidate(&key).await;
        self.refused.invalidate(&key).await;
    }

    async fn refuse(&self, key: K, asked_at: Timestamp, fault: Fault) -> Fault {
        if matches!(fault.kind(), FaultKind::Unauthenticated | FaultKind::NotFound) {
            self.refused.insert(key, Aged { value: fault.clone(), asked_at }).await;
        }
        fault
    }
}

async fn fresh<K, T>(cache: &Cache<K, Aged<T>>, key: K, now: Timestamp, good_for: Duration) -> Option<T>
where
    K: Hash + Eq + Copy + Send + Sync + 'static,
    T: Clone + Send + Sync + 'static,
{
    let aged = cache.get(&key).await?;
    if aged.is_fresh(now, good_for) {
        return Some(aged.value);
    }
    cache.invalidate(&key).await;
    None
}
