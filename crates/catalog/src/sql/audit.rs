//! The record of who changed what.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use spanlake_model::TenantId;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, query};

use super::Catalog;
use super::accounts::{all, one};
use super::row::{Columns as _, corrupt, stored};
use crate::accounts::Accounts;
use crate::audit::{Act, Audit, AuditEntry, AuditHead, CHAIN_START, Deed, Deeds};
use crate::error::Error;

macro_rules! entry_columns {
    () => {
        "sequence, at, actor, address, action, target, before_change, after_change, hash"
    };
}

#[async_trait]
impl Audit for Catalog {
    fn by(&self, act: Act) -> Arc<dyn Accounts> {
        Arc::new(Self { act: Some(Arc::new(act)), ..self.clone() })
    }

    async fn audit_log(&self, tenant: TenantId, before: u64, most: u32) -> Result<Vec<AuditEntry>, Error> {
        let found = query(concat!(
            "SELECT ",
            entry_columns!(),
            " FROM audit_log WHERE tenant_id = $1 AND sequence < $2 ORDER BY sequence DESC LIMIT $3"
        ));
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        all(found.bind(tenant.to_string()).bind(before).bind(i64::from(most)), &self.read, read_entry).await
    }

    async fn audit_head(&self, tenant: TenantId) -> Result<AuditHead, Error> {
        let found = query("SELECT sequence, hash FROM audit_heads WHERE tenant_id = $1").bind(tenant.to_string());
        let head = one(found, &self.read, read_head).await?;
        Ok(head.unwrap_or(AuditHead { sequence: 0, hash: CHAIN_START }))
    }
}

/// What an act did.
pub(super) struct Note {
    action: &'static str,
    target: String,
    before: Option<Value>,
    after: Option<Value>,
}

impl Note {
    pub(super) fn new(action: &'static str, target: impl ToString) -> Self {
        Self { action, target: target.to_string(), before: None, after: None }
    }
    pub(super) fn before(self, before: Value) -> Self {
        Self { before: Some(before), ..self }
    }
    pub(super) fn after(self, after: Value) -> Self {
        Self { after: Some(after), ..self }
    }
}

impl Catalog {
    /// Puts on record what the act behind this catalog, if one is, does in this transaction. Call it last: it holds the end of the
    /// tenant's chain until the transaction ends.
    pub(super) async fn note(&self, connection: &mut AnyConnection, tenant: TenantId, note: Note) -> Result<(), Error> {
        match &self.act {
            Some(act) => write_down(connection, tenant, act, note).await,
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Deeds for Catalog {
    #[tracing::instrument(name = "catalog.put_on_record", skip_all, fields(tenant.id = %tenant))]
    async fn put_on_record(&self, tenant: TenantId, act: Act, deed: Deed) -> Result<(), Error> {
        let mut transaction = self.begin_write().await?;
        // Held: nothing is written about a tenant that is being deleted.
        let held = query("UPDATE tenants SET name = name WHERE id = $1").bind(tenant.to_string());
        if held.execute(&mut *transaction).await?.rows_affected() == 0 {
            return Err(Error::Changed("the tenant was deleted"));
        }
        let Deed { action, target, asked } = deed;
        write_down(&mut transaction, tenant, &act, Note::new(action, target).after(asked)).await?;
        transaction.commit().await?;
        Ok(())
    }
}

async fn write_down(connection: &mut AnyConnection, tenant: TenantId, act: &Act, note: Note) -> Result<(), Error> {
    let previous = next_head(connection, tenant).await?;
    let mut entry = AuditEntry {
        sequence: previous.sequence,
        at: act.at,
        actor: act.actor,
        address: act.address.clone(),
        action: note.action.to_owned(),
        target: note.target,
        before: note.before.map(|value| value.to_string()),
        after: note.after.map(|value| value.to_string()),
        hash: CHAIN_START,
    };
    entry.hash = entry.chained(tenant, &previous.hash);
    append(connection, tenant, entry).await
}

/// The next entry's sequence and the last one's hash.
async fn next_head(connection: &mut AnyConnection, tenant: TenantId) -> Result<AuditHead, Error> {
    let next = query(
        "INSERT INTO audit_heads (tenant_id, sequence, hash) VALUES ($1, 1, $2) \
         ON CONFLICT (tenant_id) DO UPDATE SET sequence = audit_heads.sequence + 1 RETURNING sequence, hash",
    );
    let next = next.bind(tenant.to_string()).bind(hex::encode(CHAIN_START));
    read_head(&next.fetch_one(connection).await?)
}

async fn append(connection: &mut AnyConnection, tenant: TenantId, entry: AuditEntry) -> Result<(), Error> {
    let (tenant, hash) = (tenant.to_string(), hex::encode(entry.hash));
    query(concat!(
        "INSERT INTO audit_log (tenant_id, ",
        entry_columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
    ))
    .bind(&tenant)
    .bind(stored(entry.sequence)?)
    .bind(entry.at.as_nanos())
    .bind(entry.actor.to_string())
    .bind(entry.address)
    .bind(entry.action)
    .bind(entry.target)
    .bind(entry.before)
    .bind(entry.after)
    .bind(&hash)
    .execute(&mut *connection)
    .await?;
    let moved = query("UPDATE audit_heads SET hash = $1 WHERE tenant_id = $2").bind(&hash).bind(&tenant);
    moved.execute(connection).await?;
    Ok(())
}

fn read_entry(row: &AnyRow) -> Result<AuditEntry, Error> {
    Ok(AuditEntry {
        sequence: row.number("sequence")?,
        at: row.time("at")?,
        actor: row.parsed("actor")?,
        address: row.maybe_text("address")?,
        action: row.text("action")?,
        target: row.text("target")?,
        before: row.maybe_text("before_change")?,
        after: row.maybe_text("after_change")?,
        hash: read_hash(row)?,
    })
}

fn read_head(row: &AnyRow) -> Result<AuditHead, Error> {
    Ok(AuditHead { sequence: row.number("sequence")?, hash: read_hash(row)? })
}

fn read_hash(row: &AnyRow) -> Result<[u8; 32], Error> {
    row.bytes("hash")?.try_into().map_err(|_| corrupt("hash", "not 32 bytes"))
}
