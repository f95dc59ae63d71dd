//! What a list does not need it does not read: files that are lost and columns that are spoiled do not hurt it.

use std::sync::Arc;

use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;
use spanlake_engine::TenantStores;
use spanlake_model::Span;

use crate::face::{Face, face};
use crate::world::{World, span, tenant, trace};

/// Three files of an hour each, of 20 traces of ten spans, of which each says the word.
async fn hours() -> (Arc<World>, Face) {
    let world = World::new();
    for hour in 0..3_u8 {
        let said = |number: u8| {
            let seconds = u64::from(hour) * 3_600 + u64::from(number) * 15;
            let input = Some("a needle, in all the hay".into());
            Span { input, output: Some("found".into()), ..span(1 + hour * 20 + number / 10, 1 + number % 10, seconds) }
        };
        let spans: Vec<_> = (0..200).map(said).collect();
        world.file(tenant(1), u64::from(hour) + 1, &spans, &[]).await;
    }
    let face = face(&world);
    // Which traces are in which file is known from here on.
    assert_eq!(rows(&face.ok("/v1/traces?limit=100").await), 60);
    (world, face)
}

fn rows(page: &Value) -> usize {
    page["data"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_search_looks_no_further_than_its_page_needs_from_either_end() {
    for (furthest, order) in [(0, "desc"), (2, "asc")] {
        let (world, face) = hours().await;
        world.lose_file(furthest).await;
        for list in ["spans", "traces"] {
            let path = |word: &str| format!("/v1/{list}?search={word}&limit=1&sort_order={order}");
            assert_eq!(rows(&face.ok(&path("NEEDLE")).await), 1, "{list} {order}");
            let (status, _) = face.get(&path("pin")).await;
            assert!(status.is_server_error(), "{list} {order}: who finds nothing looks everywhere: {status}");
        }
    }
}

/// Overwrites these columns of a file.
async fn spoil(world: &World, number: usize, columns: &[&str]) {
    let (store, owner) = (world.tenant(tenant(1)), tenant(1));
    let path = Path::from(format!("t/{owner}/spans/2026-01-02/{number}.parquet"));
    let bytes = store.get(&path).await.unwrap().bytes().await.unwrap();
    let reader = SerializedFileReader::new(bytes.clone()).unwrap();
    let mut spoiled = bytes.to_vec();
    for column in reader.metadata().row_groups().iter().flat_map(|group| group.columns()) {
        if columns.contains(&column.column_path().string().as_str()) {
            let (start, length) = column.byte_range();
            spoiled[usize::try_from(start).unwrap()..][..usize::try_from(length).unwrap()].fill(0xff);
        }
    }
    assert_ne!(spoiled, bytes.to_vec());
    store.put(&path, spoiled.into()).await.unwrap();
}

#[tokio::test]
async fn lists_and_sums_read_no_content_unless_they_are_asked_about_it() {
    let (world, face) = hours().await;
    for file in 0..3 {
        spoil(&world, file, &["input", "output"]).await;
    }
    for path in [
        "/v1/traces",
        "/v1/traces?sort_by=latency&filter=name%20contains%20span",
        "/v1/spans",
        "/v1/spans?sort_by=name&status=UNSET",
        "/v1/sessions",
        "/v1/metrics?group_by=name",
        "/v1/facets/name",
        &format!("/v1/traces/{}", trace(1)),
    ] {
        face.ok(path).await;
    }
    for path in ["/v1/spans?search=needle", &format!("/v1/traces/{}?fields=io", trace(1))] {
        let (status, _) = face.get(path).await;
        assert!(status.is_server_error(), "{path}: {status}");
    }
}
