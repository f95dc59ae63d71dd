mod following;

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use async_trait::async_trait;
use http::Request;
use spanlake_model::{AccountChanges, Changed, Limits, SystemEntropy, Timestamp};
use tokio::sync::Semaphore;

use super::*;
use crate::key::{self, Kind};
use crate::limiter::MemoryLimiter;
use crate::secret::MasterSecret;
use crate::token::{Issuer, Jwks};

const TENANT: TenantId = TenantId::from_bytes([1; 16]);
const DEFAULT_APP: AppId = AppId::from_bytes([2; 16]);
const OTHER_APP: AppId = AppId::from_bytes([3; 16]);
const FOREIGN_APP: AppId = AppId::from_bytes([4; 16]);
const AGENT: AgentId = AgentId::from_bytes([5; 16]);

struct TestClock(AtomicI64);
impl TestClock {
    fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(self.0.load(Ordering::SeqCst))
    }
}

/// An auth that knows what the test tells it, counts its calls, and answers only while its door is open.
struct TestAuth {
    keys: Mutex<HashMap<String, KeyIdentity>>,
    jwks: Mutex<Vec<u32>>,
    /// What the member of the tests may do; `None` once they are gone.
    role: Mutex<Option<Role>>,
    calls: AtomicUsize,
    away: Mutex<bool>,
    door: Semaphore,
    /// What is left of the month.
    spans_left: Mutex<Option<u64>>,
    /// All that changed, and how much of it is not known any more.
    told: Mutex<Vec<Changed>>,
    forgotten: AtomicUsize,
}

impl TestAuth {
    async fn called(&self) -> Result<(), Fault> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let _open = self.door.acquire().await;
        if *self.away.lock().unwrap() { Err(Fault::unavailable("away")) } else { Ok(()) }
    }
}

#[async_trait]
impl Auth for TestAuth {
    async fn verify_key(&self, key: &PresentedKey) -> Result<KeyIdentity, Fault> {
        let identity = self.keys.lock().unwrap().get(key.expose()).cloned();
        self.called().await?;
        identity.ok_or_else(refused_key)
    }
    async fn jwks(&self) -> Result<String, Fault> {
        self.called().await?;
        let keys = self.jwks.lock().unwrap().iter().map(|version| issuer(*version).public_key().clone()).collect();
        Ok(Jwks { keys }.to_json())
    }
    async fn tenant(&self, tenant: TenantId) -> Result<TenantInfo, Fault> {
        self.called().await?;
        if tenant != TENANT {
            return Err(Fault::not_found("tenant"));
        }
        Ok(TenantInfo {
            default_app: DEFAULT_APP,
            limits: Limits { exports_per_hour: 1, spans_per_month: Some(1_000), ..Limits::default() },
            spans_left: *self.spans_left.lock().unwrap(),
        })
    }
    async fn has_app(&self, tenant: TenantId, app: AppId) -> Result<bool, Fault> {
        self.called().await?;
        Ok(tenant == TENANT && app == OTHER_APP)
    }
    async fn find_agent(&self, tenant: TenantId, agent: AgentId) -> Result<Option<AppId>, Fault> {
        self.called().await?;
        Ok((tenant == TENANT && agent == AGENT).then_some(OTHER_APP))
    }
    async fn member_role(&self, _: TenantId, _: MemberId) -> Result<Role, Fault> {
        let role = *self.role.lock().unwrap();
        self.called().await?;
        role.ok_or_else(|| Fault::not_found("member"))
    }
    async fn changes(&self, after: Option<u64>) -> Result<AccountChanges, Fault> {
        // Not through the door: what changed is heard of while other answers are on their way.
        if *self.away.lock().unwrap() {
            return Err(Fault::unavailable("away"));
        }
        let told = self.told.lock().unwrap();
        let (sequence, forgotten) = (told.len() as u64, self.forgotten.load(Ordering::SeqCst) as u64);
        let changed =
            after.filter(|after| *after >= forgotten).and_then(|after| told.get(usize::try_from(after).unwrap()..));
        Ok(AccountChanges { sequence, changed: changed.map(<[Changed]>::to_vec) })
    }
}

