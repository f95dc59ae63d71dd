//! The routes behind a real gate, called as a client would.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::request::Builder;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use spanlake_access::{Gate, MemoryLimiter, key};
use spanlake_catalog::Recorder;
use spanlake_engine::{Config as EngineConfig, Engine};
use spanlake_model::{
    AgentId, AppId, Clock, Fault, KeyId, Limits, Scope, ScopeSet, SystemEntropy, TenantId, Timestamp,
};
use spanlake_proto::auth::{Auth, KeyIdentity, PresentedKey, TenantInfo};
use spanlake_query::{Config, Service, routes};
use tower::ServiceExt;

use crate::world::{World, app, at, tenant};

/// Noon of the day all tests play on.
#[derive(Debug)]
pub struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        at(12 * 3_600)
    }
}

pub struct Face {
    router: Router,
}

pub fn service(world: &Arc<World>, config: Config) -> Service {
    service_over(Arc::new(world.engine(EngineConfig::default())), world, config)
}

/// As [`service`], with an engine of the test's own.
pub fn service_over(engine: Arc<Engine>, world: &Arc<World>, config: Config) -> Service {
    let recorder = Recorder { deeds: world.clone(), clock: Arc::new(Noon), proxies: 0 };
    Service::new(engine, world.clone(), recorder, Arc::new(Noon), Arc::new(SystemEntropy), config)
}

pub fn gate() -> Gate {
    let limiter = Arc::new(MemoryLimiter::new(Arc::new(Noon), 10));
    Gate::new(Arc::new(Keys), limiter, Arc::new(Noon), spanlake_access::gate::Config::default())
}

/// A key of (tenant, app, agent or 0).
pub fn key_of(holder: [u8; 3]) -> String {
    let mut id = [0; 16];
    id[..3].copy_from_slice(&holder);
    key::generate(key::Kind::Workspace, KeyId::from_bytes(id), &SystemEntropy)
}

pub fn face(world: &Arc<World>) -> Face {
    face_over(service(world, Config::default()))
}

pub fn face_over(service: Service) -> Face {
    let (router, _) = routes(Arc::new(service), gate()).split();
    Face { router }
}

impl Face {
    /// As the workspace key of tenant 1, in its app 1.
    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.get_as([1, 1, 0], path).await
    }

    pub async fn ok(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    /// As [`Self::get`], with a body of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = Request::post(path).header("content-type", "application/json");
        self.send_as([1, 1, 0], request, Body::from(body.to_string())).await
    }

    /// As the key of (tenant, app, agent or 0).
    pub async fn get_as(&self, holder: [u8; 3], path: &str) -> (StatusCode, Value) {
        self.send_as(holder, Request::get(path), Body::empty()).await
    }

    /// As well.
    pub async fn send_as(&self, holder: [u8; 3], request: Builder, body: Body) -> (StatusCode, Value) {
        let key = key_of(holder);
        self.send(request.header("authorization", format!("Bearer {key}")).body(body).unwrap()).await
    }

    pub async fn send(&self, request: Request<Body>) -> (StatusCode, Value) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        (status, body)
    }
}

/// Believes every key: its id says whose it is.
struct Keys;

#[async_trait]
impl Auth for Keys {
    async fn verify_key(&self, presented: &PresentedKey) -> Result<KeyIdentity, Fault> {
        let id = key::parse(presented.expose()).unwrap().id;
        let [tenant_byte, app_byte, agent, ..] = *id.as_bytes();
        // Tenant 9's keys may do everything but read.
        let scopes = Scope::ALL.into_iter().filter(|scope| tenant_byte != 9 || *scope != Scope::Read);
        Ok(KeyIdentity {
            key: id,
            tenant: tenant(tenant_byte),
            app: Some(app(app_byte)),
            agent: (agent != 0).then(|| AgentId::from_bytes([agent; 16])),
            scopes: scopes.collect::<ScopeSet>(),
            expires_at: None,
        })
    }
    async fn jwks(&self) -> Result<String, Fault> {
        Ok(r#"{"keys":[]}"#.into())
    }
    async fn tenant(&self, _: TenantId) -> Result<TenantInfo, Fault> {
        Ok(TenantInfo { default_app: app(1), limits: Limits::default(), spans_left: None })
    }
    async fn has_app(&self, _: TenantId, _: AppId) -> Result<bool, Fault> {
        Ok(true)
    }
    async fn find_agent(&self, _: TenantId, _: AgentId) -> Result<Option<AppId>, Fault> {
        Ok(None)
    }
    async fn member_role(&self, _: TenantId, _: spanlake_model::MemberId) -> Result<spanlake_model::Role, Fault> {
        Err(Fault::not_found("member"))
    }
    async fn changes(&self, _: Option<u64>) -> Result<spanlake_model::AccountChanges, Fault> {
        Ok(spanlake_model::AccountChanges { sequence: 0, changed: Some(Vec::new()) })
    }
}
