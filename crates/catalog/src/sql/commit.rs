//! The two changes to the set of live files, each within the transaction of its caller: a flush and a merge.
//!
//! Order of locks, the same for all, so that no two wait for each other: the writer, then the tenant's version; inputs by id.

use std::collections::BTreeSet;

use spanlake_model::{Day, Table, TenantId};

use sqlx::{AnyConnection, query};

use super::row::{Columns as _, refused, stored, write_keys};
use super::tenancy;
use crate::error::Error;
use crate::files::{Commit, DataFile, Replacement, WriterLease};

/// As [`crate::Files::commit`].
pub(super) async fn commit(connection: &mut AnyConnection, commit: &Commit) -> Result<Option<u64>, Error> {
    all_belong(&commit.files, commit.tenant, commit.table)?;
    hold(connection, commit.lease).await?;
    if watermark(connection, commit).await? >= commit.sequence {
        return Ok(None);
    }
    let version = next_version(connection, commit.tenant, commit.table).await?;
    if version != commit.known_version + 1 {
        return Err(Error::Behind { version: version - 1 });
    }
    for file in &commit.files {
        insert(connection, file, version).await?;
    }
    tenancy::count(connection, &commit.files).await?;
    move_watermark(connection, commit).await?;
    Ok(Some(version))
}

/// As [`crate::Files::replace`].
pub(super) async fn replace(connection: &mut AnyConnection, replacement: &Replacement) -> Result<(), Error> {
    all_belong(&replacement.outputs, replacement.tenant, replacement.table)?;
    let inputs: BTreeSet<_> = replacement.inputs.iter().collect();
    for input in inputs {
        let removed = query(
            "UPDATE data_files SET removed_at = $1 \
             WHERE id = $2 AND tenant_id = $3 AND table_name = $4 AND removed_at IS NULL",
        )
        .bind(replacement.at.as_nanos())
        .bind(input.to_string())
        .bind(replacement.tenant.to_string())
        .bind(replacement.table.as_str())
        .execute(&mut *connection)
        .await?;
        if removed.rows_affected() != 1 {
            return Err(Error::Changed("a data file"));
        }
    }
    for file in &replacement.outputs {
        insert(connection, file, file.version).await?;
    }
    Ok(())
}

/// Look-ups go by tenant, table and day: a file stored under the wrong ones would never be seen, or by the wrong tenant.
fn all_belong(files: &[DataFile], tenant: TenantId, table: Table) -> Result<(), Error> {
    let belongs = |file: &DataFile| {
        (file.tenant, file.table) == (tenant, table)
            && file.min_start <= file.max_start
            && [file.min_start, file.max_start].map(Day::of) == [file.day; 2]
    };
    match files.iter().find(|file| !belongs(file)) {
        Some(file) => Err(Error::Misfiled { file: file.id }),
        None => Ok(()),
    }
}

/// Passes when the lease is current, and keeps it so until the transaction ends: this update locks the writer's row.
async fn hold(connection: &mut AnyConnection, lease: WriterLease) -> Result<(), Error> {
    let held = query("UPDATE writers SET epoch = epoch WHERE id = $1 AND epoch = $2 AND status = 'registered'")
        .bind(lease.writer.to_string())
        .bind(stored(lease.epoch)?)
        .execute(connection)
        .await?;
    if held.rows_affected() == 1 { Ok(()) } else { Err(Error::Fenced { epoch: lease.epoch }) }
}

async fn watermark(connection: &mut AnyConnection, commit: &Commit) -> Result<u64, Error> {
    query("SELECT sequence FROM watermarks WHERE tenant_id = $1 AND table_name = $2 AND writer_id = $3")
        .bind(commit.tenant.to_string())
        .bind(commit.table.as_str())
        .bind(commit.lease.writer.to_string())
        .fetch_optional(connection)
        .await?
        .map_or(Ok(0), |row| row.number("sequence"))
}

async fn move_watermark(connection: &mut AnyConnection, commit: &Commit) -> Result<(), Error> {
    query(
        "INSERT INTO watermarks (tenant_id, table_name, writer_id, sequence) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (tenant_id, table_name, writer_id) DO UPDATE SET sequence = excluded.sequence",
    )
    .bind(commit.tenant.to_string())
    .bind(commit.table.as_str())
    .bind(commit.lease.writer.to_string())
    .bind(stored(commit.sequence)?)
    .execute(connection)
    .await?;
    Ok(())
}

async fn next_version(connection: &mut AnyConnection, tenant: TenantId, table: Table) -> Result<u64, Error> {
    query(
        "INSERT INTO versions (tenant_id, table_name, version) VALUES ($1, $2, 1) \
         ON CONFLICT (tenant_id, table_name) DO UPDATE SET version = versions.version + 1 RETURNING version",
    )
    .bind(tenant.to_string())
    .bind(table.as_str())
    .fetch_one(connection)
    .await?
    .number("version")
}

async fn insert(connection: &mut AnyConnection, file: &DataFile, version: u64) -> Result<(), Error> {
    query(
        "INSERT INTO data_files (id, tenant_id, table_name, day, path, row_count, byte_count, min_start, max_start, \
         version, superseded) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(file.id.to_string())
    .bind(file.tenant.to_string())
    .bind(file.table.as_str())
    .bind(i64::from(file.day.0))
    .bind(&file.path)
    .bind(stored(file.rows)?)
    .bind(stored(file.bytes)?)
    .bind(file.min_start.as_nanos())
    .bind(file.max_start.as_nanos())
    .bind(stored(version)?)
    .bind(write_keys(&file.superseded))
    .execute(connection)
    .await
    .map_err(refused("a data file of this id"))?;
    Ok(())
}
