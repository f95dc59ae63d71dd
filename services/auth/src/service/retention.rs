//! How long a tenant keeps its rows.

use spanlake_model::{Caller, Table};

use super::Service;
use crate::error::Error;
use crate::input::invalid;

/// A hundred years: more is a mistake.
const DAYS_MAX: u32 = 36_500;

impl Service {
    /// How many days the caller's tenant keeps spans; `None`: for ever.
    pub(crate) async fn spans_days(&self, caller: &Caller) -> Result<Option<u32>, Error> {
        Ok(self.accounts.kept_days(caller.tenant(), Table::Spans).await?)
    }

    /// Sets it; what is older is hidden at once.
    pub(crate) async fn keep_spans(&self, caller: &Caller, days: Option<u32>) -> Result<(), Error> {
        if days.is_some_and(|days| !(1..=DAYS_MAX).contains(&days)) {
            return Err(invalid("spans_days", "must be from 1 to 36500, or null to keep spans for ever").into());
        }
        self.accounts.keep_days(caller.tenant(), Table::Spans, days).await?;
        tracing::info!(tenant.id = %caller.tenant(), retention.spans_days = ?days, "retention was set");
        Ok(())
    }
}
