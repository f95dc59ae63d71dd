//! Tenants as a whole: limits, use, changes for those who remember, and the end of one.

use std::time::Duration;

use spanlake_catalog::{
    Accounts as _, Act, Actor, ApiKey, Audit as _, Catalog, Changes as _, Commit, DataFile, Erasures as _, Error,
    Files as _, Holdings, Keys as _, NewKey, PasswordReset, People as _, Sessions as _, Tenancy as _, UsageDay,
    WriterLease,
};
use spanlake_model::{Changed, Clock, Day, FileId, Limits, MemberId, Role, SystemEntropy, Table, TenantId, Timestamp};

use crate::database::Database;
use crate::files::snapshot;
use crate::races::at_once;
use crate::samples::{
    OTHER, TENANT, WRITER, account, agent, app, at, commit, file, key, refresh_token, replacement, reset_link, take_in,
};

pub(crate) async fn limits_are_set_and_read_back(database: &Database) {
    let catalog = database.open().await;
    let ann = account(TENANT, "ann@example.com");
    catalog.sign_up(ann.clone()).await.unwrap();
    assert_eq!(catalog.tenant(TENANT).await.unwrap(), Some(ann.tenant));
    let limits = Limits {
        requests_per_second: 1,
        spans_per_second: u32::MAX,
        bytes_per_second: i64::MAX.unsigned_abs(),
        exports_per_hour: 0,
        spans_per_month: Some(1 << 40),
        queries_at_once: Some(7),
    };
    assert!(catalog.set_limits(TENANT, limits).await.unwrap());
    assert_eq!(catalog.tenant(TENANT).await.unwrap().unwrap().limits, limits);
    assert!(!catalog.set_limits(OTHER, limits).await.unwrap());
}

struct At(Timestamp);

impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// A file of these rows that was written at `written`.
fn written(tenant: TenantId, written: Timestamp, rows: u64) -> DataFile {
    DataFile { id: FileId::generate(&At(written), &SystemEntropy), rows, ..file(tenant, at(0)) }
}

pub(crate) async fn rows_are_counted_once_on_the_day_they_were_written(database: &Database) {
    let catalog = database.open().await;
    let lease = catalog.register_writer(WRITER, "", at(0)).await.unwrap();
    let (today, tomorrow) = (Day::of(at(0)), Day(Day::of(at(0)).0 + 1));
    let noon = |day: Day| day.start().plus(Duration::from_secs(43_200));
    let first = commit(lease, TENANT, 1, vec![written(TENANT, noon(today), 5), written(TENANT, noon(tomorrow), 7)]);
    take_in(&catalog, first.clone()).await.unwrap();
    take_in(&catalog, first).await.unwrap();
    take_in(&catalog, commit(lease, TENANT, 2, vec![written(TENANT, noon(today), 30)])).await.unwrap();
    take_in(&catalog, commit(lease, OTHER, 3, vec![written(OTHER, noon(today), 1_000)])).await.unwrap();
    let scores = DataFile { table: Table::Scores, ..written(TENANT, noon(today), 2) };
    take_in(&catalog, Commit { table: Table::Scores, ..commit(lease, TENANT, 4, vec![scores]) }).await.unwrap();
    let day = |day, table, rows, bytes| UsageDay { day, table, rows, bytes };
    let expected =
        [day(today, Table::Scores, 2, 275), day(today, Table::Spans, 35, 550), day(tomorrow, Table::Spans, 7, 275)];
    assert_eq!(catalog.usage(TENANT, today, tomorrow).await.unwrap(), expected);
    assert_eq!(catalog.usage(TENANT, tomorrow, tomorrow).await.unwrap(), expected[2..]);
}

