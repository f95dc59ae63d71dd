//! Who asks: what is stored, what is renewed, and to whom it is shown.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use spanlake_model::Timestamp;
use spanlake_testkit::ManualClock;

use crate::desk::{Desk, Shown};
use crate::serve::before;

/// Gives token 0 for a password, then the next for each refresh token, each of which works once.
fn server() -> Router {
    let spent = Arc::new(AtomicUsize::new(0));
    let tokens = |number: usize| {
        Json(json!({"data": {
            "access_token": format!("access-{number}"), "refresh_token": format!("refresh-{number}"), "expires_in": 600,
        }}))
    };
    let login = move |Json(body): Json<Value>| async move {
        match body["password"].as_str() {
            Some("right") => tokens(0).into_response(),
            _ => refused(StatusCode::UNAUTHORIZED, "Wrong address or password."),
        }
    };
    let refresh = move |Json(body): Json<Value>| async move {
        let number = spent.load(Ordering::SeqCst);
        if body["refresh_token"] != format!("refresh-{number}") {
            return refused(StatusCode::UNAUTHORIZED, "The token was used before.");
        }
        // Whoever comes with the same token meanwhile must not get through.
        tokio::task::yield_now().await;
        spent.store(number + 1, Ordering::SeqCst);
        tokens(number + 1).into_response()
    };
    let me = |headers: HeaderMap| async move {
        let who = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or("nobody").to_owned();
        Json(
            json!({"data": {"tenant": {"name": "Acme"}, "member": {"email": who, "role": "owner"}, "scopes": ["read"]}}),
        )
    };
    Router::new()
        .route("/v1/login", post(login))
        .route("/v1/token/refresh", post(refresh))
        .route("/v1/logout", post(|| async { StatusCode::NO_CONTENT }))
        .route("/v1/me", get(me))
        .route(
            "/v1/apps",
            get(|| async { Json(json!({"data": [{"id": "1", "name": "one"}, {"id": "2", "name": "two"}]})) }),
        )
}

fn refused(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({"error": {"code": "c", "message": message}, "request_id": "r"}))).into_response()
}

async fn log_in(desk: &mut Desk, password: &'static str) -> Shown {
    desk.answers = vec![password];
    let shown = desk.run(&["login", "--email", "a@b.c", "--password-stdin"]).await;
    desk.answers.clear();
    shown
}

#[tokio::test]
async fn a_login_is_kept_and_a_wrong_one_is_not() {
    let mut desk = before(server()).await;
    let shown = log_in(&mut desk, "wrong").await;
    assert!(
        shown.code == 1 && shown.err.contains("Wrong address") && !shown.err.contains("Run 'spanlake login'"),
        "{shown:?}"
    );
    assert!(!desk.file("config.toml").exists());
    let shown = log_in(&mut desk, "right").await;
    assert!(shown.code == 0 && shown.err.contains("owner of Acme"), "{shown:?}");
    // From now on without the address.
    assert!(desk.run_plain(&["whoami"]).await.out.starts_with("Bearer access-0, owner of Acme\n"));
    let shown = desk.run_plain(&["logout"]).await;
    assert!(shown.code == 0 && shown.err.contains("Logged out"), "{shown:?}");
    assert!(!std::fs::read_to_string(desk.file("config.toml")).unwrap().contains("refresh"));
}

#[tokio::test]
async fn tokens_are_renewed_once_by_however_many_commands() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
    let mut desk = before(server()).await;
    desk.clock = clock.clone();
    log_in(&mut desk, "right").await;
    clock.advance(Duration::from_secs(590));
    for number in 1..=2 {
        let shown = desk.run_plain(&["whoami"]).await;
        assert!(shown.out.starts_with(&format!("Bearer access-{number},")), "{shown:?}");
        let again = desk.run_plain(&["whoami"]).await;
        assert_eq!(again.out, shown.out, "a token that is good is not renewed");
        clock.advance(Duration::from_secs(600));
    }
}

