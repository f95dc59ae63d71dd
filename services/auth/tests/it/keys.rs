use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use spanlake_catalog::Keys;
use spanlake_model::Clock;
use spanlake_proto::auth::{Auth, PresentedKey};

use crate::house::{House, text};

impl House {
    async fn key(&self, owner: &str, body: Value) -> Value {
        self.post("/v1/api-keys", owner, body).await.data()
    }
    async fn agent(&self, owner: &str) -> Value {
        self.post("/v1/agents", owner, json!({"name": "helper"})).await.data()
    }
}

#[tokio::test]
async fn a_workspace_key_is_shown_once_and_says_who_it_is() {
    let house = House::new().await;
    let owner = house.owner().await;
    let answer = house.post("/v1/api-keys", &owner, json!({"name": "ci", "kind": "workspace"})).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.headers["cache-control"], "no-store");
    let made = answer.data();
    let key = text(&made["key"]);
    assert!(key.starts_with(&text(&made["key_prefix"])) && key.ends_with(&text(&made["last4"])));
    assert_eq!(made["secret_key"], made["key"]);
    assert_eq!(made["scopes"], json!(["ingest", "read", "export", "score"]));
    for absent in ["app_id", "agent_id", "expires_at", "revoked_at", "last_used_at"] {
        assert_eq!(made[absent], Value::Null, "{absent}");
    }
    let listed = house.get("/v1/api-keys", &owner).await;
    assert!(!listed.body.to_string().contains(&key));
    let listed = listed.data();
    assert_eq!(listed[0]["id"], made["id"]);
    assert!(listed[0].get("key").is_none() && listed[0].get("secret_key").is_none());
    let me = house.get("/v1/me", &format!("Bearer {key}")).await.data();
    assert_eq!(me["key"], json!({"id": made["id"], "name": "ci"}));
    assert!(me.get("member").is_none());
}

#[tokio::test]
async fn a_langfuse_pair_is_the_same_key() {
    let house = House::new().await;
    let owner = house.owner().await;
    let made = house.key(&owner, json!({"name": "lf", "kind": "workspace"})).await;
    let pair = format!("{}:{}", text(&made["public_key"]), text(&made["secret_key"]));
    let me = house.get("/v1/me", &format!("Basic {}", STANDARD.encode(pair))).await.data();
    assert_eq!(me["key"]["id"], made["id"]);
}

#[tokio::test]
async fn an_agent_key_is_bound_to_its_agent_and_its_agents_app() {
    let house = House::new().await;
    let owner = house.owner().await;
    let app = house.post("/v1/apps", &owner, json!({"name": "second"})).await.data();
    let agent = house.post("/v1/agents", &owner, json!({"name": "helper", "app_id": app["id"]})).await.data();
    let made = house.key(&owner, json!({"name": "a", "kind": "agent", "agent_id": agent["id"]})).await;
    assert!(text(&made["key"]).starts_with("aos_agent_"));
    assert_eq!((&made["agent_id"], &made["app_id"]), (&agent["id"], &app["id"]));
    assert_eq!(made["scopes"], json!(["ingest", "score"]));
    assert!(made.get("public_key").is_none());
    let me = house.get("/v1/me", &text(&made["key"])).await.data();
    assert_eq!((&me["agent"]["id"], &me["app"]["id"]), (&agent["id"], &app["id"]));
}

#[tokio::test]
async fn what_makes_no_key_is_refused_with_the_field() {
    let house = House::new().await;
    let owner = house.owner().await;
    let agent = house.agent(&owner).await;
    let app = house.post("/v1/apps", &owner, json!({"name": "second"})).await.data();
    let past = house.clock.now().to_string();
    for (field, body) in [
        ("name", json!({"name": "", "kind": "workspace"})),
        ("kind", json!({"name": "x", "kind": "root"})),
        ("agent_id", json!({"name": "x", "kind": "agent"})),
        ("agent_id", json!({"name": "x", "kind": "workspace", "agent_id": agent["id"]})),
        ("agent_id", json!({"name": "x", "kind": "agent", "agent_id": "helper"})),
        ("app_id", json!({"name": "x", "kind": "agent", "agent_id": agent["id"], "app_id": app["id"]})),
        ("scopes", json!({"name": "x", "kind": "workspace", "scopes": []})),
        ("scopes", json!({"name": "x", "kind": "workspace", "scopes": ["fly"]})),
        ("scopes", json!({"name": "x", "kind": "agent", "agent_id": agent["id"], "scopes": ["admin"]})),
        ("scopes", json!({"name": "x", "kind": "workspace", "app_id": app["id"], "scopes": ["admin"]})),
        ("expires_at", json!({"name": "x", "kind": "workspace", "expires_at": past})),
        ("expires_at", json!({"name": "x", "kind": "workspace", "expires_at": "soon"})),
        ("tenant", json!({"name": "x", "kind": "workspace", "tenant": "x"})),
    ] {
        let refused = house.post("/v1/api-keys", &owner, body.clone()).await;
        assert_eq!(refused.refusal(), (400, "invalid_request_body"), "{body}");
        assert!(refused.body["error"]["details"].get(field).is_some(), "{refused:?}");
    }
}

