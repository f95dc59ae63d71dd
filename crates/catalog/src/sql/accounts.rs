//! Tenants, apps, agents, members.

use async_trait::async_trait;
use serde_json::{Value, json};
use spanlake_model::{AgentId, AppId, Changed, KeyId, Limits, MemberId, Role, Table, TenantId, Timestamp};
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, Executor, query};

use super::audit::Note;
use super::changes::announce;
use super::keys::read_key_id;
use super::row::{Columns as _, refused, stored};
use super::{Catalog, prices, retention};
use crate::accounts::{Account, Accounts, Agent, App, Member, NewAccount, Tenant};
use crate::error::Error;

// Named one by one and never `*`: a column that a later version adds must not change what a prepared statement answers.
macro_rules! tenant_columns {
    () => {
        "tenants.id AS tenant_id, tenants.name AS tenant_name, tenants.default_app_id, tenants.requests_per_second, \
         tenants.spans_per_second, tenants.bytes_per_second, tenants.exports_per_hour, \
         tenants.spans_per_month, tenants.queries_at_once, tenants.created_at AS tenant_created_at"
    };
}
pub(super) use tenant_columns;
macro_rules! member_columns {
    () => {
        "members.id AS member_id, members.tenant_id, members.email, members.password_hash, members.role, \
         members.created_at AS member_created_at"
    };
}
pub(super) use member_columns;
macro_rules! account_select {
    () => {
        concat!(
            "SELECT ",
            member_columns!(),
            ", ",
            tenant_columns!(),
            " FROM members JOIN tenants ON tenants.id = members.tenant_id"
        )
    };
}
macro_rules! app_columns {
    () => {
        "id, tenant_id, name, created_at"
    };
}
macro_rules! agent_columns {
    () => {
        "id, tenant_id, app_id, name, created_at"
    };
}
// An agent that was added while its app was being deleted went with it.
macro_rules! living_agent {
    () => {
        "deleted_at IS NULL AND app_id IN (SELECT id FROM apps WHERE deleted_at IS NULL)"
    };
}

