use std::time::Duration;

use serde_json::json;
use spanlake_auth::SignUp;

use crate::house::{House, PASSWORD, text};

#[tokio::test]
async fn signing_up_makes_a_tenant_an_app_and_an_owner_who_is_logged_in() {
    let house = House::new().await;
    let body = json!({"email": "Ann@Example.com", "password": PASSWORD, "tenant_name": " Acme "});
    let answer = house.call("POST", "/v1/signup", None, Some(body)).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.headers["cache-control"], "no-store");
    let made = answer.data();
    assert_eq!((&made["tenant"]["name"], &made["app"]["name"]), (&json!("Acme"), &json!("default")));
    assert_eq!((&made["member"]["email"], &made["member"]["role"]), (&json!("ann@example.com"), &json!("owner")));
    assert_eq!(made["expires_in"], 600);
    let me = house.get("/v1/me", &format!("Bearer {}", text(&made["access_token"]))).await.data();
    assert_eq!((&me["tenant"], &me["app"], &me["member"]), (&made["tenant"], &made["app"], &made["member"]));
    assert_eq!(me["scopes"], json!(["ingest", "read", "export", "score", "admin"]));
    assert!(me.get("key").is_none() && me.get("agent").is_none());
}

#[tokio::test]
async fn where_sign_up_is_closed_nobody_signs_up() {
    let house = House::with(|config| config.signup = SignUp::Closed).await;
    let body = json!({"email": "ann@example.com", "password": PASSWORD, "tenant_name": "x"});
    let refused = house.call("POST", "/v1/signup", None, Some(body)).await;
    assert_eq!(refused.refusal(), (403, "forbidden"));
    assert_eq!(house.log_in("ann@example.com", PASSWORD).await.refusal(), (401, "unauthenticated"));
}

#[tokio::test]
async fn who_signs_up_again_and_again_from_one_place_is_slowed() {
    let house = House::new().await;
    house.sign_up("ann@example.com").await;
    let body = json!({"email": "ann@example.com", "password": PASSWORD, "tenant_name": "x"});
    let mut last = house.call("POST", "/v1/signup", None, Some(body.clone())).await;
    for _ in 0..300 {
        if last.status != 409 {
            break;
        }
        last = house.call("POST", "/v1/signup", None, Some(body.clone())).await;
    }
    assert_eq!(last.refusal(), (429, "rate_limited"));
    assert!(last.headers.contains_key("retry-after"));
    assert_eq!(house.log_in("ann@example.com", PASSWORD).await.status, 200);
    house.clock.advance(Duration::from_secs(2));
    house.sign_up("bob@example.com").await;
}

#[tokio::test]
async fn an_email_signs_up_once_in_whatever_case() {
    let house = House::new().await;
    house.sign_up("ann@example.com").await;
    let body = json!({"email": "ANN@example.com", "password": PASSWORD, "tenant_name": "x"});
    let again = house.call("POST", "/v1/signup", None, Some(body)).await;
    assert_eq!(again.refusal(), (409, "conflict"));
}

#[tokio::test]
async fn what_cannot_be_an_account_is_refused_with_the_field() {
    let house = House::new().await;
    let good = json!({"email": "ann@example.com", "password": PASSWORD, "tenant_name": "x"});
    for (field, bad) in [
        ("email", json!("ann")),
        ("email", json!(7)),
        ("password", json!("short")),
        ("password", json!("x".repeat(1_025))),
        ("tenant_name", json!(" ")),
        ("role", json!("owner")),
    ] {
        let mut body = good.clone();
        body[field] = bad;
        let refused = house.call("POST", "/v1/signup", None, Some(body)).await;
        assert_eq!(refused.refusal(), (400, "invalid_request_body"), "{field}");
        assert!(refused.body["error"]["details"].get(field).is_some(), "{refused:?}");
    }
}

