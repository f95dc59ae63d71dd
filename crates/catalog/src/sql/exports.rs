//! Exports and their runs.

use async_trait::async_trait;
use spanlake_model::{
    AgentId, AppId, Erasure, ErasureId, ErasureScope, ExportId, ExporterId, Receipt, TenantId, Timestamp, TraceId,
    TraceSet,
};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, query};

use super::Catalog;
use super::erasures::TRACE_BYTES;
use super::jobs::held;
use super::row::{Columns as _, corrupt, maybe_stored, refused, stored};
use crate::erasures::NewErasure;
use crate::error::Error;
use crate::exports::{
    AfterFailure, ClaimedExport, Export, ExportFailure, ExportLease, ExportRun, ExportStatus, Exports, NewExport,
    OPEN_EXPORTS_MAX, Progress, RunEnd, Then, UNTOLD_ERASURES_MAX, UNTOLD_TRACES_MAX, UntoldErasure,
};

/// With the last manifest's row beside it; all columns of that are null when there is none.
const SELECT: &str = "SELECT exports.id, exports.tenant_id, exports.app_id, exports.agent_id, exports.caller, exports.spec, \
    exports.sealed, exports.schedule, exports.created_at, exports.status, exports.not_before, exports.run, exports.failures, \
    exports.error_code, exports.error_message, exports.started_at, exports.row_count, exports.byte_count, exports.file_count, \
    exports.total_rows, exports.through, exports.scores_through, exports.failing_since, exports.last_run, exports.finished_at, export_runs.path AS last_path, export_runs.sha256 AS last_sha256, \
    export_runs.row_count AS last_rows, export_runs.delete_count AS last_deletes, export_runs.byte_count AS last_bytes, \
    export_runs.file_count AS last_files, export_runs.created_at AS last_created_at FROM exports \
    LEFT JOIN export_runs ON export_runs.export_id = exports.id AND export_runs.run = exports.last_run ";

/// Of a lease that is still held. A cancelled export is nobody's.
const HELD: &str = " WHERE id = $1 AND owner = $2 AND run = $3 AND status = 'running'";

