//! A new password for somebody whom nobody else can help: the only owner of a tenant who has lost theirs.
//!
//! Whoever can open the catalog may make a link. It works once, for a day, and is on the tenant's record as the installation's.

use spanlake_auth::NewReset;
use spanlake_model::TenantId;

use crate::config::Config;
use crate::{Outside, parts};

/// Makes the link in the catalog that the configuration names; no server needs to run, and one that runs knows of it at once.
///
/// # Errors
/// When the catalog cannot be opened, nobody has the email, or they are in several tenants and none is named.
pub async fn reset_password(
    config: &Config,
    outside: &Outside,
    email: &str,
    tenant: Option<TenantId>,
) -> anyhow::Result<NewReset> {
    let catalog = parts::catalog(config).await?;
    let made = spanlake_auth::create_reset_for(&catalog, &*outside.clock, &*outside.entropy, email, tenant).await;
    catalog.close().await;
    Ok(made?)
}
