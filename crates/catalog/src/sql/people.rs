//! Members and invitations.

use async_trait::async_trait;
use serde_json::json;
use spanlake_model::{Changed, InviteId, MemberId, Principal, Role, TenantId, Timestamp};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, query};

use super::Catalog;
use super::accounts::{all, insert_member, member_columns, one, read_member};
use super::audit::Note;
use super::changes::announce;
use super::row::{Columns as _, refused, stored};
use super::sessions::{end_links, end_sessions};
use crate::accounts::Member;
use crate::audit::Actor;
use crate::error::Error;
use crate::people::{Invite, MemberChange, OPEN_INVITES_MAX, People};

macro_rules! invite_columns {
    () => {
        "id, tenant_id, email, role, token_hash, invited_by, invited_by_key, created_at, expires_at"
    };
}

#[async_trait]
impl People for Catalog {
    async fn members(&self, tenant: TenantId) -> Result<Vec<Member>, Error> {
        let found = query(concat!(
            "SELECT ",
            member_columns!(),
            " FROM members WHERE tenant_id = $1 ORDER BY members.created_at, members.id"
        ));
        all(found.bind(tenant.to_string()), &self.read, read_member).await
    }

    async fn change_role(
        &self,
        tenant: TenantId,
        member: MemberId,
        from: Role,
        to: Role,
    ) -> Result<MemberChange, Error> {
        let mut transaction = self.begin_write().await?;
        let found = match locked(&mut transaction, tenant, member, from).await? {
            Ok(found) => found,
            Err(refusal) => return Ok(refusal),
        };
        if to != Role::Owner && is_last_owner(&mut transaction, &found).await? {
            return Ok(MemberChange::LastOwner);
        }
        // Whoever is no owner any more may sign up anew.
        query(
            "UPDATE members SET role = $1, signed_up_as = CASE WHEN role = 'owner' THEN NULL ELSE signed_up_as END \
             WHERE tenant_id = $2 AND id = $3",
        )
        .bind(to.as_str())
        .bind(tenant.to_string())
        .bind(member.to_string())
        .execute(&mut *transaction)
        .await?;
        withdraw_all_of(&mut transaction, tenant, Actor::Member(member)).await?;
        end_links(&mut transaction, tenant, member).await?;
        announce(&mut transaction, tenant, &[Changed::Member(tenant, member)]).await?;
        let role = |role: Role| json!({"email": found.email, "role": role.as_str()});
        let note = Note::new("member.role_changed", member).before(role(from)).after(role(to));
        self.note(&mut transaction, tenant, note).await?;
        transaction.commit().await?;
        Ok(MemberChange::Done(Member { role: to, ..found }))
    }

    async fn remove_member(&self, tenant: TenantId, member: MemberId, role: Role) -> Result<MemberChange, Error> {
        let mut transaction = self.begin_write().await?;
        let found = match locked(&mut transaction, tenant, member, role).await? {
            Ok(found) => found,
            Err(refusal) => return Ok(refusal),
        };
        if is_last_owner(&mut transaction, &found).await? {
            return Ok(MemberChange::LastOwner);
        }
        withdraw_all_of(&mut transaction, tenant, Actor::Member(member)).await?;
        end_sessions(&mut transaction, tenant, member).await?;
        let deleted = query("DELETE FROM members WHERE tenant_id = $1 AND id = $2");
        let deleted = deleted.bind(tenant.to_string()).bind(member.to_string());
        deleted.execute(&mut *transaction).await.map_err(refused("the member"))?;
        announce(&mut transaction, tenant, &[Changed::Member(tenant, member)]).await?;
        let before = json!({"email": found.email, "role": role.as_str()});
        self.note(&mut transaction, tenant, Note::new("member.removed", member).before(before)).await?;
        transaction.commit().await?;
        Ok(MemberChange::Done(found))
    }

