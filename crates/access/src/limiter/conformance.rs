//! What every limiter guarantees: one function per guarantee, run over each implementation.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use spanlake_model::{Clock, Limit, Limits, Standing, TenantId, Timestamp};

use super::{LimitError, Limiter, Taken};

/// Calls the macro it is given with the name of each guarantee.
macro_rules! guarantees {
    ($run:ident) => {
        $run! {
            a_bucket_holds_two_seconds_worth
            a_bucket_refills_at_its_rate_and_no_further_than_full
            the_wait_is_exact
            ten_exports_pass_in_any_hour_and_never_eleven
            all_limits_are_taken_or_none
            what_can_never_pass_is_too_large_and_costs_nothing
            tenants_do_not_share
            racing_callers_take_no_more_than_there_is
            a_changed_limit_applies_at_once
            the_same_limit_named_twice_is_charged_for_both
            a_clock_that_goes_back_neither_blocks_nor_refills
            the_largest_rates_are_counted_exactly
            what_a_deleted_tenant_used_is_forgotten
            what_is_left_is_told_of_each_limit_in_order
        }
    };
}
pub(super) use guarantees;

/// A clock that stands until it is moved.
pub(super) struct TestClock(AtomicI64);

impl Default for TestClock {
    fn default() -> Self {
        Self(AtomicI64::new(1_800_000_000_000_000))
    }
}
impl TestClock {
    pub(super) fn advance_us(&self, by: u64) {
        self.0.fetch_add(i64::try_from(by).unwrap(), Ordering::SeqCst);
    }
}
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// What moves the time of the limiter under test.
pub(super) struct Hands(pub(super) Arc<TestClock>);

impl Hands {
    fn advance(&self, by: Duration) {
        self.0.advance_us(u64::try_from(by.as_micros()).unwrap());
    }
    fn go_back(&self, by: Duration) {
        self.0.0.fetch_sub(i64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }
}

pub(super) fn tenant(number: u8) -> TenantId {
    TenantId::from_bytes([number; 16])
}
const MS: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);

fn limits() -> Limits {
    Limits {
        requests_per_second: 5,
        spans_per_second: 100,
        bytes_per_second: 1_000,
        exports_per_hour: 10,
        ..Limits::default()
    }
}
async fn take(limiter: &Arc<dyn Limiter>, limit: Limit, cost: u64) -> Taken {
    take_of(limiter, &limits(), limit, cost).await
}
async fn take_of(limiter: &Arc<dyn Limiter>, limits: &Limits, limit: Limit, cost: u64) -> Taken {
    limiter.take(tenant(1), limits, &[(limit, cost)]).await
}
fn wait(outcome: Taken) -> Duration {
    match outcome.unwrap_err() {
        LimitError::Exhausted(exhausted) => exhausted.retry_after,
        other => panic!("{other}"),
    }
}

pub(super) async fn a_bucket_holds_two_seconds_worth(limiter: Arc<dyn Limiter>, _: &Hands) {
    for _ in 0..10 {
        take(&limiter, Limit::Requests, 1).await.unwrap();
    }
    assert_eq!(wait(take(&limiter, Limit::Requests, 1).await), 200 * MS);
    take(&limiter, Limit::Spans, 200).await.unwrap();
    assert_eq!(wait(take(&limiter, Limit::Spans, 50).await), 500 * MS);
}

pub(super) async fn a_bucket_refills_at_its_rate_and_no_further_than_full(limiter: Arc<dyn Limiter>, hands: &Hands) {
    take(&limiter, Limit::Spans, 200).await.unwrap();
    hands.advance(500 * MS);
    take(&limiter, Limit::Spans, 50).await.unwrap();
    assert_eq!(wait(take(&limiter, Limit::Spans, 1).await), 10 * MS);
    hands.advance(MINUTE);
    take(&limiter, Limit::Spans, 200).await.unwrap();
    assert!(take(&limiter, Limit::Spans, 1).await.is_err());
}

