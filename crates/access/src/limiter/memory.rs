//! Counting in this process.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use spanlake_model::{Clock, Limit, Limits, Standing, TenantId};

use super::{BURST_S, Charge, EXPORT_WINDOW, LimitError, Limiter, Rule, Taken, charges};

const SECOND_US: u64 = 1_000_000;
const WINDOW_US: u64 = EXPORT_WINDOW.as_secs() * SECOND_US;

/// Counts in this process. Right when it is the only one; a cluster counts in Redis.
///
/// Bounded: a tenant who has not used anything lately is forgotten, which changes nothing, since their buckets are
/// full and their log is empty. When more tenants than the bound are active, new ones are refused.
pub struct MemoryLimiter {
    clock: Arc<dyn Clock>,
    tenants_max: usize,
    tenants: Mutex<HashMap<TenantId, Counters>>,
}

#[derive(Default)]
struct Counters {
    buckets: HashMap<Limit, Bucket>,
    exports: VecDeque<u64>,
    used_at_us: u64,
}

/// A bucket never used is full.
#[derive(Clone, Copy, Default)]
struct Bucket {
    /// How many millionths of a token it holds, and when; none when full.
    held: Option<(u64, u64)>,
}

impl MemoryLimiter {
    /// Counts for at most so many active tenants.
    pub fn new(clock: Arc<dyn Clock>, tenants_max: usize) -> Self {
        Self { clock, tenants_max, tenants: Mutex::new(HashMap::new()) }
    }
}

#[async_trait]
impl Limiter for MemoryLimiter {
    async fn take(&self, tenant: TenantId, limits: &Limits, costs: &[(Limit, u64)]) -> Taken {
        let charges = charges(limits, costs)?;
        let now_us = u64::try_from(self.clock.now().as_micros()).unwrap_or(0);
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if tenants.len() >= self.tenants_max && !tenants.contains_key(&tenant) {
            tenants.retain(|_, counters| !counters.is_idle(now_us));
            if tenants.len() >= self.tenants_max {
                return Err(LimitError::Full);
            }
        }
        tenants.entry(tenant).or_default().take(now_us, &charges)
    }

    async fn forget(&self, tenant: TenantId) -> Result<(), LimitError> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner).remove(&tenant);
        Ok(())
    }
}

impl Counters {
    fn take(&mut self, now_us: u64, charges: &[Charge]) -> Taken {
        let waits = charges.iter().map(|charge| (charge, self.wait_us(now_us, charge)));
        let longest = waits.filter(|(_, wait)| *wait > 0).max_by_key(|(_, wait)| *wait);
        if let Some((charge, wait_us)) = longest {
            return Err(charge.exhausted(wait_us));
        }
        self.used_at_us = now_us;
        Ok(charges.iter().map(|charge| self.charge(now_us, charge)).collect())
    }
    /// After how long the charge would pass; zero when it does now.
    fn wait_us(&mut self, now_us: u64, charge: &Charge) -> u64 {
        match charge.rule {
            Rule::Bucket { rate } => self.buckets.entry(charge.limit).or_default().wait_us(now_us, rate, charge.cost),
            Rule::Log { most } => {
                self.exports.retain(|at| at + WINDOW_US > now_us);
                // So many of the oldest must leave the window first.
                let too_many = (self.exports.len() as u64 + charge.cost).saturating_sub(most);
                let last_to_leave = too_many.checked_sub(1).and_then(|at| self.exports.get(at as usize));
                last_to_leave.map_or(0, |at| at + WINDOW_US - now_us)
            }
        }
    }
    fn charge(&mut self, now_us: u64, charge: &Charge) -> Standing {
        let (left, renewed_in_us) = match charge.rule {
            Rule::Bucket { rate } => self.buckets.entry(charge.limit).or_default().charge(now_us, rate, charge.cost),
            Rule::Log { most } => {
                self.exports.extend((0..charge.cost).map(|_| now_us));
                let oldest = self.exports.front().copied().unwrap_or(now_us);
                (most.saturating_sub(self.exports.len() as u64), oldest + WINDOW_US - now_us)
            }
        };
        charge.standing(left, renewed_in_us)
    }
    /// Whether forgetting it changes nothing.
    fn is_idle(&self, now_us: u64) -> bool {
        let refilled = self.used_at_us + BURST_S * SECOND_US <= now_us;
        refilled && self.exports.back().is_none_or(|at| at + WINDOW_US <= now_us)
    }
}

impl Bucket {
    /// Millionths of a token in it. A clock that went back refills nothing, and time counts again from there.
    fn level(&mut self, now_us: u64, rate: u64) -> u64 {
        let full = rate * BURST_S * SECOND_US;
        let Some((level, at_us)) = &mut self.held else { return full };
        *at_us = now_us.min(*at_us);
        let elapsed_us = (now_us - *at_us).min(BURST_S * SECOND_US);
        (*level + elapsed_us * rate).min(full)
    }
    fn wait_us(&mut self, now_us: u64, rate: u64, cost: u64) -> u64 {
        (cost * SECOND_US).saturating_sub(self.level(now_us, rate)).div_ceil(rate.max(1))
    }
    /// Answers how many whole tokens are left, and when it is full again.
    fn charge(&mut self, now_us: u64, rate: u64, cost: u64) -> (u64, u64) {
        let level = self.level(now_us, rate).saturating_sub(cost * SECOND_US);
        self.held = Some((level, now_us));
        (level / SECOND_US, (rate * BURST_S * SECOND_US - level).div_ceil(rate.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use spanlake_model::SystemClock;

    use super::*;
    use crate::limiter::conformance::{self, Hands, TestClock, tenant};

    fn subject() -> (MemoryLimiter, Hands) {
        let clock = Arc::new(TestClock::default());
        (MemoryLimiter::new(Arc::clone(&clock) as _, 1_000), Hands(clock))
    }

    macro_rules! conforms {
        ($($guarantee:ident)*) => {$(
            #[tokio::test]
            async fn $guarantee() {
                let (limiter, hands) = subject();
                conformance::$guarantee(Arc::new(limiter), &hands).await;
            }
        )*};
    }
    conformance::guarantees!(conforms);

    #[tokio::test]
    async fn more_active_tenants_than_the_bound_are_refused_and_idle_ones_make_room() {
        let clock = Arc::new(TestClock::default());
        let limiter = MemoryLimiter::new(Arc::clone(&clock) as _, 2);
        let limits = Limits::default();
        limiter.take(tenant(1), &limits, &[(Limit::Exports, 1)]).await.unwrap();
        limiter.take(tenant(2), &limits, &[(Limit::Spans, 1)]).await.unwrap();
        let third = limiter.take(tenant(3), &limits, &[(Limit::Spans, 1)]).await;
        assert!(matches!(third, Err(LimitError::Full)));
        clock.advance_us(2 * SECOND_US);
        limiter.take(tenant(3), &limits, &[(Limit::Spans, 1)]).await.unwrap();
        let first = limiter.take(tenant(1), &limits, &[(Limit::Exports, 10)]).await;
        assert!(matches!(first, Err(LimitError::Exhausted(_))), "its export is still counted");
    }

    #[tokio::test]
    async fn the_machines_clock_will_do() {
        let limiter = MemoryLimiter::new(Arc::new(SystemClock), 10);
        limiter.take(tenant(1), &Limits::default(), &[(Limit::Requests, 1)]).await.unwrap();
    }
}
