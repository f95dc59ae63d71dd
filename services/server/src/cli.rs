//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use spanlake_model::TenantId;
use spanlake_transport::config::{self, Errors};

use crate::config::Config;
use crate::roles::Role;

/// The backend for traces of LLM agents.
#[derive(Debug, Parser)]
#[command(name = "spanlake-server", version)]
pub struct Cli {
    /// What this process is.
    #[command(subcommand)]
    pub command: Command,
}

/// What this process is.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Everything in one process: SQLite and a local folder, nothing else to install.
    Standalone {
        /// How to run it.
        #[command(flatten)]
        options: Options,
        /// Sign up a demo tenant, send it a trace, and show how to send more.
        #[arg(long)]
        demo: bool,
    },
    /// Tenants, people, apps, agents, keys, tokens.
    Auth(Options),
    /// Takes telemetry in.
    Ingest(Options),
    /// Answers questions.
    Query(Options),
    /// Streams data out.
    Export(Options),
    /// Merges small files and sweeps up.
    Compactor(Options),
    /// Makes a token with which somebody can set a new password, once, within a day: for the only owner of a tenant, whom nobody
    /// else can help. Prints it; they send it to `POST /v1/password-reset` as `{"token": …, "password": …}`.
    ResetPassword {
        /// Whose password.
        email: String,
        /// In which tenant, for somebody who is in several.
        #[arg(long, value_name = "ID")]
        tenant: Option<TenantId>,
        /// Which installation: its data folder or catalog.
        #[command(flatten)]
        options: Options,
    },
    /// Shows what an OTLP request (traces or logs, protobuf or JSON) becomes: `spanlake-server normalise < request`.
    Normalise,
}

/// Settings of a process. Each is also an environment variable (`--data-dir` is `SPANLAKE_DATA_DIR`) and a key of the
/// configuration file (`data_dir`); a flag beats the environment, the environment the file. Secrets come from the
/// environment or the file only.
#[derive(Debug, Args)]
pub struct Options {
    /// A TOML file with settings.
    #[arg(long, value_name = "FILE", env = "SPANLAKE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where everything is kept that has no other place [default: ./spanlake-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Where the public API listens; port 0 picks a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    http: Option<String>,
    /// Where OTLP/HTTP listens besides [default: 127.0.0.1:4318]
    #[arg(long, value_name = "ADDR")]
    otlp_http: Option<String>,
    /// Where OTLP/gRPC listens [default: 127.0.0.1:4317]
    #[arg(long, value_name = "ADDR")]
    otlp_grpc: Option<String>,
    /// Where other services reach this one (roles) [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDR")]
    grpc: Option<String>,
    /// Where GET /metrics listens, for operators [default: nowhere]
    #[arg(long, value_name = "ADDR")]
    admin: Option<String>,
    /// sqlite:PATH or postgres://… [default: a SQLite file in the data folder]
    #[arg(long, value_name = "URL")]
    catalog: Option<String>,
    /// file:DIR or s3://BUCKET/PREFIX [default: a folder in the data folder]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// memory or redis://… [default: memory]
    #[arg(long, value_name = "URL")]
    limits: Option<String>,
    /// Where auth's gRPC listens (ingest, query, export), host:port
    #[arg(long, value_name = "URL")]
    auth_url: Option<String>,
    /// Where query's gRPC listens (export), host:port
    #[arg(long, value_name = "URL")]
    query_url: Option<String>,
    /// How query reaches this writer (ingest), host:port [default: the --grpc address]
    #[arg(long, value_name = "URL")]
    advertise: Option<String>,
}

impl Command {
    /// The role, its options, and whether to show a demo; none for what is no server.
    pub fn parts(&self) -> Option<(Role, &Options, bool)> {
        Some(match self {
            Self::Standalone { options, demo } => (Role::Standalone, options, *demo),
            Self::Auth(options) => (Role::Auth, options, false),
            Self::Ingest(options) => (Role::Ingest, options, false),
            Self::Query(options) => (Role::Query, options, false),
            Self::Export(options) => (Role::Export, options, false),
            Self::Compactor(options) => (Role::Compactor, options, false),
            Self::ResetPassword { .. } | Self::Normalise => return None,
        })
    }
}

impl Options {
    /// Defaults, file, environment and flags, put together.
    ///
    /// # Errors
    /// Everything that is wrong with them, at once.
    pub fn load(&self, environment: impl Iterator<Item = (String, String)>) -> Result<Config, Errors> {
        config::load(self.config.as_deref(), environment, self.flags())
    }

    fn flags(&self) -> toml::Table {
        let given = [
            ("data_dir", &self.data_dir),
            ("http", &self.http),
            ("otlp_http", &self.otlp_http),
            ("otlp_grpc", &self.otlp_grpc),
            ("grpc", &self.grpc),
            ("admin", &self.admin),
            ("catalog", &self.catalog),
            ("store", &self.store),
            ("limits", &self.limits),
            ("auth_url", &self.auth_url),
            ("query_url", &self.query_url),
            ("advertise", &self.advertise),
        ];
        let value = |text: &String| toml::Value::String(text.clone());
        given.into_iter().filter_map(|(key, text)| Some((key.to_string(), value(text.as_ref()?)))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn load(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Config, Errors> {
        let cli = Cli::try_parse_from([&["spanlake-server"], arguments].concat()).unwrap();
        let variables = environment.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        cli.command.parts().unwrap().1.load(variables)
    }

    #[test]
    fn a_flag_beats_the_environment_and_that_the_default() {
        let environment = [("SPANLAKE_HTTP", "127.0.0.1:1"), ("SPANLAKE_DATA_DIR", "/data"), ("PATH", "/bin")];
        let config = load(&["standalone", "--http", "127.0.0.1:2"], &environment).unwrap();
        assert_eq!((config.http.port(), config.data_dir.to_str().unwrap()), (2, "/data"));
        assert_eq!(config.otlp_http.port(), 4318);
        assert_eq!(config.limits.expose(), "memory");
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let environment = [("SPANLAKE_HTP", "x"), ("SPANLAKE_INGEST__FLUSH_BYTES", "many")];
        let errors = load(&["ingest", "--grpc", "nowhere"], &environment).unwrap_err().to_string();
        for part in ["htp", "ingest.flush_bytes", "grpc"] {
            assert!(errors.contains(part), "{errors}");
        }
    }

    #[test]
    fn the_command_line_makes_sense_to_clap() {
        Cli::command().debug_assert();
    }
}