#[tokio::test]
async fn what_was_given_to_one_server_is_shown_to_no_other() {
    let mut desk = before(server()).await;
    log_in(&mut desk, "right").await;
    let other = before(server()).await;
    let shown = desk.run_plain(&["whoami", "--url", &other.url]).await;
    assert!(shown.code == 1 && shown.err.contains("spanlake login --url"), "{shown:?}");
    let shown = desk.run_plain(&["whoami", "--url", &other.url, "--api-key", "k"]).await;
    assert!(shown.out.starts_with("Bearer k,"), "{shown:?}");
    assert_eq!(desk.run_plain(&["logout", "--url", &other.url]).await.code, 2);
    // Nor may the address change under what is stored.
    let shown = desk.run_plain(&["link", "one", "--url", &other.url, "--api-key", "k"]).await;
    assert!(shown.code == 2 && shown.err.contains("--profile"), "{shown:?}");
    assert!(desk.run_plain(&["whoami"]).await.out.starts_with("Bearer access-0,"));
}

#[tokio::test]
async fn an_app_is_linked_by_name_by_id_or_by_number() {
    let mut desk = before(server()).await;
    log_in(&mut desk, "right").await;
    let linked = async |desk: &Desk, words: &[&str]| {
        let shown = desk.run_plain(&[&["link", "--json"], words].concat()).await;
        serde_json::from_str::<Value>(&shown.out).map(|shown| shown["app_id"].clone()).ok()
    };
    assert_eq!(linked(&desk, &["two"]).await, Some("2".into()));
    assert_eq!(linked(&desk, &["1"]).await, Some("1".into()));
    assert_eq!(linked(&desk, &["three"]).await, None);
    assert_eq!(linked(&desk, &[]).await, None, "nobody can be asked");
    desk.answers = vec!["2"];
    assert_eq!(linked(&desk, &[]).await, Some("2".into()));
    desk.answers = vec!["3"];
    assert_eq!(linked(&desk, &[]).await, None);
    assert!(desk.run_plain(&["profiles"]).await.out.contains("two"));
}

#[tokio::test]
async fn profiles_are_apart() {
    let mut desk = before(server()).await;
    log_in(&mut desk, "right").await;
    let shown = desk.run(&["login", "--with-key", "--api-key", "k", "--profile", "robot"]).await;
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(desk.run_plain(&["whoami", "--profile", "robot"]).await.out.starts_with("Bearer k,"));
    assert!(desk.run_plain(&["whoami"]).await.out.starts_with("Bearer access-0,"));
    assert_eq!(desk.run_plain(&["profiles", "robot"]).await.code, 0);
    assert!(desk.run_plain(&["whoami"]).await.out.starts_with("Bearer k,"));
    let profiles: Value = serde_json::from_str(&desk.run_plain(&["profiles", "--json"]).await.out).unwrap();
    assert_eq!(profiles[1]["current"], true, "{profiles}");
    for unknown in [&["profiles", "x"][..], &["whoami", "--profile", "x"]] {
        assert!(desk.run_plain(unknown).await.err.contains("there is no profile 'x'") || unknown[0] == "whoami");
        assert_ne!(desk.run_plain(unknown).await.code, 0);
    }
}

#[tokio::test]
async fn an_address_that_is_none_and_a_server_that_is_away_are_told_apart() {
    let desk = Desk::at("http://127.0.0.1:1".into());
    let shown = desk.run(&["whoami"]).await;
    assert!(shown.code == 5 && shown.err.contains("cannot reach http://127.0.0.1:1"), "{shown:?}");
    for address in ["nonsense", "ftp://x", "http://", "file:///etc/passwd"] {
        let shown = desk.run_plain(&["whoami", "--url", address]).await;
        assert!(shown.code == 2 && shown.err.contains("is no address"), "{address}: {shown:?}");
    }
}
