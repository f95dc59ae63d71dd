//! Rows of apps that were deleted: erased as any, under the app's own id, once no writer can hold one that is in no file.
//!
//! Nobody reads them from the deletion on, so nothing needs hiding meanwhile.

use spanlake_model::{AppId, Erasure, ErasureId, ErasureScope, Receipt, Table, TenantId, Timestamp, WriterId};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, query};

use super::Catalog;
use super::accounts::{all, one};
use super::erasures::{has_room, insert};
use super::row::Columns as _;
use super::tenancy::{LET_IN_FOR, SETTLED_AFTER, all_settled, nanos};
use crate::erasures::{ErasureProof, NewErasure, Subject};
use crate::error::Error;

/// The erasure of an app's rows has the app's id: whoever deleted it knows what to ask for.
fn erasure_of(app: AppId) -> ErasureId {
    ErasureId::from_bytes(*app.as_bytes())
}

/// The proof of an erasure that is still to begin.
pub(super) async fn waiting(
    connection: &mut AnyConnection,
    tenant: TenantId,
    id: ErasureId,
) -> Result<Option<ErasureProof>, Error> {
    let found = query("SELECT id, deleted_at FROM apps WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NOT NULL");
    let found = one(found.bind(tenant.to_string()).bind(id.to_string()), connection, read_deleted).await?;
    Ok(found.map(|(app, deleted_at)| ErasureProof {
        id,
        subject: Subject::App,
        app: Some(app),
        traces: 0,
        requested_at: deleted_at,
        rewritten_at: None,
        finished_at: None,
        rows: 0,
        file_count: 0,
        files: Vec::new(),
    }))
}

impl Catalog {
    /// Begins what can begin, a hundred apps at most: the compactor comes again. A tenant that erases too much already waits for that.
    pub(super) async fn erase_deleted_apps(&self, at: Timestamp) -> Result<(), Error> {
        let found = query(concat!(
            "SELECT id, tenant_id, deleted_at FROM apps WHERE deleted_at <= $1 \
             AND NOT EXISTS (SELECT 1 FROM erasures WHERE erasures.id = apps.id) AND ",
            all_settled!(),
            "apps.deleted_at + $2)) ORDER BY deleted_at, id LIMIT 100",
        ));
        let found = found.bind(at.minus(SETTLED_AFTER).as_nanos()).bind(nanos(LET_IN_FOR));
        let apps = all(found, &self.read, |row| {
            let (app, deleted_at) = read_deleted(row)?;
            Ok((row.parsed("tenant_id")?, app, deleted_at))
        });
        for (tenant, app, deleted_at) in apps.await? {
            match self.erase_app(tenant, app, deleted_at).await {
                // Another compactor was faster, or there is no room yet.
                Ok(()) | Err(Error::Exists { .. } | Error::Crowded { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn erase_app(&self, tenant: TenantId, app: AppId, requested_at: Timestamp) -> Result<(), Error> {
        let mut transaction = self.begin_write().await?;
        has_room(&mut transaction, tenant).await?;
        // All that there will ever be of it lies in files.
        let bounds = landed(&mut transaction, tenant, Table::Spans).await?;
        let score_bounds = landed(&mut transaction, tenant, Table::Scores).await?;
        let erasure = Erasure { id: erasure_of(app), tenant, scope: ErasureScope::App(app), bounds };
        // Its keys are gone, and so is whoever its agents' schedules were for.
        let new = NewErasure { score_bounds, ..NewErasure::new(erasure, Subject::App, requested_at) };
        insert(&mut transaction, &new).await?;
        transaction.commit().await?;
        tracing::info!(tenant.id = %tenant, app.id = %app, "the rows of a deleted app are erased");
        Ok(())
    }
}

/// Of each writer the last frame of the tenant's that is in files.
async fn landed(connection: &mut AnyConnection, tenant: TenantId, table: Table) -> Result<Vec<Receipt>, Error> {
    let found = query("SELECT writer_id, sequence FROM watermarks WHERE tenant_id = $1 AND table_name = $2");
    all(found.bind(tenant.to_string()).bind(table.as_str()), connection, |row| {
        Ok(Receipt { writer: row.parsed::<WriterId>("writer_id")?, sequence: row.number("sequence")? })
    })
    .await
}

fn read_deleted(row: &AnyRow) -> Result<(AppId, Timestamp), Error> {
    Ok((row.parsed("id")?, row.time("deleted_at")?))
}
