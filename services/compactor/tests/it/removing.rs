//! When files go.

use std::collections::BTreeSet;
use std::sync::Arc;

use object_store::ObjectStoreExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use spanlake_catalog::DataFile;
use spanlake_compactor::Config;
use spanlake_model::{Entropy, SystemEntropy};
use spanlake_proto::compactor::Compactor;

use crate::world::{OTHER, StillClock, TENANT, World, eager, said};

fn paths(files: &[DataFile]) -> BTreeSet<String> {
    files.iter().map(|file| file.path.clone()).collect()
}

async fn replaced_files_stay_while_they_linger(world: &World) {
    world.flush(TENANT, &[(0, "a")], &[]).await;
    world.flush(TENANT, &[(2, "b")], &[]).await;
    let compactor = world.compactor(Config { lingering_s: 600, ..eager() });
    let inputs = paths(&world.live(TENANT).await);
    assert_eq!(compactor.run_once().await.unwrap().removed_files, 0);
    world.clock.pass(599);
    assert_eq!(compactor.run_once().await.unwrap().removed_files, 0);
    assert!(world.stored().await.is_superset(&inputs), "a query may still read them");
    world.clock.pass(1);
    assert_eq!(compactor.run_once().await.unwrap().removed_files, 2);
    assert_eq!(world.stored().await, paths(&world.live(TENANT).await));
    assert!(world.replaced().await.is_empty());
    assert_eq!(world.visible(TENANT, &[]).await, said(&[(0, "a"), (2, "b")]));
}

#[tokio::test]
async fn replaced_files_stay_until_lingering_has_passed_and_are_gone_after() {
    replaced_files_stay_while_they_linger(&World::new().await).await;
}

#[tokio::test]
async fn replaced_files_go_from_a_folder_too() {
    let folder = World::new().await;
    let objects = LocalFileSystem::new_with_prefix(&folder.folder).unwrap();
    let objects = Arc::new(object_store::prefix::PrefixStore::new(objects, "data"));
    replaced_files_stay_while_they_linger(&World::over(objects).await).await;
}

/// A merge names its file when it begins; with this it is then long at work.
struct LongWork(Arc<StillClock>);

impl Entropy for LongWork {
    fn fill(&self, bytes: &mut [u8]) {
        SystemEntropy.fill(bytes);
        self.0.pass(10_000);
    }
}

/// Were it counted from the start of the merge, a long merge would leave readers no time.
#[tokio::test]
async fn lingering_begins_when_the_merge_is_done() {
    let world = World::new().await;
    world.flush(TENANT, &[(0, "a")], &[]).await;
    world.flush(TENANT, &[(2, "b")], &[]).await;
    let (catalog, clock) = (Arc::new(world.catalog.clone()), world.clock.clone());
    let compactor = world.compactor_with(catalog, Arc::new(LongWork(clock.clone())), eager());
    assert_eq!(compactor.run_once().await.unwrap().merged_files, 2);
    clock.pass(599);
    assert_eq!(compactor.run_once().await.unwrap().removed_files, 0);
    clock.pass(1);
    assert_eq!(compactor.run_once().await.unwrap().removed_files, 2);
}

#[tokio::test]
async fn a_file_that_is_gone_already_is_forgotten() {
    let world = World::new().await;
    let first = world.flush(TENANT, &[(0, "a")], &[]).await.remove(0);
    world.flush(TENANT, &[(2, "b")], &[]).await;
    let compactor = world.compactor(eager());
    compactor.run_once().await.unwrap();
    world.objects.delete(&Path::from(first.path.as_str())).await.unwrap();
    world.clock.pass(600);
    assert_eq!(compactor.run_once().await.unwrap().removed_files, 2);
    assert!(world.replaced().await.is_empty());
}

#[tokio::test]
async fn one_look_deletes_no_more_than_its_bound_and_the_next_goes_on() {
    let world = World::new().await;
    for tenant in [TENANT, OTHER] {
        for number in 0..3 {
            world.flush(tenant, &[(2 * number, "a")], &[]).await;
        }
    }
    let compactor = world.compactor(Config { removed_files_per_look_max: 4, ..eager() });
    compactor.run_once().await.unwrap();
    world.clock.pass(600);
    let mut removed = Vec::new();
    for _ in 0..3 {
        removed.push(compactor.run_once().await.unwrap().removed_files);
    }
    assert_eq!(removed, [4, 2, 0]);
    assert_eq!(world.stored().await, world.known().await);
}
