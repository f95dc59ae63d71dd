//! What a run has written, so that anyone can check that it is all there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use spanlake_catalog::ExportRun;
use spanlake_model::{ErasureId, Receipt, Timestamp};

use super::columns;

/// The version of [`Manifest`]; fields are added, never changed.
pub(crate) const VERSION: u32 = 1;

/// A run, as `manifest.json` in its folder has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) version: u32,
    pub(crate) export_id: String,
    pub(crate) run: u64,
    pub(crate) tenant_id: String,
    pub(crate) app_id: String,
    /// When it holds one agent's rows only.
    #[serde(default)]
    pub(crate) agent_id: Option<String>,
    pub(crate) table: String,
    pub(crate) format: String,
    pub(crate) compression: String,
    /// The columns by which a row replaces an older one.
    pub(crate) key: Vec<String>,
    pub(crate) filter: String,
    pub(crate) start_date: Option<String>,
    pub(crate) end_date: Option<String>,
    pub(crate) snapshot_at: String,
    /// Null when everything was exported.
    pub(crate) window: Option<Span>,
    pub(crate) schema: Vec<Column>,
    pub(crate) rows: u64,
    pub(crate) deletes: u64,
    pub(crate) bytes: u64,
    /// Rows that could not be written in this format, by reason.
    pub(crate) skipped: BTreeMap<String, u64>,
    pub(crate) files: Vec<File>,
    pub(crate) parent: Option<Parent>,
    pub(crate) created_at: String,
    /// Up to where each writer's log is exported with this run.
    pub(crate) through: Vec<String>,
    /// As `through`, of the scores that its rows show or are chosen by.
    #[serde(default)]
    pub(crate) scores_through: Vec<String>,
    /// Erasures that the deletes tell of.
    pub(crate) erasures: Vec<String>,
}

/// Up to where each writer's log is exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Through {
    pub(crate) rows: Vec<Receipt>,
    /// Of the scores that rows show or are chosen by.
    pub(crate) scores: Vec<Receipt>,
}

/// From one place of the writers' logs to another: half-open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Span {
    pub(crate) after: Vec<String>,
    pub(crate) through: Vec<String>,
}

/// A column of the files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) r#type: String,
    pub(crate) nullable: bool,
}

/// What is in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Rows,
    Deletes,
}

/// One file of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct File {
    /// Below the manifest's folder.
    pub(crate) path: String,
    pub(crate) kind: Kind,
    /// The day its rows start on; null for deletes.
    pub(crate) date: Option<String>,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    pub(crate) min_key: Option<String>,
    pub(crate) max_key: Option<String>,
}

/// The manifest before this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parent {
    pub(crate) run: u64,
    /// Below the export's folder.
    pub(crate) path: String,
    pub(crate) sha256: String,
}

impl Manifest {
    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string_pretty(self).expect("words and numbers make JSON")
    }

    /// `None` when it is no manifest of a version that is known.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().filter(|manifest: &Self| manifest.version == VERSION)
    }

    /// As the catalog notes it.
    pub(crate) fn summary(&self, path: String, text: &str) -> ExportRun {
        ExportRun {
            run: self.run,
            path,
            sha256: sha256(text.as_bytes()),
            rows: self.rows,
            deletes: self.deletes,
            bytes: self.bytes,
            files: self.files.len() as u64,
            created_at: Timestamp::parse(&self.created_at).unwrap_or_default(),
        }
    }

    pub(crate) fn through(&self) -> Option<Through> {
        let places = |words: &[String]| words.iter().map(|word| word.parse().ok()).collect::<Option<Vec<_>>>();
        Some(Through { rows: places(&self.through)?, scores: places(&self.scores_through)? })
    }

    pub(crate) fn told(&self) -> Option<Vec<ErasureId>> {
        self.erasures.iter().map(|id| id.parse().ok()).collect()
    }
}

/// In hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    columns::hex(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stays for ever: a manifest of the first version.
    const FIRST: &str = r#"{"version":1,"export_id":"e","run":2,"tenant_id":"t","app_id":"a","table":"spans","format":"parquet",
        "compression":"zstd","key":["app_id","trace_id","span_id"],"filter":"","start_date":null,"end_date":null,
        "snapshot_at":"2026-01-01T00:00:00Z","window":{"after":["09090909-0909-0909-0909-090909090909.1"],"through":[]},
        "schema":[{"name":"trace_id","type":"string","nullable":false}],"rows":3,"deletes":1,"bytes":9,"skipped":{},
        "files":[{"path":"deletes/x","kind":"deletes","date":null,"rows":1,"bytes":9,"sha256":"00","min_key":null,"max_key":null}],
        "parent":{"run":1,"path":"run=000001/manifest.json","sha256":"00"},"created_at":"2026-01-01T00:00:01Z",
        "through":["09090909-0909-0909-0909-090909090909.5"],"erasures":[]}"#;

    #[test]
    fn a_manifest_of_the_first_version_reads_for_ever() {
        let manifest = Manifest::parse(FIRST.as_bytes()).unwrap();
        assert_eq!(Manifest::parse(manifest.to_text().as_bytes()), Some(manifest.clone()));
        let through = manifest.through().unwrap();
        assert_eq!((through.rows[0].sequence, through.scores, &manifest.agent_id), (5, vec![], &None));
        let run = manifest.summary("p".into(), FIRST);
        assert_eq!((run.run, run.rows, run.deletes, run.bytes, run.files), (2, 3, 1, 9, 1));
        assert_eq!(Manifest::parse(FIRST.replace("\"version\":1", "\"version\":2").as_bytes()), None);
    }

    #[test]
    fn a_digest_is_hex() {
        assert_eq!(sha256(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
