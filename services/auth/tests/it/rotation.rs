use std::time::Duration;

use serde_json::{Value, json};
use spanlake_catalog::Keys as _;
use spanlake_model::Clock as _;

use crate::house::{Answer, House, text};

const DAY: Duration = Duration::from_secs(86_400);

impl House {
    async fn workspace_key(&self, owner: &str, body: Value) -> Value {
        let mut new = json!({"name": "ci", "kind": "workspace"});
        new.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        self.post("/v1/api-keys", owner, new).await.data()
    }
    async fn rotate(&self, credential: &str, key: &Value, body: Value) -> Answer {
        self.post(&format!("/v1/api-keys/{}/rotate", text(&key["id"])), credential, body).await
    }
    async fn works(&self, key: &Value) -> bool {
        self.get("/v1/me", &text(&key["key"])).await.status == 200
    }
}

#[tokio::test]
async fn old_and_new_key_overlap_for_a_day_and_then_the_old_one_ends() {
    let house = House::new().await;
    let owner = house.owner().await;
    let old = house.workspace_key(&owner, json!({"scopes": ["read"]})).await;
    let answer = house.rotate(&owner, &old, json!({})).await;
    assert_eq!((answer.status.as_u16(), &answer.headers["cache-control"]), (201, &"no-store".parse().unwrap()));
    let new = answer.data();
    for same in ["name", "kind", "scopes", "app_id", "agent_id"] {
        assert_eq!(new[same], old[same], "{same}");
    }
    assert_eq!((&new["replaces"], &new["expires_at"]), (&old["id"], &Value::Null));
    assert_eq!(new["replaced_expires_at"], json!(house.clock.now().plus(DAY).to_string()));
    assert!(house.works(&old).await && house.works(&new).await);
    let row = house.catalog.key(text(&old["id"]).parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(new["replaced_expires_at"], json!(row.expires_at.unwrap().to_string()));
    house.clock.advance(DAY);
    assert!(!house.works(&old).await && house.works(&new).await);
}

#[tokio::test]
async fn without_overlap_the_old_key_ends_at_once() {
    let house = House::new().await;
    let owner = house.owner().await;
    let old = house.workspace_key(&owner, json!({})).await;
    assert!(house.works(&old).await, "and is remembered");
    let new = house.rotate(&owner, &old, json!({"overlap_seconds": 0})).await.data();
    assert!(!house.works(&old).await && house.works(&new).await);
    assert_eq!(house.rotate(&owner, &old, json!({})).await.refusal(), (409, "conflict"));
}

#[tokio::test]
async fn a_rotation_never_lengthens_the_old_keys_life_and_gives_the_new_one_as_much() {
    let house = House::new().await;
    let owner = house.owner().await;
    let end = house.clock.now().plus(Duration::from_secs(400));
    let old = house.workspace_key(&owner, json!({"expires_at": end.to_string()})).await;
    house.clock.advance(Duration::from_secs(200));
    let new = house.rotate(&owner, &old, json!({})).await.data();
    assert_eq!(new["replaced_expires_at"], json!(end.to_string()));
    house.clock.advance(Duration::from_secs(200));
    assert!(!house.works(&old).await && house.works(&new).await);
    house.clock.advance(Duration::from_secs(200));
    assert!(!house.works(&new).await, "as long as the old one was made to last");
}

#[tokio::test]
async fn what_a_key_makes_or_rotates_ends_with_it_at_the_latest() {
    let house = House::new().await;
    let owner = house.owner().await;
    let at = |seconds| house.clock.now().plus(Duration::from_secs(seconds)).to_string();
    let end = at(1_000);
    let maker = json!({"scopes": ["admin", "read"], "expires_at": end});
    let maker = house.workspace_key(&owner, maker).await;
    let key = text(&maker["key"]);
    let made = house.workspace_key(&key, json!({"scopes": ["admin", "read"]})).await;
    assert_eq!(made["expires_at"], json!(end));
    let sooner = at(500);
    assert_eq!(house.workspace_key(&key, json!({"expires_at": sooner})).await["expires_at"], json!(sooner));
    let later = json!({"name": "ci", "kind": "workspace", "expires_at": at(2_000)});
    let refused = house.post("/v1/api-keys", &key, later).await;
    assert_eq!(refused.refusal(), (400, "invalid_request_body"));
    assert!(refused.body["error"]["details"]["expires_at"].is_string());
    house.clock.advance(Duration::from_secs(100));
    for old in [&maker, &made] {
        assert_eq!(house.rotate(&text(&made["key"]), old, json!({})).await.data()["expires_at"], json!(end));
        let refused = house.rotate(&text(&made["key"]), old, json!({"expires_at": at(2_000)})).await;
        assert_eq!(refused.refusal(), (400, "invalid_request_body"));
    }
    let by_owner = house.rotate(&owner, &made, json!({"expires_at": at(2_000)})).await;
    assert_eq!(by_owner.status, 201, "a person may");
}

#[tokio::test]
async fn what_cannot_be_rotated_is_refused_and_stays_as_it_was() {
    let house = House::new().await;
    let owner = house.owner().await;
    let bob = text(&house.sign_up("bob@example.com").await["access_token"]);
    let old = house.workspace_key(&owner, json!({})).await;
    let past = house.clock.now().to_string();
    for body in [json!({"overlap_seconds": 604_801}), json!({"expires_at": past}), json!({"overlap": 1})] {
        assert_eq!(house.rotate(&owner, &old, body).await.refusal(), (400, "invalid_request_body"));
    }
    let lesser = house.workspace_key(&owner, json!({"scopes": ["admin", "read"]})).await;
    assert_eq!(house.rotate(&text(&lesser["key"]), &old, json!({})).await.refusal(), (403, "forbidden"));
    let foreign = house.rotate(&bob, &old, json!({})).await;
    let never = json!({"id": "00000000-0000-7000-8000-000000000001"});
    assert_eq!(foreign.refusal(), (404, "not_found"));
    assert_eq!(foreign.body, house.rotate(&bob, &never, json!({})).await.body);
    assert!(house.works(&old).await);
    assert_eq!(house.get("/v1/api-keys", &owner).await.data().as_array().unwrap().len(), 2, "no key was made");
    house.call("DELETE", &format!("/v1/api-keys/{}", text(&old["id"])), Some(&owner), None).await;
    assert_eq!(house.rotate(&owner, &old, json!({})).await.refusal(), (409, "conflict"));
}
