//! The OpenAPI document, generated from the handlers.

use utoipa::openapi::{OpenApi, PathItem};

/// Every `(method, path)` of a document, sorted: what a test holds against the routes that exist.
pub fn operations(document: &OpenApi) -> Vec<(http::Method, String)> {
    let mut all: Vec<_> = document
        .paths
        .paths
        .iter()
        .flat_map(|(path, item)| methods(item).into_iter().map(|method| (method, path.clone())))
        .collect();
    all.sort_by(|one, two| (&one.1, one.0.as_str()).cmp(&(&two.1, two.0.as_str())));
    all
}

fn methods(item: &PathItem) -> Vec<http::Method> {
    let all = [
        (http::Method::GET, &item.get),
        (http::Method::PUT, &item.put),
        (http::Method::POST, &item.post),
        (http::Method::DELETE, &item.delete),
        (http::Method::OPTIONS, &item.options),
        (http::Method::HEAD, &item.head),
        (http::Method::PATCH, &item.patch),
        (http::Method::TRACE, &item.trace),
    ];
    all.into_iter().filter_map(|(method, operation)| operation.as_ref().map(|_| method)).collect()
}
