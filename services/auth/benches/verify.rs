//! How many keys that nobody remembers one auth process verifies: `cargo bench -p spanlake-auth`. Over SQLite, one after the other.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
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

fn verify(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let mut random = [0; 8];
    SystemEntropy.fill(&mut random);
    let folder = std::env::temp_dir().join(format!("spanlake-bench-{:016x}", u64::from_le_bytes(random)));
    std::fs::create_dir_all(&folder).expect("a folder");
    let url = format!("sqlite:{}", folder.join("catalog.db").display());
    let (service, keys) = runtime.block_on(async {
        let catalog = Catalog::open(&spanlake_catalog::Config::new(url)).await.expect("a catalog");
        account(&catalog).await;
        let mut keys = Vec::new();
        for _ in 0..1_000 {
            keys.push(new_key(&catalog).await);
        }
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        let service = Service::new(Arc::new(catalog), secret(), clock, entropy, Config::default());
        (service.expect("a service"), keys)
    });
    let mut next = keys.iter().cycle();
    let mut group = criterion.benchmark_group("verify");
    group.throughput(Throughput::Elements(1));
    group.bench_function("one of 1,000 keys in SQLite", |bencher| {
        bencher.to_async(&runtime).iter(|| {
            let key = next.next().expect("it cycles");
            let service = &service;
            async move { black_box(service.verify_key(key).await) }
        });
    });
    group.finish();
    let _ = std::fs::remove_dir_all(folder);
}

criterion_group!(benches, verify);
criterion_main!(benches);
