//! What a merge keeps, and what it does not.

use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use spanlake_catalog::Files;
use spanlake_compactor::Config;
use spanlake_model::{Code, Day, SpanKey, Table};
use spanlake_proto::compactor::{Compacted, Compactor};

use crate::world::{OTHER, TENANT, World, day, eager, key, said, text};

#[tokio::test]
async fn many_small_files_become_one_with_the_same_rows_once_each_in_order() {
    let world = World::new().await;
    for number in 0..16 {
        world.flush(TENANT, &[(2 * number, "even")], &[]).await;
    }
    let before = world.visible(TENANT, &[]).await;
    let done = world.compactor(Config::default()).run_once().await.unwrap();
    assert_eq!(done, Compacted { merged_files: 16, written_files: 1, removed_files: 0 });
    assert_eq!(world.visible(TENANT, &[]).await, before);
    let live = world.live(TENANT).await;
    assert_eq!((live.len(), live[0].rows, live[0].version), (1, 16, 16));
    let rows = world.rows(&live[0]).await;
    assert!(rows.is_sorted_by_key(|row| (row.app_id, row.start.as_secs() / 60, row.trace_id, row.span_id)));
    let starts = rows.iter().map(|row| row.start);
    assert!(starts.clone().all(|start| live[0].min_start <= start && start <= live[0].max_start));
}

#[tokio::test]
async fn few_files_are_left_alone() {
    let world = World::new().await;
    for number in 0..7 {
        world.flush(TENANT, &[(2 * number, "even")], &[]).await;
    }
    let before = world.live(TENANT).await;
    assert_eq!(world.compactor(Config::default()).run_once().await.unwrap(), Compacted::default());
    assert_eq!(world.live(TENANT).await, before);
}

#[tokio::test]
async fn replaced_rows_are_gone_and_their_keys_with_them() {
    let world = World::new().await;
    world.flush(TENANT, &[(0, "first"), (2, "stays")], &[]).await;
    world.flush(TENANT, &[(0, "second")], &[0]).await;
    world.flush(TENANT, &[(0, "third")], &[0]).await;
    world.compactor(eager()).run_once().await.unwrap();
    let live = world.live(TENANT).await;
    assert_eq!((live.len(), live[0].rows, live[0].superseded.len()), (1, 2, 0));
    assert_eq!(world.visible(TENANT, &[]).await, said(&[(0, "third"), (2, "stays")]));
}

