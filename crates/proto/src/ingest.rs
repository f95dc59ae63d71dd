//! What query asks of ingest: rows that are durable and not yet in a data file.

mod flight;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use spanlake_model::{Fault, SpanKey, Table, TenantId, TimeRange, WriterId};

pub use flight::{FlightClient, flight_service};

/// Which rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreshRequest {
    /// Whose.
    pub tenant: TenantId,
    /// Of which table.
    pub table: Table,
    /// That may start in this range; rows outside it may come too, and the caller filters.
    pub range: TimeRange,
    /// In which writer's log.
    pub writer: WriterId,
    /// The watermark read from the catalog: rows up to this sequence are in data files.
    pub after_sequence: u64,
    /// Answer no earlier than this frame; 0 = as it is now. From a [`spanlake_model::Receipt`].
    pub reach_sequence: u64,
    /// The version of the table in the caller's view of the catalog. The writer settles its rows against every file up to
    /// there before it answers, whoever wrote it: what loses is not among the rows, what wins is among the superseded keys.
    pub known_version: u64,
}

/// One writer's answer, taken at one instant.
#[derive(Clone, Debug)]
pub enum Fresh {
    /// The rows, each key once, in the table's schema. Two writers may both answer with a row of one key.
    Rows(FreshRows),
    /// A flush has overtaken `after_sequence`: read the catalog again and ask with the new watermark.
    Stale,
}

/// Rows above a watermark.
#[derive(Clone, Debug, Default)]
pub struct FreshRows {
    /// The tenant's last frame in this table, whether its rows are in `batches` or in data files already; 0 when it has none.
    /// All that was acknowledged before the question is at or below it.
    pub through_sequence: u64,
    /// Rows with these keys in data files are replaced by one of `batches`.
    pub superseded: Vec<SpanKey>,
    /// The rows, in `store::schema` of the table.
    pub batches: Vec<RecordBatch>,
}

/// A way to each live writer. In standalone the writer itself; in a cluster an Arrow Flight client per writer's address.
#[async_trait]
pub trait FreshSource: Send + Sync + 'static {
    /// The rows of `request.writer`, reached at `address` (as the catalog lists it; the writer in this process ignores it).
    ///
    /// # Errors
    /// `service_unavailable` when the writer cannot be reached, does not know itself by that id, cannot read the files up to
    /// `known_version`; `invalid_query_params` when it has given no receipt of `reach_sequence` yet.
    async fn fresh(&self, address: &str, request: FreshRequest) -> Result<Fresh, Fault>;
}