#[tokio::test]
async fn a_person_logs_in_with_their_password_in_any_case_of_their_email() {
    let house = House::new().await;
    let made = house.sign_up("ann@example.com").await;
    let answer = house.log_in("ANN@Example.com", PASSWORD).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    let me = house.get("/v1/me", &text(&answer.data()["access_token"])).await.data();
    assert_eq!(me["tenant"], made["tenant"]);
}

#[tokio::test]
async fn an_unknown_person_and_a_wrong_password_get_the_same_answer() {
    let house = House::new().await;
    house.sign_up("ann@example.com").await;
    let wrong = house.log_in("ann@example.com", "not her password").await;
    assert_eq!(wrong.refusal(), (401, "unauthenticated"));
    for (email, password) in [("bob@example.com", PASSWORD), ("no address", PASSWORD), ("ann@example.com", "")] {
        assert_eq!(house.log_in(email, password).await.body, wrong.body, "{email}");
    }
}

#[tokio::test]
async fn a_login_may_name_its_tenant_and_no_other() {
    let house = House::new().await;
    let (ann, bob) = (house.sign_up("ann@example.com").await, house.sign_up("bob@example.com").await);
    let log_in = |tenant: serde_json::Value| {
        let body = json!({"email": "ann@example.com", "password": PASSWORD, "tenant_id": tenant});
        house.call("POST", "/v1/login", None, Some(body))
    };
    assert_eq!(log_in(ann["tenant"]["id"].clone()).await.status, 200);
    assert_eq!(log_in(bob["tenant"]["id"].clone()).await.refusal(), (401, "unauthenticated"));
    assert_eq!(log_in(json!("x")).await.refusal(), (400, "invalid_request_body"));
}

#[tokio::test]
async fn a_stranger_with_somebodys_address_keeps_them_out_of_nothing() {
    let house = House::new().await;
    for (number, role) in ["owner", "admin", "member", "viewer", "viewer"].into_iter().enumerate() {
        let stranger = house.sign_up(&format!("{number}@example.com")).await;
        let invite = json!({"email": "ann@example.com", "role": role});
        let invite = house.post("/v1/members/invites", &text(&stranger["access_token"]), invite).await.data();
        let body = json!({"token": invite["token"], "password": "what the stranger chose"});
        assert_eq!(house.call("POST", "/v1/invites/accept", None, Some(body)).await.status, 201);
    }
    let ann = house.sign_up("ann@example.com").await;
    let session = house.log_in("ann@example.com", PASSWORD).await.data();
    assert_eq!(house.get("/v1/me", &text(&session["access_token"])).await.data()["tenant"], ann["tenant"]);
    assert_eq!(house.log_in("ann@example.com", "nobody's password").await.refusal(), (401, "unauthenticated"));
}

#[tokio::test]
async fn somebody_invited_twice_logs_in_where_their_password_opens() {
    let house = House::new().await;
    let (stranger, friend) = (house.sign_up("zoe@example.com").await, house.sign_up("bob@example.com").await);
    let first = house.join(&text(&stranger["access_token"]), "ann@example.com", "viewer").await;
    let invite = json!({"email": "ann@example.com", "role": "member"});
    let invite = house.post("/v1/members/invites", &text(&friend["access_token"]), invite).await.data();
    let body = json!({"token": invite["token"], "password": "her own choice"});
    let second = house.call("POST", "/v1/invites/accept", None, Some(body)).await.data();
    for (password, joined) in [(PASSWORD, first), ("her own choice", second)] {
        let session = house.log_in("ann@example.com", password).await.data();
        let me = house.get("/v1/me", &text(&session["access_token"])).await.data();
        assert_eq!(me["tenant"], joined["tenant"]);
    }
}

#[tokio::test]
async fn no_password_is_stored_as_it_is() {
    let house = House::new().await;
    house.sign_up("ann@example.com").await;
    let accounts = spanlake_catalog::Accounts::accounts_of(&house.catalog, "ann@example.com", 9).await.unwrap();
    let stored = &accounts[0].member.password_hash;
    assert!(stored.starts_with("$argon2id$v=19$") && !stored.contains(PASSWORD));
}
