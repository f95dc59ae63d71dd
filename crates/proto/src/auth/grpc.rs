//! [`Auth`] over gRPC, both ends.

use std::sync::Arc;

use async_trait::async_trait;
use spanlake_model::{
    AccountChanges, AgentId, AppId, Changed, Fault, KeyId, Limits, MemberId, Role, TenantId, Timestamp,
};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::{Auth, KeyIdentity, PresentedKey, TenantInfo};
use crate::convert::{Malformed, optional_uuid, uuid};
use crate::internal::{GrpcService, Trust, TrustedChannel, guarded, trusted};
use crate::pb::auth::v1 as pb;
use crate::pb::auth::v1::auth_client::AuthClient;
use crate::pb::auth::v1::auth_server::AuthServer;
use crate::status::{from_status, to_status};

/// The auth service in another process.
#[derive(Clone, Debug)]
pub struct Client(AuthClient<TrustedChannel>);

impl Client {
    /// Asks the auth service at the end of `channel` (see [`crate::internal::connect`]).
    pub fn new(channel: Channel, trust: &Trust) -> Self {
        Self(AuthClient::new(trusted(channel, trust)))
    }
}

#[async_trait]
impl Auth for Client {
    async fn verify_key(&self, key: &PresentedKey) -> Result<KeyIdentity, Fault> {
        let request = pb::VerifyKeyRequest { key: key.expose().to_owned() };
        let answer = self.0.clone().verify_key(request).await.map_err(from_status)?;
        Ok(identity(answer.into_inner())?)
    }

    async fn jwks(&self) -> Result<String, Fault> {
        let answer = self.0.clone().jwks(pb::JwksRequest {}).await.map_err(from_status)?;
        Ok(answer.into_inner().json)
    }

    async fn tenant(&self, tenant: TenantId) -> Result<TenantInfo, Fault> {
        let request = pb::GetTenantRequest { tenant_id: tenant.as_bytes().to_vec() };
        let answer = self.0.clone().get_tenant(request).await.map_err(from_status)?.into_inner();
        Ok(TenantInfo {
            default_app: AppId::from_bytes(uuid(&answer.default_app_id, "tenant.default_app_id")?),
            limits: Limits {
                requests_per_second: answer.requests_per_second,
                spans_per_second: answer.spans_per_second,
                bytes_per_second: answer.bytes_per_second,
                exports_per_hour: answer.exports_per_hour,
                spans_per_month: answer.spans_per_month,
                queries_at_once: answer.queries_at_once,
            },
            spans_left: answer.spans_left,
        })
    }

    async fn has_app(&self, tenant: TenantId, app: AppId) -> Result<bool, Fault> {
        let request = pb::HasAppRequest { tenant_id: tenant.as_bytes().to_vec(), app_id: app.as_bytes().to_vec() };
        Ok(self.0.clone().has_app(request).await.map_err(from_status)?.into_inner().found)
    }

    async fn find_agent(&self, tenant: TenantId, agent: AgentId) -> Result<Option<AppId>, Fault> {
        let request =
            pb::FindAgentRequest { tenant_id: tenant.as_bytes().to_vec(), agent_id: agent.as_bytes().to_vec() };
        let answer = self.0.clone().find_agent(request).await.map_err(from_status)?.into_inner();
        Ok(optional_uuid(&answer.app_id, "agent.app_id")?.map(AppId::from_bytes))
    }

    async fn member_role(&self, tenant: TenantId, member: MemberId) -> Result<Role, Fault> {
        let request =
            pb::MemberRoleRequest { tenant_id: tenant.as_bytes().to_vec(), member_id: member.as_bytes().to_vec() };
        let answer = self.0.clone().member_role(request).await.map_err(from_status)?.into_inner();
        Ok(Role::parse(&answer.role).ok_or(Malformed("member.role"))?)
    }

    async fn changes(&self, after: Option<u64>) -> Result<AccountChanges, Fault> {
        let answer = self.0.clone().changes(pb::ChangesRequest { after }).await.map_err(from_status)?.into_inner();
        let mut changed = Vec::with_capacity(answer.changes.len());
        for change in &answer.changes {
            changed.extend(read_change(change)?);
        }
        Ok(AccountChanges { sequence: answer.sequence, changed: answer.is_known.then_some(changed) })
    }
}

fn identity(answer: pb::VerifyKeyResponse) -> Result<KeyIdentity, Malformed> {
    Ok(KeyIdentity {
        key: KeyId::from_bytes(uuid(&answer.key_id, "identity.key_id")?),
        tenant: TenantId::from_bytes(uuid(&answer.tenant_id, "identity.tenant_id")?),
        app: optional_uuid(&answer.app_id, "identity.app_id")?.map(AppId::from_bytes),
        agent: optional_uuid(&answer.agent_id, "identity.agent_id")?.map(AgentId::from_bytes),
        scopes: answer.scopes.parse().map_err(|_| Malformed("identity.scopes"))?,
        expires_at: answer.expires_at_nanos.map(Timestamp::from_nanos),
    })
}

fn write_change(change: &Changed) -> pb::Change {
    let (what, tenant, id) = match change {
        Changed::Key(key) => ("key", None, key.as_bytes()),
        Changed::Member(tenant, member) => ("member", Some(tenant), member.as_bytes()),
        Changed::App(tenant, app) => ("app", Some(tenant), app.as_bytes()),
        Changed::Agent(tenant, agent) => ("agent", Some(tenant), agent.as_bytes()),
        Changed::Tenant(tenant) => ("tenant", Some(tenant), tenant.as_bytes()),
    };
    let tenant_id = tenant.map(|tenant| tenant.as_bytes().to_vec()).unwrap_or_default();
    pb::Change { what: what.to_owned(), tenant_id, id: id.to_vec() }
}

