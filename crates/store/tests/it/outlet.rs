//! Where files for others go: the same promises of a folder and of a bucket.

use std::sync::Arc;

use bytes::Bytes;
use spanlake_store::disk::LocalDisk;
use spanlake_store::export::{Bucket, Outlet};
use spanlake_testkit::TemporaryFolder;
use tokio::net::TcpListener;

use crate::conformance::s3::{KEY, SECRET, serve, service};

async fn every_promise(outlet: &Outlet) {
    let large = Bytes::from(vec![7; (12 << 20) + 1]);
    for (name, bytes) in [("run=000001/a", Bytes::from_static(b"rows")), ("run=000001/tenant=x/large", large.clone())] {
        for _ in 0..2 {
            outlet.put(name, bytes.clone()).await.unwrap();
        }
        assert_eq!(outlet.get(name).await.unwrap().unwrap(), bytes);
    }
    assert!(outlet.create("run=000001/manifest.json", Bytes::from_static(b"{}")).await.unwrap());
    assert!(!outlet.create("run=000001/manifest.json", Bytes::from_static(b"[]")).await.unwrap());
    assert_eq!(outlet.get("run=000001/manifest.json").await.unwrap().unwrap(), "{}");
    outlet.put("run=000002/a", Bytes::from_static(b"other")).await.unwrap();
    let mut names = outlet.list("run=000001").await.unwrap();
    names.sort();
    assert_eq!(names, ["run=000001/a", "run=000001/manifest.json", "run=000001/tenant=x/large"]);
    for _ in 0..2 {
        outlet.delete("run=000001/a").await.unwrap();
    }
    assert_eq!(outlet.get("run=000001/a").await.unwrap(), None);
    assert_eq!(outlet.list("run=000003").await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_folder_keeps_every_promise_below_its_own() {
    let folder = TemporaryFolder::new("outlet");
    let outlet = Outlet::folder(&folder.path().join("exports"), "tenant/warehouse", Arc::new(LocalDisk)).unwrap();
    every_promise(&outlet).await;
    let below = folder.path().join("exports/tenant/warehouse/run=000001/manifest.json");
    assert_eq!(std::fs::read_to_string(below).unwrap(), "{}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_keeps_every_promise_and_refuses_wrong_credentials() {
    let folder = TemporaryFolder::new("outlet-s3");
    std::fs::create_dir(folder.path().join("bucket")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(serve(listener, service(&folder)));
    let bucket = Bucket {
        name: "bucket".into(),
        region: "us-east-1".into(),
        endpoint: Some(endpoint),
        access_key_id: KEY.into(),
        secret_access_key: SECRET.into(),
        session_token: None,
    };
    let outlet = Outlet::bucket(&bucket, "some/prefix", true).await.unwrap();
    every_promise(&outlet).await;
    assert!(folder.path().join("bucket/some/prefix/run=000001/manifest.json").is_file());
    let wrong = Bucket { secret_access_key: "another".into(), ..bucket.clone() };
    let outlet = Outlet::bucket(&wrong, "some/prefix", true).await.unwrap();
    assert!(outlet.get("run=000001/manifest.json").await.is_err());
    let refused = Outlet::bucket(&bucket, "some/prefix", false).await.unwrap_err();
    assert!(refused.to_string().contains("https://"), "{refused}: plain http is for those who allow it");
    assert!(!format!("{bucket:?}").contains(SECRET));
    server.abort();
}
