//! Settings of a process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use spanlake_proto::internal::Files;
use spanlake_transport::config::Secret;
use spanlake_transport::{layers, listener, telemetry};

/// Settings of a process. Defaults suit a laptop; `--config FILE` overrides them, the environment (`SPANLAKE_…`) the file, flags both.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Everything that is kept on this machine: catalog, data files and log, unless named otherwise.
    pub data_dir: PathBuf,
    /// Where the public API listens.
    pub http: SocketAddr,
    /// Where OTLP/HTTP listens besides.
    pub otlp_http: SocketAddr,
    /// Where OTLP/gRPC listens.
    pub otlp_grpc: SocketAddr,
    /// Where other services reach this one; roles only.
    pub grpc: SocketAddr,
    /// Where `GET /metrics` listens, for operators; empty: nowhere.
    pub admin: String,
    /// What whoever reads `/metrics` shows, as `Authorization: Bearer …`; at least 16 characters. Needed where `admin` is more than
    /// this machine.
    pub admin_token: Secret,
    /// `sqlite:PATH` or `postgres://…`; empty: a SQLite file in `data_dir`.
    pub catalog: Secret,
    /// Connections to the catalog at most.
    pub catalog_connections_max: u32,
    /// `file:DIR` or `s3://BUCKET/PREFIX`; empty: a folder in `data_dir`.
    pub store: String,
    /// `memory` or `redis://…`.
    pub limits: Secret,
    /// Processes that count in Redis: while it is away, each gives this part of every limit, so that all together give no more
    /// than that.
    pub limits_processes: u32,
    /// What keys are hashed and tokens signed with: 32 bytes or more as hex or base64. Empty: made once and kept in
    /// `data_dir`, which only standalone may do.
    pub secret: Secret,
    /// What our services show each other; roles only, and only where they have no certificates and all listen on this machine. At
    /// least 16 characters, the same for all.
    pub internal_token: Secret,
    /// The certificates that our services show each other; roles only.
    pub internal_tls: InternalTls,
    /// Where auth's gRPC listens, `host:port`; for the roles that ask it.
    pub auth_url: String,
    /// Where query's gRPC listens, `host:port`; for export.
    pub query_url: String,
    /// How query reaches this writer, `host:port`; ingest only. Empty: its `grpc` address.
    pub advertise: String,
    /// How long a stop may take before it is cut short.
    #[serde(with = "spanlake_transport::config::duration")]
    pub shutdown_deadline: Duration,
    /// Our own log.
    pub telemetry: telemetry::Config,
    /// Every listener.
    pub listener: listener::Config,
    /// Every public request.
    pub request: layers::Config,
    /// What is remembered of callers.
    pub access: spanlake_access::Config,
    /// Tenants, people, keys.
    pub auth: spanlake_auth::Config,
    /// Telemetry in.
    pub ingest: spanlake_ingest::Config,
    /// Planning and running queries.
    pub engine: spanlake_engine::Config,
    /// Reading.
    pub query: spanlake_query::Config,
    /// Data out.
    pub export: spanlake_export::Config,
    /// Merging and sweeping.
    pub compactor: spanlake_compactor::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./spanlake-data"),
            http: loopback(8080),
            otlp_http: loopback(4318),
            otlp_grpc: loopback(4317),
            grpc: loopback(9090),
            admin: String::new(),
            admin_token: Secret::default(),
            catalog: Secret::default(),
            catalog_connections_max: 10,
            store: String::new(),
            limits: Secret::new("memory"),
            limits_processes: 4,
            secret: Secret::default(),
            internal_token: Secret::default(),
            internal_tls: InternalTls::default(),
            auth_url: String::new(),
            query_url: String::new(),
            advertise: String::new(),
            shutdown_deadline: Duration::from_secs(28),
            telemetry: telemetry::Config::default(),
            listener: listener::Config::default(),
            request: layers::Config::default(),
            access: spanlake_access::Config::default(),
            auth: spanlake_auth::Config::default(),
            ingest: spanlake_ingest::Config::default(),
            engine: spanlake_engine::Config::default(),
            query: spanlake_query::Config::default(),
            export: spanlake_export::Config::default(),
            compactor: spanlake_compactor::Config::default(),
        }
    }
}

/// Certificates of what our services say to each other, as PEM files that are read again every minute. All or none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InternalTls {
    /// The authority that signed the certificates of all our services, and of nobody else.
    pub ca: PathBuf,
    /// This process's certificate, for the host by which others call it.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
}

impl InternalTls {
    /// The files; none when none is set.
    ///
    /// # Errors
    /// When some are set and others are not.
    pub fn files(&self) -> anyhow::Result<Option<Files>> {
        let named = [("ca", &self.ca), ("certificate", &self.certificate), ("key", &self.key)];
        let missing: Vec<_> =
            named.iter().filter(|(_, path)| path.as_os_str().is_empty()).map(|(name, _)| *name).collect();
        match missing.len() {
            0 => {}
            3 => return Ok(None),
            _ => anyhow::bail!("internal_tls is not whole; set also {}", missing.join(" and ")),
        }
        let Self { ca, certificate, key } = self.clone();
        Ok(Some(Files { ca, certificate, key }))
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}
