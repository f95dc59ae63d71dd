//! A cache before one question to auth.

use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::future::Cache;
use spanlake_model::{Clock, Fault, FaultKind, Timestamp};

use super::away::Away;

/// Answers stay this long, counted from when they were asked for and never from when they were last used: what is
/// revoked or removed ends within it.
pub(super) const GOOD_FOR: Duration = Duration::from_secs(10);
/// Refusals stay this long: what has just been made works soon, and garbage costs one call in this time.
pub(super) const REFUSED_FOR: Duration = Duration::from_secs(2);

/// While auth is away, what is known is good for this long before auth is tried again: known callers wait for one failing call
/// in this time, not for one each request.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// While auth is away, the log says so at most once in this time for each kind of thing remembered.
const SAY_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Remembers what auth said of each `K`. Requests that ask the same thing at once share one call.
///
/// All caches are bounded; at the bound the least used entry goes and is asked for again. Answers and refusals have
/// one each, so that garbage pushes no caller out. While auth is away, its last answer stands for `while_away`, counted
/// from when it was asked for; a refusal ends it at once. An error that says nothing of `K` is not remembered.
pub(super) struct Remembered<K, V> {
    known: Cache<K, Aged<V>>,
    last: Cache<K, Aged<V>>,
    refused: Cache<K, Aged<Fault>>,
    while_away: Duration,
    away: Arc<Away>,
    /// When the log last said that auth is away.
    said_at: Mutex<Option<Timestamp>>,
    clock: Arc<dyn Clock>,
}

#[derive(Clone)]
struct Aged<T> {
    value: T,
    asked_at: Timestamp,
    good_until: Timestamp,
    /// Auth did not say so again when it should have.
    stands_in: bool,
}

impl<T> Aged<T> {
    /// The cache drops entries by the machine's monotonic clock; this holds them to the clock we were given as well.
    fn is_good(&self, now: Timestamp) -> bool {
        self.asked_at <= now && now < self.good_until
    }
}

impl<K, V> Remembered<K, V>
where
    K: Hash + Eq + Copy + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(super) fn new(
        known_max: u64,
        refused_max: u64,
        while_away: Duration,
        clock: Arc<dyn Clock>,
        away: Arc<Away>,
    ) -> Self {
        Self {
            known: Cache::builder().max_capacity(known_max).time_to_live(GOOD_FOR).build(),
            last: Cache::builder().max_capacity(known_max).time_to_live(while_away).build(),
            while_away,
            away,
            said_at: Mutex::new(None),
            refused: Cache::builder().max_capacity(refused_max).time_to_live(REFUSED_FOR).build(),
            clock,
        }
    }

    /// What is known of `key`, or else what `ask` answers.
    pub(super) async fn get(&self, key: K, ask: impl Future<Output = Result<V, Fault>>) -> Result<V, Fault> {
        let now = self.clock.now();
        if let Some(answer) = good(&self.known, key, now).await {
            return Ok(self.told(answer));
        }
        if let Some(refusal) = good(&self.refused, key, now).await {
            return Err(refusal.value);
        }
        match self.known.try_get_with(key, self.load(key, ask)).await {
            Ok(answer) => Ok(self.told(answer)),
            Err(fault) => Err(self.refuse(key, now, (*fault).clone()).await),
        }
    }

    fn told(&self, answer: Aged<V>) -> V {
        if answer.stands_in {
            self.away.was_stood_in_for();
        }
        answer.value
    }

    /// Asks, one request at a time for each key: so a refusal cannot be overtaken by an older answer.
    async fn load(&self, key: K, ask: impl Future<Output = Result<V, Fault>>) -> Result<Aged<V>, Fault> {
        let asked_at = self.clock.now();
        match ask.await {
            Ok(value) => {
                self.away.answered();
                let fresh = Aged { value, asked_at, good_until: asked_at.plus(GOOD_FOR), stands_in: false };
                let last = Aged { good_until: asked_at.plus(self.while_away), ..fresh.clone() };
                self.last.insert(key, last).await;
                Ok(fresh)
            }
            Err(fault) if is_refusal(&fault) => {
                self.away.answered();
                self.last.invalidate(&key).await;
                Err(fault)
            }
            Err(fault) => {
                self.away.failed();
                let now = self.clock.now();
                let last = self.last.get(&key).await.filter(|last| last.is_good(now)).ok_or(fault)?;
                self.say_away(now, last.asked_at);
                let good_until = last.good_until.min(now.plus(TRY_AGAIN_AFTER));
                Ok(Aged { asked_at: now, good_until, stands_in: true, ..last })
            }
        }
    }

    /// Asks again next time, and lets nothing stand in for the answer. A request that was asking meanwhile may still leave the
    /// old one, for ten seconds or, if auth goes away just then, for `while_away`.
    pub(super) async fn forget(&self, key: K) {
        for answers in [&self.known, &self.last] {
            answers.invalidate(&key).await;
        }
        self.refused.invalidate(&key).await;
    }

    /// Asks again for everything.
    pub(super) fn forget_all(&self) {
        for answers in [&self.known, &self.last] {
            answers.invalidate_all();
        }
        self.refused.invalidate_all();
    }

    fn say_away(&self, now: Timestamp, asked_at: Timestamp) {
        let mut said_at = self.said_at.lock().unwrap_or_else(PoisonError::into_inner);
        if said_at.is_some_and(|said| said <= now && now < said.plus(SAY_AGAIN_AFTER)) {
            return;
        }
        *said_at = Some(now);
        tracing::warn!(access.asked_at = %asked_at, "auth is away: known callers go on with its last answers");
    }

    async fn refuse(&self, key: K, asked_at: Timestamp, fault: Fault) -> Fault {
        if is_refusal(&fault) {
            let good_until = asked_at.plus(REFUSED_FOR);
            let refusal = Aged { value: fault.clone(), asked_at, good_until, stands_in: false };
            self.refused.insert(key, refusal).await;
        }
        fault
    }
}

/// Whether auth said no, rather than nothing.
fn is_refusal(fault: &Fault) -> bool {
    matches!(fault.kind(), FaultKind::Unauthenticated | FaultKind::NotFound)
}

async fn good<K, T>(cache: &Cache<K, Aged<T>>, key: K, now: Timestamp) -> Option<Aged<T>>
where
    K: Hash + Eq + Copy + Send + Sync + 'static,
    T: Clone + Send + Sync + 'static,
{
    let aged = cache.get(&key).await?;
    if aged.is_good(now) {
        return Some(aged);
    }
    cache.invalidate(&key).await;
    None
}
