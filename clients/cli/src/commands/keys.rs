//! `spanlake keys …`

use reqwest::Method;
use serde_json::{Value, json};

use crate::args::{Global, KeyScope, Keys, KeysCommand, NewKey};
use crate::client::Client;
use crate::console::Console;
use crate::error::Error;
use crate::text;

/// Pages that a list is read in.
const PAGE: &str = "/v1/api-keys?limit=1000";

pub(crate) async fn run(global: &Global, args: Keys, console: &mut Console) -> Result<(), Error> {
    let client = Client::open(global, console).await?;
    match args.command {
        KeysCommand::List => list(&client, global, console).await,
        KeysCommand::Create(new) => create(&client, global, new, console).await,
        KeysCommand::Revoke { id } => {
            if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
                return Err(Error::invalid(format!("'{id}' is no id; 'spanlake keys list' shows them")));
            }
            client.send(client.authorized(Method::DELETE, &format!("/v1/api-keys/{id}"))).await?;
            console.tell("Revoked.");
            if global.json { console.json(&json!({"id": id, "revoked": true})) } else { Ok(()) }
        }
    }
}

async fn list(client: &Client, global: &Global, console: &mut Console) -> Result<(), Error> {
    let keys = client.all(PAGE).await?;
    if global.json {
        return console.json(&keys);
    }
    let rows: Vec<_> = keys
        .iter()
        .map(|key| {
            let word = |field: &str| key[field].as_str().unwrap_or_default().to_owned();
            let scopes: Vec<_> = key["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let state = if key["revoked_at"].is_string() { "revoked" } else { "active" };
            let shown = format!("{}…{}", word("key_prefix"), word("last4"));
            vec![
                word("id"),
                word("name"),
                shown,
                word("kind"),
                scopes.join(","),
                word("last_used_at"),
                word("expires_at"),
                state.to_owned(),
            ]
        })
        .collect();
    let header = ["ID", "NAME", "KEY", "KIND", "SCOPES", "LAST USED", "EXPIRES", "STATE"];
    console.print(text::table(&header, &rows).trim_end())
}

async fn create(client: &Client, global: &Global, new: NewKey, console: &mut Console) -> Result<(), Error> {
    let mut body = json!({"name": new.name, "kind": if new.agent.is_some() { "agent" } else { "workspace" }});
    if let Some(agent) = new.agent {
        body["agent_id"] = agent.into();
    }
    if !new.scopes.is_empty() {
        body["scopes"] = new.scopes.iter().map(|scope| scope.word()).collect::<Vec<_>>().into();
    }
    if let Some(expires) = new.expires {
        body["expires_at"] = expires.at(console.clock.now()).to_string().into();
    }
    let key: Value = client.data(client.authorized(Method::POST, "/v1/api-keys").json(&body)).await?;
    if global.json {
        return console.json(&key);
    }
    console.tell("Keep it now: it is not shown again.");
    console.print(key["key"].as_str().unwrap_or_default())
}

impl KeyScope {
    fn word(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Read => "read",
            Self::Export => "export",
            Self::Score => "score",
            Self::Admin => "admin",
        }
    }
}
