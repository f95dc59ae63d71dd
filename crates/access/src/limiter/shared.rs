//! Counting for a cluster, and for each process by itself while what is shared is away.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use spanlake_model::{Clock, Limit, Limits, TenantId, Timestamp};

use super::{LimitError, Limiter, MemoryLimiter, Taken};

/// Once the shared counters could not be reached, they are left alone for so long: requests do not wait for them one by one.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Counts with `shared`; while that cannot be reached, each process gives its share of every limit by its own count.
///
/// Exports are always counted here as well, so those that passed before, during and after an outage are within one limit in one
/// process. Of several processes that let exports pass, each gives its share during an outage whatever the others gave before it.
pub struct SharedLimiter {
    shared: Arc<dyn Limiter>,
    local: MemoryLimiter,
    clock: Arc<dyn Clock>,
    processes: u32,
    /// Until when the shared counters are left alone; `None` while they answer.
    away_until: Mutex<Option<Timestamp>>,
}

impl SharedLimiter {
    /// Falls back from `shared` to `local`, of so many processes that do.
    pub fn new(shared: Arc<dyn Limiter>, local: MemoryLimiter, clock: Arc<dyn Clock>, processes: u32) -> Self {
        Self { shared, local, clock, processes: processes.max(1), away_until: Mutex::new(None) }
    }

    fn is_away(&self) -> bool {
        let now = self.clock.now();
        // A clock that went back must not keep them away for long.
        let away_until = *self.away_until.lock().unwrap_or_else(PoisonError::into_inner);
        away_until.is_some_and(|until| now < until && until <= now.plus(TRY_AGAIN_AFTER))
    }

    fn went_away(&self, error: &LimitError) {
        let until = self.clock.now().plus(TRY_AGAIN_AFTER);
        let mut away_until = self.away_until.lock().unwrap_or_else(PoisonError::into_inner);
        if away_until.replace(until).is_none() {
            let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            tracing::error!(
                limits.degraded = 1,
                cause,
                "the shared limits are away: this process gives its share of them"
            );
        }
    }

    fn came_back(&self) {
        let mut away_until = self.away_until.lock().unwrap_or_else(PoisonError::into_inner);
        if away_until.take().is_some() {
            tracing::info!(limits.degraded = 0, "the shared limits are back");
        }
    }

    /// What one process may give alone. A limit of one or more leaves at least one.
    fn share(&self, limits: &Limits) -> Limits {
        let of = |limit: u32| if limit == 0 { 0 } else { (limit / self.processes).max(1) };
        let bytes =
            if limits.bytes_per_second == 0 { 0 } else { (limits.bytes_per_second / u64::from(self.processes)).max(1) };
        Limits {
            requests_per_second: of(limits.requests_per_second),
            spans_per_second: of(limits.spans_per_second),
            bytes_per_second: bytes,
            exports_per_hour: of(limits.exports_per_hour),
            ..*limits
        }
    }
}

#[async_trait]
impl Limiter for SharedLimiter {
    async fn take(&self, tenant: TenantId, limits: &Limits, costs: &[(Limit, u64)]) -> Taken {
        if self.is_away() {
            return self.local.take(tenant, &self.share(limits), costs).await;
        }
        match self.shared.take(tenant, limits, costs).await {
            Err(error @ LimitError::Unavailable(_)) => {
                self.went_away(&error);
                self.local.take(tenant, &self.share(limits), costs).await
            }
            outcome => {
                self.came_back();
                let standings = outcome?;
                let exports: Vec<_> = costs.iter().copied().filter(|(limit, _)| *limit == Limit::Exports).collect();
                if !exports.is_empty() {
                    self.local.take(tenant, limits, &exports).await?;
                }
                Ok(standings)
            }
        }
    }

    async fn forget(&self, tenant: TenantId) -> Result<(), LimitError> {
        self.local.forget(tenant).await?;
        self.shared.forget(tenant).await
    }

