//! What is asked for, as the server takes it.

use reqwest::{Method, RequestBuilder};
use spanlake_model::Timestamp;

use crate::args::{ExportTraces, Format};
use crate::client::Client;

/// One export, whatever the number of its pages.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) format: Format,
    pub(super) limit: u16,
    /// Format and filters.
    fixed: Vec<(String, String)>,
    /// From and until when.
    dates: Vec<(String, String)>,
    /// As they were typed: `7d` means the same export tomorrow.
    typed: Vec<(String, String)>,
}

/// Rows a page unless said, and where all are wanted: an hour has few exports.
const LIMIT: u16 = 500;
const LIMIT_OF_ALL: u16 = 2_000;
/// Rows that a preview shows.
const SAMPLE: u16 = 3;

impl Query {
    pub(super) fn of(args: &ExportTraces, now: Timestamp) -> Self {
        let mut fixed = vec![("format", args.format.as_str().to_owned())];
        fixed.extend(args.scores.iter().map(|score| ("score", score.to_string())));
        let words = [
            ("type", args.r#type.map(|coarse| coarse.as_str().to_owned())),
            ("model", args.model.clone()),
            ("status", args.status.map(|status| format!("STATUS_CODE_{}", status.as_str()))),
            ("name", args.name.clone()),
            ("userId", args.user_id.clone()),
            ("tag", args.tag.clone()),
            ("metadata_key", args.metadata.as_ref().map(|metadata| metadata.key.clone())),
            ("metadata_value", args.metadata.as_ref().map(|metadata| metadata.value.clone())),
            ("filter", args.filter.clone()),
            ("lightweight", args.lightweight.then(|| "true".to_owned())),
        ];
        fixed.extend(words.into_iter().filter_map(|(name, value)| Some((name, value?))));
        let ends = [("startDate", args.since), ("endDate", args.until)];
        let ends = ends.into_iter().filter_map(|(name, when)| Some((name, when?)));
        Self {
            format: args.format,
            limit: args.limit.unwrap_or(if args.all { LIMIT_OF_ALL } else { LIMIT }),
            dates: ends.clone().map(|(name, when)| (name.to_owned(), when.at(now).to_string())).collect(),
            typed: ends.map(|(name, when)| (name.to_owned(), when.to_string())).collect(),
            fixed: fixed.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        }
    }

    /// The same rows, a few of them, in a form that says how many of them cannot be written.
    pub(super) fn preview(mut self) -> Self {
        if self.format == Format::Csv {
            self.format = Format::Jsonl;
            self.fixed[0].1 = Format::Jsonl.as_str().to_owned();
        }
        self.limit = SAMPLE;
        self
    }

    /// What tells this export from others; the size of pages does not.
    pub(super) fn identity(&self) -> impl Iterator<Item = (String, String)> {
        self.fixed.iter().chain(&self.typed).cloned()
    }

    /// Filters and dates, for people.
    pub(super) fn filters(&self) -> impl Iterator<Item = &(String, String)> {
        self.fixed[1..].iter().chain(&self.dates)
    }

    /// The first page, or the one after a page that was begun elsewhere.
    pub(super) fn first(&self, client: &Client, cursor: Option<&str>) -> RequestBuilder {
        self.page(client, cursor).query(&self.dates)
    }

    /// A page that follows one of this export. Its cursor holds the dates, which must not move between pages.
    pub(super) fn next(&self, client: &Client, cursor: &str) -> RequestBuilder {
        self.page(client, Some(cursor))
    }

    fn page(&self, client: &Client, cursor: Option<&str>) -> RequestBuilder {
        let request = client.authorized(Method::GET, "/v1/traces/export").query(&self.fixed);
        let request = request.query(&[("limit", self.limit)]);
        cursor.into_iter().fold(request, |request, cursor| request.query(&[("cursor", cursor)]))
    }
}
