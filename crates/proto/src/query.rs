//! What export asks of query: spans in full, as record batches; and all rows of a table, for its jobs.

mod flight;
mod rows;

use std::fmt;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use futures::stream::BoxStream;
use spanlake_model::{Caller, Fault, Position, Receipt, SpanFilter, TimeRange};

pub use flight::{FlightClient, flight_service};
pub use rows::{FITS, RowSource, Rows, RowsOf, RowsRequest, Window};

/// The column of a scan behind those of spans: what scores say of the row, as a JSON object of means by name, or null. Its own scores,
/// else those that its trace was given.
pub const SCORES: &str = "scores";

/// Which spans, newest first.
#[derive(Clone, Debug, PartialEq)]
pub struct ScanRequest {
    /// Started in this range.
    pub range: TimeRange,
    /// And like this.
    pub filter: SpanFilter,
    /// Strictly after this place in the order.
    pub after: Option<Position>,
    /// At most this many.
    pub limit: usize,
    /// Leave `input` and `output` null, unread.
    pub without_io: bool,
    /// Include the write that was answered with this.
    pub receipt: Option<Receipt>,
}

/// The answer to a scan: one snapshot, streamed.
pub struct Scan {
    /// How many rows match in the range, ignoring `after` and `limit`.
    pub total: u64,
    /// How many rows the stream brings; one that ends earlier without an error is broken.
    pub rows: u64,
    /// The last of them.
    pub last: Option<Position>,
    /// The rows in order, in `store::schema` of spans, with [`SCORES`] behind. Attributes, resource, events and links are left out, `{}`
    /// and `[]` in their place.
    pub batches: BoxStream<'static, Result<RecordBatch, Fault>>,
}

impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan").field("total", &self.total).field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// Reads spans of the caller's app. Dropping the stream stops the query.
#[async_trait]
pub trait SpanSource: Send + Sync + 'static {
    /// Plans the scan and starts it.
    async fn scan(&self, caller: &Caller, request: ScanRequest) -> Result<Scan, Fault>;
}
