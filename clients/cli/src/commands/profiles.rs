//! `spanlake profiles`

use serde_json::json;

use crate::args::{Global, Profiles};
use crate::config::{self, Config, DEFAULT_URL, Profile};
use crate::console::Console;
use crate::error::Error;
use crate::text;

pub(crate) fn run(global: &Global, args: Profiles, console: &mut Console) -> Result<(), Error> {
    let _lock = config::lock(&console.config_file)?;
    let mut config = Config::load(&console.config_file)?;
    if let Some(name) = args.name {
        if !config.profiles.contains_key(&name) {
            return Err(Error::invalid(format!("there is no profile '{name}'; run 'spanlake login --profile {name}'")));
        }
        config.current = Some(name);
        config.save(&console.config_file)?;
    }
    let current = config.name(global.profile.as_deref());
    if global.json {
        let profiles: Vec<_> = config
            .profiles
            .iter()
            .map(|(name, profile)| {
                json!({"name": name, "current": name == current, "url": url(profile), "login": login(profile),
                    "app_id": profile.app_id})
            })
            .collect();
        return console.json(&profiles);
    }
    let rows: Vec<_> = config
        .profiles
        .iter()
        .map(|(name, profile)| {
            let mark = if name == current { "*" } else { "" };
            let app = profile.app_name.clone().or_else(|| profile.app_id.clone()).unwrap_or_default();
            vec![name.clone(), mark.to_owned(), url(profile).to_owned(), login(profile).to_owned(), app]
        })
        .collect();
    console.print(text::table(&["PROFILE", "", "URL", "LOGIN", "APP"], &rows).trim_end())
}

fn url(profile: &Profile) -> &str {
    profile.url.as_deref().unwrap_or(DEFAULT_URL)
}

fn login(profile: &Profile) -> &str {
    match (&profile.api_key, &profile.tokens) {
        (Some(_), _) => "key",
        (None, Some(tokens)) => &tokens.email,
        (None, None) => "",
    }
}
