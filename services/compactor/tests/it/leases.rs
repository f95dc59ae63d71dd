//! How several compactors share the work, and what becomes of work that fails.

use std::sync::Arc;

use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use spanlake_catalog::{Jobs as _, TenantDay};
use spanlake_compactor::Config;
use spanlake_model::{CompactorId, Table};
use spanlake_proto::compactor::{Compacted, Compactor};
use tokio_util::sync::CancellationToken;

use crate::meddled::Meddled;
use crate::world::{OTHER, TENANT, World, day, eager, said};

async fn two_files(world: &World) {
    world.flush(TENANT, &[(0, "a")], &[]).await;
    world.flush(TENANT, &[(2, "b")], &[]).await;
}

#[tokio::test]
async fn a_day_that_another_compactor_works_on_is_left_to_it() {
    let world = World::new().await;
    two_files(&world).await;
    let files = Meddled::with(&world).await;
    let other = world.compactor(eager());
    files.before_replace(async move {
        assert_eq!(other.run_once().await.unwrap(), Compacted::default());
    });
    let done = world.compactor_over(files, eager()).run_once().await.unwrap();
    assert_eq!((done.merged_files, done.written_files), (2, 1));
    assert_eq!(world.stored().await, world.known().await);
}

#[tokio::test]
async fn the_work_of_a_compactor_that_died_is_taken_over_when_its_lease_ends() {
    let world = World::new().await;
    two_files(&world).await;
    let files = Meddled::with(&world).await;
    files.before_replace(std::future::pending());
    let dying = Arc::new(world.compactor_over(files.clone(), eager()));
    let work = tokio::spawn(async move { dying.run_once().await });
    files.replacing.subscribe().wait_for(|replacing| *replacing).await.unwrap();
    work.abort();
    assert!(work.await.unwrap_err().is_cancelled());
    let heir = world.compactor(eager());
    world.clock.pass(eager().lease_s - 1);
    assert_eq!(heir.run_once().await.unwrap(), Compacted::default());
    world.clock.pass(1);
    assert_eq!(heir.run_once().await.unwrap().merged_files, 2);
    assert_eq!(world.visible(TENANT, &[]).await, said(&[(0, "a"), (2, "b")]));
}

#[tokio::test]
async fn a_day_that_fails_waits_longer_each_time_and_keeps_no_other_waiting() {
    let world = World::new().await;
    let broken = world.flush(TENANT, &[(0, "a")], &[]).await.remove(0);
    world.flush(TENANT, &[(2, "b")], &[]).await;
    let good = world.objects.get(&Path::from(broken.path.as_str())).await.unwrap().bytes().await.unwrap();
    world.objects.put(&Path::from(broken.path.as_str()), PutPayload::from_static(b"PAR1 no more")).await.unwrap();
    let config = Config { retry_s: 60, failures_max: 4, set_aside_s: 10_000, days_per_look_max: 1, ..eager() };
    let compactor = world.compactor(config);
    for pause in [60, 120, 240, 10_000, 10_000] {
        compactor.run_once().await.unwrap_err();
        world.clock.pass(pause - 1);
        assert_eq!(compactor.run_once().await.unwrap(), Compacted::default(), "it waits {pause}");
        world.clock.pass(1);
    }
    // One day a look, and the broken one is set aside: the other has its turn.
    compactor.run_once().await.unwrap_err();
    world.flush(OTHER, &[(0, "a")], &[]).await;
    world.flush(OTHER, &[(2, "b")], &[]).await;
    assert_eq!(compactor.run_once().await.unwrap().merged_files, 2);
    // It is tried again in the end, and a success makes all forgotten.
    world.objects.put(&Path::from(broken.path.as_str()), PutPayload::from(good)).await.unwrap();
    world.clock.pass(10_000);
    assert_eq!(compactor.run_once().await.unwrap().merged_files, 2);
    let day = TenantDay { tenant: TENANT, table: Table::Spans, day: day(0), files: 0 };
    let (owner, now) = (CompactorId::from_bytes([9; 16]), spanlake_model::Clock::now(world.clock.as_ref()));
    assert_eq!(world.catalog.claim(owner, day, now, now).await.unwrap().unwrap().failures, 0);
}

#[tokio::test]
async fn a_compactor_that_is_told_to_stop_gives_its_day_back_at_once() {
    let world = World::new().await;
    for number in 0..3 {
        world.flush(TENANT, &[(2 * number, "a")], &[]).await;
    }
    let config =
        Config { merge: spanlake_store::file::merge::Bounds { inputs_max: 2, ..Default::default() }, ..eager() };
    let files = Meddled::with(&world).await;
    let shutdown = CancellationToken::new();
    let told = shutdown.clone();
    files.before_replace(async move { told.cancel() });
    world.compactor_over(files, config.clone()).run(shutdown).await;
    assert_eq!(world.live(TENANT).await.len(), 2, "one of two merges");
    assert_eq!(world.compactor(config).run_once().await.unwrap().merged_files, 2);
}
