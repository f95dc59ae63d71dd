//! Tenants, people, apps, agents, keys, refresh tokens.

use spanlake_catalog::{
    Account, Accounts as _, Catalog, Error, Keys as _, Member, NewAccount, NewKey, People as _, Sessions as _,
};
use spanlake_model::{KeyId, Role, TenantId};

use crate::database::Database;
use crate::files::snapshot;
use crate::people::joined;
use crate::samples::{OTHER, TENANT, account, agent, app, at, key, refresh_token};

async fn signed_up(catalog: &Catalog, tenant: TenantId, email: &str) -> NewAccount {
    let account = account(tenant, email);
    catalog.sign_up(account.clone()).await.unwrap();
    account
}

fn is_taken<T: std::fmt::Debug>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Exists { .. }))
}

pub(crate) async fn what_signs_up_is_read_back(database: &Database) {
    let catalog = database.open().await;
    let NewAccount { tenant, app, owner } = signed_up(&catalog, TENANT, "ann@example.com").await;
    assert_eq!(catalog.tenant(TENANT).await.unwrap(), Some(tenant.clone()));
    assert_eq!(catalog.member(TENANT, owner.id).await.unwrap(), Some(owner.clone()));
    assert_eq!(catalog.app(TENANT, app.id).await.unwrap(), Some(app.clone()));
    assert_eq!(catalog.apps(TENANT).await.unwrap(), [app]);
    assert_eq!(catalog.accounts_of("ann@example.com", 9).await.unwrap(), [Account { member: owner, tenant }]);
    assert_eq!(catalog.accounts_of("bob@example.com", 9).await.unwrap(), []);
    assert_eq!(catalog.tenant(OTHER).await.unwrap(), None);
}

pub(crate) async fn sign_up_makes_all_or_nothing(database: &Database) {
    let catalog = database.open().await;
    let ann = signed_up(&catalog, TENANT, "ann@example.com").await;
    // The owner is written last: everything before it must go again.
    let mut clash = account(OTHER, "bob@example.com");
    clash.owner.id = ann.owner.id;
    assert!(is_taken(catalog.sign_up(clash.clone()).await));
    assert_eq!(catalog.tenant(OTHER).await.unwrap(), None);
    assert_eq!(catalog.apps(OTHER).await.unwrap(), []);
    assert_eq!(catalog.app(OTHER, clash.app.id).await.unwrap(), None);
    assert_eq!(catalog.accounts_of("bob@example.com", 9).await.unwrap(), []);
    assert_eq!(catalog.member(TENANT, ann.owner.id).await.unwrap(), Some(ann.owner));
}

pub(crate) async fn an_email_signs_up_once_while_it_owns_that_tenant(database: &Database) {
    let catalog = database.open().await;
    let ann = signed_up(&catalog, TENANT, "ann@example.com").await.owner;
    assert!(is_taken(catalog.sign_up(account(OTHER, "ann@example.com")).await));
    assert_eq!(catalog.tenant(OTHER).await.unwrap(), None);
    joined(&catalog, "eve@example.com", Role::Owner).await;
    catalog.change_role(TENANT, ann.id, Role::Owner, Role::Viewer).await.unwrap();
    signed_up(&catalog, OTHER, "ann@example.com").await;
}

pub(crate) async fn whoever_was_made_an_owner_elsewhere_signs_up_all_the_same(database: &Database) {
    let catalog = database.open().await;
    signed_up(&catalog, TENANT, "ann@example.com").await;
    joined(&catalog, "eve@example.com", Role::Owner).await;
    let own = signed_up(&catalog, OTHER, "eve@example.com").await;
    let third = TenantId::from_bytes([3; 16]);
    assert!(is_taken(catalog.sign_up(account(third, "eve@example.com")).await));
    let found = catalog.accounts_of("eve@example.com", 9).await.unwrap();
    assert_eq!(found.iter().map(|account| account.member.role).collect::<Vec<_>>(), [Role::Owner; 2]);
    assert_eq!(found[0].member, own.owner);
}

pub(crate) async fn a_person_finds_the_tenants_they_are_in_their_own_first(database: &Database) {
    let catalog = database.open().await;
    let bob = signed_up(&catalog, TENANT, "bob@example.com").await;
    let guest = joined(&catalog, "ann@example.com", Role::Viewer).await;
    let mut own = account(OTHER, "ann@example.com");
    own.owner.created_at = at(60);
    catalog.sign_up(own.clone()).await.unwrap();
    let both = [Account { member: own.owner, tenant: own.tenant }, Account { member: guest, tenant: bob.tenant }];
    assert_eq!(catalog.accounts_of("ann@example.com", 9).await.unwrap(), both);
    assert_eq!(catalog.accounts_of("ann@example.com", 1).await.unwrap(), both[..1]);
    for account in both {
        let found = catalog.account_in("ann@example.com", account.tenant.id).await.unwrap();
        assert_eq!(found, Some(account));
    }
    assert_eq!(catalog.account_in("bob@example.com", OTHER).await.unwrap(), None);
}