#[async_trait]
impl Accounts for Catalog {
    #[tracing::instrument(name = "catalog.sign_up", skip_all, fields(tenant.id = %account.tenant.id))]
    async fn sign_up(&self, account: NewAccount) -> Result<(), Error> {
        let mut transaction = self.begin_write().await?;
        let taken = "an account with this email";
        insert_tenant(&account.tenant)?.execute(&mut *transaction).await.map_err(refused(taken))?;
        insert_app(&account.app).execute(&mut *transaction).await.map_err(refused(taken))?;
        insert_member(&account.owner, Some(&account.owner.email))
            .execute(&mut *transaction)
            .await
            .map_err(refused(taken))?;
        let after = json!({"name": account.tenant.name, "owner": account.owner.email});
        let tenant = account.tenant.id;
        self.note(&mut transaction, tenant, Note::new("tenant.created", tenant).after(after)).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn tenant(&self, tenant: TenantId) -> Result<Option<Tenant>, Error> {
        let found =
            query(concat!("SELECT ", tenant_columns!(), " FROM tenants WHERE id = $1")).bind(tenant.to_string());
        one(found, &self.read, read_tenant).await
    }

    async fn kept_days(&self, tenant: TenantId, table: Table) -> Result<Option<u32>, Error> {
        retention::kept_days(&mut *self.read.acquire().await?, tenant, table).await
    }

    async fn keep_days(&self, tenant: TenantId, table: Table, days: Option<u32>) -> Result<(), Error> {
        let mut transaction = self.begin_write().await?;
        let before = retention::kept_days(&mut transaction, tenant, table).await?;
        retention::set(&mut transaction, tenant, table, days).await?;
        let said = |days: Option<u32>| json!({"table": table.as_str(), "days": days});
        let note = Note::new("retention.set", tenant).before(said(before)).after(said(days));
        self.note(&mut transaction, tenant, note).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn own_prices(&self, tenant: TenantId) -> Result<Option<String>, Error> {
        prices::own(&mut *self.read.acquire().await?, tenant).await
    }

    async fn set_own_prices(&self, tenant: TenantId, prices: &str) -> Result<(), Error> {
        let mut transaction = self.begin_write().await?;
        let before = prices::own(&mut transaction, tenant).await?;
        prices::set_own(&mut transaction, tenant, prices).await?;
        let (gone, new) = prices::differing(before.as_deref().unwrap_or_default(), prices);
        let note = Note::new("prices.set", tenant).before(json!({"prices": gone})).after(json!({"prices": new}));
        self.note(&mut transaction, tenant, note).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn accounts_of(&self, email: &str, most: u32) -> Result<Vec<Account>, Error> {
        let found = query(concat!(
            account_select!(),
            " WHERE members.email = $1 ORDER BY CASE WHEN members.signed_up_as IS NULL THEN 1 ELSE 0 END, \
             members.created_at, tenants.created_at, tenants.id LIMIT $2"
        ));
        all(found.bind(email).bind(i64::from(most)), &self.read, read_account).await
    }

    async fn account_in(&self, email: &str, tenant: TenantId) -> Result<Option<Account>, Error> {
        let found = query(concat!(account_select!(), " WHERE members.tenant_id = $1 AND members.email = $2"));
        one(found.bind(tenant.to_string()).bind(email), &self.read, read_account).await
    }

    async fn member(&self, tenant: TenantId, member: MemberId) -> Result<Option<Member>, Error> {
        let found = query(concat!("SELECT ", member_columns!(), " FROM members WHERE tenant_id = $1 AND id = $2"));
        one(found.bind(tenant.to_string()).bind(member.to_string()), &self.read, read_member).await
    }

    async fn add_app(&self, app: App) -> Result<(), Error> {
        let mut transaction = self.begin_write().await?;
        insert_app(&app).execute(&mut *transaction).await.map_err(refused("an app of this name"))?;
        let note = Note::new("app.created", app.id).after(json!({"name": app.name}));
        self.note(&mut transaction, app.tenant, note).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn apps(&self, tenant: TenantId) -> Result<Vec<App>, Error> {
        let found = query(concat!(
            "SELECT ",
            app_columns!(),
            " FROM apps WHERE tenant_id = $1 AND deleted_at IS NULL ORDER BY created_at, id"
        ));
        all(found.bind(tenant.to_string()), &self.read, read_app).await
    }

    async fn app(&self, tenant: TenantId, app: AppId) -> Result<Option<App>, Error> {
        let found = query(concat!(
            "SELECT ",
            app_columns!(),
            " FROM apps WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL"
        ));
        one(found.bind(tenant.to_string()).bind(app.to_string()), &self.read, read_app).await
    }

    async fn rename_app(&self, tenant: TenantId, app: AppId, name: &str) -> Result<Option<App>, Error> {
        let renamed = query(concat!(
            "UPDATE apps SET name = $1 WHERE tenant_id = $2 AND id = $3 AND deleted_at IS NULL RETURNING ",
            app_columns!()
        ));
        let renamed = renamed.bind(name).bind(tenant.to_string()).bind(app.to_string());
        let mut transaction = self.begin_write().await?;
        let before =
            name_of(&mut transaction, "SELECT name FROM apps WHERE tenant_id = $1 AND id = $2", tenant, app).await?;
        let row = renamed.fetch_optional(&mut *transaction).await.map_err(refused("an app of this name"))?;
        let Some(renamed) = row.as_ref().map(read_app).transpose()? else { return Ok(None) };
        let note = Note::new("app.renamed", app).before(before).after(json!({"name": name}));
        self.note(&mut transaction, tenant, note).await?;
        transaction.commit().await?;
        Ok(Some(renamed))
    }

    async fn delete_app(&self, tenant: TenantId, app: AppId, at: Timestamp) -> Result<Option<Vec<KeyId>>, Error> {
        let mut transaction = self.begin_write().await?;
        let (tenant_id, app_id) = (tenant, app);
        let before =
            name_of(&mut transaction, "SELECT name FROM apps WHERE tenant_id = $1 AND id = $2", tenant, app).await?;
        let (tenant, app) = (tenant.to_string(), app.to_string());
        let deleted = query(
            "UPDATE apps SET deleted_at = $1, name = id WHERE tenant_id = $2 AND id = $3 AND deleted_at IS NULL \
             AND NOT EXISTS (SELECT 1 FROM tenants WHERE tenants.default_app_id = apps.id)",
        );
        let deleted = deleted.bind(at.as_nanos()).bind(&tenant).bind(&app).execute(&mut *transaction).await?;
        if deleted.rows_affected() == 0 {
            return Ok(None);
        }
        query(
            "UPDATE agents SET deleted_at = $1, name = id WHERE tenant_id = $2 AND app_id = $3 AND deleted_at IS NULL",
        )
        .bind(at.as_nanos())
        .bind(&tenant)
        .bind(&app)
        .execute(&mut *transaction)
        .await?;
        let revoked = query(
            "UPDATE api_keys SET revoked_at = $1 WHERE tenant_id = $2 AND app_id = $3 AND revoked_at IS NULL RETURNING id",
        );
        let keys = all(revoked.bind(at.as_nanos()).bind(&tenant).bind(&app), &mut *transaction, read_key_id).await?;
        let changed: Vec<_> = keys.iter().copied().map(Changed::Key).chain([Changed::App(tenant_id, app_id)]).collect();
        announce(&mut transaction, tenant_id, &changed).await?;
        let note = Note::new("app.deleted", app_id).before(before).after(json!({"revoked_keys": listed(&keys)}));
        self.note(&mut transaction, tenant_id, note).await?;
        transaction.commit().await?;
        Ok(Some(keys))
    }

    async fn add_agent(&self, agent: Agent) -> Result<(), Error> {
        let mut transaction = self.begin_write().await?;
        query("INSERT INTO agents (id, tenant_id, app_id, name, created_at) VALUES ($1, $2, $3, $4, $5)")
            .bind(agent.id.to_string())
            .bind(agent.tenant.to_string())
            .bind(agent.app.to_string())
            .bind(&agent.name)
            .bind(agent.created_at.as_nanos())
            .execute(&mut *transaction)
            .await
            .map_err(refused("an agent of this name"))?;
        let after = json!({"name": agent.name, "app_id": agent.app.to_string()});
        self.note(&mut transaction, agent.tenant, Note::new("agent.created", agent.id).after(after)).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn agents(&self, tenant: TenantId) -> Result<Vec<Agent>, Error> {
        let found = query(concat!(
            "SELECT ",
            agent_columns!(),
            " FROM agents WHERE tenant_id = $1 AND ",
            living_agent!(),
            " ORDER BY created_at, id"
        ));
        all(found.bind(tenant.to_string()), &self.read, read_agent).await
    }

    async fn agent(&self, tenant: TenantId, agent: AgentId) -> Result<Option<Agent>, Error> {
        let found = query(concat!(
            "SELECT ",
            agent_columns!(),
            " FROM agents WHERE tenant_id = $1 AND id = $2 AND ",
            living_agent!()
        ));
        one(found.bind(tenant.to_string()).bind(agent.to_string()), &self.read, read_agent).await
    }

    async fn rename_agent(&self, tenant: TenantId, agent: AgentId, name: &str) -> Result<Option<Agent>, Error> {
        let renamed = query(concat!(
            "UPDATE agents SET name = $1 WHERE tenant_id = $2 AND id = $3 AND ",
            living_agent!(),
            " RETURNING ",
            agent_columns!()
        ));
        let renamed = renamed.bind(name).bind(tenant.to_string()).bind(agent.to_string());
        let mut transaction = self.begin_write().await?;
        let before =
            name_of(&mut transaction, "SELECT name FROM agents WHERE tenant_id = $1 AND id = $2", tenant, agent)
                .await?;
        let row = renamed.fetch_optional(&mut *transaction).await.map_err(refused("an agent of this name"))?;
        let Some(renamed) = row.as_ref().map(read_agent).transpose()? else { return Ok(None) };
        let note = Note::new("agent.renamed", agent).before(before).after(json!({"name": name}));
        self.note(&mut transaction, tenant, note).await?;
        transaction.commit().await?;
        Ok(Some(renamed))
    }

    async fn delete_agent(&self, tenant: TenantId, agent: AgentId, at: Timestamp) -> Result<Option<Vec<KeyId>>, Error> {
        let mut transaction = self.begin_write().await?;
        let (tenant_id, agent_id) = (tenant, agent);
        let before =
            name_of(&mut transaction, "SELECT name FROM agents WHERE tenant_id = $1 AND id = $2", tenant, agent)
                .await?;
        let (tenant, agent) = (tenant.to_string(), agent.to_string());
        let deleted = query(
            "UPDATE agents SET deleted_at = $1, name = id WHERE tenant_id = $2 AND id = $3 AND deleted_at IS NULL",
        );
        let deleted = deleted.bind(at.as_nanos()).bind(&tenant).bind(&agent).execute(&mut *transaction).await?;
        if deleted.rows_affected() == 0 {
            return Ok(None);
        }
        let revoked = query(
            "UPDATE api_keys SET revoked_at = $1 WHERE tenant_id = $2 AND agent_id = $3 AND revoked_at IS NULL RETURNING id",
        );
        let keys = all(revoked.bind(at.as_nanos()).bind(&tenant).bind(&agent), &mut *transaction, read_key_id).await?;
        let changed: Vec<_> =
            keys.iter().copied().map(Changed::Key).chain([Changed::Agent(tenant_id, agent_id)]).collect();
        announce(&mut transaction, tenant_id, &changed).await?;
        let note = Note::new("agent.deleted", agent_id).before(before).after(json!({"revoked_keys": listed(&keys)}));
        self.note(&mut transaction, tenant_id, note).await?;
        transaction.commit().await?;
        Ok(Some(keys))
    }
}

pub(super) type Statement<'q> = Query<'q, Any, AnyArguments>;

pub(super) async fn one<T>(
    statement: Statement<'_>,
    executor: impl Executor<'_, Database = Any>,
    read: impl Fn(&AnyRow) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    statement.fetch_optional(executor).await?.as_ref().map(read).transpose()
}

pub(super) async fn all<T>(
    statement: Statement<'_>,
    executor: impl Executor<'_, Database = Any>,
    read: impl Fn(&AnyRow) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    statement.fetch_all(executor).await?.iter().map(read).collect()
}

fn insert_tenant(tenant: &Tenant) -> Result<Statement<'static>, Error> {
    let insert = query(
        "INSERT INTO tenants (id, name, default_app_id, requests_per_second, spans_per_second, bytes_per_second, \
         exports_per_hour, created_at, spans_per_month, queries_at_once) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    );
    Ok(insert
        .bind(tenant.id.to_string())
        .bind(tenant.name.clone())
        .bind(tenant.default_app.to_string())
        .bind(i64::from(tenant.limits.requests_per_second))
        .bind(i64::from(tenant.limits.spans_per_second))
        .bind(stored(tenant.limits.bytes_per_second)?)
        .bind(i64::from(tenant.limits.exports_per_hour))
        .bind(tenant.created_at.as_nanos())
        .bind(tenant.limits.spans_per_month.map(stored).transpose()?)
        .bind(tenant.limits.queries_at_once.map(i64::from)))
}

fn insert_app(app: &App) -> Statement<'static> {
    query("INSERT INTO apps (id, tenant_id, name, created_at) VALUES ($1, $2, $3, $4)")
        .bind(app.id.to_string())
        .bind(app.tenant.to_string())
        .bind(app.name.clone())
        .bind(app.created_at.as_nanos())
}

fn listed(keys: &[KeyId]) -> Vec<String> {
    keys.iter().map(ToString::to_string).collect()
}

/// What an app or agent is called now, for the record.
async fn name_of(
    connection: &mut AnyConnection,
    statement: &'static str,
    tenant: TenantId,
    id: impl ToString,
) -> Result<Value, Error> {
    let found = query(statement).bind(tenant.to_string()).bind(id.to_string());
    let name = one(found, connection, |row| row.text("name")).await?;
    Ok(json!({"name": name}))
}

pub(super) fn insert_member(member: &Member, signed_up_as: Option<&str>) -> Statement<'static> {
    let insert = query(
        "INSERT INTO members (id, tenant_id, email, password_hash, role, created_at, signed_up_as) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    );
    insert
        .bind(member.id.to_string())
        .bind(member.tenant.to_string())
        .bind(member.email.clone())
        .bind(member.password_hash.clone())
        .bind(member.role.as_str())
        .bind(member.created_at.as_nanos())
        .bind(signed_up_as.map(str::to_owned))
}

pub(super) fn read_tenant(row: &AnyRow) -> Result<Tenant, Error> {
    Ok(Tenant {
        id: row.parsed("tenant_id")?,
        name: row.text("tenant_name")?,
        default_app: row.parsed("default_app_id")?,
        limits: Limits {
            requests_per_second: row.number("requests_per_second")?,
            spans_per_second: row.number("spans_per_second")?,
            bytes_per_second: row.number("bytes_per_second")?,
            exports_per_hour: row.number("exports_per_hour")?,
            spans_per_month: row.maybe_number("spans_per_month")?,
            queries_at_once: row.maybe_number("queries_at_once")?,
        },
        created_at: row.time("tenant_created_at")?,
    })
}

pub(super) fn read_member(row: &AnyRow) -> Result<Member, Error> {
    Ok(Member {
        id: row.parsed("member_id")?,
        tenant: row.parsed("tenant_id")?,
        email: row.text("email")?,
        password_hash: row.text("password_hash")?,
        role: row.word("role", Role::parse)?,
        created_at: row.time("member_created_at")?,
    })
}

fn read_account(row: &AnyRow) -> Result<Account, Error> {
    Ok(Account { member: read_member(row)?, tenant: read_tenant(row)? })
}

fn read_app(row: &AnyRow) -> Result<App, Error> {
    Ok(App {
        id: row.parsed("id")?,
        tenant: row.parsed("tenant_id")?,
        name: row.text("name")?,
        created_at: row.time("created_at")?,
    })
}

fn read_agent(row: &AnyRow) -> Result<Agent, Error> {
    Ok(Agent {
        id: row.parsed("id")?,
        tenant: row.parsed("tenant_id")?,
        app: row.parsed("app_id")?,
        name: row.text("name")?,
        created_at: row.time("created_at")?,
    })
}