fn issuer(version: u32) -> Issuer {
    let secret = MasterSecret::from_bytes(vec![6; 32]).unwrap();
    Issuer::new(&secret.signing_seed(version), Duration::from_secs(600)).unwrap()
}

struct Fixture {
    auth: Arc<TestAuth>,
    clock: Arc<TestClock>,
    gate: Gate,
}

impl Fixture {
    fn new() -> Self {
        Self::with(Config::default())
    }
    fn with(config: Config) -> Self {
        let clock = Arc::new(TestClock(AtomicI64::new(1_800_000_000)));
        let auth = Arc::new(TestAuth {
            keys: Mutex::default(),
            jwks: Mutex::new(vec![1]),
            role: Mutex::new(Some(Role::Owner)),
            calls: AtomicUsize::new(0),
            away: Mutex::new(false),
            door: Semaphore::new(1_000),
            spans_left: Mutex::default(),
            told: Mutex::default(),
            forgotten: AtomicUsize::new(0),
        });
        let limiter = Arc::new(MemoryLimiter::new(Arc::clone(&clock) as _, 10));
        let gate = Gate::new(Arc::clone(&auth) as _, limiter, Arc::clone(&clock) as _, config);
        Self { auth, clock, gate }
    }
    fn identity(&self) -> KeyIdentity {
        KeyIdentity {
            key: KeyId::generate(&*self.clock, &SystemEntropy),
            tenant: TENANT,
            app: None,
            agent: None,
            scopes: [Scope::Read].into_iter().collect(),
            expires_at: None,
        }
    }
    fn key(&self, change: impl FnOnce(&mut KeyIdentity)) -> (KeyId, String) {
        let mut identity = self.identity();
        change(&mut identity);
        let text = key::generate(Kind::Workspace, identity.key, &SystemEntropy);
        let id = identity.key;
        self.auth.keys.lock().unwrap().insert(text.clone(), identity);
        (id, text)
    }
    fn token(&self, version: u32, role: Role) -> String {
        issuer(version).issue(TENANT, MemberId::from_bytes([7; 16]), role, &*self.clock, &SystemEntropy).unwrap()
    }
    async fn read(&self, credential: &str) -> Result<Caller, Fault> {
        self.gate.admit(&parts("/v1/traces", &[("authorization", credential)]), Scope::Read).await
    }
    fn away(&self, is_away: bool) {
        *self.auth.away.lock().unwrap() = is_away;
    }
    fn calls(&self) -> usize {
        self.auth.calls.swap(0, Ordering::SeqCst)
    }
}

fn parts(uri: &str, headers: &[(&str, &str)]) -> Parts {
    let request =
        headers.iter().fold(Request::builder().uri(uri), |request, (name, value)| request.header(*name, *value));
    request.body(()).unwrap().into_parts().0
}
fn code(outcome: Result<Caller, Fault>) -> Code {
    outcome.unwrap_err().code
}

#[tokio::test]
async fn a_key_becomes_a_caller_of_its_tenants_default_app() {
    let it = Fixture::new();
    let (id, key) = it.key(|_| ());
    let caller = it.read(&format!("Bearer {key}")).await.unwrap();
    assert_eq!((caller.tenant(), caller.app(), caller.agent()), (TENANT, DEFAULT_APP, None));
    assert_eq!(caller.principal(), Principal::Key(id));
}

#[tokio::test]
async fn a_typo_costs_no_call() {
    let it = Fixture::new();
    let (_, key) = it.key(|_| ());
    assert_eq!(code(it.read(&format!("{key}x")).await), Code::Unauthenticated);
    assert_eq!(it.calls(), 0);
}

#[tokio::test]
async fn a_key_is_asked_for_again_after_ten_seconds_however_often_it_is_used() {
    let it = Fixture::new();
    let (_, key) = it.key(|_| ());
    it.read(&key).await.unwrap();
    assert_eq!(it.calls(), 2, "the key and the tenant");
    for _ in 0..9 {
        it.clock.advance(1);
        it.read(&key).await.unwrap();
    }
    assert_eq!(it.calls(), 0);
    it.auth.keys.lock().unwrap().clear();
    it.clock.advance(1);
    assert_eq!(code(it.read(&key).await), Code::Unauthenticated);
}

