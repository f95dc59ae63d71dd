//! Settings: defaults in code < one TOML file < `SPANLAKE_…` < flags, with every problem reported at once.
//!
//! ```text
//!   T::default() ──► shape (which keys there are, of which type)
//!   file, environment, flags ──► one `Setting` per key ──► known? ──► does it fit? ──► overlay ──► T
//!                                                             └──────────┴── Problem { where from, key, why }
//! ```
//!
//! A settings type derives `Serialize`, `Deserialize` and has a `Default`. Its serialised default is the list of known
//! keys, so fields are not skipped, renamed one way, or flattened; an `Option` takes any value that deserialises, a map
//! takes any key. Text that must stay secret is a [`Secret`].

pub mod duration;
mod names;
mod reference;
mod secret;
mod setting;

use std::fmt;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(crate) use names::nearest;
pub use reference::{Entry, reference};
pub use secret::Secret;
use setting::{Setting, base, overlay};

/// Environment variables that start so are settings.
const PREFIX: &str = "SPANLAKE_";
/// These are not: they tell tests where their databases are.
const TEST_PREFIX: &str = "SPANLAKE_TEST_";
/// Nor is this: it says where the file is, as `--config` does.
const FILE_VARIABLE: &str = "SPANLAKE_CONFIG";
/// Nor are these: they are for clients, which may well be started from the same shell.
const CLIENT_VARIABLES: [&str; 2] = ["SPANLAKE_KEY", "SPANLAKE_URL"];

/// One thing wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it was set: a file's path, `environment variable SPANLAKE_…`, `command line`.
    pub origin: String,
    /// The key, dotted; empty when it is about the whole.
    pub key: String,
    /// What is wrong and what is expected. Never holds a secret.
    pub why: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.key.is_empty() { "" } else { ": " };
        write!(f, "{}{separator}{}: {}", self.origin, self.key, self.why)
    }
}

/// Everything wrong with the settings, in the order file, environment, flags. At least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errors(pub Vec<Problem>);

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is not usable:")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for Errors {}

/// Reads the settings. `environment` is all of the process's; only `SPANLAKE_…` counts, where a double underscore
/// steps into a table: `SPANLAKE_INGEST__FLUSH_ROWS` is `ingest.flush_rows`. `flags` holds only what was given.
///
/// # Errors
/// Every unknown key, every value that does not fit, and an unreadable file, all at once.
pub fn load<T: DeserializeOwned + Serialize + Default>(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
    flags: toml::Table,
) -> Result<T, Errors> {
    let shape = serde_json::to_value(T::default()).map_err(|error| whole("defaults", &error))?;
    let mut problems = Vec::new();
    let mut settings = Vec::new();
    if let Some(path) = file {
        let origin = path.display().to_string();
        match read(path) {
            Ok(table) => setting::flatten(&table, &shape, &origin, &mut settings),
            Err(why) => problems.push(Problem { origin, key: String::new(), why }),
        }
    }
    settings.extend(variables(environment));
    setting::flatten(&flags, &shape, "command line", &mut settings);

    let base = base(&shape);
    let base_error = T::deserialize(base.clone()).err().map(|error| error.to_string());
    let fits = |value: &Value, setting: &Setting| {
        let mut one = base.clone();
        overlay(&mut one, &setting.key, value.clone());
        match T::deserialize(one) {
            Ok(_) => Ok(()),
            // Others may bring the field that is missing; the whole is tried in the end.
            Err(error) if error.to_string().starts_with("missing field") => Ok(()),
            Err(error) if base_error.as_ref() == Some(&error.to_string()) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    };
    let mut merged = base.clone();
    for setting in settings {
        match setting.checked(&shape, |value| fits(value, &setting)) {
            Ok(value) => overlay(&mut merged, &setting.key, value),
            Err(why) => problems.push(Problem { key: setting.key.join("."), why, origin: setting.origin }),
        }
    }
    if !problems.is_empty() {
        return Err(Errors(problems));
    }
    T::deserialize(merged).map_err(|error| whole("all settings together", &error))
}

/// The settings as they are, as TOML, with secrets as `***`: for the log at start, and for `--show-config`.
///
/// # Errors
/// When the type holds what TOML cannot, such as a map with keys that are not text.
pub fn show<T: Serialize>(settings: &T) -> Result<String, toml::ser::Error> {
    toml::to_string(settings)
}

fn whole(origin: &str, error: &serde_json::Error) -> Errors {
    Errors(vec![Problem { origin: origin.to_owned(), key: String::new(), why: error.to_string() }])
}

/// The error says the line, never its text, which may hold a secret.
fn read(path: &Path) -> Result<toml::Table, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read the file: {error}"))?;
    text.parse::<toml::Table>().map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        format!("not TOML at line {}: {}", before.matches('\n').count() + 1, error.message())
    })
}

fn variables(environment: impl Iterator<Item = (String, String)>) -> impl Iterator<Item = Setting> {
    let is_setting = |name: &str| {
        let is_other = name.starts_with(TEST_PREFIX) || name == FILE_VARIABLE || CLIENT_VARIABLES.contains(&name);
        name.starts_with(PREFIX) && !is_other
    };
    let mut found: Vec<_> = environment.filter(|(name, _)| is_setting(name)).collect();
    found.sort();
    found.into_iter().map(|(name, value)| {
        let key = name[PREFIX.len()..].split("__").map(str::to_ascii_lowercase).collect();
        Setting { key, value: setting::Value::Text(value), origin: format!("environment variable {name}") }
    })
}
