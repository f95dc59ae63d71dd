//! Tenants as a whole: limits, use, and the end of one.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use spanlake_model::{Changed, Day, KeyId, Limits, Table, TenantId, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, query};

use super::Catalog;
use super::accounts::{all, one, read_tenant, tenant_columns};
use super::audit::Note;
use super::changes::announce;
use super::keys::read_key_id;
use super::row::{Columns as _, stored};
use crate::error::Error;
use crate::files::DataFile;
use crate::tenancy::{ClosedTenant, Holdings, Tenancy, UsageDay};

/// What hangs on the tenant's exports.
const EXPORT_TABLES: [&str; 2] = ["export_runs", "export_erasures"];

/// What goes with its tenant at once, in an order that no reference forbids.
pub(super) const ACCOUNT_TABLES: [&str; 13] = [
    "api_keys",
    "password_resets",
    "refresh_tokens",
    "invites",
    "members",
    "agents",
    "apps",
    "retentions",
    "own_prices",
    "exports",
    "audit_log",
    "audit_heads",
    "tenants",
];

#[async_trait]
impl Tenancy for Catalog {
    async fn set_limits(&self, tenant: TenantId, limits: Limits) -> Result<bool, Error> {
        let mut transaction = self.begin_write().await?;
        let found =
            query(concat!("SELECT ", tenant_columns!(), " FROM tenants WHERE id = $1")).bind(tenant.to_string());
        let Some(found) = one(found, &mut *transaction, read_tenant).await? else { return Ok(false) };
        query(
            "UPDATE tenants SET requests_per_second = $1, spans_per_second = $2, bytes_per_second = $3, \
             exports_per_hour = $4, spans_per_month = $5, queries_at_once = $6 WHERE id = $7",
        )
        .bind(i64::from(limits.requests_per_second))
        .bind(i64::from(limits.spans_per_second))
        .bind(stored(limits.bytes_per_second)?)
        .bind(i64::from(limits.exports_per_hour))
        .bind(limits.spans_per_month.map(stored).transpose()?)
        .bind(limits.queries_at_once.map(i64::from))
        .bind(tenant.to_string())
        .execute(&mut *transaction)
        .await?;
        announce(&mut transaction, tenant, &[Changed::Tenant(tenant)]).await?;
        let note = Note::new("limits.set", tenant).before(json!(found.limits)).after(json!(limits));
        self.note(&mut transaction, tenant, note).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn holdings(&self, tenant: TenantId, now: Timestamp) -> Result<Holdings, Error> {
        let counted = query(
            "SELECT (SELECT COUNT(*) FROM apps WHERE tenant_id = $1 AND deleted_at IS NULL) AS app_count, \
             (SELECT COUNT(*) FROM agents WHERE tenant_id = $1 AND deleted_at IS NULL) AS agent_count, \
             (SELECT COUNT(*) FROM api_keys WHERE tenant_id = $1 AND revoked_at IS NULL \
             AND (expires_at IS NULL OR expires_at > $2)) AS key_count, \
             (SELECT COUNT(*) FROM members WHERE tenant_id = $1) AS member_count",
        );
        let row = counted.bind(tenant.to_string()).bind(now.as_nanos()).fetch_one(&self.read).await?;
        Ok(Holdings {
            apps: row.number("app_count")?,
            agents: row.number("agent_count")?,
            keys: row.number("key_count")?,
            members: row.number("member_count")?,
        })
    }

    async fn usage(&self, tenant: TenantId, first: Day, last: Day) -> Result<Vec<UsageDay>, Error> {
        let found = query(
            "SELECT day, table_name, row_count, byte_count FROM usage_days WHERE tenant_id = $1 AND day >= $2 AND day <= $3 \
             ORDER BY day, table_name",
        );
        let found = found.bind(tenant.to_string()).bind(i64::from(first.0)).bind(i64::from(last.0));
        all(found, &self.read, read_usage_day).await
    }

    async fn close_tenant(
        &self,
        tenant: TenantId,
        receipt_hash: &[u8],
        at: Timestamp,
    ) -> Result<Option<Vec<KeyId>>, Error> {
        let mut transaction = self.begin_write().await?;
        let id = tenant.to_string();
        // Held: whoever adds something to the tenant meanwhile waits, and then finds no tenant.
        let held = query("UPDATE tenants SET name = name WHERE id = $1").bind(&id).execute(&mut *transaction).await?;
        if held.rows_affected() == 0 {
            return Ok(None);
        }
        // Those that nobody gets in with anyway are nothing to tell.
        let keys = query(
            "SELECT id FROM api_keys WHERE tenant_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)",
        );
        let keys = keys.bind(&id).bind(at.as_nanos());
        let keys = all(keys, &mut *transaction, read_key_id).await?;
        for table in EXPORT_TABLES {
            let delete =
                format!("DELETE FROM {table} WHERE export_id IN (SELECT id FROM exports WHERE tenant_id = $1)");
            query(AssertSqlSafe(delete)).bind(&id).execute(&mut *transaction).await?;
        }
        for table in ACCOUNT_TABLES {
            let column = if table == "tenants" { "id" } else { "tenant_id" };
            let delete = format!("DELETE FROM {table} WHERE {column} = $1");
            query(AssertSqlSafe(delete)).bind(&id).execute(&mut *transaction).await?;
        }
        query(
            "INSERT INTO closed_tenants (tenant_id, receipt_hash, requested_at, finished_at) VALUES ($1, $2, $3, NULL)",
        )
        .bind(&id)
        .bind(hex::encode(receipt_hash))
        .bind(at.as_nanos())
        .execute(&mut *transaction)
        .await?;
        let changed: Vec<_> = keys.iter().copied().map(Changed::Key).chain([Changed::Tenant(tenant)]).collect();
        announce(&mut transaction, tenant, &changed).await?;
        transaction.commit().await?;
        Ok(Some(keys))
    }

    async fn closed_tenant(&self, receipt_hash: &[u8]) -> Result<Option<ClosedTenant>, Error> {
        let found = query("SELECT requested_at, finished_at FROM closed_tenants WHERE receipt_hash = $1");
        one(found.bind(hex::encode(receipt_hash)), &self.read, read_closed).await
    }
}

/// What goes with the last file of a tenant that was deleted.
pub(super) const DATA_TABLES: [&str; 5] = ["erasures", "jobs", "watermarks", "versions", "usage_days"];

/// What a process had let in before it knew, and what was in memory then, has reached a file by now, where all is well.
pub(super) const SETTLED_AFTER: Duration = Duration::from_secs(3_600);
/// So long after the deletion nobody lets anything in any more: a process that is cut off from auth knows its callers for five minutes.
pub(super) const LET_IN_FOR: Duration = Duration::from_secs(600);

/// Begins the condition that every writer that may hold rows has said that nothing is left of what it let in before a time, which follows with
/// `))`. One that is down has them in its log, and has not said so.
macro_rules! all_settled {
    () => {
        "NOT EXISTS (SELECT 1 FROM writers WHERE status = 'registered' AND (settled_at IS NULL OR settled_at < "
    };
}
pub(super) use all_settled;

impl Catalog {
    /// Forgets all that is left of tenants that were deleted, once their files are.
    pub(super) async fn finish_closed(&self, at: Timestamp) -> Result<(), Error> {
        let over = query(concat!(
            "SELECT tenant_id FROM closed_tenants WHERE finished_at IS NULL AND requested_at <= $1 \
             AND NOT EXISTS (SELECT 1 FROM data_files WHERE data_files.tenant_id = closed_tenants.tenant_id) AND ",
            all_settled!(),
            "closed_tenants.requested_at + $2)) LIMIT 100",
        ));
        let over = over.bind(at.minus(SETTLED_AFTER).as_nanos()).bind(nanos(LET_IN_FOR)).fetch_all(&self.read).await?;
        for row in over {
            let tenant = row.text("tenant_id")?;
            let mut transaction = self.begin_write().await?;
            let files =
                query("DELETE FROM erased_files WHERE erasure_id IN (SELECT id FROM erasures WHERE tenant_id = $1)");
            files.bind(&tenant).execute(&mut *transaction).await?;
            for table in DATA_TABLES {
                let delete = format!("DELETE FROM {table} WHERE tenant_id = $1");
                query(AssertSqlSafe(delete)).bind(&tenant).execute(&mut *transaction).await?;
            }
            query("DELETE FROM account_changes WHERE tenant_id = $1").bind(&tenant).execute(&mut *transaction).await?;
            let finished = query("UPDATE closed_tenants SET finished_at = $1 WHERE tenant_id = $2");
            finished.bind(at.as_nanos()).bind(&tenant).execute(&mut *transaction).await?;
            transaction.commit().await?;
        }
        Ok(())
    }
}

pub(super) fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// Counts the rows of files that are being committed, by the day on which they were written.
pub(super) async fn count(connection: &mut AnyConnection, files: &[DataFile]) -> Result<(), Error> {
    for file in files {
        let day = file.id.made_at().map_or(file.day, Day::of);
        query(
            "INSERT INTO usage_days (tenant_id, table_name, day, row_count, byte_count) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (tenant_id, table_name, day) DO UPDATE SET row_count = usage_days.row_count + excluded.row_count, \
             byte_count = usage_days.byte_count + excluded.byte_count",
        )
        .bind(file.tenant.to_string())
        .bind(file.table.as_str())
        .bind(i64::from(day.0))
        .bind(stored(file.rows)?)
        .bind(stored(file.bytes)?)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

fn read_usage_day(row: &AnyRow) -> Result<UsageDay, Error> {
    Ok(UsageDay {
        day: Day(row.number("day")?),
        table: row.word("table_name", Table::parse)?,
        rows: row.number("row_count")?,
        bytes: row.number("byte_count")?,
    })
}

fn read_closed(row: &AnyRow) -> Result<ClosedTenant, Error> {
    Ok(ClosedTenant { requested_at: row.time("requested_at")?, finished_at: row.maybe_time("finished_at")? })
}

#[cfg(test)]
mod tests {
    use super::super::connect::{self, tests::Folder};
    use super::*;

    /// What is left of a tenant that was deleted, and what the compactor empties.
    const APART: [&str; 3] = ["closed_tenants", "data_files", "account_changes"];

    #[tokio::test]
    async fn every_table_that_names_a_tenant_is_emptied_with_it() {
        let folder = Folder::new("closing");
        let catalog = connect::open(&folder.config()).await.unwrap();
        let named = query(
            "SELECT m.name AS table_name FROM sqlite_master m JOIN pragma_table_info(m.name) c \
             WHERE m.type = 'table' AND c.name = 'tenant_id'",
        );
        let named = named.fetch_all(&catalog.read).await.unwrap();
        assert!(named.len() > 15);
        for row in named {
            let table = row.text("table_name").unwrap();
            let is_known = [&ACCOUNT_TABLES[..], &DATA_TABLES, &APART].concat().contains(&table.as_str());
            assert!(is_known, "{table} belongs into ACCOUNT_TABLES or DATA_TABLES");
        }
    }
}
