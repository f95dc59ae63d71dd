//! A tenant with exports, and a worker that can be killed.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use serde_json::Value;
use spanlake_access::key::{self, Kind as KeyKind};
use spanlake_access::{Gate, MemoryLimiter};
use spanlake_catalog::{
    Accounts as _, ApiKey, App, Catalog, Config as CatalogConfig, Keys as _, Member, NewAccount, Recorder, Tenant,
};
use spanlake_export::Config;
use spanlake_export::jobs::{Credentials, Destination, Destinations, Jobs, Parts, Worker, routes};
use spanlake_model::{Clock as _, Entropy, Fault, KeyId, Limits, MemberId, Role, ScopeSet, TenantId, Timestamp};
use spanlake_store::export::Outlet;
use spanlake_testkit::{ManualClock, SeededEntropy, TemporaryFolder};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::faulty::Faulty;
use super::model::Model;
use crate::world::{APP, Book};

pub(crate) const TENANT: TenantId = TenantId::from_bytes([1; 16]);
/// Longer than any lease or wait.
pub(crate) const LATER: Duration = Duration::from_secs(2 * 3_600);

/// Everything goes to the same objects.
struct Everywhere(Arc<Faulty>);

#[async_trait]
impl Destinations for Everywhere {
    async fn open(&self, _: TenantId, _: &Destination, _: Option<Credentials>) -> Result<Outlet, Fault> {
        Ok(Outlet::below(self.0.clone(), ""))
    }
}

pub(crate) struct Bench {
    _folder: TemporaryFolder,
    pub(crate) catalog: Catalog,
    pub(crate) model: Arc<Model>,
    pub(crate) objects: Arc<Faulty>,
    pub(crate) clock: Arc<ManualClock>,
    parts: Parts,
    jobs: Arc<Jobs>,
    router: Router,
    pub(crate) key: String,
    pub(crate) reader: String,
}

impl Bench {
    /// Files are cut at so many bytes.
    pub(crate) async fn new(file_bytes: usize) -> Self {
        let folder = TemporaryFolder::new("export-jobs");
        let url = format!("sqlite:{}", folder.path().join("catalog.db").display());
        let catalog = Catalog::open(&CatalogConfig::new(&url)).await.unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::parse("2026-04-10T12:00:00Z").unwrap()));
        sign_up(&catalog, clock.now()).await;
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(1));
        let (model, objects) = (Arc::new(Model::default()), Arc::new(Faulty::default()));
        let parts = Parts {
            exports: Arc::new(catalog.clone()),
            accounts: Arc::new(catalog.clone()),
            recorder: Recorder { deeds: Arc::new(catalog.clone()), clock: clock.clone(), proxies: 0 },
            source: model.clone(),
            destinations: Arc::new(Everywhere(objects.clone())),
            clock: clock.clone(),
            entropy: entropy.clone(),
            config: Config { file_bytes, heartbeat_ms: 20, ..Config::default() },
        };
        let jobs = Arc::new(Jobs::new(parts.clone()).unwrap());
        let make = |id| key::generate(KeyKind::Workspace, KeyId::from_bytes([id; 16]), entropy.as_ref());
        let (key, reader) = (make(1), make(2));
        let auth = Arc::new(Book { full: key.clone(), reader: reader.clone() });
        let limiter = Arc::new(MemoryLimiter::new(clock.clone(), 10));
        let gate = Gate::new(auth, limiter, clock.clone(), spanlake_access::Config::default());
        let (router, _) = routes(jobs.clone(), gate).split();
        Self { _folder: folder, catalog, model, objects, clock, parts, jobs, router, key, reader }
    }

    /// With workers that give an attempt so long.
    pub(crate) fn with_run_deadline_ms(mut self, run_deadline_ms: u64) -> Self {
        self.parts.config.run_deadline_ms = run_deadline_ms;
        self.jobs = Arc::new(Jobs::new(self.parts.clone()).unwrap());
        self
    }

    pub(crate) fn worker(&self) -> Worker {
        self.jobs.worker()
    }

    pub(crate) async fn send(&self, method: &str, path: &str, key: &str, body: Option<&Value>) -> (StatusCode, Value) {
        let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {key}"));
        let request = match body {
            Some(body) => request.header("content-type", "application/json").body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        };
        let response = self.router.clone().oneshot(request.unwrap()).await.unwrap();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// Asks for an export, which must be taken; answers its id.
    pub(crate) async fn ask(&self, body: &Value) -> String {
        let (status, answer) = self.send("POST", "/v1/exports", &self.key, Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        answer["data"]["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn export(&self, id: &str) -> Value {
        self.get(&format!("/v1/exports/{id}")).await["data"].clone()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.send("GET", path, &self.key, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    /// Works on what is due until nothing is, or until the objects let the worker die; answers whether it lived.
    pub(crate) async fn work(&self) -> bool {
        let (worker, token) = (self.worker(), CancellationToken::new());
        let all = async { while worker.work_on_one(&token).await.unwrap() {} };
        tokio::select! {
            () = all => true,
            () = self.objects.died.notified() => false,
        }
    }

    /// As [`Self::work`], again and again, later and later, until nothing is due and nobody dies.
    pub(crate) async fn work_until_done(&self, id: &str) -> Value {
        for _ in 0..50 {
            let lived = self.work().await;
            let export = self.export(id).await;
            if lived && export["status"] != "running" && export["error"].is_null() {
                return export;
            }
            assert!(export["status"] != "failed", "{export}");
            self.clock.advance(LATER);
        }
        panic!("an export does not come to an end: {}", self.export(id).await);
    }

    /// The objects in an export's folder, with paths below it.
    pub(crate) async fn objects(&self, id: &str) -> Vec<String> {
        let outlet = Outlet::below(self.objects.clone(), id);
        let mut paths = outlet.list("").await.unwrap();
        paths.sort();
        paths
    }

    pub(crate) async fn read(&self, id: &str, path: &str) -> Vec<u8> {
        let outlet = Outlet::below(self.objects.clone(), id);
        outlet.get(path).await.unwrap().unwrap_or_else(|| panic!("{path} is not there")).to_vec()
    }
}

async fn sign_up(catalog: &Catalog, now: Timestamp) {
    let app = App { id: APP, tenant: TENANT, name: "default".into(), created_at: now };
    let owner = Member {
        id: MemberId::from_bytes([1; 16]),
        tenant: TENANT,
        email: "ann@example.com".into(),
        password_hash: String::new(),
        role: Role::Owner,
        created_at: now,
    };
    let tenant =
        Tenant { id: TENANT, name: "Ann's".into(), default_app: APP, limits: Limits::default(), created_at: now };
    catalog.sign_up(NewAccount { tenant, app, owner }).await.unwrap();
    catalog.add_key(api_key(now)).await.unwrap();
}

fn api_key(now: Timestamp) -> ApiKey {
    ApiKey {
        id: KeyId::from_bytes([1; 16]),
        tenant: TENANT,
        app: None,
        agent: None,
        name: "warehouse".into(),
        hash: vec![1],
        pepper_version: 1,
        last4: "abcd".into(),
        scopes: ScopeSet::all(),
        created_at: now,
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
        created_by: None,
    }
}
