//! `export verify` of runs that lie in a bucket.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::desk::{Desk, Shown};
use crate::serve::before;

const RUN: &str = "traces/e/run=000002";

/// A bucket `lake`, as an S3-compatible server shows it, a few keys a page.
#[derive(Clone, Default)]
struct Lake {
    objects: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Lake {
    fn put(&self, key: &str, content: impl Into<Vec<u8>>) {
        self.objects.lock().unwrap().insert(key.to_owned(), content.into());
    }

    fn list(&self, query: &BTreeMap<String, String>) -> String {
        let objects = self.objects.lock().unwrap();
        let from = query.get("continuation-token").cloned().unwrap_or_default();
        let keys = objects.keys().filter(|key| key.starts_with(&query["prefix"]) && **key >= from);
        let page: Vec<_> = keys.take(3).cloned().collect();
        let contents: String =
            page.iter().take(2).map(|key| format!("<Contents><Key>{key}</Key></Contents>")).collect();
        let next = page.get(2).map(|key| format!("<NextContinuationToken>{key}</NextContinuationToken>"));
        format!("<ListBucketResult>{contents}{}</ListBucketResult>", next.unwrap_or_default())
    }
}

async fn answer(State(lake): State<Lake>, Query(query): Query<BTreeMap<String, String>>, request: Request) -> Response {
    let signed = request.headers()["authorization"].to_str().unwrap().to_owned();
    let day = request.headers()["x-amz-date"].to_str().unwrap()[..8].to_owned();
    let scope = format!("AWS4-HMAC-SHA256 Credential=AKID/{day}/eu-west-1/s3/aws4_request,SignedHeaders=host;");
    if !signed.starts_with(&scope) {
        let why = "<Error><Code>AccessDenied</Code><Message>Access &amp; all denied.</Message></Error>";
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    let path = request.uri().path().replace("%3D", "=");
    lake.asked.lock().unwrap().push(path.clone());
    if query.contains_key("prefix") {
        return lake.list(&query).into_response();
    }
    let found = lake.objects.lock().unwrap().get(path.strip_prefix("/lake/").unwrap()).cloned();
    found.map_or_else(|| StatusCode::NOT_FOUND.into_response(), IntoResponse::into_response)
}

fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A run of two files that follows another.
async fn whole() -> (Lake, Desk) {
    let lake = Lake::default();
    let [rows, deletes] = [&b"{\"a\":1}\n{\"a\":2}\n"[..], b"{\"trace_id\":\"a\"}\n"];
    let file = |folder: &str, kind: &str, content: &[u8], rows: u64| {
        let (digest, bytes) = (sha256(content), content.len());
        let path = format!("{folder}/{digest}.jsonl");
        lake.put(&format!("{RUN}/{path}"), content);
        json!({"path": path, "kind": kind, "rows": rows, "bytes": bytes, "sha256": digest})
    };
    let files = [file("tenant=t/date=2026-01-01", "rows", rows, 2), file("deletes", "deletes", deletes, 1)];
    lake.put("traces/e/run=000001/manifest.json", "{}");
    let manifest = json!({
        "version": 1, "export_id": "e", "run": 2, "app_id": "a", "table": "spans", "filter": "", "start_date": null, "end_date": null,
        "snapshot_at": "2026-01-04T00:00:00Z", "window": {}, "rows": 2, "deletes": 1, "bytes": rows.len() + deletes.len(), "files": files,
        "parent": {"run": 1, "path": "run=000001/manifest.json", "sha256": sha256(b"{}")},
    });
    lake.put(&format!("{RUN}/manifest.json"), manifest.to_string());
    let desk = before(Router::new().fallback(answer).with_state(lake.clone())).await;
    (lake, desk)
}

async fn verify(desk: &Desk, key_id: &str) -> Shown {
    let manifest = format!("s3://lake/{RUN}/manifest.json");
    let words = ["export", "verify", &manifest, "--endpoint", &desk.url, "--region", "eu-west-1"];
    desk.run_plain(&[&words[..], &["--access-key-id", key_id, "--secret-access-key", "s"]].concat()).await
}

#[tokio::test]
async fn a_run_in_a_bucket_is_checked_where_it_lies() {
    let (lake, desk) = whole().await;
    let shown = verify(&desk, "AKID").await;
    assert_eq!((shown.code, &*shown.err), (0, ""), "{shown:?}");
    assert!(shown.out.starts_with("Run 2 is whole: 2 files, 2 rows, 1 deletes"), "{shown:?}");
    let lists = lake.asked.lock().unwrap().iter().filter(|path| **path == "/lake").count();
    assert_eq!(lists, 2, "page after page");
}

#[tokio::test]
async fn what_is_wrong_in_a_bucket_is_told_by_its_name() {
    let key_of =
        |lake: &Lake, part: &str| lake.objects.lock().unwrap().keys().find(|key| key.contains(part)).unwrap().clone();
    type Change = fn(&Lake, &str);
    let changes: [(&str, Change, &str); 4] = [
        ("tenant=t", |lake, key| lake.put(key, "{\"a\":1}\n{\"a\":3}\n"), "its SHA-256 is"),
        ("tenant=t", |lake, key| lake.put(key, "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n"), "has more than 16 bytes"),
        ("deletes", |lake, key| drop(lake.objects.lock().unwrap().remove(key)), "is not there"),
        ("tenant=t", |lake, key| lake.put(&format!("{key}.old"), "x"), "is not in the manifest"),
    ];
    for (part, change, said) in changes {
        let (lake, desk) = whole().await;
        change(&lake, &key_of(&lake, part));
        let shown = verify(&desk, "AKID").await;
        assert!(shown.code == 2 && shown.err.contains(said) && shown.err.contains("one problem"), "{said}: {shown:?}");
    }
}

#[tokio::test]
async fn a_bucket_that_refuses_says_so() {
    let (lake, desk) = whole().await;
    let shown = verify(&desk, "somebody").await;
    assert!(shown.code == 1 && shown.err.contains("the bucket 'lake' refuses: Access & all denied."), "{shown:?}");
    lake.objects.lock().unwrap().remove(&format!("{RUN}/manifest.json"));
    let shown = verify(&desk, "AKID").await;
    assert!(shown.code == 2 && shown.err.contains("manifest.json is not there"), "{shown:?}");
    for manifest in ["s3://", "s3://lake", "s3://lake/manifest.json"] {
        let words = ["export", "verify", manifest, "--access-key-id", "a", "--secret-access-key", "s"];
        let shown = desk.run_plain(&words).await;
        assert!(shown.code == 2 && shown.err.contains("it looks like s3://BUCKET/"), "{manifest}: {shown:?}");
    }
}