pub(crate) async fn a_name_is_taken_once(database: &Database) {
    let catalog = database.open().await;
    let ann = signed_up(&catalog, TENANT, "ann@example.com").await;
    let bob = signed_up(&catalog, OTHER, "bob@example.com").await;
    let shop = app(TENANT, "shop");
    catalog.add_app(shop.clone()).await.unwrap();
    assert!(is_taken(catalog.add_app(app(TENANT, "shop")).await));
    catalog.add_app(app(OTHER, "shop")).await.unwrap();
    assert_eq!(catalog.apps(TENANT).await.unwrap(), [ann.app, shop.clone()]);

    let clerk = agent(TENANT, shop.id, "clerk");
    catalog.add_agent(clerk.clone()).await.unwrap();
    assert!(is_taken(catalog.add_agent(agent(TENANT, shop.id, "clerk")).await));
    catalog.add_agent(agent(OTHER, bob.app.id, "clerk")).await.unwrap();
    assert_eq!(catalog.agents(TENANT).await.unwrap(), [clerk]);
}

pub(crate) async fn what_another_tenant_owns_is_not_found(database: &Database) {
    let catalog = database.open().await;
    let ann = signed_up(&catalog, TENANT, "ann@example.com").await;
    let clerk = agent(TENANT, ann.app.id, "clerk");
    catalog.add_agent(clerk.clone()).await.unwrap();
    signed_up(&catalog, OTHER, "bob@example.com").await;

    assert_eq!(catalog.agent(TENANT, clerk.id).await.unwrap(), Some(clerk.clone()));
    assert_eq!(catalog.agent(OTHER, clerk.id).await.unwrap(), None);
    assert_eq!(catalog.agents(OTHER).await.unwrap(), []);
    assert_eq!(catalog.app(OTHER, ann.app.id).await.unwrap(), None);
    assert!(!catalog.apps(OTHER).await.unwrap().contains(&ann.app));
    assert_eq!(catalog.member(OTHER, ann.owner.id).await.unwrap(), None);
}

pub(crate) async fn nothing_hangs_on_another_tenants_rows(database: &Database) {
    let catalog = database.open().await;
    let ann = signed_up(&catalog, TENANT, "ann@example.com").await;
    signed_up(&catalog, OTHER, "bob@example.com").await;
    let clerk = agent(TENANT, ann.app.id, "clerk");
    catalog.add_agent(clerk.clone()).await.unwrap();

    let is_refused = |result: Result<(), Error>| matches!(result, Err(Error::Changed(_)));
    assert!(is_refused(catalog.add_agent(agent(OTHER, ann.app.id, "thief")).await));
    assert!(is_refused(catalog.add_key(NewKey { app: Some(ann.app.id), ..key(OTHER) }).await));
    assert!(is_refused(catalog.add_key(NewKey { agent: Some(clerk.id), ..key(OTHER) }).await));
    let forged = Member { tenant: OTHER, ..ann.owner };
    assert!(!catalog.add_refresh_token(refresh_token(&forged, "f"), &forged.password_hash).await.unwrap());
    assert!(is_refused(catalog.add_app(app(TenantId::from_bytes([9; 16]), "ghost")).await));
    assert_eq!(catalog.agents(OTHER).await.unwrap(), []);
    assert_eq!(catalog.keys(OTHER).await.unwrap(), []);
}

pub(crate) async fn a_key_reads_back_whole(database: &Database) {
    let catalog = database.open().await;
    let ann = signed_up(&catalog, TENANT, "ann@example.com").await;
    let clerk = agent(TENANT, ann.app.id, "clerk");
    catalog.add_agent(clerk.clone()).await.unwrap();
    let bare = key(TENANT);
    let mut full = key(TENANT);
    (full.app, full.agent) = (Some(ann.app.id), Some(clerk.id));
    (full.created_at, full.expires_at) = (at(4), Some(at(5)));
    for key in [&full, &bare] {
        catalog.add_key(key.clone()).await.unwrap();
        assert_eq!(catalog.key(key.id).await.unwrap().as_ref(), Some(key));
    }
    assert_eq!(catalog.keys(TENANT).await.unwrap(), [bare.clone(), full]);
    assert!(is_taken(catalog.add_key(bare).await));
    assert_eq!(catalog.key(KeyId::from_bytes([9; 16])).await.unwrap(), None);
}

