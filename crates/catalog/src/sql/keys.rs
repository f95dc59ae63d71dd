//! API keys.

use async_trait::async_trait;
use serde_json::{Value, json};
use spanlake_model::{Changed, KeyId, TenantId, Timestamp};
use sqlx::any::AnyRow;
use sqlx::query;

use super::Catalog;
use super::accounts::{Statement, all, one};
use super::audit::Note;
use super::changes::announce;
use super::people::withdraw_all_of;
use super::row::{Columns as _, maybe_stored, refused};
use crate::audit::Actor;
use crate::error::Error;
use crate::keys::{ApiKey, Keys, NewKey};

macro_rules! key_columns {
    () => {
        "id, tenant_id, app_id, agent_id, name, hash, pepper_version, last4, scopes, created_at, expires_at, revoked_at, \
         last_used_at, created_by"
    };
}

#[async_trait]
impl Keys for Catalog {
    async fn add_key(&self, key: NewKey) -> Result<(), Error> {
        let mut transaction = self.begin_write().await?;
        let (tenant, note) = (key.tenant, Note::new("api_key.created", key.id).after(shown(&key)));
        insert_key(key).execute(&mut *transaction).await.map_err(refused("a key of this id"))?;
        self.note(&mut transaction, tenant, note).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn keys(&self, tenant: TenantId) -> Result<Vec<ApiKey>, Error> {
        let found =
            query(concat!("SELECT ", key_columns!(), " FROM api_keys WHERE tenant_id = $1 ORDER BY created_at, id"));
        all(found.bind(tenant.to_string()), &self.read, read_api_key).await
    }

    async fn key(&self, key: KeyId) -> Result<Option<ApiKey>, Error> {
        let found = query(concat!(
            "SELECT ",
            key_columns!(),
            " FROM api_keys WHERE id = $1 \
             AND NOT EXISTS (SELECT 1 FROM apps WHERE apps.id = api_keys.app_id AND apps.deleted_at IS NOT NULL) \
             AND NOT EXISTS (SELECT 1 FROM agents WHERE agents.id = api_keys.agent_id AND agents.deleted_at IS NOT NULL)"
        ));
        one(found.bind(key.to_string()), &self.read, read_api_key).await
    }

    async fn revoke_key(&self, tenant: TenantId, key: KeyId, at: Timestamp) -> Result<bool, Error> {
        let mut transaction = self.begin_write().await?;
        let revoked = query(concat!(
            "UPDATE api_keys SET revoked_at = COALESCE(revoked_at, $1) WHERE tenant_id = $2 AND id = $3 RETURNING ",
            key_columns!()
        ));
        let revoked = revoked.bind(at.as_nanos()).bind(tenant.to_string()).bind(key.to_string());
        let Some(revoked) = one(revoked, &mut *transaction, read_api_key).await? else { return Ok(false) };
        withdraw_all_of(&mut transaction, tenant, Actor::Key(key)).await?;
        announce(&mut transaction, tenant, &[Changed::Key(key)]).await?;
        self.note(&mut transaction, tenant, Note::new("api_key.revoked", key).before(shown(&revoked))).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn rotate_key(&self, old: KeyId, end: Timestamp, successor: NewKey, now: Timestamp) -> Result<bool, Error> {
        let mut transaction = self.begin_write().await?;
        let held =
            query("UPDATE api_keys SET created_at = created_at WHERE tenant_id = $1 AND id = $2 RETURNING expires_at");
        let held = held.bind(successor.tenant.to_string()).bind(old.to_string());
        let Some(before) = one(held, &mut *transaction, |row| row.maybe_time("expires_at")).await? else {
            return Ok(false);
        };
        let ended = query(
            "UPDATE api_keys SET expires_at = CASE WHEN expires_at < $1 THEN expires_at ELSE $1 END \
             WHERE tenant_id = $2 AND id = $3 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $4)",
        );
        let ended = ended
            .bind(end.as_nanos())
            .bind(successor.tenant.to_string())
            .bind(old.to_string())
            .bind(now.as_nanos())
            .execute(&mut *transaction)
            .await?;
        if ended.rows_affected() == 0 {
            return Ok(false);
        }
        let tenant = successor.tenant;
        let note = Note::new("api_key.rotated", old)
            .before(json!({"expires_at": before.map(|at| at.to_string())}))
            .after(json!({
                "expires_at": before.map_or(end, |before| before.min(end)).to_string(),
                "successor": shown(&successor),
            }));
        insert_key(successor).execute(&mut *transaction).await.map_err(refused("a key of this id"))?;
        if end <= now {
            announce(&mut transaction, tenant, &[Changed::Key(old)]).await?;
        }
        self.note(&mut transaction, tenant, note).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn touch_key(&self, key: KeyId, at: Timestamp) -> Result<(), Error> {
        query("UPDATE api_keys SET last_used_at = $1 WHERE id = $2 AND (last_used_at IS NULL OR last_used_at < $1)")
            .bind(at.as_nanos())
            .bind(key.to_string())
            .execute(&self.write)
            .await?;
        Ok(())
    }
}

fn insert_key(key: NewKey) -> Statement<'static> {
    let insert = query(concat!(
        "INSERT INTO api_keys (",
        key_columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
    ));
    insert
        .bind(key.id.to_string())
        .bind(key.tenant.to_string())
        .bind(key.app.map(|app| app.to_string()))
        .bind(key.agent.map(|agent| agent.to_string()))
        .bind(key.name)
        .bind(hex::encode(key.hash))
        .bind(i64::from(key.pepper_version))
        .bind(key.last4)
        .bind(key.scopes.to_string())
        .bind(key.created_at.as_nanos())
        .bind(maybe_stored(key.expires_at))
        .bind(maybe_stored(key.revoked_at))
        .bind(maybe_stored(key.last_used_at))
        .bind(key.created_by.map(|actor| actor.to_string()))
}

/// A key as the record shows it.
fn shown(key: &ApiKey) -> Value {
    json!({
        "name": key.name,
        "scopes": key.scopes.to_string(),
        "app_id": key.app.map(|app| app.to_string()),
        "agent_id": key.agent.map(|agent| agent.to_string()),
        "expires_at": key.expires_at.map(|at| at.to_string()),
    })
}

fn read_api_key(row: &AnyRow) -> Result<ApiKey, Error> {
    Ok(ApiKey {
        id: row.parsed("id")?,
        tenant: row.parsed("tenant_id")?,
        app: row.maybe_parsed("app_id")?,
        agent: row.maybe_parsed("agent_id")?,
        name: row.text("name")?,
        hash: row.bytes("hash")?,
        pepper_version: row.number("pepper_version")?,
        last4: row.text("last4")?,
        scopes: row.parsed("scopes")?,
        created_at: row.time("created_at")?,
        expires_at: row.maybe_time("expires_at")?,
        revoked_at: row.maybe_time("revoked_at")?,
        last_used_at: row.maybe_time("last_used_at")?,
        created_by: row.maybe_parsed("created_by")?,
    })
}

pub(super) fn read_key_id(row: &AnyRow) -> Result<KeyId, Error> {
    row.parsed("id")
}
