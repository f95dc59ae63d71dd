use serde_json::{Value, json};

use crate::house::{House, text};

#[tokio::test]
async fn spans_are_kept_for_ever_until_the_tenant_says_otherwise() {
    let house = House::new().await;
    let owner = house.owner().await;
    let other = text(&house.sign_up("bob@example.com").await["access_token"]);
    assert_eq!(house.get("/v1/retention", &owner).await.data(), json!({"spans_days": null, "scores_days": 90}));
    for days in [json!(30), json!(36_500), Value::Null, json!(1)] {
        let body = json!({"spans_days": days});
        let kept = json!({"spans_days": days, "scores_days": 90});
        assert_eq!(house.call("PUT", "/v1/retention", Some(&owner), Some(body)).await.data(), kept);
        assert_eq!(house.get("/v1/retention", &owner).await.data(), kept);
    }
    assert_eq!(house.get("/v1/retention", &other).await.data()["spans_days"], Value::Null, "one tenant's is its own");
}

#[tokio::test]
async fn scores_have_a_clock_of_their_own() {
    let house = House::new().await;
    let owner = house.owner().await;
    for (body, kept) in [
        (json!({"spans_days": null, "scores_days": 30}), json!(30)),
        (json!({"spans_days": null}), json!(30)),
        (json!({"spans_days": null, "scores_days": null}), Value::Null),
    ] {
        assert_eq!(house.call("PUT", "/v1/retention", Some(&owner), Some(body)).await.data()["scores_days"], kept);
        assert_eq!(house.get("/v1/retention", &owner).await.data()["scores_days"], kept);
    }
}

#[tokio::test]
async fn a_retention_that_makes_no_sense_changes_nothing() {
    let house = House::new().await;
    let owner = house.owner().await;
    let put = async |body: Value| house.call("PUT", "/v1/retention", Some(&owner), Some(body)).await;
    put(json!({"spans_days": 30})).await.data();
    for body in [
        json!({"spans_days": 0}),
        json!({"spans_days": 36_501}),
        json!({}),
        json!({"days": 1}),
        json!({"spans_days": -1}),
        json!({"spans_days": 1, "scores_days": 0}),
    ] {
        assert_eq!(put(body).await.refusal(), (400, "invalid_request_body"));
    }
    assert_eq!(house.get("/v1/retention", &owner).await.data(), json!({"spans_days": 30, "scores_days": 90}));
}
