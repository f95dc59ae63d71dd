use http::Request;
use serde_json::{Value, json};

use crate::house::{House, text};

#[tokio::test]
async fn an_app_is_made_listed_and_named_once() {
    let house = House::new().await;
    let owner = house.owner().await;
    let answer = house.post("/v1/apps", &owner, json!({"name": "second"})).await;
    assert_eq!(answer.status, 201);
    let app = answer.data();
    let names = |page: &Value| page.as_array().unwrap().iter().map(|app| text(&app["name"])).collect::<Vec<_>>();
    let listed = house.get("/v1/apps", &owner).await.data();
    assert_eq!(names(&listed), ["default", "second"]);
    assert_eq!(listed[1], app);
    let again = house.post("/v1/apps", &owner, json!({"name": "second"})).await;
    assert_eq!(again.refusal(), (409, "conflict"));
}

#[tokio::test]
async fn a_list_is_paged_with_a_cursor_of_its_own_tenant() {
    let house = House::new().await;
    let owner = house.owner().await;
    for name in ["b", "c"] {
        house.post("/v1/apps", &owner, json!({"name": name})).await.data();
    }
    let first = house.get("/v1/apps?limit=2", &owner).await.body;
    assert_eq!((&first["pagination"]["limit"], &first["pagination"]["total"]), (&json!(2), &json!(3)));
    let cursor = text(&first["pagination"]["next_cursor"]);
    let rest = house.get(&format!("/v1/apps?limit=2&cursor={cursor}"), &owner).await.body;
    assert_eq!(rest["data"][0]["name"], "c");
    assert_eq!(rest["pagination"]["next_cursor"], Value::Null);

    let bob = text(&house.sign_up("bob@example.com").await["access_token"]);
    let stolen = house.get(&format!("/v1/apps?cursor={cursor}"), &bob).await;
    assert_eq!(stolen.refusal(), (400, "invalid_query_params"));
    let unknown = house.get("/v1/apps?colour=red", &owner).await;
    assert_eq!(unknown.refusal(), (400, "invalid_query_params"));
    assert!(unknown.body["error"]["details"].get("colour").is_some());
}

#[tokio::test]
async fn an_agent_belongs_to_the_app_in_the_body_or_else_to_the_requests() {
    let house = House::new().await;
    let made = house.sign_up("ann@example.com").await;
    let owner = text(&made["access_token"]);
    let second = house.post("/v1/apps", &owner, json!({"name": "second"})).await.data();
    let plain = house.post("/v1/agents", &owner, json!({"name": "one"})).await.data();
    assert_eq!(plain["app_id"], made["app"]["id"]);
    let named = house.post("/v1/agents", &owner, json!({"name": "two", "app_id": second["id"]})).await.data();
    assert_eq!(named["app_id"], second["id"]);
    let request = Request::post("/v1/agents")
        .header("authorization", &owner)
        .header("x-spanlake-app-id", text(&second["id"]))
        .header("content-type", "application/json")
        .body(json!({"name": "three"}).to_string().into())
        .unwrap();
    assert_eq!(house.send(request).await.data()["app_id"], second["id"]);
    assert_eq!(house.get("/v1/agents", &owner).await.data().as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn an_agent_of_another_tenants_app_is_not_made() {
    let house = House::new().await;
    let ann = house.sign_up("ann@example.com").await;
    let bob = text(&house.sign_up("bob@example.com").await["access_token"]);
    let body = json!({"name": "spy", "app_id": ann["app"]["id"]});
    assert_eq!(house.post("/v1/agents", &bob, body).await.refusal(), (404, "not_found"));
    assert_eq!(house.get("/v1/agents", &text(&ann["access_token"])).await.data(), json!([]));
}

#[tokio::test]
async fn a_pinned_key_sees_its_own_app_and_agents() {
    let house = House::new().await;
    let owner = house.owner().await;
    let second = house.post("/v1/apps", &owner, json!({"name": "second"})).await.data();
    let mut agents = Vec::new();
    for (name, app) in [("one", None), ("two", Some(&second["id"])), ("three", Some(&second["id"]))] {
        let body = json!({"name": name, "app_id": app});
        agents.push(house.post("/v1/agents", &owner, body).await.data());
    }
    let pinned = json!({"name": "p", "kind": "workspace", "app_id": second["id"]});
    let pinned = text(&house.post("/v1/api-keys", &owner, pinned).await.data()["key"]);
    assert_eq!(house.get("/v1/apps", &pinned).await.data(), json!([second]));
    assert_eq!(house.get("/v1/agents", &pinned).await.data(), json!([agents[1], agents[2]]));
    let bound = json!({"name": "a", "kind": "agent", "agent_id": agents[2]["id"], "scopes": ["read"]});
    let bound = text(&house.post("/v1/api-keys", &owner, bound).await.data()["key"]);
    assert_eq!(house.get("/v1/agents", &bound).await.data(), json!([agents[2]]));
}
