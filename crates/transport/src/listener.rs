//! Sockets: bind with a clear error, serve HTTP/1 and h2c, or HTTP/2 over mutual TLS, drain on shutdown.
//!
//! ```text
//!   accept ──► a free slot ──► (TLS handshake 10 s) ──► Stream (first bytes 10 s, stalled writes 30 s) ──► hyper: HTTP/1 or h2c ──► router
//!   shutdown ──► stop accepting ──► GOAWAY / last keep-alive ──► drained, or cut at the deadline
//! ```
//!
//! At the bound on connections, new ones wait in the kernel's queue until one ends: nothing is answered and nothing is
//! dropped by us. `axum::serve` is not used, since it installs no timer and so has no header timeout.

mod connection;
mod stream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use serde::{Deserialize, Serialize};
use spanlake_proto::internal::Certificates;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::peer::Peer;

/// Bounds of one listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Connections served at a time; more wait in the kernel's queue.
    pub connections_max: usize,
    /// How long the headers of a request may take to arrive, and how long an HTTP/1 connection may idle between requests.
    #[serde(with = "crate::config::duration")]
    pub header_timeout: Duration,
    /// How long a client may refuse to read what we send before the connection is cut.
    #[serde(with = "crate::config::duration")]
    pub write_timeout: Duration,
    /// How often an HTTP/2 client is pinged, and how long it may take to answer.
    #[serde(with = "crate::config::duration")]
    pub keepalive: Duration,
    /// Requests at a time on one HTTP/2 connection.
    pub streams_max: u32,
    /// How long running requests may go on after shutdown; then they are cut.
    #[serde(with = "crate::config::duration")]
    pub drain_deadline: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connections_max: 4096,
            header_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            keepalive: Duration::from_secs(20),
            streams_max: 200,
            drain_deadline: Duration::from_secs(25),
        }
    }
}

/// An address to listen on, and the option that sets it, which its error names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    /// The option, as typed: `--http`.
    pub name: &'static str,
    /// Where; port 0 picks a free one.
    pub address: SocketAddr,
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({name}): {}", reason(source, name))]
pub struct BindError {
    name: &'static str,
    address: SocketAddr,
    source: std::io::Error,
}

fn reason(source: &std::io::Error, name: &str) -> String {
    match source.kind() {
        std::io::ErrorKind::AddrInUse => format!("address in use; choose another with {name}"),
        std::io::ErrorKind::AddrNotAvailable => format!("this machine has no such address; choose another with {name}"),
        std::io::ErrorKind::PermissionDenied => {
            format!("not permitted, as ports below 1024 usually are; choose another with {name}")
        }
        _ => source.to_string(),
    }
}

impl Listener {
    /// Binds it.
    ///
    /// # Errors
    /// When the address is taken, not ours, or not permitted; the message says which option to change.
    pub async fn bind(self) -> Result<TcpListener, BindError> {
        let Self { name, address } = self;
        TcpListener::bind(address).await.map_err(|source| BindError { name, address, source })
    }
}

/// How long to wait after accepting failed, for lack of file descriptors as a rule.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` on `tcp` until `shutdown`, then drains. Returns once every connection has ended or has been cut. With
/// `certificates` a connection is served only when its TLS shows one that their authority signed, and its requests carry
/// [`spanlake_proto::internal::VerifiedPeer`].
///
/// # Errors
/// When the socket cannot be used at all.
pub async fn serve(
    tcp: TcpListener,
    router: Router,
    certificates: Option<Certificates>,
    config: Config,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let address = tcp.local_addr()?;
    let cut = CancellationToken::new();
    let tasks = TaskTracker::new();
    let (drain, ended) = (shutdown.clone(), tasks.clone());
    let server = connection::Server::new(router, certificates, config, drain, cut.clone(), ended);
    let server = Arc::new(server);
    let slots = Arc::new(Semaphore::new(config.connections_max.clamp(1, Semaphore::MAX_PERMITS)));
    while let Some((slot, stream, peer)) = next(&tcp, &slots, &shutdown).await {
        let served = server.clone().serve(stream, Peer(peer.ip()));
        tasks.spawn(async move {
            served.await;
            drop(slot);
        });
    }
    drop(tcp); // From here on new connections are refused.
    tasks.close();
    if tokio::time::timeout(config.drain_deadline, tasks.wait()).await.is_err() {
        tracing::warn!(listener.address = %address, "cut connections that were still busy at the drain deadline");
        cut.cancel();
        tasks.wait().await;
    }
    Ok(())
}

/// The next connection with a slot for it; `None` on shutdown.
async fn next(
    tcp: &TcpListener,
    slots: &Arc<Semaphore>,
    shutdown: &CancellationToken,
) -> Option<(tokio::sync::OwnedSemaphorePermit, TcpStream, SocketAddr)> {
    let slot = shutdown.run_until_cancelled(Arc::clone(slots).acquire_owned()).await?.ok()?;
    loop {
        match shutdown.run_until_cancelled(tcp.accept()).await? {
            Ok((stream, peer)) => return Some((slot, stream, peer)),
            Err(error) if is_of_the_peer(&error) => {}
            Err(error) => {
                tracing::error!(error.message = %error, "cannot accept a connection; pausing");
                shutdown.run_until_cancelled(tokio::time::sleep(ACCEPT_PAUSE)).await?;
            }
        }
    }
}

/// The peer gave up before we accepted; the listener is well.
fn is_of_the_peer(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
