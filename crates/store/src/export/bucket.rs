//! A bucket of somebody else's, reached with their credentials at an address they chose.
//!
//! Such an address must not lead into our own network. Names are looked up by a resolver that leaves out every address that is not
//! public, at each connection, so that a name which changes its mind in between gains nothing; numbers are looked at
//! when the bucket is opened; redirects are not followed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::client::{HttpClient, HttpConnector};
use object_store::{ClientOptions, Error as StoreError};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Url, redirect};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// One part of eight megabytes, over a slow line.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(300);

/// Which bucket, and with which credentials.
#[derive(Clone)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// Where it lies; `us-east-1` where nobody cares.
    pub region: String,
    /// Whose server: `https://…`; `None`: Amazon's.
    pub endpoint: Option<String>,
    /// Public half of the credentials.
    pub access_key_id: String,
    /// Secret half.
    pub secret_access_key: String,
    /// Of credentials that are lent for a while.
    pub session_token: Option<String>,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket").field("name", &self.name).field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// Why a bucket is not opened.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Not `https://host[:port]`.
    #[error("the endpoint must be https://host or https://host:port")]
    Endpoint,
    /// Its host has no address.
    #[error("the endpoint's host cannot be found")]
    Unknown,
    /// Its host has no public address.
    #[error("the endpoint's host has no public address")]
    Private,
    /// Its settings do not go together.
    #[error("the bucket's settings cannot be used")]
    Settings(#[source] StoreError),
}

/// The bucket, once its address has been looked at. With `private_allowed` any address will do, and plain http.
pub(super) async fn open(bucket: &Bucket, private_allowed: bool) -> Result<Arc<dyn ObjectStore>, Refusal> {
    if let Some(endpoint) = &bucket.endpoint {
        check(endpoint, private_allowed).await?;
    }
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&bucket.name)
        .with_region(&bucket.region)
        .with_access_key_id(&bucket.access_key_id)
        .with_secret_access_key(&bucket.secret_access_key)
        .with_allow_http(private_allowed)
        .with_http_connector(Connector { private_allowed });
    if let Some(token) = &bucket.session_token {
        builder = builder.with_token(token);
    }
    if let Some(endpoint) = &bucket.endpoint {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
    }
    Ok(Arc::new(builder.build().map_err(Refusal::Settings)?))
}

async fn check(endpoint: &str, private_allowed: bool) -> Result<(), Refusal> {
    let url = Url::parse(endpoint).map_err(|_| Refusal::Endpoint)?;
    let is_plain = url.username().is_empty() && url.password().is_none() && url.path() == "/" && url.query().is_none();
    let scheme_fits = url.scheme() == "https" || (private_allowed && url.scheme() == "http");
    let host = url.host_str().filter(|_| is_plain && scheme_fits).ok_or(Refusal::Endpoint)?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_string();
    let addresses = look_up(host).await.map_err(|_| Refusal::Unknown)?;
    if private_allowed || addresses.iter().any(|address| is_public(address.ip())) {
        Ok(())
    } else {
        Err(Refusal::Private)
    }
}

async fn look_up(host: String) -> std::io::Result<Vec<SocketAddr>> {
    let found = tokio::task::spawn_blocking(move || (host.as_str(), 0).to_socket_addrs().map(Vec::from_iter));
    found.await.map_err(std::io::Error::other)?
}

/// Makes the client that talks to the bucket.
#[derive(Debug)]
struct Connector {
    private_allowed: bool,
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = Client::builder()
            .dns_resolver(Arc::new(Resolver { private_allowed: self.private_allowed }))
            .redirect(redirect::Policy::none())
            .https_only(!self.private_allowed)
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .build();
        let client = client.map_err(|source| StoreError::Generic { store: "S3", source: Box::new(source) })?;
        Ok(HttpClient::new(client))
    }
}

struct Resolver {
    private_allowed: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (host, private_allowed) = (name.as_str().to_string(), self.private_allowed);
        Box::pin(async move {
            let mut addresses = look_up(host).await?;
            addresses.retain(|address| private_allowed || is_public(address.ip()));
            if addresses.is_empty() {
                return Err(Refusal::Private.into());
            }
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}

/// Whether an address is anybody's on the internet: not this machine, not a private network, not link-local (where clouds keep the
/// credentials of their machines), and none of the ranges that lead to one of those in disguise.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let is_shared = first == 100 && (64..128).contains(&second);
    let is_for_protocols = first == 192 && second == 0 && third == 0;
    let is_for_benchmarks = first == 198 && (18..20).contains(&second);
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || first == 0
        || first >= 224
        || is_shared
        || is_for_protocols
        || is_for_benchmarks)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // 2000::/3 is what the world uses; of it, 6to4, Teredo and the documentation are other things in disguise.
    let is_global = segments[0] & 0xe000 == 0x2000;
    let is_disguise = segments[0] == 0x2002 || (segments[0] == 0x2001 && segments[1] < 0x0200);
    let is_documentation = (segments[0] == 0x2001 && segments[1] == 0x0db8) || segments[0] == 0x3fff;
    match address.to_ipv4_mapped() {
        Some(inner) => is_public_v4(inner),
        None => is_global && !is_disguise && !is_documentation,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for private in [
            "127.0.0.1",
            "127.9.9.9",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "0.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "192.0.0.8",
            "198.18.0.1",
            "198.19.255.255",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "203.0.113.9",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd12:3456::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:0:1::1",
            "2001:db8::1",
            "::127.0.0.1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in [
            "8.8.8.8",
            "52.216.1.1",
            "100.63.0.1",
            "100.128.0.1",
            "172.32.0.1",
            "198.20.0.1",
            "::ffff:8.8.8.8",
            "2600:1f18::1",
            "2a00:1450::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[tokio::test]
    async fn an_endpoint_of_our_own_network_is_refused_before_and_when_it_is_reached() {
        for (endpoint, expected) in [
            ("https://127.0.0.1:9000", "public"),
            ("https://[::1]", "public"),
            ("https://169.254.169.254", "public"),
            ("https://localhost", "public"),
            ("http://8.8.8.8", "https://"),
            ("https://user@8.8.8.8", "https://"),
            ("https://8.8.8.8/path", "https://"),
            ("ftp://8.8.8.8", "https://"),
            ("nonsense", "https://"),
        ] {
            let refused = check(endpoint, false).await.unwrap_err().to_string();
            assert!(refused.contains(expected), "{endpoint}: {refused}");
        }
        check("http://127.0.0.1:9000", true).await.unwrap();
        let resolved = |private_allowed| Resolver { private_allowed }.resolve("localhost".parse().unwrap());
        assert!(resolved(false).await.is_err(), "also when the name is looked up again");
        assert!(resolved(true).await.unwrap().all(|address| address.ip().is_loopback()));
    }
}
