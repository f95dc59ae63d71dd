//! A JSON body, at most 1 MiB.

use axum::extract::{FromRequest, Request};
use http::{HeaderMap, header};
use serde::de::DeserializeOwned;
use spanlake_model::{Code, Fault};

use crate::body;
use crate::response::ErrorResponse;

/// A JSON body of at most 1 MiB, decompressed; what carries telemetry uses [`body::read`] with its own limits instead.
///
/// # Errors
/// `unsupported_media_type` when it is not declared as JSON, `invalid_request_body` naming the field, and all of [`body::read`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Body<T>(pub T);

/// Far more than any settings or search body needs.
const LIMITS: body::Limits = body::Limits::bytes(1 << 20);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ErrorResponse;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ErrorResponse> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            return Err(Fault::new(
                Code::UnsupportedMediaType,
                "The body must be JSON; send it with Content-Type: application/json.",
            )
            .into());
        }
        let bytes = body::read(&parts.headers, body, LIMITS).await?;
        let axum::Json(value) = axum::Json::from_bytes(&bytes).map_err(|rejection| invalid(&rejection))?;
        Ok(Self(value))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn invalid(rejection: &axum::extract::rejection::JsonRejection) -> Fault {
    // Its source says `path: why at line …`, without axum's own preamble.
    let text = std::error::Error::source(rejection).map_or_else(|| rejection.body_text(), ToString::to_string);
    let (path, why) = located(&text);
    Fault::new(Code::InvalidRequestBody, format!("The body does not fit: {why}.")).detail(path, why)
}

/// Splits `a.b: why` and moves the field that serde names into the path.
fn located(text: &str) -> (String, String) {
    let (parent, why) = match text.split_once(": ") {
        Some((path, why)) if !path.contains(' ') => (path, why),
        _ => ("", text),
    };
    let field = ["missing field `", "unknown field `"]
        .iter()
        .find_map(|start| why.strip_prefix(start)?.split_once('`'))
        .map_or("", |(name, _)| name);
    let path = match (parent.trim_start_matches('.'), field) {
        ("", "") => "body".to_owned(),
        (parent, "") => parent.to_owned(),
        ("", field) => field.to_owned(),
        (parent, field) if parent == field || parent.ends_with(&format!(".{field}")) => parent.to_owned(),
        (parent, field) => format!("{parent}.{field}"),
    };
    (path, why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_at_fault_is_named_with_its_path() {
        let cases = [
            ("missing field `name` at line 1 column 2", "name"),
            ("agents[1].id: missing field `kind` at line 1 column 9", "agents[1].id.kind"),
            ("limits.spans: invalid type: string \"x\", expected u64 at line 1 column 9", "limits.spans"),
            ("invalid type: map, expected a string at line 1 column 1", "body"),
            ("colour: unknown field `colour`, expected `name` at line 1 column 9", "colour"),
        ];
        for (text, path) in cases {
            assert_eq!(located(text).0, path, "{text}");
        }
    }
}
