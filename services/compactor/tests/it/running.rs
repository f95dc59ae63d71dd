//! The loop.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use spanlake_compactor::Config;
use spanlake_proto::compactor::Compactor;
use tokio_util::sync::CancellationToken;

use crate::meddled::Meddled;
use crate::world::{TENANT, World, eager, said};

#[tokio::test]
async fn the_loop_goes_on_after_an_error_and_ends_when_told() {
    let world = World::new().await;
    world.flush(TENANT, &[(0, "a")], &[]).await;
    world.flush(TENANT, &[(2, "b")], &[]).await;
    let files = Meddled::with(&world).await;
    files.be_away.store(true, Ordering::SeqCst);
    let mut looks = files.looks.subscribe();
    let compactor = Arc::new(world.compactor_over(files, Config { look_interval_s: 0, ..eager() }));
    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let (compactor, shutdown) = (compactor.clone(), shutdown.clone());
        async move { compactor.run(shutdown).await }
    });
    // The first fails; when the third begins the second is done.
    looks.wait_for(|looks| *looks >= 3).await.unwrap();
    shutdown.cancel();
    running.await.unwrap();
    assert_eq!(world.live(TENANT).await.len(), 1);
    assert_eq!(world.visible(TENANT, &[]).await, said(&[(0, "a"), (2, "b")]));
}

#[tokio::test]
async fn a_long_pause_does_not_keep_the_loop_from_ending() {
    let world = World::new().await;
    let files = Meddled::with(&world).await;
    let mut looks = files.looks.subscribe();
    let compactor = world.compactor_over(files, Config { look_interval_s: u64::from(u32::MAX), ..Config::default() });
    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { compactor.run(shutdown).await }
    });
    looks.wait_for(|looks| *looks >= 1).await.unwrap();
    shutdown.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn told_to_end_it_finishes_the_merge_at_hand_and_begins_no_other() {
    let world = World::new().await;
    for number in 0..4 {
        // Two days, one merge each.
        world.flush(TENANT, &[(number, "a")], &[]).await;
    }
    let files = Meddled::with(&world).await;
    let shutdown = CancellationToken::new();
    let told = shutdown.clone();
    files.before_replace(async move { told.cancel() });
    world.compactor_over(files, eager()).run(shutdown).await;
    assert_eq!(world.live(TENANT).await.len(), 3);
    assert_eq!(world.stored().await, world.known().await);
}

#[tokio::test]
async fn two_looks_asked_for_at_once_happen_one_after_the_other() {
    let world = World::new().await;
    for number in 0..4 {
        world.flush(TENANT, &[(2 * number, "a")], &[]).await;
    }
    let compactor = world.compactor(eager());
    let (one, two) = tokio::join!(compactor.run_once(), compactor.run_once());
    assert_eq!((one.unwrap().merged_files, two.unwrap().merged_files), (4, 0));
}
