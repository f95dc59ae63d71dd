//! Few files in the end.

use spanlake_compactor::Config;
use spanlake_proto::compactor::{Compacted, Compactor};
use spanlake_store::file;

use crate::world::{TENANT, World, text};

/// Of the day's end and a day more, from noon.
const OVER_S: u64 = 36 * 3_600;

#[tokio::test]
async fn a_day_that_is_over_becomes_one_file_and_that_once() {
    let world = World::new().await;
    for number in 0..3 {
        world.flush(TENANT, &[(2 * number, "a")], &[]).await;
    }
    let compactor = world.compactor(Config::default());
    assert_eq!(compactor.run_once().await.unwrap(), Compacted::default());
    world.clock.pass(OVER_S - 1);
    assert_eq!(compactor.run_once().await.unwrap(), Compacted::default());
    world.clock.pass(1);
    let done = compactor.run_once().await.unwrap();
    assert_eq!((done.merged_files, done.written_files), (3, 1));
    assert_eq!(world.live(TENANT).await.len(), 1);
    // Late rows do not make the whole day be written again.
    world.flush(TENANT, &[(8, "late")], &[]).await;
    assert_eq!(compactor.run_once().await.unwrap().merged_files, 0);
    for number in 0..7 {
        world.flush(TENANT, &[(10 + 2 * number, "late")], &[]).await;
    }
    assert_eq!(compactor.run_once().await.unwrap().merged_files, 9, "unless they are many, as always");
}

#[tokio::test]
async fn a_large_file_of_a_day_that_is_over_is_packed_alone_and_that_once() {
    let world = World::new().await;
    let flushed = world.flush(TENANT, &[(0, &text(50_000))], &[]).await.remove(0);
    // What tells the encodings apart here: text by chance, which LZ4 cannot make any smaller.
    let settled = file::Config { zstd_level: 0, ..file::Config::settled() };
    let config = Config { settled, alone_bytes_min: flushed.bytes, ..Config::default() };
    let compactor = world.compactor(config.clone());
    assert_eq!(compactor.run_once().await.unwrap(), Compacted::default(), "not while it may grow");
    world.clock.pass(OVER_S);
    let too_small = Config { alone_bytes_min: flushed.bytes + 1, ..config };
    assert_eq!(world.compactor(too_small).run_once().await.unwrap(), Compacted::default());
    let done = compactor.run_once().await.unwrap();
    assert_eq!((done.merged_files, done.written_files), (1, 1));
    let packed = world.live(TENANT).await.remove(0);
    assert!(packed.id != flushed.id && packed.bytes > flushed.bytes * 11 / 10, "{packed:?} of {flushed:?}");
    world.clock.pass(OVER_S);
    assert_eq!(compactor.run_once().await.unwrap().merged_files, 0);
}

#[tokio::test]
async fn days_that_are_as_they_should_be_do_not_keep_others_waiting() {
    let world = World::new().await;
    let mut largest = 0;
    for number in 0..6 {
        // Even numbers: one day, where every file has its final size.
        largest = world.flush(TENANT, &[(2 * number, &text(50_000))], &[]).await[0].bytes.max(largest);
    }
    world.flush(TENANT, &[(1, "a")], &[]).await;
    world.flush(TENANT, &[(3, "b")], &[]).await;
    let config = Config { target_bytes: largest * 3 / 2, least_files: 2, days_per_look_max: 1, ..Config::default() };
    assert_eq!(world.compactor(config).run_once().await.unwrap().merged_files, 2);
    assert_eq!(world.live(TENANT).await.len(), 7);
}