pub(crate) async fn changes_are_heard_of_in_their_order(database: &Database) {
    let catalog = database.open().await;
    catalog.sign_up(account(TENANT, "ann@example.com")).await.unwrap();
    let start = catalog.changes_after(0).await.unwrap();
    assert_eq!((start.sequence, start.changed), (0, Some(vec![])));
    let (shop, key) = (app(TENANT, "shop"), key(TENANT));
    let clerk = agent(TENANT, shop.id, "clerk");
    catalog.add_app(shop.clone()).await.unwrap();
    catalog.add_agent(clerk.clone()).await.unwrap();
    catalog.add_key(key.clone()).await.unwrap();
    catalog.revoke_key(TENANT, key.id, at(1)).await.unwrap();
    catalog.delete_agent(TENANT, clerk.id, at(2)).await.unwrap();
    catalog.delete_app(TENANT, shop.id, at(3)).await.unwrap();
    catalog.set_limits(TENANT, Limits::default()).await.unwrap();
    let heard = catalog.changes_after(0).await.unwrap();
    let expected = [
        Changed::Key(key.id),
        Changed::Agent(TENANT, clerk.id),
        Changed::App(TENANT, shop.id),
        Changed::Tenant(TENANT),
    ];
    assert_eq!((heard.sequence, heard.changed), (4, Some(expected.to_vec())));
    assert_eq!(catalog.changes_after(3).await.unwrap().changed, Some(expected[3..].to_vec()));
    assert_eq!(catalog.changes_after(5).await.unwrap().changed, None, "from another catalog");
    database.tamper("DELETE FROM account_changes WHERE sequence = 2").await;
    assert_eq!(catalog.changes_after(1).await.unwrap().changed, None, "some are forgotten");
}

pub(crate) async fn a_tenant_with_very_many_keys_is_told_of_whole(database: &Database) {
    let catalog = database.open().await;
    for (tenant, email) in [(TENANT, "ann@example.com"), (OTHER, "bob@example.com")] {
        catalog.sign_up(account(tenant, email)).await.unwrap();
    }
    catalog.set_limits(OTHER, Limits::default()).await.unwrap();
    let mut living = Vec::new();
    for _ in 0..401 {
        let key = key(TENANT);
        catalog.add_key(key.clone()).await.unwrap();
        living.push(key.id);
    }
    let (revoked, ended) = (key(TENANT), NewKey { expires_at: Some(at(9)), ..key(TENANT) });
    catalog.add_key(revoked.clone()).await.unwrap();
    catalog.revoke_key(TENANT, revoked.id, at(2)).await.unwrap();
    catalog.add_key(ended).await.unwrap();
    let mut closed = catalog.close_tenant(TENANT, b"receipt", at(10)).await.unwrap().unwrap();
    catalog.set_limits(OTHER, Limits::default()).await.unwrap();
    let heard = catalog.changes_after(2).await.unwrap();
    let mut heard_of: Vec<_> = heard.changed.unwrap();
    assert_eq!((heard.sequence, heard_of.pop()), (405, Some(Changed::Tenant(OTHER))));
    assert_eq!(heard_of.pop(), Some(Changed::Tenant(TENANT)));
    assert_eq!(heard_of, closed.iter().copied().map(Changed::Key).collect::<Vec<_>>());
    closed.sort();
    living.sort();
    assert_eq!(closed, living, "living keys only");
}

pub(crate) async fn a_racing_change_is_never_skipped(database: &Database) {
    let catalog = database.open().await;
    catalog.sign_up(account(TENANT, "ann@example.com")).await.unwrap();
    let keys: Vec<_> = (0..8).map(|_| key(TENANT)).collect();
    for key in &keys {
        catalog.add_key(key.clone()).await.unwrap();
    }
    let heard = at_once(9, |index| {
        let (catalog, key) = (catalog.clone(), keys.get(usize::from(index)).map(|key| key.id));
        async move {
            let Some(key) = key else { return listen(&catalog, 8).await };
            catalog.revoke_key(TENANT, key, at(1)).await.unwrap();
            Vec::new()
        }
    })
    .await
    .concat();
    assert!(keys.iter().all(|key| heard.contains(&Changed::Key(key.id))));
}

