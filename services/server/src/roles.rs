//! One service a process: the parts list of each.

use std::sync::Arc;

use spanlake_access::Gate;
use spanlake_catalog::{Accounts, Files};
use spanlake_engine::Engine;
use spanlake_proto::auth::Auth;
use spanlake_proto::ingest::FreshSource;
use spanlake_proto::internal::{Trust, connect};
use spanlake_proto::query::{RowSource, SpanSource};
use spanlake_proto::{auth, compactor, export, ingest, query};
use spanlake_transport::Api;
use spanlake_transport::health::Readiness;
use spanlake_transport::metrics::Metrics;
use spanlake_transport::shutdown::Shutdown;
use tonic::service::Routes;

use crate::config::Config;
use crate::serve::Server;
use crate::{Addresses, Outside, Running, metrics, parts};

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Standalone,
    /// Tenants, people, keys, tokens.
    Auth,
    /// Telemetry in.
    Ingest,
    /// Reading.
    Query,
    /// Data out.
    Export,
    /// Merging and sweeping.
    Compactor,
}

/// What every role begins with.
struct Process {
    config: Config,
    outside: Outside,
    shutdown: Shutdown,
    trust: Trust,
    metrics: Metrics,
}

pub(crate) async fn start(role: Role, config: Config, outside: Outside, shutdown: Shutdown) -> anyhow::Result<Running> {
    let trust = parts::trust(&config)?;
    parts::admin(&config)?;
    parts::reload_certificates(&trust, &shutdown);
    let process = Process { config, outside, shutdown, trust, metrics: metrics::of_process() };
    match role {
        Role::Standalone => crate::standalone::start(process.config, process.outside, process.shutdown).await,
        Role::Auth => process.auth().await,
        Role::Ingest => process.ingest().await,
        Role::Query => process.query().await,
        Role::Export => process.export().await,
        Role::Compactor => process.compactor().await,
    }
}

impl Process {
    async fn auth(self) -> anyhow::Result<Running> {
        let Outside { clock, entropy } = self.outside.clone();
        let catalog = parts::catalog(&self.config).await?;
        let secret = parts::shared_secret(&self.config)?;
        let limiter = parts::limiter(&self.config, clock.clone()).await?;
        let accounts: Arc<dyn Accounts> = Arc::new(catalog.clone());
        let settings = self.config.auth.clone();
        let service = Arc::new(spanlake_auth::Service::new(accounts, secret, clock.clone(), entropy, settings)?);
        let gate = Gate::new(service.clone() as Arc<dyn Auth>, limiter, clock, self.config.access.clone());
        self.follow(&gate);
        metrics::of_gate(&self.metrics, &gate);
        let grpc = Routes::new(auth::service(service.clone(), self.trust.clone()));
        let addresses = self.serve(spanlake_auth::routes(service, gate), grpc).await?;
        Ok(self.running(addresses, None, Some(catalog)))
    }

    async fn ingest(self) -> anyhow::Result<Running> {
        let Outside { clock, entropy } = self.outside.clone();
        let disk = parts::data_dir(&self.config)?;
        let catalog = parts::catalog(&self.config).await?;
        let store = parts::store(&self.config, disk.clone())?;
        let gate = self.gate().await?;
        // Bound before it is built: query is told the address when the writer registers.
        let grpc = spanlake_transport::listener::Listener { name: "--grpc", address: self.config.grpc }.bind().await?;
        let bound = grpc.local_addr()?;
        let address = match self.config.advertise.as_str() {
            "" => bound.to_string(),
            advertised => advertised.to_string(),
        };
        let service = spanlake_ingest::Service::start(spanlake_ingest::Parts {
            gate,
            files: Arc::new(catalog.clone()) as Arc<dyn Files>,
            store,
            disk,
            log_folder: self.config.data_dir.join("log"),
            address,
            clock,
            entropy,
            config: self.config.ingest.clone(),
        })
        .await?;
        metrics::of_ingest(&self.metrics, &service);
        let (flusher, token) = (service.clone(), self.shutdown.token());
        self.shutdown.tasks().spawn("flusher", async move { flusher.run_flusher(token).await });
        let server = self.server();
        let fresh = ingest::flight_service(service.clone() as Arc<dyn FreshSource>, self.trust.clone());
        server.grpc_on("--grpc", grpc, Routes::new(fresh));
        let addresses = Addresses {
            http: Some(server.api("--http", self.config.http, spanlake_ingest::http::routes(service.clone())).await?),
            otlp_http: Some(
                server
                    .undocumented("--otlp-http", self.config.otlp_http, spanlake_ingest::http::routes(service.clone()))
                    .await?,
            ),
            otlp_grpc: Some(
                server.otlp_grpc(self.config.otlp_grpc, spanlake_ingest::grpc::routes(service.clone())).await?,
            ),
            grpc: Some(bound),
            admin: server.admin().await?,
        };
        Ok(self.running(addresses, Some(service), Some(catalog)))
    }

