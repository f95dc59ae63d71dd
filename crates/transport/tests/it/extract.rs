use axum::Router;
use axum::routing::{get, post};
use serde::Deserialize;
use spanlake_model::AppId;
use spanlake_transport::extract::{Body, Path, Query};
use spanlake_transport::response::Data;

use crate::support::{Server, json, public};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewApp {
    name: String,
    #[serde(default)]
    owner: Owner,
}

#[derive(Default, Deserialize)]
struct Owner {
    age: u8,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct List {
    limit: u32,
}

async fn server() -> Server {
    let create = |Body(app): Body<NewApp>| async move { Data(format!("{}{}", app.name, app.owner.age)) };
    let list = |Query(list): Query<List>| async move { Data(list.limit) };
    let show = |Path(id): Path<AppId>| async move { Data(id) };
    let child = |Path((id, number)): Path<(AppId, u8)>| async move { Data((id, number)) };
    let routes = Router::new()
        .route("/apps", post(create).get(list))
        .route("/apps/{id}", get(show))
        .route("/apps/{id}/{number}", get(child));
    Server::start(public(routes)).await
}

#[tokio::test]
async fn a_body_that_fits_is_taken_compressed_or_not() {
    let server = server().await;
    let client = reqwest::Client::new();
    let compressed = zstd::encode_all(&br#"{"name":"a"}"#[..], 3).unwrap();
    let requests = [
        client.post(server.url("/apps")).json(&serde_json::json!({"name": "a"})),
        client
            .post(server.url("/apps"))
            .header("content-type", "application/json; charset=utf-8")
            .body(r#"{"name":"a"}"#),
        client
            .post(server.url("/apps"))
            .header("content-type", "application/json")
            .header("content-encoding", "zstd")
            .body(compressed),
    ];
    for request in requests {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(json(response).await["data"], "a0");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_does_not_fit_is_refused_with_the_field_at_fault() {
    let server = server().await;
    let client = reqwest::Client::new();
    let cases = [
        ("{}", "name"),
        (r#"{"name":1}"#, "name"),
        (r#"{"name":"a","colour":1}"#, "colour"),
        (r#"{"name":"a","owner":{"age":300}}"#, "owner.age"),
        (r#"{"name":"a","owner":{}}"#, "owner.age"),
        ("{", "body"),
        ("", "body"),
    ];
    for (sent, field) in cases {
        let request = client.post(server.url("/apps")).header("content-type", "application/json").body(sent);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 400, "{sent}");
        let error = json(response).await["error"].take();
        assert_eq!(error["code"], "invalid_request_body");
        assert!(error["details"][field].is_string(), "{sent}: {error}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_is_not_json_or_too_big_is_refused() {
    let server = server().await;
    let client = reqwest::Client::new();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"] {
        let request = client.post(server.url("/apps")).header("content-type", kind).body(r#"{"name":"a"}"#);
        assert_eq!(request.send().await.unwrap().status(), 415, "{kind}");
    }
    assert_eq!(client.post(server.url("/apps")).body("{}").send().await.unwrap().status(), 415);
    let big = serde_json::json!({"name": "x".repeat(1 << 20)});
    assert_eq!(client.post(server.url("/apps")).json(&big).send().await.unwrap().status(), 413);
    server.stop().await;
}

#[tokio::test]
async fn an_unknown_parameter_is_refused_by_name_and_the_app_is_not_one() {
    let server = server().await;
    let response = reqwest::get(server.url("/apps?limit=5&limti=6")).await.unwrap();
    assert_eq!(response.status(), 400);
    let error = json(response).await["error"].take();
    assert_eq!(error["code"], "invalid_query_params");
    assert_eq!(error["details"]["limti"], "unknown parameter, perhaps 'limit' is meant");
    let response = reqwest::get(server.url("/apps?limit=5&appId=6")).await.unwrap();
    assert_eq!(json(response).await["data"], 5);
    server.stop().await;
}

#[tokio::test]
async fn a_malformed_id_is_refused_by_name() {
    let server = server().await;
    for (path, name) in
        [("/apps/7", "id"), ("/apps/%ff", "id"), ("/apps/00000000-0000-0000-0000-000000000000/x", "number")]
    {
        let response = reqwest::get(server.url(path)).await.unwrap();
        assert_eq!(response.status(), 400, "{path}");
        let error = json(response).await["error"].take();
        assert_eq!(error["code"], "invalid_path_params");
        assert!(error["details"][name].is_string(), "{path}: {error}");
    }
    let id = "01977420-dc00-7707-8707-070707070707";
    assert_eq!(json(reqwest::get(server.url(&format!("/apps/{id}"))).await.unwrap()).await["data"], id);
    server.stop().await;
}