    async fn invite(&self, invite: Invite, maker: Option<Principal>) -> Result<(), Error> {
        let mut transaction = self.begin_write().await?;
        lock(&mut transaction, invite.tenant).await?;
        if let Some(maker) = maker {
            hold_maker(&mut transaction, invite.tenant, maker).await?;
        }
        query("DELETE FROM invites WHERE tenant_id = $1 AND accepted_at IS NULL AND (email = $2 OR expires_at <= $3)")
            .bind(invite.tenant.to_string())
            .bind(&invite.email)
            .bind(invite.created_at.as_nanos())
            .execute(&mut *transaction)
            .await?;
        let open = query("SELECT COUNT(*) AS open FROM invites WHERE tenant_id = $1 AND accepted_at IS NULL");
        let open = open.bind(invite.tenant.to_string()).fetch_one(&mut *transaction).await?;
        if open.integer("open")? >= stored(OPEN_INVITES_MAX)? {
            return Err(Error::Crowded { what: "invitations", max: OPEN_INVITES_MAX });
        }
        let (by_member, by_key) = match invite.invited_by {
            Some(Actor::Member(member)) => (Some(member.to_string()), None),
            Some(Actor::Key(key)) => (None, Some(key.to_string())),
            Some(Actor::Installation) | None => (None, None),
        };
        let after = json!({"email": invite.email, "role": invite.role.as_str()});
        let (tenant, note) = (invite.tenant, Note::new("invite.created", invite.id).after(after));
        query(concat!("INSERT INTO invites (", invite_columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"))
            .bind(invite.id.to_string())
            .bind(invite.tenant.to_string())
            .bind(invite.email)
            .bind(invite.role.as_str())
            .bind(hex::encode(invite.token_hash))
            .bind(by_member)
            .bind(by_key)
            .bind(invite.created_at.as_nanos())
            .bind(invite.expires_at.as_nanos())
            .execute(&mut *transaction)
            .await
            .map_err(refused("this invitation"))?;
        self.note(&mut transaction, tenant, note).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn invites(&self, tenant: TenantId, now: Timestamp) -> Result<Vec<Invite>, Error> {
        let found = query(concat!(
            "SELECT ",
            invite_columns!(),
            " FROM invites WHERE tenant_id = $1 AND accepted_at IS NULL AND expires_at > $2 ORDER BY created_at, id"
        ));
        all(found.bind(tenant.to_string()).bind(now.as_nanos()), &self.read, read_invite).await
    }

    async fn withdraw_invite(&self, tenant: TenantId, invite: InviteId) -> Result<bool, Error> {
        let mut transaction = self.begin_write().await?;
        let deleted = query(concat!(
            "DELETE FROM invites WHERE tenant_id = $1 AND id = $2 AND accepted_at IS NULL RETURNING ",
            invite_columns!()
        ));
        let deleted = deleted.bind(tenant.to_string()).bind(invite.to_string());
        let Some(withdrawn) = one(deleted, &mut *transaction, read_invite).await? else { return Ok(false) };
        let before = json!({"email": withdrawn.email, "role": withdrawn.role.as_str()});
        self.note(&mut transaction, tenant, Note::new("invite.withdrawn", invite).before(before)).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn open_invite(&self, token_hash: &[u8], now: Timestamp) -> Result<Option<Invite>, Error> {
        let found = query(concat!(
            "SELECT ",
            invite_columns!(),
            " FROM invites WHERE token_hash = $1 AND accepted_at IS NULL AND expires_at > $2"
        ));
        one(found.bind(hex::encode(token_hash)).bind(now.as_nanos()), &self.read, read_invite).await
    }

    async fn accept_invite(
        &self,
        invite: InviteId,
        member: MemberId,
        password_hash: &str,
        at: Timestamp,
    ) -> Result<Option<Member>, Error> {
        let id = invite;
        let mut transaction = self.begin_write().await?;
        // The update holds the row, so of two who race only one gets it.
        let closed = query(concat!(
            "UPDATE invites SET accepted_at = $1 WHERE id = $2 AND accepted_at IS NULL AND expires_at > $1 RETURNING ",
            invite_columns!()
        ));
        let closed = closed.bind(at.as_nanos()).bind(invite.to_string());
        let Some(invite) = one(closed, &mut *transaction, read_invite).await? else { return Ok(None) };
        let member = Member {
            id: member,
            tenant: invite.tenant,
            email: invite.email,
            password_hash: password_hash.to_owned(),
            role: invite.role,
            created_at: at,
        };
        insert_member(&member, None).execute(&mut *transaction).await.map_err(refused("a member with this email"))?;
        let after = json!({"email": member.email, "role": member.role.as_str(), "invite": id.to_string()});
        self.note(&mut transaction, member.tenant, Note::new("member.joined", member.id).after(after)).await?;
        transaction.commit().await?;
        Ok(Some(member))
    }
}

/// Holds the tenant's row: who counts its owners or invitations sees no other do so meanwhile.
pub(super) async fn lock(connection: &mut AnyConnection, tenant: TenantId) -> Result<(), Error> {
    query("UPDATE tenants SET name = name WHERE id = $1").bind(tenant.to_string()).execute(connection).await?;
    Ok(())
}

/// The member, whose row is held: whoever changes, removes or lets in the same one waits. Hold it before their tokens and links.
pub(super) async fn hold_member(
    connection: &mut AnyConnection,
    tenant: TenantId,
    member: MemberId,
) -> Result<Option<Member>, Error> {
    let held = query(concat!(
        "UPDATE members SET created_at = created_at WHERE tenant_id = $1 AND id = $2 RETURNING ",
        member_columns!()
    ));
    one(held.bind(tenant.to_string()).bind(member.to_string()), connection, read_member).await
}

/// Holds whoever makes something with their rights; refuses when they are not any more who they were when they asked.
pub(super) async fn hold_maker(
    connection: &mut AnyConnection,
    tenant: TenantId,
    maker: Principal,
) -> Result<(), Error> {
    let stands = match maker {
        Principal::Member(member, role) => {
            hold_member(connection, tenant, member).await?.is_some_and(|found| found.role == role)
        }
        Principal::Key(key) => {
            let held = query(
                "UPDATE api_keys SET created_at = created_at WHERE tenant_id = $1 AND id = $2 AND revoked_at IS NULL",
            );
            held.bind(tenant.to_string()).bind(key.to_string()).execute(connection).await?.rows_affected() > 0
        }
    };
    if stands { Ok(()) } else { Err(Error::Changed("whoever asked")) }
}

/// The member, held with their tenant; the refusal when they are not there in this role.
async fn locked(
    connection: &mut AnyConnection,
    tenant: TenantId,
    member: MemberId,
    role: Role,
) -> Result<Result<Member, MemberChange>, Error> {
    lock(connection, tenant).await?;
    let found = hold_member(connection, tenant, member).await?;
    Ok(found.filter(|found| found.role == role).ok_or(MemberChange::NoSuchMember))
}

async fn is_last_owner(connection: &mut AnyConnection, member: &Member) -> Result<bool, Error> {
    if member.role != Role::Owner {
        return Ok(false);
    }
    let owners = query("SELECT COUNT(*) AS owners FROM members WHERE tenant_id = $1 AND role = 'owner'");
    let owners = owners.bind(member.tenant.to_string()).fetch_one(connection).await?;
    Ok(owners.integer("owners")? <= 1)
}

/// The ways in that somebody made for others with rights they no longer have.
pub(super) async fn withdraw_all_of(
    connection: &mut AnyConnection,
    tenant: TenantId,
    maker: Actor,
) -> Result<(), Error> {
    let (invites, id) = match maker {
        Actor::Member(member) => {
            ("DELETE FROM invites WHERE tenant_id = $1 AND invited_by = $2 AND accepted_at IS NULL", member.to_string())
        }
        Actor::Key(key) => (
            "DELETE FROM invites WHERE tenant_id = $1 AND invited_by_key = $2 AND accepted_at IS NULL",
            key.to_string(),
        ),
        // Its rights are never lost.
        Actor::Installation => return Ok(()),
    };
    query(invites).bind(tenant.to_string()).bind(id).execute(&mut *connection).await?;
    query("DELETE FROM password_resets WHERE tenant_id = $1 AND made_by = $2")
        .bind(tenant.to_string())
        .bind(maker.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

fn read_invite(row: &AnyRow) -> Result<Invite, Error> {
    Ok(Invite {
        id: row.parsed("id")?,
        tenant: row.parsed("tenant_id")?,
        email: row.text("email")?,
        role: row.word("role", Role::parse)?,
        token_hash: row.bytes("token_hash")?,
        invited_by: match (row.maybe_parsed("invited_by")?, row.maybe_parsed("invited_by_key")?) {
            (Some(member), _) => Some(Actor::Member(member)),
            (None, key) => key.map(Actor::Key),
        },
        created_at: row.time("created_at")?,
        expires_at: row.time("expires_at")?,
    })
}
