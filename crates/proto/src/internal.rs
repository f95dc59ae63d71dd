//! How our services know each other: one secret that all of them are given, and a bounded way to each other's address.
//!
//! A server refuses whoever does not show the token, with a bare `UNAUTHENTICATED`: it carries none of our codes, so
//! [`crate::status::from_status`] reads it as "cannot be reached" and never as "your key is wrong".

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

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

/// Shows the token with every call.
#[derive(Clone, Debug)]
pub(crate) struct ShowToken(MetadataValue<Ascii>);

impl ShowToken {
    fn new(token: &InternalToken) -> Self {
        let mut value = MetadataValue::try_from(format!("Bearer {}", token.0)).expect("a token is printable ASCII");
        value.set_sensitive(true);
        Self(value)
    }
}

impl Interceptor for ShowToken {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// A channel on which every call shows the token.
pub(crate) type TrustedChannel = InterceptedService<Channel, ShowToken>;

pub(crate) fn trusted(channel: Channel, token: &InternalToken) -> TrustedChannel {
    InterceptedService::new(channel, ShowToken::new(token))
}

/// Refuses calls that do not show the token.
#[derive(Clone, Debug)]
pub(crate) struct CheckToken(InternalToken);

impl Interceptor for CheckToken {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let presented = request.metadata().get("authorization").map(MetadataValue::as_bytes);
        match presented.and_then(|value| value.strip_prefix(b"Bearer ")) {
            Some(token) if self.0.matches(token) => Ok(request),
            _ => Err(Status::unauthenticated("this call needs the internal token")),
        }
    }
}

pub(crate) fn guarded<S>(service: S, token: InternalToken) -> InterceptedService<S, CheckToken> {
    InterceptedService::new(service, CheckToken(token))
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
#[error("'{0}' is not an address of a service; write HOST:PORT")]
pub struct AddressError(String);

impl From<AddressError> for Fault {
    fn from(error: AddressError) -> Self {
        tracing::error!(%error, "a service has a wrong address");
        Self::unavailable("A part of the service cannot be reached right now; try again.")
    }
}

/// A channel to `address`, `HOST:PORT` or `http://HOST:PORT`. Connects at the first call and again after each loss;
/// gives up on connecting after two seconds, on the beginning of an answer after thirty, and on a peer that answers no
/// ping after fifteen, also in the middle of a stream. Must be called inside a tokio runtime.
///
/// # Errors
/// When `address` cannot be one. That nobody listens there shows at the first call.
pub fn connect(address: &str) -> Result<Channel, AddressError> {
    connect_within(address, ANSWER_TIMEOUT)
}

/// As [`connect`], for calls whose answer may take longer, or must not take as long, to begin.
///
/// # Errors
/// As [`connect`].
pub fn connect_within(address: &str, answer_timeout: Duration) -> Result<Channel, AddressError> {
    let refused = || AddressError(address.to_owned());
    let bare = address.strip_prefix("http://").unwrap_or(address).trim_end_matches('/');
    let authority: http::uri::Authority = bare.parse().map_err(|_| refused())?;
    if authority.port_u16().is_none() || bare.contains('@') {
        return Err(refused());
    }
    let endpoint = Endpoint::from_shared(format!("http://{authority}")).map_err(|_| refused())?;
    Ok(endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(answer_timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .connect_lazy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_never_prints() {
        let token = InternalToken::new("0123456789abcdef").unwrap();
        assert_eq!(format!("{token:?}"), "***");
        assert!(!format!("{:?}", ShowToken::new(&token)).contains("0123456789"));
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
        for right in ["127.0.0.1:4000", "[::1]:4000", "http://query.local:80", "query:80/"] {
            assert!(connect(right).is_ok(), "{right}");
        }
        for wrong in ["", "query", "https://query:80", "http://query:80/path", "user@query:80", "a b:80", "query:99999"]
        {
            assert!(connect(wrong).is_err(), "{wrong}");
        }
    }
}
