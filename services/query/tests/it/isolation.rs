//! Who sees what.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::json;
use spanlake_model::{AgentId, Span};

use crate::face::face;
use crate::world::{World, app, fresh, id, span, tenant, trace};

fn routes() -> [String; 4] {
    let trace_path = format!("/v1/traces/{}", trace(1));
    ["/v1/traces".into(), "/v1/spans".into(), trace_path.clone(), format!("{trace_path}/spans/{}", id(1))]
}

#[tokio::test]
async fn every_route_refuses_strangers_before_it_looks_at_the_request() {
    let face = face(&World::new());
    for path in routes().into_iter().chain(["/v1/traces/xyz".into(), "/v1/traces?colour=red".into()]) {
        let (status, _) = face.send(Request::get(&path).body(Body::empty()).unwrap()).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}");
        let (status, _) = face.get_as([9, 1, 0], &path).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn another_apps_spans_are_as_if_they_did_not_exist() {
    let world = World::new();
    world.file(tenant(1), 1, &[Span { app_id: app(2), ..span(1, 1, 0) }], &[]).await;
    world.writer(0, vec![fresh(tenant(1), &[Span { app_id: app(2), ..span(1, 2, 0) }], &[])]);
    let (face, unknown) = (face(&world), crate::face::face(&World::new()));
    for path in routes() {
        assert_eq!(face.get_as([1, 1, 0], &path).await, unknown.get_as([1, 1, 0], &path).await, "{path}");
        assert_eq!(face.get_as([1, 2, 0], &path).await.0, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn an_agents_key_sees_that_agents_spans_only() {
    let world = World::new();
    let of = |agent: u8, span_byte| Span { agent_id: Some(AgentId::from_bytes([agent; 16])), ..span(1, span_byte, 0) };
    world.file(tenant(1), 1, &[of(7, 1), of(8, 2), span(1, 3, 0)], &[]).await;
    let face = face(&world);
    let (_, list) = face.get_as([1, 1, 7], "/v1/traces").await;
    assert_eq!(list["data"][0]["span_count"], json!(1));
    let (status, _) = face.get_as([1, 1, 7], &format!("/v1/traces/{}/spans/{}", trace(1), id(2))).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(face.ok("/v1/traces").await["data"][0]["span_count"], json!(3));
}
