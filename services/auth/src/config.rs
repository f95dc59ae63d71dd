//! Settings of the auth service.

use std::time::Duration;

use serde::{Deserialize, Serialize};

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
    /// What hashing a password costs.
    pub argon2: Argon2Config,
    /// Passwords hashed at once. Each takes `argon2.memory_kib` of memory and a thread.
    pub hashing_permits: u32,
    /// Logins that wait for a permit. One more is refused with 503.
    pub hashing_queue_max: u32,
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