pub(super) async fn the_wait_is_exact(limiter: Arc<dyn Limiter>, hands: &Hands) {
    let limits = Limits { spans_per_second: 7, ..limits() };
    let spans = |cost| take_of(&limiter, &limits, Limit::Spans, cost);
    spans(14).await.unwrap();
    let wait = wait(spans(3).await);
    hands.advance(wait - Duration::from_micros(1));
    assert!(spans(3).await.is_err(), "a microsecond early");
    hands.advance(Duration::from_micros(1));
    spans(3).await.unwrap();
}

pub(super) async fn ten_exports_pass_in_any_hour_and_never_eleven(limiter: Arc<dyn Limiter>, hands: &Hands) {
    for _ in 0..10 {
        take(&limiter, Limit::Exports, 1).await.unwrap();
        hands.advance(MINUTE);
    }
    assert_eq!(wait(take(&limiter, Limit::Exports, 1).await), 50 * MINUTE);
    assert_eq!(wait(take(&limiter, Limit::Exports, 3).await), 52 * MINUTE);
    hands.advance(50 * MINUTE - MS);
    assert_eq!(wait(take(&limiter, Limit::Exports, 1).await), MS);
    hands.advance(MS);
    take(&limiter, Limit::Exports, 1).await.unwrap();
    assert_eq!(wait(take(&limiter, Limit::Exports, 1).await), MINUTE);
}

pub(super) async fn all_limits_are_taken_or_none(limiter: Arc<dyn Limiter>, _: &Hands) {
    take(&limiter, Limit::Bytes, 2_000).await.unwrap();
    let costs = [(Limit::Requests, 1), (Limit::Spans, 200), (Limit::Exports, 10), (Limit::Bytes, 100)];
    let outcome = limiter.take(tenant(1), &limits(), &costs).await;
    assert!(matches!(&outcome, Err(LimitError::Exhausted(it)) if it.limit == Limit::Bytes));
    assert_eq!(wait(outcome), 100 * MS);
    limiter.take(tenant(1), &limits(), &costs[..3]).await.unwrap();
}

pub(super) async fn what_can_never_pass_is_too_large_and_costs_nothing(limiter: Arc<dyn Limiter>, _: &Hands) {
    let costs = [(Limit::Requests, 10), (Limit::Spans, 201)];
    let outcome = limiter.take(tenant(1), &limits(), &costs).await;
    assert!(matches!(outcome, Err(LimitError::TooLarge { limit: Limit::Spans, cost: 201, most: 200 })));
    take(&limiter, Limit::Requests, 10).await.unwrap();
    assert!(matches!(take(&limiter, Limit::Bytes, u64::MAX).await, Err(LimitError::TooLarge { .. })));
    let none = Limits { requests_per_second: 0, ..limits() };
    let outcome = limiter.take(tenant(1), &none, &[(Limit::Requests, 1)]).await;
    assert!(matches!(outcome, Err(LimitError::TooLarge { most: 0, .. })));
    limiter.take(tenant(1), &none, &[(Limit::Requests, 0)]).await.unwrap();
}

pub(super) async fn tenants_do_not_share(limiter: Arc<dyn Limiter>, _: &Hands) {
    take(&limiter, Limit::Exports, 10).await.unwrap();
    assert!(take(&limiter, Limit::Exports, 1).await.is_err());
    limiter.take(tenant(2), &limits(), &[(Limit::Exports, 10)]).await.unwrap();
}

pub(super) async fn racing_callers_take_no_more_than_there_is(limiter: Arc<dyn Limiter>, _: &Hands) {
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let limiter = Arc::clone(&limiter);
            tokio::spawn(async move { take(&limiter, Limit::Exports, 1).await.is_ok() })
        })
        .collect();
    let mut passed = 0;
    for task in tasks {
        passed += usize::from(task.await.unwrap());
    }
    assert_eq!(passed, 10);
}