#[tokio::test]
async fn requests_at_once_share_one_call() {
    let it = Fixture::new();
    let (_, key) = it.key(|identity| identity.app = Some(OTHER_APP));
    let closed = it.auth.door.acquire_many(1_000).await.unwrap();
    let gate = it.gate.clone();
    let reads: Vec<_> = (0..20)
        .map(|_| {
            let (gate, parts) = (gate.clone(), parts("/", &[("authorization", &key)]));
            tokio::spawn(async move { gate.admit(&parts, Scope::Read).await })
        })
        .collect();
    while it.auth.calls.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    drop(closed);
    for read in reads {
        read.await.unwrap().unwrap();
    }
    assert_eq!(it.calls(), 1);
}

#[tokio::test]
async fn an_expired_key_is_refused_even_when_it_is_remembered() {
    let it = Fixture::new();
    let end = it.clock.now().plus(Duration::from_secs(3));
    let (_, key) = it.key(|identity| identity.expires_at = Some(end));
    it.read(&key).await.unwrap();
    it.clock.advance(3);
    assert_eq!(code(it.read(&key).await), Code::Unauthenticated);
}

#[tokio::test]
async fn a_revoked_key_is_refused_even_when_a_load_in_flight_read_it_before() {
    let it = Fixture::new();
    let (id, key) = it.key(|identity| identity.app = Some(OTHER_APP));
    it.read(&key).await.unwrap();
    it.clock.advance(10);
    let closed = it.auth.door.acquire_many(1_000).await.unwrap();
    let (gate, request) = (it.gate.clone(), parts("/", &[("authorization", &key)]));
    let before = it.calls();
    let loading = tokio::spawn(async move { gate.admit(&request, Scope::Read).await });
    while it.auth.calls.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    it.gate.revoke(id).await;
    drop(closed);
    assert_eq!(before, 1);
    assert_eq!(code(loading.await.unwrap()), Code::Unauthenticated);
    assert_eq!(code(it.read(&key).await), Code::Unauthenticated);
}

#[tokio::test]
async fn a_wrong_secret_does_not_meet_the_answer_for_the_right_one() {
    let it = Fixture::new();
    let (id, key) = it.key(|_| ());
    let guessed = key::generate(Kind::Workspace, id, &SystemEntropy);
    it.read(&key).await.unwrap();
    assert_eq!(code(it.read(&guessed).await), Code::Unauthenticated);
    it.read(&key).await.unwrap();
}

#[tokio::test]
async fn a_refusal_is_remembered_for_two_seconds() {
    let it = Fixture::new();
    let key = key::generate(Kind::Workspace, it.identity().key, &SystemEntropy);
    for _ in 0..5 {
        assert_eq!(code(it.read(&key).await), Code::Unauthenticated);
    }
    assert_eq!(it.calls(), 1);
    it.auth.keys.lock().unwrap().insert(key.clone(), it.identity());
    it.clock.advance(2);
    it.read(&key).await.unwrap();
}

#[tokio::test]
async fn while_auth_is_away_an_unknown_key_is_unavailable_and_never_unauthenticated() {
    let it = Fixture::new();
    let (_, key) = it.key(|_| ());
    it.away(true);
    assert_eq!(code(it.read(&key).await), Code::ServiceUnavailable);
    assert_eq!(code(it.read(&it.token(1, Role::Owner)).await), Code::ServiceUnavailable);
    it.away(false);
    it.read(&key).await.unwrap();
}

#[tokio::test]
async fn while_auth_is_away_known_callers_go_on_for_five_minutes_after_its_last_answer() {
    let it = Fixture::new();
    let (_, key) = it.key(|_| ());
    let token = it.token(1, Role::Owner);
    it.read(&key).await.unwrap();
    it.read(&token).await.unwrap();
    let away = || (it.gate.reading().is_auth_away, it.gate.reading().served_from_memory > 0);
    it.away(true);
    for second in 1..300 {
        it.clock.advance(1);
        it.read(&key).await.unwrap();
        it.read(&token).await.unwrap();
        assert_eq!(away(), if second < 10 { (false, false) } else { (true, true) }, "after {second} s");
    }
    it.clock.advance(1);
    assert_eq!(code(it.read(&key).await), Code::ServiceUnavailable);
    assert_eq!(code(it.read(&token).await), Code::ServiceUnavailable);
    it.away(false);
    it.read(&key).await.unwrap();
    assert_eq!(away(), (false, true), "it is back, and what was is counted");
}

