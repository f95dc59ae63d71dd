//! A server on a free port, a clock that stands still, and randomness that repeats.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use spanlake_model::{Clock, Entropy, Timestamp};
use spanlake_proto::internal::Certificates;
use spanlake_transport::layers;
use spanlake_transport::listener::{self, Listener};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Nothing here takes longer unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    pub(crate) async fn start(router: Router) -> Self {
        Self::start_with(router, listener::Config::default()).await
    }

    pub(crate) async fn start_with(router: Router, config: listener::Config) -> Self {
        Self::start_as(router, None, config).await
    }

    pub(crate) async fn start_as(router: Router, certificates: Option<Certificates>, config: listener::Config) -> Self {
        let tcp = Listener { name: "--http", address: ([127, 0, 0, 1], 0).into() }.bind().await.unwrap();
        let address = tcp.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(listener::serve(tcp, router, certificates, config, shutdown.clone()));
        Self { address, shutdown, task }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sends raw bytes on a new connection and returns all that comes back until the server closes it.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        let mut tcp = TcpStream::connect(self.address).await.unwrap();
        tcp.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        // A reset counts as closed; what came before it is kept.
        let _ = tokio::time::timeout(PATIENCE, tcp.read_to_end(&mut answer)).await.expect("the server closes");
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("drained").unwrap().unwrap();
    }
}

/// The routes as a public listener has them, with ids that repeat.
pub(crate) fn public(router: Router) -> Router {
    crate::log::start();
    layers::public(router, layers::Config::default(), Arc::new(Still), Arc::new(Repeating))
}

pub(crate) struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_750_000_000)
    }
}

pub(crate) struct Repeating;

impl Entropy for Repeating {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

/// What [`public`] makes of [`Still`] and [`Repeating`].
pub(crate) const MADE_ID: &str = "01977420-dc00-7707-8707-070707070707";

pub(crate) async fn json(response: reqwest::Response) -> serde_json::Value {
    assert_eq!(response.headers()["content-type"], "application/json");
    response.json().await.unwrap()
}
