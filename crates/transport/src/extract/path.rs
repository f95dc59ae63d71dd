//! Path parameters.

use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, MatchedPath, Path as AxumPath};
use http::request::Parts;
use serde::de::DeserializeOwned;
use spanlake_model::{Code, Fault};

use crate::response::ErrorResponse;

/// The parameters of the path, parsed.
///
/// # Errors
/// `invalid_path_params`, naming the parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = ErrorResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ErrorResponse> {
        match AxumPath::from_request_parts(parts, state).await {
            Ok(AxumPath(value)) => Ok(Self(value)),
            Err(rejection) => Err(invalid(rejection, parts.extensions.get()).into()),
        }
    }
}

fn invalid(rejection: PathRejection, route: Option<&MatchedPath>) -> Fault {
    let PathRejection::FailedToDeserializePathParams(failed) = rejection else {
        tracing::error!(error.message = %rejection.body_text(), "a route has no path parameters but its handler takes some");
        return Fault::internal();
    };
    let (key, why) = match failed.into_kind() {
        ErrorKind::ParseErrorAtKey { key, expected_type, .. } => (key, format!("expected {expected_type}")),
        ErrorKind::ParseErrorAtIndex { index, expected_type, .. } => {
            (parameter(route, index), format!("expected {expected_type}"))
        }
        ErrorKind::ParseError { expected_type, .. } => (parameter(route, 0), format!("expected {expected_type}")),
        ErrorKind::DeserializeError { key, message, .. } => (key, message),
        ErrorKind::InvalidUtf8InPathParam { key } => (key, "not UTF-8 once decoded".to_owned()),
        other => ("path".to_owned(), other.to_string()),
    };
    Fault::new(Code::InvalidPathParams, format!("The path parameter '{key}' is malformed: {why}.")).detail(key, why)
}

/// The name of the route's parameter at `index`; a handler that takes a tuple does not know it.
fn parameter(route: Option<&MatchedPath>, index: usize) -> String {
    let segments = route.map_or("", MatchedPath::as_str).split('/');
    let mut names = segments.filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    names.nth(index).unwrap_or("path").trim_start_matches('*').to_owned()
}
