//! Counting in Redis, for all processes of a cluster.

use std::time::Duration;

use async_trait::async_trait;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisResult, Script};
use spanlake_model::{Limit, Limits, TenantId};

use super::{Charge, LimitError, Limiter, Rule, Taken, charges};

/// A request does not wait longer for its limits than this.
const REPLY_WITHIN: Duration = Duration::from_millis(500);
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// Counts in Redis, by Redis's clock, in one script a request. A tenant's keys share a hash tag, so one node of a Redis
/// cluster holds them all; they vanish when nothing has been used for a while, which is the same as being full.
pub struct RedisLimiter {
    connection: ConnectionManager,
    script: Script,
    prefix: String,
    #[cfg(test)]
    clock: Option<std::sync::Arc<dyn spanlake_model::Clock>>,
}

impl RedisLimiter {
    /// Connects to `url` (`redis://…`, `redis+unix://…`); every key begins with `prefix`.
    ///
    /// # Errors
    /// When there is no Redis at this address: it was asked for, so going without would be wrong.
    pub async fn connect(url: &str, prefix: impl Into<String>) -> Result<Self, LimitError> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_WITHIN))
            .set_response_timeout(Some(REPLY_WITHIN))
            .set_number_of_retries(1);
        let client = Client::open(url).map_err(LimitError::Unavailable)?;
        let connection = ConnectionManager::new_with_config(client, config).await.map_err(LimitError::Unavailable)?;
        Ok(Self {
            connection,
            script: Script::new(include_str!("take.lua")),
            prefix: prefix.into(),
            #[cfg(test)]
            clock: None,
        })
    }

    #[cfg(not(test))]
    const fn now(&self) -> &'static str {
        ""
    }
    #[cfg(test)]
    fn now(&self) -> String {
        self.clock.as_ref().map_or_else(String::new, |clock| clock.now().as_micros().to_string())
    }

    fn key(&self, tenant: TenantId, limit: Limit) -> String {
        format!("{}:{{{tenant}}}:{}", self.prefix, limit.as_str())
    }

    /// As the script replies; see there.
    async fn run(&self, tenant: TenantId, charges: &[Charge]) -> RedisResult<Vec<u64>> {
        let mut call = self.script.prepare_invoke();
        call.arg(self.now());
        for charge in charges {
            let (rule, number) = match charge.rule {
                Rule::Bucket { rate } => ("bucket", rate),
                Rule::Log { most } => ("log", most),
            };
            call.key(self.key(tenant, charge.limit));
            call.arg(rule).arg(number).arg(charge.cost);
        }
        call.invoke_async(&mut self.connection.clone()).await
    }
}

#[async_trait]
impl Limiter for RedisLimiter {
    async fn take(&self, tenant: TenantId, limits: &Limits, costs: &[(Limit, u64)]) -> Taken {
        let charges = charges(limits, costs)?;
        if charges.is_empty() {
            return Ok(Vec::new());
        }
        let reply = self.run(tenant, &charges).await.map_err(LimitError::Unavailable)?;
        match reply[..] {
            // Standings are one number and pairs.
            [refused, wait_us] => {
                let at = usize::try_from(refused).unwrap_or(0).saturating_sub(1);
                Err(charges.get(at).unwrap_or(&charges[0]).exhausted(wait_us))
            }
            _ => {
                let (pairs, _) = reply.get(1..).unwrap_or_default().as_chunks::<2>();
                Ok(charges
                    .iter()
                    .zip(pairs)
                    .map(|(charge, [left, renewed])| charge.standing(*left, *renewed))
                    .collect())
            }
        }
    }

    async fn forget(&self, tenant: TenantId) -> Result<(), LimitError> {
        let mut delete = redis::cmd("DEL");
        for limit in Limit::ALL {
            delete.arg(self.key(tenant, limit));
        }
        delete.query_async::<()>(&mut self.connection.clone()).await.map_err(LimitError::Unavailable)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use spanlake_model::{Entropy, SystemEntropy};

    use super::*;
    use crate::limiter::conformance::{self, Hands, TestClock, tenant};

    async fn connect(prefix: &str) -> RedisLimiter {
        #[expect(clippy::disallowed_methods, reason = "tests are told by `make test` where Redis is")]
        let url = std::env::var("SPANLAKE_TEST_REDIS_URL")
            .expect("SPANLAKE_TEST_REDIS_URL is not set: these tests need Redis; run them through `make test`");
        RedisLimiter::connect(&url, prefix).await.unwrap()
    }
    fn fresh_prefix() -> String {
        let mut random = [0; 8];
        SystemEntropy.fill(&mut random);
        format!("spanlake-test-{}", hex::encode(random))
    }
    async fn subject() -> (RedisLimiter, Hands) {
        let clock = Arc::new(TestClock::default());
        let mut limiter = connect(&fresh_prefix()).await;
        limiter.clock = Some(Arc::clone(&clock) as _);
        (limiter, Hands(clock))
    }

    macro_rules! conforms {
        ($($guarantee:ident)*) => {$(
            #[tokio::test]
            async fn $guarantee() {
                let (limiter, hands) = subject().await;
                conformance::$guarantee(Arc::new(limiter), &hands).await;
            }
        )*};
    }
    conformance::guarantees!(conforms);

    #[tokio::test]
    async fn two_processes_share_one_count_by_the_clock_of_redis() {
        let prefix = fresh_prefix();
        let (one, two) = (connect(&prefix).await, connect(&prefix).await);
        let limits = Limits::default();
        for _ in 0..5 {
            one.take(tenant(1), &limits, &[(Limit::Exports, 1)]).await.unwrap();
            two.take(tenant(1), &limits, &[(Limit::Exports, 1)]).await.unwrap();
        }
        let eleventh = two.take(tenant(1), &limits, &[(Limit::Exports, 1)]).await.unwrap_err();
        let LimitError::Exhausted(exhausted) = eleventh else { panic!("{eleventh}") };
        let wait = exhausted.retry_after;
        assert!(Duration::from_secs(3_500) < wait && wait <= Duration::from_secs(3_600), "{wait:?}");
    }

    #[tokio::test]
    async fn every_key_has_an_end() {
        let limiter = connect(&fresh_prefix()).await;
        let costs = [(Limit::Requests, 1), (Limit::Spans, 1), (Limit::Bytes, 1), (Limit::Exports, 1)];
        limiter.take(tenant(1), &Limits::default(), &costs).await.unwrap();
        for (limit, _) in costs {
            let key = format!("{}:{{{}}}:{}", limiter.prefix, tenant(1), limit.as_str());
            let left_ms: i64 = redis::cmd("PTTL").arg(key).query_async(&mut limiter.connection.clone()).await.unwrap();
            assert!(left_ms > 0, "{limit:?}");
        }
    }

    #[tokio::test]
    async fn a_missing_redis_is_an_error_at_the_start() {
        let missing = RedisLimiter::connect("redis://127.0.0.1:1/", "x").await;
        assert!(matches!(missing.err(), Some(LimitError::Unavailable(_))));
    }
}