pub(crate) async fn another_tenants_key_is_neither_listed_nor_revoked(database: &Database) {
    let catalog = database.open().await;
    signed_up(&catalog, TENANT, "ann@example.com").await;
    signed_up(&catalog, OTHER, "bob@example.com").await;
    let key = key(TENANT);
    catalog.add_key(key.clone()).await.unwrap();
    assert_eq!(catalog.keys(OTHER).await.unwrap(), []);
    assert!(!catalog.revoke_key(OTHER, key.id, at(10)).await.unwrap());
    assert_eq!(catalog.key(key.id).await.unwrap(), Some(key));
}

pub(crate) async fn revoking_twice_keeps_the_first_time(database: &Database) {
    let catalog = database.open().await;
    signed_up(&catalog, TENANT, "ann@example.com").await;
    let key = key(TENANT);
    catalog.add_key(key.clone()).await.unwrap();
    assert!(catalog.revoke_key(TENANT, key.id, at(10)).await.unwrap());
    assert!(catalog.revoke_key(TENANT, key.id, at(20)).await.unwrap());
    assert_eq!(catalog.key(key.id).await.unwrap().unwrap().revoked_at, Some(at(10)));
    assert_eq!(catalog.keys(TENANT).await.unwrap().len(), 1);
    assert!(!catalog.revoke_key(TENANT, KeyId::from_bytes([9; 16]), at(10)).await.unwrap());
}

pub(crate) async fn the_last_use_only_moves_forward(database: &Database) {
    let catalog = database.open().await;
    signed_up(&catalog, TENANT, "ann@example.com").await;
    let key = key(TENANT);
    catalog.add_key(key.clone()).await.unwrap();
    for (used, noted) in [(10, 10), (5, 10), (11, 11)] {
        catalog.touch_key(key.id, at(used)).await.unwrap();
        assert_eq!(catalog.key(key.id).await.unwrap().unwrap().last_used_at, Some(at(noted)));
    }
}

pub(crate) async fn a_refresh_token_used_twice_is_seen_as_used(database: &Database) {
    let catalog = database.open().await;
    let ann = signed_up(&catalog, TENANT, "ann@example.com").await;
    let token = refresh_token(&ann.owner, "family");
    catalog.add_refresh_token(token.clone(), &ann.owner.password_hash).await.unwrap();
    assert!(is_taken(catalog.add_refresh_token(token.clone(), &ann.owner.password_hash).await));
    assert_eq!(catalog.use_refresh_token(&token.hash, at(1)).await.unwrap(), Some(token.clone()));
    for later in [2, 3] {
        let again = catalog.use_refresh_token(&token.hash, at(later)).await.unwrap().unwrap();
        assert_eq!(again.used_at, Some(at(1)));
    }
    assert_eq!(catalog.use_refresh_token(b"unknown", at(1)).await.unwrap(), None);
}

pub(crate) async fn a_family_is_dropped_whole(database: &Database) {
    let catalog = database.open().await;
    let ann = signed_up(&catalog, TENANT, "ann@example.com").await;
    let tokens = ["one", "one", "two"].map(|family| refresh_token(&ann.owner, family));
    for token in &tokens {
        catalog.add_refresh_token(token.clone(), &ann.owner.password_hash).await.unwrap();
    }
    catalog.drop_family("one").await.unwrap();
    for (token, remains) in tokens.iter().zip([false, false, true]) {
        assert_eq!(catalog.use_refresh_token(&token.hash, at(1)).await.unwrap().is_some(), remains);
    }
}

pub(crate) async fn a_tenants_own_prices_are_in_its_snapshots(database: &Database) {
    let catalog = database.open().await;
    for (tenant, email) in [(TENANT, "ann@example.com"), (OTHER, "bob@example.com")] {
        catalog.sign_up(account(tenant, email)).await.unwrap();
    }
    for prices in ["[]", r#"[{"model":"acme-*"}]"#] {
        catalog.set_own_prices(TENANT, prices).await.unwrap();
        assert_eq!(catalog.own_prices(TENANT).await.unwrap().as_deref(), Some(prices));
        assert_eq!(snapshot(&catalog, TENANT).await.own_prices.as_deref(), Some(prices));
    }
    assert_eq!((catalog.own_prices(OTHER).await.unwrap(), snapshot(&catalog, OTHER).await.own_prices), (None, None));
    let nobody = catalog.set_own_prices(TenantId::from_bytes([9; 16]), "[]").await;
    assert!(matches!(nobody, Err(Error::Changed(_))), "{nobody:?}");
}
