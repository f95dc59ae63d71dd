//! Everything in one process: the parts list.

use std::sync::Arc;

use spanlake_access::Gate;
use spanlake_catalog::{Accounts, Files};
use spanlake_engine::Engine;
use spanlake_proto::auth::Auth;
use spanlake_proto::ingest::FreshSource;
use spanlake_proto::query::SpanSource;
use spanlake_transport::Api;
use spanlake_transport::health::Readiness;
use spanlake_transport::shutdown::Shutdown;

use crate::config::Config;
use crate::serve::Server;
use crate::{Addresses, Outside, Running, metrics, parts};

pub(crate) async fn start(config: Config, outside: Outside, shutdown: Shutdown) -> anyhow::Result<Running> {
    parts::admin(&config)?;
    let Outside { clock, entropy } = outside.clone();
    let readiness = Readiness::default();
    let replayed = readiness.check("log");

    let disk = parts::data_dir(&config)?;
    let catalog = parts::catalog(&config).await?;
    let store = parts::store(&config, disk.clone())?;
    let limiter = parts::limiter(&config, clock.clone()).await?;
    let secret = parts::secret(&config, &outside)?;
    let accounts: Arc<dyn Accounts> = Arc::new(catalog.clone());
    let files: Arc<dyn Files> = Arc::new(catalog.clone());

    let auth = spanlake_auth::Service::new(accounts, secret, clock.clone(), entropy.clone(), config.auth.clone())?;
    let auth = Arc::new(auth);
    let gate = Gate::new(auth.clone() as Arc<dyn Auth>, limiter, clock.clone(), config.access.clone());
    let ingest = spanlake_ingest::Service::start(spanlake_ingest::Parts {
        gate: gate.clone(),
        files: files.clone(),
        store: store.clone(),
        disk,
        log_folder: config.data_dir.join("log"),
        address: String::new(),
        clock: clock.clone(),
        entropy: entropy.clone(),
        config: config.ingest.clone(),
    })
    .await?;
    let fresh: Arc<dyn FreshSource> = ingest.clone();
    let engine = Engine::new(files.clone(), fresh, Arc::new(store.clone()), clock.clone(), config.engine.clone())?;
    let engine = Arc::new(engine);
    let recorder = parts::recorder(&config, &catalog, clock.clone());
    let query = spanlake_query::Service::new(
        engine.clone(),
        Arc::new(catalog.clone()),
        recorder.clone(),
        clock.clone(),
        entropy.clone(),
        config.query.clone(),
    );
    let query = Arc::new(query);
    let spans: Arc<dyn SpanSource> = query.clone();
    let export = Arc::new(spanlake_export::Service::new(spans, clock.clone(), config.export.clone()));
    let exports = parts::exports(&config, &outside, &catalog, query.clone(), Some(config.data_dir.join("exports")))?;
    let data = Arc::new(catalog.clone());
    let (erasures, jobs, sweeps) = (data.clone(), data.clone(), data);
    let parts = spanlake_compactor::Parts {
        files,
        erasures,
        jobs,
        sweeps,
        store,
        clock,
        entropy,
        config: config.compactor.clone(),
    };
    let compactor = Arc::new(spanlake_compactor::Service::new(parts));

    let told = metrics::of_process();
    metrics::of_gate(&told, &gate);
    metrics::of_ingest(&told, &ingest);
    metrics::of_engine(&told, &engine);
    metrics::of_compactor(&told, &compactor);

    let token = shutdown.token();
    let flusher = ingest.clone();
    shutdown.tasks().spawn("flusher", async move { flusher.run_flusher(token).await });
    let token = shutdown.token();
    shutdown.tasks().spawn("compactor", async move { compactor.run(token).await });

    let (working, token) = (exports.clone(), shutdown.token());
    shutdown.tasks().spawn("exporter", async move { working.run(token).await });

    let api = Api::default()
        .merge(spanlake_auth::routes(auth, gate.clone()))
        .merge(spanlake_ingest::http::routes(ingest.clone()))
        .merge(spanlake_query::routes(query, gate.clone()))
        .merge(spanlake_export::routes(export, gate.clone(), recorder))
        .merge(spanlake_export::jobs::routes(exports, gate));
    let server = Server {
        config: &config,
        outside: &outside,
        shutdown: &shutdown,
        readiness,
        metrics: told,
        certificates: None,
    };
    let addresses = Addresses {
        http: Some(server.api("--http", config.http, api).await?),
        otlp_http: Some(
            server.undocumented("--otlp-http", config.otlp_http, spanlake_ingest::http::routes(ingest.clone())).await?,
        ),
        otlp_grpc: Some(server.otlp_grpc(config.otlp_grpc, spanlake_ingest::grpc::routes(ingest.clone())).await?),
        grpc: None,
        admin: server.admin().await?,
    };
    replayed.ready();
    Ok(Running { addresses, shutdown, ingest: Some(ingest), catalog: Some(catalog) })
}
