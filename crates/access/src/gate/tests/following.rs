//! Changes that were made elsewhere.

use super::*;

async fn heard(it: &Fixture, seen: Option<u64>, change: Changed) -> Option<u64> {
    it.auth.told.lock().unwrap().push(change);
    it.gate.hear(seen).await
}

#[tokio::test]
async fn a_key_that_was_revoked_elsewhere_is_refused_once_that_is_heard() {
    let it = Fixture::new();
    let (id, key) = it.key(|_| ());
    let seen = it.gate.hear(None).await;
    it.read(&key).await.unwrap();
    heard(&it, seen, Changed::Key(id)).await;
    assert_eq!(code(it.read(&key).await), Code::Unauthenticated);
}

#[tokio::test]
async fn a_revocation_that_is_heard_while_the_key_is_being_asked_for_wins() {
    let it = Fixture::new();
    let (id, key) = it.key(|_| ());
    let seen = it.gate.hear(None).await;
    it.auth.told.lock().unwrap().push(Changed::Key(id));
    let closed = it.auth.door.acquire_many(1_000).await.unwrap();
    // The question has read the row as it was, and its answer is on the way when the revocation is heard of.
    let asking = it.read(&key);
    tokio::pin!(asking);
    assert!(still_waits(&mut asking).await);
    it.gate.hear(seen).await;
    drop(closed);
    assert_eq!(code(asking.await), Code::Unauthenticated);
    assert_eq!(code(it.read(&key).await), Code::Unauthenticated);
}

/// Whether it still waits, after having begun.
async fn still_waits<F: Future>(future: &mut std::pin::Pin<&mut F>) -> bool {
    tokio::select! {
        biased;
        _ = future.as_mut() => false,
        () = tokio::task::yield_now() => true,
    }
}

#[tokio::test]
async fn every_other_change_is_asked_for_anew() {
    let it = Fixture::new();
    let (_, key) = it.key(|_| ());
    let token = it.token(1, Role::Owner);
    let caller = it.read(&key).await.unwrap();
    it.read(&token).await.unwrap();
    it.gate.own_app(&caller, OTHER_APP).await.unwrap();
    it.gate.agent_app(&caller, AGENT).await.unwrap();
    let mut seen = it.gate.hear(None).await;
    for change in [
        Changed::App(TENANT, OTHER_APP),
        Changed::Agent(TENANT, AGENT),
        Changed::Member(TENANT, MemberId::from_bytes([7; 16])),
        Changed::Tenant(TENANT),
    ] {
        seen = heard(&it, seen, change).await;
    }
    it.calls();
    it.gate.own_app(&caller, OTHER_APP).await.unwrap();
    it.gate.agent_app(&caller, AGENT).await.unwrap();
    it.read(&token).await.unwrap();
    assert_eq!(it.calls(), 4, "app, agent, member and tenant");
}

#[tokio::test]
async fn what_was_missed_while_auth_was_away_is_heard_of_afterwards() {
    let it = Fixture::new();
    let (id, key) = it.key(|_| ());
    it.read(&key).await.unwrap();
    let seen = it.gate.hear(None).await;
    it.away(true);
    let seen = heard(&it, seen, Changed::Key(id)).await;
    it.read(&key).await.unwrap();
    it.away(false);
    it.gate.hear(seen).await;
    assert_eq!(code(it.read(&key).await), Code::Unauthenticated);
}

#[tokio::test]
async fn who_missed_too_much_forgets_everything() {
    let it = Fixture::new();
    let (_, key) = it.key(|_| ());
    it.read(&key).await.unwrap();
    let seen = it.gate.hear(None).await;
    it.auth.keys.lock().unwrap().clear();
    it.auth.forgotten.store(1, Ordering::SeqCst);
    heard(&it, seen, Changed::Tenant(TENANT)).await;
    assert_eq!(code(it.read(&key).await), Code::Unauthenticated);
}

#[tokio::test]
async fn spans_beyond_the_months_are_refused_until_the_next() {
    let it = Fixture::new();
    let (_, key) = it.key(|_| ());
    let caller = it.read(&key).await.unwrap();
    *it.auth.spans_left.lock().unwrap() = Some(5);
    it.gate.forget_tenant(TENANT).await;
    it.gate.take(&caller, &[(Limit::Requests, 1), (Limit::Spans, 5)]).await.unwrap();
    let refused = it.gate.take(&caller, &[(Limit::Spans, 6)]).await.unwrap_err();
    assert_eq!(refused.code, Code::RateLimited);
    let next = it.clock.now().plus(refused.retry_after.unwrap()).to_string();
    assert!(next.starts_with("2027-02-01T00:00:00"), "{next}");
    it.gate.take(&caller, &[(Limit::Requests, 1)]).await.unwrap();
}