    async fn query(self) -> anyhow::Result<Running> {
        let Outside { clock, entropy } = self.outside.clone();
        let disk = parts::data_dir(&self.config)?;
        let catalog = parts::catalog(&self.config).await?;
        let store = parts::store(&self.config, disk)?;
        let gate = self.gate().await?;
        let fresh: Arc<dyn FreshSource> = Arc::new(ingest::FlightClient::new(self.trust.clone()));
        let files: Arc<dyn Files> = Arc::new(catalog.clone());
        let engine = Engine::new(files, fresh, Arc::new(store), clock.clone(), self.config.engine.clone())?;
        let erasures = Arc::new(catalog.clone());
        let config = self.config.query.clone();
        let recorder = parts::recorder(&self.config, &catalog, clock.clone());
        let engine = Arc::new(engine);
        metrics::of_engine(&self.metrics, &engine);
        let service = Arc::new(spanlake_query::Service::new(engine, erasures, recorder, clock, entropy, config));
        let (spans, rows): (Arc<dyn SpanSource>, Arc<dyn RowSource>) = (service.clone(), service.clone());
        let grpc = Routes::new(query::flight_service(spans, rows, self.trust.clone()));
        let addresses = self.serve(spanlake_query::routes(service, gate), grpc).await?;
        Ok(self.running(addresses, None, Some(catalog)))
    }

    async fn export(self) -> anyhow::Result<Running> {
        let channel = connect(parts::url("query-url", &self.config.query_url)?, &self.trust)?;
        let source = Arc::new(query::FlightClient::new(channel, self.trust.clone()));
        let (spans, rows): (Arc<dyn SpanSource>, Arc<dyn RowSource>) = (source.clone(), source);
        let catalog = parts::catalog(&self.config).await?;
        let gate = self.gate().await?;
        let clock = self.outside.clock.clone();
        let recorder = parts::recorder(&self.config, &catalog, clock.clone());
        let service = Arc::new(spanlake_export::Service::new(spans, clock, self.config.export.clone()));
        let exports = parts::exports(&self.config, &self.outside, &catalog, rows, None)?;
        let (working, token) = (exports.clone(), self.shutdown.token());
        self.shutdown.tasks().spawn("exporter", async move { working.run(token).await });
        let grpc = Routes::new(export::service(service.clone(), self.trust.clone()));
        let api = spanlake_export::routes(service, gate.clone(), recorder)
            .merge(spanlake_export::jobs::routes(exports, gate));
        let addresses = self.serve(api, grpc).await?;
        Ok(self.running(addresses, None, Some(catalog)))
    }

    async fn compactor(self) -> anyhow::Result<Running> {
        let Outside { clock, entropy } = self.outside.clone();
        let disk = parts::data_dir(&self.config)?;
        let catalog = parts::catalog(&self.config).await?;
        let store = parts::store(&self.config, disk)?;
        let data = Arc::new(catalog.clone());
        let (files, erasures, jobs, sweeps) = (data.clone(), data.clone(), data.clone(), data);
        let config = self.config.compactor.clone();
        let parts = spanlake_compactor::Parts { files, erasures, jobs, sweeps, store, clock, entropy, config };
        let service = Arc::new(spanlake_compactor::Service::new(parts));
        metrics::of_compactor(&self.metrics, &service);
        let (looking, token) = (service.clone(), self.shutdown.token());
        self.shutdown.tasks().spawn("compactor", async move { looking.run(token).await });
        let addresses =
            self.serve(Api::default(), Routes::new(compactor::service(service, self.trust.clone()))).await?;
        Ok(self.running(addresses, None, Some(catalog)))
    }

    /// The gate of a role that asks auth over gRPC.
    async fn gate(&self) -> anyhow::Result<Gate> {
        let channel = connect(parts::url("auth-url", &self.config.auth_url)?, &self.trust)?;
        let auth: Arc<dyn Auth> = Arc::new(auth::Client::new(channel, &self.trust));
        let limiter = parts::limiter(&self.config, self.outside.clock.clone()).await?;
        let gate = Gate::new(auth, limiter, self.outside.clock.clone(), self.config.access.clone());
        self.follow(&gate);
        metrics::of_gate(&self.metrics, &gate);
        Ok(gate)
    }

    /// Lets a gate hear of what other processes change.
    fn follow(&self, gate: &Gate) {
        let (gate, token) = (gate.clone(), self.shutdown.token());
        self.shutdown.tasks().spawn("account changes", async move {
            token.run_until_cancelled(gate.follow()).await;
        });
    }

    fn server(&self) -> Server<'_> {
        let readiness = Readiness::default();
        readiness.check("started").ready();
        let certificates = match &self.trust {
            Trust::Certificates(certificates) => Some(certificates.clone()),
            Trust::Token(_) => None,
        };
        Server {
            config: &self.config,
            outside: &self.outside,
            shutdown: &self.shutdown,
            readiness,
            metrics: self.metrics.clone(),
            certificates,
        }
    }

    async fn serve(&self, api: Api, grpc: Routes) -> anyhow::Result<Addresses> {
        let server = self.server();
        Ok(Addresses {
            http: Some(server.api("--http", self.config.http, api).await?),
            grpc: Some(server.grpc("--grpc", self.config.grpc, grpc).await?),
            admin: server.admin().await?,
            ..Addresses::default()
        })
    }

    fn running(
        self,
        addresses: Addresses,
        ingest: Option<Arc<spanlake_ingest::Service>>,
        catalog: Option<spanlake_catalog::Catalog>,
    ) -> Running {
        Running { addresses, shutdown: self.shutdown, ingest, catalog }
    }
}
