use std::time::Duration;

use serde_json::{Value, json};
use spanlake_catalog::{Commit, DataFile, Files as _};
use spanlake_model::{AppId, Day, FileId, Limit, SystemEntropy, Table, TenantId, WriterId};

use crate::house::{House, text};

#[tokio::test]
async fn an_owner_sets_the_limits_within_what_the_installation_allows() {
    let house = House::new().await;
    let owner = house.owner().await;
    let before = house.get("/v1/limits", &owner).await.data();
    assert_eq!((&before["exports_per_hour"], &before["spans_per_month"]), (&json!(10), &Value::Null));
    let put = async |body: Value| house.call("PUT", "/v1/limits", Some(&owner), Some(body)).await;
    let after = put(json!({"exports_per_hour": 3, "spans_per_month": 1_000})).await.data();
    assert_eq!((&after["exports_per_hour"], &after["spans_per_month"]), (&json!(3), &json!(1_000)));
    assert_eq!(after["spans_per_second"], before["spans_per_second"], "what is left out stays");
    assert_eq!(put(json!({"spans_per_month": null})).await.data()["spans_per_month"], Value::Null);
    assert_eq!(house.get("/v1/limits", &owner).await.data()["exports_per_hour"], 3);
    let refused = put(json!({"exports_per_hour": 11})).await;
    assert_eq!(refused.refusal(), (400, "invalid_request_body"));
    assert_eq!(refused.body["error"]["details"]["exports_per_hour"], "must be at most 10 here");
    assert_eq!(put(json!({"colour": 1})).await.status, 400);
    let refused = put(json!({"queries_at_once": 0})).await;
    assert_eq!(refused.refusal(), (400, "invalid_request_body"));
    assert!(refused.body["error"]["details"]["queries_at_once"].is_string());
}

#[tokio::test]
async fn how_many_queries_run_at_once_is_set_taken_at_once_and_given_back() {
    let house = House::new().await;
    let owner = house.owner().await;
    let caller = house.caller(&owner).await;
    assert_eq!(house.gate.queries_at_once(&caller).await.unwrap(), None);
    for (asked, set) in [(json!(2), Some(2)), (Value::Null, None)] {
        let body = json!({"queries_at_once": asked});
        let after = house.call("PUT", "/v1/limits", Some(&owner), Some(body)).await.data();
        assert_eq!(after["queries_at_once"], asked);
        assert_eq!(house.gate.queries_at_once(&caller).await.unwrap(), set);
    }
}

#[tokio::test]
async fn a_changed_limit_is_taken_at_once_where_it_was_changed() {
    let house = House::new().await;
    let owner = house.owner().await;
    let caller = house.caller(&owner).await;
    house.gate.take(&caller, &[(Limit::Exports, 4)]).await.unwrap();
    house.call("PUT", "/v1/limits", Some(&owner), Some(json!({"exports_per_hour": 4}))).await.data();
    assert!(house.gate.take(&caller, &[(Limit::Exports, 1)]).await.is_err());
}

/// Lets a writer flush so many spans of this tenant.
async fn stored(house: &House, tenant: TenantId, table: Table, rows: u64, sequence: u64) {
    let now = spanlake_model::Clock::now(&*house.clock);
    let lease = house.catalog.register_writer(WriterId::from_bytes([7; 16]), "", now).await.unwrap();
    let day = Day::of(now);
    let id = FileId::generate(&*house.clock, &SystemEntropy);
    let file = DataFile {
        id,
        tenant,
        table,
        day,
        path: format!("t/{tenant}/{day}/{id}.parquet"),
        rows,
        bytes: 100,
        min_start: now,
        max_start: now,
        version: 0,
        superseded: Vec::new(),
    };
    let known_version = house.catalog.files_since(tenant, table, u64::MAX >> 1).await.unwrap().version;
    let commit = Commit { lease, tenant, table, sequence, known_version, files: vec![file] };
    house.catalog.commit(commit).await.unwrap();
}

