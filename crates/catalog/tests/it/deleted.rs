//! Apps and agents that are renamed or deleted; keys that are rotated.

use spanlake_catalog::{Accounts as _, Agent, App, Erasures as _, Error, Files as _, Keys as _, NewKey, Subject};
use spanlake_model::{Erasure, ErasureId, ErasureScope, Receipt};

use crate::database::Database;
use crate::files::snapshot;
use crate::samples::{OTHER, SECOND_WRITER, TENANT, WRITER, account, agent, app, at, commit, file, key, take_in};

pub(crate) async fn a_rename_keeps_the_id_and_takes_no_name_twice(database: &Database) {
    let catalog = database.open().await;
    catalog.sign_up(account(TENANT, "ann@example.com")).await.unwrap();
    catalog.sign_up(account(OTHER, "bob@example.com")).await.unwrap();
    let shop = app(TENANT, "shop");
    catalog.add_app(shop.clone()).await.unwrap();
    let clerk = agent(TENANT, shop.id, "clerk");
    for agent in [&clerk, &agent(TENANT, shop.id, "taken")] {
        catalog.add_agent(agent.clone()).await.unwrap();
    }
    let renamed = App { name: "store".into(), ..shop.clone() };
    assert_eq!(catalog.rename_app(TENANT, shop.id, "store").await.unwrap().as_ref(), Some(&renamed));
    assert_eq!(catalog.app(TENANT, shop.id).await.unwrap(), Some(renamed));
    assert!(matches!(catalog.rename_app(TENANT, shop.id, "default").await, Err(Error::Exists { .. })));
    assert_eq!(catalog.rename_app(OTHER, shop.id, "stolen").await.unwrap(), None);

    let renamed = Agent { name: "seller".into(), ..clerk.clone() };
    assert_eq!(catalog.rename_agent(TENANT, clerk.id, "seller").await.unwrap().as_ref(), Some(&renamed));
    assert_eq!(catalog.agent(TENANT, clerk.id).await.unwrap(), Some(renamed));
    assert!(matches!(catalog.rename_agent(TENANT, clerk.id, "taken").await, Err(Error::Exists { .. })));
    assert_eq!(catalog.rename_agent(OTHER, clerk.id, "stolen").await.unwrap(), None);
}

pub(crate) async fn what_is_deleted_is_gone_with_all_that_hangs_on_it(database: &Database) {
    let catalog = database.open().await;
    let ann = account(TENANT, "ann@example.com");
    catalog.sign_up(ann.clone()).await.unwrap();
    catalog.sign_up(account(OTHER, "bob@example.com")).await.unwrap();
    let shop = app(TENANT, "shop");
    catalog.add_app(shop.clone()).await.unwrap();
    let (clerk, guard) = (agent(TENANT, shop.id, "clerk"), agent(TENANT, shop.id, "guard"));
    for agent in [&clerk, &guard] {
        catalog.add_agent(agent.clone()).await.unwrap();
    }
    let of = |agent: Option<&Agent>| NewKey { app: Some(shop.id), agent: agent.map(|agent| agent.id), ..key(TENANT) };
    let (clerks, guards, pinned, wide) = (of(Some(&clerk)), of(Some(&guard)), of(None), key(TENANT));
    for key in [&clerks, &guards, &pinned, &wide] {
        catalog.add_key(key.clone()).await.unwrap();
    }

    assert_eq!(catalog.delete_agent(OTHER, clerk.id, at(9)).await.unwrap(), None);
    assert_eq!(catalog.delete_app(OTHER, shop.id, at(9)).await.unwrap(), None);
    assert_eq!(catalog.delete_app(TENANT, ann.app.id, at(9)).await.unwrap(), None, "the default app stays");
    assert_eq!(catalog.delete_agent(TENANT, clerk.id, at(10)).await.unwrap(), Some(vec![clerks.id]));
    assert_eq!(catalog.delete_agent(TENANT, clerk.id, at(11)).await.unwrap(), None);
    assert_eq!(catalog.agents(TENANT).await.unwrap(), std::slice::from_ref(&guard));
    assert_eq!(catalog.key(clerks.id).await.unwrap(), None);
    assert_eq!(catalog.key(guards.id).await.unwrap(), Some(guards.clone()));
    catalog.add_agent(agent(TENANT, shop.id, "clerk")).await.unwrap();

    let mut revoked = catalog.delete_app(TENANT, shop.id, at(12)).await.unwrap().unwrap();
    let mut wanted = vec![guards.id, pinned.id];
    revoked.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(revoked, wanted);
    assert_eq!(catalog.app(TENANT, shop.id).await.unwrap(), None);
    assert_eq!(catalog.apps(TENANT).await.unwrap(), [ann.app]);
    assert_eq!(catalog.agent(TENANT, guard.id).await.unwrap(), None);
    assert_eq!(catalog.agents(TENANT).await.unwrap(), []);
    assert_eq!(catalog.key(wide.id).await.unwrap(), Some(wide));
    catalog.add_app(app(TENANT, "shop")).await.unwrap();
}

