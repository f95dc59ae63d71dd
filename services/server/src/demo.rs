//! A newcomer's first minute: a tenant, a key, a trace, and how to send more. All of it through the public API.

mod trace;

use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use spanlake_model::{Clock, Entropy, SystemClock, SystemEntropy};

use crate::Addresses;

const EMAIL: &str = "demo@spanlake.localhost";

/// The demo tenant's owner, kept beside the data so that the next start is the same tenant.
#[derive(Serialize, Deserialize)]
struct Owner {
    email: String,
    password: String,
}

/// Signs up (or logs in), makes a key, sends a trace, reads it back, and prints what a newcomer needs.
///
/// # Errors
/// When the server does not answer as it should.
pub async fn show(data_dir: &Path, addresses: Addresses) -> anyhow::Result<()> {
    let http = addresses.http.context("a demo needs the public API")?;
    let otlp = addresses.otlp_http.context("a demo needs OTLP/HTTP")?;
    let client = Client { base: format!("http://{http}"), http: reqwest::Client::new() };
    let token = client.token(data_dir).await?;
    let key = client.key(&token).await?;
    let (trace_id, body) = trace::agent_run(SystemClock.now(), &SystemEntropy);
    client.send(&key, body).await?;
    let trace = client.trace(&key, &trace_id).await?;
    print(&welcome(http, otlp, &key, &trace_id, &trace))
}

struct Client {
    base: String,
    http: reqwest::Client,
}

impl Client {
    async fn token(&self, data_dir: &Path) -> anyhow::Result<String> {
        let path = data_dir.join("demo.json");
        let (url, body) = match std::fs::read(&path) {
            Ok(bytes) => {
                let owner: Owner = serde_json::from_slice(&bytes).with_context(|| path.display().to_string())?;
                ("/v1/login", json!({"email": owner.email, "password": owner.password}))
            }
            Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => {
                let owner = Owner { email: EMAIL.into(), password: password() };
                keep(&path, &owner)?;
                let tenant = json!({"email": owner.email, "password": owner.password, "tenant_name": "Demo"});
                ("/v1/signup", tenant)
            }
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let answer = self.post(url, None, body).await?;
        text(&answer, "/data/access_token")
    }

    async fn key(&self, token: &str) -> anyhow::Result<String> {
        let body = json!({"name": "demo", "kind": "workspace"});
        text(&self.post("/v1/api-keys", Some(token), body).await?, "/data/key")
    }

    async fn send(&self, key: &str, body: Value) -> anyhow::Result<()> {
        self.post("/v1/traces", Some(key), body).await.map(drop)
    }

    async fn trace(&self, key: &str, trace_id: &str) -> anyhow::Result<Value> {
        let request = self.http.get(format!("{}/v1/traces/{trace_id}", self.base)).bearer_auth(key);
        Ok(read(request.send().await?).await?["data"].take())
    }

    async fn post(&self, path: &str, credential: Option<&str>, body: Value) -> anyhow::Result<Value> {
        let mut request = self.http.post(format!("{}{path}", self.base)).json(&body);
        if let Some(credential) = credential {
            request = request.bearer_auth(credential);
        }
        read(request.send().await?).await
    }
}

async fn read(response: reqwest::Response) -> anyhow::Result<Value> {
    let (status, url) = (response.status(), response.url().path().to_string());
    let body = response.text().await?;
    if !status.is_success() {
        bail!("{url} answered {status}: {body}");
    }
    Ok(serde_json::from_str(&body)?)
}

fn text(answer: &Value, pointer: &str) -> anyhow::Result<String> {
    let text = answer.pointer(pointer).and_then(Value::as_str);
    text.map(str::to_string).with_context(|| format!("the answer has no {pointer}"))
}

fn password() -> String {
    let mut bytes = [0; 18];
    SystemEntropy.fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn keep(path: &Path, owner: &Owner) -> anyhow::Result<()> {
    let mut file = std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    file.write_all(&serde_json::to_vec_pretty(owner)?)?;
    Ok(file.sync_all()?)
}

fn welcome(http: SocketAddr, otlp: SocketAddr, key: &str, trace_id: &str, trace: &Value) -> String {
    let (name, spans) = (trace["name"].as_str().unwrap_or("?"), trace["span_count"].as_i64().unwrap_or(0));
    let (tokens, latency) = (trace["tokens"].as_i64().unwrap_or(0), trace["latency_ms"].as_f64().unwrap_or(0.0));
    format!(
        "
Spanlake is running at http://{http}

  The demo tenant has one trace: '{name}', {spans} spans, {tokens} tokens, {latency:.0} ms. Look at it:

    curl -s -H 'Authorization: Bearer {key}' http://{http}/v1/traces/{trace_id}

  Send your own: any OpenTelemetry SDK needs these two variables (over http/protobuf or http/json):

    export OTEL_EXPORTER_OTLP_ENDPOINT=http://{otlp}
    export OTEL_EXPORTER_OTLP_HEADERS='Authorization=Bearer {key}'

  Your traces, newest first:

    curl -s -H 'Authorization: Bearer {key}' http://{http}/v1/traces

  The API is described at http://{http}/v1/openapi.json. Ctrl-C stops, and keeps everything.
"
    )
}

#[expect(clippy::print_stdout, reason = "the newcomer reads it there")]
fn print(text: &str) -> anyhow::Result<()> {
    println!("{text}");
    Ok(())
}
