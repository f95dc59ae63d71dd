//! Waiting for a condition.

use std::future::Future;
use std::time::{Duration, Instant};

/// Far beyond what a slow machine needs; a test that gets here has failed.
const DEADLINE: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// What `look` finds, as soon as it finds something. `what` says in a failure what did not come.
pub async fn eventually<T, F>(what: &str, look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    eventually_within(DEADLINE, what, look).await
}

/// As [`eventually`], where the deadline is itself the promise: what is looked at after it must be there.
pub async fn eventually_within<T, F>(deadline: Duration, what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let (started, mut pause) = (Instant::now(), FIRST_PAUSE);
    loop {
        // Before the look: one that begins in time and ends late has seen the time before the deadline.
        let is_last = started.elapsed() >= deadline;
        if let Some(found) = look().await {
            return found;
        }
        assert!(!is_last, "not within {deadline:?}: {what}");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_is_looked_at_until_it_holds() {
        let mut looks = 0;
        let found = eventually("the third look", || {
            looks += 1;
            std::future::ready((looks == 3).then_some("found"))
        });
        assert_eq!(found.await, "found");
    }

    #[tokio::test]
    #[should_panic(expected = "a thing that never comes")]
    async fn what_never_comes_fails_with_its_name() {
        eventually_within(Duration::ZERO, "a thing that never comes", || std::future::ready(None::<()>)).await;
    }
}