/// Asks again and again from where it was until it has heard of `count`.
async fn listen(catalog: &Catalog, count: usize) -> Vec<Changed> {
    let (mut heard, mut sequence) = (Vec::new(), 0);
    while heard.len() < count {
        let changes = catalog.changes_after(sequence).await.unwrap();
        sequence = changes.sequence;
        heard.extend(changes.changed.unwrap());
    }
    heard
}

/// A tenant with something in every table.
async fn furnished(catalog: &Catalog) -> DataFile {
    let ann = account(TENANT, "ann@example.com");
    catalog.sign_up(ann.clone()).await.unwrap();
    let by_ann = catalog.by(Act { actor: Actor::Member(ann.owner.id), address: None, at: at(1) });
    let shop = app(TENANT, "shop");
    by_ann.add_app(shop.clone()).await.unwrap();
    by_ann.add_agent(agent(TENANT, shop.id, "clerk")).await.unwrap();
    by_ann.add_key(key(TENANT)).await.unwrap();
    by_ann.keep_days(TENANT, Table::Spans, Some(30)).await.unwrap();
    by_ann.set_own_prices(TENANT, "[]").await.unwrap();
    by_ann.add_refresh_token(refresh_token(&ann.owner, "family"), &ann.owner.password_hash).await.unwrap();
    let reset = reset_link(&ann.owner, 1);
    by_ann.add_password_reset(reset).await.unwrap();
    let lease = catalog.register_writer(WRITER, "", at(0)).await.unwrap();
    let file = file(TENANT, at(0));
    take_in(catalog, commit(lease, TENANT, 1, vec![file.clone()])).await.unwrap();
    file
}

pub(crate) async fn a_closed_tenant_is_gone_at_once_and_its_files_expire(database: &Database) {
    let catalog = database.open().await;
    let file = furnished(&catalog).await;
    catalog.sign_up(account(OTHER, "bob@example.com")).await.unwrap();
    let keys = catalog.keys(TENANT).await.unwrap();
    assert_eq!(catalog.expired(Table::Spans, at(1), 10).await.unwrap(), []);
    let closed = catalog.close_tenant(TENANT, b"receipt", at(10)).await.unwrap().unwrap();
    assert_eq!(closed, keys.iter().map(|key| key.id).collect::<Vec<_>>());
    assert_eq!(catalog.close_tenant(TENANT, b"again", at(11)).await.unwrap(), None);
    assert_eq!(catalog.tenant(TENANT).await.unwrap(), None);
    assert_eq!(catalog.accounts_of("ann@example.com", 9).await.unwrap(), []);
    assert_eq!(catalog.key(keys[0].id).await.unwrap(), None);
    assert_eq!(catalog.audit_log(TENANT, u64::MAX, 10).await.unwrap(), []);
    assert_eq!(catalog.apps(OTHER).await.unwrap().len(), 1);
    let expired = catalog.expired(Table::Spans, at(11), 10).await.unwrap();
    assert_eq!(expired.iter().map(|file| file.id).collect::<Vec<_>>(), [file.id]);
    assert!(matches!(catalog.add_key(key(TENANT)).await, Err(Error::Changed(_))), "a key made at that moment");
    let changes = catalog.changes_after(0).await.unwrap().changed.unwrap();
    assert!(changes.ends_with(&[Changed::Key(keys[0].id), Changed::Tenant(TENANT)]), "{changes:?}");
}