/// As when making the key or agent raced with the deletion and lost.
pub(crate) async fn what_is_added_to_a_deleted_app_or_agent_opens_nothing(database: &Database) {
    let catalog = database.open().await;
    let ann = account(TENANT, "ann@example.com");
    catalog.sign_up(ann.clone()).await.unwrap();
    let (shop, clerk) = (app(TENANT, "shop"), agent(TENANT, ann.app.id, "clerk"));
    catalog.add_app(shop.clone()).await.unwrap();
    catalog.add_agent(clerk.clone()).await.unwrap();
    catalog.delete_app(TENANT, shop.id, at(9)).await.unwrap().unwrap();
    catalog.delete_agent(TENANT, clerk.id, at(9)).await.unwrap().unwrap();
    let late = agent(TENANT, shop.id, "late");
    catalog.add_agent(late.clone()).await.unwrap();
    assert_eq!(catalog.agent(TENANT, late.id).await.unwrap(), None);
    assert_eq!(catalog.rename_agent(TENANT, late.id, "later").await.unwrap(), None);
    let pinned = NewKey { app: Some(shop.id), ..key(TENANT) };
    let bound = NewKey { app: Some(ann.app.id), agent: Some(clerk.id), ..key(TENANT) };
    for key in [pinned, bound] {
        catalog.add_key(key.clone()).await.unwrap();
        assert_eq!(catalog.key(key.id).await.unwrap(), None);
    }
}

pub(crate) async fn a_rotation_stores_the_successor_and_ends_the_old_key_or_does_nothing(database: &Database) {
    let catalog = database.open().await;
    catalog.sign_up(account(TENANT, "ann@example.com")).await.unwrap();
    catalog.sign_up(account(OTHER, "bob@example.com")).await.unwrap();
    let lasting = key(TENANT);
    let short = NewKey { expires_at: Some(at(20)), ..key(TENANT) };
    for (old, end) in [(lasting.clone(), at(30)), (short.clone(), at(20))] {
        catalog.add_key(old.clone()).await.unwrap();
        let new = key(TENANT);
        assert!(catalog.rotate_key(old.id, at(30), new.clone(), at(10)).await.unwrap());
        assert_eq!(catalog.key(old.id).await.unwrap(), Some(NewKey { expires_at: Some(end), ..old }));
        assert_eq!(catalog.key(new.id).await.unwrap(), Some(new));
    }
    let before = catalog.keys(TENANT).await.unwrap();
    assert!(!catalog.rotate_key(short.id, at(40), key(TENANT), at(20)).await.unwrap(), "it has ended");
    assert!(!catalog.rotate_key(lasting.id, at(40), key(OTHER), at(10)).await.unwrap(), "another tenant's");
    let taken = catalog.rotate_key(lasting.id, at(15), lasting.clone(), at(10)).await;
    assert!(matches!(taken, Err(Error::Exists { .. })));
    assert_eq!(catalog.keys(TENANT).await.unwrap(), before);
    catalog.revoke_key(TENANT, lasting.id, at(11)).await.unwrap();
    assert!(!catalog.rotate_key(lasting.id, at(40), key(TENANT), at(12)).await.unwrap(), "revoked");
    assert_eq!(catalog.keys(OTHER).await.unwrap(), []);
}

pub(crate) async fn rows_of_a_deleted_app_are_erased_once_no_writer_can_hold_any(database: &Database) {
    let catalog = database.open().await;
    catalog.sign_up(account(TENANT, "ann@example.com")).await.unwrap();
    catalog.sign_up(account(OTHER, "bob@example.com")).await.unwrap();
    let shop = app(TENANT, "shop");
    catalog.add_app(shop.clone()).await.unwrap();
    let id = ErasureId::from_bytes(*shop.id.as_bytes());
    assert_eq!(catalog.erasure(TENANT, id).await.unwrap(), None, "it is there");
    let lease = catalog.register_writer(WRITER, "", at(0)).await.unwrap();
    let gone = catalog.register_writer(SECOND_WRITER, "", at(0)).await.unwrap();
    take_in(&catalog, commit(lease, TENANT, 7, vec![file(TENANT, at(0))])).await.unwrap();
    catalog.delete_app(TENANT, shop.id, at(10)).await.unwrap().unwrap();
    let waits = catalog.erasure(TENANT, id).await.unwrap().unwrap();
    assert_eq!((waits.subject, waits.app, waits.requested_at), (Subject::App, Some(shop.id), at(10)));
    assert_eq!((waits.rewritten_at, waits.finished_at), (None, None));
    assert_eq!(catalog.erasure(OTHER, id).await.unwrap(), None);
    let begun = async |now| {
        catalog.finish_erasures(at(now)).await.unwrap();
        catalog.tenants_to_erase(9).await.unwrap() == [TENANT]
    };
    catalog.settled(lease, at(610)).await.unwrap();
    assert!(!begun(3_609).await, "what was let in may come for an hour");
    assert!(!begun(3_610).await, "the other writer has not said so");
    catalog.retire_writer(gone).await.unwrap();
    assert!(begun(3_611).await);
    let hides = snapshot(&catalog, TENANT).await.erasures;
    let bounds = vec![Receipt { writer: WRITER, sequence: 7 }];
    let erasure = Erasure { id, tenant: TENANT, scope: ErasureScope::App(shop.id), bounds };
    assert_eq!(hides, [erasure], "up to what lies in files");
    assert!(begun(3_612).await, "and it is begun once");
    assert_eq!(snapshot(&catalog, TENANT).await.erasures.len(), 1);
    catalog.rewritten(id, at(3_700)).await.unwrap();
    catalog.finish_erasures(at(3_800)).await.unwrap();
    let proof = catalog.erasure(TENANT, id).await.unwrap().unwrap();
    assert_eq!((proof.requested_at, proof.finished_at), (at(10), Some(at(3_800))));
}
