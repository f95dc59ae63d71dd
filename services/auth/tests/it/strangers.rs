use serde_json::json;

use crate::house::{House, text};

/// What answers without a credential, by its nature.
const OPEN: [&str; 8] = [
    "/v1/signup",
    "/v1/login",
    "/v1/token/refresh",
    "/v1/logout",
    "/v1/invites/accept",
    "/v1/password-reset",
    "/v1/tenant-deletions/{receipt}",
    "/.well-known/jwks.json",
];

#[tokio::test]
async fn every_other_route_refuses_a_stranger_before_it_looks_at_the_request() {
    let house = House::new().await;
    let guarded: Vec<_> = house.operations.iter().filter(|(_, path)| !OPEN.contains(&path.as_str())).collect();
    assert_eq!(guarded.len(), house.operations.len() - OPEN.len());
    for (method, path) in guarded {
        for credential in [None, Some("Bearer nonsense"), Some("Bearer a.b.c"), Some("aos_ws_x")] {
            let uri = format!("{}?colour=red", path.replace("{id}", "x"));
            let answer = house.call(method.as_str(), &uri, credential, None).await;
            assert_eq!(answer.refusal(), (401, "unauthenticated"), "{method} {path} {credential:?}");
        }
    }
}

#[tokio::test]
async fn every_route_refuses_a_key_without_its_scope() {
    let house = House::new().await;
    let owner = house.owner().await;
    let rights = [
        ("GET", "/v1/apps", "read"),
        ("POST", "/v1/apps", "admin"),
        ("GET", "/v1/apps/00000000-0000-7000-8000-000000000001", "read"),
        ("PATCH", "/v1/apps/00000000-0000-7000-8000-000000000001", "admin"),
        ("DELETE", "/v1/apps/00000000-0000-7000-8000-000000000001", "admin"),
        ("GET", "/v1/agents", "read"),
        ("POST", "/v1/agents", "admin"),
        ("GET", "/v1/agents/00000000-0000-7000-8000-000000000001", "read"),
        ("PATCH", "/v1/agents/00000000-0000-7000-8000-000000000001", "admin"),
        ("DELETE", "/v1/agents/00000000-0000-7000-8000-000000000001", "admin"),
        ("GET", "/v1/api-keys", "admin"),
        ("POST", "/v1/api-keys", "admin"),
        ("DELETE", "/v1/api-keys/00000000-0000-7000-8000-000000000001", "admin"),
        ("POST", "/v1/api-keys/00000000-0000-7000-8000-000000000001/rotate", "admin"),
        ("GET", "/v1/members", "admin"),
        ("GET", "/v1/members/00000000-0000-7000-8000-000000000001", "admin"),
        ("PATCH", "/v1/members/00000000-0000-7000-8000-000000000001", "admin"),
        ("DELETE", "/v1/members/00000000-0000-7000-8000-000000000001", "admin"),
        ("GET", "/v1/members/invites", "admin"),
        ("POST", "/v1/members/invites", "admin"),
        ("DELETE", "/v1/members/invites/00000000-0000-7000-8000-000000000001", "admin"),
        ("GET", "/v1/prices", "read"),
        ("GET", "/v1/prices/lookup?model=m", "read"),
        ("PUT", "/v1/prices", "admin"),
        ("GET", "/v1/retention", "admin"),
        ("PUT", "/v1/retention", "admin"),
        ("POST", "/v1/members/00000000-0000-7000-8000-000000000001/password-reset", "admin"),
        ("GET", "/v1/limits", "read"),
        ("GET", "/v1/usage", "read"),
    ];
    // Those for owners, whom no key is.
    let owners =
        [("GET", "/v1/audit-log"), ("GET", "/v1/audit-log/check"), ("PUT", "/v1/limits"), ("DELETE", "/v1/tenant")];
    // Who am I and what is my password: whoever it is.
    let anybody = ["/v1/me", "/v1/me/password"];
    assert_eq!(
        rights.len() + owners.len() + anybody.len() + OPEN.len(),
        house.operations.len(),
        "a new route belongs in this table"
    );
    for scope in ["ingest", "read", "export", "score", "admin"] {
        let key = json!({"name": scope, "kind": "workspace", "scopes": [scope]});
        let key = text(&house.post("/v1/api-keys", &owner, key).await.data()["key"]);
        for (method, path, needed) in rights {
            let is_refused = house.call(method, path, Some(&key), None).await.status == 403;
            assert_eq!(is_refused, scope != needed, "{method} {path} with {scope}");
        }
        for (method, path) in owners {
            let body = (method == "PUT").then(|| json!({}));
            assert_eq!(house.call(method, path, Some(&key), body).await.status, 403, "{method} {path} with {scope}");
        }
        assert_eq!(house.get("/v1/me", &key).await.data()["scopes"], json!([scope]));
    }
}

#[tokio::test]
async fn the_public_keys_are_public_and_verify_our_tokens() {
    let house = House::new().await;
    let answer = house.call("GET", "/.well-known/jwks.json", None, None).await;
    assert_eq!(answer.headers["content-type"], "application/json");
    let verifier = spanlake_access::token::Verifier::from_jwks(&answer.body.to_string()).unwrap();
    let made = house.sign_up("ann@example.com").await;
    let now = spanlake_model::Clock::now(&*house.clock);
    let verified = verifier.verify(&text(&made["access_token"]), now).unwrap();
    assert_eq!(json!(verified.tenant.to_string()), made["tenant"]["id"]);
    assert!(!answer.body.to_string().contains("\"d\""), "a private key");
}
