//! The export service's gRPC face.

mod grpc;
mod remembered;

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use spanlake_model::{Caller, Fault, Receipt, SpanFilter, TimeRange};

pub use grpc::{Client, service};
pub use remembered::{recall, remember};

/// How a row is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A span with its fields, as a line of JSON.
    #[default]
    Jsonl,
    /// The conversation in a span, as a line of JSON that fine-tuning takes.
    OpenAi,
    /// A span with its fields, as a record of a table with a header.
    Csv,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Jsonl, Self::OpenAi, Self::Csv];

    /// As parameters spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::OpenAi => "openai",
            Self::Csv => "csv",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == text)
    }
}

/// Which rows, written how.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportRequest {
    /// How.
    pub format: Format,
    /// Started in this range.
    pub range: TimeRange,
    /// And like this.
    pub filter: SpanFilter,
    /// Where the page before ended: an RFC 3339 time or what `next_cursor` held.
    pub cursor: Option<String>,
    /// Rows at most.
    pub limit: usize,
    /// Leave input and output out.
    pub lightweight: bool,
    /// Include the write that was answered with this.
    pub receipt: Option<Receipt>,
}

/// A part of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Of the text, in whole rows.
    Bytes(Bytes),
    /// The last piece. A stream without it is incomplete.
    Summary(Summary),
}

/// What an export has brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Rows that match, on all pages.
    pub total: u64,
    /// Rows on this page.
    pub exported: u64,
    /// Rows of this page that cannot be written in this format.
    pub skipped: u64,
    /// How many for which reason.
    pub skip_reasons: BTreeMap<String, u64>,
    /// Where the next page starts; set exactly when this one is full.
    pub next_cursor: Option<String>,
}

/// Streams rows as text, then the summary. A stream that ends in an error has none.
#[async_trait]
pub trait Export: Send + Sync + 'static {
    /// Starts the export.
    async fn export(
        &self,
        caller: &Caller,
        request: ExportRequest,
    ) -> Result<BoxStream<'static, Result<Piece, Fault>>, Fault>;
}
