//! Which app a request names.

use http::HeaderMap;
use spanlake_model::{AppId, Code, Fault};

/// In order; the first that is there counts.
const HEADERS: [&str; 3] = ["x-spanlake-app-id", "x-agentmark-app-id", "x-puzzlet-app-id"];
/// The query parameter, when no header is there.
const PARAMETER: &str = "appId";

/// The app the request names, if it names one.
///
/// # Errors
/// `not_found` when what it names is no id: no tenant has such an app.
pub(super) fn named(headers: &HeaderMap, query: Option<&str>) -> Result<Option<AppId>, Fault> {
    let header = HEADERS.iter().find_map(|name| headers.get(*name));
    let text = match header {
        Some(value) => value.to_str().map_err(|_| unknown())?.trim(),
        None => match query.and_then(parameter) {
            Some(value) => value,
            None => return Ok(None),
        },
    };
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| unknown())
}

/// A UUID needs no escaping, so the value is read as it stands.
fn parameter(query: &str) -> Option<&str> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| *name == PARAMETER)
        .map(|(_, value)| value)
}

/// The app is chosen by the key's pin, the request, or the tenant's default, in this order.
///
/// # Errors
/// `forbidden` when the request names another app than the pin.
pub(super) fn within_pin(pin: AppId, named: Option<AppId>) -> Result<AppId, Fault> {
    match named {
        Some(other) if other != pin => Err(Fault::new(
            Code::Forbidden,
            "This key belongs to another app; leave the app id out, or use a key for the app you name.",
        )),
        _ => Ok(pin),
    }
}

pub(super) fn unknown() -> Fault {
    Fault::not_found("app")
}
