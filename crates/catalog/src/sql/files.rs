//! Data files, watermarks, writers.

use std::time::Duration;

use async_trait::async_trait;
use spanlake_model::{Day, FileId, Table, TenantId, TimeRange, Timestamp, WriterId};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, query};

use super::row::{Columns as _, read_keys, stored};
use super::{Catalog, commit, erasures, prices, retention};
use crate::error::Error;
use crate::files::{Commit, DataFile, Files, Removed, Replacement, Since, Snapshot, Watermark, Writer, WriterLease};

macro_rules! select_live_files {
    ($where:literal) => {
        concat!(
            "SELECT id, tenant_id, table_name, day, path, row_count, byte_count, min_start, max_start, version, superseded \
             FROM data_files WHERE tenant_id = $1 AND table_name = $2 AND removed_at IS NULL AND ",
            $where,
            " ORDER BY version, id"
        )
    };
}

/// The day finds them through the index; the starts then say what the range touches. A file that replaces rows counts
/// wherever it lies: the row it replaces may start elsewhere.
const FILES_OF_RANGE: &str =
    select_live_files!("day >= $3 AND day <= $4 AND ((min_start < $5 AND max_start >= $6) OR superseded <> '')");
const FILES_ABOVE: &str = select_live_files!("version > $3");
const FILES_OF_DAY: &str = select_live_files!("day = $3");

#[async_trait]
impl Files for Catalog {
    #[tracing::instrument(name = "catalog.snapshots", skip_all, fields(tenant.id = %tenant))]
    async fn snapshots(&self, tenant: TenantId, of: &[(Table, TimeRange)]) -> Result<Vec<Snapshot>, Error> {
        let mut transaction = self.begin_read().await?;
        let writers = registered_writers(&mut transaction).await?;
        let own_prices = prices::own(&mut transaction, tenant).await?;
        let mut snapshots = Vec::with_capacity(of.len());
        for (table, range) in of.iter().copied() {
            snapshots.push(Snapshot {
                files: files_of_range(&mut transaction, tenant, table, range).await?,
                version: version(&mut transaction, tenant, table).await?,
                watermarks: watermarks_of_tenant(&mut transaction, tenant, table).await?,
                writers: writers.clone(),
                erasures: erasures::hiding(&mut transaction, tenant, table).await?,
                kept_days: retention::kept_days(&mut transaction, tenant, table).await?,
                own_prices: own_prices.clone(),
            });
        }
        transaction.commit().await?;
        Ok(snapshots)
    }

    #[tracing::instrument(name = "catalog.register_writer", skip_all, fields(writer.id = %writer))]
    async fn register_writer(&self, writer: WriterId, address: &str, at: Timestamp) -> Result<WriterLease, Error> {
        let mut transaction = self.begin_write().await?;
        let epoch = query(
            "INSERT INTO writers (id, epoch, address, status, registered_at) VALUES ($1, 1, $2, 'registered', $3) \
             ON CONFLICT (id) DO UPDATE SET epoch = writers.epoch + 1, address = excluded.address, \
             status = excluded.status, registered_at = excluded.registered_at RETURNING epoch",
        )
        .bind(writer.to_string())
        .bind(address)
        .bind(at.as_nanos())
        .fetch_one(&mut *transaction)
        .await?
        .number("epoch")?;
        transaction.commit().await?;
        Ok(WriterLease { writer, epoch })
    }

    async fn retire_writer(&self, lease: WriterLease) -> Result<(), Error> {
        let retired = query("UPDATE writers SET status = 'retired' WHERE id = $1 AND epoch = $2")
            .bind(lease.writer.to_string())
            .bind(stored(lease.epoch)?)
            .execute(&self.write)
            .await?;
        if retired.rows_affected() == 1 { Ok(()) } else { Err(Error::Fenced { epoch: lease.epoch }) }
    }

