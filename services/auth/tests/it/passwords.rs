use std::time::Duration;

use http::Request;
use serde_json::{Value, json};
use spanlake_catalog::{Accounts as _, Sessions as _};
use spanlake_transport::peer::Peer;

use crate::house::{Answer, House, PASSWORD, text};

const NEW: &str = "an entirely new one";

async fn change(house: &House, credential: &str, old: &str, new: &str) -> Answer {
    let body = json!({"current_password": old, "new_password": new});
    house.call("PUT", "/v1/me/password", Some(credential), Some(body)).await
}

async fn reset(house: &House, token: &Value, password: &str) -> Answer {
    let body = json!({"token": token, "password": password});
    house.call("POST", "/v1/password-reset", None, Some(body)).await
}

#[tokio::test]
async fn a_changed_password_ends_every_session_and_begins_one() {
    let house = House::new().await;
    let made = house.sign_up("ann@example.com").await;
    let other = house.log_in("ann@example.com", PASSWORD).await.data();
    let answer = change(&house, &text(&made["access_token"]), PASSWORD, NEW).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    let session = answer.data();
    for old in [&made, &other] {
        assert_eq!(house.refresh(&old["refresh_token"]).await.refusal(), (401, "unauthenticated"));
    }
    assert_eq!(house.refresh(&session["refresh_token"]).await.status, 200);
    assert_eq!(house.log_in("ann@example.com", PASSWORD).await.status, 401);
    assert_eq!(house.log_in("ann@example.com", NEW).await.status, 200);
}

#[tokio::test]
async fn whoever_changes_a_password_knows_the_old_one_and_is_a_person() {
    let house = House::new().await;
    let made = house.sign_up("ann@example.com").await;
    let owner = text(&made["access_token"]);
    let wrong = change(&house, &owner, "not the password", NEW).await;
    assert_eq!(wrong.refusal(), (403, "forbidden"));
    assert!(wrong.body["error"]["details"]["current_password"].is_string());
    assert_eq!(change(&house, &owner, PASSWORD, "short").await.refusal(), (400, "invalid_request_body"));
    let key = json!({"name": "all", "kind": "workspace", "scopes": ["admin"]});
    let key = text(&house.post("/v1/api-keys", &owner, key).await.data()["key"]);
    assert_eq!(change(&house, &key, PASSWORD, NEW).await.refusal(), (403, "forbidden"));
    assert_eq!(house.refresh(&made["refresh_token"]).await.status, 200, "nothing has changed");
    for _ in 0..20 {
        change(&house, &owner, "guess", NEW).await;
    }
    assert_eq!(change(&house, &owner, PASSWORD, NEW).await.refusal(), (429, "rate_limited"));
}

fn link_path(member: &Value) -> String {
    format!("/v1/members/{}/password-reset", text(&member["id"]))
}

#[tokio::test]
async fn a_reset_link_works_once_and_shows_its_maker_no_password() {
    let house = House::new().await;
    let owner = house.owner().await;
    let bob = house.join(&owner, "bob@example.com", "member").await;
    let answer = house.post(&link_path(&bob["member"]), &owner, json!({})).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    let link = answer.data();
    assert_eq!(reset(&house, &link["token"], "short").await.refusal(), (400, "invalid_request_body"));
    let session = reset(&house, &link["token"], NEW).await.data();
    assert_eq!(house.get("/v1/me", &text(&session["access_token"])).await.data()["member"]["email"], "bob@example.com");
    assert_eq!(reset(&house, &link["token"], "another one").await.refusal(), (404, "not_found"));
    assert_eq!(house.refresh(&bob["refresh_token"]).await.status, 401);
    assert_eq!(house.log_in("bob@example.com", NEW).await.status, 200);
    assert_eq!(house.log_in("bob@example.com", PASSWORD).await.status, 401);
}