pub(super) async fn a_changed_limit_applies_at_once(limiter: Arc<dyn Limiter>, _: &Hands) {
    take(&limiter, Limit::Exports, 8).await.unwrap();
    take(&limiter, Limit::Spans, 1).await.unwrap();
    let less = Limits { exports_per_hour: 8, spans_per_second: 10, ..limits() };
    assert!(limiter.take(tenant(1), &less, &[(Limit::Exports, 1)]).await.is_err());
    limiter.take(tenant(1), &less, &[(Limit::Spans, 20)]).await.unwrap();
    assert!(limiter.take(tenant(1), &less, &[(Limit::Spans, 1)]).await.is_err());
    let fewer = Limits { exports_per_hour: 2, ..limits() };
    assert_eq!(wait(limiter.take(tenant(1), &fewer, &[(Limit::Exports, 1)]).await), 60 * MINUTE);
}

pub(super) async fn the_same_limit_named_twice_is_charged_for_both(limiter: Arc<dyn Limiter>, _: &Hands) {
    limiter.take(tenant(1), &limits(), &[(Limit::Spans, 100), (Limit::Spans, 100)]).await.unwrap();
    assert!(take(&limiter, Limit::Spans, 1).await.is_err());
}

pub(super) async fn a_clock_that_goes_back_neither_blocks_nor_refills(limiter: Arc<dyn Limiter>, hands: &Hands) {
    take(&limiter, Limit::Spans, 200).await.unwrap();
    hands.go_back(60 * MINUTE);
    assert_eq!(wait(take(&limiter, Limit::Spans, 100).await), Duration::from_secs(1));
    hands.advance(Duration::from_secs(1));
    take(&limiter, Limit::Spans, 100).await.unwrap();
}

pub(super) async fn the_largest_rates_are_counted_exactly(limiter: Arc<dyn Limiter>, hands: &Hands) {
    let limits = Limits { bytes_per_second: u64::MAX, ..limits() };
    let bytes = |cost| take_of(&limiter, &limits, Limit::Bytes, cost);
    let most = super::RATE_MAX * 2;
    bytes(most).await.unwrap();
    assert_eq!(wait(bytes(1).await), Duration::from_micros(1));
    hands.advance(Duration::from_secs(1));
    bytes(most / 2).await.unwrap();
    assert!(bytes(1).await.is_err());
}

pub(super) async fn what_a_deleted_tenant_used_is_forgotten(limiter: Arc<dyn Limiter>, _: &Hands) {
    for tenant in [tenant(1), tenant(2)] {
        limiter.take(tenant, &limits(), &[(Limit::Exports, 10), (Limit::Spans, 200)]).await.unwrap();
    }
    limiter.forget(tenant(1)).await.unwrap();
    take(&limiter, Limit::Spans, 200).await.unwrap();
    take(&limiter, Limit::Exports, 10).await.unwrap();
    assert!(limiter.take(tenant(2), &limits(), &[(Limit::Exports, 1)]).await.is_err());
    limiter.forget(tenant(3)).await.unwrap();
}

pub(super) async fn what_is_left_is_told_of_each_limit_in_order(limiter: Arc<dyn Limiter>, hands: &Hands) {
    let told = async |costs: &[(Limit, u64)]| {
        let standings = limiter.take(tenant(1), &limits(), costs).await.unwrap();
        let told = |one: Standing| (one.quota.name, one.quota.most, one.left, one.renewed_in);
        standings.into_iter().map(told).collect::<Vec<_>>()
    };
    // Two seconds' worth less what was taken; a hundred a second fill a gap of 30 in 300 ms.
    let spans = ("spans", 100, 170, 300 * MS);
    assert_eq!(told(&[(Limit::Exports, 2), (Limit::Spans, 30)]).await, [("exports", 10, 8, 60 * MINUTE), spans]);
    hands.advance(45 * MS);
    // 4.5 spans came back: of what is left only whole ones can be taken.
    let exports = ("exports", 10, 7, 60 * MINUTE - 45 * MS);
    assert_eq!(told(&[(Limit::Spans, 1), (Limit::Exports, 1)]).await, [("spans", 100, 173, 265 * MS), exports]);
    assert_eq!(told(&[(Limit::Bytes, 0)]).await, [], "nothing was taken");
    hands.advance(60 * MINUTE - 45 * MS);
    assert_eq!(told(&[(Limit::Exports, 1)]).await, [("exports", 10, 8, 45 * MS)], "the first two count no more");
}
