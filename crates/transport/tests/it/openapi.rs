use http::Method;
use serde::Serialize;
use spanlake_model::Scope;
use spanlake_transport::response::{Created, Data, ErrorResponse, Page};
use spanlake_transport::{Permission, Routes, openapi};
use utoipa::ToSchema;
use utoipa_axum::routes;

#[derive(Serialize, ToSchema)]
struct Row {
    name: String,
}

#[utoipa::path(get, path = "/rows", responses((status = 200, body = Page<Row>), ErrorResponse))]
async fn list() -> Result<Page<Row>, ErrorResponse> {
    Ok(Page { data: vec![], limit: 1, next_cursor: None, total: None })
}

#[utoipa::path(post, path = "/rows", responses((status = 201, body = Created<Row>), ErrorResponse))]
async fn create() -> Created<Row> {
    Created(Row { name: "a".into() })
}

#[utoipa::path(get, path = "/rows/{id}", responses((status = 200, body = Data<Row>), ErrorResponse))]
async fn show() -> Data<Row> {
    Data(Row { name: "a".into() })
}

#[test]
fn every_route_is_in_the_document_with_its_envelope() {
    let routes = Routes::default()
        .to(Permission::Scope(Scope::Read), routes!(list))
        .to(Permission::Owner, routes!(create))
        .to(Permission::Anyone, routes!(show));
    let (_router, document) = routes.with_state(()).split();
    let rows = "/rows".to_owned();
    let expected = [(Method::GET, rows.clone()), (Method::POST, rows), (Method::GET, "/rows/{id}".to_owned())];
    assert_eq!(openapi::operations(&document), expected);
    let document = serde_json::to_value(&document).unwrap();
    let permission = |path: &str, method: &str| document["paths"][path][method]["x-permission"].clone();
    let declared = [permission("/rows", "get"), permission("/rows", "post"), permission("/rows/{id}", "get")];
    assert_eq!(declared, ["read", "owner", "anyone"], "each operation says who may use it, also of one path");
    let resolve = |schema: &serde_json::Value| match schema["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).unwrap_or_else(|| panic!("{reference} dangles")).clone(),
        None => schema.clone(),
    };
    let body = |path: &str, method: &str, status: &str| {
        let responses = &document["paths"][path][method]["responses"];
        resolve(&responses[status]["content"]["application/json"]["schema"])
    };
    let page = body("/rows", "get", "200");
    assert_eq!(resolve(&page["properties"]["data"]["items"])["properties"]["name"]["type"], "string");
    assert!(resolve(&page["properties"]["pagination"])["properties"]["next_cursor"].is_object());
    for (path, method, status) in [("/rows", "post", "201"), ("/rows/{id}", "get", "200")] {
        let data = resolve(&body(path, method, status)["properties"]["data"]);
        assert_eq!(data["properties"]["name"]["type"], "string", "{document:#}");
    }
    let error = resolve(&body("/rows", "get", "default")["properties"]["error"]);
    assert!(error["properties"]["code"].is_object(), "{document:#}");
}