#[async_trait]
impl Exports for Catalog {
    #[tracing::instrument(name = "catalog.add_export", skip_all, fields(tenant.id = %new.tenant))]
    async fn add_export(&self, new: NewExport) -> Result<(), Error> {
        let mut transaction = self.begin_write().await?;
        let open = query(
            "SELECT COUNT(*) AS open FROM exports WHERE tenant_id = $1 AND status IN ('waiting', 'running', 'paused')",
        );
        let open = open.bind(new.tenant.to_string()).fetch_one(&mut *transaction).await?;
        if open.number::<u64>("open")? >= OPEN_EXPORTS_MAX {
            return Err(Error::Crowded { what: "exports", max: OPEN_EXPORTS_MAX });
        }
        insert(&mut transaction, new).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn export(&self, tenant: TenantId, id: ExportId) -> Result<Option<Export>, Error> {
        let statement = format!("{SELECT} WHERE exports.tenant_id = $1 AND exports.id = $2");
        let found = query(AssertSqlSafe(statement)).bind(tenant.to_string()).bind(id.to_string());
        found.fetch_optional(&self.read).await?.as_ref().map(read).transpose()
    }

    async fn exports(
        &self,
        tenant: TenantId,
        app: AppId,
        agent: Option<AgentId>,
        before: Option<(Timestamp, ExportId)>,
        most: u32,
    ) -> Result<Vec<Export>, Error> {
        let statement = format!(
            "{SELECT} WHERE exports.tenant_id = $1 AND exports.app_id = $2 AND ($3 = '' OR exports.agent_id = $3) \
             AND (exports.created_at < $4 OR (exports.created_at = $4 AND exports.id < $5)) \
             ORDER BY exports.created_at DESC, exports.id DESC LIMIT $6"
        );
        let (at, id) = before.map_or((i64::MAX, String::new()), |(at, id)| (at.as_nanos(), id.to_string()));
        let found = query(AssertSqlSafe(statement))
            .bind(tenant.to_string())
            .bind(app.to_string())
            .bind(agent.map(|agent| agent.to_string()).unwrap_or_default())
            .bind(at)
            .bind(id)
            .bind(i64::from(most));
        found.fetch_all(&self.read).await?.iter().map(read).collect()
    }

    async fn cancel_export(&self, tenant: TenantId, id: ExportId, at: Timestamp) -> Result<Option<Export>, Error> {
        let mut transaction = self.begin_write().await?;
        let cancelled = query(
            "UPDATE exports SET status = 'cancelled', finished_at = $3, sealed = NULL WHERE tenant_id = $1 AND id = $2 \
             AND status IN ('waiting', 'running', 'paused')",
        )
        .bind(tenant.to_string())
        .bind(id.to_string())
        .bind(at.as_nanos());
        if cancelled.execute(&mut *transaction).await?.rows_affected() > 0 {
            forget_erasures(&mut transaction, id).await?;
        }
        transaction.commit().await?;
        self.export(tenant, id).await
    }

    async fn resume_export(
        &self,
        tenant: TenantId,
        id: ExportId,
        everything: ErasureId,
        not_before: Timestamp,
    ) -> Result<Option<Export>, Error> {
        let mut transaction = self.begin_write().await?;
        let resumed = query(
            "UPDATE exports SET status = 'waiting', not_before = $3, failures = 0, failing_since = NULL, error_code = NULL, \
             error_message = NULL WHERE tenant_id = $1 AND id = $2 AND status = 'paused' RETURNING lost_erasures_at",
        )
        .bind(tenant.to_string())
        .bind(id.to_string())
        .bind(not_before.as_nanos());
        let resumed = resumed.fetch_optional(&mut *transaction).await?;
        if let Some(row) = resumed
            && row.maybe_time("lost_erasures_at")?.is_some()
        {
            begin_anew(&mut transaction, &id.to_string(), everything).await?;
            query("UPDATE exports SET lost_erasures_at = NULL WHERE id = $1")
                .bind(id.to_string())
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        self.export(tenant, id).await
    }

    async fn export_runs(
        &self,
        tenant: TenantId,
        id: ExportId,
        before: Option<u64>,
        most: u32,
    ) -> Result<Vec<ExportRun>, Error> {
        let found = query(
            "SELECT r.run, r.path, r.sha256, r.row_count, r.delete_count, r.byte_count, r.file_count, r.created_at \
             FROM export_runs r JOIN exports e ON e.id = r.export_id \
             WHERE e.tenant_id = $1 AND e.id = $2 AND r.run < $3 ORDER BY r.run DESC LIMIT $4",
        )
        .bind(tenant.to_string())
        .bind(id.to_string())
        .bind(before.map_or(Ok(i64::MAX), stored)?)
        .bind(i64::from(most));
        found.fetch_all(&self.read).await?.iter().map(read_run).collect()
    }

    async fn manifest(&self, tenant: TenantId, id: ExportId, run: Option<u64>) -> Result<Option<String>, Error> {
        let found = query(
            "SELECT r.manifest FROM export_runs r JOIN exports e ON e.id = r.export_id \
             WHERE e.tenant_id = $1 AND e.id = $2 AND r.run = COALESCE($3, e.last_run)",
        )
        .bind(tenant.to_string())
        .bind(id.to_string())
        .bind(run.map(stored).transpose()?);
        found.fetch_optional(&self.read).await?.map(|row| row.text("manifest")).transpose()
    }

    async fn claim_export(
        &self,
        owner: ExporterId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<ClaimedExport>, Error> {
        // Nearly always nothing is due, and looking does not make writers wait.
        let due = query(
            "SELECT id, status FROM exports WHERE status IN ('waiting', 'running') AND not_before <= $1 AND lease_until <= $1 \
             ORDER BY (SELECT COUNT(*) FROM exports others WHERE others.tenant_id = exports.tenant_id \
             AND others.status = 'running' AND others.lease_until > $1), not_before, id LIMIT 1",
        );
        let Some(due) = due.bind(now.as_nanos()).fetch_optional(&self.read).await? else { return Ok(None) };
        // Of two who find the same one, the second finds it taken.
        let claimed = query(
            "UPDATE exports SET status = 'running', owner = $1, lease_until = $2, started_at = $3, row_count = 0, \
             byte_count = 0, file_count = 0, total_rows = NULL \
             WHERE id = $4 AND status = $5 AND not_before <= $3 AND lease_until <= $3 RETURNING id",
        )
        .bind(owner.to_string())
        .bind(until.as_nanos())
        .bind(now.as_nanos())
        .bind(due.text("id")?)
        .bind(due.text("status")?);
        let Some(claimed) = claimed.fetch_optional(&self.write).await? else { return Ok(None) };
        let statement = format!("{SELECT} WHERE exports.id = $1");
        let found = query(AssertSqlSafe(statement)).bind(claimed.text("id")?);
        let export = read(&found.fetch_one(&self.write).await?)?;
        let lease = ExportLease { owner, export: export.asked.id, run: export.run };
        Ok(Some(ClaimedExport {
            lease,
            export,
            was_abandoned: due.word("status", ExportStatus::parse)? == ExportStatus::Running,
        }))
    }

    async fn keep_export(&self, lease: ExportLease, until: Timestamp, progress: Progress) -> Result<(), Error> {
        let statement = format!(
            "UPDATE exports SET lease_until = $4, row_count = $5, byte_count = $6, file_count = $7, total_rows = $8{HELD}"
        );
        let kept = query(AssertSqlSafe(statement))
            .bind(lease.export.to_string())
            .bind(lease.owner.to_string())
            .bind(stored(lease.run)?)
            .bind(until.as_nanos())
            .bind(stored(progress.rows)?)
            .bind(stored(progress.bytes)?)
            .bind(stored(progress.files)?)
            .bind(progress.total_rows.map(stored).transpose()?);
        held(&kept.execute(&self.write).await?)
    }

    async fn untold_erasures(&self, lease: ExportLease) -> Result<Vec<UntoldErasure>, Error> {
        let found =
            query("SELECT erasure_id, scope, traces FROM export_erasures WHERE export_id = $1 ORDER BY erasure_id");
        let rows = found.bind(lease.export.to_string()).fetch_all(&self.write).await?;
        rows.iter().map(read_untold).collect()
    }

    async fn end_run(&self, lease: ExportLease, end: RunEnd) -> Result<(), Error> {
        let mut transaction = self.begin_write().await?;
        let RunEnd { written, through, scores_through, told, then, at } = end;
        let is_written = written.is_some();
        step(&mut transaction, lease, is_written, [&through, &scores_through], then, at).await?;
        if let Some((run, manifest)) = written {
            note(&mut transaction, lease.export, &run, &manifest).await?;
        }
        for erasure in told {
            query("DELETE FROM export_erasures WHERE export_id = $1 AND erasure_id = $2")
                .bind(lease.export.to_string())
                .bind(erasure.to_string())
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn fail_run(
        &self,
        lease: ExportLease,
        failure: ExportFailure,
        then: AfterFailure,
        at: Timestamp,
    ) -> Result<(), Error> {
        let mut transaction = self.begin_write().await?;
        let (status, again, finished_at) = match then {
            AfterFailure::Again(due) => (ExportStatus::Waiting, Some(due), None),
            AfterFailure::Paused => (ExportStatus::Paused, None, None),
            AfterFailure::GivenUp => (ExportStatus::Failed, None, Some(at)),
        };
        let statement = format!(
            "UPDATE exports SET status = $4, lease_until = 0, failures = failures + 1, error_code = $5, error_message = $6, \
             not_before = COALESCE($7, not_before), finished_at = $8, started_at = NULL, \
             failing_since = COALESCE(failing_since, $9), \
             sealed = CASE WHEN $4 = 'failed' THEN NULL ELSE sealed END{HELD}"
        );
        let failed = query(AssertSqlSafe(statement))
            .bind(lease.export.to_string())
            .bind(lease.owner.to_string())
            .bind(stored(lease.run)?)
            .bind(status.as_str())
            .bind(failure.code)
            .bind(failure.message)
            .bind(maybe_stored(again))
            .bind(maybe_stored(finished_at))
            .bind(at.as_nanos());
        held(&failed.execute(&mut *transaction).await?)?;
        if again.is_none() {
            let forgotten = forget_erasures(&mut transaction, lease.export).await?;
            if then == AfterFailure::Paused && forgotten > 0 {
                query("UPDATE exports SET lost_erasures_at = $2 WHERE id = $1")
                    .bind(lease.export.to_string())
                    .bind(at.as_nanos())
                    .execute(&mut *transaction)
                    .await?;
            }
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn leave_export(&self, lease: ExportLease) -> Result<(), Error> {
        let statement = format!("UPDATE exports SET status = 'waiting', lease_until = 0, started_at = NULL{HELD}");
        let left = query(AssertSqlSafe(statement))
            .bind(lease.export.to_string())
            .bind(lease.owner.to_string())
            .bind(stored(lease.run)?);
        held(&left.execute(&self.write).await?)
    }
}

async fn insert(connection: &mut AnyConnection, new: NewExport) -> Result<(), Error> {
    query(
        "INSERT INTO exports (id, tenant_id, app_id, agent_id, caller, spec, sealed, schedule, created_at, status, not_before, \
         owner, lease_until, run, failures, row_count, byte_count, file_count, through) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'waiting', $10, '', 0, 1, 0, 0, 0, 0, '')",
    )
    .bind(new.id.to_string())
    .bind(new.tenant.to_string())
    .bind(new.app.to_string())
    .bind(new.agent.map(|agent| agent.to_string()))
    .bind(hex::encode(new.caller))
    .bind(new.spec)
    .bind(new.sealed.map(hex::encode))
    .bind(new.schedule)
    .bind(new.created_at.as_nanos())
    .bind(new.not_before.as_nanos())
    .execute(connection)
    .await
    .map_err(refused("an export of this id"))?;
    Ok(())
}

/// The lease ends, and the export goes on to its next run or is done, which needs no credentials any more.
async fn step(
    connection: &mut AnyConnection,
    lease: ExportLease,
    is_written: bool,
    [through, scores_through]: [&[Receipt]; 2],
    then: Then,
    at: Timestamp,
) -> Result<(), Error> {
    let (status, again, finished_at) = match then {
        Then::Done => ("done", None, Some(at)),
        Then::Again(due) => ("waiting", Some(due), None),
    };
    let statement = format!(
        "UPDATE exports SET status = $4, lease_until = 0, failures = 0, error_code = NULL, error_message = NULL, \
         failing_since = NULL, started_at = NULL, through = $5, scores_through = $9, run = run + $6, last_run = CASE WHEN $6 = 1 THEN run ELSE last_run END, \
         not_before = COALESCE($7, not_before), finished_at = $8, \
         sealed = CASE WHEN $4 = 'done' THEN NULL ELSE sealed END{HELD}"
    );
    let stepped = query(AssertSqlSafe(statement))
        .bind(lease.export.to_string())
        .bind(lease.owner.to_string())
        .bind(stored(lease.run)?)
        .bind(status)
        .bind(words(through))
        .bind(i64::from(is_written))
        .bind(maybe_stored(again))
        .bind(maybe_stored(finished_at))
        .bind(words(scores_through));
    held(&stepped.execute(connection).await?)
}

async fn note(connection: &mut AnyConnection, export: ExportId, run: &ExportRun, manifest: &str) -> Result<(), Error> {
    query(
        "INSERT INTO export_runs (export_id, run, path, sha256, manifest, row_count, delete_count, byte_count, file_count, \
         created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(export.to_string())
    .bind(stored(run.run)?)
    .bind(&run.path)
    .bind(&run.sha256)
    .bind(manifest)
    .bind(stored(run.rows)?)
    .bind(stored(run.deletes)?)
    .bind(stored(run.bytes)?)
    .bind(stored(run.files)?)
    .bind(run.created_at.as_nanos())
    .execute(connection)
    .await
    .map_err(refused("this run's manifest"))?;
    Ok(())
}

/// Answers how many there were.
async fn forget_erasures(connection: &mut AnyConnection, export: ExportId) -> Result<u64, Error> {
    let forgotten = query("DELETE FROM export_erasures WHERE export_id = $1").bind(export.to_string());
    Ok(forgotten.execute(connection).await?.rows_affected())
}

/// Instead of what it has yet to tell, the export has everything to tell.
async fn begin_anew(connection: &mut AnyConnection, export: &str, everything: ErasureId) -> Result<(), Error> {
    query("DELETE FROM export_erasures WHERE export_id = $1").bind(export).execute(&mut *connection).await?;
    query("INSERT INTO export_erasures (export_id, erasure_id, scope, traces) VALUES ($1, $2, 'app', '')")
        .bind(export)
        .bind(everything.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

/// Puts an erasure on the list of each schedule that it concerns, within the transaction that stores it.
pub(super) async fn remember_erasure(connection: &mut AnyConnection, new: &NewErasure) -> Result<(), Error> {
    let Erasure { id, tenant, scope, .. } = &new.erasure;
    let (word, app) = match scope {
        ErasureScope::Traces(app, _) => ("traces", Some(*app)),
        ErasureScope::App(app) => ("app", Some(*app)),
        ErasureScope::Tenant => ("tenant", None),
    };
    let app = app.map(|app| app.to_string()).unwrap_or_default();
    let tenant = tenant.to_string();
    // First: one that is resumed at this moment either learns that it has missed something, or finds it on its list.
    query(
        "UPDATE exports SET lost_erasures_at = $3 WHERE tenant_id = $1 AND ($2 = '' OR app_id = $2) AND status = 'paused' \
         AND schedule IS NOT NULL",
    )
    .bind(&tenant)
    .bind(&app)
    .bind(new.requested_at.as_nanos())
    .execute(&mut *connection)
    .await?;
    for (agent, traces) in told_to(new) {
        query(
            "INSERT INTO export_erasures (export_id, erasure_id, scope, traces) SELECT id, $1, $2, $3 FROM exports \
             WHERE tenant_id = $4 AND ($5 = '' OR app_id = $5) AND schedule IS NOT NULL AND status IN ('waiting', 'running') \
             AND ($6 = 'any' OR COALESCE(agent_id, '') = $6)",
        )
        .bind(id.to_string())
        .bind(word)
        .bind(traces)
        .bind(&tenant)
        .bind(&app)
        .bind(agent)
        .execute(&mut *connection)
        .await?;
    }
    shorten(connection, &tenant, *id).await
}

/// Traces as they are stored, and whose exports hear of them: of an agent by its id, of the app by none, or any.
fn told_to(new: &NewErasure) -> Vec<(String, String)> {
    let text =
        |traces: &[TraceId]| hex::encode(traces.iter().flat_map(TraceId::as_bytes).copied().collect::<Vec<u8>>());
    let ErasureScope::Traces(_, traces) = &new.erasure.scope else { return vec![("any".into(), String::new())] };
    let all: TraceSet = traces.as_slice().iter().chain(&new.touched).copied().collect();
    let of_agents = new.of_agents.iter().filter(|(_, traces)| !traces.is_empty());
    let of_agents = of_agents.map(|(agent, traces)| (agent.to_string(), text(traces)));
    std::iter::once((String::new(), text(all.as_slice()))).chain(of_agents).collect()
}

/// Lists that have grown too long become one word: everything.
async fn shorten(connection: &mut AnyConnection, tenant: &str, id: ErasureId) -> Result<(), Error> {
    let long = query(
        "SELECT export_id FROM export_erasures JOIN exports ON exports.id = export_erasures.export_id \
         WHERE exports.tenant_id = $1 GROUP BY export_id HAVING COUNT(*) > $2 OR SUM(LENGTH(traces)) > $3",
    )
    .bind(tenant)
    .bind(stored(UNTOLD_ERASURES_MAX)?)
    .bind(stored(UNTOLD_TRACES_MAX * 2 * TRACE_BYTES as u64)?);
    for row in long.fetch_all(&mut *connection).await? {
        begin_anew(connection, &row.text("export_id")?, id).await?;
    }
    Ok(())
}

fn words(receipts: &[Receipt]) -> String {
    receipts.iter().map(Receipt::to_string).collect::<Vec<_>>().join(" ")
}

fn read(row: &AnyRow) -> Result<Export, Error> {
    let bytes = |column, text: String| hex::decode(text).map_err(|why| corrupt(column, why));
    let asked = NewExport {
        id: row.parsed("id")?,
        tenant: row.parsed("tenant_id")?,
        app: row.parsed("app_id")?,
        agent: row.maybe_parsed("agent_id")?,
        caller: row.bytes("caller")?,
        spec: row.text("spec")?,
        sealed: row.maybe_text("sealed")?.map(|text| bytes("sealed", text)).transpose()?,
        schedule: row.maybe_text("schedule")?,
        created_at: row.time("created_at")?,
        not_before: row.time("not_before")?,
    };
    let error = match (row.maybe_text("error_code")?, row.maybe_text("error_message")?) {
        (Some(code), Some(message)) => Some(ExportFailure { code, message }),
        _ => None,
    };
    let places = |column| -> Result<Vec<Receipt>, Error> {
        let text = row.text(column)?;
        let places: Result<_, _> = text.split_whitespace().map(str::parse).collect();
        places.map_err(|why| corrupt(column, why))
    };
    Ok(Export {
        asked,
        status: row.word("status", ExportStatus::parse)?,
        run: row.number("run")?,
        failures: row.number("failures")?,
        error,
        failing_since: row.maybe_time("failing_since")?,
        started_at: row.maybe_time("started_at")?,
        progress: Progress {
            rows: row.number("row_count")?,
            bytes: row.number("byte_count")?,
            files: row.number("file_count")?,
            total_rows: row.maybe_number("total_rows")?,
        },
        through: places("through")?,
        scores_through: places("scores_through")?,
        last: read_last(row)?,
        finished_at: row.maybe_time("finished_at")?,
    })
}

fn read_last(row: &AnyRow) -> Result<Option<ExportRun>, Error> {
    let Some(run) = row.maybe_number("last_run")? else { return Ok(None) };
    Ok(Some(ExportRun {
        run,
        path: row.text("last_path")?,
        sha256: row.text("last_sha256")?,
        rows: row.number("last_rows")?,
        deletes: row.number("last_deletes")?,
        bytes: row.number("last_bytes")?,
        files: row.number("last_files")?,
        created_at: row.time("last_created_at")?,
    }))
}

fn read_run(row: &AnyRow) -> Result<ExportRun, Error> {
    Ok(ExportRun {
        run: row.number("run")?,
        path: row.text("path")?,
        sha256: row.text("sha256")?,
        rows: row.number("row_count")?,
        deletes: row.number("delete_count")?,
        bytes: row.number("byte_count")?,
        files: row.number("file_count")?,
        created_at: row.time("created_at")?,
    })
}

fn read_untold(row: &AnyRow) -> Result<UntoldErasure, Error> {
    let (id, scope) = (row.parsed("erasure_id")?, row.text("scope")?);
    if scope != "traces" {
        return Ok(UntoldErasure { id, traces: None });
    }
    let bytes = row.bytes("traces")?;
    let traces = bytes.chunks(TRACE_BYTES).map(TraceId::from_slice);
    let traces: Result<_, _> = traces.collect();
    Ok(UntoldErasure { id, traces: Some(traces.map_err(|why| corrupt("traces", why))?) })
}
