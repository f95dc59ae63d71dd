use std::time::Duration;

use serde_json::{Value, json};
use spanlake_catalog::Erasures as _;

use crate::house::{House, PASSWORD, text};

#[tokio::test]
async fn a_deleted_tenant_lets_nobody_in_and_leaves_a_receipt() {
    let house = House::new().await;
    let made = house.sign_up("ann@example.com").await;
    let owner = text(&made["access_token"]);
    let key = json!({"name": "laptop", "kind": "workspace"});
    let key = text(&house.post("/v1/api-keys", &owner, key).await.data()["key"]);
    assert_eq!(house.get("/v1/me", &key).await.status, 200);
    let path = format!("/v1/tenant?confirm={}", text(&made["tenant"]["id"]));
    let answer = house.delete(&path, &owner).await;
    assert_eq!((answer.status.as_u16(), &answer.headers["cache-control"]), (202, &"no-store".parse().unwrap()));
    let deleted = answer.data();
    assert_eq!((&deleted["status"], &deleted["finished_at"]), (&json!("deleting"), &Value::Null));
    for credential in [&owner, &key] {
        assert_eq!(house.get("/v1/me", credential).await.refusal(), (401, "unauthenticated"));
    }
    assert_eq!(house.log_in("ann@example.com", PASSWORD).await.status, 401);
    assert_eq!(house.refresh(&made["refresh_token"]).await.status, 401);
    let receipt = format!("/v1/tenant-deletions/{}", text(&deleted["receipt"]));
    let ask = async || house.call("GET", &receipt, None, None).await.data();
    assert_eq!(ask().await["status"], "deleting");
    house.clock.advance(Duration::from_secs(3_600));
    house.catalog.finish_erasures(spanlake_model::Clock::now(&*house.clock)).await.unwrap();
    let over = ask().await;
    assert_eq!(over["status"], "deleted");
    assert!(over["finished_at"].is_string());
    assert_eq!(house.call("GET", "/v1/tenant-deletions/made-up", None, None).await.refusal(), (404, "not_found"));
    house.sign_up("ann@example.com").await;
}

#[tokio::test]
async fn only_an_owner_who_means_it_deletes_a_tenant() {
    let house = House::new().await;
    let made = house.sign_up("ann@example.com").await;
    let bob = house.sign_up("bob@example.com").await;
    let owner = text(&made["access_token"]);
    for confirm in ["", "?confirm=yes", &format!("?confirm={}", text(&bob["tenant"]["id"]))] {
        let refused = house.delete(&format!("/v1/tenant{confirm}"), &owner).await;
        assert_eq!(refused.refusal(), (400, "invalid_query_params"), "{confirm}");
    }
    let invite = house.post("/v1/members/invites", &owner, json!({"email": "eve@b.c", "role": "admin"})).await.data();
    let join = json!({"token": invite["token"], "password": "correct horse"});
    let admin = house.call("POST", "/v1/invites/accept", None, Some(join)).await.data();
    let key = json!({"name": "all", "kind": "workspace", "scopes": ["ingest", "read", "export", "score", "admin"]});
    let key = text(&house.post("/v1/api-keys", &owner, key).await.data()["key"]);
    let path = format!("/v1/tenant?confirm={}", text(&made["tenant"]["id"]));
    for credential in [&key, &text(&admin["access_token"])] {
        assert_eq!(house.delete(&path, credential).await.refusal(), (403, "forbidden"));
    }
    assert_eq!(house.get("/v1/me", &owner).await.status, 200);
}
