//! Auth.

use std::sync::Arc;

use async_trait::async_trait;
use spanlake_model::{
    AccountChanges, AgentId, AppId, Changed, Code, Fault, KeyId, Limits, MemberId, Role, Scope, ScopeSet, TenantId,
    Timestamp,
};
use spanlake_proto::auth::{Auth, Client, KeyIdentity, PresentedKey, TenantInfo, service};
use spanlake_proto::internal::connect;

use crate::world::{serve, token, wrong_token};

/// Knows one key, one tenant, one app, one agent.
struct Book;

const TENANT: TenantId = TenantId::from_bytes([1; 16]);
const APP: AppId = AppId::from_bytes([2; 16]);
const AGENT: AgentId = AgentId::from_bytes([3; 16]);
const MEMBER: MemberId = MemberId::from_bytes([5; 16]);

#[async_trait]
impl Auth for Book {
    async fn verify_key(&self, key: &PresentedKey) -> Result<KeyIdentity, Fault> {
        let bound = match key.expose() {
            "bound" => true,
            "free" => false,
            _ => return Err(Fault::new(Code::Unauthenticated, "This key is not valid.").detail("key", "is unknown")),
        };
        Ok(KeyIdentity {
            key: KeyId::from_bytes([4; 16]),
            tenant: TENANT,
            app: bound.then_some(APP),
            agent: bound.then_some(AGENT),
            scopes: if bound { [Scope::Ingest, Scope::Score].into_iter().collect() } else { ScopeSet::all() },
            expires_at: bound.then_some(Timestamp::from_nanos(-7)),
        })
    }
    async fn jwks(&self) -> Result<String, Fault> {
        Ok(r#"{"keys":[]}"#.to_owned())
    }
    async fn tenant(&self, tenant: TenantId) -> Result<TenantInfo, Fault> {
        let limits = Limits {
            requests_per_second: 1,
            spans_per_second: 2,
            bytes_per_second: 1 << 40,
            exports_per_hour: 4,
            spans_per_month: Some(1 << 41),
            queries_at_once: Some(5),
        };
        let info = TenantInfo { default_app: APP, limits, spans_left: Some(0) };
        if tenant == TENANT { Ok(info) } else { Err(Fault::not_found("tenant")) }
    }
    async fn has_app(&self, tenant: TenantId, app: AppId) -> Result<bool, Fault> {
        Ok((tenant, app) == (TENANT, APP))
    }
    async fn find_agent(&self, tenant: TenantId, agent: AgentId) -> Result<Option<AppId>, Fault> {
        Ok(((tenant, agent) == (TENANT, AGENT)).then_some(APP))
    }
    async fn member_role(&self, tenant: TenantId, member: MemberId) -> Result<Role, Fault> {
        let is_known = (tenant, member) == (TENANT, MEMBER);
        is_known.then_some(Role::Admin).ok_or_else(|| Fault::not_found("member"))
    }
    async fn changes(&self, after: Option<u64>) -> Result<AccountChanges, Fault> {
        let all = vec![
            Changed::Key(KeyId::from_bytes([4; 16])),
            Changed::Member(TENANT, MEMBER),
            Changed::App(TENANT, APP),
            Changed::Agent(TENANT, AGENT),
            Changed::Tenant(TENANT),
        ];
        Ok(AccountChanges { sequence: 7, changed: after.filter(|after| *after < 7).map(|_| all) })
    }
}

#[tokio::test]
async fn the_client_answers_as_auth_itself_does() {
    let served = serve(service(Arc::new(Book), token())).await;
    let client = Client::new(connect(&served.address, &token()).unwrap(), &token());
    for key in ["bound", "free", "forged"].map(PresentedKey::new) {
        assert_eq!(client.verify_key(&key).await, Book.verify_key(&key).await);
    }
    assert_eq!(client.jwks().await, Book.jwks().await);
    let other = TenantId::from_bytes([9; 16]);
    for tenant in [TENANT, other] {
        assert_eq!(client.tenant(tenant).await, Book.tenant(tenant).await);
        assert_eq!(client.has_app(tenant, APP).await, Book.has_app(tenant, APP).await);
        assert_eq!(client.find_agent(tenant, AGENT).await, Book.find_agent(tenant, AGENT).await);
        assert_eq!(client.member_role(tenant, MEMBER).await, Book.member_role(tenant, MEMBER).await);
    }
    for after in [None, Some(0), Some(7)] {
        assert_eq!(client.changes(after).await, Book.changes(after).await);
    }
}

#[tokio::test]
async fn a_wrong_internal_token_is_refused_and_not_blamed_on_the_key() {
    let served = serve(service(Arc::new(Book), token())).await;
    let client = Client::new(connect(&served.address, &token()).unwrap(), &wrong_token());
    let fault = client.verify_key(&PresentedKey::new("free")).await.unwrap_err();
    assert_eq!(fault.code, Code::ServiceUnavailable);
    assert_eq!(client.jwks().await.unwrap_err().code, Code::ServiceUnavailable);
}

#[tokio::test]
async fn nobody_listening_means_unavailable_try_again() {
    let gone = serve(service(Arc::new(Book), token())).await.address.clone();
    let client = Client::new(connect(&gone, &token()).unwrap(), &token());
    let fault = client.jwks().await.unwrap_err();
    assert_eq!((fault.code, fault.retry_after.is_some()), (Code::ServiceUnavailable, true));
}
