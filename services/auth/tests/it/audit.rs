use http::Request;
use serde_json::{Value, json};
use spanlake_transport::peer::Peer;

use crate::house::{House, text};

async fn newest(house: &House, owner: &str) -> Value {
    house.get("/v1/audit-log?limit=1", owner).await.data()[0].clone()
}

/// Calls that change something leave an entry; a new one belongs into `calls`.
#[tokio::test]
async fn every_route_that_changes_something_leaves_an_entry() {
    let house = House::new().await;
    let made = house.sign_up("ann@example.com").await;
    let owner = text(&made["access_token"]);
    let app = text(&house.post("/v1/apps", &owner, json!({"name": "shop"})).await.data()["id"]);
    let agent = text(&house.post("/v1/agents", &owner, json!({"name": "clerk", "app_id": app})).await.data()["id"]);
    let key = json!({"name": "laptop", "kind": "workspace"});
    let id = text(&house.post("/v1/api-keys", &owner, key.clone()).await.data()["id"]);
    let invite = house.post("/v1/members/invites", &owner, json!({"email": "a@b.c", "role": "viewer"})).await.data();
    let eve = house.post("/v1/members/invites", &owner, json!({"email": "eve@b.c", "role": "viewer"})).await.data();
    let join = json!({"token": eve["token"], "password": "correct horse"});
    let eve = house.call("POST", "/v1/invites/accept", None, Some(join)).await.data();
    let eve = text(&eve["member"]["id"]);
    let link = house.post(&format!("/v1/members/{eve}/password-reset"), &owner, json!({})).await.data();
    let password = json!({"current_password": crate::house::PASSWORD, "new_password": "correct horse"});
    let calls = [
        ("POST", "/v1/apps".to_owned(), json!({"name": "x"}), "app.created"),
        ("PATCH", format!("/v1/apps/{app}"), json!({"name": "y"}), "app.renamed"),
        ("POST", "/v1/agents".to_owned(), json!({"name": "x"}), "agent.created"),
        ("PATCH", format!("/v1/agents/{agent}"), json!({"name": "y"}), "agent.renamed"),
        ("DELETE", format!("/v1/agents/{agent}"), Value::Null, "agent.deleted"),
        ("DELETE", format!("/v1/apps/{app}"), Value::Null, "app.deleted"),
        ("POST", "/v1/api-keys".to_owned(), key, "api_key.created"),
        ("POST", format!("/v1/api-keys/{id}/rotate"), json!({}), "api_key.rotated"),
        ("DELETE", format!("/v1/api-keys/{id}"), Value::Null, "api_key.revoked"),
        ("POST", "/v1/members/invites".to_owned(), json!({"email": "d@e.f", "role": "viewer"}), "invite.created"),
        ("DELETE", format!("/v1/members/invites/{}", text(&invite["id"])), Value::Null, "invite.withdrawn"),
        ("PATCH", format!("/v1/members/{eve}"), json!({"role": "member"}), "member.role_changed"),
        ("POST", format!("/v1/members/{eve}/password-reset"), json!({}), "password_reset.created"),
        ("DELETE", format!("/v1/members/{eve}"), Value::Null, "member.removed"),
        ("PUT", "/v1/prices".to_owned(), json!({"own": []}), "prices.set"),
        ("PUT", "/v1/retention".to_owned(), json!({"spans_days": 30}), "retention.set"),
        ("PUT", "/v1/limits".to_owned(), json!({"exports_per_hour": 5}), "limits.set"),
        ("PUT", "/v1/me/password".to_owned(), password, "session.began"),
    ];
    // These have no owner's credential, or leave nobody to ask.
    let apart = [
        "/v1/signup",
        "/v1/login",
        "/v1/token/refresh",
        "/v1/logout",
        "/v1/invites/accept",
        "/v1/password-reset",
        "/v1/tenant",
    ];
    let changing = house.operations.iter().filter(|(method, path)| *method != "GET" && !apart.contains(&path.as_str()));
    assert_eq!(changing.count(), calls.len(), "a new route belongs in this list");
    for (method, path, body, action) in calls {
        let before = newest(&house, &owner).await["sequence"].as_u64().unwrap();
        let answer = house.call(method, &path, Some(&owner), (!body.is_null()).then_some(body)).await;
        assert!(answer.status.is_success(), "{method} {path}: {answer:?}");
        let entry = newest(&house, &owner).await;
        assert_eq!(entry["action"], action, "{method} {path}");
        assert!(entry["sequence"].as_u64().unwrap() > before, "{method} {path}");
        assert_eq!((&entry["actor_type"], &entry["actor_id"]), (&json!("member"), &made["member"]["id"]));
    }
    assert_eq!(link["email"], "eve@b.c");
    let check = house.get("/v1/audit-log/check", &owner).await.data();
    let newest = newest(&house, &owner).await;
    assert_eq!((&check["is_whole"], &check["broken_at"]), (&json!(true), &Value::Null));
    assert_eq!((&check["entries"], &check["head"]), (&newest["sequence"], &newest["hash"]));
}