#[tokio::test]
async fn a_row_in_a_file_that_stays_is_hidden_as_before() {
    let world = World::new().await;
    let large = text(200_000);
    let stays = world.flush(TENANT, &[(0, "old"), (2, &large)], &[]).await.remove(0);
    world.flush(TENANT, &[(0, "new")], &[0]).await;
    world.flush(TENANT, &[(4, "else")], &[]).await;
    let config = Config { target_bytes: stays.bytes, ..eager() };
    world.compactor(config).run_once().await.unwrap();
    let live = world.live(TENANT).await;
    assert_eq!(live.iter().map(|file| file.rows).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(live[1].superseded, [key(0)], "still needed");
    assert_eq!(world.visible(TENANT, &[]).await, said(&[(0, "new"), (2, &large), (4, "else")]));
}

/// The catalog hands them to every query of the day.
#[tokio::test]
async fn keys_that_hide_nothing_below_any_more_are_dropped_also_above_a_file_that_stays() {
    let world = World::new().await;
    let large = text(200_000);
    let stays = world.flush(TENANT, &[(0, "old"), (2, &large)], &[]).await.remove(0);
    world.flush(TENANT, &[(4, "first")], &[]).await;
    world.flush(TENANT, &[(4, "second"), (0, "new")], &[4, 0]).await;
    world.flush(TENANT, &[(6, "other")], &[]).await;
    let expected = said(&[(0, "new"), (2, &large), (4, "second"), (6, "other")]);
    let config = Config { target_bytes: stays.bytes, ..eager() };
    world.compactor(config).run_once().await.unwrap();
    let live = world.live(TENANT).await;
    assert_eq!(live.iter().map(|file| file.rows).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(live[1].superseded, [key(0)], "and not that of 4, whose old row was merged away");
    assert_eq!(world.visible(TENANT, &[]).await, expected);
}

#[tokio::test]
async fn what_a_broken_file_below_may_hold_stays_hidden() {
    let world = World::new().await;
    let large = text(200_000);
    let stays = world.flush(TENANT, &[(0, "old"), (2, &large)], &[]).await.remove(0);
    world.flush(TENANT, &[(0, "new")], &[0]).await;
    world.flush(TENANT, &[(4, "else")], &[]).await;
    let whole = world.objects.get(&Path::from(stays.path.as_str())).await.unwrap().bytes().await.unwrap();
    world.objects.put(&Path::from(stays.path.as_str()), PutPayload::from_static(b"broken")).await.unwrap();
    let config = Config { target_bytes: stays.bytes, ..eager() };
    world.compactor(config).run_once().await.unwrap();
    world.objects.put(&Path::from(stays.path.as_str()), whole.into()).await.unwrap();
    assert_eq!(world.live(TENANT).await.len(), 2);
    assert_eq!(world.visible(TENANT, &[]).await, said(&[(0, "new"), (2, &large), (4, "else")]));
}

#[tokio::test]
async fn a_file_that_hides_too_many_rows_has_them_taken_out_of_the_files_below() {
    let world = World::new().await;
    let large = text(200_000);
    let first = world.flush(TENANT, &[(0, "old"), (2, &large), (4, "old"), (6, "old")], &[]).await.remove(0);
    let spared = world.flush(TENANT, &[(8, &large), (10, "stays")], &[]).await.remove(0);
    world.flush(TENANT, &[(0, "new"), (4, "new")], &[0, 4]).await;
    world.flush(TENANT, &[(6, "new")], &[6]).await;
    let expected = world.visible(TENANT, &[]).await;
    let config = Config { target_bytes: first.bytes, superseded_keys_max: 2, ..eager() };
    world.compactor(config).run_once().await.unwrap();
    let live = world.live(TENANT).await;
    assert_eq!(
        live.iter().map(|file| (file.rows, file.superseded.len())).collect::<Vec<_>>(),
        [(1, 0), (2, 0), (3, 0)]
    );
    assert_eq!(live[1].id, spared.id, "it had none of them");
    assert_eq!(live.iter().map(|file| file.version).collect::<Vec<_>>(), [1, 2, 4]);
    assert_eq!(world.visible(TENANT, &[]).await, expected);
}

/// Put together, the small ones on the two sides would lift what is replaced over what replaces it.
#[tokio::test]
async fn small_files_on_two_sides_of_a_large_one_are_not_put_together() {
    let world = World::new().await;
    let large = text(200_000);
    world.flush(TENANT, &[(0, "first"), (2, "first")], &[]).await;
    world.flush(TENANT, &[(2, "second")], &[2]).await;
    let between = world.flush(TENANT, &[(0, "second"), (2, "third"), (4, &large)], &[0, 2]).await.remove(0);
    world.flush(TENANT, &[(6, "other")], &[]).await;
    world.flush(TENANT, &[(0, "third")], &[0]).await;
    let expected = said(&[(0, "third"), (2, "third"), (4, &large), (6, "other")]);
    assert_eq!(world.visible(TENANT, &[]).await, expected);
    let config = Config { target_bytes: between.bytes, ..eager() };
    let done = world.compactor(config).run_once().await.unwrap();
    assert_eq!(done.merged_files, 4);
    let live = world.live(TENANT).await;
    assert!(live.iter().any(|file| file.id == between.id), "it stays");
    assert_eq!(world.visible(TENANT, &[]).await, expected);
    world.compactor(eager()).run_once().await.unwrap();
    assert_eq!(world.live(TENANT).await.len(), 1);
    assert_eq!(world.visible(TENANT, &[]).await, expected);
}

#[tokio::test]
async fn when_no_row_lives_on_no_file_does() {
    let world = World::new().await;
    let large = text(200_000);
    world.flush(TENANT, &[(0, "first")], &[]).await;
    world.flush(TENANT, &[(0, "second")], &[0]).await;
    let stays = world.flush(TENANT, &[(0, "third"), (2, &large)], &[0]).await.remove(0);
    let config = Config { target_bytes: stays.bytes, ..eager() };
    let done = world.compactor(config).run_once().await.unwrap();
    assert_eq!((done.merged_files, done.written_files), (2, 0));
    assert_eq!(world.live(TENANT).await.len(), 1);
    assert_eq!(world.visible(TENANT, &[]).await, said(&[(0, "third"), (2, &large)]));
}

#[tokio::test]
async fn no_merge_reads_more_than_its_bound() {
    let world = World::new().await;
    let mut largest = 0;
    for number in 0..12 {
        largest = world.flush(TENANT, &[(2 * number, &text(50_000))], &[]).await[0].bytes.max(largest);
    }
    let before = world.visible(TENANT, &[]).await;
    let config = Config { target_bytes: 4 * largest, least_files: 3, ..Config::default() };
    world.compactor(config).run_once().await.unwrap();
    let live = world.live(TENANT).await;
    assert!(live.iter().all(|file| file.rows == 4), "{live:?}");
    assert_eq!(world.visible(TENANT, &[]).await, before);
}

#[tokio::test]
async fn tenants_and_days_never_mix() {
    let world = World::new().await;
    for round in ["a", "b", "c"] {
        let mine: Vec<_> = (0..4).map(|number| (number, round)).collect();
        world.flush(TENANT, &mine, if round == "a" { &[] } else { &[0, 1, 2, 3] }).await;
        // The same keys, and nothing replaced: if one tenant's superseded keys reached the other's rows, some would be gone.
        let number = 4 + round.as_bytes()[0] % 4;
        world
            .flush(OTHER, &[(0, "theirs"), (1, "theirs"), (number, round)][if round == "a" { 0..3 } else { 2..3 }], &[])
            .await;
    }
    let (mine, theirs) = (world.visible(TENANT, &[]).await, world.visible(OTHER, &[]).await);
    world.compactor(eager()).run_once().await.unwrap();
    for (tenant, before) in [(TENANT, mine), (OTHER, theirs)] {
        assert_eq!(world.visible(tenant, &[]).await, before);
        let live = world.live(tenant).await;
        let mut days: Vec<_> = live.iter().map(|file| file.day).collect();
        days.sort();
        assert_eq!(days, [day(0), day(1)]);
        for file in live {
            assert!(file.path.starts_with(&format!("t/{tenant}/spans/{}/", file.day)));
            assert!(world.rows(&file).await.iter().all(|row| Day::of(row.start) == file.day));
        }
    }
}

#[tokio::test]
async fn a_broken_day_is_reported_and_the_others_are_merged() {
    let world = World::new().await;
    let broken = world.flush(TENANT, &[(0, "a")], &[]).await.remove(0);
    for number in 1..4 {
        world.flush(TENANT, &[(2 * number, "a")], &[]).await;
        world.flush(OTHER, &[(2 * number, "a")], &[]).await;
    }
    world.objects.put(&Path::from(broken.path.as_str()), PutPayload::from_static(b"PAR1 no more")).await.unwrap();
    let fault = world.compactor(eager()).run_once().await.unwrap_err();
    assert_eq!(fault.code, Code::ServiceUnavailable);
    assert_eq!(world.live(OTHER).await.len(), 1);
    assert_eq!(world.live(TENANT).await.len(), 4, "as they were");
    assert_eq!(world.stored().await, world.known().await);
}

#[tokio::test]
async fn a_list_of_many_keys_survives_while_it_is_needed() {
    let world = World::new().await;
    let large = text(200_000);
    let numbers: Vec<u8> = (0..120).map(|number| number * 2).collect();
    let mut old: Vec<_> = numbers.iter().map(|number| (*number, "old")).collect();
    old[0].1 = &large;
    let stays = world.flush(TENANT, &old, &[]).await.remove(0);
    for half in numbers.chunks(60) {
        world.flush(TENANT, &half.iter().map(|number| (*number, "new")).collect::<Vec<_>>(), half).await;
    }
    world.compactor(Config { target_bytes: stays.bytes, ..eager() }).run_once().await.unwrap();
    let live = world.catalog.day(TENANT, Table::Spans, day(0)).await.unwrap();
    let mut expected: Vec<SpanKey> = numbers.iter().map(|number| key(*number)).collect();
    expected.sort();
    assert_eq!(live[1].superseded, expected);
    assert!(world.visible(TENANT, &[]).await.iter().all(|(_, says)| says == "new"));
}
