//! What an export is to write, and where.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use spanlake_model::{Code, Fault, Filter, TimeRange, Timestamp};
use spanlake_proto::query::RowsOf;
use utoipa::ToSchema;

/// The version of [`Spec`] as it is stored.
const VERSION: u8 = 1;

/// Kinds of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FileFormat {
    /// Columns with types, zstd within.
    Parquet,
    /// A line of JSON a row.
    Jsonl,
    /// A table with a header.
    Csv,
    /// A line of JSON a conversation, for fine-tuning.
    OpenAi,
}

impl FileFormat {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::OpenAi => "openai",
        }
    }
}

/// How a file of text is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Compression {
    Zstd,
    Gzip,
    None,
}

impl Compression {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::None => "none",
        }
    }
}

/// Where files go; without credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum Destination {
    /// A folder of the server's, below the one that is set aside for the tenant.
    File {
        /// Names separated by slashes; empty: the tenant's folder itself.
        #[serde(default)]
        path: String,
    },
    /// An S3-compatible bucket.
    S3 {
        /// Its name.
        bucket: String,
        /// Names separated by slashes.
        #[serde(default)]
        prefix: String,
        /// As Amazon calls it; others mostly do not care.
        #[serde(default = "default_region")]
        region: String,
        /// `https://host[:port]`; absent: Amazon's.
        #[serde(default)]
        endpoint: Option<String>,
    },
}

fn default_region() -> String {
    "us-east-1".to_string()
}

/// What to write, and where. Stored as JSON; fields are added, never changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spec {
    v: u8,
    table: String,
    pub(crate) format: FileFormat,
    pub(crate) compression: Compression,
    /// In the text language; empty: none.
    filter: String,
    pub(crate) start: Option<Timestamp>,
    pub(crate) end: Option<Timestamp>,
    pub(crate) destination: Destination,
    /// Of spans: whether what scores say of each is beside it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) scores: bool,
}

impl Spec {
    pub(crate) fn new(
        table: RowsOf,
        format: FileFormat,
        compression: Compression,
        filter: &Filter,
        dates: (Option<Timestamp>, Option<Timestamp>),
        destination: Destination,
    ) -> Self {
        let (start, end) = dates;
        let (table, filter) = (table.as_str().to_string(), filter.to_string());
        Self { v: VERSION, table, format, compression, filter, start, end, destination, scores: false }
    }

    pub(crate) fn with_scores(self, scores: bool) -> Self {
        Self { scores, ..self }
    }

    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string(self).expect("words and numbers make JSON")
    }

    /// # Errors
    /// When it was stored by a later version.
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        let spec: Option<Self> = serde_json::from_str(text).ok().filter(|spec: &Self| spec.v == VERSION);
        spec.ok_or_else(|| {
            Fault::unavailable("This export was made by a newer version of the server; update this one.")
        })
    }

    pub(crate) fn table(&self) -> Result<RowsOf, Fault> {
        RowsOf::parse(&self.table).ok_or_else(Fault::internal)
    }

    pub(crate) fn filter_text(&self) -> &str {
        &self.filter
    }

    pub(crate) fn filter(&self) -> Result<Filter, Fault> {
        read_filter(self.table()?, &self.filter)
    }

    pub(crate) fn range(&self) -> Result<TimeRange, Fault> {
        let all = TimeRange::all();
        let range = TimeRange::new(self.start.unwrap_or(all.start()), self.end.unwrap_or(all.end()));
        range.map_err(|why| Fault::new(Code::InvalidRequestBody, why.to_string()))
    }

    /// As it goes on record: what leaves, and where to, but not the filter, which may name people.
    pub(crate) fn recorded(&self, schedule: Option<&str>) -> Value {
        let Self { table, format, destination, .. } = self;
        json!({"table": table, "format": format, "destination": destination, "schedule": schedule})
    }

    /// How names of its files end.
    pub(crate) fn extension(&self) -> String {
        let text = match self.format {
            FileFormat::Parquet => return ".parquet".to_string(),
            FileFormat::Jsonl | FileFormat::OpenAi => ".jsonl",
            FileFormat::Csv => ".csv",
        };
        let packed = match self.compression {
            Compression::Zstd => ".zst",
            Compression::Gzip => ".gz",
            Compression::None => "",
        };
        format!("{text}{packed}")
    }
}

/// In the text language, as it is spoken of the table; no text is no filter.
pub(crate) fn read_filter(table: RowsOf, text: &str) -> Result<Filter, Fault> {
    if text.is_empty() {
        return Ok(Filter::default());
    }
    let read = match table {
        RowsOf::Scores => Filter::of_scores(text),
        RowsOf::Spans | RowsOf::Traces => text.parse(),
    };
    read.map_err(|slip| Fault::new(Code::InvalidFilter, slip.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_reads_back() {
        let destination = Destination::S3 {
            bucket: "b".into(),
            prefix: "p/q".into(),
            region: default_region(),
            endpoint: Some("https://s3.example.com".into()),
        };
        let filter: Filter = "kind = llm and tags = 'a b'".parse().unwrap();
        let dates = (Timestamp::parse("2026-01-01"), None);
        let spec = Spec::new(RowsOf::Spans, FileFormat::OpenAi, Compression::Gzip, &filter, dates, destination);
        let back = Spec::parse(&spec.to_text()).unwrap();
        assert_eq!(back, spec);
        assert_eq!(back.filter().unwrap(), filter);
        assert_eq!(back.extension(), ".jsonl.gz");
        assert_eq!(back.range().unwrap().start(), dates.0.unwrap());
    }

    /// Stays for ever: what the first version stored.
    #[test]
    fn what_the_first_version_stored_reads_for_ever() {
        let text = r#"{"v":1,"table":"spans","format":"parquet","compression":"zstd","filter":"","start":null,"end":null,"destination":{"type":"file","path":"w"}}"#;
        let spec = Spec::parse(text).unwrap();
        assert_eq!(spec.to_text(), text);
        assert_eq!((spec.table().unwrap(), spec.scores), (RowsOf::Spans, false));
        let with_scores = spec.with_scores(true);
        assert_eq!(Spec::parse(&with_scores.to_text()).unwrap(), with_scores);
        assert!(Spec::parse(&text.replace("\"v\":1", "\"v\":2")).is_err());
    }
}
