//! A bucket of somebody else's, reached with their credentials at an address they chose.
//!
//! Such an address must not lead into our own network. Names are looked up by a resolver that leaves out every address that is not
//! public, at each connection, so that a name which changes its mind in between gains nothing; numbers are looked at
//! when the bucket is opened and at each request; redirects are not followed. Nor is a word of it believed about how much it will
//! send: an answer is cut off at [`ANSWER_BYTES_MAX`].

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body::{Body, Frame};
use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use object_store::{ClientOptions, Error as StoreError};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::CONTENT_LENGTH;
use reqwest::{Client, Method, Url, redirect};

use super::trouble::Impatience;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// One part of eight megabytes, over a slow line.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(300);
/// Bytes of one answer at most: twice a manifest that names as many files as a run may have. Longer ones are refused.
pub(super) const ANSWER_BYTES_MAX: u64 = 16 << 20;
/// Bytes of a session token at most: twice Amazon's.
const TOKEN_BYTES_MAX: usize = 8 << 10;

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
    /// A setting that no bucket has.
    #[error("{0}")]
    Setting(&'static str),
    /// Its settings do not go together.
    #[error("the bucket's settings cannot be used")]
    Settings(#[source] StoreError),
}

/// The bucket, once its address has been looked at. With `private_allowed` any address will do, and plain http.
pub(super) async fn open(bucket: &Bucket, private_allowed: bool) -> Result<Arc<dyn ObjectStore>, Refusal> {
    let endpoint = check(&bucket.address()?, private_allowed).await?;
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&bucket.name)
        .with_region(&bucket.region)
        .with_endpoint(endpoint)
        .with_access_key_id(&bucket.access_key_id)
        .with_secret_access_key(&bucket.secret_access_key)
        .with_allow_http(private_allowed)
        .with_http_connector(Connector { private_allowed });
    if let Some(token) = &bucket.session_token {
        builder = builder.with_token(token);
    }
    Ok(Arc::new(builder.build().map_err(Refusal::Settings)?))
}

impl Bucket {
    /// Its endpoint, when every setting can be part of an address or a header without becoming another part of it.
    fn address(&self) -> Result<String, Refusal> {
        let is_lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is = |text: &str, shortest: usize, longest: usize, allowed: &dyn Fn(u8) -> bool| {
            (shortest..=longest).contains(&text.len()) && text.bytes().all(allowed)
        };
        let is_word = |text: &str, longest| is(text, 1, longest, &|byte: u8| byte.is_ascii_graphic());
        for (fits, why) in [
            (is(&self.name, 3, 255, &is_name), "the bucket's name must be 3 to 255 letters, digits, '.', '_' and '-'"),
            (is(&self.region, 1, 64, &is_lower), "the region must be 1 to 64 small letters, digits and '-'"),
            (is_word(&self.access_key_id, 256), "access_key_id must be 1 to 256 plain characters"),
            (is_word(&self.secret_access_key, 256), "secret_access_key must be 1 to 256 plain characters"),
            (
                self.session_token.as_ref().is_none_or(|token| is_word(token, TOKEN_BYTES_MAX)),
                "session_token must be plain characters, 8192 at the most",
            ),
        ] {
            if !fits {
                return Err(Refusal::Setting(why));
            }
        }
        Ok(self.endpoint.clone().unwrap_or_else(|| format!("https://s3.{}.amazonaws.com", self.region)))
    }
}

/// The endpoint as all agree to read it, once it leads where it may.
async fn check(endpoint: &str, private_allowed: bool) -> Result<String, Refusal> {
    let url = Url::parse(endpoint).map_err(|_| Refusal::Endpoint)?;
    let has_no_more = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let is_plain = url.username().is_empty() && url.password().is_none() && has_no_more;
    let scheme_fits = url.scheme() == "https" || (private_allowed && url.scheme() == "http");
    let host = host(&url).filter(|_| is_plain && scheme_fits).ok_or(Refusal::Endpoint)?;
    let addresses = look_up(host).await.map_err(|_| Refusal::Unknown)?;
    if private_allowed || addresses.iter().any(|address| is_public(address.ip())) {
        Ok(url.origin().ascii_serialization())
    } else {
        Err(Refusal::Private)
    }
}

/// A name or an address, without brackets.
fn host(url: &Url) -> Option<String> {
    url.host_str().map(|host| host.trim_start_matches('[').trim_end_matches(']').to_string())
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
        Ok(HttpClient::new(Guarded { client, private_allowed: self.private_allowed }))
    }
}

/// A client that goes to no address that is not public, and takes no answer that is too long.
#[derive(Debug)]
struct Guarded {
    client: Client,
    private_allowed: bool,
}

#[async_trait]
impl HttpService for Guarded {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        // Names are the resolver's business, which never sees numbers.
        let url = Url::parse(&request.uri().to_string()).ok();
        let address = url.as_ref().and_then(host).and_then(|host| host.parse().ok());
        if !self.private_allowed && (url.is_none() || address.is_some_and(|address| !is_public(address))) {
            return Err(Impatience::Private.into());
        }
        let has_body = request.method() != Method::HEAD;
        let (head, body) = self.client.call(request).await?.into_parts();
        let length = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        let length: Option<u64> = length.and_then(|length| length.parse().ok());
        if has_body && length.is_some_and(|length| length > ANSWER_BYTES_MAX) {
            return Err(Impatience::TooLong.into());
        }
        let bounded = Bounded { body, left: ANSWER_BYTES_MAX };
        Ok(HttpResponse::from_parts(head, HttpResponseBody::new(bounded)))
    }
}

