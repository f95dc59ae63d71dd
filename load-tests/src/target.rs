//! What may be sent to: this machine, unless somebody says otherwise.

use anyhow::{Context, Result, ensure};
use reqwest::Url;

/// Parses a base URL.
///
/// # Errors
/// Not `http://host…`, or not a loopback address although `allow_remote` is not set.
pub(crate) fn parse(base: &str, allow_remote: bool) -> Result<Url> {
    let url = Url::parse(base).with_context(|| format!("{base} is not a URL"))?;
    ensure!(url.scheme() == "http", "{base}: only http:// is supported");
    ensure!(
        allow_remote || is_loopback(&url),
        "{base} is not on this machine. A load test can bring a server down: add --allow-remote if you own it."
    );
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// `base` with `path` put behind it.
pub(crate) fn join(base: &Url, path: &str) -> Result<Url> {
    let joined = format!("{}{path}", base.as_str().trim_end_matches('/'));
    Url::parse(&joined).with_context(|| format!("{joined} is not a URL"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_machines_are_refused_unless_allowed() {
        for local in ["http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:4317", "http://127.8.8.8"] {
            assert!(parse(local, false).is_ok(), "{local}");
        }
        for remote in ["http://example.com", "http://10.0.0.7:8080", "http://localhost.example.com", "http://0.0.0.0:1"]
        {
            assert!(parse(remote, false).is_err(), "{remote}");
            assert!(parse(remote, true).is_ok(), "{remote}");
        }
        assert!(parse("file:///etc/passwd", true).is_err());
    }

    #[test]
    fn paths_are_put_behind_a_base_with_or_without_a_slash() {
        for base in ["http://localhost:1/spanlake", "http://localhost:1/spanlake/"] {
            let base = parse(base, false).unwrap();
            assert_eq!(join(&base, "/v1/traces").unwrap().as_str(), "http://localhost:1/spanlake/v1/traces");
        }
    }
}