#[tokio::test]
async fn while_auth_is_away_known_callers_try_it_every_two_seconds_and_not_each_time() {
    let it = Fixture::new();
    let (_, key) = it.key(|identity| identity.app = Some(OTHER_APP));
    it.read(&key).await.unwrap();
    it.away(true);
    it.clock.advance(10);
    it.calls();
    for _ in 0..20 {
        it.read(&key).await.unwrap();
    }
    assert_eq!(it.calls(), 1);
    it.clock.advance(2);
    it.read(&key).await.unwrap();
    assert_eq!(it.calls(), 1);
}

#[tokio::test]
async fn a_key_that_auth_refused_does_not_come_back_when_auth_goes_away_again() {
    let it = Fixture::new();
    let (_, key) = it.key(|identity| identity.app = Some(OTHER_APP));
    it.read(&key).await.unwrap();
    it.away(true);
    it.clock.advance(10);
    it.read(&key).await.unwrap();
    it.away(false);
    it.auth.keys.lock().unwrap().clear();
    it.clock.advance(2);
    assert_eq!(code(it.read(&key).await), Code::Unauthenticated);
    it.away(true);
    it.clock.advance(2);
    assert_eq!(code(it.read(&key).await), Code::ServiceUnavailable);
}

#[tokio::test]
async fn a_key_that_expires_or_is_revoked_here_while_auth_is_away_is_refused() {
    let it = Fixture::new();
    let end = it.clock.now().plus(Duration::from_secs(20));
    let (_, ending) = it.key(|identity| identity.expires_at = Some(end));
    let (id, revoked) = it.key(|_| ());
    it.read(&ending).await.unwrap();
    it.read(&revoked).await.unwrap();
    it.away(true);
    it.gate.revoke(id).await;
    it.clock.advance(19);
    it.read(&ending).await.unwrap();
    assert_eq!(code(it.read(&revoked).await), Code::Unauthenticated);
    it.clock.advance(1);
    assert_eq!(code(it.read(&ending).await), Code::Unauthenticated);
}

#[tokio::test]
async fn a_strict_gate_lets_nobody_in_while_auth_is_away() {
    let it = Fixture::with(Config { known_while_away_seconds: 0, ..Config::default() });
    let (_, key) = it.key(|_| ());
    it.read(&key).await.unwrap();
    it.away(true);
    it.clock.advance(9);
    it.read(&key).await.unwrap();
    it.clock.advance(1);
    assert_eq!(code(it.read(&key).await), Code::ServiceUnavailable);
}

#[tokio::test]
async fn what_was_forgotten_is_asked_for_and_does_not_stand_in_while_auth_is_away() {
    let it = Fixture::new();
    let (_, key) = it.key(|_| ());
    let caller = it.read(&key).await.unwrap();
    it.gate.own_app(&caller, OTHER_APP).await.unwrap();
    it.gate.agent_app(&caller, AGENT).await.unwrap();
    let token = it.token(1, Role::Owner);
    it.read(&token).await.unwrap();
    it.calls();
    it.gate.forget_app(TENANT, OTHER_APP).await;
    it.gate.forget_agent(TENANT, AGENT).await;
    it.gate.own_app(&caller, OTHER_APP).await.unwrap();
    it.gate.agent_app(&caller, AGENT).await.unwrap();
    assert_eq!(it.calls(), 2);
    it.gate.forget_app(TENANT, OTHER_APP).await;
    it.gate.forget_agent(TENANT, AGENT).await;
    it.away(true);
    assert_eq!(it.gate.own_app(&caller, OTHER_APP).await.unwrap_err().code, Code::ServiceUnavailable);
    assert_eq!(it.gate.agent_app(&caller, AGENT).await.unwrap_err().code, Code::ServiceUnavailable);
    it.read(&token).await.unwrap();
    it.gate.forget_member(TENANT, MemberId::from_bytes([7; 16])).await;
    assert_eq!(code(it.read(&token).await), Code::ServiceUnavailable);
}

