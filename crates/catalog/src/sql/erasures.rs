//! Erasures, their proof, and what is past its time.

use std::time::Duration;

use async_trait::async_trait;
use spanlake_model::{
    AgentId, AppId, Day, Erasure, ErasureId, ErasureScope, Receipt, Table, TenantId, Timestamp, TraceId, TraceSet,
};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, query};

use super::files::{read_data_file, read_removed};
use super::row::{Columns as _, corrupt, refused, stored};
use super::{Catalog, commit, deleted_apps, exports, retention};
use crate::erasures::{
    ErasedFile, ErasureProof, Erasures, LISTED_FILES_MAX, NewErasure, OPEN_ERASURES_MAX, OPEN_TRACES_MAX, Subject,
};
use crate::error::Error;
use crate::files::{DataFile, Removed, Replacement};

pub(super) const TRACE_BYTES: usize = 16;

#[async_trait]
impl Erasures for Catalog {
    #[tracing::instrument(name = "catalog.add_erasure", skip_all, fields(tenant.id = %new.erasure.tenant))]
    async fn add_erasure(&self, new: NewErasure) -> Result<(), Error> {
        let mut transaction = self.begin_write().await?;
        has_room(&mut transaction, new.erasure.tenant).await?;
        insert(&mut transaction, &new).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn agents_told(&self, tenant: TenantId, app: AppId) -> Result<Vec<AgentId>, Error> {
        let found = query(
            "SELECT DISTINCT agent_id FROM exports WHERE tenant_id = $1 AND app_id = $2 AND agent_id IS NOT NULL \
             AND schedule IS NOT NULL AND status IN ('waiting', 'running') ORDER BY agent_id",
        );
        let rows = found.bind(tenant.to_string()).bind(app.to_string()).fetch_all(&self.read).await?;
        rows.iter().map(|row| row.parsed("agent_id")).collect()
    }

    async fn erasure(&self, tenant: TenantId, id: ErasureId) -> Result<Option<ErasureProof>, Error> {
        let mut transaction = self.begin_read().await?;
        let Some(mut proof) = proof(&mut transaction, tenant, id).await? else {
            return deleted_apps::waiting(&mut transaction, tenant, id).await;
        };
        proof.files = erased_files(&mut transaction, id).await?;
        transaction.commit().await?;
        Ok(Some(proof))
    }

    async fn tenants_to_erase(&self, most: u32) -> Result<Vec<TenantId>, Error> {
        let found = query(
            "SELECT tenant_id, MIN(requested_at) AS since FROM erasures WHERE finished_at IS NULL AND rewritten_at IS NULL \
             GROUP BY tenant_id ORDER BY since, tenant_id LIMIT $1",
        );
        let rows = found.bind(i64::from(most)).fetch_all(&self.read).await?;
        rows.iter().map(|row| row.parsed("tenant_id")).collect()
    }

    #[tracing::instrument(name = "catalog.erase", skip_all, fields(tenant.id = %replacement.tenant))]
    async fn erase(&self, replacement: Replacement, erased: &[ErasedFile]) -> Result<(), Error> {
        let mut transaction = self.begin_write().await?;
        commit::replace(&mut transaction, &replacement).await?;
        for file in erased {
            note(&mut transaction, file).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn rewritten(&self, id: ErasureId, at: Timestamp) -> Result<(), Error> {
        query("UPDATE erasures SET rewritten_at = $1, traces = '' WHERE id = $2 AND rewritten_at IS NULL")
            .bind(at.as_nanos())
            .bind(id.to_string())
            .execute(&self.write)
            .await?;
        Ok(())
    }

    async fn finish_erasures(&self, at: Timestamp) -> Result<u64, Error> {
        let finished = query(
            "UPDATE erasures SET finished_at = $1 WHERE finished_at IS NULL AND rewritten_at IS NOT NULL \
             AND NOT EXISTS (SELECT 1 FROM data_files WHERE data_files.tenant_id = erasures.tenant_id \
             AND data_files.removed_at <= erasures.rewritten_at)",
        );
        let finished = finished.bind(at.as_nanos()).execute(&self.write).await?.rows_affected();
        self.erase_deleted_apps(at).await?;
        self.finish_closed(at).await?;
        self.delete_ended(at).await?;
        Ok(finished)
    }

    async fn erased_removable(&self, now: Timestamp, lingering: Duration, most: u32) -> Result<Vec<Removed>, Error> {
        let found = query(
            "SELECT id, tenant_id, path FROM data_files WHERE removed_at <= $1 \
             AND (EXISTS (SELECT 1 FROM erased_files WHERE erased_files.file_id = data_files.id) \
             OR EXISTS (SELECT 1 FROM closed_tenants WHERE closed_tenants.tenant_id = data_files.tenant_id)) \
             ORDER BY removed_at, id LIMIT $2",
        );
        let rows = found.bind(now.minus(lingering).as_nanos()).bind(i64::from(most)).fetch_all(&self.read).await?;
        rows.iter().map(read_removed).collect()
    }

    async fn expired(&self, table: Table, now: Timestamp, most: u32) -> Result<Vec<DataFile>, Error> {
        let rows = query(retention::EXPIRED)
            .bind(table.as_str())
            .bind(now.as_nanos())
            .bind(retention::kept_from(now, table.kept_days()).as_nanos())
            .bind(i64::from(most))
            .fetch_all(&self.read)
            .await?;
        rows.iter().map(read_data_file).collect()
    }
}

pub(super) async fn has_room(connection: &mut AnyConnection, tenant: TenantId) -> Result<(), Error> {
    let found = query(
        "SELECT COUNT(*) AS erasure_count, CAST(COALESCE(SUM(trace_count), 0) AS BIGINT) AS trace_count FROM erasures \
         WHERE tenant_id = $1 AND rewritten_at IS NULL",
    );
    let open = found.bind(tenant.to_string()).fetch_one(connection).await?;
    let bounds = [("erasures", "erasure_count", OPEN_ERASURES_MAX), ("erased traces", "trace_count", OPEN_TRACES_MAX)];
    for (what, column, max) in bounds {
        if open.number::<u64>(column)? >= max {
            return Err(Error::Crowded { what, max });
        }
    }
    Ok(())
}

pub(super) async fn insert(connection: &mut AnyConnection, new: &NewErasure) -> Result<(), Error> {
    let Erasure { id, tenant, scope, bounds } = &new.erasure;
    let (scope, app, traces) = match scope {
        ErasureScope::Traces(app, traces) => ("traces", Some(app), traces.as_slice()),
        ErasureScope::App(app) => ("app", Some(app), &[][..]),
        ErasureScope::Tenant => ("tenant", None, &[][..]),
    };
    let bytes: Vec<u8> = traces.iter().flat_map(TraceId::as_bytes).copied().collect();
    let traces_hex = hex::encode(bytes);
    let words = |bounds: &[Receipt]| bounds.iter().map(Receipt::to_string).collect::<Vec<_>>().join(" ");
    query(
        "INSERT INTO erasures (id, tenant_id, subject, scope, app_id, traces, trace_count, bounds, requested_at, score_bounds) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(id.to_string())
    .bind(tenant.to_string())
    .bind(new.subject.as_str())
    .bind(scope)
    .bind(app.map(ToString::to_string))
    .bind(&traces_hex)
    .bind(stored(traces.len() as u64)?)
    .bind(words(bounds))
    .bind(new.requested_at.as_nanos())
    .bind(words(&new.score_bounds))
    .execute(&mut *connection)
    .await
    .map_err(refused("an erasure of this id"))?;
    exports::remember_erasure(connection, new).await
}

/// Those that hide rows of this table, with its bounds, within the transaction of a snapshot.
pub(super) async fn hiding(
    connection: &mut AnyConnection,
    tenant: TenantId,
    table: Table,
) -> Result<Vec<Erasure>, Error> {
    let found = query(
        "SELECT id, tenant_id, scope, app_id, traces, bounds, score_bounds FROM erasures \
         WHERE tenant_id = $1 AND rewritten_at IS NULL ORDER BY id",
    );
    found.bind(tenant.to_string()).fetch_all(connection).await?.iter().map(|row| read_erasure(row, table)).collect()
}

fn read_erasure(row: &AnyRow, table: Table) -> Result<Erasure, Error> {
    let bounds = row.text(match table {
        Table::Spans => "bounds",
        Table::Scores => "score_bounds",
    })?;
    let bounds: Result<_, _> = bounds.split_whitespace().map(str::parse).collect();
    Ok(Erasure {
        id: row.parsed("id")?,
        tenant: row.parsed("tenant_id")?,
        scope: read_scope(row)?,
        bounds: bounds.map_err(|why| corrupt("bounds", why))?,
    })
}

fn read_scope(row: &AnyRow) -> Result<ErasureScope, Error> {
    match row.text("scope")?.as_str() {
        "traces" => Ok(ErasureScope::Traces(row.parsed("app_id")?, read_traces(row)?)),
        "app" => Ok(ErasureScope::App(row.parsed("app_id")?)),
        "tenant" => Ok(ErasureScope::Tenant),
        other => Err(corrupt("scope", format!("unknown word '{other}'"))),
    }
}

fn read_traces(row: &AnyRow) -> Result<TraceSet, Error> {
    let bytes = row.bytes("traces")?;
    let (traces, rest) = bytes.as_chunks::<TRACE_BYTES>();
    let traces: Option<_> = traces.iter().map(|trace| TraceId::from_bytes(*trace)).collect();
    traces.filter(|_| rest.is_empty()).ok_or_else(|| corrupt("traces", "cut short, or a zero id"))
}

async fn proof(connection: &mut AnyConnection, tenant: TenantId, id: ErasureId) -> Result<Option<ErasureProof>, Error> {
    let found = query(
        "SELECT id, subject, app_id, trace_count, requested_at, rewritten_at, finished_at, \
         (SELECT COUNT(*) FROM erased_files WHERE erasure_id = erasures.id) AS file_count, \
         (SELECT CAST(COALESCE(SUM(row_count), 0) AS BIGINT) FROM erased_files WHERE erasure_id = erasures.id) AS row_count \
         FROM erasures WHERE tenant_id = $1 AND id = $2",
    );
    let row = found.bind(tenant.to_string()).bind(id.to_string()).fetch_optional(connection).await?;
    row.as_ref().map(read_proof).transpose()
}

fn read_proof(row: &AnyRow) -> Result<ErasureProof, Error> {
    Ok(ErasureProof {
        id: row.parsed("id")?,
        subject: row.word("subject", Subject::parse)?,
        app: row.maybe_parsed("app_id")?,
        traces: row.number("trace_count")?,
        requested_at: row.time("requested_at")?,
        rewritten_at: row.maybe_time("rewritten_at")?,
        finished_at: row.maybe_time("finished_at")?,
        rows: row.number("row_count")?,
        file_count: row.number("file_count")?,
        files: Vec::new(),
    })
}

async fn erased_files(connection: &mut AnyConnection, id: ErasureId) -> Result<Vec<ErasedFile>, Error> {
    let found = query(
        "SELECT erasure_id, file_id, day, row_count, replaced_by FROM erased_files WHERE erasure_id = $1 \
         ORDER BY day, file_id LIMIT $2",
    );
    let rows = found.bind(id.to_string()).bind(i64::from(LISTED_FILES_MAX)).fetch_all(connection).await?;
    rows.iter().map(read_erased_file).collect()
}

fn read_erased_file(row: &AnyRow) -> Result<ErasedFile, Error> {
    Ok(ErasedFile {
        erasure: row.parsed("erasure_id")?,
        file: row.parsed("file_id")?,
        day: Day(row.number("day")?),
        rows: row.number("row_count")?,
        replaced_by: row.maybe_parsed("replaced_by")?,
    })
}

async fn note(connection: &mut AnyConnection, file: &ErasedFile) -> Result<(), Error> {
    query("INSERT INTO erased_files (erasure_id, file_id, day, row_count, replaced_by) VALUES ($1, $2, $3, $4, $5)")
        .bind(file.erasure.to_string())
        .bind(file.file.to_string())
        .bind(i64::from(file.day.0))
        .bind(stored(file.rows)?)
        .bind(file.replaced_by.map(|by| by.to_string()))
        .execute(connection)
        .await
        .map_err(refused("the note of an erased file"))?;
    Ok(())
}
