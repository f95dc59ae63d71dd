//! Ports opened and routers put on them.

use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use spanlake_proto::internal::Certificates;
use spanlake_transport::health::{self, Readiness};
use spanlake_transport::listener::{self, Listener};
use spanlake_transport::metrics::{self, Metrics};
use spanlake_transport::shutdown::Shutdown;
use spanlake_transport::{Api, layers};
use tokio::net::TcpListener;
use tonic::service::Routes;
use utoipa::openapi::{InfoBuilder, OpenApi};

use crate::config::Config;
use crate::{Outside, parts};

/// What every listener of a process shares.
pub(crate) struct Server<'a> {
    pub(crate) config: &'a Config,
    pub(crate) outside: &'a Outside,
    pub(crate) shutdown: &'a Shutdown,
    pub(crate) readiness: Readiness,
    /// What requests are counted in.
    pub(crate) metrics: Metrics,
    /// What the gRPC ports of roles show, and ask to see.
    pub(crate) certificates: Option<Certificates>,
}

impl Server<'_> {
    /// Serves an API with its OpenAPI document and the health routes.
    pub(crate) async fn api(&self, name: &'static str, address: SocketAddr, api: Api) -> anyhow::Result<SocketAddr> {
        let (router, document) = api.split();
        let document = described(document);
        let shown = document.clone();
        let shown = get(move || async move { axum::Json(shown) });
        self.public(name, address, router.route("/v1/openapi.json", shown), &document).await
    }

    /// Serves an API without its document.
    pub(crate) async fn undocumented(
        &self,
        name: &'static str,
        address: SocketAddr,
        api: Api,
    ) -> anyhow::Result<SocketAddr> {
        let (router, document) = api.split();
        self.public(name, address, router, &document).await
    }

    /// Serves a router, which this document describes, and the health routes.
    async fn public(
        &self,
        name: &'static str,
        address: SocketAddr,
        router: Router,
        document: &OpenApi,
    ) -> anyhow::Result<SocketAddr> {
        let router = self.layered(router.merge(health::router(self.readiness.clone())));
        let router = spanlake_ingest::http::in_words_of_otlp(router);
        self.serve(name, address, metrics::watch(router, &self.metrics, document)).await
    }

    fn layered(&self, router: Router) -> Router {
        let (clock, entropy) = (self.outside.clock.clone(), self.outside.entropy.clone());
        layers::public(router, self.config.request, clock, entropy)
    }

    /// Serves OTLP over gRPC.
    pub(crate) async fn otlp_grpc(&self, address: SocketAddr, router: Router) -> anyhow::Result<SocketAddr> {
        self.serve("--otlp-grpc", address, metrics::watch_calls(router, &self.metrics)).await
    }

    /// Serves what operators read, where that is wanted.
    pub(crate) async fn admin(&self) -> anyhow::Result<Option<SocketAddr>> {
        let Some((address, token)) = parts::admin(self.config)? else { return Ok(None) };
        let router = self.layered(metrics::router(self.metrics.clone(), token));
        Ok(Some(self.serve("--admin", address, router).await?))
    }

    /// Serves gRPC services.
    pub(crate) async fn grpc(
        &self,
        name: &'static str,
        address: SocketAddr,
        services: Routes,
    ) -> anyhow::Result<SocketAddr> {
        let tcp = Listener { name, address }.bind().await?;
        let bound = tcp.local_addr()?;
        self.grpc_on(name, tcp, services);
        Ok(bound)
    }

    /// Serves gRPC services on a port that is open already, with mutual TLS if there are certificates.
    pub(crate) fn grpc_on(&self, name: &'static str, tcp: TcpListener, services: Routes) {
        self.on(name, tcp, services.into_axum_router(), self.certificates.clone());
    }

    /// Serves a router as it is.
    async fn serve(&self, name: &'static str, address: SocketAddr, router: Router) -> anyhow::Result<SocketAddr> {
        let tcp = Listener { name, address }.bind().await?;
        let bound = tcp.local_addr()?;
        self.on(name, tcp, router, None);
        Ok(bound)
    }

    fn on(&self, name: &'static str, tcp: TcpListener, router: Router, certificates: Option<Certificates>) {
        let (config, token) = (self.config.listener, self.shutdown.token());
        self.shutdown.tasks().spawn(name, async move {
            if let Err(error) = listener::serve(tcp, router, certificates, config, token).await {
                tracing::error!(error = %error, listener.name = name, "a listener has failed");
            }
        });
    }
}

/// The document with what no handler knows.
pub(crate) fn described(mut document: OpenApi) -> OpenApi {
    document.info = InfoBuilder::new()
        .title("Spanlake")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Traces of LLM agents: in over OpenTelemetry, out as traces, spans and exports."))
        .build();
    document
}
