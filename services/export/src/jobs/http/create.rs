//! `POST /v1/exports`.

use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::request::Parts as Head;
use serde::Deserialize;
use spanlake_catalog::{Deed, NewExport};
use spanlake_model::{Caller, Code, ExportId, Fault, Limit, Timestamp};
use spanlake_proto::export::remember;
use spanlake_proto::query::RowsOf;
use spanlake_transport::extract::Body;
use spanlake_transport::response::{Created, ErrorResponse, rate_limits};
use utoipa::ToSchema;

use super::Face;
use super::row::Row;
use crate::jobs::destinations::Credentials;
use crate::jobs::files::refused;
use crate::jobs::schedule::Schedule;
use crate::jobs::spec::{Compression, Destination, FileFormat, Spec, read_filter};

/// How long a destination may take to answer when an export is asked for.
const PROBE: Duration = Duration::from_secs(15);
/// So that an erasure that is being stored right now is either hidden from the first run or on its list.
pub(super) const FIRST_RUN_AFTER: Duration = Duration::from_secs(10);
const FILTER_BYTES_MAX: usize = 8 << 10;

/// What to export, and where to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// `spans` unless given; `scores`, or `traces`, a row for all spans of a trace.
    #[serde(default)]
    table: Option<String>,
    /// `parquet` unless given.
    #[serde(default)]
    format: Option<FileFormat>,
    /// Of text; `zstd` unless given. Parquet is zstd within.
    #[serde(default)]
    compression: Option<Compression>,
    /// In the filter language of the lists; of `scores`, whose fields are name, value, label, source, author, trace_id, span_id,
    /// session_id and metadata.<key>, in the same language.
    #[serde(default)]
    filter: Option<String>,
    /// Of `spans`: whether each has beside it what scores say of it, by name the mean of its own, else of its trace's. `traces` always
    /// have theirs.
    #[serde(default)]
    scores: Option<bool>,
    /// Rows that start at this time or later: RFC 3339, or a date. From the first unless given.
    #[serde(default)]
    start_date: Option<String>,
    /// Rows that start before this time. To the last unless given; not with a schedule.
    #[serde(default)]
    end_date: Option<String>,
    destination: NewDestination,
    /// Five fields of cron in UTC, every five minutes at the most, or `@hourly`, `@daily`, `@weekly`, `@monthly`. Each run then
    /// writes what has come, changed or gone since the one before. Once unless given.
    #[serde(default)]
    schedule: Option<String>,
}

/// Where files go.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum NewDestination {
    /// A folder of the server's, below the one that is set aside for the tenant.
    File {
        #[serde(default)]
        path: String,
    },
    /// An S3-compatible bucket, with credentials that may list, read, write and delete there. They are kept sealed and never shown.
    S3 {
        bucket: String,
        #[serde(default)]
        prefix: String,
        #[serde(default)]
        region: Option<String>,
        /// `https://host[:port]`; Amazon's unless given.
        #[serde(default)]
        endpoint: Option<String>,
        access_key_id: String,
        secret_access_key: String,
        #[serde(default)]
        session_token: Option<String>,
    },
}

/// Export into files
///
/// Writes spans, scores or traces of the app into a folder or a bucket, once or on a schedule. Each run is a folder
/// `<export id>/run=<number>/` with files below `tenant=<id>/date=<day>/`, named by the SHA-256 of what is in them; what is to be
/// deleted is in files below `deletes/`. Its `manifest.json` comes last: a folder without one is not whole, and a file that it does not
/// name is not part of the run. Needs the scope `export`, and counts against the tenant's exports per hour.
#[utoipa::path(
    post, path = "/v1/exports", tag = "export", operation_id = "create_export",
    request_body = Wanted,
    responses((status = 201, description = "The export, which waits for its first run.", body = Created<Row>), ErrorResponse),
)]
pub(super) async fn create(
    State(face): State<Face>,
    head: Head,
    body: Result<Body<Wanted>, ErrorResponse>,
) -> Result<(HeaderMap, Created<Row>), ErrorResponse> {
    let caller = face.caller(&head).await?;
    let Body(wanted) = body?;
    let asked = wanted.read(&face)?;
    let standings = face.gate.take(&caller, &[(Limit::Exports, 1)]).await?;
    Ok((rate_limits(&standings), Created(asked.store(&face, &caller, &head).await?)))
}

/// A request that makes sense.
struct Asked {
    spec: Spec,
    credentials: Option<Credentials>,
    schedule: Option<Schedule>,
}

