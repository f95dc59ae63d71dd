//! Settings of the auth service.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use spanlake_model::Limits;

/// Settings of the auth service.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long an access token is good for. It is verified without asking anyone, so keep it short.
    #[serde(with = "spanlake_transport::config::duration")]
    pub access_token: Duration,
    /// How long a refresh token is good for when it is not used.
    #[serde(with = "spanlake_transport::config::duration")]
    pub refresh_token: Duration,
    /// How long one login lasts however often it is refreshed.
    #[serde(with = "spanlake_transport::config::duration")]
    pub session: Duration,
    /// How long one key signs access tokens before the next does, by itself; an hour at the least.
    #[serde(with = "spanlake_transport::config::duration")]
    pub signing_key: Duration,
    /// Proxies before the HTTP port that write `X-Forwarded-For`; 0: clients connect to it themselves. Whose address slows down
    /// guessing and goes on record depends on it.
    pub proxies: u8,
    /// The most that an owner may set as their tenant's limits.
    pub limits_max: Limits,
    /// Apps that a tenant may have.
    pub apps_max: u64,
    /// Agents that a tenant may have, in all of its apps.
    pub agents_max: u64,
    /// Keys that a tenant may have; those that were revoked or have expired do not count.
    pub keys_max: u64,
    /// People that a tenant may have.
    pub members_max: u64,
    /// Whether strangers may sign up: `open` or `closed`. Closed, people come in by invitation alone; so sign up first.
    pub signup: SignUp,
    /// What hashing a password costs.
    pub argon2: Argon2Config,
    /// Passwords hashed at once, half of them for sign-ups at most. Each takes `argon2.memory_kib` of memory and a thread.
    pub hashing_permits: u32,
    /// Logins that wait for a permit. One more is refused with 503.
    pub hashing_queue_max: u32,
}

/// Whether strangers may sign up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignUp {
    /// Anybody makes themselves a tenant.
    #[default]
    Open,
    /// Nobody does.
    Closed,
}

/// What hashing a password costs. The default is the least that OWASP's password storage cheat sheet recommends.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Argon2Config {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

const DAY: Duration = Duration::from_secs(86_400);

impl Default for Config {
    fn default() -> Self {
        Self {
            access_token: Duration::from_secs(600),
            refresh_token: 7 * DAY,
            session: 30 * DAY,
            signing_key: 30 * DAY,
            proxies: 0,
            limits_max: Limits {
                requests_per_second: u32::MAX,
                spans_per_second: u32::MAX,
                bytes_per_second: i64::MAX.unsigned_abs(),
                exports_per_hour: Limits::default().exports_per_hour,
                spans_per_month: None,
                queries_at_once: None,
            },
            apps_max: 1_000,
            agents_max: 10_000,
            keys_max: 10_000,
            members_max: 10_000,
            signup: SignUp::Open,
            argon2: Argon2Config::default(),
            hashing_permits: 4,
            hashing_queue_max: 100,
        }
    }
}

impl Default for Argon2Config {
    fn default() -> Self {
        Self { memory_kib: 19 * 1_024, iterations: 2, parallelism: 1 }
    }
}