    async fn settled(&self, lease: WriterLease, before: Timestamp) -> Result<(), Error> {
        let settled = query("UPDATE writers SET settled_at = $1 WHERE id = $2 AND epoch = $3")
            .bind(before.as_nanos())
            .bind(lease.writer.to_string())
            .bind(stored(lease.epoch)?)
            .execute(&self.write)
            .await?;
        if settled.rows_affected() == 1 { Ok(()) } else { Err(Error::Fenced { epoch: lease.epoch }) }
    }

    async fn watermarks(&self, writer: WriterId) -> Result<Vec<(TenantId, Table, u64)>, Error> {
        let found = query(
            "SELECT tenant_id, table_name, sequence FROM watermarks WHERE writer_id = $1 \
             ORDER BY tenant_id, table_name",
        );
        let rows = found.bind(writer.to_string()).fetch_all(&self.read).await?;
        rows.iter()
            .map(|row| Ok((row.parsed("tenant_id")?, row.word("table_name", Table::parse)?, row.number("sequence")?)))
            .collect()
    }

    #[tracing::instrument(name = "catalog.commit", skip_all, fields(tenant.id = %commit.tenant))]
    async fn commit(&self, commit: Commit) -> Result<Option<u64>, Error> {
        let mut transaction = self.begin_write().await?;
        let version = commit::commit(&mut transaction, &commit).await?;
        transaction.commit().await?;
        Ok(version)
    }

    #[tracing::instrument(name = "catalog.files_since", skip_all, fields(tenant.id = %tenant))]
    async fn files_since(&self, tenant: TenantId, table: Table, version: u64) -> Result<Since, Error> {
        let mut transaction = self.begin_read().await?;
        let reached = self::version(&mut transaction, tenant, table).await?;
        let files =
            if reached > version { files_above(&mut transaction, tenant, table, version).await? } else { vec![] };
        transaction.commit().await?;
        Ok(Since { version: reached, files })
    }

    async fn day(&self, tenant: TenantId, table: Table, day: Day) -> Result<Vec<DataFile>, Error> {
        let found = query(FILES_OF_DAY).bind(tenant.to_string()).bind(table.as_str()).bind(i64::from(day.0));
        found.fetch_all(&self.read).await?.iter().map(read_data_file).collect()
    }

