//! `spanlake login`

use reqwest::Method;
use serde_json::{Value, json};

use crate::args::{Global, Login};
use crate::client::{Client, Session};
use crate::config::{self, Config, Profile};
use crate::console::Console;
use crate::error::Error;

pub(crate) async fn run(global: &Global, args: Login, console: &mut Console) -> Result<(), Error> {
    let client = Client::nobody(global, console)?;
    let proven = if args.with_key { key(&client, global).await? } else { password(&client, args, console).await? };
    let _lock = config::lock(&console.config_file)?;
    let mut config = Config::load(&console.config_file)?;
    let name = config.name(global.profile.as_deref()).to_owned();
    let whose = whose(&proven.me);
    let is_first = config.profiles.is_empty();
    config.profiles.insert(name.clone(), Profile { url: Some(client.url.clone()), ..proven.profile });
    if is_first {
        config.current = Some(name.clone());
    }
    config.save(&console.config_file)?;
    if global.json {
        return console.json(&json!({"profile": name, "url": client.url, "identity": proven.me}));
    }
    console.tell(&format!("Logged in to {} as {whose}.", client.url));
    Ok(())
}

/// A credential that has been tried, and what the server says of it.
struct Proven {
    profile: Profile,
    me: Value,
}

async fn password(client: &Client, args: Login, console: &mut Console) -> Result<Proven, Error> {
    let can_ask = console.in_is_terminal;
    let email = match args.email {
        Some(email) => email,
        None if can_ask => console.ask("Email: ")?,
        None => return Err(Error::invalid("nobody can be asked here: give --email and --password-stdin")),
    };
    if !can_ask && !args.password_stdin {
        return Err(Error::invalid(
            "nobody can be asked here: give the password on standard input, with --password-stdin",
        ));
    }
    let password = if args.password_stdin { console.ask("")? } else { console.ask_secret("Password: ")? };
    let mut body = json!({"email": email, "password": password});
    if let Some(tenant) = args.tenant {
        body["tenant_id"] = tenant.into();
    }
    let session: Session = client.data(client.request(Method::POST, "/v1/login").json(&body)).await.map_err(wrong)?;
    let now_s = console.clock.now().as_secs();
    let me = client.data(client.request(Method::GET, "/v1/me").bearer_auth(&session.access_token)).await?;
    Ok(Proven { profile: Profile { tokens: Some(session.tokens(email, now_s)), ..Profile::default() }, me })
}

/// Who is logging in need not be told to log in.
fn wrong(error: Error) -> Error {
    match error {
        Error::Auth(message) => Error::Auth(message.lines().next().unwrap_or_default().to_owned()),
        other => other,
    }
}

async fn key(client: &Client, global: &Global) -> Result<Proven, Error> {
    let key = global.api_key.clone();
    let key = key.ok_or_else(|| Error::invalid("--with-key needs the key: --api-key or SPANLAKE_API_KEY"))?;
    let me = client.data(client.request(Method::GET, "/v1/me").bearer_auth(&key)).await.map_err(wrong)?;
    Ok(Proven { profile: Profile { api_key: Some(key), ..Profile::default() }, me })
}

/// In words.
pub(super) fn whose(me: &Value) -> String {
    let tenant = me["tenant"]["name"].as_str().unwrap_or("?");
    match (me["member"]["email"].as_str(), me["key"]["name"].as_str()) {
        (Some(email), _) => format!("{email}, {} of {tenant}", me["member"]["role"].as_str().unwrap_or("member")),
        (None, Some(key)) => format!("key '{key}' of {tenant}"),
        (None, None) => tenant.to_owned(),
    }
}