impl Wanted {
    fn read(self, face: &Face) -> Result<Asked, Fault> {
        let table = self.table.as_deref().unwrap_or("spans");
        let table = RowsOf::parse(table).ok_or_else(|| wrong("table", "must be 'spans', 'scores' or 'traces'"))?;
        let format = self.format.unwrap_or(FileFormat::Parquet);
        let compression = self.compression.unwrap_or(Compression::Zstd);
        let filter = self.filter.unwrap_or_default();
        if filter.len() > FILTER_BYTES_MAX {
            return Err(wrong("filter", format!("has more than {FILTER_BYTES_MAX} bytes")));
        }
        let filter = read_filter(table, &filter)?;
        let schedule = self.schedule.as_deref().map(str::parse::<Schedule>).transpose();
        let schedule = schedule.map_err(|why| wrong("schedule", why.to_string()))?;
        let dates = (date("start_date", self.start_date)?, date("end_date", self.end_date)?);
        for (wrong_if, field, why) in [
            (
                format == FileFormat::Parquet && compression != Compression::Zstd,
                "compression",
                "is zstd within Parquet; leave it out",
            ),
            (table != RowsOf::Spans && format == FileFormat::OpenAi, "format", "'openai' is made of spans"),
            (table == RowsOf::Scores && self.scores.is_some(), "scores", "is for spans; leave it out"),
            (
                table == RowsOf::Traces && self.scores == Some(false),
                "scores",
                "are in every row of a trace; leave it out",
            ),
            (
                format == FileFormat::OpenAi && self.scores == Some(true),
                "scores",
                "have no place in a conversation; leave it out, or take another format",
            ),
            (
                schedule.is_some() && format == FileFormat::OpenAi,
                "format",
                "'openai' has no key to merge by; with a schedule use parquet, jsonl or csv",
            ),
            (schedule.is_some() && dates.1.is_some(), "end_date", "does not go with a schedule; leave it out"),
            (dates.0.zip(dates.1).is_some_and(|(start, end)| start >= end), "end_date", "must be after start_date"),
        ] {
            if wrong_if {
                return Err(wrong(field, why));
            }
        }
        let (destination, credentials) = self.destination.read(face)?;
        let with_scores = table == RowsOf::Spans && self.scores == Some(true);
        let spec = Spec::new(table, format, compression, &filter, dates, destination).with_scores(with_scores);
        Ok(Asked { spec, credentials, schedule })
    }
}

fn date(field: &'static str, text: Option<String>) -> Result<Option<Timestamp>, Fault> {
    let Some(text) = text else { return Ok(None) };
    Timestamp::parse(&text).map(Some).ok_or_else(|| wrong(field, "must be an RFC 3339 time or a date YYYY-MM-DD"))
}

impl NewDestination {
    fn read(self, face: &Face) -> Result<(Destination, Option<Credentials>), Fault> {
        match self {
            Self::File { path } => Ok((Destination::File { path }, None)),
            Self::S3 { .. } if face.jobs.key.is_none() => Err(wrong(
                "destination.type",
                "'s3' is off on this server, which has no export.credentials_key to keep credentials with",
            )),
            Self::S3 { bucket, prefix, region, endpoint, access_key_id, secret_access_key, session_token } => {
                let region = region.unwrap_or_else(|| "us-east-1".into());
                let fits = |text: &str| {
                    !text.is_empty() && text.len() <= 256 && text.bytes().all(|byte| byte.is_ascii_graphic())
                };
                for (field, text) in [
                    ("destination.bucket", &bucket),
                    ("destination.region", &region),
                    ("destination.access_key_id", &access_key_id),
                    ("destination.secret_access_key", &secret_access_key),
                ] {
                    if !fits(text) {
                        return Err(wrong(field, "must be 1 to 256 plain characters"));
                    }
                }
                let credentials = Credentials { access_key_id, secret_access_key, session_token };
                Ok((Destination::S3 { bucket, prefix, region, endpoint }, Some(credentials)))
            }
        }
    }
}

impl Asked {
    async fn store(self, face: &Face, caller: &Caller, head: &Head) -> Result<Row, Fault> {
        let parts = &face.jobs.parts;
        let id = ExportId::generate(parts.clock.as_ref(), parts.entropy.as_ref());
        let Self { spec, credentials, schedule } = self;
        let opening = async {
            let outlet = parts.destinations.open(caller.tenant(), &spec.destination, credentials.clone()).await?;
            outlet.list(&id.to_string()).await.map_err(refused)
        };
        let late = |_| Fault::unavailable("The destination did not answer in time.");
        tokio::time::timeout(PROBE, opening).await.map_err(late)??;
        let now = parts.clock.now();
        let seal = |credentials: Credentials| {
            face.jobs.key.as_ref().map(|key| credentials.seal(key, id, parts.entropy.as_ref()))
        };
        let new = NewExport {
            id,
            tenant: caller.tenant(),
            app: caller.app(),
            agent: caller.agent(),
            caller: remember(caller),
            spec: spec.to_text(),
            sealed: credentials.and_then(seal),
            not_before: if schedule.is_some() { now.plus(FIRST_RUN_AFTER) } else { now },
            schedule: schedule.map(|schedule| schedule.to_string()),
            created_at: now,
        };
        let (target, asked) = (id.to_string(), spec.recorded(new.schedule.as_deref()));
        face.record(caller, head, Deed { action: "export.created", target, asked }).await?;
        parts.exports.add_export(new).await?;
        let stored = parts.exports.export(caller.tenant(), id).await?;
        Row::of(stored.ok_or_else(Fault::internal)?)
    }
}

fn wrong(field: &'static str, why: impl Into<String>) -> Fault {
    let why = why.into();
    Fault::new(Code::InvalidRequestBody, format!("'{field}' {why}.")).detail(field, why)
}
