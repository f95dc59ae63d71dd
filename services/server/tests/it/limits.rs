//! The limits of a tenant.

use crate::cluster::Cluster;
use crate::tenant::Tenant;

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
    }
    for key in &keys {
        let refused = client.get("/v1/traces/export", key).await;
        refused.refused(429, "rate_limited");
        let seconds: u64 = refused.header("retry-after").parse().unwrap();
        // The first of the ten was just now, so an hour less what this test took.
        assert!((3_300..=3_600).contains(&seconds), "{seconds} s");
    }
    assert_eq!(client.get("/v1/traces", &keys[1]).await.status, 200, "reading goes on");
    let other = neighbour.key(&["export"]).await;
    assert_eq!(client.get("/v1/traces/export", &other).await.status, 200, "another tenant has its own ten");
}
