//! The end of a tenant, while a writer is down.

use std::sync::Arc;
use std::time::Duration;

use spanlake_catalog::{
    Accounts as _, App, Erasures as _, Files as _, Member, NewAccount, Replacement, Tenancy as _, Tenant,
};
use spanlake_model::{AppId, Clock as _, Limits, MemberId, Role, Table};
use spanlake_testkit::{ManualClock, eventually};
use tokio_util::sync::CancellationToken;

use crate::machine::{Machine, NOON, send, tenant};

const HOUR: Duration = Duration::from_secs(3_600);

fn account() -> NewAccount {
    let (id, app) = (tenant(1), AppId::from_bytes([9; 16]));
    let owner = Member {
        id: MemberId::from_bytes([8; 16]),
        tenant: id,
        email: "ann@example.com".into(),
        password_hash: String::new(),
        role: Role::Owner,
        created_at: NOON,
    };
    let tenant = Tenant { id, name: "ann's".into(), default_app: app, limits: Limits::default(), created_at: NOON };
    NewAccount { tenant, app: App { id: app, tenant: id, name: "default".into(), created_at: NOON }, owner }
}

#[tokio::test]
async fn a_tenant_is_not_gone_while_a_writer_that_is_down_has_rows_of_it_in_its_log() {
    let mut machine = Machine::new().await;
    let clock = Arc::new(ManualClock::at(NOON));
    machine.clock = clock.clone();
    machine.config.flush_check_ms = 5;
    machine.catalog.sign_up(account()).await.unwrap();
    let service = machine.start().await.unwrap();
    send(&service, tenant(1), &[1, 2]).await.unwrap();
    drop(service);
    machine.disk = machine.disk.killed();
    let catalog = machine.catalog.clone();
    catalog.close_tenant(tenant(1), b"receipt", NOON).await.unwrap().unwrap();
    let is_finished = async || {
        catalog.finish_erasures(clock.now()).await.unwrap();
        catalog.closed_tenant(b"receipt").await.unwrap().unwrap().finished_at.is_some()
    };
    clock.advance(HOUR * 48);
    assert!(!is_finished().await, "however long it is down");

    let service = machine.start().await.unwrap();
    let stop = CancellationToken::new();
    let (flusher, token) = (service.clone(), stop.clone());
    let flushing = tokio::spawn(async move { flusher.run_flusher(token).await });
    let mut minutes = 0;
    eventually("a while in which it holds what it has read again", || {
        clock.advance(Duration::from_secs(60));
        minutes += 1;
        let (is_finished, is_over) = (is_finished(), minutes == 20);
        async move {
            assert!(!is_finished.await, "rows of it are in memory");
            is_over.then_some(())
        }
    })
    .await;
    // Old enough to be flushed; then the compactor comes by.
    clock.advance(HOUR);
    let files = eventually("the file of what was replayed", || async {
        let files = catalog.expired(Table::Spans, clock.now(), 10).await.unwrap();
        (!files.is_empty()).then_some(files)
    })
    .await;
    assert_eq!(files.iter().map(|file| file.rows).sum::<u64>(), 2);
    assert!(!is_finished().await, "its file is there");
    let inputs: Vec<_> = files.iter().map(|file| file.id).collect();
    let gone = Replacement {
        tenant: tenant(1),
        table: Table::Spans,
        inputs: inputs.clone(),
        outputs: Vec::new(),
        at: clock.now(),
    };
    catalog.replace(gone).await.unwrap();
    catalog.forget(&inputs).await.unwrap();
    eventually("the end of the tenant", || async {
        clock.advance(Duration::from_secs(60));
        is_finished().await.then_some(())
    })
    .await;
    stop.cancel();
    flushing.await.unwrap();
}
