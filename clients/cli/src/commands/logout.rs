//! `spanlake logout`

use reqwest::Method;
use serde_json::json;

use crate::args::Global;
use crate::client::Client;
use crate::config::{self, Config};
use crate::console::Console;
use crate::error::Error;

/// Forgets first: whoever says so wants to be out also when the server is away.
pub(crate) async fn run(global: &Global, console: &mut Console) -> Result<(), Error> {
    let client = Client::nobody(global, console)?;
    let _lock = config::lock(&console.config_file)?;
    let mut config = Config::load(&console.config_file)?;
    let name = config.name(global.profile.as_deref()).to_owned();
    let profile = config.profiles.get_mut(&name);
    if profile.as_ref().is_some_and(|profile| profile.is_of_another(&client.url)) {
        return Err(Error::invalid(format!("profile '{name}' is logged in to another address; leave out --url")));
    }
    let (key, tokens) = profile.map_or((None, None), |profile| (profile.api_key.take(), profile.tokens.take()));
    if key.is_none() && tokens.is_none() {
        console.tell("Nobody was logged in.");
        return done(global, &name, console);
    }
    config.save(&console.config_file)?;
    if let Some(tokens) = tokens {
        let body = json!({"refresh_token": tokens.refresh_token});
        client.send(client.request(Method::POST, "/v1/logout").json(&body)).await?;
    }
    console.tell(&format!("Logged out of {}.", client.url));
    done(global, &name, console)
}

fn done(global: &Global, name: &str, console: &mut Console) -> Result<(), Error> {
    if global.json { console.json(&json!({"profile": name, "logged_in": false})) } else { Ok(()) }
}
