//! What is erased leaves the files, and nothing else does.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use spanlake_catalog::{
    Accounts as _, Catalog, DataFile, ErasedFile, ErasureProof, Erasures, Error, NewErasure, Removed, Replacement,
};
use spanlake_compactor::Config;
use spanlake_model::{AgentId, AppId, Clock, ErasureId, ErasureScope, Table, TenantId, Timestamp, TraceId};
use spanlake_proto::compactor::Compactor;

use crate::world::{OTHER, TENANT, World, eager, key, said, trace_of};

/// Merges nothing, so that only erasures change files.
fn patient() -> Config {
    Config { least_files: 1_000, closed_after_s: u64::from(u32::MAX), ..Config::default() }
}

async fn proof(world: &World, id: ErasureId) -> ErasureProof {
    world.catalog.erasure(TENANT, id).await.unwrap().unwrap()
}

/// What the live files hold, whether a query sees it or not.
async fn held(world: &World, tenant: TenantId) -> Vec<u8> {
    let mut held = Vec::new();
    for file in world.live(tenant).await {
        held.extend(world.rows(&file).await.iter().map(|row| row.span_id.as_bytes()[0] - 1));
    }
    held.sort_unstable();
    held
}

// Spans 0 and 30 share app and trace; the others here have traces of their own. Odd ones start on the next day.

#[test]
fn the_spans_of_these_tests_are_as_they_say() {
    let of = |number| -> (AppId, TraceId) { (key(number).app_id, key(number).trace_id) };
    assert_eq!(of(0), of(30));
    assert!([1, 2, 3, 4, 6].iter().all(|number| of(*number) != of(0)));
}

#[tokio::test]
async fn erased_rows_leave_their_files_and_the_proof_says_which() {
    let world = World::new().await;
    let first = world.flush(TENANT, &[(0, "gone"), (2, "stays")], &[]).await.remove(0);
    let only = world.flush(TENANT, &[(30, "gone too")], &[]).await.remove(0);
    let untouched = world.flush(TENANT, &[(4, "stays")], &[]).await.remove(0);
    world.flush(OTHER, &[(0, "another tenant's")], &[]).await;
    let id = world.erase_up_to(TENANT, trace_of(0), 3).await;
    assert_eq!(world.visible(TENANT, &[]).await, said(&[(2, "stays"), (4, "stays")]), "hidden at once");
    world.compactor(patient()).run_once().await.unwrap();
    assert_eq!((held(&world, TENANT).await, held(&world, OTHER).await), (vec![2, 4], vec![0]));
    let live = world.live(TENANT).await;
    assert_eq!(live.iter().map(|file| file.version).collect::<Vec<_>>(), [1, 3], "in the place of what they replace");
    assert_eq!(live[1].id, untouched.id, "a file without such rows is not written again");
    let proof = proof(&world, id).await;
    let mut expected = [(first.id, Some(live[0].id)), (only.id, None)].map(|(file, replaced_by)| ErasedFile {
        erasure: id,
        file,
        day: first.day,
        rows: 1,
        replaced_by,
    });
    expected.sort_by_key(|file| file.file);
    assert_eq!((proof.rows, &proof.files[..]), (2, &expected[..]));
    assert_eq!((proof.rewritten_at, proof.finished_at), (Some(world.clock.now()), None));
}

#[tokio::test]
async fn an_app_and_a_tenant_go_whole() {
    let world = World::new().await;
    let all = [(0, "a"), (1, "b"), (2, "c"), (3, "d")];
    world.flush(TENANT, &all, &[]).await;
    world.flush(OTHER, &all, &[]).await;
    world.erase_up_to(TENANT, ErasureScope::App(key(0).app_id), 1).await;
    world.compactor(patient()).run_once().await.unwrap();
    assert_eq!(held(&world, TENANT).await, [1, 2]);
    world.erase_up_to(TENANT, ErasureScope::Tenant, 1).await;
    world.compactor(patient()).run_once().await.unwrap();
    assert_eq!((world.live(TENANT).await, held(&world, OTHER).await), (vec![], vec![0, 1, 2, 3]));
}

