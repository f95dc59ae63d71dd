//! Who changed what.

use std::sync::Arc;

use serde_json::{Value, json};
use spanlake_catalog::{
    Accounts, Act, Actor, Audit as _, AuditEntry, CHAIN_START, Catalog, Deed, Deeds as _, Error, Invite, Keys as _,
    NewKey,
};
use spanlake_model::{InviteId, KeyId, Limits, MemberId, Role, Table, TenantId};

use crate::database::Database;
use crate::races::at_once;
use crate::samples::{OTHER, TENANT, account, agent, app, at, key, refresh_token};

const KEY: Actor = Actor::Key(KeyId::from_bytes([9; 16]));

fn by(catalog: &Catalog, seconds: i64) -> Arc<dyn Accounts> {
    catalog.by(Act { actor: KEY, address: Some("203.0.113.7".into()), at: at(seconds) })
}

async fn log(catalog: &Catalog, tenant: TenantId) -> Vec<AuditEntry> {
    let mut entries = catalog.audit_log(tenant, u64::MAX, 1_000).await.unwrap();
    entries.reverse();
    entries
}

/// Whether every entry follows from the one before, up to the head.
async fn holds(catalog: &Catalog, tenant: TenantId) -> bool {
    let (mut previous, mut sequence) = (CHAIN_START, 0);
    for entry in log(catalog, tenant).await {
        sequence += 1;
        if entry.sequence != sequence || entry.chained(tenant, &previous) != entry.hash {
            return false;
        }
        previous = entry.hash;
    }
    let head = catalog.audit_head(tenant).await.unwrap();
    (head.sequence, head.hash) == (sequence, previous)
}