    /// From the first call that failed to the first that did not.
    fn is_degraded(&self) -> bool {
        self.away_until.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;
    use crate::limiter::conformance::{self, Hands, TestClock, tenant};

    /// A limiter that can be cut off, or forget everything like a Redis that was restarted.
    struct Remote {
        inner: Mutex<Arc<MemoryLimiter>>,
        clock: Arc<TestClock>,
        is_cut: AtomicBool,
        calls: AtomicUsize,
    }

    impl Remote {
        fn restart(&self) {
            *self.inner.lock().unwrap() = Arc::new(MemoryLimiter::new(Arc::clone(&self.clock) as _, 100));
        }
        fn cut(&self, is_cut: bool) {
            self.is_cut.store(is_cut, Ordering::SeqCst);
        }
    }

    #[async_trait]
    impl Limiter for Remote {
        async fn take(&self, tenant: TenantId, limits: &Limits, costs: &[(Limit, u64)]) -> Taken {
            self.calls.fetch_add(1, Ordering::SeqCst);
            if self.is_cut.load(Ordering::SeqCst) {
                return Err(LimitError::Unavailable(redis::RedisError::from((redis::ErrorKind::Io, "cut"))));
            }
            let inner = Arc::clone(&*self.inner.lock().unwrap());
            inner.take(tenant, limits, costs).await
        }
        async fn forget(&self, tenant: TenantId) -> Result<(), LimitError> {
            let inner = Arc::clone(&*self.inner.lock().unwrap());
            inner.forget(tenant).await
        }
    }

    struct World {
        remote: Arc<Remote>,
        limiter: SharedLimiter,
        clock: Arc<TestClock>,
    }

    fn world(processes: u32) -> World {
        let clock = Arc::new(TestClock::default());
        let memory = || MemoryLimiter::new(Arc::clone(&clock) as _, 1_000);
        let remote = Arc::new(Remote {
            inner: Mutex::new(Arc::new(memory())),
            clock: Arc::clone(&clock),
            is_cut: AtomicBool::new(false),
            calls: AtomicUsize::new(0),
        });
        let limiter = SharedLimiter::new(Arc::clone(&remote) as _, memory(), Arc::clone(&clock) as _, processes);
        World { remote, limiter, clock }
    }

    impl World {
        async fn passes(&self, limit: Limit, attempts: usize) -> usize {
            let mut passed = 0;
            for _ in 0..attempts {
                let limits = Limits { spans_per_second: 100, ..Limits::default() };
                passed += usize::from(self.limiter.take(tenant(1), &limits, &[(limit, 1)]).await.is_ok());
            }
            passed
        }
    }

    macro_rules! conforms {
        ($($guarantee:ident)*) => {$(
            #[tokio::test]
            async fn $guarantee() {
                let World { limiter, clock, .. } = world(4);
                conformance::$guarantee(Arc::new(limiter), &Hands(clock)).await;
            }
        )*};
    }
    conformance::guarantees!(conforms);

    #[tokio::test]
    async fn ten_exports_pass_in_an_hour_whenever_the_shared_count_goes_and_comes() {
        let it = world(1);
        assert_eq!(it.passes(Limit::Exports, 4).await, 4);
        it.remote.cut(true);
        assert_eq!(it.passes(Limit::Exports, 3).await, 3);
        it.remote.cut(false);
        it.remote.restart();
        it.clock.advance_us(1_000_000);
        assert_eq!(it.passes(Limit::Exports, 20).await, 3, "and no more, though the shared count was lost");
    }

    #[tokio::test]
    async fn while_the_shared_count_is_away_each_process_gives_its_share_and_never_everything() {
        let it = world(4);
        it.remote.cut(true);
        assert_eq!(it.passes(Limit::Spans, 1_000).await, 50, "two seconds of a quarter of a hundred");
        assert_eq!(it.passes(Limit::Exports, 20).await, 2);
    }

    #[tokio::test]
    async fn what_is_away_is_tried_once_a_second_and_taken_up_again() {
        let it = world(4);
        it.remote.cut(true);
        it.passes(Limit::Spans, 20).await;
        assert_eq!(it.remote.calls.swap(0, Ordering::SeqCst), 1);
        it.clock.advance_us(1_000_000);
        it.passes(Limit::Spans, 20).await;
        assert_eq!(it.remote.calls.swap(0, Ordering::SeqCst), 1);
        assert!(it.limiter.is_degraded());
        it.remote.cut(false);
        it.clock.advance_us(1_000_000);
        assert!(it.limiter.is_degraded(), "as long as nobody has seen it back");
        assert_eq!(it.passes(Limit::Spans, 60).await, 60, "of the whole");
        assert!(!it.limiter.is_degraded());
        assert_eq!(it.remote.calls.load(Ordering::SeqCst), 60);
    }
}
