use std::time::Duration;

use serde_json::json;

use crate::house::{House, PASSWORD, text};

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn an_access_token_ends_after_ten_minutes_and_a_refresh_token_brings_the_next() {
    let house = House::new().await;
    let first = house.sign_up("ann@example.com").await;
    house.clock.advance(Duration::from_secs(606));
    assert_eq!(house.get("/v1/me", &text(&first["access_token"])).await.refusal(), (401, "unauthenticated"));
    let answer = house.refresh(&first["refresh_token"]).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    let next = answer.data();
    assert_eq!(next["expires_in"], 600);
    assert_eq!(house.get("/v1/me", &text(&next["access_token"])).await.status, 200);
}

#[tokio::test]
async fn a_refresh_token_used_twice_kills_its_family_and_no_other() {
    let house = House::new().await;
    let stolen = house.sign_up("ann@example.com").await;
    let other = house.log_in("ann@example.com", PASSWORD).await.data();
    let next = house.refresh(&stolen["refresh_token"]).await.data();
    let last = house.refresh(&next["refresh_token"]).await.data();
    assert_eq!(house.refresh(&stolen["refresh_token"]).await.refusal(), (401, "unauthenticated"));
    assert_eq!(house.refresh(&last["refresh_token"]).await.refusal(), (401, "unauthenticated"));
    assert_eq!(house.refresh(&other["refresh_token"]).await.status, 200);
}

#[tokio::test]
async fn a_lost_answer_can_be_asked_for_again_for_half_a_minute() {
    let house = House::new().await;
    let first = house.sign_up("ann@example.com").await;
    let token = &first["refresh_token"];
    let lost = house.refresh(token).await.data();
    house.clock.advance(Duration::from_secs(29));
    let again = house.refresh(token).await.data();
    let last = house.refresh(&again["refresh_token"]).await.data();
    assert_eq!(house.refresh(&lost["refresh_token"]).await.status, 401, "it was not lost: two have the token");
    assert_eq!(house.refresh(&last["refresh_token"]).await.status, 401, "the family has ended");

    let other = house.log_in("ann@example.com", PASSWORD).await.data();
    let next = house.refresh(&other["refresh_token"]).await.data();
    house.clock.advance(Duration::from_secs(31));
    assert_eq!(house.refresh(&other["refresh_token"]).await.status, 401);
    assert_eq!(house.refresh(&next["refresh_token"]).await.status, 401, "the family has ended");
}

#[tokio::test]
async fn a_thief_within_the_time_of_grace_is_found_out_by_the_owner() {
    let house = House::new().await;
    let first = house.sign_up("ann@example.com").await;
    let owners = house.refresh(&first["refresh_token"]).await.data();
    let thiefs = house.refresh(&first["refresh_token"]).await.data();
    assert_eq!(house.refresh(&owners["refresh_token"]).await.refusal(), (401, "unauthenticated"));
    assert_eq!(house.refresh(&thiefs["refresh_token"]).await.refusal(), (401, "unauthenticated"));
}

#[tokio::test]
async fn of_two_who_race_with_one_token_one_goes_on_at_most() {
    let house = House::new().await;
    let first = house.sign_up("ann@example.com").await;
    let token = &first["refresh_token"];
    let (one, two) = tokio::join!(house.refresh(token), house.refresh(token));
    let mut going_on = 0;
    for answer in [one, two] {
        if answer.status == 200 {
            going_on += usize::from(house.refresh(&answer.data()["refresh_token"]).await.status == 200);
        }
    }
    assert!(going_on <= 1, "{going_on}");
}

#[tokio::test]
async fn the_signing_key_changes_by_itself_and_no_valid_token_is_refused() {
    let house = House::new().await;
    let made = house.sign_up("ann@example.com").await;
    let mut token = text(&made["access_token"]);
    let mut refresh = made["refresh_token"].clone();
    let mut keys = std::collections::BTreeSet::new();
    for _ in 0..40 {
        house.clock.advance(Duration::from_secs(595));
        assert_eq!(house.get("/v1/me", &token).await.status, 200);
        house.clock.advance(DAY);
        let next = house.refresh(&refresh).await;
        if next.status == 401 {
            break;
        }
        let next = next.data();
        (token, refresh) = (text(&next["access_token"]), next["refresh_token"].clone());
        let header = token.split_once('.').unwrap().0.to_owned();
        keys.insert(header);
    }
    assert_eq!(keys.len(), 2, "thirty days each");
}

#[tokio::test]
async fn a_session_ends_when_it_is_idle_for_a_week_and_after_thirty_days_in_any_case() {
    let house = House::new().await;
    let mut tokens = house.sign_up("ann@example.com").await;
    for _ in 0..4 {
        house.clock.advance(7 * DAY - Duration::from_secs(1));
        tokens = house.refresh(&tokens["refresh_token"]).await.data();
    }
    house.clock.advance(2 * DAY + Duration::from_secs(4));
    assert_eq!(house.refresh(&tokens["refresh_token"]).await.status, 401, "thirty days after the login");

    let idle = house.log_in("ann@example.com", PASSWORD).await.data();
    house.clock.advance(7 * DAY);
    assert_eq!(house.refresh(&idle["refresh_token"]).await.status, 401);
}

#[tokio::test]
async fn logging_out_ends_the_session_and_can_be_done_twice() {
    let house = House::new().await;
    let tokens = house.sign_up("ann@example.com").await;
    let body = json!({"refresh_token": tokens["refresh_token"]});
    for _ in 0..2 {
        let answer = house.call("POST", "/v1/logout", None, Some(body.clone())).await;
        assert_eq!((answer.status.as_u16(), answer.body), (204, serde_json::Value::Null));
    }
    assert_eq!(house.refresh(&tokens["refresh_token"]).await.status, 401);
    assert_eq!(house.refresh(&json!("made up")).await.status, 401);
}
