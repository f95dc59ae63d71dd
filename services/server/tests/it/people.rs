//! What somebody may do follows their role, everywhere.

use std::process::Command;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use spanlake_testkit::eventually_within;

use crate::cluster::{Cluster, Form};
use crate::tenant::{PASSWORD, Tenant, text};

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

/// The server's own command line, beside a server that runs; answers whether it worked, and what it said.
fn command(cluster: &Cluster, arguments: &[&str]) -> (bool, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spanlake-server"));
    let output = command.args(arguments).env_clear().envs([cluster.catalog()]).output().unwrap();
    let said = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), said(output.stdout), said(output.stderr))
}

pub(crate) async fn whoever_runs_the_installation_can_let_an_owner_back_in(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let client = &cluster.client;
    let (worked, token, about) = command(cluster, &["reset-password", &tenant.email]);
    assert!(
        worked && about.contains(&tenant.email) && about.contains(&tenant.id) && !about.contains(token.trim()),
        "{about}"
    );
    let (new, path) = ("another long passphrase 8", "/v1/password-reset");
    let reset = client.request(Method::POST, path).json(&json!({"token": token.trim(), "password": new}));
    let session = client.send(reset).await;
    assert_eq!(session.status, 200, "{}", session.text());
    for (password, status) in [(PASSWORD, 401), (new, 200)] {
        let login =
            client.request(Method::POST, "/v1/login").json(&json!({"email": tenant.email, "password": password}));
        assert_eq!(client.send(login).await.status, status);
    }
    let log = client.get("/v1/audit-log?limit=1000", &text(&session.data(), "/access_token")).await.rows();
    let entry = log.iter().find(|entry| entry["action"] == "password_reset.created").unwrap();
    assert_eq!((&entry["actor_type"], &entry["actor_id"]), (&json!("installation"), &json!(null)));

    // Of two accounts with a password each one must be named; nobody is nobody.
    let guest = json!({"email": tenant.email, "role": "viewer"});
    let other = Tenant::sign_up(cluster).await;
    let invited = client.post("/v1/members/invites", &other.token, &guest).await.data();
    let join = json!({"token": text(&invited, "/token"), "password": PASSWORD});
    assert_eq!(client.send(client.request(Method::POST, "/v1/invites/accept").json(&join)).await.status, 201);
    let (worked, out, about) = command(cluster, &["reset-password", &tenant.email]);
    assert!(!worked && out.is_empty() && about.contains(&tenant.id) && about.contains(&other.id), "{about}");
    let (worked, _, about) = command(cluster, &["reset-password", &tenant.email, "--tenant", &other.id]);
    assert!(worked && about.contains(&other.id), "{about}");
    let (worked, out, about) = command(cluster, &["reset-password", "nobody@example.com"]);
    assert!(!worked && out.is_empty() && about.contains("nobody@example.com"), "{about}");
}
