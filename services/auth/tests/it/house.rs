//! An auth service with its own database, and someone who calls it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use spanlake_access::secret::MasterSecret;
use spanlake_access::{Gate, MemoryLimiter};
use spanlake_auth::{Argon2Config, Config, Service, routes};
use spanlake_catalog::Catalog;
use spanlake_model::{Clock, Entropy, SystemEntropy, Timestamp};
use spanlake_transport::openapi;
use tower::ServiceExt;

pub(crate) const PASSWORD: &str = "correct horse battery";

pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_nanos()).unwrap(), Ordering::SeqCst);
    }
}
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.load(Ordering::SeqCst))
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// What was asked for; fails when it was refused.
    pub(crate) fn data(self) -> Value {
        assert!(self.status.is_success(), "{self:?}");
        self.body["data"].clone()
    }
    /// Status and code of a refusal.
    pub(crate) fn refusal(&self) -> (u16, &str) {
        (self.status.as_u16(), self.body["error"]["code"].as_str().unwrap_or_default())
    }
}

pub(crate) struct House {
    pub(crate) clock: Arc<TestClock>,
    pub(crate) service: Arc<Service>,
    pub(crate) catalog: Catalog,
    pub(crate) operations: Vec<(Method, String)>,
    pub(crate) gate: Gate,
    router: Router,
    folder: PathBuf,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    /// One whose settings are changed.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut random = [0; 8];
        SystemEntropy.fill(&mut random);
        let folder = std::env::temp_dir().join(format!("spanlake-auth-{:016x}", u64::from_le_bytes(random)));
        std::fs::create_dir_all(&folder).unwrap();
        let url = format!("sqlite:{}", folder.join("catalog.db").display());
        let catalog = Catalog::open(&spanlake_catalog::Config::new(url)).await.unwrap();
        let clock = Arc::new(TestClock(AtomicI64::new(1_800_000_000_000_000_000)));
        let secret = MasterSecret::from_bytes(vec![8; 32]).unwrap();
        let argon2 = Argon2Config { memory_kib: 64, iterations: 1, parallelism: 1 };
        let mut config = Config { argon2, ..Config::default() };
        change(&mut config);
        let clock_of = || Arc::clone(&clock) as Arc<dyn Clock>;
        let service =
            Service::new(Arc::new(catalog.clone()), secret, clock_of(), Arc::new(SystemEntropy), config).unwrap();
        let service = Arc::new(service);
        let limiter = Arc::new(MemoryLimiter::new(clock_of(), 100));
        let gate = Gate::new(Arc::clone(&service) as _, limiter, clock_of(), spanlake_access::Config::default());
        let (router, document) = routes(Arc::clone(&service), gate.clone()).split();
        let operations = openapi::operations(&document);
        Self { clock, service, catalog, operations, gate, router, folder }
    }

    pub(crate) async fn call(&self, method: &str, uri: &str, credential: Option<&str>, body: Option<Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(credential) = credential {
            request = request.header("authorization", credential);
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        self.send(request.body(body).unwrap()).await
    }
    /// Each request is a millisecond after the one before, so that "oldest first" has one answer.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        self.clock.advance(Duration::from_millis(1));
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Answer { status: parts.status, headers: parts.headers, body }
    }
    pub(crate) async fn get(&self, uri: &str, credential: &str) -> Answer {
        self.call("GET", uri, Some(credential), None).await
    }
    pub(crate) async fn post(&self, uri: &str, credential: &str, body: Value) -> Answer {
        self.call("POST", uri, Some(credential), Some(body)).await
    }
    pub(crate) async fn delete(&self, uri: &str, credential: &str) -> Answer {
        self.call("DELETE", uri, Some(credential), None).await
    }
    /// Signs up and answers everything that made, with `access_token` in it.
    pub(crate) async fn sign_up(&self, email: &str) -> Value {
        let body = json!({"email": email, "password": PASSWORD, "tenant_name": format!("{email}'s")});
        self.call("POST", "/v1/signup", None, Some(body)).await.data()
    }
    pub(crate) async fn log_in(&self, email: &str, password: &str) -> Answer {
        self.call("POST", "/v1/login", None, Some(json!({"email": email, "password": password}))).await
    }
    pub(crate) async fn refresh(&self, token: &Value) -> Answer {
        self.call("POST", "/v1/token/refresh", None, Some(json!({"refresh_token": token}))).await
    }
    /// A workspace key that may do everything its maker may.
    pub(crate) async fn admin_key(&self, maker: &str) -> String {
        let scopes = ["ingest", "read", "export", "score", "admin"];
        let key = json!({"name": "all", "kind": "workspace", "scopes": scopes});
        text(&self.post("/v1/api-keys", maker, key).await.data()["key"])
    }
    /// Who this credential makes one.
    pub(crate) async fn caller(&self, credential: &str) -> spanlake_model::Caller {
        let request = Request::get("/").header("authorization", credential).body(()).unwrap();
        self.gate.caller(&request.into_parts().0).await.unwrap()
    }
    /// A new owner's access token.
    pub(crate) async fn owner(&self) -> String {
        text(&self.sign_up("ann@example.com").await["access_token"])
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}
