//! What handlers answer: the success envelopes, and the one error envelope.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use spanlake_model::{Fault, Quota, Standing};
use utoipa::openapi::{self, RefOr};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

/// `200 {"data": …}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data<T>(pub T);

/// `201 {"data": …}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created<T>(pub T);

/// `204`, for what has been deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoContent;

/// `200 {"data": […], "pagination": {…}}`: one page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows, in the order asked for.
    pub data: Vec<T>,
    /// How many rows were asked for.
    pub limit: usize,
    /// Where the next page starts; `None` on the last.
    pub next_cursor: Option<String>,
    /// How many rows there are in all, where that is cheap to know.
    pub total: Option<u64>,
}

/// A fault on its way to the client. [`crate::layers::public`] adds the request id to the envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorResponse(pub Fault);

impl From<Fault> for ErrorResponse {
    fn from(fault: Fault) -> Self {
        Self(fault)
    }
}

/// The id of the request being served, as echoed in `X-Request-Id`: a request extension that handlers may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub(crate) Arc<str>);

impl RequestId {
    /// As sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The fault behind a response. [`crate::layers::public`] writes the envelope for it, with the request id.
#[derive(Debug, Clone)]
pub(crate) struct Envelope(pub(crate) Fault);

/// The fault behind a response whose body is already in another protocol's words.
#[derive(Debug, Clone)]
pub(crate) struct Own(pub(crate) Fault);

/// Marks a response whose server error is expected and not to be logged (a readiness probe).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quiet;

/// The status a fault answers with.
pub fn status(fault: &Fault) -> StatusCode {
    spanlake_proto::status::http_status(fault.kind())
}

/// Tells [`crate::layers::public`] which fault is behind `response`, so that it is logged, and leaves the body alone.
///
/// For protocols with error bodies of their own (OTLP, AgentOS); everything else answers an [`ErrorResponse`].
#[must_use]
pub fn own(mut response: Response, fault: &Fault) -> Response {
    set_retry_after(&mut response, fault);
    response.extensions_mut().insert(Own(fault.clone()));
    response
}

/// The fault behind an answer in our envelope, for whoever has to say it in another protocol's words.
pub fn enveloped(response: &Response) -> Option<&Fault> {
    response.extensions().get::<Envelope>().map(|envelope| &envelope.0)
}

impl<T: Serialize> IntoResponse for Data<T> {
    fn into_response(self) -> Response {
        Json(DataBody { data: self.0 }).into_response()
    }
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, Json(DataBody { data: self.0 })).into_response()
    }
}

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

impl<T: Serialize> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        let pagination = Pagination { limit: self.limit, next_cursor: self.next_cursor, total: self.total };
        Json(PageBody { data: self.data, pagination }).into_response()
    }
}

impl IntoResponse for ErrorResponse {
    fn into_response(self) -> Response {
        let mut response = (status(&self.0), error_body(&self.0, None)).into_response();
        set_retry_after(&mut response, &self.0);
        response.extensions_mut().insert(Envelope(self.0));
        response
    }
}

/// The error envelope; without a request id only where `layers::public` is not around it.
pub(crate) fn error_body(fault: &Fault, request_id: Option<&RequestId>) -> Json<ErrorBody> {
    Json(ErrorBody {
        error: ErrorDetail {
            code: fault.code.as_str(),
            message: fault.message.to_string(),
            details: fault.details.clone(),
        },
        request_id: request_id.map(|id| id.as_str().to_owned()),
    })
}

/// `Retry-After` in whole seconds, and which limit is used up.
fn set_retry_after(response: &mut Response, fault: &Fault) {
    if let Some(wait) = spanlake_proto::status::retry_after(fault) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        response.headers_mut().extend(used_up(fault));
    }
}

/// As [`rate_limits`], of the limit that a fault says is used up; no headers when it says none.
pub fn used_up(fault: &Fault) -> HeaderMap {
    let standing = spanlake_proto::status::retry_after(fault)
        .and_then(|renewed_in| Some(Standing { quota: fault.quota?, left: 0, renewed_in }));
    standing.map(|standing| rate_limits(&[standing])).unwrap_or_default()
}

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");