#[tokio::test]
async fn use_is_shown_by_day_and_fills_the_month() {
    let house = House::new().await;
    let owner = house.owner().await;
    let caller = house.caller(&owner).await;
    house.call("PUT", "/v1/limits", Some(&owner), Some(json!({"spans_per_month": 100}))).await.data();
    stored(&house, caller.tenant(), Table::Spans, 60, 1).await;
    stored(&house, caller.tenant(), Table::Scores, 5, 2).await;
    house.clock.advance(Duration::from_secs(86_400));
    let owner = text(&house.log_in("ann@example.com", crate::house::PASSWORD).await.data()["access_token"]);
    stored(&house, caller.tenant(), Table::Spans, 40, 3).await;
    let days = house.get("/v1/usage", &owner).await.data();
    let day = |day: &str, spans: u64, scores: u64, bytes: u64| json!({"day": day, "spans": spans, "scores": scores, "bytes": bytes});
    assert_eq!(days, json!([day("2027-01-15", 60, 5, 200), day("2027-01-16", 40, 0, 100)]));
    assert_eq!(
        house.get("/v1/usage?start_date=2027-01-16", &owner).await.data(),
        json!([day("2027-01-16", 40, 0, 100)])
    );
    let until = "/v1/usage?start_date=2027-01-01T10:00:00Z&end_date=2027-01-15";
    assert_eq!(house.get(until, &owner).await.data().as_array().unwrap().len(), 1);
    for wrong in ["start_date=x", "start_date=2027-01-02&end_date=2027-01-01", "start_date=2020-01-01", "from=1"] {
        assert_eq!(
            house.get(&format!("/v1/usage?{wrong}"), &owner).await.refusal(),
            (400, "invalid_query_params"),
            "{wrong}"
        );
    }
    let refused = house.gate.take(&caller, &[(Limit::Spans, 1)]).await.unwrap_err();
    assert_eq!(refused.code.as_str(), "rate_limited");
    let wait = refused.retry_after.unwrap();
    assert!(Duration::from_secs(14 * 86_400) < wait && wait < Duration::from_secs(16 * 86_400), "{wait:?}");
    let stranger = text(&house.sign_up("bob@example.com").await["access_token"]);
    assert_eq!(house.get("/v1/usage", &stranger).await.data(), json!([]));
    assert_ne!(caller.app(), AppId::from_bytes([0; 16]));
}

#[tokio::test]
async fn what_auth_is_asked_takes_from_the_requests_of_the_tenant() {
    let house = House::new().await;
    let owner = house.owner().await;
    let put = async |most: u32| {
        house.call("PUT", "/v1/limits", Some(&owner), Some(json!({"requests_per_second": most}))).await
    };
    put(1).await.data();
    let statuses = [house.get("/v1/me", &owner).await, house.get("/v1/apps", &owner).await];
    assert_eq!(statuses.map(|answer| answer.status.as_u16()), [200, 200], "two seconds' worth at once");
    for path in ["/v1/me", "/v1/apps", "/v1/audit-log"] {
        let refused = house.get(path, &owner).await;
        assert_eq!(refused.refusal(), (429, "rate_limited"), "{path}");
        assert_eq!(refused.headers["retry-after"], "1");
        assert_eq!(refused.headers["ratelimit-policy"], "\"requests\";q=1;w=1");
    }
    let refused = house.post("/v1/apps", &owner, json!({"name": "late"})).await;
    assert_eq!(refused.refusal(), (429, "rate_limited"));
    assert_eq!(put(0).await.data()["requests_per_second"], 0);
    assert_eq!(put(100).await.data()["requests_per_second"], 100, "whoever has locked themselves out gets in again");
    house.clock.advance(Duration::from_secs(1));
    assert_eq!(house.get("/v1/apps", &owner).await.data().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_tenant_has_as_much_of_everything_as_it_may_have_and_is_told_so() {
    let house = House::with(|config| {
        (config.apps_max, config.agents_max, config.keys_max, config.members_max) = (2, 1, 2, 2);
    })
    .await;
    let owner = house.owner().await;
    let is_full = |answer: crate::house::Answer, what: &str| {
        assert_eq!(answer.refusal(), (409, "conflict"), "{what}");
        let message = text(&answer.body["error"]["message"]);
        assert!(message.contains(what) && message.contains("may have"), "{message}");
    };
    let app = house.post("/v1/apps", &owner, json!({"name": "second"})).await.data();
    is_full(house.post("/v1/apps", &owner, json!({"name": "third"})).await, "2 apps");
    house.post("/v1/agents", &owner, json!({"name": "first"})).await.data();
    is_full(house.post("/v1/agents", &owner, json!({"name": "second"})).await, "1 agents");
    let key = json!({"name": "key", "kind": "workspace"});
    let keys = [
        house.post("/v1/api-keys", &owner, key.clone()).await.data(),
        house.post("/v1/api-keys", &owner, key.clone()).await.data(),
    ];
    is_full(house.post("/v1/api-keys", &owner, key.clone()).await, "2 keys");
    let id = text(&keys[0]["id"]);
    is_full(house.post(&format!("/v1/api-keys/{id}/rotate"), &owner, json!({})).await, "2 keys");
    let invite =
        async |email: &str| house.post("/v1/members/invites", &owner, json!({"email": email, "role": "viewer"})).await;
    let (eve, bob) = (invite("eve@example.com").await.data(), invite("bob@example.com").await.data());
    let join = async |invite: &Value| {
        let body = json!({"token": invite["token"], "password": crate::house::PASSWORD});
        house.call("POST", "/v1/invites/accept", None, Some(body)).await
    };
    join(&eve).await.data();
    is_full(join(&bob).await, "2 members");
    is_full(invite("eva@example.com").await, "2 members");
    // What goes makes room.
    house.delete(&format!("/v1/apps/{}", text(&app["id"])), &owner).await;
    house.post("/v1/apps", &owner, json!({"name": "third"})).await.data();
    house.delete(&format!("/v1/api-keys/{id}"), &owner).await;
    house.post("/v1/api-keys", &owner, key).await.data();
}