#[tokio::test]
async fn what_came_after_the_erasure_stays() {
    let world = World::new().await;
    world.flush(TENANT, &[(0, "before")], &[]).await;
    let id = world.erase_up_to(TENANT, trace_of(0), 1).await;
    world.flush(TENANT, &[(0, "after"), (30, "after")], &[0]).await;
    let expected = said(&[(0, "after"), (30, "after")]);
    assert_eq!(world.visible(TENANT, &[]).await, expected);
    world.compactor(patient()).run_once().await.unwrap();
    assert!(proof(&world, id).await.rewritten_at.is_some());
    assert_eq!((world.visible(TENANT, &[]).await, held(&world, TENANT).await), (expected, vec![0, 30]));
}

#[tokio::test]
async fn an_erasure_waits_for_what_is_still_in_memory() {
    let world = World::new().await;
    world.flush(TENANT, &[(0, "in a file")], &[]).await;
    // Frame 2 is in the writer's memory.
    let id = world.erase_up_to(TENANT, trace_of(0), 2).await;
    let compactor = world.compactor(patient());
    compactor.run_once().await.unwrap();
    assert_eq!((held(&world, TENANT).await, proof(&world, id).await.rewritten_at), (vec![], None));
    world.flush(TENANT, &[(30, "was in memory"), (2, "stays")], &[]).await;
    assert_eq!(world.visible(TENANT, &[]).await, said(&[(2, "stays")]), "hidden on its way, too");
    compactor.run_once().await.unwrap();
    assert_eq!(held(&world, TENANT).await, [2]);
    let proof = proof(&world, id).await;
    assert_eq!((proof.rows, proof.rewritten_at.is_some()), (2, true));
}

#[tokio::test]
async fn older_versions_go_too_and_none_comes_back() {
    let world = World::new().await;
    world.flush(TENANT, &[(0, "first"), (4, "old"), (6, "old")], &[]).await;
    world.flush(TENANT, &[(0, "second"), (4, "new")], &[0, 4]).await;
    world.erase_up_to(TENANT, trace_of(0), 2).await;
    world.compactor(patient()).run_once().await.unwrap();
    let expected = said(&[(4, "new"), (6, "old")]);
    assert_eq!(world.visible(TENANT, &[]).await, expected, "what was replaced is still hidden");
    assert_eq!(held(&world, TENANT).await, [4, 4, 6], "but the erased span is in neither file");
    world.compactor(eager()).run_once().await.unwrap();
    assert_eq!((world.visible(TENANT, &[]).await, held(&world, TENANT).await), (expected, vec![4, 6]));
}

#[tokio::test]
async fn files_that_held_erased_rows_go_soon_and_then_the_erasure_is_finished() {
    let world = World::new().await;
    world.flush(TENANT, &[(0, "gone"), (2, "stays")], &[]).await;
    let id = world.erase_up_to(TENANT, trace_of(0), 1).await;
    let compactor = world.compactor(Config { erased_lingering_s: 60, lingering_s: 600, ..patient() });
    compactor.run_once().await.unwrap();
    world.clock.pass(59);
    assert_eq!(compactor.run_once().await.unwrap().removed_files, 0, "a query may still read it");
    assert_eq!(proof(&world, id).await.finished_at, None);
    world.clock.pass(1);
    assert_eq!(compactor.run_once().await.unwrap().removed_files, 1);
    assert_eq!(proof(&world, id).await.finished_at, Some(world.clock.now()));
    let live = world.live(TENANT).await.into_iter().map(|file| file.path).collect();
    assert_eq!(world.stored().await, live);
}

#[tokio::test]
async fn an_erasure_is_not_finished_while_an_older_file_lingers() {
    let world = World::new().await;
    world.flush(TENANT, &[(0, "gone")], &[]).await;
    world.flush(TENANT, &[(2, "stays")], &[]).await;
    let compactor = world.compactor(eager());
    compactor.run_once().await.unwrap();
    // Its rows are in the merged file, and still in the two that were merged.
    let id = world.erase_up_to(TENANT, trace_of(0), 2).await;
    compactor.run_once().await.unwrap();
    world.clock.pass(599);
    compactor.run_once().await.unwrap();
    assert_eq!(proof(&world, id).await.finished_at, None);
    world.clock.pass(1);
    compactor.run_once().await.unwrap();
    assert!(proof(&world, id).await.finished_at.is_some());
    assert_eq!(world.stored().await.len(), 1);
}

