//! Refresh tokens that are exchanged, passwords that change.

use std::time::Duration;

use async_trait::async_trait;
use spanlake_model::{MemberId, TenantId, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, query};

use super::Catalog;
use super::accounts::{Statement, member_columns, one, read_member};
use super::audit::Note;
use super::people::{hold_maker, hold_member, lock};
use super::row::{Columns as _, maybe_stored, refused};
use crate::accounts::Member;
use crate::audit::Actor;
use crate::error::Error;
use crate::sessions::{Exchange, PasswordReset, RefreshToken, Sessions};

/// When a successor that was lost counts as used: before any time of grace.
const LONG_AGO: Timestamp = Timestamp::from_nanos(0);

/// Holds for the member of an open link with this hash who is still what they were when it was made.
macro_rules! open_link {
    ($hash:literal, $now:literal) => {
        concat!(
            "(members.tenant_id, members.id, members.role) IN \
             (SELECT tenant_id, member_id, role FROM password_resets WHERE token_hash = ",
            $hash,
            " AND expires_at > ",
            $now,
            ")"
        )
    };
}

macro_rules! refresh_token_columns {
    () => {
        "hash, family, tenant_id, member_id, expires_at, used_at"
    };
}

#[async_trait]
impl Sessions for Catalog {
    async fn add_refresh_token(&self, token: RefreshToken, password_hash: &str) -> Result<bool, Error> {
        let (tenant, member) = (token.tenant, token.member);
        let mut transaction = self.begin_write().await?;
        let held = hold_member(&mut transaction, tenant, member).await?;
        if held.is_none_or(|held| held.password_hash != password_hash) {
            return Ok(false);
        }
        insert_refresh_token(token, None).execute(&mut *transaction).await.map_err(refused("this refresh token"))?;
        self.note(&mut transaction, tenant, Note::new("session.began", member)).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn use_refresh_token(&self, hash: &[u8], at: Timestamp) -> Result<Option<RefreshToken>, Error> {
        let hash = hex::encode(hash);
        let mut transaction = self.begin_write().await?;
        // The update holds the row, so of two who race only one is first.
        let marked = query("UPDATE refresh_tokens SET used_at = $1 WHERE hash = $2 AND used_at IS NULL")
            .bind(at.as_nanos())
            .bind(&hash)
            .execute(&mut *transaction)
            .await?;
        let found = query(concat!("SELECT ", refresh_token_columns!(), " FROM refresh_tokens WHERE hash = $1"));
        let token = one(found.bind(&hash), &mut *transaction, read_refresh_token).await?;
        transaction.commit().await?;
        let first = marked.rows_affected() > 0;
        Ok(token.map(|token| RefreshToken { used_at: token.used_at.filter(|_| !first), ..token }))
    }

    async fn drop_family(&self, family: &str) -> Result<(), Error> {
        let mut transaction = self.begin_write().await?;
        // Held as by whoever exchanges one: what they store is there before the delete looks.
        query(
            "UPDATE members SET created_at = created_at WHERE id IN (SELECT member_id FROM refresh_tokens WHERE family = $1)",
        )
        .bind(family)
        .execute(&mut *transaction)
        .await?;
        query("DELETE FROM refresh_tokens WHERE family = $1").bind(family).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn refresh_token(&self, hash: &[u8]) -> Result<Option<RefreshToken>, Error> {
        let found = query(concat!("SELECT ", refresh_token_columns!(), " FROM refresh_tokens WHERE hash = $1"));
        one(found.bind(hex::encode(hash)), &self.read, read_refresh_token).await
    }

    async fn exchange_refresh_token(
        &self,
        hash: &[u8],
        successor: RefreshToken,
        at: Timestamp,
        grace_from: Timestamp,
    ) -> Result<Exchange, Error> {
        let hash = hex::encode(hash);
        let mut transaction = self.begin_write().await?;
        // Whoever ends the member's sessions meanwhile waits, and then ends this one's successor as well.
        hold_member(&mut transaction, successor.tenant, successor.member).await?;
        // The update changes nothing and holds the row, so those who race come one after the other.
        let held =
            query("UPDATE refresh_tokens SET used_at = used_at WHERE hash = $1 AND family = $2 RETURNING used_at");
        let held = held.bind(&hash).bind(&successor.family).fetch_optional(&mut *transaction).await?;
        let Some(held) = held else { return Ok(Exchange::Unknown) };
        match held.maybe_time("used_at")? {
            None => {
                let used = query("UPDATE refresh_tokens SET used_at = $1 WHERE hash = $2");
                used.bind(at.as_nanos()).bind(&hash).execute(&mut *transaction).await?;
            }
            Some(used_at) if used_at >= grace_from => {
                let lost = query("UPDATE refresh_tokens SET used_at = $1 WHERE replaces = $2 AND used_at IS NULL");
                if lost.bind(LONG_AGO.as_nanos()).bind(&hash).execute(&mut *transaction).await?.rows_affected() == 0 {
                    return Ok(Exchange::Reused);
                }
            }
            Some(_) => return Ok(Exchange::Reused),
        }
        insert_refresh_token(successor, Some(hash))
            .execute(&mut *transaction)
            .await
            .map_err(refused("this refresh token"))?;
        transaction.commit().await?;
        Ok(Exchange::Done)
    }

    async fn change_password(&self, tenant: TenantId, member: MemberId, from: &str, to: &str) -> Result<bool, Error> {
        let mut transaction = self.begin_write().await?;
        let changed =
            query("UPDATE members SET password_hash = $1 WHERE tenant_id = $2 AND id = $3 AND password_hash = $4");
        let changed = changed.bind(to).bind(tenant.to_string()).bind(member.to_string()).bind(from);
        if changed.execute(&mut *transaction).await?.rows_affected() == 0 {
            return Ok(false);
        }
        end_sessions(&mut transaction, tenant, member).await?;
        self.note(&mut transaction, tenant, Note::new("password.changed", member)).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn add_password_reset(&self, reset: PasswordReset) -> Result<(), Error> {
        let mut transaction = self.begin_write().await?;
        lock(&mut transaction, reset.tenant).await?;
        let member = hold_member(&mut transaction, reset.tenant, reset.member).await?;
        if member.is_none_or(|member| member.role != reset.role) {
            return Err(Error::Changed("the member"));
        }
        if let Some(maker) = reset.made_by {
            hold_maker(&mut transaction, reset.tenant, maker).await?;
        }
        query(
            "INSERT INTO password_resets (tenant_id, member_id, token_hash, expires_at, made_by, role) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant_id, member_id) DO UPDATE SET token_hash = excluded.token_hash, \
             expires_at = excluded.expires_at, made_by = excluded.made_by, role = excluded.role",
        )
        .bind(reset.tenant.to_string())
        .bind(reset.member.to_string())
        .bind(hex::encode(reset.token_hash))
        .bind(reset.expires_at.as_nanos())
        .bind(reset.made_by.map(|maker| Actor::from(maker).to_string()))
        .bind(reset.role.as_str())
        .execute(&mut *transaction)
        .await
        .map_err(refused("this link"))?;
        self.note(&mut transaction, reset.tenant, Note::new("password_reset.created", reset.member)).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn password_reset(&self, token_hash: &[u8], now: Timestamp) -> Result<Option<Member>, Error> {
        let found = query(concat!("SELECT ", member_columns!(), " FROM members WHERE ", open_link!("$1", "$2")));
        one(found.bind(hex::encode(token_hash)).bind(now.as_nanos()), &self.read, read_member).await
    }

    async fn reset_password(&self, token_hash: &[u8], password: &str, at: Timestamp) -> Result<Option<Member>, Error> {
        let token_hash = hex::encode(token_hash);
        let mut transaction = self.begin_write().await?;
        let set = query(concat!(
            "UPDATE members SET password_hash = $1 WHERE ",
            open_link!("$2", "$3"),
            " RETURNING ",
            member_columns!()
        ));
        let set = set.bind(password).bind(&token_hash).bind(at.as_nanos());
        let Some(member) = one(set, &mut *transaction, read_member).await? else { return Ok(None) };
        // Of two who race, or race a change of role, the second finds it gone, and its password is not kept.
        let used = query("DELETE FROM password_resets WHERE token_hash = $1").bind(&token_hash);
        if used.execute(&mut *transaction).await?.rows_affected() == 0 {
            return Ok(None);
        }
        end_sessions(&mut transaction, member.tenant, member.id).await?;
        self.note(&mut transaction, member.tenant, Note::new("password.reset", member.id)).await?;
        transaction.commit().await?;
        Ok(Some(member))
    }
}

/// What has ended is kept so long, so that nobody who is still looking at it waits for the delete.
const ENDED_FOR: Duration = Duration::from_secs(86_400);

impl Catalog {
    /// Deletes refresh tokens, invitations and links that ended a day ago, a thousand of each at most: the compactor comes again.
    pub(super) async fn delete_ended(&self, at: Timestamp) -> Result<(), Error> {
        let end = at.minus(ENDED_FOR).as_nanos();
        for delete in [
            "DELETE FROM refresh_tokens WHERE hash IN (SELECT hash FROM refresh_tokens WHERE expires_at <= $1 ORDER BY expires_at LIMIT 1000)",
            "DELETE FROM invites WHERE id IN (SELECT id FROM invites WHERE expires_at <= $1 ORDER BY expires_at LIMIT 1000)",
            "DELETE FROM password_resets WHERE token_hash IN (SELECT token_hash FROM password_resets WHERE expires_at <= $1 LIMIT 1000)",
        ] {
            query(delete).bind(end).execute(&self.write).await?;
        }
        Ok(())
    }
}

/// Whoever knows what was true before must not get in any more.
pub(super) async fn end_sessions(
    connection: &mut AnyConnection,
    tenant: TenantId,
    member: MemberId,
) -> Result<(), Error> {
    query("DELETE FROM refresh_tokens WHERE tenant_id = $1 AND member_id = $2")
        .bind(tenant.to_string())
        .bind(member.to_string())
        .execute(&mut *connection)
        .await?;
    end_links(connection, tenant, member).await
}

/// What was made to let them set a password.
pub(super) async fn end_links(connection: &mut AnyConnection, tenant: TenantId, member: MemberId) -> Result<(), Error> {
    query("DELETE FROM password_resets WHERE tenant_id = $1 AND member_id = $2")
        .bind(tenant.to_string())
        .bind(member.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

fn insert_refresh_token(token: RefreshToken, replaces: Option<String>) -> Statement<'static> {
    let insert = query(concat!(
        "INSERT INTO refresh_tokens (",
        refresh_token_columns!(),
        ", replaces) VALUES ($1, $2, $3, $4, $5, $6, $7)"
    ));
    insert
        .bind(hex::encode(token.hash))
        .bind(token.family)
        .bind(token.tenant.to_string())
        .bind(token.member.to_string())
        .bind(token.expires_at.as_nanos())
        .bind(maybe_stored(token.used_at))
        .bind(replaces)
}

fn read_refresh_token(row: &AnyRow) -> Result<RefreshToken, Error> {
    Ok(RefreshToken {
        hash: row.bytes("hash")?,
        family: row.text("family")?,
        tenant: row.parsed("tenant_id")?,
        member: row.parsed("member_id")?,
        expires_at: row.time("expires_at")?,
        used_at: row.maybe_time("used_at")?,
    })
}
