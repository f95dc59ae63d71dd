//! A tenant with what it makes, through the public API.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::client::Client;
use crate::cluster::Cluster;

/// Somebody who has signed up.
pub(crate) struct Tenant {
    pub(crate) id: String,
    pub(crate) app: String,
    /// The owner's access token.
    pub(crate) token: String,
    pub(crate) email: String,
    client: Client,
}

/// Somebody in a tenant.
pub(crate) struct Member {
    pub(crate) id: String,
    /// Their access token.
    pub(crate) token: String,
}

pub(crate) const PASSWORD: &str = "a long enough passphrase 7";

impl Tenant {
    pub(crate) async fn sign_up(cluster: &Cluster) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        Self::named(cluster, &format!("tenant {number}"), &format!("owner-{number}@example.com")).await
    }

    pub(crate) async fn named(cluster: &Cluster, name: &str, email: &str) -> Self {
        let client = cluster.client.clone();
        let body = json!({"email": email, "password": PASSWORD, "tenant_name": name});
        let request = client.request(reqwest::Method::POST, "/v1/signup").json(&body);
        let answer = client.send(request).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let data = answer.data();
        Self {
            id: text(&data, "/tenant/id"),
            app: text(&data, "/app/id"),
            token: text(&data, "/access_token"),
            email: email.to_owned(),
            client,
        }
    }

    /// A workspace key that may do this.
    pub(crate) async fn key(&self, scopes: &[&str]) -> String {
        text(&self.new_key(&json!({"name": "story", "kind": "workspace", "scopes": scopes})).await, "/key")
    }

    /// A key as asked for, whole.
    pub(crate) async fn new_key(&self, body: &Value) -> Value {
        let answer = self.client.post("/v1/api-keys", &self.token, body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.data()
    }

    /// A new agent's id.
    pub(crate) async fn agent(&self, name: &str) -> String {
        let answer = self.client.post("/v1/agents", &self.token, &json!({"name": name})).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        text(&answer.data(), "/id")
    }

    /// Somebody who has joined in this role.
    pub(crate) async fn member(&self, role: &str) -> Member {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let email = format!("guest-{}-{}", NUMBER.fetch_add(1, Ordering::SeqCst), self.email);
        let invited =
            self.client.post("/v1/members/invites", &self.token, &json!({"email": email, "role": role})).await;
        assert_eq!(invited.status, 201, "{}", invited.text());
        let acceptance = json!({"token": text(&invited.data(), "/token"), "password": PASSWORD});
        let request = self.client.request(reqwest::Method::POST, "/v1/invites/accept").json(&acceptance);
        let joined = self.client.send(request).await;
        assert_eq!(joined.status, 201, "{}", joined.text());
        let joined = joined.data();
        Member { id: text(&joined, "/member/id"), token: text(&joined, "/access_token") }
    }

    /// A key that writes for this agent.
    pub(crate) async fn agent_key(&self, agent: &str) -> String {
        text(&self.new_key(&json!({"name": "agent", "kind": "agent", "agent_id": agent})).await, "/key")
    }
}

pub(crate) fn text(value: &Value, pointer: &str) -> String {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("no {pointer} in {value}")).to_owned()
}
