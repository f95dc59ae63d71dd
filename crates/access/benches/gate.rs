//! What it costs to know who is calling, beside what it could not cost less than: `cargo bench -p spanlake-access`.
//!
//! Each figure is the best of some rounds on one thread; the ratio is to a bare operation of the same run, so that it holds on another machine.

#![expect(clippy::print_stdout, reason = "it is what was asked for")]

use std::future::Future;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ed25519_dalek::{Signer as _, SigningKey, Verifier as _};
use http::Request;
use http::request::Parts;
use sha2::{Digest as _, Sha256};
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

const ROUNDS: u32 = 10;
const TIMES: u32 = 20_000;
/// What verifying a key that is remembered may add to a request.
const ALLOWED: Duration = Duration::from_micros(20);

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

/// How long one takes, in the best of the rounds.
async fn best<F: Future>(mut operation: impl FnMut() -> F) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for _ in 0..TIMES {
            black_box(operation().await);
        }
        best = best.min(began.elapsed() / TIMES);
    }
    best
}

fn show(what: &str, took: Duration, beside: &str, bare: Duration) {
    let ratio = took.as_secs_f64() / bare.as_secs_f64();
    println!("{what:42} {:9.3} µs   {ratio:6.2} times {beside}", took.as_secs_f64() * 1e6);
}

fn main() {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(measure());
}

async fn measure() {
    let seed = MasterSecret::from_bytes(vec![7; 32]).expect("long enough").signing_seed(1);
    let issuer = Issuer::new(&seed, Duration::from_secs(36_000)).expect("an issuer");
    let auth = Arc::new(Open(Jwks { keys: vec![issuer.public_key().clone()] }));
    let clock = Arc::new(SystemClock);
    let limiter = Arc::new(MemoryLimiter::new(clock.clone(), 1_000));
    let gate = Gate::new(auth, limiter, clock, Config::default());

    let text = key::generate(Kind::Workspace, KEY, &SystemEntropy);
    let hashed = best(|| async { Sha256::digest(black_box(&text)) }).await;
    show("SHA-256 of a key", hashed, "itself", hashed);
    let remembered = request(&text);
    let known = best(|| gate.admit(&remembered, Scope::Read)).await;
    show("a key that is remembered", known, "that", hashed);
    let caller = gate.admit(&remembered, Scope::Read).await.expect("a caller");
    let taken = best(|| gate.take(&caller, &[(Limit::Requests, 1)])).await;
    show("a limit taken in this process", taken, "that", hashed);
    let strangers: Vec<_> =
        (0..100_000).map(|_| request(&key::generate(Kind::Workspace, KEY, &SystemEntropy))).collect();
    let mut next = strangers.iter().cycle();
    let asked = best(|| gate.admit(next.next().expect("it cycles"), Scope::Read)).await;
    show("a key that an auth in this process is asked", asked, "that", hashed);

    let signing = SigningKey::from_bytes(&[7; 32]);
    let message = [7; 400];
    let (signature, public) = (signing.sign(&message), signing.verifying_key());
    let verified = best(|| async { public.verify(black_box(&message), &signature) }).await;
    show("Ed25519 of 400 bytes", verified, "itself", verified);
    let token = issuer.issue(TENANT, MEMBER, Role::Owner, &SystemClock, &SystemEntropy).expect("a token");
    let token = request(&token);
    let admitted = best(|| gate.admit(&token, Scope::Read)).await;
    show("an access token", admitted, "that", verified);

    let percent = 100.0 * known.as_secs_f64() / ALLOWED.as_secs_f64();
    println!("a remembered key takes {percent:.0} % of the {} µs that it may add", ALLOWED.as_micros());
}