#[tokio::test]
async fn an_entry_says_who_from_where_and_what_was_before() {
    let house = House::new().await;
    let made = house.sign_up("ann@example.com").await;
    let owner = text(&made["access_token"]);
    let key = json!({"name": "deploy", "kind": "workspace", "scopes": ["admin", "read"]});
    let key = house.post("/v1/api-keys", &owner, key).await.data();
    let app = text(&house.post("/v1/apps", &owner, json!({"name": "shop"})).await.data()["id"]);
    let mut request = Request::patch(format!("/v1/apps/{app}"))
        .header("authorization", text(&key["key"]))
        .header("content-type", "application/json")
        .header("x-forwarded-for", "6.6.6.6")
        .body(json!({"name": "store"}).to_string().into())
        .unwrap();
    request.extensions_mut().insert(Peer("203.0.113.7".parse().unwrap()));
    house.send(request).await.data();
    let entry = newest(&house, &owner).await;
    let mut shown = entry.clone();
    for changing in ["sequence", "at", "hash"] {
        assert!(shown.as_object_mut().unwrap().remove(changing).is_some(), "{changing}");
    }
    let expected = json!({
        "actor_type": "key", "actor_id": key["id"], "address": "203.0.113.7", "action": "app.renamed", "target": app,
        "before": {"name": "shop"}, "after": {"name": "store"},
    });
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn the_log_is_read_page_by_page_and_by_owners_alone() {
    let house = House::new().await;
    let owner = house.owner().await;
    for name in ["a", "b", "c"] {
        house.post("/v1/apps", &owner, json!({"name": name})).await.data();
    }
    let (mut sequences, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = house.get(&format!("/v1/audit-log?limit=2{cursor}"), &owner).await;
        sequences.extend(page.body["data"].as_array().unwrap().iter().map(|entry| entry["sequence"].as_u64().unwrap()));
        let Some(next) = page.body["pagination"]["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(sequences, [5, 4, 3, 2, 1], "sign-up, its session, and three apps");
    assert_eq!(house.get("/v1/audit-log?limit=0", &owner).await.refusal(), (400, "invalid_query_params"));
    assert_eq!(house.get("/v1/audit-log?cursor=x", &owner).await.refusal(), (400, "invalid_query_params"));

    let key = json!({"name": "all", "kind": "workspace", "scopes": ["ingest", "read", "export", "score", "admin"]});
    let key = text(&house.post("/v1/api-keys", &owner, key).await.data()["key"]);
    let invite = json!({"email": "eve@example.com", "role": "admin"});
    let invite = house.post("/v1/members/invites", &owner, invite).await.data();
    let join = json!({"token": invite["token"], "password": "correct horse"});
    let admin = house.call("POST", "/v1/invites/accept", None, Some(join)).await.data();
    for credential in [&key, &text(&admin["access_token"])] {
        for path in ["/v1/audit-log", "/v1/audit-log/check"] {
            assert_eq!(house.get(path, credential).await.refusal(), (403, "forbidden"));
        }
    }
    let stranger = text(&house.sign_up("bob@example.com").await["access_token"]);
    let theirs = house.get("/v1/audit-log", &stranger).await.body;
    assert_eq!(theirs["pagination"]["total"], 2, "their own sign-up and session");
}

#[tokio::test]
async fn a_key_says_who_made_it_and_whether_they_are_gone() {
    let house = House::new().await;
    let made = house.sign_up("ann@example.com").await;
    let owner = text(&made["access_token"]);
    let invite = json!({"email": "eve@example.com", "role": "admin"});
    let invite = house.post("/v1/members/invites", &owner, invite).await.data();
    let join = json!({"token": invite["token"], "password": "correct horse"});
    let eve = house.call("POST", "/v1/invites/accept", None, Some(join)).await.data();
    let new = |name: &str| json!({"name": name, "kind": "workspace", "scopes": ["admin"]});
    let by_eve = house.post("/v1/api-keys", &text(&eve["access_token"]), new("eve's")).await.data();
    let by_key = house.post("/v1/api-keys", &text(&by_eve["key"]), new("the key's")).await.data();
    assert_eq!(by_eve["created_by"], json!({"type": "member", "id": eve["member"]["id"], "is_gone": false}));
    assert_eq!(by_key["created_by"], json!({"type": "key", "id": by_eve["id"], "is_gone": false}));
    house.delete(&format!("/v1/members/{}", text(&eve["member"]["id"])), &owner).await;
    house.delete(&format!("/v1/api-keys/{}", text(&by_eve["id"])), &owner).await;
    let keys = house.get("/v1/api-keys", &owner).await.data();
    assert_eq!(keys[0]["created_by"]["is_gone"], true);
    assert_eq!(keys[1]["created_by"]["is_gone"], true);
}

/// Waits for the entry of this action; it may be written beside the answer.
async fn noted(house: &House, owner: &str, action: &str) -> Vec<Value> {
    for _ in 0..500 {
        let entries = house.get("/v1/audit-log?limit=1000", owner).await.data();
        let found: Vec<_> =
            entries.as_array().unwrap().iter().filter(|entry| entry["action"] == action).cloned().collect();
        if !found.is_empty() {
            return found;
        }
        tokio::task::yield_now().await;
    }
    panic!("no {action} on record")
}

#[tokio::test]
async fn refused_logins_are_on_record_and_do_not_fill_it() {
    let house = House::new().await;
    let made = house.sign_up("ann@example.com").await;
    let (owner, member) = (text(&made["access_token"]), text(&made["member"]["id"]));
    let from = |address: [u8; 4]| {
        let body = json!({"email": "ann@example.com", "password": "a guess"}).to_string();
        let request = Request::post("/v1/login").header("content-type", "application/json");
        let mut request = request.body(axum::body::Body::from(body)).unwrap();
        request.extensions_mut().insert(Peer(address.into()));
        request
    };
    for network in 0..12 {
        // Each from elsewhere, so that none has to wait.
        assert_eq!(house.send(from([203, 0, network, 9])).await.status, 401);
    }
    noted(&house, &owner, "login.refused").await;
    house.log_in("nobody@example.com", "a guess").await;
    let mut entries = Vec::new();
    while entries.len() < 2 {
        entries = noted(&house, &owner, "login.refused").await;
    }
    let times: Vec<_> = entries.iter().map(|entry| entry["after"]["times"].clone()).collect();
    assert_eq!(times, [json!(10), json!(1)], "newest first: the first and the tenth of twelve");
    assert_eq!((&entries[1]["target"], &entries[1]["address"]), (&json!(member), &json!("203.0.0.9")));
    assert_eq!(house.get("/v1/audit-log/check", &owner).await.data()["is_whole"], true);
}

#[tokio::test]
async fn a_session_that_ends_because_two_have_its_token_is_on_record() {
    let house = House::new().await;
    let made = house.sign_up("ann@example.com").await;
    let owner = text(&made["access_token"]);
    let next = house.refresh(&made["refresh_token"]).await.data();
    house.refresh(&next["refresh_token"]).await.data();
    for _ in 0..3 {
        assert_eq!(house.refresh(&made["refresh_token"]).await.status, 401);
    }
    let entries = noted(&house, &owner, "session.ended").await;
    assert_eq!(entries.len(), 1, "once, however often the token comes again");
    assert_eq!(entries[0]["target"], made["member"]["id"]);
}
