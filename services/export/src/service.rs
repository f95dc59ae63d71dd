//! What an export is, whichever way it is asked for.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::json;
use spanlake_catalog::Deed;
use spanlake_model::{Caller, Clock, Code, Fault, Scope, Timestamp};
use spanlake_proto::export::{Export, ExportRequest, Format, Piece};
use spanlake_proto::query::{ScanRequest, SpanSource};

use crate::cursor::{Cursor, Page, QueryDigest};
use crate::{Config, LIMIT_MAX, pieces};

/// Makes exports from whoever has the spans.
pub struct Service {
    spans: Arc<dyn SpanSource>,
    clock: Arc<dyn Clock>,
    config: Config,
}

/// An export that has been checked and can start.
#[derive(Clone, Debug)]
pub struct Plan {
    caller: Caller,
    format: Format,
    scan: ScanRequest,
    digest: QueryDigest,
}

impl Plan {
    /// As it goes on record: how much of what, but not the filter, which may name people.
    pub(crate) fn deed(&self) -> Deed {
        let ScanRequest { range, limit, without_io, .. } = &self.scan;
        let (start, end) = (range.start().to_string(), range.end().to_string());
        let asked = json!({
            "format": self.format.as_str(), "start_date": start, "end_date": end, "limit": limit, "lightweight": without_io,
        });
        Deed { action: "traces.exported", target: self.caller.app().to_string(), asked }
    }
}

/// An export under way.
pub struct Started {
    /// Rows that match, on all pages.
    pub total: u64,
    /// Rows on this page, whether they can be written or not.
    pub rows: u64,
    /// Where the next page starts; set exactly when this one is full.
    pub next_cursor: Option<String>,
    /// The text, then the summary.
    pub pieces: BoxStream<'static, Result<Piece, Fault>>,
}

impl Service {
    /// Exports what `spans` holds.
    pub fn new(spans: Arc<dyn SpanSource>, clock: Arc<dyn Clock>, config: Config) -> Self {
        Self { spans, clock, config }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn default_range(&self) -> Duration {
        Duration::from_hours(24 * u64::from(self.config.default_range_days))
    }

    /// Checks a request; reads nothing.
    ///
    /// # Errors
    /// `forbidden` without the scope `export`; `invalid_query_params` for a limit out of bounds and for a cursor that is
    /// none or belongs to another query, and for conversations without what was said.
    pub fn plan(&self, caller: &Caller, request: ExportRequest) -> Result<Plan, Fault> {
        caller.require(Scope::Export)?;
        let ExportRequest { format, range, filter, cursor, limit, lightweight, receipt } = request;
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(Fault::new(Code::InvalidQueryParams, "The limit is out of bounds.")
                .detail("limit", format!("must be from 1 to {LIMIT_MAX}")));
        }
        if lightweight && format == Format::OpenAi {
            return Err(Fault::new(Code::InvalidQueryParams, "A conversation needs what was said.")
                .detail("lightweight", "leaves out input and output, of which openai rows are made; leave it out"));
        }
        let digest = QueryDigest::of(caller, range, &filter);
        let after = cursor.map(|text| Cursor::parse(&text)?.position(digest)).transpose()?;
        let scan = ScanRequest { range, filter, after, limit, without_io: lightweight, receipt };
        Ok(Plan { caller: *caller, format, scan, digest })
    }

    /// Starts what has been planned. Dropping the stream stops it.
    ///
    /// # Errors
    /// Whatever the source answers; what fails later comes in the stream, which then ends without a trailer.
    #[tracing::instrument(name = "export.start", skip_all, fields(tenant.id = %plan.caller.tenant()))]
    pub async fn start(&self, plan: Plan) -> Result<Started, Fault> {
        let Plan { caller, format, scan, digest } = plan;
        let (range, limit) = (scan.range, scan.limit as u64);
        let scan = self.spans.scan(&caller, scan).await?;
        let last = scan.last.filter(|_| scan.rows == limit);
        let next_cursor = last.map(|last| Page { range, last, query: digest }.encode());
        let (total, rows) = (scan.total, scan.rows);
        Ok(Started { total, rows, next_cursor: next_cursor.clone(), pieces: pieces::stream(scan, format, next_cursor) })
    }
}

#[async_trait]
impl Export for Service {
    async fn export(
        &self,
        caller: &Caller,
        request: ExportRequest,
    ) -> Result<BoxStream<'static, Result<Piece, Fault>>, Fault> {
        Ok(self.start(self.plan(caller, request)?).await?.pieces)
    }
}