#[tokio::test]
async fn a_request_may_name_its_app_in_a_header_or_the_query() {
    let it = Fixture::new();
    let (_, key) = it.key(|_| ());
    let app = OTHER_APP.to_string();
    for name in ["X-Spanlake-App-Id", "x-agentmark-app-id", "X-PUZZLET-APP-ID"] {
        let request = parts("/", &[("authorization", &key), (name, &app)]);
        assert_eq!(it.gate.caller(&request).await.unwrap().app(), OTHER_APP, "{name}");
    }
    let query = parts(&format!("/v1/traces?limit=1&appId={app}"), &[("authorization", &key)]);
    assert_eq!(it.gate.caller(&query).await.unwrap().app(), OTHER_APP);
}

#[tokio::test]
async fn an_app_of_another_tenant_and_one_that_never_was_are_equally_not_found() {
    let it = Fixture::new();
    let (_, key) = it.key(|_| ());
    let mut answers = Vec::new();
    for app in [FOREIGN_APP.to_string(), AppId::from_bytes([9; 16]).to_string(), "nonsense".to_owned()] {
        let request = parts("/", &[("authorization", &key), ("x-spanlake-app-id", &app)]);
        answers.push(it.gate.caller(&request).await.unwrap_err());
    }
    assert_eq!(answers[0].code, Code::NotFound);
    assert!(answers.iter().all(|answer| *answer == answers[0]));
}

#[tokio::test]
async fn a_pinned_key_works_for_its_app_alone() {
    let it = Fixture::new();
    let (_, key) = it.key(|identity| {
        identity.app = Some(OTHER_APP);
        identity.agent = Some(AGENT);
    });
    let caller = it.read(&key).await.unwrap();
    assert_eq!((caller.app(), caller.agent()), (OTHER_APP, Some(AGENT)));
    let naming = |app: AppId| parts("/", &[("authorization", &key), ("x-spanlake-app-id", &app.to_string())]);
    assert_eq!(it.gate.caller(&naming(OTHER_APP)).await.unwrap().app(), OTHER_APP);
    for app in [DEFAULT_APP, FOREIGN_APP] {
        assert_eq!(code(it.gate.caller(&naming(app)).await), Code::Forbidden);
    }
}

#[tokio::test]
async fn a_missing_scope_is_forbidden_and_named() {
    let it = Fixture::new();
    let (_, key) = it.key(|_| ());
    let refused = it.gate.admit(&parts("/", &[("authorization", &key)]), Scope::Admin).await.unwrap_err();
    assert_eq!(refused.code, Code::Forbidden);
    assert!(refused.message.contains("admin"));
}

#[tokio::test]
async fn a_token_carries_the_scopes_of_its_role() {
    let it = Fixture::new();
    *it.auth.role.lock().unwrap() = Some(Role::Viewer);
    let caller = it.read(&format!("Bearer {}", it.token(1, Role::Viewer))).await.unwrap();
    assert_eq!(caller.scopes(), Role::Viewer.scopes());
    assert_eq!(it.calls(), 3, "public keys, role and tenant");
    it.read(&it.token(1, Role::Owner)).await.unwrap();
    assert_eq!(it.calls(), 0);
}

#[tokio::test]
async fn a_new_signing_key_is_found_and_made_up_ones_cost_one_call_a_second() {
    let it = Fixture::new();
    it.read(&it.token(1, Role::Owner)).await.unwrap();
    it.auth.jwks.lock().unwrap().push(2);
    it.clock.advance(1);
    it.read(&it.token(2, Role::Owner)).await.unwrap();
    it.read(&it.token(1, Role::Owner)).await.unwrap();
    it.calls();
    for _ in 0..20 {
        assert_eq!(code(it.read(&it.token(3, Role::Owner)).await), Code::Unauthenticated);
    }
    assert_eq!(it.calls(), 0, "asked less than a second ago");
    it.clock.advance(1);
    for _ in 0..20 {
        assert_eq!(code(it.read(&it.token(3, Role::Owner)).await), Code::Unauthenticated);
    }
    assert_eq!(it.calls(), 1);
}

