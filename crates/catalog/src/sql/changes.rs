//! What changed, for processes that remember who is who.

use async_trait::async_trait;
use spanlake_model::{AccountChanges, Changed, TenantId};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, query};

use super::Catalog;
use super::row::{Columns as _, corrupt, stored};
use crate::changes::{CHANGES_KEPT, Changes};
use crate::error::Error;

/// Changes that one statement stores.
const ROWS_AT_ONCE: usize = 200;

#[async_trait]
impl Changes for Catalog {
    async fn changes_after(&self, sequence: u64) -> Result<AccountChanges, Error> {
        let mut transaction = self.begin_read().await?;
        let head = query("SELECT sequence FROM account_change_heads WHERE name = 'all'");
        let head = head.fetch_optional(&mut *transaction).await?.map_or(Ok(0), |row| row.number("sequence"))?;
        // A head below what somebody has seen is another catalog's, or one from a backup.
        if head < sequence || head - sequence > CHANGES_KEPT {
            return Ok(AccountChanges { sequence: head, changed: None });
        }
        let found = query(
            "SELECT tenant_id, what, id FROM account_changes WHERE sequence > $1 AND sequence <= $2 ORDER BY sequence",
        );
        let rows = found.bind(stored(sequence)?).bind(stored(head)?).fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        let changed: Vec<_> = rows.iter().map(read_change).collect::<Result<_, _>>()?;
        let is_whole = changed.len() as u64 == head - sequence;
        Ok(AccountChanges { sequence: head, changed: is_whole.then_some(changed) })
    }
}

/// Tells them, from the commit on. Call it after all else but the note for the record: it holds the end of the list until the
/// transaction ends.
pub(super) async fn announce(
    connection: &mut AnyConnection,
    tenant: TenantId,
    changed: &[Changed],
) -> Result<(), Error> {
    if changed.is_empty() {
        return Ok(());
    }
    // All numbers at once, and few statements: everybody else's changes wait for the commit.
    let next = query(
        "INSERT INTO account_change_heads (name, sequence) VALUES ('all', $1) \
         ON CONFLICT (name) DO UPDATE SET sequence = account_change_heads.sequence + excluded.sequence RETURNING sequence",
    );
    let count = stored(changed.len() as u64)?;
    let last = next.bind(count).fetch_one(&mut *connection).await?.integer("sequence")?;
    let mut sequence = last.saturating_sub(count);
    for changed in changed.chunks(ROWS_AT_ONCE) {
        insert(connection, tenant, sequence, changed).await?;
        sequence = sequence.saturating_add(stored(changed.len() as u64)?);
    }
    query("DELETE FROM account_changes WHERE sequence <= $1")
        .bind(last.saturating_sub(stored(CHANGES_KEPT)?))
        .execute(&mut *connection)
        .await?;
    Ok(())
}

/// Stores changes whose numbers follow `sequence`.
async fn insert(
    connection: &mut AnyConnection,
    tenant: TenantId,
    mut sequence: i64,
    changed: &[Changed],
) -> Result<(), Error> {
    let row = |index: usize| {
        let [sequence, tenant, what, id] = [1, 2, 3, 4].map(|column| 4 * index + column);
        format!("(${sequence}, ${tenant}, ${what}, ${id})")
    };
    let rows: Vec<_> = (0..changed.len()).map(row).collect();
    let statement = format!("INSERT INTO account_changes (sequence, tenant_id, what, id) VALUES {}", rows.join(", "));
    let mut statement = query(AssertSqlSafe(statement));
    for change in changed {
        sequence = sequence.saturating_add(1);
        let (what, id) = words(change);
        statement = statement.bind(sequence).bind(tenant.to_string()).bind(what).bind(id);
    }
    statement.execute(connection).await?;
    Ok(())
}

fn words(change: &Changed) -> (&'static str, String) {
    match change {
        Changed::Key(key) => ("key", key.to_string()),
        Changed::Member(_, member) => ("member", member.to_string()),
        Changed::App(_, app) => ("app", app.to_string()),
        Changed::Agent(_, agent) => ("agent", agent.to_string()),
        Changed::Tenant(tenant) => ("tenant", tenant.to_string()),
    }
}

fn read_change(row: &AnyRow) -> Result<Changed, Error> {
    let tenant = row.parsed("tenant_id")?;
    match row.text("what")?.as_str() {
        "key" => Ok(Changed::Key(row.parsed("id")?)),
        "member" => Ok(Changed::Member(tenant, row.parsed("id")?)),
        "app" => Ok(Changed::App(tenant, row.parsed("id")?)),
        "agent" => Ok(Changed::Agent(tenant, row.parsed("id")?)),
        "tenant" => Ok(Changed::Tenant(tenant)),
        other => Err(corrupt("what", format!("unknown word '{other}'"))),
    }
}