pub(crate) async fn what_is_changed_by_somebody_is_on_record_with_what_was_before(database: &Database) {
    let catalog = database.open().await;
    catalog.sign_up(account(TENANT, "ann@example.com")).await.unwrap();
    catalog.sign_up(account(OTHER, "bob@example.com")).await.unwrap();
    assert_eq!(log(&catalog, TENANT).await, [], "nobody's doing is on nobody's record");
    let shop = app(TENANT, "shop");
    by(&catalog, 10).add_app(shop.clone()).await.unwrap();
    by(&catalog, 11).rename_app(TENANT, shop.id, "store").await.unwrap();
    let entries = log(&catalog, TENANT).await;
    let words = |entry: &AuditEntry| (entry.action.clone(), entry.before.clone(), entry.after.clone());
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(words(&entries[0]), ("app.created".to_owned(), None, text(r#"{"name":"shop"}"#)));
    let renamed = ("app.renamed".to_owned(), text(r#"{"name":"shop"}"#), text(r#"{"name":"store"}"#));
    assert_eq!(words(&entries[1]), renamed);
    let second = &entries[1];
    assert_eq!((second.sequence, second.at, second.actor), (2, at(11), KEY));
    assert_eq!((second.target.clone(), second.address.as_deref()), (shop.id.to_string(), Some("203.0.113.7")));
    assert_eq!(log(&catalog, OTHER).await, []);
    assert_eq!(catalog.audit_log(TENANT, 2, 1_000).await.unwrap(), entries[..1]);
    assert_eq!(catalog.audit_log(TENANT, u64::MAX, 1).await.unwrap(), entries[1..]);
    assert!(holds(&catalog, TENANT).await);
}

pub(crate) async fn a_rotation_and_new_prices_are_on_record_as_they_were_and_are(database: &Database) {
    let catalog = database.open().await;
    catalog.sign_up(account(TENANT, "ann@example.com")).await.unwrap();
    let (lasting, short) = (key(TENANT), NewKey { expires_at: Some(at(20)), ..key(TENANT) });
    let acting = by(&catalog, 10);
    for old in [&lasting, &short] {
        catalog.add_key(old.clone()).await.unwrap();
        assert!(acting.rotate_key(old.id, at(30), key(TENANT), at(11)).await.unwrap());
    }
    for prices in [r#"[{"model":"a"},{"model":"b"}]"#, r#"[{"model":"b"},{"model":"c"}]"#] {
        acting.set_own_prices(TENANT, prices).await.unwrap();
    }
    let entries = log(&catalog, TENANT).await;
    let parts = |entry: &AuditEntry| {
        [&entry.before, &entry.after].map(|part| part.as_deref().unwrap().parse::<Value>().unwrap())
    };
    for (entry, before, after) in [(&entries[0], None, at(30)), (&entries[1], Some(at(20)), at(20))] {
        let [was, is] = parts(entry);
        assert_eq!(was, json!({"expires_at": before.map(|at| at.to_string())}));
        assert_eq!(is["expires_at"], json!(after.to_string()));
        assert_eq!(is["successor"]["expires_at"], Value::Null);
    }
    let models =
        |models: &[&str]| json!({"prices": models.iter().map(|model| json!({"model": model})).collect::<Vec<_>>()});
    assert_eq!(parts(&entries[2]), [models(&[]), models(&["a", "b"])]);
    assert_eq!(parts(&entries[3]), [models(&["a"]), models(&["c"])]);
}

pub(crate) async fn every_kind_of_change_is_on_record_once(database: &Database) {
    let catalog = database.open().await;
    let ann = account(TENANT, "ann@example.com");
    let acting = by(&catalog, 10);
    acting.sign_up(ann.clone()).await.unwrap();
    let (shop, wares) = (app(TENANT, "shop"), app(TENANT, "wares"));
    acting.add_app(shop.clone()).await.unwrap();
    acting.add_app(wares.clone()).await.unwrap();
    acting.rename_app(TENANT, shop.id, "store").await.unwrap();
    let (clerk, guard) = (agent(TENANT, shop.id, "clerk"), agent(TENANT, shop.id, "guard"));
    acting.add_agent(clerk.clone()).await.unwrap();
    acting.add_agent(guard.clone()).await.unwrap();
    acting.rename_agent(TENANT, clerk.id, "seller").await.unwrap();
    acting.delete_agent(TENANT, guard.id, at(11)).await.unwrap();
    let (first, second) = (key(TENANT), key(TENANT));
    acting.add_key(first.clone()).await.unwrap();
    acting.rotate_key(first.id, at(12), second.clone(), at(11)).await.unwrap();
    acting.revoke_key(TENANT, second.id, at(13)).await.unwrap();
    acting.delete_app(TENANT, wares.id, at(14)).await.unwrap();
    acting.keep_days(TENANT, Table::Spans, Some(30)).await.unwrap();
    acting.set_own_prices(TENANT, "[]").await.unwrap();
    acting.set_limits(TENANT, Limits { spans_per_second: 7, ..ann.tenant.limits }).await.unwrap();
    let invite = |number: u8| Invite {
        id: InviteId::from_bytes([number; 16]),
        tenant: TENANT,
        email: format!("{number}@example.com"),
        role: Role::Viewer,
        token_hash: vec![number],
        invited_by: None,
        created_at: at(1),
        expires_at: at(100),
    };
    acting.invite(invite(1), None).await.unwrap();
    acting.invite(invite(2), None).await.unwrap();
    acting.withdraw_invite(TENANT, invite(1).id).await.unwrap();
    let eve = MemberId::from_bytes([6; 16]);
    acting.accept_invite(invite(2).id, eve, "$argon2id$", at(20)).await.unwrap().unwrap();
    acting.change_role(TENANT, eve, Role::Viewer, Role::Member).await.unwrap();
    acting.add_refresh_token(refresh_token(&ann.owner, "family"), &ann.owner.password_hash).await.unwrap();
    acting.change_password(TENANT, ann.owner.id, &ann.owner.password_hash, "new").await.unwrap();
    acting.remove_member(TENANT, eve, Role::Member).await.unwrap();
    let actions: Vec<_> = log(&catalog, TENANT).await.into_iter().map(|entry| entry.action).collect();
    let expected = "tenant.created app.created app.created app.renamed agent.created agent.created agent.renamed \
        agent.deleted api_key.created api_key.rotated api_key.revoked app.deleted retention.set prices.set limits.set \
        invite.created invite.created invite.withdrawn member.joined member.role_changed session.began \
        password.changed member.removed";
    assert_eq!(actions.join(" "), expected.split_whitespace().collect::<Vec<_>>().join(" "));
    assert!(holds(&catalog, TENANT).await);
}

pub(crate) async fn what_did_not_happen_is_not_on_record(database: &Database) {
    let catalog = database.open().await;
    catalog.sign_up(account(TENANT, "ann@example.com")).await.unwrap();
    let acting = by(&catalog, 10);
    let taken = acting.add_app(app(TENANT, "default")).await;
    assert!(matches!(taken, Err(Error::Exists { .. })), "{taken:?}");
    assert!(!acting.revoke_key(TENANT, key(TENANT).id, at(1)).await.unwrap());
    assert_eq!(acting.rename_app(TENANT, app(TENANT, "x").id, "y").await.unwrap(), None);
    assert!(!acting.set_limits(OTHER, Limits::default()).await.unwrap());
    assert_eq!(log(&catalog, TENANT).await, []);
}

pub(crate) async fn deeds_are_links_of_the_same_chain_of_a_tenant_that_is_there(database: &Database) {
    let catalog = database.open().await;
    catalog.sign_up(account(TENANT, "ann@example.com")).await.unwrap();
    by(&catalog, 10).add_app(app(TENANT, "a")).await.unwrap();
    let act = |seconds| Act { actor: Actor::Installation, address: None, at: at(seconds) };
    let deed = Deed { action: "traces.exported", target: "x".into(), asked: json!({"limit": 5}) };
    catalog.put_on_record(TENANT, act(11), deed.clone()).await.unwrap();
    by(&catalog, 12).add_app(app(TENANT, "b")).await.unwrap();
    let entries = log(&catalog, TENANT).await;
    let actions: Vec<_> = entries.iter().map(|entry| &*entry.action).collect();
    assert_eq!(actions, ["app.created", "traces.exported", "app.created"]);
    let second = &entries[1];
    assert_eq!((second.actor, second.at, &*second.target), (Actor::Installation, at(11), "x"));
    assert_eq!(second.after.as_deref(), Some(r#"{"limit":5}"#));
    assert!(holds(&catalog, TENANT).await);
    assert!(catalog.put_on_record(OTHER, act(13), deed).await.is_err());
    assert_eq!(log(&catalog, OTHER).await, [], "nobody is there");
}

pub(crate) async fn racing_changes_make_one_chain(database: &Database) {
    let catalog = database.open().await;
    catalog.sign_up(account(TENANT, "ann@example.com")).await.unwrap();
    at_once(8, |index| {
        let acting = by(&catalog, index.into());
        async move { acting.add_app(app(TENANT, &format!("app {index}"))).await.unwrap() }
    })
    .await;
    assert_eq!(log(&catalog, TENANT).await.len(), 8);
    assert!(holds(&catalog, TENANT).await);
}

pub(crate) async fn a_record_that_was_tampered_with_shows_it(database: &Database) {
    let catalog = database.open().await;
    catalog.sign_up(account(TENANT, "ann@example.com")).await.unwrap();
    for name in ["a", "b", "c"] {
        by(&catalog, 10).add_app(app(TENANT, name)).await.unwrap();
    }
    assert!(holds(&catalog, TENANT).await);
    for (damage, repair) in [
        (
            "UPDATE audit_log SET action = 'app.renamed' WHERE sequence = 2",
            "UPDATE audit_log SET action = 'app.created'",
        ),
        ("UPDATE audit_log SET address = NULL WHERE sequence = 1", "UPDATE audit_log SET address = '203.0.113.7'"),
        ("UPDATE audit_log SET at = at + 1 WHERE sequence = 3", "UPDATE audit_log SET at = at - 1 WHERE sequence = 3"),
    ] {
        database.tamper(damage).await;
        assert!(!holds(&catalog, TENANT).await, "{damage}");
        database.tamper(repair).await;
        assert!(holds(&catalog, TENANT).await, "{repair}");
    }
    database.tamper("DELETE FROM audit_log WHERE sequence = 3").await;
    assert!(!holds(&catalog, TENANT).await, "an entry cut off the end");
}