/// An answer that ends in an error when it is too long. It does not say how long it will be, since readers set aside memory for that.
struct Bounded {
    body: HttpResponseBody,
    left: u64,
}

impl Body for Bounded {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame {
            let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
            match self.left.checked_sub(bytes) {
                Some(left) => self.left = left,
                None => return Poll::Ready(Some(Err(Impatience::TooLong.into()))),
            }
        }
        Poll::Ready(frame)
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
    use super::super::{Outlet, Trouble};
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
    fn bucket(endpoint: Option<String>) -> Bucket {
        Bucket {
            name: "agents".into(),
            region: "us-east-1".into(),
            endpoint,
            access_key_id: "id".into(),
            secret_access_key: "secret".into(),
            session_token: None,
        }
    }

    #[tokio::test]
    async fn no_setting_becomes_another_part_of_the_address_or_of_a_header() {
        type Change = fn(&mut Bucket);
        let changes: [(&str, Change); 8] = [
            ("region", |bucket| bucket.region = "x@10.0.0.5:6443/".into()),
            ("region", |bucket| bucket.region = "r".repeat(65)),
            ("region", |bucket| bucket.region = String::new()),
            ("bucket", |bucket| bucket.name = "../admin".into()),
            ("bucket", |bucket| bucket.name = "a?b".into()),
            ("access_key_id", |bucket| bucket.access_key_id = "a b".into()),
            ("session_token", |bucket| bucket.session_token = Some("one\r\nx-other: two".into())),
            ("session_token", |bucket| bucket.session_token = Some("t".repeat(TOKEN_BYTES_MAX + 1))),
        ];
        for (named, change) in changes {
            let mut changed = bucket(None);
            change(&mut changed);
            let refused = open(&changed, false).await.unwrap_err();
            assert!(matches!(refused, Refusal::Setting(why) if why.contains(named)), "{named}: {refused}");
        }
        assert_eq!(bucket(None).address().unwrap(), "https://s3.us-east-1.amazonaws.com");
    }

    #[tokio::test]
    async fn an_address_in_numbers_is_looked_at_at_each_request() {
        let client = Connector { private_allowed: false }.connect(&ClientOptions::new()).unwrap();
        for address in ["https://127.0.0.1:1/", "https://[::1]:1/", "https://2130706433:1/", "https://0x7f.1:1/"] {
            let mut request = HttpRequest::new(object_store::client::HttpRequestBody::empty());
            *request.uri_mut() = address.parse().unwrap();
            let refused = client.execute(request).await.unwrap_err().to_string();
            assert!(refused.contains("not public"), "{address}: {refused}");
        }
    }

    /// A server that answers every request with these bytes, the last of them again and again for as long as anybody reads.
    async fn server(answer: &'static str, endless: &'static str) -> String {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut asked = [0; 4 << 10];
                    let _ = stream.read(&mut asked).await;
                    let _ = stream.write_all(answer.as_bytes()).await;
                    let more = endless.repeat(64 << 10);
                    while !more.is_empty() && stream.write_all(more.as_bytes()).await.is_ok() {}
                });
            }
        });
        endpoint
    }

    #[tokio::test]
    async fn an_answer_that_says_or_is_too_long_is_refused_and_takes_no_memory() {
        const SAYS: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4611686018427387904\r\n\
            last-modified: Fri, 27 Nov 2026 00:00:00 GMT\r\netag: \"e\"\r\n\r\n";
        const IS: &str = "HTTP/1.1 200 OK\r\nlast-modified: Fri, 27 Nov 2026 00:00:00 GMT\r\netag: \"e\"\r\n\r\n";
        for (answer, endless) in [(SAYS, ""), (IS, "        ")] {
            let endpoint = server(answer, endless).await;
            let outlet = Outlet::bucket(&bucket(Some(endpoint)), "", true).await.unwrap();
            let listed = outlet.list("folder").await.unwrap_err();
            assert!(causes(&listed).contains("longer than"), "{}", causes(&listed));
            let got = outlet.get("manifest.json").await.unwrap_err();
            // What says nothing of its length is refused for that already.
            assert!(["longer than", "Content-Length"].iter().any(|why| causes(&got).contains(why)), "{}", causes(&got));
        }
    }

    #[tokio::test]
    async fn a_status_is_told_and_the_servers_words_are_not() {
        const WORDS: &str = "content-length: 6\r\n\r\nsecret";
        for (status, trouble) in [
            ("403 Forbidden", Trouble::Denied),
            ("404 Not Found", Trouble::Absent),
            ("400 Bad Request", Trouble::Status(400)),
        ] {
            let answer: &'static str = format!("HTTP/1.1 {status}\r\n{WORDS}").leak();
            let outlet = Outlet::bucket(&bucket(Some(server(answer, "").await)), "", true).await.unwrap();
            for error in [outlet.list("f").await.unwrap_err(), outlet.create("f", Bytes::new()).await.unwrap_err()] {
                assert_eq!(Trouble::of(&error), trouble, "{}", causes(&error));
                let cause = Trouble::cause(&error);
                assert!(cause.contains(&status[..3]) && !cause.contains("secret"), "{cause}");
            }
        }
    }

    fn causes(error: &(dyn std::error::Error + 'static)) -> String {
        std::iter::successors(Some(error), |error| (*error).source()).map(|error| format!("{error}; ")).collect()
    }
}
