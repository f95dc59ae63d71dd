//! The OpenAPI document, generated from the handlers.

use utoipa::openapi::OpenApi;

use crate::api::methods;

/// Every `(method, path)` of a document, sorted: what a test holds against the routes that exist.
pub fn operations(document: &OpenApi) -> Vec<(http::Method, String)> {
    let mut all: Vec<_> = document
        .paths
        .paths
        .iter()
        .flat_map(|(path, item)| methods(item).map(|(method, _)| (method, path.clone())))
        .collect();
    all.sort_by(|one, two| (&one.1, one.0.as_str()).cmp(&(&two.1, two.0.as_str())));
    all
}