#[tokio::test]
async fn a_key_cannot_give_a_scope_that_it_lacks() {
    let house = House::new().await;
    let owner = house.owner().await;
    let maker = house.key(&owner, json!({"name": "m", "kind": "workspace", "scopes": ["admin", "read"]})).await;
    let maker = text(&maker["key"]);
    let more = json!({"name": "x", "kind": "workspace", "scopes": ["read", "export"]});
    assert_eq!(house.post("/v1/api-keys", &maker, more).await.refusal(), (403, "forbidden"));
    let usual = house.key(&maker, json!({"name": "x", "kind": "workspace"})).await;
    assert_eq!(usual["scopes"], json!(["read"]));
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_once_and_stays_listed() {
    let house = House::new().await;
    let owner = house.owner().await;
    let made = house.key(&owner, json!({"name": "x", "kind": "workspace"})).await;
    let key = text(&made["key"]);
    assert_eq!(house.get("/v1/me", &key).await.status, 200);
    let path = format!("/v1/api-keys/{}", text(&made["id"]));
    for _ in 0..2 {
        assert_eq!(house.call("DELETE", &path, Some(&owner), None).await.status, 204);
    }
    assert_eq!(house.get("/v1/me", &key).await.refusal(), (401, "unauthenticated"));
    assert!(house.service.verify_key(&PresentedKey::new(key)).await.is_err(), "asked by another service");
    let listed = house.get("/v1/api-keys", &owner).await.data();
    assert_ne!(listed[0]["revoked_at"], Value::Null);
}

#[tokio::test]
async fn an_expired_key_is_refused() {
    let house = House::new().await;
    let owner = house.owner().await;
    let end = house.clock.now().plus(Duration::from_secs(60)).to_string();
    let made = house.key(&owner, json!({"name": "x", "kind": "workspace", "expires_at": end})).await;
    assert_eq!(made["expires_at"], json!(end));
    let key = text(&made["key"]);
    assert_eq!(house.get("/v1/me", &key).await.status, 200);
    house.clock.advance(Duration::from_secs(60));
    assert_eq!(house.get("/v1/me", &key).await.refusal(), (401, "unauthenticated"));
    assert!(house.service.verify_key(&PresentedKey::new(key)).await.is_err());
}

#[tokio::test]
async fn a_right_id_with_a_guessed_secret_is_refused_like_an_unknown_key() {
    let house = House::new().await;
    let owner = house.owner().await;
    let made = house.key(&owner, json!({"name": "x", "kind": "workspace"})).await;
    let id = text(&made["id"]).parse().unwrap();
    let guess = |id| {
        let kind = spanlake_access::key::Kind::Workspace;
        PresentedKey::new(spanlake_access::key::generate(kind, id, &spanlake_model::SystemEntropy))
    };
    let known = house.service.verify_key(&guess(id)).await.unwrap_err();
    let unknown = house.service.verify_key(&guess(spanlake_model::KeyId::from_bytes([1; 16]))).await.unwrap_err();
    assert_eq!(known, unknown);
}

#[tokio::test]
async fn the_catalog_holds_no_usable_key() {
    let house = House::new().await;
    let owner = house.owner().await;
    let made = house.key(&owner, json!({"name": "x", "kind": "workspace"})).await;
    let row = house.catalog.key(text(&made["id"]).parse().unwrap()).await.unwrap().unwrap();
    let secret = &text(&made["key"])["aos_ws_".len() + 23..];
    assert_eq!(row.hash.len(), 32);
    assert!(!format!("{row:?}").contains(secret));
}

#[tokio::test]
async fn a_use_is_noted_to_the_minute() {
    let house = House::new().await;
    let owner = house.owner().await;
    let made = house.key(&owner, json!({"name": "x", "kind": "workspace"})).await;
    let key = PresentedKey::new(text(&made["key"]));
    let noted = async || house.catalog.key(text(&made["id"]).parse().unwrap()).await.unwrap().unwrap().last_used_at;
    let first = house.clock.now();
    house.service.verify_key(&key).await.unwrap();
    house.clock.advance(Duration::from_secs(59));
    house.service.verify_key(&key).await.unwrap();
    assert_eq!(noted().await, Some(first));
    house.clock.advance(Duration::from_secs(1));
    house.service.verify_key(&key).await.unwrap();
    assert_eq!(noted().await, Some(house.clock.now()));
}

#[tokio::test]
async fn another_tenants_key_is_not_found_like_one_that_never_was() {
    let house = House::new().await;
    let ann = house.owner().await;
    let bob = text(&house.sign_up("bob@example.com").await["access_token"]);
    let made = house.key(&ann, json!({"name": "x", "kind": "workspace"})).await;
    let foreign = house.call("DELETE", &format!("/v1/api-keys/{}", text(&made["id"])), Some(&bob), None).await;
    let never = house.call("DELETE", "/v1/api-keys/00000000-0000-7000-8000-000000000001", Some(&bob), None).await;
    assert_eq!(foreign.refusal(), (404, "not_found"));
    assert_eq!(foreign.body, never.body);
    let malformed = house.call("DELETE", "/v1/api-keys/x", Some(&bob), None).await;
    assert_eq!(malformed.refusal(), (400, "invalid_path_params"));
    assert_eq!(house.get("/v1/me", &text(&made["key"])).await.status, 200);
    assert_eq!(house.get("/v1/api-keys", &bob).await.data(), json!([]));

    let agent = house.agent(&ann).await;
    let stolen = json!({"name": "x", "kind": "agent", "agent_id": agent["id"]});
    assert_eq!(house.post("/v1/api-keys", &bob, stolen).await.refusal(), (404, "not_found"));
    let pinned = json!({"name": "x", "kind": "workspace", "app_id": agent["app_id"]});
    assert_eq!(house.post("/v1/api-keys", &bob, pinned).await.refusal(), (404, "not_found"));
}
