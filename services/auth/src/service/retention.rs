//! How long a tenant keeps its rows.

use spanlake_model::{Caller, Table};

use super::Service;
use crate::error::Error;
use crate::input::invalid;

/// A hundred years: more is a mistake.
const DAYS_MAX: u32 = 36_500;

impl Service {
    /// How many days the caller's tenant keeps rows of this table; `None`: for ever.
    pub(crate) async fn kept_days(&self, caller: &Caller, table: Table) -> Result<Option<u32>, Error> {
        Ok(self.accounts.kept_days(caller.tenant(), table).await?)
    }

    /// Sets it for spans and, when that is given, for scores; what is older is hidden at once.
    pub(crate) async fn keep_days(
        &self,
        caller: &Caller,
        spans: Option<u32>,
        scores: Option<Option<u32>>,
    ) -> Result<(), Error> {
        let is_wrong = |days: Option<u32>| days.is_some_and(|days| !(1..=DAYS_MAX).contains(&days));
        for (field, days) in [("spans_days", spans), ("scores_days", scores.flatten())] {
            if is_wrong(days) {
                return Err(invalid(field, "must be from 1 to 36500, or null to keep them for ever").into());
            }
        }
        self.accounts.keep_days(caller.tenant(), Table::Spans, spans).await?;
        if let Some(scores) = scores {
            self.accounts.keep_days(caller.tenant(), Table::Scores, scores).await?;
        }
        tracing::info!(tenant.id = %caller.tenant(), retention.spans_days = ?spans, retention.scores_days = ?scores, "retention was set");
        Ok(())
    }
}
