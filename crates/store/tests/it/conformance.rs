//! What a store promises, wherever it keeps its objects: a function per guarantee, run on every kind of store.

pub(crate) mod s3;

use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload};
use spanlake_model::TenantId;
use spanlake_store::disk::LocalDisk;
use spanlake_store::{Config, Store, file};
use spanlake_testkit::{Dice, TemporaryFolder};

#[tokio::test]
async fn a_folder_keeps_every_promise() {
    let folder = TemporaryFolder::new("conformance");
    let url = format!("file:{}", folder.path().join("store").display());
    every_promise(&Store::open(&Config { url }, Arc::new(LocalDisk)).unwrap()).await;
}

#[tokio::test]
async fn the_double_in_memory_keeps_every_promise() {
    every_promise(&Store::over(Arc::new(InMemory::new()))).await;
}

/// The whole suite, each part with a tenant of its own.
async fn every_promise(store: &Store) {
    an_object_is_made_once(&Part::of(store, 1)).await;
    of_many_who_make_an_object_one_succeeds_and_it_is_his(&Part::of(store, 2)).await;
    an_object_is_read_whole_and_in_parts(&Part::of(store, 3)).await;
    a_large_object_comes_back(&Part::of(store, 4)).await;
    what_is_not_there_is_not_found(&Part::of(store, 5)).await;
    a_listing_shows_what_is_there_and_how_large(&Part::of(store, 6)).await;
    what_was_deleted_is_gone_and_deleting_it_again_is_fine(&Part::of(store, 7)).await;
    a_tenant_reaches_nothing_of_another(&Part::of(store, 8), &Part::of(store, 9)).await;
    an_object_in_parts_is_seen_whole_at_its_end_and_not_before(&Part::of(store, 10)).await;
    an_upload_that_is_given_up_leaves_nothing(&Part::of(store, 11)).await;
    a_sweep_sees_everybodys_objects_in_order_from_any_position(store).await;
}

/// One tenant's part of the store.
struct Part {
    tenant: TenantId,
    objects: Arc<dyn ObjectStore>,
}

impl Part {
    fn of(store: &Store, tenant: u8) -> Self {
        let tenant = TenantId::from_bytes([tenant; 16]);
        Self { tenant, objects: store.tenant(tenant) }
    }

    fn path(&self, name: &str) -> Path {
        Path::from(format!("t/{}/spans/2026-01-01/{name}.parquet", self.tenant))
    }

    async fn make(&self, name: &str, bytes: impl Into<Bytes>) -> object_store::Result<()> {
        make(self.objects.as_ref(), &self.path(name), bytes.into()).await
    }

    async fn read(&self, name: &str) -> object_store::Result<Bytes> {
        self.objects.get(&self.path(name)).await?.bytes().await
    }

    async fn names(&self, prefix: Option<&Path>) -> Vec<String> {
        let listed: Vec<_> = self.objects.list(prefix).try_collect().await.unwrap();
        let mut names: Vec<_> = listed.into_iter().map(|object| object.location.to_string()).collect();
        names.sort();
        names
    }
}

async fn make(objects: &dyn ObjectStore, path: &Path, bytes: Bytes) -> object_store::Result<()> {
    let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    objects.put_opts(path, PutPayload::from(bytes), options).await.map(drop)
}

fn is_not_found<T>(outcome: &object_store::Result<T>) -> bool {
    matches!(outcome, Err(Error::NotFound { .. }))
}

async fn an_object_is_made_once(part: &Part) {
    part.make("a", "first").await.unwrap();
    let second = part.make("a", "second").await;
    assert!(matches!(second, Err(Error::AlreadyExists { .. })), "{second:?}");
    assert_eq!(part.read("a").await.unwrap(), "first");
}

async fn of_many_who_make_an_object_one_succeeds_and_it_is_his(part: &Part) {
    for round in 0..8 {
        let name = format!("round-{round}");
        let tries = (0..6).map(|who| part.make(&name, format!("object of {who}")));
        let outcomes = join_all(tries).await;
        let winners: Vec<_> = (0..6).filter(|who| outcomes[*who].is_ok()).collect();
        assert_eq!(winners.len(), 1, "{outcomes:?}");
        assert_eq!(part.read(&name).await.unwrap(), format!("object of {}", winners[0]));
    }
    assert_eq!(part.names(None).await.len(), 8, "nothing else is left behind");
}

async fn an_object_is_read_whole_and_in_parts(part: &Part) {
    let (bytes, path) = (Bytes::from(Dice::new(1).noise(10_000)), part.path("a"));
    part.make("a", bytes.clone()).await.unwrap();
    assert_eq!(part.read("a").await.unwrap(), bytes);
    assert_eq!(part.objects.get_range(&path, 3..7).await.unwrap(), bytes[3..7]);
    assert_eq!(part.objects.get_range(&path, 9_990..20_000).await.unwrap(), bytes[9_990..], "as much as there is");
    let parts = part.objects.get_ranges(&path, &[0..1, 5_000..6_000, 9_999..10_000]).await.unwrap();
    assert_eq!(parts, [&bytes[0..1], &bytes[5_000..6_000], &bytes[9_999..]]);
    assert_eq!(part.objects.head(&path).await.unwrap().size, 10_000);
}

