//! One connection: hyper with every bound set.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Request, StatusCode};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use spanlake_proto::internal::{Certificates, VerifiedPeer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::Config;
use super::stream::Stream;
use crate::peer::Peer;

/// The header list of one request: names, values and hyper's own 32 bytes for each, as HTTP/2 counts them.
const HEADER_BYTES_MAX: u32 = 16 << 10;
/// What HTTP/1 buffers for one connection; more headers than that are a 431.
const BUFFER_BYTES_MAX: usize = 64 << 10;
/// Flow control for bodies of some megabytes; also what a stalled stream can make us hold.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// What all connections of a listener share.
pub(super) struct Server {
    builder: Builder<Tracked>,
    router: Router,
    certificates: Option<Certificates>,
    config: Config,
    drain: CancellationToken,
    cut: CancellationToken,
}

impl Server {
    pub(super) fn new(
        router: Router,
        certificates: Option<Certificates>,
        config: Config,
        drain: CancellationToken,
        cut: CancellationToken,
        tasks: TaskTracker,
    ) -> Self {
        let mut builder = Builder::new(Tracked { tasks, cut: cut.clone() });
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(config.header_timeout)
            .max_buf_size(BUFFER_BYTES_MAX)
            .max_headers(100);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(config.keepalive)
            .keep_alive_timeout(config.keepalive)
            .max_concurrent_streams(config.streams_max)
            .max_header_list_size(HEADER_BYTES_MAX)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_pending_accept_reset_streams(20);
        Self { builder, router, certificates, config, drain, cut }
    }

    /// Serves one connection to its end, its drain, or its cut.
    pub(super) async fn serve(self: Arc<Self>, tcp: TcpStream, peer: Peer) {
        // Without it small answers wait for the peer's delayed acknowledgement.
        if let Err(error) = tcp.set_nodelay(true) {
            tracing::debug!(error.message = %error, "cannot set TCP_NODELAY");
        }
        let Some(certificates) = &self.certificates else {
            return self.speak(tcp, peer, None).await;
        };
        let handshake = TlsAcceptor::from(certificates.server()).accept(tcp);
        let handshake = tokio::time::timeout(self.config.header_timeout, handshake);
        match self.drain.run_until_cancelled(handshake).await {
            Some(Ok(Ok(tls))) => self.speak(tls, peer, Some(VerifiedPeer)).await,
            Some(Ok(Err(error))) => {
                tracing::warn!(error.message = %error, peer.address = %peer.0, "a TLS handshake failed");
            }
            Some(Err(_)) => tracing::debug!(peer.address = %peer.0, "a TLS handshake took too long"),
            None => {}
        }
    }

    async fn speak<S>(&self, stream: S, peer: Peer, verified: Option<VerifiedPeer>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = TokioIo::new(Stream::new(stream, self.config.header_timeout, self.config.write_timeout));
        let router = self.router.clone();
        let service = hyper::service::service_fn(move |request| answer(router.clone(), peer, verified, request));
        let mut connection = pin!(self.builder.serve_connection(io, service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.drain.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = connection.as_mut() => ended,
                    () = self.cut.cancelled() => return,
                }
            }
        };
        if let Err(error) = ended {
            // The peer's doing nearly always: it left, stalled, or does not speak HTTP.
            tracing::debug!(error.message = %error, "a connection ended early");
        }
    }
}

async fn answer(
    router: Router,
    peer: Peer,
    verified: Option<VerifiedPeer>,
    mut request: Request<Incoming>,
) -> Result<Response, Infallible> {
    if header_bytes(request.headers()) > HEADER_BYTES_MAX as usize {
        return Ok(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE.into_response());
    }
    request.extensions_mut().insert(peer);
    if let Some(verified) = verified {
        request.extensions_mut().insert(verified);
    }
    router.oneshot(request.map(axum::body::Body::new)).await
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
}

/// Runs HTTP/2 streams where the drain waits for them and the cut ends them.
#[derive(Clone)]
struct Tracked {
    tasks: TaskTracker,
    cut: CancellationToken,
}

impl<F> Executor<F> for Tracked
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        let cut = self.cut.clone();
        self.tasks.spawn(async move {
            cut.run_until_cancelled(future).await;
        });
    }
}
