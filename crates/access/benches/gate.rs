//! What it costs to know who is calling: `cargo bench -p spanlake-access`.

use std::hint::black_box;
use std::sync::Arc;

use async_trait::async_trait;
use criterion::{Criterion, criterion_group, criterion_main};
use http::Request;
use http::request::Parts;
use spanlake_access::key::{self, Kind};
use spanlake_access::secret::MasterSecret;
use spanlake_access::token::{Issuer, Jwks};
use spanlake_access::{Config, Gate, MemoryLimiter};
use spanlake_model::{
    AccountChanges, AgentId, AppId, Fault, KeyId, Limit, Limits, MemberId, Role, Scope, ScopeSet, SystemClock,
    SystemEntropy, TenantId,
};
use spanlake_proto::auth::{Auth, KeyIdentity, PresentedKey, TenantInfo};

const TENANT: TenantId = TenantId::from_bytes([1; 16]);
const APP: AppId = AppId::from_bytes([2; 16]);
const KEY: KeyId = KeyId::from_bytes([3; 16]);
const MEMBER: MemberId = MemberId::from_bytes([4; 16]);

/// Lets everybody in, at once: what is measured is what comes before and after asking.
struct Open(Jwks);

#[async_trait]
impl Auth for Open {
    async fn verify_key(&self, _: &PresentedKey) -> Result<KeyIdentity, Fault> {
        let scopes = ScopeSet::all();
        Ok(KeyIdentity { key: KEY, tenant: TENANT, app: None, agent: None, scopes, expires_at: None })
    }
    async fn jwks(&self) -> Result<String, Fault> {
        Ok(self.0.to_json())
    }
    async fn tenant(&self, _: TenantId) -> Result<TenantInfo, Fault> {
        let most = Limits { requests_per_second: u32::MAX, ..Limits::default() };
        Ok(TenantInfo { default_app: APP, limits: most, spans_left: None })
    }
    async fn has_app(&self, _: TenantId, _: AppId) -> Result<bool, Fault> {
        Ok(true)
    }
    async fn find_agent(&self, _: TenantId, _: AgentId) -> Result<Option<AppId>, Fault> {
        Ok(None)
    }
    async fn member_role(&self, _: TenantId, _: MemberId) -> Result<Role, Fault> {
        Ok(Role::Owner)
    }
    async fn changes(&self, _: Option<u64>) -> Result<AccountChanges, Fault> {
        Ok(AccountChanges { sequence: 0, changed: None })
    }
}

fn request(credential: &str) -> Parts {
    let request = Request::get("/v1/traces").header("authorization", format!("Bearer {credential}")).body(());
    request.expect("a request").into_parts().0
}

fn verify(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let seed = MasterSecret::from_bytes(vec![7; 32]).expect("long enough").signing_seed(1);
    let issuer = Issuer::new(&seed, std::time::Duration::from_secs(36_000)).expect("an issuer");
    let auth = Arc::new(Open(Jwks { keys: vec![issuer.public_key().clone()] }));
    let clock = Arc::new(SystemClock);
    let limiter = Arc::new(MemoryLimiter::new(clock.clone(), 1_000));
    let gate = Gate::new(auth, limiter, clock, Config::default());

    let key = request(&key::generate(Kind::Workspace, KEY, &SystemEntropy));
    criterion.bench_function("a key that is remembered", |bencher| {
        bencher.to_async(&runtime).iter(|| async { black_box(gate.admit(&key, Scope::Read).await) });
    });
    let token = issuer.issue(TENANT, MEMBER, Role::Owner, &SystemClock, &SystemEntropy).expect("a token");
    let token = request(&token);
    criterion.bench_function("an access token", |bencher| {
        bencher.to_async(&runtime).iter(|| async { black_box(gate.admit(&token, Scope::Read).await) });
    });
    let caller = runtime.block_on(gate.admit(&key, Scope::Read)).expect("a caller");
    criterion.bench_function("limits taken in this process", |bencher| {
        bencher.to_async(&runtime).iter(|| async { black_box(gate.take(&caller, &[(Limit::Requests, 1)]).await) });
    });
    let strangers: Vec<_> =
        (0..100_000).map(|_| request(&key::generate(Kind::Workspace, KEY, &SystemEntropy))).collect();
    let mut next = strangers.iter().cycle();
    criterion.bench_function("a key that is asked for", |bencher| {
        bencher.to_async(&runtime).iter(|| {
            let stranger = next.next().expect("it cycles");
            async { black_box(gate.admit(stranger, Scope::Read).await) }
        });
    });
}

criterion_group!(benches, verify);
criterion_main!(benches);
