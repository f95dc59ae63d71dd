//! How many keys that nobody remembers one auth process verifies, beside bare reads of their rows in the same run:
//! `cargo bench -p spanlake-auth`, over SQLite; with `-- postgres://…`, over an empty database there.

#![expect(clippy::print_stdout, reason = "it is what was asked for")]

use std::future::Future;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt as _;
use futures::stream;
use spanlake_access::key::{self, Kind};
use spanlake_access::secret::{MasterSecret, PEPPER_VERSION};
use spanlake_auth::{Config, Service};
use spanlake_catalog::{Accounts as _, ApiKey, App, Catalog, Keys as _, Member, NewAccount, Tenant};
use spanlake_model::{
    AppId, Clock, Entropy, KeyId, Limits, MemberId, Role, ScopeSet, SystemClock, SystemEntropy, TenantId,
};
use spanlake_proto::auth::{Auth, PresentedKey};

const TENANT: TenantId = TenantId::from_bytes([1; 16]);

fn secret() -> MasterSecret {
    MasterSecret::from_bytes(vec![7; 32]).expect("long enough")
}

async fn account(catalog: &Catalog) {
    let (app, created_at) = (AppId::from_bytes([2; 16]), SystemClock.now());
    let tenant = Tenant { id: TENANT, name: "t".into(), default_app: app, limits: Limits::default(), created_at };
    let owner = Member {
        id: MemberId::from_bytes([3; 16]),
        tenant: TENANT,
        email: "ann@example.com".into(),
        password_hash: String::new(),
        role: Role::Owner,
        created_at,
    };
    let app = App { id: app, tenant: TENANT, name: "default".into(), created_at };
    catalog.sign_up(NewAccount { tenant, app, owner }).await.expect("an account");
}

async fn new_key(catalog: &Catalog) -> PresentedKey {
    let id = KeyId::generate(&SystemClock, &SystemEntropy);
    let text = key::generate(Kind::Workspace, id, &SystemEntropy);
    let now = SystemClock.now();
    let row = ApiKey {
        id,
        tenant: TENANT,
        app: None,
        agent: None,
        name: "bench".into(),
        hash: key::hash(&secret().pepper(PEPPER_VERSION), &text).to_vec(),
        pepper_version: PEPPER_VERSION,
        last4: key::last4(&text).to_owned(),
        scopes: ScopeSet::all(),
        created_at: now,
        expires_at: None,
        revoked_at: None,
        last_used_at: Some(now),
        created_by: None,
    };
    catalog.add_key(row).await.expect("a key");
    PresentedKey::new(text)
}

const KEYS: usize = 1_000;
const TIMES: usize = 20_000;
/// At the same time, as processes that ask would.
const AT_ONCE: usize = 16;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let mut random = [0; 8];
    SystemEntropy.fill(&mut random);
    let folder = std::env::temp_dir().join(format!("spanlake-bench-{:016x}", u64::from_le_bytes(random)));
    std::fs::create_dir_all(&folder).expect("a folder");
    let given = std::env::args().skip(1).find(|argument| argument.contains("://"));
    let url = given.unwrap_or_else(|| format!("sqlite:{}", folder.join("catalog.db").display()));
    runtime.block_on(measure(url));
    let _ = std::fs::remove_dir_all(folder);
}

async fn measure(url: String) {
    let catalog = Catalog::open(&spanlake_catalog::Config::new(url)).await.expect("a catalog");
    account(&catalog).await;
    let mut keys = Vec::new();
    for _ in 0..KEYS {
        keys.push(new_key(&catalog).await);
    }
    let ids: Vec<_> = keys.iter().map(|key| key::parse(key.expose()).expect("ours").id).collect();
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let service = Service::new(Arc::new(catalog.clone()), secret(), clock, entropy, Config::default());
    let service = service.expect("a service");
    for at_once in [1, AT_ONCE] {
        let read = a_second(at_once, |number| {
            let (catalog, id) = (catalog.clone(), ids[number % KEYS]);
            async move { drop(black_box(catalog.key(id).await.expect("a row"))) }
        });
        let read = read.await;
        let verified = a_second(at_once, |number| {
            let (service, key) = (service.clone(), keys[number % KEYS].clone());
            async move {
                black_box(service.verify_key(&key).await.expect("a good key"));
            }
        });
        let verified = verified.await;
        println!(
            "{at_once:2} at once: {verified:9.0} keys verified a second, {:.2} of {read:.0} bare reads of their rows",
            verified / read
        );
    }
}

/// How many are done in a second, the best of five rounds.
async fn a_second<F: Future<Output = ()>>(at_once: usize, operation: impl Fn(usize) -> F) -> f64 {
    let mut best: f64 = 0.0;
    for _ in 0..5 {
        let began = Instant::now();
        stream::iter(0..TIMES).map(&operation).buffer_unordered(at_once).collect::<()>().await;
        best = best.max(TIMES as f64 / began.elapsed().as_secs_f64());
    }
    best
}