/// Something happens once, just before erased rows are taken out.
struct Raced {
    inner: Catalog,
    before_erase: Mutex<Option<BoxFuture<'static, ()>>>,
}

#[async_trait]
impl Erasures for Raced {
    async fn add_erasure(&self, new: NewErasure) -> Result<(), Error> {
        self.inner.add_erasure(new).await
    }
    async fn agents_told(&self, tenant: TenantId, app: AppId) -> Result<Vec<AgentId>, Error> {
        self.inner.agents_told(tenant, app).await
    }
    async fn erasure(&self, tenant: TenantId, id: ErasureId) -> Result<Option<ErasureProof>, Error> {
        self.inner.erasure(tenant, id).await
    }
    async fn tenants_to_erase(&self, most: u32) -> Result<Vec<TenantId>, Error> {
        self.inner.tenants_to_erase(most).await
    }
    async fn erase(&self, replacement: Replacement, erased: &[ErasedFile]) -> Result<(), Error> {
        let happens = self.before_erase.lock().unwrap().take();
        if let Some(happens) = happens {
            happens.await;
        }
        self.inner.erase(replacement, erased).await
    }
    async fn rewritten(&self, id: ErasureId, at: Timestamp) -> Result<(), Error> {
        self.inner.rewritten(id, at).await
    }
    async fn finish_erasures(&self, at: Timestamp) -> Result<u64, Error> {
        self.inner.finish_erasures(at).await
    }
    async fn erased_removable(&self, now: Timestamp, lingering: Duration, most: u32) -> Result<Vec<Removed>, Error> {
        self.inner.erased_removable(now, lingering, most).await
    }
    async fn expired(&self, table: Table, now: Timestamp, most: u32) -> Result<Vec<DataFile>, Error> {
        self.inner.expired(table, now, most).await
    }
}

#[tokio::test]
async fn a_merge_that_is_faster_brings_nothing_back() {
    let world = Arc::new(World::new().await);
    world.flush(TENANT, &[(0, "gone"), (2, "stays")], &[]).await;
    world.flush(TENANT, &[(4, "stays")], &[]).await;
    let id = world.erase_up_to(TENANT, trace_of(0), 2).await;
    let merging = world.clone();
    // It began before the erasure was made, and carries the erased row along.
    let merges_only = Config { erasing_tenants_per_look_max: 0, ..eager() };
    let merge = async move {
        merging.compactor(merges_only).run_once().await.unwrap();
    };
    let raced = Arc::new(Raced { inner: world.catalog.clone(), before_erase: Mutex::new(Some(Box::pin(merge))) });
    let compactor = world.compactor_erasing(raced, patient());
    compactor.run_once().await.unwrap();
    assert_eq!(proof(&world, id).await.rewritten_at, None, "not yet: the merged file holds it");
    assert_eq!((world.live(TENANT).await.len(), held(&world, TENANT).await), (1, vec![0, 2, 4]));
    assert_eq!(world.visible(TENANT, &[]).await, said(&[(2, "stays"), (4, "stays")]));
    assert_eq!(world.stored().await, world.known().await, "what was written for nothing is gone");
    compactor.run_once().await.unwrap();
    assert_eq!((held(&world, TENANT).await, proof(&world, id).await.rows), (vec![2, 4], 1));
    assert!(proof(&world, id).await.rewritten_at.is_some());
}

#[tokio::test]
async fn files_past_their_time_are_dropped_whole() {
    let world = World::new().await;
    world.sign_up(TENANT).await;
    world.flush(TENANT, &[(0, "a"), (2, "b"), (1, "c")], &[]).await;
    world.flush(OTHER, &[(0, "another's")], &[]).await;
    world.catalog.keep_days(TENANT, Table::Spans, Some(2)).await.unwrap();
    let compactor = world.compactor(patient());
    // Spans begin at noon, when the clock stands, and up to 400 seconds later.
    world.clock.pass(2 * 86_400 + 1);
    compactor.run_once().await.unwrap();
    assert_eq!(held(&world, TENANT).await, [0, 1, 2], "the last row of the day has time left");
    world.clock.pass(400);
    compactor.run_once().await.unwrap();
    assert_eq!((held(&world, TENANT).await, held(&world, OTHER).await), (vec![1], vec![0]));
    world.clock.pass(600);
    assert_eq!(compactor.run_once().await.unwrap().removed_files, 1);
}