pub(crate) async fn nothing_is_left_of_a_closed_tenant_in_any_table(database: &Database) {
    let catalog = database.open().await;
    let file = furnished(&catalog).await;
    catalog.close_tenant(TENANT, b"receipt", at(10)).await.unwrap().unwrap();
    let receipt = async || catalog.closed_tenant(b"receipt").await.unwrap().unwrap();
    assert_eq!((receipt().await.requested_at, receipt().await.finished_at), (at(10), None));
    assert_eq!(catalog.closed_tenant(b"another").await.unwrap(), None);
    catalog.finish_erasures(at(10_000)).await.unwrap();
    assert_eq!(receipt().await.finished_at, None, "its file is there");
    catalog.replace(replacement(TENANT, &[file.id], vec![])).await.unwrap();
    let removable = catalog.erased_removable(at(101), Duration::from_secs(1), 10).await.unwrap();
    assert_eq!(removable.iter().map(|removed| removed.id).collect::<Vec<_>>(), [file.id], "sooner than other files");
    catalog.forget(&[file.id]).await.unwrap();
    catalog.finish_erasures(at(3_609)).await.unwrap();
    assert_eq!(receipt().await.finished_at, None, "what was in memory may still come");
    catalog.finish_erasures(at(3_610)).await.unwrap();
    assert_eq!(receipt().await.finished_at, None, "a writer that is down may hold rows in its log");
    let lease = catalog.register_writer(WRITER, "", at(3_611)).await.unwrap();
    for (settled, finished) in [(609, None), (610, Some(at(3_620)))] {
        catalog.settled(lease, at(settled)).await.unwrap();
        catalog.finish_erasures(at(3_620)).await.unwrap();
        assert_eq!(receipt().await.finished_at, finished, "settled before {settled}");
    }
    let older = WriterLease { epoch: lease.epoch - 1, ..lease };
    assert!(matches!(catalog.settled(older, at(700)).await, Err(Error::Fenced { .. })));
    assert_eq!(snapshot(&catalog, TENANT).await.watermarks, []);
    for (table, rows) in database.rows_with("tenant_id", &TENANT.to_string()).await {
        assert_eq!(rows, u64::from(table == "closed_tenants"), "{table}");
    }
}

pub(crate) async fn whoever_is_removed_takes_their_reset_link_along(database: &Database) {
    let catalog = database.open().await;
    catalog.sign_up(account(TENANT, "ann@example.com")).await.unwrap();
    let eve = crate::people::joined(&catalog, "eve@example.com", Role::Viewer).await;
    let reset = reset_link(&eve, 7);
    catalog.add_password_reset(reset.clone()).await.unwrap();
    catalog.remove_member(TENANT, eve.id, Role::Viewer).await.unwrap();
    assert_eq!(catalog.password_reset(&[7], at(1)).await.unwrap(), None);
    let nobody = catalog.add_password_reset(PasswordReset { member: MemberId::from_bytes([3; 16]), ..reset });
    assert!(matches!(nobody.await, Err(Error::Changed(_))));
}

pub(crate) async fn what_a_tenant_holds_is_counted_without_what_is_gone(database: &Database) {
    let catalog = database.open().await;
    catalog.sign_up(account(TENANT, "ann@example.com")).await.unwrap();
    catalog.sign_up(account(OTHER, "bob@example.com")).await.unwrap();
    let (shop, closed) = (app(TENANT, "shop"), app(TENANT, "closed"));
    for app in [&shop, &closed] {
        catalog.add_app(app.clone()).await.unwrap();
        catalog.add_agent(agent(TENANT, app.id, "clerk")).await.unwrap();
    }
    let (kept, revoked, short) = (key(TENANT), key(TENANT), ApiKey { expires_at: Some(at(20)), ..key(TENANT) });
    for key in [&kept, &revoked, &short] {
        catalog.add_key(key.clone()).await.unwrap();
    }
    crate::people::joined(&catalog, "eve@example.com", Role::Viewer).await;
    catalog.delete_app(TENANT, closed.id, at(9)).await.unwrap();
    catalog.revoke_key(TENANT, revoked.id, at(9)).await.unwrap();
    let counted = |keys| Holdings { apps: 2, agents: 1, keys, members: 2 };
    assert_eq!(catalog.holdings(TENANT, at(19)).await.unwrap(), counted(2));
    assert_eq!(catalog.holdings(TENANT, at(20)).await.unwrap(), counted(1));
    let other = Holdings { apps: 1, agents: 0, keys: 0, members: 1 };
    assert_eq!(catalog.holdings(OTHER, at(20)).await.unwrap(), other);
}
