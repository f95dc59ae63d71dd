//! How our services know each other, and a bounded way to each other's address.
//!
//! ```text
//!   Trust::Certificates   mutual TLS: both ends show a certificate of the one authority     any network
//!   Trust::Token          a secret that all are given, in plain text                        this machine only
//! ```
//!
//! A server refuses whoever it does not know, with a bare `UNAUTHENTICATED` where the connection was made at all: it carries none
//! of our codes, so [`crate::status::from_status`] reads it as "cannot be reached" and never as "your key is wrong".

mod certificates;
mod dial;

use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub use certificates::{CertificateError, Certificates, Files};
use spanlake_model::Fault;
use subtle::ConstantTimeEq;
use tonic::body::Body;
use tonic::codegen::{InterceptedService, Service};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::server::NamedService;
use tonic::service::Interceptor;
use tonic::service::interceptor::ResponseBody;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// What a server may send before we have read it: enough for one large batch in flight, and the bound on what we buffer.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// The largest gRPC message between services. Rows travel in pieces of about a megabyte, so only a single row of this
/// size comes near, and a request of 64 MiB is the largest that brings one in.
pub(crate) const MESSAGE_BYTES_MAX: usize = 256 << 20;

/// The secret between our services. Prints as `***`.
#[derive(Clone)]
pub struct InternalToken(Arc<str>);

/// A text that cannot be the internal token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the internal token must be 16 to 512 characters of printable ASCII without spaces")]
pub struct TokenError;

impl InternalToken {
    /// Takes the secret.
    ///
    /// # Errors
    /// When it is too short to be one, or does not fit into a header.
    pub fn new(secret: impl Into<Arc<str>>) -> Result<Self, TokenError> {
        let secret = secret.into();
        let fits = (16..=512).contains(&secret.len()) && secret.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self(secret)) } else { Err(TokenError) }
    }

    /// Whether `presented` is this token. Takes equally long for every text of the right length, so that nobody can
    /// guess it piece by piece; a wrong length is refused at once, and the length is no secret.
    pub fn matches(&self, presented: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(presented).into()
    }
}

impl fmt::Debug for InternalToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// By what our services know each other.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Mutual TLS.
    Certificates(Certificates),
    /// A shared secret without TLS; never beyond this machine.
    Token(InternalToken),
}

/// A request extension: it came over TLS, from a caller whose certificate was verified. Listeners that do so set it.
#[derive(Clone, Copy, Debug)]
pub struct VerifiedPeer;

/// Shows the token, where there is one, with every call.
#[derive(Clone, Debug)]
pub(crate) struct ShowToken(Option<MetadataValue<Ascii>>);

impl ShowToken {
    fn new(trust: &Trust) -> Self {
        let Trust::Token(token) = trust else { return Self(None) };
        let mut value = MetadataValue::try_from(format!("Bearer {}", token.0)).expect("a token is printable ASCII");
        value.set_sensitive(true);
        Self(Some(value))
    }
}

impl Interceptor for ShowToken {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

/// A channel on which every call shows who we are.
pub(crate) type TrustedChannel = InterceptedService<Channel, ShowToken>;

pub(crate) fn trusted(channel: Channel, trust: &Trust) -> TrustedChannel {
    InterceptedService::new(channel, ShowToken::new(trust))
}

/// Refuses calls of strangers.
#[derive(Clone, Debug)]
pub(crate) struct CheckPeer(Trust);

impl Interceptor for CheckPeer {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        match &self.0 {
            // Not by the listener alone: one that was opened without TLS by mistake lets nobody in.
            Trust::Certificates(_) if request.extensions().get::<VerifiedPeer>().is_some() => Ok(request),
            Trust::Certificates(_) => Err(Status::unauthenticated("this call needs a certificate of ours")),
            Trust::Token(token) if shown(&request).is_some_and(|shown| token.matches(shown)) => Ok(request),
            Trust::Token(_) => Err(Status::unauthenticated("this call needs the internal token")),
        }
    }
}

fn shown(request: &Request<()>) -> Option<&[u8]> {
    request.metadata().get("authorization")?.as_bytes().strip_prefix(b"Bearer ")
}

pub(crate) fn guarded<S>(service: S, trust: Trust) -> InterceptedService<S, CheckPeer> {
    InterceptedService::new(service, CheckPeer(trust))
}

/// What `tonic::service::RoutesBuilder::add_service` takes; each adapter here makes one.
pub trait GrpcService:
    Service<
        http::Request<Body>,
        Response = http::Response<ResponseBody<Body>>,
        Error = Infallible,
        Future: Send + 'static,
    > + NamedService
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> GrpcService for S where
    S: Service<
            http::Request<Body>,
            Response = http::Response<ResponseBody<Body>>,
            Error = Infallible,
            Future: Send + 'static,
        > + NamedService
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// An address nobody can be called at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No address at all, or one that says another scheme than we speak.
    #[error("'{0}' is not an address of a service; write HOST:PORT, or {1}://HOST:PORT")]
    Malformed(String, &'static str),
    /// It would send the token over a network, where anybody may read it.
    #[error("'{0}' is not this machine, and the internal token is for this machine only; set internal_tls")]
    NeedsTls(String),
}

