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

impl House {
    async fn patch(&self, uri: &str, credential: &str, body: Value) -> crate::house::Answer {
        self.call("PATCH", uri, Some(credential), Some(body)).await
    }
}

#[tokio::test]
async fn an_app_and_an_agent_are_found_and_renamed_by_their_tenant_only() {
    let house = House::new().await;
    let owner = house.owner().await;
    let bob = text(&house.sign_up("bob@example.com").await["access_token"]);
    for list in ["/v1/apps", "/v1/agents"] {
        let made = house.post(list, &owner, json!({"name": "old"})).await.data();
        house.post(list, &owner, json!({"name": "taken"})).await.data();
        let path = format!("{list}/{}", text(&made["id"]));
        assert_eq!(house.get(&path, &owner).await.data(), made);
        let renamed = house.patch(&path, &owner, json!({"name": "new"})).await.data();
        assert_eq!((&renamed["name"], &renamed["id"]), (&json!("new"), &made["id"]));
        assert_eq!(house.get(&path, &owner).await.data(), renamed);
        assert_eq!(house.patch(&path, &owner, json!({"name": "taken"})).await.refusal(), (409, "conflict"));
        assert_eq!(house.patch(&path, &owner, json!({"name": ""})).await.refusal(), (400, "invalid_request_body"));

        let never = format!("{list}/00000000-0000-7000-8000-000000000001");
        let foreign = house.get(&path, &bob).await;
        assert_eq!(foreign.refusal(), (404, "not_found"));
        assert_eq!(foreign.body, house.get(&never, &bob).await.body);
        assert_eq!(house.patch(&path, &bob, json!({"name": "mine"})).await.refusal(), (404, "not_found"));
        assert_eq!(house.delete(&path, &bob).await.refusal(), (404, "not_found"));
        assert_eq!(house.get(&path, &owner).await.data(), renamed);
    }
}

#[tokio::test]
async fn a_deleted_agent_is_gone_its_keys_stop_and_its_name_is_free() {
    let house = House::new().await;
    let owner = house.owner().await;
    let agent = house.post("/v1/agents", &owner, json!({"name": "helper"})).await.data();
    let other = house.post("/v1/agents", &owner, json!({"name": "other"})).await.data();
    let mut keys = Vec::new();
    for agent in [&agent, &other] {
        let new = json!({"name": "k", "kind": "agent", "agent_id": agent["id"]});
        keys.push(text(&house.post("/v1/api-keys", &owner, new).await.data()["key"]));
        assert_eq!(house.get("/v1/me", keys.last().unwrap()).await.status, 200);
    }
    let path = format!("/v1/agents/{}", text(&agent["id"]));
    assert_eq!(house.delete(&path, &owner).await.status, 204);
    assert_eq!(house.get("/v1/me", &keys[0]).await.refusal(), (401, "unauthenticated"));
    assert_eq!(house.get("/v1/me", &keys[1]).await.status, 200);
    assert_eq!(house.get("/v1/agents", &owner).await.data(), json!([other]));
    for again in [house.get(&path, &owner).await, house.delete(&path, &owner).await] {
        assert_eq!(again.refusal(), (404, "not_found"));
    }
    assert_eq!(house.post("/v1/agents", &owner, json!({"name": "helper"})).await.status, 201);
}

#[tokio::test]
async fn a_deleted_app_takes_its_agents_and_all_their_keys_along() {
    let house = House::new().await;
    let made = house.sign_up("ann@example.com").await;
    let owner = text(&made["access_token"]);
    let app = house.post("/v1/apps", &owner, json!({"name": "second"})).await.data();
    let agent = house.post("/v1/agents", &owner, json!({"name": "helper", "app_id": app["id"]})).await.data();
    let mut keys = Vec::new();
    for new in [
        json!({"name": "k", "kind": "agent", "agent_id": agent["id"]}),
        json!({"name": "k", "kind": "workspace", "app_id": app["id"]}),
    ] {
        keys.push(text(&house.post("/v1/api-keys", &owner, new).await.data()["key"]));
        assert_eq!(house.get("/v1/me", keys.last().unwrap()).await.status, 200);
    }
    let path = format!("/v1/apps/{}", text(&app["id"]));
    assert_eq!(house.delete(&path, &owner).await.status, 204);
    for key in &keys {
        assert_eq!(house.get("/v1/me", key).await.refusal(), (401, "unauthenticated"));
    }
    for path in [path, format!("/v1/agents/{}", text(&agent["id"]))] {
        assert_eq!(house.get(&path, &owner).await.refusal(), (404, "not_found"));
    }
    let listed = house.get("/v1/api-keys", &owner).await.data();
    assert!(listed.as_array().unwrap().iter().all(|key| key["revoked_at"].is_string()), "{listed}");
    assert_eq!(house.post("/v1/apps", &owner, json!({"name": "second"})).await.status, 201);
    let default = house.delete(&format!("/v1/apps/{}", text(&made["app"]["id"])), &owner).await;
    assert_eq!(default.refusal(), (409, "conflict"));
}

#[tokio::test]
async fn a_pinned_key_finds_its_own_app_and_agents_only() {
    let house = House::new().await;
    let made = house.sign_up("ann@example.com").await;
    let owner = text(&made["access_token"]);
    let second = house.post("/v1/apps", &owner, json!({"name": "second"})).await.data();
    let outside = house.post("/v1/agents", &owner, json!({"name": "one"})).await.data();
    let inside = house.post("/v1/agents", &owner, json!({"name": "two", "app_id": second["id"]})).await.data();
    let pinned = json!({"name": "p", "kind": "workspace", "app_id": second["id"]});
    let pinned = text(&house.post("/v1/api-keys", &owner, pinned).await.data()["key"]);
    for (path, id, status) in [
        ("/v1/apps", &second["id"], 200),
        ("/v1/apps", &made["app"]["id"], 404),
        ("/v1/agents", &inside["id"], 200),
        ("/v1/agents", &outside["id"], 404),
    ] {
        assert_eq!(house.get(&format!("{path}/{}", text(id)), &pinned).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn a_deleted_app_that_was_just_used_is_unknown_at_once() {
    let house = House::new().await;
    let owner = house.owner().await;
    let app = text(&house.post("/v1/apps", &owner, json!({"name": "second"})).await.data()["id"]);
    let naming = || {
        let request = Request::get("/v1/me").header("authorization", &owner).header("x-spanlake-app-id", &app);
        house.send(request.body(String::new().into()).unwrap())
    };
    assert_eq!(naming().await.data()["app"]["id"], json!(app));
    assert_eq!(house.delete(&format!("/v1/apps/{app}"), &owner).await.status, 204);
    assert_eq!(naming().await.refusal(), (404, "not_found"));
}
