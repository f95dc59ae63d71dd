//! The two ways to the outside world: what time it is, and random bytes.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::time::Timestamp;

/// Tells the time. Passed in, so that tests can move it.
pub trait Clock: Send + Sync + 'static {
    /// Wall-clock time, UTC. It may jump; order what was received by log sequence, not by this.
    fn now(&self) -> Timestamp;
}

/// Gives bytes nobody can guess. Passed in, so that tests can repeat them.
pub trait Entropy: Send + Sync + 'static {
    /// Fills all of `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_nanos(i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX))
    }
}

/// The operating system's random source.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine for randomness")]
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(6) {
            // Bytes 0..6 of a version-4 UUID are all random; 6 and 8 hold version and variant.
            let random = uuid::Uuid::new_v4();
            chunk.copy_from_slice(&random.as_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_of_randomness_differ() {
        let (mut one, mut two) = ([0; 32], [0; 32]);
        SystemEntropy.fill(&mut one);
        SystemEntropy.fill(&mut two);
        assert_ne!(one, two);
    }
}
