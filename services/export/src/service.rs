//! What an export is, whichever way it is asked for.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use spanlake_model::{Caller, Clock, Code, Fault, Scope, Timestamp};
use spanlake_proto::export::{Export, ExportRequest};
use spanlake_proto::query::{ScanRequest, SpanSource};

use crate::cursor::{Cursor, QueryDigest};
use crate::lines::{self, Query};
use crate::{Config, LIMIT_MAX};

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
    scan: ScanRequest,
    query: Query,
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
    /// none or belongs to another query.
    pub fn plan(&self, caller: &Caller, request: ExportRequest) -> Result<Plan, Fault> {
        caller.require(Scope::Export)?;
        let ExportRequest { range, filter, cursor, limit, lightweight } = request;
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(Fault::new(Code::InvalidQueryParams, "The limit is out of bounds.")
                .detail("limit", format!("must be from 1 to {LIMIT_MAX}")));
        }
        let digest = QueryDigest::of(caller, range, &filter);
        let after = cursor.map(|text| Cursor::parse(&text)?.position(digest)).transpose()?;
        let scan = ScanRequest { range, filter, after, limit, without_io: lightweight };
        Ok(Plan { caller: *caller, scan, query: Query { range, digest, limit } })
    }

    /// Starts what has been planned. Dropping the stream stops it.
    ///
    /// # Errors
    /// Whatever the source answers; what fails later comes in the stream, which then ends without a trailer.
    #[tracing::instrument(name = "export.start", skip_all, fields(tenant.id = %plan.caller.tenant()))]
    pub async fn start(&self, plan: Plan) -> Result<BoxStream<'static, Result<Bytes, Fault>>, Fault> {
        let scan = self.spans.scan(&plan.caller, plan.scan).await?;
        Ok(lines::stream(scan, plan.query))
    }
}

#[async_trait]
impl Export for Service {
    async fn export(
        &self,
        caller: &Caller,
        request: ExportRequest,
    ) -> Result<BoxStream<'static, Result<Bytes, Fault>>, Fault> {
        self.start(self.plan(caller, request)?).await
    }
}
