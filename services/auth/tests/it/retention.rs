use serde_json::{Value, json};

use crate::house::{House, text};

#[tokio::test]
async fn spans_are_kept_for_ever_until_the_tenant_says_otherwise() {
    let house = House::new().await;
    let owner = house.owner().await;
    let other = text(&house.sign_up("bob@example.com").await["access_token"]);
    assert_eq!(house.get("/v1/retention", &owner).await.data(), json!({"spans_days": null}));
    for days in [json!(30), json!(36_500), Value::Null, json!(1)] {
        let body = json!({"spans_days": days});
        assert_eq!(house.call("PUT", "/v1/retention", Some(&owner), Some(body.clone())).await.data(), body);
        assert_eq!(house.get("/v1/retention", &owner).await.data(), body);
    }
    assert_eq!(house.get("/v1/retention", &other).await.data(), json!({"spans_days": null}), "one tenant's is its own");
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
    ] {
        assert_eq!(put(body).await.refusal(), (400, "invalid_request_body"));
    }
    assert_eq!(house.get("/v1/retention", &owner).await.data(), json!({"spans_days": 30}));
}
