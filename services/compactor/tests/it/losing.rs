//! Races, and answers that get lost.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use spanlake_proto::compactor::{Compacted, Compactor};

use crate::meddled::Meddled;
use crate::world::{TENANT, World, eager, said};

#[tokio::test]
async fn a_compactor_that_loses_its_lease_in_a_merge_costs_no_row_and_leaves_no_orphan() {
    let world = World::new().await;
    world.flush(TENANT, &[(0, "old"), (2, "a")], &[]).await;
    world.flush(TENANT, &[(0, "new")], &[0]).await;
    let files = Meddled::with(&world).await;
    let (faster, clock) = (world.compactor(eager()), world.clock.clone());
    files.before_replace(async move {
        // The lease ends in the middle of the work: as if this process had been held up.
        clock.pass(eager().lease_s);
        assert_eq!(faster.run_once().await.unwrap().merged_files, 2);
    });
    let slower = world.compactor_over(files, eager()).run_once().await.unwrap();
    assert_eq!(slower, Compacted::default(), "it claims nothing");
    assert_eq!(world.visible(TENANT, &[]).await, said(&[(0, "new"), (2, "a")]));
    assert_eq!(world.live(TENANT).await.len(), 1);
    assert_eq!(world.stored().await, world.known().await, "no orphan");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compactors_at_full_speed_leave_one_truth() {
    let world = World::new().await;
    let compactors: Vec<_> = (0..3).map(|_| Arc::new(world.compactor(eager()))).collect();
    for round in 0..4_u8 {
        let says = round.to_string();
        let replaced: &[u8] = if round == 0 { &[] } else { &[0, 1] };
        for number in 0..3 {
            let number = 2 + round * 6 + number * 2;
            world.flush(TENANT, &[(number, "once")], &[]).await;
        }
        world.flush(TENANT, &[(0, &says), (1, &says)], replaced).await;
        let looks: Vec<_> = compactors
            .iter()
            .cloned()
            .map(|compactor| tokio::spawn(async move { compactor.run_once().await.unwrap() }))
            .collect();
        for look in looks {
            look.await.unwrap();
        }
        let visible = world.visible(TENANT, &[]).await;
        assert_eq!(visible[..2], said(&[(0, &says), (1, &says)]));
        assert_eq!(visible.len(), 2 + 3 * (usize::from(round) + 1));
        assert_eq!(world.stored().await, world.known().await, "no orphan");
    }
}

#[tokio::test]
async fn a_file_committed_during_a_merge_replaces_what_the_merge_wrote() {
    let world = Arc::new(World::new().await);
    world.flush(TENANT, &[(0, "old"), (2, "a")], &[]).await;
    world.flush(TENANT, &[(4, "b")], &[]).await;
    let files = Meddled::with(&world).await;
    let meanwhile = world.clone();
    files.before_replace(async move {
        meanwhile.flush(TENANT, &[(0, "new")], &[0]).await;
    });
    let compactor = world.compactor_over(files, eager());
    compactor.run_once().await.unwrap();
    let expected = said(&[(0, "new"), (2, "a"), (4, "b")]);
    assert_eq!(world.visible(TENANT, &[]).await, expected);
    compactor.run_once().await.unwrap();
    assert_eq!(world.live(TENANT).await.len(), 1);
    assert_eq!(world.visible(TENANT, &[]).await, expected);
}

#[tokio::test]
async fn what_memory_replaces_stays_replaced_through_a_merge() {
    let world = World::new().await;
    world.flush(TENANT, &[(0, "old"), (2, "a")], &[]).await;
    world.flush(TENANT, &[(4, "b")], &[]).await;
    world.compactor(eager()).run_once().await.unwrap();
    assert_eq!(world.visible(TENANT, &[0]).await, said(&[(2, "a"), (4, "b")]));
    world.flush(TENANT, &[(0, "new")], &[0]).await;
    assert_eq!(world.visible(TENANT, &[]).await, said(&[(0, "new"), (2, "a"), (4, "b")]));
}

#[tokio::test]
async fn a_merge_whose_answer_was_lost_costs_no_row() {
    let world = World::new().await;
    world.flush(TENANT, &[(0, "a")], &[]).await;
    world.flush(TENANT, &[(2, "b")], &[]).await;
    let files = Meddled::with(&world).await;
    files.lose_reply.store(true, Ordering::SeqCst);
    let compactor = world.compactor_over(files, eager());
    compactor.run_once().await.unwrap_err();
    assert_eq!(world.live(TENANT).await.len(), 1, "it was done");
    assert_eq!(world.visible(TENANT, &[]).await, said(&[(0, "a"), (2, "b")]));
    compactor.run_once().await.unwrap();
    assert_eq!(world.visible(TENANT, &[]).await, said(&[(0, "a"), (2, "b")]));
}
