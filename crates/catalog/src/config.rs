//! Where the catalog is.

use std::fmt;

use serde::Deserialize;

/// Where the catalog is, and how much of it this process may hold.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `sqlite:PATH`, a file that is made when missing, in a folder that exists; or `postgres://user:password@host/database`.
    pub url: String,
    /// Connections to the database at most. When all are busy a call waits ten seconds and then fails as unavailable.
    #[serde(default = "connections_max")]
    pub connections_max: u32,
}

const fn connections_max() -> u32 {
    10
}

impl Config {
    /// The catalog at `url`, with the usual bounds.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), connections_max: connections_max() }
    }
}

/// Without user, password and parameters: this ends up in logs.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("url", &without_secrets(&self.url))
            .field("connections_max", &self.connections_max)
            .finish()
    }
}

fn without_secrets(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) if scheme != "sqlite" => {
            let place = rest.split('?').next().unwrap_or_default();
            format!("{scheme}://***@{}", place.rsplit('@').next().unwrap_or_default())
        }
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_printed() {
        for url in ["postgres://ann:s3cret@db:5432/spanlake", "postgres://db/spanlake?user=ann&password=s3cret"] {
            let printed = format!("{:?}", Config::new(url));
            assert!(printed.contains("spanlake") && printed.contains("db"), "{printed}");
            assert!(!printed.contains("s3cret") && !printed.contains("ann"), "{printed}");
        }
        assert!(format!("{:?}", Config::new("sqlite:data/catalog.db")).contains("sqlite:data/catalog.db"));
    }
}