#[tokio::test]
async fn a_withdrawn_signing_key_ends_within_a_minute() {
    let it = Fixture::new();
    it.read(&it.token(1, Role::Owner)).await.unwrap();
    *it.auth.jwks.lock().unwrap() = vec![2];
    it.clock.advance(60);
    assert_eq!(code(it.read(&it.token(1, Role::Owner)).await), Code::Unauthenticated);
}

#[tokio::test]
async fn while_auth_does_not_answer_one_request_waits_for_its_keys_and_known_members_go_on() {
    let it = Fixture::new();
    let tokens = Tokens::new(Arc::clone(&it.auth) as _, Arc::clone(&it.clock) as _);
    let token = it.token(1, Role::Owner);
    tokens.verify(&token).await.unwrap();
    it.clock.advance(60);
    it.away(true);
    let closed = it.auth.door.acquire_many(1_000).await.unwrap();
    it.calls();
    let others = async {
        for _ in 0..20 {
            tokens.verify(&token).await.unwrap();
        }
        it.clock.advance(5);
        drop(closed);
    };
    let (waited, ()) = tokio::join!(tokens.verify(&token), others);
    waited.unwrap();
    tokens.verify(&token).await.unwrap();
    assert_eq!(it.calls(), 1, "a call that took five seconds is not made again at once");
    it.clock.advance(1);
    tokens.verify(&token).await.unwrap();
    assert_eq!(it.calls(), 1);
}

#[tokio::test]
async fn a_token_of_a_tenant_that_is_gone_is_unauthenticated() {
    let it = Fixture::new();
    let gone = TenantId::from_bytes([8; 16]);
    let token = issuer(1).issue(gone, MemberId::from_bytes([7; 16]), Role::Owner, &*it.clock, &SystemEntropy).unwrap();
    assert_eq!(code(it.read(&token).await), Code::Unauthenticated);
}

#[tokio::test]
async fn limits_are_the_tenants() {
    let it = Fixture::new();
    let (_, key) = it.key(|_| ());
    let caller = it.read(&key).await.unwrap();
    it.gate.take(&caller, &[(Limit::Exports, 1)]).await.unwrap();
    let refused = it.gate.take(&caller, &[(Limit::Exports, 1)]).await.unwrap_err();
    assert_eq!((refused.code, refused.retry_after), (Code::RateLimited, Some(Duration::from_secs(3_600))));
    assert_eq!(it.gate.take(&caller, &[(Limit::Exports, 2)]).await.unwrap_err().code, Code::PayloadTooLarge);
}

#[tokio::test]
async fn an_agents_app_is_remembered_and_a_foreign_agent_has_none() {
    let it = Fixture::new();
    let (_, key) = it.key(|_| ());
    let caller = it.read(&key).await.unwrap();
    it.calls();
    for _ in 0..3 {
        assert_eq!(it.gate.agent_app(&caller, AGENT).await, Ok(Some(OTHER_APP)));
        assert_eq!(it.gate.agent_app(&caller, AgentId::from_bytes([9; 16])).await, Ok(None));
    }
    assert_eq!(it.calls(), 2);
}

#[tokio::test]
async fn a_role_that_changed_bites_within_ten_seconds_whatever_the_token_says() {
    let it = Fixture::new();
    let token = it.token(1, Role::Owner);
    assert_eq!(it.read(&token).await.unwrap().scopes(), Role::Owner.scopes());
    *it.auth.role.lock().unwrap() = Some(Role::Viewer);
    it.clock.advance(10);
    let caller = it.read(&token).await.unwrap();
    assert_eq!(caller.scopes(), Role::Viewer.scopes());
    assert!(matches!(caller.principal(), Principal::Member(_, Role::Viewer)));
    *it.auth.role.lock().unwrap() = None;
    it.clock.advance(10);
    assert_eq!(code(it.read(&token).await), Code::Unauthenticated);
}

#[tokio::test]
async fn a_member_that_is_forgotten_is_asked_for_at_once() {
    let it = Fixture::new();
    let token = it.token(1, Role::Owner);
    let caller = it.read(&token).await.unwrap();
    let Principal::Member(member, _) = caller.principal() else { panic!("{caller:?}") };
    *it.auth.role.lock().unwrap() = None;
    it.read(&token).await.unwrap();
    it.gate.forget_member(TENANT, member).await;
    assert_eq!(code(it.read(&token).await), Code::Unauthenticated);
}
