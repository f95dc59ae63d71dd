//! The limits of a tenant.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use spanlake_testkit::eventually_within;
use spanlake_testkit::otlp::{self, span_id, trace_id};

use crate::cluster::Cluster;
use crate::tenant::Tenant;

pub(crate) async fn a_changed_limit_is_taken_everywhere_without_a_restart(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let client = &cluster.client;
    let key = tenant.key(&["ingest", "read"]).await;
    let span = |number| otlp::span(trace_id(1), span_id(number), "sent", cluster.a_minute_ago());
    let first =
        client.otlp("/v1/traces", &key, crate::client::PROTOBUF, otlp::protobuf((1..=5).map(span).collect())).await;
    assert_eq!(first.status, 200, "{}", first.text());
    let standing: Vec<_> = first.header("ratelimit").split(", ").collect();
    assert_eq!(standing.len(), 3, "{standing:?}");
    assert!(standing[0].starts_with("\"requests\";r=39999;t=1") && standing[2].starts_with("\"spans\";r=399995;t=1"));
    assert_eq!(
        first.header("ratelimit-policy"),
        "\"requests\";q=20000;w=1, \"bytes\";q=536870912;w=1, \"spans\";q=200000;w=1"
    );
    let limits = json!({"spans_per_second": 2});
    let set = client.send(client.request(Method::PUT, "/v1/limits").bearer_auth(&tenant.token).json(&limits)).await;
    assert_eq!(set.data()["spans_per_second"], 2, "{}", set.text());
    // More than two seconds' worth will never pass: that is no matter of waiting.
    let five = || otlp::protobuf((11..=15).map(span).collect());
    eventually_within(Duration::from_secs(5), "ingest has heard of it", || async {
        let answer = client.otlp("/v1/traces", &key, crate::client::PROTOBUF, five()).await;
        (answer.status == 413).then_some(())
    })
    .await;
    let four = otlp::protobuf((21..=24).map(span).collect());
    let mut statuses = Vec::new();
    for _ in 0..2 {
        statuses.push(client.otlp("/v1/traces", &key, crate::client::PROTOBUF, four.clone()).await);
    }
    let refused = statuses.iter().find(|answer| answer.status == 429).expect("four and four in two seconds");
    assert!(["1", "2"].contains(&refused.header("retry-after")), "{}", refused.header("retry-after"));
    eventually_within(Duration::from_secs(30), "use is counted once it is in files", || async {
        let days = client.get("/v1/usage", &key).await.data();
        (days[0]["spans"].as_u64() >= Some(5)).then_some(())
    })
    .await;
}

pub(crate) async fn ten_exports_an_hour_and_not_one_more(cluster: &Cluster) {
    let (tenant, neighbour) = (Tenant::sign_up(cluster).await, Tenant::sign_up(cluster).await);
    let client = &cluster.client;
    let keys = [tenant.key(&["export"]).await, tenant.key(&["export", "read"]).await];
    for number in 0..10 {
        // What is refused for what it says, or for who says it, costs nothing.
        for bad in ["limit=0", "format=xml", "startDate=yesterday", "colour=blue", "cursor=!"] {
            let refused = client.get(&format!("/v1/traces/export?{bad}"), &keys[0]).await;
            refused.refused(400, "invalid_query_params");
        }
        client.get("/v1/traces/export", "nonsense").await.refused(401, "unauthenticated");
        // The limit is the tenant's: keys do not multiply it.
        let answer = client.get("/v1/traces/export", &keys[number % 2]).await;
        assert_eq!(answer.status, 200, "export {number}: {}", answer.text());
        assert_eq!(answer.header("ratelimit-policy"), "\"exports\";q=10;w=3600");
        let standing = answer.header("ratelimit");
        assert!(standing.starts_with(&format!("\"exports\";r={};t=3", 9 - number)), "{standing}");
    }
    for key in &keys {
        let refused = client.get("/v1/traces/export", key).await;
        refused.refused(429, "rate_limited");
        let seconds: u64 = refused.header("retry-after").parse().unwrap();
        // The first of the ten was just now, so an hour less what this test took.
        assert!((3_300..=3_600).contains(&seconds), "{seconds} s");
        assert_eq!(refused.header("ratelimit-policy"), "\"exports\";q=10;w=3600");
        assert_eq!(refused.header("ratelimit"), format!("\"exports\";r=0;t={seconds}"));
    }
    assert_eq!(client.get("/v1/traces", &keys[1]).await.status, 200, "reading goes on");
    let other = neighbour.key(&["export"]).await;
    assert_eq!(client.get("/v1/traces/export", &other).await.status, 200, "another tenant has its own ten");
}
