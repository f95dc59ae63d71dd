//! How long rows are kept.

use std::time::Duration;

use spanlake_model::{Table, TenantId, Timestamp};
use sqlx::{AnyConnection, query};

use super::row::{Columns as _, refused};
use crate::error::Error;

const DAY: Duration = Duration::from_secs(86_400);

/// Parameters: table, now, what a tenant that has not said keeps from, limit. A null number of days compares with nothing.
/// Nothing is kept of a tenant that was deleted.
pub(super) const EXPIRED: &str = "SELECT data_files.id, data_files.tenant_id, data_files.table_name, day, path, row_count, \
     byte_count, min_start, max_start, version, superseded FROM data_files \
     LEFT JOIN retentions ON retentions.tenant_id = data_files.tenant_id AND retentions.table_name = data_files.table_name \
     LEFT JOIN closed_tenants ON closed_tenants.tenant_id = data_files.tenant_id \
     WHERE data_files.table_name = $1 AND removed_at IS NULL AND (closed_tenants.tenant_id IS NOT NULL \
     OR max_start < CASE WHEN retentions.tenant_id IS NULL THEN $3 ELSE $2 - retentions.days * 86400000000000 END) \
     ORDER BY max_start, data_files.id LIMIT $4";

/// The start of the oldest rows that are kept.
pub(super) fn kept_from(now: Timestamp, days: Option<u32>) -> Timestamp {
    days.map_or(Timestamp::from_nanos(i64::MIN), |days| now.minus(DAY * days))
}

/// The tenant's own rule, else the table's; within the transaction of a snapshot.
pub(super) async fn kept_days(
    connection: &mut AnyConnection,
    tenant: TenantId,
    table: Table,
) -> Result<Option<u32>, Error> {
    let found = query("SELECT days FROM retentions WHERE tenant_id = $1 AND table_name = $2");
    match found.bind(tenant.to_string()).bind(table.as_str()).fetch_optional(connection).await? {
        Some(row) => row.maybe_number("days"),
        None => Ok(table.kept_days()),
    }
}

pub(super) async fn set(
    connection: &mut AnyConnection,
    tenant: TenantId,
    table: Table,
    days: Option<u32>,
) -> Result<(), Error> {
    query(
        "INSERT INTO retentions (tenant_id, table_name, days) VALUES ($1, $2, $3) \
         ON CONFLICT (tenant_id, table_name) DO UPDATE SET days = excluded.days",
    )
    .bind(tenant.to_string())
    .bind(table.as_str())
    .bind(days.map(i64::from))
    .execute(connection)
    .await
    .map_err(refused("a retention"))?;
    Ok(())
}
