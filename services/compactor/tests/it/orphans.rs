//! Files that nobody knows.

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use spanlake_catalog::Error as CatalogError;
use spanlake_compactor::Config;
use spanlake_model::{Clock as _, FileId, Timestamp};
use spanlake_proto::compactor::Compactor;

use crate::world::{OTHER, TENANT, World, said};

const HOUR: u64 = 3_600;

/// Moves the clock to so many seconds after the last object was written, by the store's clock.
async fn pass_since_last_write(world: &World, seconds: u64) {
    let written = world.objects.list(None).map_ok(|object| object.last_modified.timestamp_nanos_opt().unwrap());
    let last = written.try_collect::<Vec<_>>().await.unwrap().into_iter().max().unwrap();
    let ahead = Timestamp::from_nanos(last).since(world.clock.now());
    world.clock.pass(ahead.as_secs() + 1 + seconds);
}

/// Looks every hour, for as many hours.
async fn look_for(world: &World, hours: u64) {
    let compactor = world.compactor(Config::default());
    for _ in 0..hours {
        compactor.run_once().await.unwrap();
        world.clock.pass(HOUR);
    }
}

#[tokio::test]
async fn a_file_between_put_and_commit_is_left_alone_while_it_is_young() {
    let world = World::new().await;
    let written = world.put(TENANT, &[(0, "a")], &[]).await;
    pass_since_last_write(&world, 0).await;
    look_for(&world, 23).await;
    assert_eq!(world.stored().await.len(), 1);
    world.commit(TENANT, written).await.unwrap().unwrap();
    look_for(&world, 48).await;
    assert_eq!(world.visible(TENANT, &[]).await, said(&[(0, "a")]));
}

#[tokio::test]
async fn an_old_file_that_nobody_knows_goes_and_those_that_are_known_stay() {
    let world = World::new().await;
    for tenant in [TENANT, OTHER] {
        world.flush(tenant, &[(0, "known")], &[]).await;
        world.put(tenant, &[(0, "left by a crash"), (1, "left by a crash")], &[]).await;
    }
    assert_eq!(world.stored().await.len(), 6);
    pass_since_last_write(&world, 24 * HOUR).await;
    look_for(&world, 2).await;
    assert_eq!(world.stored().await, world.known().await);
    assert_eq!(world.stored().await.len(), 2);
    assert!(world.replaced().await.is_empty(), "forgotten");
    assert_eq!(world.visible(OTHER, &[]).await, said(&[(0, "known")]));
}

/// The writer was away for a day between the two: its rows are still in its log, so it must hear that the file is not.
#[tokio::test]
async fn a_commit_that_comes_too_late_is_refused_before_its_file_is_gone() {
    let world = World::new().await;
    let written = world.put(TENANT, &[(0, "late")], &[]).await;
    pass_since_last_write(&world, 24 * HOUR).await;
    world.compactor(Config::default()).run_once().await.unwrap();
    assert_eq!(world.stored().await.len(), 1, "still there");
    let refused = world.commit(TENANT, written).await;
    assert!(matches!(refused, Err(CatalogError::Exists { .. })), "{refused:?}");
    world.flush(TENANT, &[(0, "late")], &[]).await;
    look_for(&world, 2).await;
    assert_eq!(world.visible(TENANT, &[]).await, said(&[(0, "late")]));
    assert_eq!(world.stored().await, world.known().await);
}

#[tokio::test]
async fn drafts_of_a_crash_go_and_what_is_not_ours_stays() {
    let world = World::new().await;
    let file = world.flush(TENANT, &[(0, "a")], &[]).await.remove(0);
    let folder = file.path.rsplit_once('/').unwrap().0;
    let draft = format!("{folder}/{}.4711-0.tmp", FileId::from_bytes([9; 16]));
    let theirs = [format!("{folder}/notes.txt"), "t/readme".to_string(), "elsewhere/f.parquet".to_string()];
    for path in theirs.iter().chain([&draft]) {
        world.objects.put(&Path::from(path.as_str()), PutPayload::from_static(b"x")).await.unwrap();
    }
    pass_since_last_write(&world, 23 * HOUR).await;
    world.compactor(Config::default()).run_once().await.unwrap();
    assert!(world.stored().await.contains(&draft), "somebody may still be writing it");
    look_for(&world, 8).await;
    let mut expected: Vec<_> = theirs.into_iter().chain([file.path]).collect();
    expected.sort();
    assert_eq!(world.stored().await.into_iter().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_walk_is_made_in_stretches_and_goes_on_in_another_process() {
    let world = World::new().await;
    for number in 0..5 {
        world.put(TENANT, &[(2 * number, "left by a crash")], &[]).await;
    }
    pass_since_last_write(&world, 24 * HOUR).await;
    let config = Config { orphan_objects_per_look_max: 2, ..Config::default() };
    let mut condemned = Vec::new();
    for _ in 0..4 {
        world.compactor(config.clone()).run_once().await.unwrap();
        condemned.push(world.replaced().await.len());
    }
    assert_eq!(condemned, [2, 4, 5, 5]);
    // The walk is over: what is left now is found by the next, six hours later.
    world.put(OTHER, &[(0, "left by a crash")], &[]).await;
    pass_since_last_write(&world, 24 * HOUR).await;
    for _ in 0..2 {
        world.compactor(Config::default()).run_once().await.unwrap();
        world.clock.pass(Config::default().lingering_s);
    }
    assert_eq!(world.stored().await.len(), 0);
}