#[tokio::test]
async fn a_reset_link_ends_after_a_day_and_with_the_next_one() {
    let house = House::new().await;
    let owner = house.owner().await;
    let path = link_path(&house.join(&owner, "bob@example.com", "member").await["member"]);
    let [first, second] =
        [house.post(&path, &owner, json!({})).await.data(), house.post(&path, &owner, json!({})).await.data()];
    assert_eq!(reset(&house, &first["token"], NEW).await.status, 404);
    house.clock.advance(Duration::from_secs(86_400));
    assert_eq!(reset(&house, &second["token"], NEW).await.status, 404);
    assert_eq!(reset(&house, &json!("made up"), NEW).await.status, 404);
    assert_eq!(house.log_in("bob@example.com", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_link_is_for_somebody_below_its_maker_and_owners_help_each_other() {
    let house = House::new().await;
    let made = house.sign_up("ann@example.com").await;
    let owner = text(&made["access_token"]);
    let other_owner = house.join(&owner, "olga@example.com", "owner").await;
    let admin = house.join(&owner, "eve@example.com", "admin").await;
    let second_admin = house.join(&owner, "dan@example.com", "admin").await;
    let member = house.join(&owner, "bob@example.com", "member").await;
    let stranger = house.sign_up("zoe@example.com").await;
    let key = house.admin_key(&owner).await;
    let link = async |credential: &str, of: &Value| {
        house.post(&link_path(&of["member"]), credential, json!({})).await.status.as_u16()
    };
    for credential in [&text(&admin["access_token"]), &key] {
        for (of, status) in
            [(&made, 403), (&other_owner, 403), (&admin, 403), (&second_admin, 403), (&member, 201), (&stranger, 404)]
        {
            assert_eq!(link(credential, of).await, status, "{of}");
        }
    }
    for (of, status) in [(&made, 403), (&other_owner, 201), (&admin, 201), (&member, 201), (&stranger, 404)] {
        assert_eq!(link(&owner, of).await, status, "{of}");
    }
}

#[tokio::test]
async fn a_key_makes_links_while_whoever_made_it_may() {
    let house = House::new().await;
    let owner = house.owner().await;
    let admin = house.join(&owner, "eve@example.com", "admin").await;
    let [member, viewer] =
        [house.join(&owner, "bob@example.com", "member").await, house.join(&owner, "vic@example.com", "viewer").await];
    let key = house.admin_key(&text(&admin["access_token"])).await;
    let of_the_key = house.admin_key(&key).await;
    let link = async |of: &Value| {
        let path = link_path(&of["member"]);
        let [one, two] = [&key, &of_the_key].map(|key| house.post(&path, key, json!({})));
        let (one, two) = (one.await.status.as_u16(), two.await.status.as_u16());
        assert_eq!(one, two, "a key of a key is no different");
        one
    };
    assert_eq!((link(&member).await, link(&viewer).await), (201, 201));
    house.set_role(&owner, &admin, "member").await.data();
    assert_eq!((link(&member).await, link(&viewer).await), (403, 201), "its maker is a member now");
    assert_eq!(house.remove(&owner, &admin).await.status, 204);
    assert_eq!((link(&member).await, link(&viewer).await), (403, 403), "its maker has gone");
}

#[tokio::test]
async fn a_link_does_not_outlive_a_change_of_role() {
    let house = House::new().await;
    let owner = house.owner().await;
    let admin = house.join(&owner, "eve@example.com", "admin").await;
    let bob = house.join(&owner, "bob@example.com", "member").await;
    let link = house.post(&link_path(&bob["member"]), &text(&admin["access_token"]), json!({})).await.data();
    house.set_role(&owner, &bob, "owner").await.data();
    assert_eq!(reset(&house, &link["token"], NEW).await.refusal(), (404, "not_found"));
    assert_eq!(house.log_in("bob@example.com", PASSWORD).await.status, 200);
}

async fn log_in_from(house: &House, address: &str, email: &str, password: &str) -> Answer {
    let body = json!({"email": email, "password": password}).to_string();
    let mut request = Request::post("/v1/login").header("content-type", "application/json").body(body.into()).unwrap();
    request.extensions_mut().insert(Peer(address.parse().unwrap()));
    house.send(request).await
}

#[tokio::test]
async fn guessing_is_slowed_for_the_one_who_guesses_and_for_nobody_else() {
    let house = House::new().await;
    house.sign_up("ann@example.com").await;
    let mut last = None;
    for _ in 0..11 {
        last = Some(log_in_from(&house, "203.0.113.7", "ann@example.com", "guess").await);
    }
    let refused = last.unwrap();
    assert_eq!(refused.refusal(), (429, "rate_limited"));
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(log_in_from(&house, "203.0.113.7", "ann@example.com", PASSWORD).await.status, 429);
    assert_eq!(log_in_from(&house, "198.51.100.1", "ann@example.com", PASSWORD).await.status, 200);
    house.clock.advance(Duration::from_secs(1));
    assert_eq!(log_in_from(&house, "203.0.113.7", "ann@example.com", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn what_we_could_not_look_at_is_no_wrong_password() {
    let house = House::new().await;
    house.sign_up("ann@example.com").await;
    let ann = house.catalog.accounts_of("ann@example.com", 9).await.unwrap().remove(0).member;
    let set = async |from: &str, to: &str| {
        assert!(house.catalog.change_password(ann.tenant, ann.id, from, to).await.unwrap());
    };
    set(&ann.password_hash, "no hash at all").await;
    for _ in 0..30 {
        let failed = log_in_from(&house, "203.0.113.7", "ann@example.com", PASSWORD).await;
        assert_eq!(failed.refusal(), (500, "internal_error"));
    }
    set("no hash at all", &ann.password_hash).await;
    assert_eq!(log_in_from(&house, "203.0.113.7", "ann@example.com", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn an_unknown_person_is_slowed_in_the_same_words() {
    let house = House::new().await;
    house.sign_up("ann@example.com").await;
    let mut answers = Vec::new();
    for email in ["ann@example.com", "nobody@example.com"] {
        for _ in 0..10 {
            assert_eq!(log_in_from(&house, "203.0.113.7", email, "guess").await.status, 401);
        }
        let refused = log_in_from(&house, "203.0.113.7", email, "guess").await;
        answers.push((refused.status, refused.body["error"].clone()));
    }
    assert_eq!(answers[0], answers[1]);
}
