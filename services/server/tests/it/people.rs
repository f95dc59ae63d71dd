//! What somebody may do follows their role, everywhere.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use spanlake_testkit::eventually_within;

use crate::cluster::{Cluster, Form};
use crate::tenant::Tenant;

/// A second is promised, on a machine that does nothing else; what is remembered would last ten. Within one process it is at once.
const BITES_WITHIN: Duration = Duration::from_secs(5);

pub(crate) async fn a_role_change_and_a_removal_bite_in_every_service(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let client = &cluster.client;
    let member = tenant.member("member").await;
    let (guest, path) = (member.token, format!("/v1/members/{}", member.id));
    // An export of no rows is a mistake that costs none of the ten an hour, and is told to those who may export.
    let statuses = async || {
        let mut statuses = Vec::new();
        for path in ["/v1/me", "/v1/traces", "/v1/traces/export?limit=0"] {
            statuses.push(client.get(path, &guest).await.status);
        }
        statuses
    };
    // Every service has met them, and remembers.
    assert_eq!(statuses().await, [200, 200, 400]);

    let within = if cluster.form() == Form::Standalone { Duration::ZERO } else { BITES_WITHIN };
    let change = client.request(Method::PATCH, &path).bearer_auth(&tenant.token).json(&json!({"role": "viewer"}));
    assert_eq!(client.send(change).await.status, 200);
    eventually_within(within, "a viewer reads and does not export", || async {
        (statuses().await == [200, 200, 403]).then_some(())
    })
    .await;
    assert_eq!(client.delete(&path, &tenant.token).await.status, 204);
    eventually_within(within, "whoever was removed is refused by every service", || async {
        (statuses().await == [401, 401, 401]).then_some(())
    })
    .await;
}