async fn a_large_object_comes_back(part: &Part) {
    let bytes = Bytes::from(Dice::new(2).noise(20 << 20));
    part.make("large", bytes.clone()).await.unwrap();
    assert!(part.read("large").await.unwrap() == bytes);
}

async fn what_is_not_there_is_not_found(part: &Part) {
    let path = part.path("missing");
    assert!(is_not_found(&part.objects.get(&path).await));
    assert!(is_not_found(&part.objects.head(&path).await));
    assert!(is_not_found(&part.objects.get_range(&path, 0..1).await));
    assert!(is_not_found(&part.objects.get_ranges(&path, &[0..1, 4..9]).await));
}

async fn a_listing_shows_what_is_there_and_how_large(part: &Part) {
    assert_eq!(part.names(None).await, Vec::<String>::new());
    for name in ["a", "b", "c"] {
        part.make(name, name.repeat(10)).await.unwrap();
    }
    let all: Vec<_> = ["a", "b", "c"].map(|name| part.path(name).to_string()).to_vec();
    assert_eq!(part.names(None).await, all);
    let day = Path::from(format!("t/{}/spans/2026-01-01", part.tenant));
    assert_eq!(part.names(Some(&day)).await, all);
    let other_day = Path::from(format!("t/{}/spans/2026-01-0", part.tenant));
    assert_eq!(part.names(Some(&other_day)).await, Vec::<String>::new(), "a prefix is whole folders");
    let sizes: Vec<_> = part.objects.list(None).map_ok(|object| object.size).try_collect().await.unwrap();
    assert_eq!(sizes, [10, 10, 10]);
}

async fn what_was_deleted_is_gone_and_deleting_it_again_is_fine(part: &Part) {
    part.make("a", "x").await.unwrap();
    part.make("b", "y").await.unwrap();
    for _ in 0..2 {
        file::delete(part.objects.as_ref(), part.path("a").as_ref()).await.unwrap();
        assert!(is_not_found(&part.read("a").await));
    }
    assert_eq!(part.read("b").await.unwrap(), "y");
    part.make("a", "again").await.unwrap();
    assert_eq!(part.read("a").await.unwrap(), "again");
}

async fn a_tenant_reaches_nothing_of_another(part: &Part, other: &Part) {
    other.make("secret", "x").await.unwrap();
    let path = other.path("secret");
    assert!(is_not_found(&part.objects.get(&path).await));
    assert!(is_not_found(&part.objects.get_range(&path, 0..1).await));
    assert!(is_not_found(&make(part.objects.as_ref(), &other.path("mine"), "y".into()).await));
    assert!(is_not_found(&part.objects.delete(&path).await));
    let all = Path::from("t");
    for prefix in [None, Some(&all), Some(&path)] {
        assert_eq!(part.names(prefix).await, Vec::<String>::new());
    }
    let deleted: Vec<_> = part.objects.delete_stream(futures::stream::iter([Ok(path)]).boxed()).collect().await;
    assert!(deleted.iter().all(is_not_found), "{deleted:?}");
    assert_eq!(other.read("secret").await.unwrap(), "x");
    assert_eq!(other.names(None).await.len(), 1);
}

/// What S3 takes at least for a part that is not the last.
const PART: usize = 5 << 20;

async fn an_object_in_parts_is_seen_whole_at_its_end_and_not_before(part: &Part) {
    let (bytes, path) = (Bytes::from(Dice::new(3).noise(2 * PART + 100)), part.path("parts"));
    let mut upload = part.objects.put_multipart(&path).await.unwrap();
    for start in (0..bytes.len()).step_by(PART) {
        let piece = bytes.slice(start..bytes.len().min(start + PART));
        upload.put_part(PutPayload::from(piece)).await.unwrap();
        assert!(is_not_found(&part.read("parts").await));
    }
    upload.complete().await.unwrap();
    assert!(part.read("parts").await.unwrap() == bytes);
    assert_eq!(part.names(None).await, [path.to_string()]);
}

async fn an_upload_that_is_given_up_leaves_nothing(part: &Part) {
    let mut upload = part.objects.put_multipart(&part.path("parts")).await.unwrap();
    upload.put_part(PutPayload::from(vec![1; PART])).await.unwrap();
    upload.abort().await.unwrap();
    assert!(is_not_found(&part.read("parts").await));
    assert_eq!(part.names(None).await, Vec::<String>::new());
}

async fn a_sweep_sees_everybodys_objects_in_order_from_any_position(store: &Store) {
    let after = async |position: &str| -> Vec<String> {
        store.objects_after(position).map_ok(|object| object.path).try_collect().await.unwrap()
    };
    let all = after("").await;
    assert!(all.is_sorted() && all.len() > 10, "{all:?}");
    assert_eq!(after(&all[4]).await, all[5..]);
    assert_eq!(after(all.last().unwrap()).await, Vec::<String>::new());
}