/// `None` for what a newer auth says and we remember nothing of.
fn read_change(change: &pb::Change) -> Result<Option<Changed>, Malformed> {
    let id = uuid(&change.id, "change.id")?;
    let tenant = || uuid(&change.tenant_id, "change.tenant_id").map(TenantId::from_bytes);
    Ok(Some(match change.what.as_str() {
        "key" => Changed::Key(KeyId::from_bytes(id)),
        "member" => Changed::Member(tenant()?, MemberId::from_bytes(id)),
        "app" => Changed::App(tenant()?, AppId::from_bytes(id)),
        "agent" => Changed::Agent(tenant()?, AgentId::from_bytes(id)),
        "tenant" => Changed::Tenant(tenant()?),
        _ => return Ok(None),
    }))
}

/// The gRPC service that answers with `auth`, to those whom `trust` admits.
pub fn service(auth: Arc<dyn Auth>, trust: Trust) -> impl GrpcService {
    guarded(AuthServer::new(Server(auth)), trust)
}

struct Server(Arc<dyn Auth>);

type Answer<T> = Result<Response<T>, Status>;

/// An id in a request.
fn id(bytes: &[u8], what: &'static str) -> Result<[u8; 16], Status> {
    uuid(bytes, what).map_err(|error| to_status(&error.into()))
}

#[async_trait]
impl pb::auth_server::Auth for Server {
    async fn verify_key(&self, request: Request<pb::VerifyKeyRequest>) -> Answer<pb::VerifyKeyResponse> {
        let key = PresentedKey::new(request.into_inner().key);
        let found = self.0.verify_key(&key).await.map_err(|fault| to_status(&fault))?;
        Ok(Response::new(pb::VerifyKeyResponse {
            key_id: found.key.as_bytes().to_vec(),
            tenant_id: found.tenant.as_bytes().to_vec(),
            app_id: found.app.map(|app| app.as_bytes().to_vec()).unwrap_or_default(),
            agent_id: found.agent.map(|agent| agent.as_bytes().to_vec()).unwrap_or_default(),
            scopes: found.scopes.to_string(),
            expires_at_nanos: found.expires_at.map(Timestamp::as_nanos),
        }))
    }

    async fn jwks(&self, _: Request<pb::JwksRequest>) -> Answer<pb::JwksResponse> {
        let json = self.0.jwks().await.map_err(|fault| to_status(&fault))?;
        Ok(Response::new(pb::JwksResponse { json }))
    }

    async fn get_tenant(&self, request: Request<pb::GetTenantRequest>) -> Answer<pb::GetTenantResponse> {
        let tenant = TenantId::from_bytes(id(&request.get_ref().tenant_id, "tenant_id")?);
        let info = self.0.tenant(tenant).await.map_err(|fault| to_status(&fault))?;
        Ok(Response::new(pb::GetTenantResponse {
            default_app_id: info.default_app.as_bytes().to_vec(),
            requests_per_second: info.limits.requests_per_second,
            spans_per_second: info.limits.spans_per_second,
            bytes_per_second: info.limits.bytes_per_second,
            exports_per_hour: info.limits.exports_per_hour,
            spans_per_month: info.limits.spans_per_month,
            queries_at_once: info.limits.queries_at_once,
            spans_left: info.spans_left,
        }))
    }

    async fn has_app(&self, request: Request<pb::HasAppRequest>) -> Answer<pb::HasAppResponse> {
        let request = request.into_inner();
        let tenant = TenantId::from_bytes(id(&request.tenant_id, "tenant_id")?);
        let app = AppId::from_bytes(id(&request.app_id, "app_id")?);
        let found = self.0.has_app(tenant, app).await.map_err(|fault| to_status(&fault))?;
        Ok(Response::new(pb::HasAppResponse { found }))
    }

    async fn find_agent(&self, request: Request<pb::FindAgentRequest>) -> Answer<pb::FindAgentResponse> {
        let request = request.into_inner();
        let tenant = TenantId::from_bytes(id(&request.tenant_id, "tenant_id")?);
        let agent = AgentId::from_bytes(id(&request.agent_id, "agent_id")?);
        let app = self.0.find_agent(tenant, agent).await.map_err(|fault| to_status(&fault))?;
        Ok(Response::new(pb::FindAgentResponse { app_id: app.map(|app| app.as_bytes().to_vec()).unwrap_or_default() }))
    }

    async fn member_role(&self, request: Request<pb::MemberRoleRequest>) -> Answer<pb::MemberRoleResponse> {
        let request = request.into_inner();
        let tenant = TenantId::from_bytes(id(&request.tenant_id, "tenant_id")?);
        let member = MemberId::from_bytes(id(&request.member_id, "member_id")?);
        let role = self.0.member_role(tenant, member).await.map_err(|fault| to_status(&fault))?;
        Ok(Response::new(pb::MemberRoleResponse { role: role.as_str().to_owned() }))
    }

    async fn changes(&self, request: Request<pb::ChangesRequest>) -> Answer<pb::ChangesResponse> {
        let found = self.0.changes(request.get_ref().after).await.map_err(|fault| to_status(&fault))?;
        Ok(Response::new(pb::ChangesResponse {
            sequence: found.sequence,
            is_known: found.changed.is_some(),
            changes: found.changed.unwrap_or_default().iter().map(write_change).collect(),
        }))
    }
}
