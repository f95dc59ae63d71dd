use spanlake_transport::health::{self, Readiness};

use crate::support::{Server, json, public};

#[tokio::test]
async fn a_process_is_alive_at_once_and_ready_when_every_check_is() {
    let readiness = Readiness::default();
    let server = Server::start(public(health::router(readiness.clone()))).await;
    assert_eq!(reqwest::get(server.url("/livez")).await.unwrap().status(), 200);
    assert_eq!(reqwest::get(server.url("/readyz")).await.unwrap().status(), 503, "no check has passed yet");
    let (log, catalog) = (readiness.check("log"), readiness.check("catalog"));
    log.waiting("replaying");
    catalog.ready();
    let response = reqwest::get(server.url("/readyz")).await.unwrap();
    assert_eq!(response.status(), 503);
    let expected = serde_json::json!({
        "ready": false,
        "checks": {"log": {"ready": false, "detail": "replaying"}, "catalog": {"ready": true}},
    });
    assert_eq!(json(response).await["data"], expected);
    log.ready_with("durability = relaxed");
    let response = reqwest::get(server.url("/readyz")).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(json(response).await["data"]["checks"]["log"]["detail"], "durability = relaxed");
    catalog.waiting("away");
    assert!(!readiness.is_ready());
    server.stop().await;
}
