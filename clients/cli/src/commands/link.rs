//! `spanlake link`

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use crate::args::{Global, Link};
use crate::client::Client;
use crate::config::{self, Config};
use crate::console::Console;
use crate::error::Error;

#[derive(Debug, Deserialize)]
struct App {
    id: String,
    name: String,
}

pub(crate) async fn run(global: &Global, args: Link, console: &mut Console) -> Result<(), Error> {
    let client = Client::open(global, console).await?;
    let apps: Vec<App> = client.data(client.authorized(Method::GET, "/v1/apps?limit=1000")).await?;
    let app = choose(apps, args.app_or_name.as_deref().or(global.app.as_deref()), console)?;
    let _lock = config::lock(&console.config_file)?;
    let mut config = Config::load(&console.config_file)?;
    let name = config.name(global.profile.as_deref()).to_owned();
    let profile = config.profiles.entry(name.clone()).or_default();
    if profile.is_of_another(&client.url) {
        return Err(Error::invalid(format!(
            "profile '{name}' is logged in to another address; link {} under another name, with --profile",
            client.url
        )));
    }
    profile.url = Some(client.url.clone());
    (profile.app_id, profile.app_name) = (Some(app.id.clone()), Some(app.name.clone()));
    config.save(&console.config_file)?;
    if global.json {
        return console.json(&json!({"profile": name, "app_id": app.id, "app_name": app.name}));
    }
    console.tell(&format!("Linked to app '{}' ({}).", app.name, app.id));
    Ok(())
}

fn choose(mut apps: Vec<App>, wanted: Option<&str>, console: &mut Console) -> Result<App, Error> {
    if let Some(wanted) = wanted {
        let mut fits: Vec<_> = apps.into_iter().filter(|app| app.id == wanted || app.name == wanted).collect();
        return match fits.len() {
            1 => Ok(fits.remove(0)),
            0 => Err(Error::invalid(format!("there is no app '{wanted}'; 'spanlake link' lists them"))),
            _ => Err(Error::invalid(format!("several apps are called '{wanted}'; give the id"))),
        };
    }
    if apps.len() == 1 {
        return Ok(apps.remove(0));
    }
    for (number, app) in (1..).zip(&apps) {
        console.tell(&format!("{number:>3}  {}  {}", app.id, app.name));
    }
    if !console.in_is_terminal {
        return Err(Error::invalid("nobody can be asked which app: give its id or its name"));
    }
    let answer = console.ask("Which app? ")?;
    let chosen = answer.trim().parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    match chosen.filter(|place| *place < apps.len()) {
        Some(place) => Ok(apps.swap_remove(place)),
        None => Err(Error::invalid(format!("'{}' is no number of the list", answer.trim()))),
    }
}
