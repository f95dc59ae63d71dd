//! A tenant of our own, made over the public API.

use anyhow::{Context, Result};
use reqwest::Url;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::target::join;

#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
struct SignedUp {
    access_token: String,
}

#[derive(Deserialize)]
struct NewKey {
    key: String,
}

/// Signs up a tenant of this name, a lower-case word, and makes a key that may write, read and export.
///
/// # Errors
/// The server refuses, as when the tenant is there already.
pub(crate) async fn sign_up(base: &Url, name: &str) -> Result<String> {
    let client = reqwest::Client::builder().no_proxy().timeout(crate::client::REQUEST_TIMEOUT).build()?;
    let account = json!({
        "email": format!("{name}@example.com"),
        "password": "a long enough passphrase 7",
        "tenant_name": name,
    });
    let SignedUp { access_token } = post(client.post(join(base, "/v1/signup")?), &account).await?;
    let key = json!({"name": "load", "kind": "workspace", "scopes": ["ingest", "read", "export"]});
    let request = client.post(join(base, "/v1/api-keys")?).bearer_auth(access_token);
    Ok(post::<NewKey>(request, &key).await?.key)
}

async fn post<T: DeserializeOwned>(request: reqwest::RequestBuilder, body: &Value) -> Result<T> {
    let response = request.json(body).send().await?.error_for_status().context("the tenant cannot be made")?;
    Ok(response.json::<Answer<T>>().await?.data)
}
