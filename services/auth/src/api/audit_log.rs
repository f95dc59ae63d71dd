//! `/v1/audit-log`

pub(super) mod check;
pub(super) mod list;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// One change, as it is on record.
#[derive(Serialize, ToSchema)]
pub(super) struct AuditEntry {
    /// From 1, without a gap.
    sequence: u64,
    at: String,
    /// `member`, `key`, or `installation` for whoever runs the server.
    actor_type: &'static str,
    /// Whose id it is; they may be gone by now. Null for the installation.
    actor_id: Option<String>,
    /// Where the request came from, if that is known.
    address: Option<String>,
    /// What was done, like `api_key.revoked`.
    action: String,
    /// The id of what it was done to.
    target: String,
    /// What was so.
    before: Option<Value>,
    /// What is so since then.
    after: Option<Value>,
    /// SHA-256 over the entry and the hash of the one before, in hex.
    hash: String,
}

impl From<spanlake_catalog::AuditEntry> for AuditEntry {
    fn from(entry: spanlake_catalog::AuditEntry) -> Self {
        let read = |text: Option<String>| text.map(|text| serde_json::from_str(&text).unwrap_or(Value::String(text)));
        let (actor_type, actor_id) = entry.actor.named();
        Self {
            sequence: entry.sequence,
            at: entry.at.to_string(),
            actor_type,
            actor_id,
            address: entry.address,
            action: entry.action,
            target: entry.target,
            before: read(entry.before),
            after: read(entry.after),
            hash: hex(&entry.hash),
        }
    }
}

pub(super) fn hex(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
