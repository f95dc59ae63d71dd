//! `spanlake whoami`

use reqwest::Method;
use serde_json::Value;

use super::login::whose;
use crate::args::Global;
use crate::client::Client;
use crate::console::Console;
use crate::error::Error;

pub(crate) async fn run(global: &Global, console: &mut Console) -> Result<(), Error> {
    let client = Client::open(global, console).await?;
    let me: Value = client.data(client.authorized(Method::GET, "/v1/me")).await?;
    if global.json {
        return console.json(&me);
    }
    console.print(&whose(&me))?;
    for what in ["app", "agent"] {
        if let (Some(name), Some(id)) = (me[what]["name"].as_str(), me[what]["id"].as_str()) {
            console.print(&format!("{what}: {name} ({id})"))?;
        }
    }
    let scopes: Vec<_> = me["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    console.print(&format!("may: {}", scopes.join(", ")))?;
    console.print(&format!("at: {}", client.url))
}
