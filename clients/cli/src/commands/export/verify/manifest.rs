//! A run's manifest, as far as it is checked. Fields that are not known here are left alone: they are added, never changed.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use serde::Deserialize;
use serde_json::Value;

/// The version that this reads.
const VERSION: u64 = 1;

#[derive(Debug, Deserialize)]
pub(super) struct Manifest {
    pub(super) export_id: String,
    pub(super) run: u64,
    pub(super) app_id: String,
    /// When it holds one agent's rows only.
    #[serde(default)]
    pub(super) agent_id: Option<String>,
    pub(super) table: String,
    pub(super) filter: Option<String>,
    pub(super) start_date: Option<String>,
    pub(super) end_date: Option<String>,
    pub(super) snapshot_at: String,
    /// Null when everything was exported.
    pub(super) window: Option<Value>,
    pub(super) rows: u64,
    pub(super) deletes: u64,
    pub(super) bytes: u64,
    #[serde(default)]
    pub(super) skipped: BTreeMap<String, u64>,
    pub(super) files: Vec<File>,
    pub(super) parent: Option<Parent>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Rows,
    Deletes,
}

#[derive(Debug, Deserialize)]
pub(super) struct File {
    pub(super) path: String,
    pub(super) kind: Kind,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Parent {
    /// Below the export's folder.
    pub(super) path: String,
    pub(super) sha256: String,
}

impl Manifest {
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(text).map_err(|error| format!("is no manifest: {error}"))?;
        match value["version"].as_u64() {
            Some(VERSION) => {}
            Some(other) => {
                return Err(format!("is a manifest of version {other}; this spanlake reads version {VERSION}"));
            }
            None => return Err("is no manifest: it has no version".to_owned()),
        }
        serde_json::from_value(value).map_err(|error| format!("is no manifest: {error}"))
    }

    /// What the export of pages is asked for the same rows.
    pub(super) fn live_query(&self) -> Vec<(&'static str, String)> {
        // The first and the last day that a span may have.
        let start = self.start_date.clone().unwrap_or_else(|| "1970-01-01".to_owned());
        let end = self.end_date.clone().unwrap_or_else(|| "2200-01-01".to_owned());
        let mut query = vec![("limit", "1".to_owned()), ("startDate", start), ("endDate", end)];
        query.extend(self.agent_id.clone().map(|agent| ("agentId", agent)));
        query.extend(self.filter.clone().filter(|filter| !filter.is_empty()).map(|filter| ("filter", filter)));
        query
    }
}

/// Whether a path of a manifest does not lead out of its folder.
pub(super) fn is_inside(path: &str) -> bool {
    !path.is_empty() && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}