impl From<AddressError> for Fault {
    fn from(error: AddressError) -> Self {
        tracing::error!(%error, "a service has a wrong address");
        Self::unavailable("A part of the service cannot be reached right now; try again.")
    }
}

/// A channel to `address`: `HOST:PORT`, or with `https://` before it where there are certificates and `http://` where there are none. Connects
/// at the first call and again after each loss; gives up on connecting after two seconds, on the beginning of an answer after
/// thirty, and on a peer that answers no ping after fifteen, also in the middle of a stream. Must be called inside a tokio runtime.
///
/// # Errors
/// When `address` cannot be one, or is beyond this machine and there are no certificates. That nobody listens there shows at
/// the first call.
pub fn connect(address: &str, trust: &Trust) -> Result<Channel, AddressError> {
    connect_within(address, trust, ANSWER_TIMEOUT)
}

/// As [`connect`], for calls whose answer may take longer, or must not take as long, to begin.
///
/// # Errors
/// As [`connect`].
pub fn connect_within(address: &str, trust: &Trust, answer_timeout: Duration) -> Result<Channel, AddressError> {
    let endpoint = endpoint(address, trust)?
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(answer_timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    Ok(match trust {
        Trust::Token(_) => endpoint.connect_lazy(),
        Trust::Certificates(certificates) => {
            let certificates = certificates.clone();
            endpoint.connect_with_connector_lazy(tower::service_fn(move |uri| dial::dial(uri, certificates.clone())))
        }
    })
}

fn endpoint(address: &str, trust: &Trust) -> Result<Endpoint, AddressError> {
    let scheme = match trust {
        Trust::Certificates(_) => "https",
        Trust::Token(_) => "http",
    };
    let refused = || AddressError::Malformed(address.to_owned(), scheme);
    let bare = address.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://")).unwrap_or(address);
    let bare = bare.trim_end_matches('/');
    let authority: http::uri::Authority = bare.parse().map_err(|_| refused())?;
    if authority.port_u16().is_none() || bare.contains('@') {
        return Err(refused());
    }
    if matches!(trust, Trust::Token(_)) && !is_this_machine(authority.host()) {
        return Err(AddressError::NeedsTls(address.to_owned()));
    }
    // TLS, where there is any, is spoken by our own connector, below what tonic knows of; its scheme stays the plain one.
    Endpoint::from_shared(format!("http://{authority}")).map_err(|_| refused())
}

/// An IPv6 address stands in brackets in a URI, and nowhere else.
fn unbracketed(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

fn is_this_machine(host: &str) -> bool {
    let address = unbracketed(host).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_never_prints() {
        let token = InternalToken::new("0123456789abcdef").unwrap();
        assert_eq!(format!("{token:?}"), "***");
        assert!(!format!("{:?}", ShowToken::new(&Trust::Token(token))).contains("0123456789"));
    }

    #[test]
    fn only_the_very_token_matches() {
        let token = InternalToken::new("0123456789abcdef").unwrap();
        assert!(token.matches(b"0123456789abcdef"));
        for wrong in ["", "0123456789abcde", "0123456789abcdeF", "0123456789abcdef0"] {
            assert!(!token.matches(wrong.as_bytes()), "{wrong}");
        }
    }

    #[test]
    fn a_token_that_is_short_or_no_header_is_refused() {
        for wrong in ["", "short", "fifteen letters", "with a space in it", "zeilenende\n012345", "größer-als-ascii-0"]
        {
            assert_eq!(InternalToken::new(wrong).map(|_| ()), Err(TokenError), "{wrong}");
        }
    }

    #[tokio::test]
    async fn an_address_is_a_host_and_a_port() {
        let trust = Trust::Token(InternalToken::new("0123456789abcdef").unwrap());
        for right in ["127.0.0.1:4000", "[::1]:4000", "http://localhost:80", "127.0.0.2:80/"] {
            assert!(connect(right, &trust).is_ok(), "{right}");
        }
        let wrong =
            ["", "query", "https://127.0.0.1:80", "http://[::1]:80/path", "user@127.0.0.1:80", "a b:80", "[::1]:99999"];
        for wrong in wrong {
            let refused = connect(wrong, &trust).unwrap_err();
            assert_eq!(refused, AddressError::Malformed(wrong.to_owned(), "http"));
        }
    }

    #[tokio::test]
    async fn the_token_never_leaves_the_machine() {
        let trust = Trust::Token(InternalToken::new("0123456789abcdef").unwrap());
        for far in ["query:80", "http://10.0.0.7:9090", "[2001:db8::1]:80", "localhost.example.com:80"] {
            assert_eq!(connect(far, &trust).unwrap_err(), AddressError::NeedsTls(far.to_owned()));
        }
    }
}
