//! Limits per tenant: how much of what, and when more.
//!
//! Requests, spans and bytes have a token bucket that holds two seconds' worth and is full at first. Exports have an
//! exact sliding log: a bucket of ten that refills ten an hour would let twenty through in the first hour.
//!
//! A bucket counts in millionths of a token and microseconds, so that `rate` tokens a second are `rate` millionths a
//! microsecond: whole numbers throughout, below 2^53, the same in Rust and in Redis's Lua.

#[cfg(test)]
mod conformance;
mod memory;
mod redis;
mod shared;

pub use memory::MemoryLimiter;
pub use redis::RedisLimiter;
pub use shared::SharedLimiter;

use std::time::Duration;

use async_trait::async_trait;
use spanlake_model::{Code, Exhausted, Fault, Limit, Limits, Quota, Standing, TenantId};

/// What a bucket holds, in seconds at its rate.
const BURST_S: u64 = 2;
/// Over which exports are counted.
const EXPORT_WINDOW: Duration = Duration::from_secs(3_600);
/// 2^52 millionths in a bucket of two seconds: more a second is not told from this.
const RATE_MAX: u64 = (1 << 52) / 1_000_000 / BURST_S;

/// Why nothing was taken.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// One of the limits is used up for now. The time is exact: then, if nobody else takes, the same request passes.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
    /// It asks for more than the limit can ever give.
    #[error("{cost} {} at once is more than this account may ever send; the most is {most}", limit.as_str())]
    TooLarge {
        /// Which limit.
        limit: Limit,
        /// What was asked for.
        cost: u64,
        /// What would have passed.
        most: u64,
    },
    /// More tenants at once than this process keeps count of.
    #[error("too many tenants are active to keep count of them all")]
    Full,
    /// The counters cannot be reached.
    #[error("the limits cannot be counted")]
    Unavailable(#[source] ::redis::RedisError),
}

impl From<LimitError> for Fault {
    fn from(error: LimitError) -> Self {
        match error {
            LimitError::Exhausted(exhausted) => {
                let wait = exhausted.retry_after;
                let message = format!(
                    "The limit on {} is used up; try again in {} s.",
                    exhausted.limit.as_str(),
                    wait.as_millis().div_ceil(1_000).max(1)
                );
                let Exhausted { limit, most, window, .. } = exhausted;
                let quota = Quota { name: limit.as_str(), most, window };
                Self::new(Code::RateLimited, message).retry_after(wait).quota(quota)
            }
            LimitError::TooLarge { limit, cost, most } => Self::new(
                Code::PayloadTooLarge,
                format!(
                    "{cost} {} in one request is more than the limit allows; send {most} or fewer at once.",
                    limit.as_str()
                ),
            ),
            LimitError::Full | LimitError::Unavailable(_) => {
                tracing::error!(error = %error, cause = ?std::error::Error::source(&error), "limits are not counted");
                Self::unavailable("Limits cannot be checked right now; try again.")
            }
        }
    }
}

/// How each limit that was taken from stands then, or why nothing was taken.
pub type Taken = Result<Vec<Standing>, LimitError>;

/// Counts what tenants use.
#[async_trait]
pub trait Limiter: Send + Sync + 'static {
    /// Takes all of `costs`, or nothing. Answers how each limit that was taken from stands then.
    ///
    /// # Errors
    /// [`LimitError`]; of several limits that are used up, the one that takes longest.
    async fn take(&self, tenant: TenantId, limits: &Limits, costs: &[(Limit, u64)]) -> Taken;

    /// Forgets what a tenant has used: it is gone.
    ///
    /// # Errors
    /// [`LimitError::Unavailable`].
    async fn forget(&self, tenant: TenantId) -> Result<(), LimitError>;

    /// Whether it counts by itself what it should count with others.
    fn is_degraded(&self) -> bool {
        false
    }
}

/// One cost against one rule; what both implementations work on.
#[derive(Clone, Copy, Debug)]
struct Charge {
    limit: Limit,
    cost: u64,
    rule: Rule,
}

#[derive(Clone, Copy, Debug)]
enum Rule {
    /// So many a second, two seconds' worth at once.
    Bucket { rate: u64 },
    /// So many in any window.
    Log { most: u64 },
}

/// What is to be taken: one charge per limit that costs something, and none that could never pass.
fn charges(limits: &Limits, costs: &[(Limit, u64)]) -> Result<Vec<Charge>, LimitError> {
    let mut charges: Vec<Charge> = Vec::with_capacity(costs.len());
    for &(limit, cost) in costs.iter().filter(|(_, cost)| *cost > 0) {
        match charges.iter_mut().find(|charge| charge.limit == limit) {
            Some(charge) => charge.cost = charge.cost.saturating_add(cost),
            None => charges.push(Charge { limit, cost, rule: Rule::of(limit, limits) }),
        }
    }
    match charges.iter().find(|charge| charge.cost > charge.rule.most()) {
        Some(charge) => Err(LimitError::TooLarge { limit: charge.limit, cost: charge.cost, most: charge.rule.most() }),
        None => Ok(charges),
    }
}

impl Rule {
    fn of(limit: Limit, limits: &Limits) -> Self {
        let bucket = |rate: u64| Self::Bucket { rate: rate.min(RATE_MAX) };
        match limit {
            Limit::Requests => bucket(limits.requests_per_second.into()),
            Limit::Spans => bucket(limits.spans_per_second.into()),
            Limit::Bytes => bucket(limits.bytes_per_second),
            Limit::Exports => Self::Log { most: limits.exports_per_hour.into() },
        }
    }
    /// The most that can be taken at once.
    const fn most(self) -> u64 {
        match self {
            Self::Bucket { rate } => rate * BURST_S,
            Self::Log { most } => most,
        }
    }
}

impl Charge {
    fn quota(&self) -> Quota {
        let (most, window) = match self.rule {
            Rule::Bucket { rate } => (rate, Duration::from_secs(1)),
            Rule::Log { most } => (most, EXPORT_WINDOW),
        };
        Quota { name: self.limit.as_str(), most, window }
    }
    fn exhausted(&self, wait_us: u64) -> LimitError {
        let Quota { most, window, .. } = self.quota();
        let retry_after = Duration::from_micros(wait_us);
        LimitError::Exhausted(Exhausted { limit: self.limit, most, window, retry_after })
    }
    fn standing(&self, left: u64, renewed_in_us: u64) -> Standing {
        Standing { quota: self.quota(), left, renewed_in: Duration::from_micros(renewed_in_us) }
    }
}