/// How limits stand, in the words of draft-ietf-httpapi-ratelimit-headers: what there is of each, what is left of it, and in how many
/// seconds there is more. No headers where nothing was taken.
pub fn rate_limits(standings: &[Standing]) -> HeaderMap {
    let policy = |Quota { name, most, window }| format!("\"{name}\";q={most};w={}", window.as_secs());
    let standing = |one: &Standing| {
        let Standing { quota, left, renewed_in } = one;
        format!("\"{}\";r={left};t={}", quota.name, whole_seconds(*renewed_in))
    };
    let policies: Vec<_> = standings.iter().map(|one| policy(one.quota)).collect();
    let all: Vec<_> = standings.iter().map(standing).collect();
    let named = [(POLICY, policies), (STANDING, all)].into_iter().filter(|(_, items)| !items.is_empty());
    named.filter_map(|(header, items)| Some((header, HeaderValue::try_from(items.join(", ")).ok()?))).collect()
}

/// Rounded up, so that waiting exactly that long is enough; one at least.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

#[derive(Serialize, ToSchema)]
#[schema(as = Data)]
struct DataBody<T> {
    data: T,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Page)]
struct PageBody<T> {
    data: Vec<T>,
    pagination: Pagination,
}

#[derive(Serialize, ToSchema)]
struct Pagination {
    /// How many rows were asked for.
    limit: usize,
    /// Send it back as `cursor` for the next page; null on the last.
    next_cursor: Option<String>,
    /// How many rows there are in all, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct ErrorBody {
    #[schema(inline)] // A reference would dangle: `IntoResponses` cannot add schemas to the document.
    error: ErrorDetail,
    /// The `X-Request-Id` of this answer; quote it when asking for help.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct ErrorDetail {
    /// What a client may branch on.
    code: &'static str,
    /// What is wrong and what to do.
    message: String,
    /// Which field, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    details: BTreeMap<String, String>,
}

/// The schema of a wrapper is that of the body it writes. `ComposeSchema` is what `#[derive(ToSchema)]` writes for a
/// generic type; the derive cannot be told that the JSON is another struct's.
macro_rules! schema_of {
    ($envelope:ident as $body:ident) => {
        impl<T: ToSchema> utoipa::__dev::ComposeSchema for $envelope<T> {
            fn compose(generics: Vec<RefOr<openapi::Schema>>) -> RefOr<openapi::Schema> {
                <$body<T> as utoipa::__dev::ComposeSchema>::compose(generics)
            }
        }
        impl<T: ToSchema> ToSchema for $envelope<T> {
            fn name() -> std::borrow::Cow<'static, str> {
                stringify!($envelope).into()
            }
            fn schemas(schemas: &mut Vec<(String, RefOr<openapi::Schema>)>) {
                $body::<T>::schemas(schemas);
            }
        }
    };
}

schema_of!(Data as DataBody);
schema_of!(Created as DataBody);
schema_of!(Page as PageBody);

impl PartialSchema for ErrorResponse {
    fn schema() -> RefOr<openapi::Schema> {
        ErrorBody::schema()
    }
}

impl ToSchema for ErrorResponse {
    fn name() -> std::borrow::Cow<'static, str> {
        "Error".into()
    }
    fn schemas(schemas: &mut Vec<(String, RefOr<openapi::Schema>)>) {
        ErrorBody::schemas(schemas);
    }
}

/// Documents the error envelope as the `default` answer: `responses((status = 200, body = …), ErrorResponse)`.
impl IntoResponses for ErrorResponse {
    fn responses() -> BTreeMap<String, RefOr<openapi::Response>> {
        let content = openapi::ContentBuilder::new().schema(Some(ErrorBody::schema())).build();
        let response = openapi::ResponseBuilder::new()
            .description("What went wrong, under a stable code, and what to do.")
            .content("application/json", content)
            .build();
        BTreeMap::from([("default".to_owned(), RefOr::T(response))])
    }
}
