//! What a tenant may use, and what it has used.

use spanlake_catalog::UsageDay;
use spanlake_model::{Caller, Code, Day, Fault, Limits, Table, TenantId, Timestamp};

use super::Service;
use crate::error::Error;

/// Limits that are asked for; what is not given stays as it is.
#[derive(Default)]
pub(crate) struct NewLimits {
    pub(crate) requests_per_second: Option<u32>,
    pub(crate) spans_per_second: Option<u32>,
    pub(crate) bytes_per_second: Option<u64>,
    pub(crate) exports_per_hour: Option<u32>,
    pub(crate) spans_per_month: Option<Option<u64>>,
    pub(crate) queries_at_once: Option<Option<u32>>,
}

/// What was used on one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) day: Day,
    pub(crate) spans: u64,
    pub(crate) scores: u64,
    pub(crate) bytes: u64,
}

/// Days that one answer covers at most.
const USAGE_DAYS_MAX: i32 = 400;

impl Service {
    /// What the caller's tenant may use.
    pub(crate) async fn limits(&self, caller: &Caller) -> Result<Limits, Error> {
        let tenant = self.accounts.tenant(caller.tenant()).await?;
        Ok(tenant.ok_or_else(|| Fault::not_found("tenant"))?.limits)
    }

    /// Sets it, within what this installation allows.
    pub(crate) async fn set_limits(&self, caller: &Caller, new: NewLimits) -> Result<Limits, Error> {
        let now = self.limits(caller).await?;
        let limits = Limits {
            requests_per_second: new.requests_per_second.unwrap_or(now.requests_per_second),
            spans_per_second: new.spans_per_second.unwrap_or(now.spans_per_second),
            bytes_per_second: new.bytes_per_second.unwrap_or(now.bytes_per_second),
            exports_per_hour: new.exports_per_hour.unwrap_or(now.exports_per_hour),
            spans_per_month: new.spans_per_month.unwrap_or(now.spans_per_month),
            queries_at_once: new.queries_at_once.unwrap_or(now.queries_at_once),
        };
        within(&limits, &self.config.limits_max)?;
        if self.accounts.set_limits(caller.tenant(), limits).await? {
            return Ok(limits);
        }
        Err(Fault::not_found("tenant").into())
    }

    /// What the caller's tenant took in on each day from `first` to `last`, the last 30 days unless said; days without anything are
    /// left out.
    pub(crate) async fn usage(
        &self,
        caller: &Caller,
        first: Option<Day>,
        last: Option<Day>,
    ) -> Result<Vec<Used>, Error> {
        let last = last.unwrap_or(Day::of(self.clock.now()));
        let first = first.unwrap_or(Day(last.0.saturating_sub(29)));
        if first > last || last.0.saturating_sub(first.0) >= USAGE_DAYS_MAX {
            let why = "must not be after 'end_date', nor more than 400 days before it";
            let fault = Fault::new(Code::InvalidQueryParams, format!("'start_date' {why}."));
            return Err(fault.detail("start_date", why).into());
        }
        Ok(by_day(&self.accounts.usage(caller.tenant(), first, last).await?))
    }

    /// Spans that the tenant may still store this month; `None`: any number.
    pub(super) async fn spans_left(&self, tenant: TenantId, limits: &Limits) -> Result<Option<u64>, Error> {
        let Some(most) = limits.spans_per_month else { return Ok(None) };
        let now = self.clock.now();
        let used = self.accounts.usage(tenant, first_of_month(now), Day::of(now)).await?;
        let spans = used.iter().filter(|used| used.table == Table::Spans).map(|used| used.rows);
        Ok(Some(most.saturating_sub(spans.sum())))
    }
}

fn within(limits: &Limits, most: &Limits) -> Result<(), Fault> {
    let month = |limits: &Limits| limits.spans_per_month.unwrap_or(u64::MAX);
    for (field, asked, most) in [
        ("requests_per_second", limits.requests_per_second.into(), most.requests_per_second.into()),
        ("spans_per_second", limits.spans_per_second.into(), most.spans_per_second.into()),
        ("bytes_per_second", limits.bytes_per_second, most.bytes_per_second),
        ("exports_per_hour", limits.exports_per_hour.into(), most.exports_per_hour.into()),
        ("spans_per_month", month(limits), month(most)),
        // None is no more than any: the query service has the last word.
        (
            "queries_at_once",
            limits.queries_at_once.unwrap_or(0).into(),
            most.queries_at_once.unwrap_or(u32::MAX).into(),
        ),
    ] {
        if asked > most {
            let why = format!("must be at most {most} here");
            return Err(Fault::new(Code::InvalidRequestBody, format!("'{field}' {why}.")).detail(field, why));
        }
    }
    if limits.queries_at_once == Some(0) {
        let why = "must be 1 or more, or null for as many as the installation lets a tenant run";
        let fault = Fault::new(Code::InvalidRequestBody, format!("'queries_at_once' {why}."));
        return Err(fault.detail("queries_at_once", why));
    }
    // More is not stored: the catalog's numbers are signed.
    if limits.bytes_per_second > i64::MAX.unsigned_abs() || month(limits).wrapping_add(1) > i64::MAX.unsigned_abs() {
        let why = "is larger than any number here";
        return Err(Fault::new(Code::InvalidRequestBody, format!("A limit {why}.")).detail("limits", why));
    }
    Ok(())
}

fn by_day(rows: &[UsageDay]) -> Vec<Used> {
    let mut days: Vec<Used> = Vec::new();
    for row in rows {
        let is_new = days.last().is_none_or(|last| last.day != row.day);
        if is_new {
            days.push(Used { day: row.day, spans: 0, scores: 0, bytes: 0 });
        }
        let Some(day) = days.last_mut() else { continue };
        day.bytes += row.bytes;
        match row.table {
            Table::Spans => day.spans += row.rows,
            Table::Scores => day.scores += row.rows,
        }
    }
    days
}

/// The first day of the month, UTC. RFC 3339 text has the year and the month in front.
fn first_of_month(now: Timestamp) -> Day {
    let text = now.to_string();
    let month = text.get(..7).and_then(|month| Timestamp::parse(&format!("{month}-01T00:00:00Z")));
    Day::of(month.unwrap_or(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_begins_on_its_first_day() {
        let first = |text: &str| first_of_month(Timestamp::parse(text).unwrap()).start().to_string();
        assert!(first("2028-02-29T23:59:59.999Z").starts_with("2028-02-01T00:00:00"));
        assert!(first("2027-01-01T00:00:00Z").starts_with("2027-01-01T00:00:00"));
    }

    #[test]
    fn no_limit_is_above_any_limit() {
        let most = Limits { spans_per_month: Some(5), ..Limits::default() };
        assert!(within(&Limits { spans_per_month: None, ..Limits::default() }, &most).is_err());
        assert!(within(&Limits { spans_per_month: Some(5), ..Limits::default() }, &most).is_ok());
        let refused = within(&Limits { exports_per_hour: 11, ..Limits::default() }, &Limits::default()).unwrap_err();
        assert_eq!(refused.details["exports_per_hour"], "must be at most 10 here");
        let open = Limits { spans_per_month: None, bytes_per_second: u64::MAX, ..Limits::default() };
        assert!(within(&Limits { spans_per_month: Some(u64::MAX - 1), ..Limits::default() }, &open).is_err());
    }
}