    #[tracing::instrument(name = "catalog.replace", skip_all, fields(tenant.id = %replacement.tenant))]
    async fn replace(&self, replacement: Replacement) -> Result<(), Error> {
        let mut transaction = self.begin_write().await?;
        commit::replace(&mut transaction, &replacement).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn removable(&self, now: Timestamp, lingering: Duration, most: u32) -> Result<Vec<Removed>, Error> {
        let found = query(
            "SELECT id, tenant_id, path FROM data_files WHERE removed_at <= $1 AND NOT EXISTS (SELECT 1 FROM exports \
             WHERE exports.tenant_id = data_files.tenant_id AND exports.status = 'running' AND exports.lease_until > $3 \
             AND exports.started_at < data_files.removed_at) ORDER BY removed_at, id LIMIT $2",
        );
        let found = found.bind(now.minus(lingering).as_nanos()).bind(i64::from(most)).bind(now.as_nanos());
        let rows = found.fetch_all(&self.read).await?;
        rows.iter().map(read_removed).collect()
    }

    async fn forget(&self, files: &[FileId]) -> Result<(), Error> {
        let mut transaction = self.begin_write().await?;
        for file in files {
            query("DELETE FROM data_files WHERE id = $1 AND removed_at IS NOT NULL")
                .bind(file.to_string())
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

async fn files_of_range(
    connection: &mut AnyConnection,
    tenant: TenantId,
    table: Table,
    range: TimeRange,
) -> Result<Vec<DataFile>, Error> {
    let last = range.end().minus(Duration::from_nanos(1));
    let found = query(FILES_OF_RANGE)
        .bind(tenant.to_string())
        .bind(table.as_str())
        .bind(i64::from(Day::of(range.start()).0))
        .bind(i64::from(Day::of(last).0))
        .bind(range.end().as_nanos())
        .bind(range.start().as_nanos());
    found.fetch_all(connection).await?.iter().map(read_data_file).collect()
}

async fn files_above(
    connection: &mut AnyConnection,
    tenant: TenantId,
    table: Table,
    version: u64,
) -> Result<Vec<DataFile>, Error> {
    let found = query(FILES_ABOVE).bind(tenant.to_string()).bind(table.as_str()).bind(stored(version)?);
    found.fetch_all(connection).await?.iter().map(read_data_file).collect()
}

/// Zero before the first commit.
async fn version(connection: &mut AnyConnection, tenant: TenantId, table: Table) -> Result<u64, Error> {
    let found = query("SELECT version FROM versions WHERE tenant_id = $1 AND table_name = $2");
    let row = found.bind(tenant.to_string()).bind(table.as_str()).fetch_optional(connection).await?;
    row.map_or(Ok(0), |row| row.number("version"))
}

/// Retired writers' too: a receipt may be older than the writer it names is gone.
async fn watermarks_of_tenant(
    connection: &mut AnyConnection,
    tenant: TenantId,
    table: Table,
) -> Result<Vec<Watermark>, Error> {
    let found =
        query("SELECT writer_id, sequence FROM watermarks WHERE tenant_id = $1 AND table_name = $2 ORDER BY writer_id");
    let rows = found.bind(tenant.to_string()).bind(table.as_str()).fetch_all(connection).await?;
    rows.iter()
        .map(|row| Ok(Watermark { writer: row.parsed("writer_id")?, sequence: row.number("sequence")? }))
        .collect()
}

async fn registered_writers(connection: &mut AnyConnection) -> Result<Vec<Writer>, Error> {
    let found = query("SELECT id, address FROM writers WHERE status = 'registered' ORDER BY id");
    let rows = found.fetch_all(connection).await?;
    rows.iter().map(|row| Ok(Writer { id: row.parsed("id")?, address: row.text("address")? })).collect()
}

pub(super) fn read_data_file(row: &AnyRow) -> Result<DataFile, Error> {
    Ok(DataFile {
        id: row.parsed("id")?,
        tenant: row.parsed("tenant_id")?,
        table: row.word("table_name", Table::parse)?,
        day: Day(row.number("day")?),
        path: row.text("path")?,
        rows: row.number("row_count")?,
        bytes: row.number("byte_count")?,
        min_start: row.time("min_start")?,
        max_start: row.time("max_start")?,
        version: row.number("version")?,
        superseded: read_keys(row, "superseded")?,
    })
}

pub(super) fn read_removed(row: &AnyRow) -> Result<Removed, Error> {
    Ok(Removed { id: row.parsed("id")?, tenant: row.parsed("tenant_id")?, path: row.text("path")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::connect;

    /// Postgres plans by statistics, so only SQLite can promise a plan; the index is the same.
    #[tokio::test]
    async fn live_files_are_found_through_their_index() {
        let folder = connect::tests::Folder::new("index");
        let catalog = connect::open(&folder.config()).await.unwrap();
        for statement in [FILES_OF_RANGE, FILES_OF_DAY] {
            let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
            let plan = query(explain).fetch_all(&catalog.read).await.unwrap();
            let step = plan[0].text("detail").unwrap();
            assert!(step.contains("USING INDEX live_data_files (tenant_id=? AND table_name=? AND day"), "{step}");
        }
        let explain =
            "EXPLAIN QUERY PLAN SELECT id FROM data_files WHERE removed_at <= 1 ORDER BY removed_at, id LIMIT 1";
        let step = query(explain).fetch_all(&catalog.read).await.unwrap()[0].text("detail").unwrap();
        assert!(step.contains("USING INDEX removed_data_files"), "{step}");
    }
}
