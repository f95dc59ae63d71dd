//! The command line, word by word. Its help texts are a snapshot in the tests.

use std::path::PathBuf;

use clap::{ArgAction, ArgGroup, Parser, Subcommand, ValueEnum, value_parser};
use clap_complete::Shell;

use crate::commands::export::{Metadata, Score};
use crate::commands::when::When;

/// Traces of LLM agents, in and out of a Spanlake.
#[derive(Debug, Parser)]
#[command(name = "spanlake", version, propagate_version = true, disable_help_subcommand = true)]
#[command(
    after_help = "Exit codes: 0 done; 1 not logged in or not allowed; 2 cannot be asked like this; 5 the server or the network failed."
)]
pub struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Global {
    /// Where the Spanlake is [default: the profile's, else http://127.0.0.1:8080]
    #[arg(
        long,
        visible_alias = "base-url",
        global = true,
        env = "SPANLAKE_URL",
        hide_env_values = true,
        value_name = "URL",
        help_heading = "Everywhere"
    )]
    pub(crate) url: Option<String>,
    /// API key; goes before everything stored
    #[arg(
        long,
        global = true,
        env = "SPANLAKE_API_KEY",
        hide_env_values = true,
        value_name = "KEY",
        help_heading = "Everywhere"
    )]
    pub(crate) api_key: Option<String>,
    /// App id [default: the linked app]
    #[arg(
        long,
        global = true,
        env = "SPANLAKE_APP_ID",
        hide_env_values = true,
        value_name = "ID",
        help_heading = "Everywhere"
    )]
    pub(crate) app: Option<String>,
    /// Which stored login to use
    #[arg(
        long,
        global = true,
        env = "SPANLAKE_PROFILE",
        hide_env_values = true,
        value_name = "NAME",
        help_heading = "Everywhere"
    )]
    pub(crate) profile: Option<String>,
    /// Answer in JSON
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Log in with an address and a password, or keep an API key
    Login(Login),
    /// End the session and forget what is stored for it
    Logout,
    /// Choose the app that commands are about
    Link(Link),
    /// Show who is asking
    Whoami,
    /// List stored logins, or choose one
    Profiles(Profiles),
    /// List, make and revoke API keys
    Keys(Keys),
    /// Take traces away
    Export(Export),
    /// Look at traces
    Traces(Traces),
    /// Send an OTLP file: protobuf or JSON, one request or one a line, plain, gzip or zstd
    Send(Send),
    /// Print a script that completes commands in a shell
    Completions(Completions),
    /// Print the manual page
    Man,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Login {
    /// Address; asked for unless given
    #[arg(long)]
    pub(crate) email: Option<String>,
    /// Read the password from standard input, one line
    #[arg(long)]
    pub(crate) password_stdin: bool,
    /// Which tenant, for members of several
    #[arg(long, value_name = "ID")]
    pub(crate) tenant: Option<String>,
    /// Keep the key given with --api-key or SPANLAKE_API_KEY instead
    #[arg(long, conflicts_with_all = ["email", "password_stdin", "tenant"])]
    pub(crate) with_key: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Link {
    /// Id or name; asked for unless given or there is only one
    pub(crate) app_or_name: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Profiles {
    /// From now on, use this one
    pub(crate) name: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Keys {
    #[command(subcommand)]
    pub(crate) command: KeysCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// List keys
    List,
    /// Make a key and print it, once
    Create(NewKey),
    /// Revoke a key
    Revoke {
        /// Its id
        id: String,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct NewKey {
    /// For people
    pub(crate) name: String,
    /// Bind the key to this agent; otherwise it is a workspace key
    #[arg(long, value_name = "ID")]
    pub(crate) agent: Option<String>,
    /// What it may do (repeatable) [default: as the server says]
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(crate) scopes: Vec<KeyScope>,
    /// When it ends: a date, or 90d from now
    #[arg(long, value_name = "WHEN", value_parser = When::ahead)]
    pub(crate) expires: Option<When>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum KeyScope {
    Ingest,
    Read,
    Export,
    Score,
    Admin,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    #[command(subcommand)]
    pub(crate) command: ExportCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ExportCommand {
    /// Export spans as JSON lines, as chats for fine-tuning, or as a table
    Traces(Box<ExportTraces>),
    /// Exports into files that the server writes, once or on a schedule
    Jobs(Jobs),
    /// Check that a run of a job is all there: every file of its manifest, byte by byte and row by row
    Verify(Verify),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Jobs {
    #[command(subcommand)]
    pub(crate) command: JobsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobsCommand {
    /// Have files written into a folder of the server's or a bucket
    Create(Box<NewJob>),
    /// List jobs, newest first
    List,
    /// Show a job, how far it is, and what it has written
    Show(Job),
    /// Call a job off; what it has written stays
    Cancel(Job),
    /// Let a job go on that was paused because it had failed for long
    Resume(Job),
    /// Print the manifest of a run
    Manifest {
        #[command(flatten)]
        job: Job,
        /// Which run [default: the last]
        #[arg(long, value_name = "N")]
        run: Option<u64>,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Job {
    /// Its id
    #[arg(value_parser = job_id)]
    pub(crate) id: String,
}

/// An id goes into a path.
fn job_id(text: &str) -> Result<String, String> {
    let is_id = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if is_id { Ok(text.to_owned()) } else { Err("is no id; 'spanlake export jobs list' shows them".to_owned()) }
}

#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("destination").required(true).args(["folder", "bucket"])))]
pub(crate) struct NewJob {
    /// Which table
    #[arg(long, value_enum, default_value_t = JobTable::Spans)]
    pub(crate) table: JobTable,
    /// Form of the files
    #[arg(long, value_enum, default_value_t = JobFormat::Parquet)]
    pub(crate) format: JobFormat,
    /// How files of text are packed [default: as the server says]
    #[arg(long, value_enum)]
    pub(crate) compression: Option<Compression>,
    /// In the filter language of the lists; of scores, by what they have: name, value, label, source, …
    #[arg(long)]
    pub(crate) filter: Option<String>,
    /// Of spans: with what scores say of each
    #[arg(long)]
    pub(crate) scores: bool,
    /// From when: ISO 8601, or 7d before now [default: the first row]
    #[arg(long, value_name = "WHEN", value_parser = When::back)]
    pub(crate) since: Option<When>,
    /// Until when, exclusive; not with --schedule [default: the last row]
    #[arg(long, value_name = "WHEN", value_parser = When::back)]
    pub(crate) until: Option<When>,
    /// Again and again, each time what has changed: five fields of cron in UTC, or @hourly, @daily, @weekly, @monthly
    #[arg(long, value_name = "CRON")]
    pub(crate) schedule: Option<String>,
    /// Into this folder, below the one that the server sets aside
    #[arg(long, value_name = "PATH", help_heading = "Into a folder")]
    pub(crate) folder: Option<String>,
    /// Into this S3-compatible bucket
    #[arg(long, help_heading = "Into a bucket")]
    pub(crate) bucket: Option<String>,
    /// Below this in the bucket
    #[arg(long, value_name = "PATH", requires = "bucket", help_heading = "Into a bucket")]
    pub(crate) prefix: Option<String>,
    /// As Amazon calls it
    #[arg(long, requires = "bucket", help_heading = "Into a bucket")]
    pub(crate) region: Option<String>,
    /// Of a bucket that is not Amazon's: https://HOST[:PORT]
    #[arg(long, value_name = "URL", requires = "bucket", help_heading = "Into a bucket")]
    pub(crate) endpoint: Option<String>,
    /// For the bucket; may list, read, write and delete there
    #[arg(long, env = "AWS_ACCESS_KEY_ID", hide_env_values = true, value_name = "ID", help_heading = "Into a bucket")]
    pub(crate) access_key_id: Option<String>,
    /// Its secret
    #[arg(
        long,
        env = "AWS_SECRET_ACCESS_KEY",
        hide_env_values = true,
        value_name = "SECRET",
        help_heading = "Into a bucket"
    )]
    pub(crate) secret_access_key: Option<String>,
    /// If it is temporary
    #[arg(
        long,
        env = "AWS_SESSION_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN",
        help_heading = "Into a bucket"
    )]
    pub(crate) session_token: Option<String>,
    /// Come back when the first run is done
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum JobTable {
    Spans,
    Scores,
    Traces,
}

impl JobTable {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Spans => "spans",
            Self::Scores => "scores",
            Self::Traces => "traces",
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum JobFormat {
    Parquet,
    Jsonl,
    Csv,
    Openai,
}

impl JobFormat {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Openai => "openai",
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Compression {
    Zstd,
    Gzip,
    None,
}

impl Compression {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::None => "none",
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    /// manifest.json of a run: in a folder, or s3://BUCKET/…/run=000001/manifest.json
    pub(crate) manifest: String,
    /// Also ask the server: whether it wrote this manifest, and of a whole export how many rows match now (counts as an export)
    #[arg(long)]
    pub(crate) source: bool,
    #[command(flatten)]
    pub(crate) access: BucketAccess,
}

/// How a bucket is reached, with which credentials.
#[derive(Debug, clap::Args)]
pub(crate) struct BucketAccess {
    /// As Amazon calls it
    #[arg(long, help_heading = "In a bucket")]
    pub(crate) region: Option<String>,
    /// Of a bucket that is not Amazon's: https://HOST[:PORT]
    #[arg(long, value_name = "URL", help_heading = "In a bucket")]
    pub(crate) endpoint: Option<String>,
    /// For the bucket; may list and read there
    #[arg(long, env = "AWS_ACCESS_KEY_ID", hide_env_values = true, value_name = "ID", help_heading = "In a bucket")]
    pub(crate) access_key_id: Option<String>,
    /// Its secret
    #[arg(
        long,
        env = "AWS_SECRET_ACCESS_KEY",
        hide_env_values = true,
        value_name = "SECRET",
        help_heading = "In a bucket"
    )]
    pub(crate) secret_access_key: Option<String>,
    /// If it is temporary
    #[arg(long, env = "AWS_SESSION_TOKEN", hide_env_values = true, value_name = "TOKEN", help_heading = "In a bucket")]
    pub(crate) session_token: Option<String>,
}

/// The seed's table, and what goes beyond one page.
#[derive(Debug, clap::Args)]
pub(crate) struct ExportTraces {
    /// Format of the rows
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    pub(crate) format: Format,
    /// Score filter (repeatable), such as "correctness>=0.8"; operators >=, >, <=, <, =, !=
    #[arg(long = "score", value_name = "FILTER", value_parser = Score::parse)]
    pub(crate) scores: Vec<Score>,
    /// From when: ISO 8601, or 7d before now (m, h, d, w) [default: 30 days before the end]
    #[arg(long, value_name = "WHEN", value_parser = When::back)]
    pub(crate) since: Option<When>,
    /// Until when, exclusive [default: now]
    #[arg(long, value_name = "WHEN", value_parser = When::back)]
    pub(crate) until: Option<When>,
    /// Rows at most, or a page with --all, 1 to 2,000 [default: 500; 2000 with --all]
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=2000))]
    pub(crate) limit: Option<u16>,
    /// Exactly this model
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// This type only
    #[arg(long, value_enum, ignore_case = true)]
    pub(crate) r#type: Option<Type>,
    /// This status only
    #[arg(long, value_enum, ignore_case = true)]
    pub(crate) status: Option<Status>,
    /// With this in the span's name
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Exactly this end user
    #[arg(long, value_name = "ID")]
    pub(crate) user_id: Option<String>,
    /// With this tag
    #[arg(long)]
    pub(crate) tag: Option<String>,
    /// With this metadata
    #[arg(long, value_name = "KEY=VALUE", value_parser = Metadata::parse)]
    pub(crate) metadata: Option<Metadata>,
    /// In the filter language of the lists, besides
    #[arg(long, value_name = "FILTER")]
    pub(crate) filter: Option<String>,
    /// Leave out input and output
    #[arg(long)]
    pub(crate) lightweight: bool,
    /// Only say how many rows match, and show up to three; writes nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Write to this file; asks before it overwrites one [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Overwrite without asking
    #[arg(long, requires = "output")]
    pub(crate) force: bool,
    /// All rows, page after page; with --output, goes on where a broken one ended
    #[arg(long)]
    pub(crate) all: bool,
    /// Go on after this: what a page said at its end
    #[arg(long)]
    pub(crate) cursor: Option<String>,
    /// With --all: wait when the server wants fewer exports an hour
    #[arg(long, requires = "all")]
    pub(crate) wait: bool,
    /// How often in a row to try again when a page breaks off or the server cannot be reached
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) retries: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Jsonl,
    Openai,
    Csv,
}

impl Format {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Openai => "openai",
            Self::Csv => "csv",
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Type {
    #[value(name = "GENERATION")]
    Generation,
    #[value(name = "SPAN")]
    Span,
    #[value(name = "EVENT")]
    Event,
}

impl Type {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Generation => "GENERATION",
            Self::Span => "SPAN",
            Self::Event => "EVENT",
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Status {
    #[value(name = "STATUS_CODE_OK", alias = "OK")]
    Ok,
    #[value(name = "STATUS_CODE_ERROR", alias = "ERROR")]
    Error,
    #[value(name = "STATUS_CODE_UNSET", alias = "UNSET")]
    Unset,
}

impl Status {
    /// As lists take it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Error => "ERROR",
            Self::Unset => "UNSET",
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Traces {
    #[command(subcommand)]
    pub(crate) command: TracesCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TracesCommand {
    /// List traces, newest first
    List(Box<ListTraces>),
    /// Show one trace as a tree
    Show(ShowTrace),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListTraces {
    /// From when: ISO 8601, or 7d before now [default: 30 days before the end]
    #[arg(long, value_name = "WHEN", value_parser = When::back)]
    pub(crate) since: Option<When>,
    /// Until when, exclusive [default: now]
    #[arg(long, value_name = "WHEN", value_parser = When::back)]
    pub(crate) until: Option<When>,
    /// Traces at most, 1 to 1,000
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = value_parser!(u16).range(1..=1000))]
    pub(crate) limit: u16,
    /// With this status
    #[arg(long, value_enum, ignore_case = true)]
    pub(crate) status: Option<Status>,
    /// With exactly this name
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Of this end user
    #[arg(long, value_name = "ID")]
    pub(crate) user_id: Option<String>,
    /// Of this session
    #[arg(long, value_name = "ID")]
    pub(crate) session_id: Option<String>,
    /// With a call of this model
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// With this tag
    #[arg(long)]
    pub(crate) tag: Option<String>,
    /// In the filter language of the API
    #[arg(long, value_name = "FILTER")]
    pub(crate) filter: Option<String>,
    /// Where the page before ended
    #[arg(long)]
    pub(crate) cursor: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ShowTrace {
    /// 32 hex digits
    pub(crate) id: String,
    /// With input and output of each span
    #[arg(long, action = ArgAction::SetTrue)]
    pub(crate) io: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Send {
    /// The file; - is standard input
    pub(crate) file: PathBuf,
    /// It holds logs
    #[arg(long)]
    pub(crate) logs: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// For which shell
    pub(crate) shell: Shell,
}
