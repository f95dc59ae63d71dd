//! Leases of days.

use async_trait::async_trait;
use spanlake_model::{CompactorId, Day, Table, Timestamp};
use sqlx::any::{AnyQueryResult, AnyRow};
use sqlx::query;

use super::Catalog;
use super::row::{Columns as _, maybe_stored, stored};
use crate::error::Error;
use crate::jobs::{DayLease, Ended, Jobs, TenantDay, Wanted};

/// Files, by day, that are below their final size, and all of days that are over and were never finished; a day without a job is
/// as if it had failed never and settled nothing.
const DAYS: &str = "SELECT f.tenant_id, f.table_name, f.day, SUM(CASE WHEN f.byte_count <= $1 THEN 1 ELSE 0 END) AS files \
    FROM data_files f LEFT JOIN jobs j ON j.tenant_id = f.tenant_id AND j.table_name = f.table_name AND j.day = f.day \
    WHERE f.removed_at IS NULL AND (f.byte_count <= $1 OR (f.day < $4 AND j.finished_at IS NULL)) \
    AND COALESCE(j.lease_until, $2) <= $2 AND COALESCE(j.not_before, $2) <= $2 \
    GROUP BY f.tenant_id, f.table_name, f.day \
    HAVING (SUM(CASE WHEN f.byte_count <= $1 THEN 1 ELSE 0 END) >= $3 AND (MAX(f.version) > MAX(COALESCE(j.settled_version, 0)) \
    OR MAX(COALESCE(j.settled_rules, '')) <> $6)) \
    OR ((COUNT(*) >= 2 OR MAX(f.byte_count) >= $7) AND f.day < $4 AND MAX(j.finished_at) IS NULL) \
    ORDER BY files DESC, f.tenant_id, f.table_name, f.day LIMIT $5";

#[async_trait]
impl Jobs for Catalog {
    async fn days(&self, wanted: Wanted, most: u32) -> Result<Vec<TenantDay>, Error> {
        let found = query(DAYS)
            .bind(stored(wanted.small_bytes)?)
            .bind(wanted.now.as_nanos())
            .bind(stored(wanted.least_files.max(2))?)
            .bind(i64::from(wanted.closed_before.0))
            .bind(i64::from(most))
            .bind(wanted.rules)
            .bind(stored(wanted.alone_bytes_min)?);
        found.fetch_all(&self.read).await?.iter().map(read_tenant_day).collect()
    }

    async fn claim(
        &self,
        owner: CompactorId,
        day: TenantDay,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<DayLease>, Error> {
        let claimed = query(
            "INSERT INTO jobs (tenant_id, table_name, day, owner, lease_until, failures, not_before, settled_version, \
             settled_rules) \
             VALUES ($1, $2, $3, $4, $5, 0, $6, 0, '') \
             ON CONFLICT (tenant_id, table_name, day) DO UPDATE SET owner = excluded.owner, lease_until = excluded.lease_until \
             WHERE jobs.lease_until <= $6 AND jobs.not_before <= $6 RETURNING failures, finished_at",
        )
        .bind(day.tenant.to_string())
        .bind(day.table.as_str())
        .bind(i64::from(day.day.0))
        .bind(owner.to_string())
        .bind(until.as_nanos())
        .bind(now.as_nanos());
        let Some(row) = claimed.fetch_optional(&self.write).await? else { return Ok(None) };
        let is_finished = row.maybe_time("finished_at")?.is_some();
        let (tenant, table, failures) = (day.tenant, day.table, row.number("failures")?);
        Ok(Some(DayLease { owner, tenant, table, day: day.day, failures, is_finished }))
    }

    async fn renew(&self, lease: DayLease, until: Timestamp) -> Result<(), Error> {
        let renewed = query(
            "UPDATE jobs SET lease_until = $5 WHERE tenant_id = $1 AND table_name = $2 AND day = $3 AND owner = $4",
        )
        .bind(lease.tenant.to_string())
        .bind(lease.table.as_str())
        .bind(i64::from(lease.day.0))
        .bind(lease.owner.to_string())
        .bind(until.as_nanos());
        held(&renewed.execute(&self.write).await?)
    }

    async fn end(&self, lease: DayLease, ended: Ended) -> Result<(), Error> {
        // A lease that ends at 0 is over, whatever the clock.
        let mut rules = None;
        let (failures, not_before, settled, finished_at) = match ended {
            Ended::Settled { version, rules: settled_by, finished_at } => {
                rules = Some(settled_by);
                (Some(0), Some(0), Some(stored(version)?), finished_at)
            }
            Ended::Failed { not_before } => {
                (Some(stored(lease.failures + 1)?), Some(not_before.as_nanos()), None, None)
            }
            Ended::Left => (None, None, None, None),
        };
        let given_back = query(
            "UPDATE jobs SET lease_until = 0, failures = COALESCE($5, failures), not_before = COALESCE($6, not_before), \
             settled_version = COALESCE($7, settled_version), finished_at = COALESCE($8, finished_at), \
             settled_rules = COALESCE($9, settled_rules) \
             WHERE tenant_id = $1 AND table_name = $2 AND day = $3 AND owner = $4",
        )
        .bind(lease.tenant.to_string())
        .bind(lease.table.as_str())
        .bind(i64::from(lease.day.0))
        .bind(lease.owner.to_string())
        .bind(failures)
        .bind(not_before)
        .bind(settled)
        .bind(maybe_stored(finished_at))
        .bind(rules);
        held(&given_back.execute(&self.write).await?)
    }
}

pub(super) fn held(updated: &AnyQueryResult) -> Result<(), Error> {
    if updated.rows_affected() == 1 { Ok(()) } else { Err(Error::Changed("the owner of the work")) }
}

fn read_tenant_day(row: &AnyRow) -> Result<TenantDay, Error> {
    Ok(TenantDay {
        tenant: row.parsed("tenant_id")?,
        table: row.word("table_name", Table::parse)?,
        day: Day(row.number("day")?),
        files: row.number("files")?,
    })
}
