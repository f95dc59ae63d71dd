//! `POST /v1/deletions`.

use axum::extract::State;
use axum::http::request::Parts;
use serde::Deserialize;
use spanlake_model::{AppId, Caller, Code, Fault, TenantId, TraceId};
use spanlake_transport::extract::Body;
use spanlake_transport::response::{Created, ErrorResponse};
use utoipa::ToSchema;

use super::Face;
use super::deletion_row::Deletion;
use crate::erase::Named;

/// What is to be deleted: exactly one of these.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NewDeletion {
    /// Traces of the app that the request is about, 32 hex digits each; those that are not there are no error.
    trace_ids: Option<Vec<String>>,
    /// All traces of the app in which a span has this user.
    user_id: Option<String>,
    /// All traces of the app in which a span has this session.
    session_id: Option<String>,
    /// Everything in this app of the tenant.
    app_id: Option<String>,
    /// Everything of the tenant; its own id, to be sure. For its owner, signed in.
    tenant_id: Option<String>,
}

/// Delete traces, or all of a user, a session, an app or the tenant. Needs `admin`.
///
/// What was acknowledged before is hidden when this answers; what is sent later is new. `GET /v1/deletions/{id}` shows
/// when it is gone from the disk as well, and from which files. At most 100,000 traces at a time.
#[utoipa::path(
    post, path = "/v1/deletions", tag = "query", operation_id = "create_deletion",
    request_body = NewDeletion,
    responses((status = 201, description = "The deletion; its rows are hidden.", body = Created<Deletion>), ErrorResponse),
)]
pub(super) async fn create(
    State(face): State<Face>,
    parts: Parts,
    body: Result<Body<NewDeletion>, ErrorResponse>,
) -> Result<Created<Deletion>, ErrorResponse> {
    let caller = face.admin(&parts).await?;
    let Body(new) = body?;
    let named = new.named(&face, &caller).await?;
    let proof = face.service.erase(&caller, face.act(&caller, &parts), named).await.map_err(Fault::from)?;
    Ok(Created(proof.into()))
}

impl NewDeletion {
    async fn named(self, face: &Face, caller: &Caller) -> Result<Named, Fault> {
        let Self { trace_ids, user_id, session_id, app_id, tenant_id } = self;
        match (trace_ids, user_id, session_id, app_id, tenant_id) {
            (Some(traces), None, None, None, None) => read_traces(&traces),
            (None, Some(user), None, None, None) => Ok(Named::User(user)),
            (None, None, Some(session), None, None) => Ok(Named::Session(session)),
            (None, None, None, Some(app), None) => {
                let app: AppId = app.parse().map_err(|_| invalid("app_id", "must be a UUID"))?;
                face.gate.own_app(caller, app).await?;
                Ok(Named::App(app))
            }
            (None, None, None, None, Some(tenant)) => {
                let tenant: TenantId = tenant.parse().map_err(|_| invalid("tenant_id", "must be a UUID"))?;
                if tenant == caller.tenant() { Ok(Named::Tenant) } else { Err(Fault::not_found("tenant")) }
            }
            _ => Err(Fault::new(
                Code::InvalidRequestBody,
                "Name exactly one of trace_ids, user_id, session_id, app_id and tenant_id.",
            )),
        }
    }
}

fn read_traces(texts: &[String]) -> Result<Named, Fault> {
    if texts.is_empty() {
        return Err(invalid("trace_ids", "must name a trace at least"));
    }
    let traces = texts.iter().map(|text| text.parse::<TraceId>()).collect::<Result<_, _>>();
    Ok(Named::Traces(traces.map_err(|_| invalid("trace_ids", "must be 32 hex digits each, not all zero"))?))
}

fn invalid(field: &'static str, why: &'static str) -> Fault {
    Fault::new(Code::InvalidRequestBody, format!("'{field}' {why}.")).detail(field, why)
}
