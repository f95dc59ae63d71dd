//! Walks through the store.

use std::collections::BTreeSet;

use async_trait::async_trait;
use spanlake_model::{CompactorId, FileId, Timestamp};
use sqlx::{AssertSqlSafe, query};

use super::Catalog;
use super::jobs::held;
use super::row::{Columns as _, stored};
use crate::error::Error;
use crate::sweeps::{Orphan, SweepLease, Sweeps};

/// Ids asked for in one statement.
const IDS_MAX: usize = 500;

#[async_trait]
impl Sweeps for Catalog {
    async fn claim_sweep(
        &self,
        owner: CompactorId,
        name: &'static str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<SweepLease>, Error> {
        let claimed = query(
            "INSERT INTO sweeps (name, owner, lease_until, not_before, position) VALUES ($1, $2, $3, $4, '') \
             ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, lease_until = excluded.lease_until \
             WHERE sweeps.lease_until <= $4 AND sweeps.not_before <= $4 RETURNING position",
        )
        .bind(name)
        .bind(owner.to_string())
        .bind(until.as_nanos())
        .bind(now.as_nanos());
        let claimed = claimed.fetch_optional(&self.write).await?;
        claimed.map(|row| Ok(SweepLease { owner, name, position: row.text("position")? })).transpose()
    }

    async fn end_sweep(&self, lease: SweepLease, not_before: Timestamp) -> Result<(), Error> {
        let given_back =
            query("UPDATE sweeps SET lease_until = 0, not_before = $3, position = $4 WHERE name = $1 AND owner = $2")
                .bind(lease.name)
                .bind(lease.owner.to_string())
                .bind(not_before.as_nanos())
                .bind(lease.position);
        held(&given_back.execute(&self.write).await?)
    }

    async fn unknown(&self, files: &[FileId]) -> Result<Vec<FileId>, Error> {
        let mut known = BTreeSet::new();
        for some in files.chunks(IDS_MAX) {
            // Numbers of parameters, nothing else, is what is put together here.
            let parameters: Vec<_> = (1..=some.len()).map(|number| format!("${number}")).collect();
            let statement = format!("SELECT id FROM data_files WHERE id IN ({})", parameters.join(", "));
            let found = some.iter().fold(query(AssertSqlSafe(statement)), |query, id| query.bind(id.to_string()));
            for row in found.fetch_all(&self.read).await? {
                known.insert(row.parsed::<FileId>("id")?);
            }
        }
        Ok(files.iter().copied().filter(|file| !known.contains(file)).collect())
    }

    async fn condemn(&self, orphans: &[Orphan], at: Timestamp) -> Result<u64, Error> {
        let mut transaction = self.begin_write().await?;
        let mut condemned = 0;
        for orphan in orphans {
            let entered = query(
                "INSERT INTO data_files (id, tenant_id, table_name, day, path, row_count, byte_count, min_start, max_start, \
                 version, superseded, removed_at) VALUES ($1, $2, $3, $4, $5, 0, $6, $7, $7, 0, '', $8) \
                 ON CONFLICT (id) DO NOTHING",
            )
            .bind(orphan.id.to_string())
            .bind(orphan.tenant.to_string())
            .bind(orphan.table.as_str())
            .bind(i64::from(orphan.day.0))
            .bind(&orphan.path)
            .bind(stored(orphan.bytes)?)
            .bind(orphan.day.start().as_nanos())
            .bind(at.as_nanos());
            condemned += entered.execute(&mut *transaction).await?.rows_affected();
        }
        transaction.commit().await?;
        Ok(condemned)
    }
}
