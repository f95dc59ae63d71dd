use serde_json::{Value, json};

use crate::house::{House, text};

#[tokio::test]
async fn a_tenant_sets_its_own_prices_and_only_its_own() {
    let house = House::new().await;
    let owner = house.owner().await;
    let other = text(&house.sign_up("bob@example.com").await["access_token"]);
    let none = house.get("/v1/prices", &owner).await.data();
    assert_eq!(none["own"], json!([]));
    assert!(!none["book"].as_str().unwrap().is_empty());
    let own =
        json!([{"model": "acme-*", "prices": {"input": "0.1", "output": "2"}, "valid_from": "2026-01-01T00:00:00Z"}]);
    let set = house.call("PUT", "/v1/prices", Some(&owner), Some(json!({"own": own}))).await.data();
    assert_eq!(set["own"], own);
    assert_eq!(house.get("/v1/prices", &owner).await.data(), set);
    assert_eq!(house.get("/v1/prices", &other).await.data(), none, "one tenant's are its own");
}

#[tokio::test]
async fn a_look_up_says_which_price_counts() {
    let house = House::new().await;
    let owner = house.owner().await;
    let listed = house.get("/v1/prices/lookup?model=gpt-4o-2024-08-06&provider=openai", &owner).await.data();
    assert_eq!((&listed["source"], &listed["entry"]), (&json!("standard"), &json!("openai/gpt-4o")));
    assert_eq!((&listed["input_per_million"], &listed["output_per_million"]), (&json!(2.5), &json!(10.0)));
    let own = json!({"own": [{"model": "gpt-4o*", "prices": {"input": 1, "output": 3}}]});
    house.call("PUT", "/v1/prices", Some(&owner), Some(own)).await.data();
    let own = house.get("/v1/prices/lookup?model=gpt-4o-2024-08-06", &owner).await.data();
    assert_eq!((&own["source"], &own["output_per_million"]), (&json!("own"), &json!(3.0)));
    let unknown = house.get("/v1/prices/lookup?model=nobody-knows-it", &owner).await;
    assert_eq!(unknown.refusal(), (404, "not_found"));
}

#[tokio::test]
async fn prices_that_make_no_sense_change_nothing_and_say_why() {
    let house = House::new().await;
    let owner = house.owner().await;
    let put = async |body: Value| house.call("PUT", "/v1/prices", Some(&owner), Some(body)).await;
    let good = json!({"own": [{"model": "m", "prices": {"input": "1"}}]});
    put(good.clone()).await.data();
    for body in [
        json!({}),
        json!({"own": [{"model": "m"}]}),
        json!({"own": [{"model": "*", "prices": {"input": 1}}]}),
        json!({"own": [{"model": "m", "prices": {"input": -1}}]}),
        json!({"own": [{"model": "m", "prices": {"inputs": 1}}]}),
        json!({"own": [], "more": 1}),
    ] {
        assert_eq!(put(body).await.refusal(), (400, "invalid_request_body"));
    }
    assert_eq!(house.get("/v1/prices", &owner).await.data()["own"], good["own"]);
}
