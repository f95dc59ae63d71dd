//! Profiles: where a Spanlake is, who asks, and about which app. One TOML file, readable by its owner only.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::files;

/// The profile when none is named.
pub const DEFAULT_PROFILE: &str = "default";
/// Where a Spanlake is when nobody says.
pub const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// The file's content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// The profile to use when none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// By name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub profiles: BTreeMap<String, Profile>,
}

/// One way to ask.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// Where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The linked app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_id: Option<String>,
    /// Its name, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_name: Option<String>,
    /// A key; goes before tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
    /// Of somebody who is logged in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
}

/// What a login gave.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Whose.
    pub email: String,
    /// Good for minutes.
    pub access_token: String,
    /// Works once, for new ones.
    pub refresh_token: String,
    /// When `access_token` ends; seconds since 1970.
    pub expires_at_s: i64,
}

impl Profile {
    /// Whether it holds a credential that was given for another address.
    pub fn is_of_another(&self, url: &str) -> bool {
        let is_stored = self.api_key.is_some() || self.tokens.is_some();
        is_stored && self.url.as_deref().unwrap_or(DEFAULT_URL) != url
    }
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Profile").field("url", &self.url).field("app_id", &self.app_id).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("email", &self.email).finish_non_exhaustive()
    }
}

/// Where the file is: `SPANLAKE_CONFIG`, else `spanlake/config.toml` under `XDG_CONFIG_HOME` or `~/.config`.
pub fn file(environment: impl Iterator<Item = (OsString, OsString)>) -> PathBuf {
    let environment: BTreeMap<_, _> = environment.filter(|(_, value)| !value.is_empty()).collect();
    let get = |name: &str| environment.get(&OsString::from(name)).map(PathBuf::from);
    get("SPANLAKE_CONFIG").unwrap_or_else(|| {
        let folder = get("XDG_CONFIG_HOME").or_else(|| get("HOME").map(|home| home.join(".config")));
        folder.unwrap_or_else(|| PathBuf::from(".")).join("spanlake/config.toml")
    })
}

/// Keeps other commands from changing the file until it is dropped.
///
/// # Errors
/// When there is no place for it.
pub fn lock(path: &Path) -> Result<File, Error> {
    let path = path.with_extension("lock");
    let lock = || {
        fs::create_dir_all(files::folder_of(&path))?;
        let file = File::create(&path)?;
        file.lock()?;
        Ok(file)
    };
    lock().map_err(|error| Error::file(&path, error))
}

impl Config {
    /// Reads the file; one that is not there is empty.
    ///
    /// # Errors
    /// When it cannot be read, or is not ours.
    pub fn load(path: &Path) -> Result<Self, Error> {
        match fs::read_to_string(path) {
            Ok(text) => toml::from_str(&text).map_err(|error| {
                Error::invalid(format!("{}: {}; correct it or remove it", path.display(), error.message()))
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Error::file(path, error)),
        }
    }

    /// Replaces the file as a whole, so that a crash leaves the old one or the new one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let text = toml::to_string(self).map_err(|error| Error::invalid(format!("the configuration: {error}")))?;
        let folder = files::folder_of(path);
        fs::create_dir_all(folder).map_err(|error| Error::file(folder, error))?;
        files::replace(path, text.as_bytes()).map_err(|error| Error::file(path, error))
    }

    /// The name of the profile in use.
    pub fn name<'a>(&'a self, wanted: Option<&'a str>) -> &'a str {
        wanted.or(self.current.as_deref()).unwrap_or(DEFAULT_PROFILE)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use spanlake_testkit::TemporaryFolder;

    use super::*;

    fn config() -> Config {
        let tokens = Tokens {
            email: "a@b.c".into(),
            access_token: "access".into(),
            refresh_token: "refresh".into(),
            expires_at_s: 12,
        };
        let profile = Profile { url: Some("http://x".into()), tokens: Some(tokens), ..Profile::default() };
        Config { current: Some("work".into()), profiles: BTreeMap::from([("work".into(), profile)]) }
    }

    #[test]
    fn what_is_saved_is_read_back_and_only_the_owner_can_read_it() {
        let folder = TemporaryFolder::new("config");
        let path = folder.path().join("deep/er/config.toml");
        assert_eq!(Config::load(&path).unwrap(), Config::default());
        for round in 0..2 {
            config().save(&path).unwrap();
            assert_eq!(Config::load(&path).unwrap(), config());
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "round {round}");
            // The next save must not keep what somebody loosened.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left over");
    }

    #[test]
    fn a_file_that_is_not_ours_is_refused_and_left_alone() {
        let folder = TemporaryFolder::new("config");
        let path = folder.path().join("config.toml");
        fs::write(&path, "profiles = 7").unwrap();
        assert_eq!(Config::load(&path).unwrap_err().code(), 2);
        assert_eq!(fs::read_to_string(&path).unwrap(), "profiles = 7");
    }

    #[test]
    fn the_environment_says_where_the_file_is() {
        let place = |pairs: &[(&str, &str)]| file(pairs.iter().map(|(name, value)| (name.into(), value.into())));
        assert_eq!(place(&[("HOME", "/h")]), Path::new("/h/.config/spanlake/config.toml"));
        assert_eq!(place(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")]), Path::new("/x/spanlake/config.toml"));
        assert_eq!(place(&[("HOME", "/h"), ("SPANLAKE_CONFIG", "/c")]), Path::new("/c"));
    }

    #[test]
    fn secrets_are_not_for_logs() {
        let shown = format!("{:?}", config());
        assert!(!shown.contains("access") && !shown.contains("refresh\""), "{shown}");
    }
}
