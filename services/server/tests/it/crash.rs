//! What was acknowledged survives: the process, and its end.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};
use spanlake_model::{Clock as _, SystemClock};
use spanlake_testkit::otlp::{self, span_id, trace_id};
use spanlake_testkit::{TemporaryFolder, eventually};

use crate::client::{Bases, Client, PROTOBUF, url};
use crate::cluster;
use crate::process::Process;
use crate::tenant::{PASSWORD, text};

const CYCLES: usize = 3;
const SENDERS: usize = 4;
const BATCH: u64 = 25;
/// Batches acknowledged before the end of a cycle.
const ACKNOWLEDGED: usize = 60;

/// What senders were promised.
#[derive(Default)]
struct Ledger {
    next: AtomicU64,
    acknowledged: Mutex<BTreeSet<u64>>,
    /// Requests whose connection broke before an answer: durable or not, nobody knows.
    unanswered: Mutex<Vec<Request>>,
    /// A few that were answered.
    answered: Mutex<Vec<Request>>,
    stopped: AtomicBool,
}

/// Its spans' numbers and its body.
type Request = (Range<u64>, Vec<u8>);

#[tokio::test]
async fn kill_9_under_load_loses_no_acknowledged_span_and_doubles_none() {
    let folder = TemporaryFolder::new("crash");
    let ledger = Ledger::default();
    let (mut server, mut client) = begin(folder.path());
    let key = sign_up(&client).await;
    for _ in 0..CYCLES {
        load(&client, &key, &ledger, || server.kill()).await;
        (server, client) = begin(folder.path());
        is_complete(&client, &key, &ledger).await;
        send_again(&client, &key, &ledger).await;
        is_complete(&client, &key, &ledger).await;
    }
    let flushed = cluster::files_in(&folder.path().join("store"), "parquet").len();
    assert!(flushed > 1, "flushes happened meanwhile");
    stop(server).await;
}

#[tokio::test]
async fn sigterm_under_load_loses_no_acknowledged_span_and_exits_well() {
    let folder = TemporaryFolder::new("sigterm");
    let ledger = Ledger::default();
    let (server, client) = begin(folder.path());
    let key = sign_up(&client).await;
    load(&client, &key, &ledger, || server.terminate()).await;
    server.ended().await;
    let (server, client) = begin(folder.path());
    is_complete(&client, &key, &ledger).await;
    stop(server).await;
}

#[tokio::test]
async fn kill_9_after_an_idle_start_loses_nothing_either() {
    let folder = TemporaryFolder::new("idle");
    let ledger = Ledger::default();
    let (server, client) = begin(folder.path());
    let key = sign_up(&client).await;
    stop(server).await;
    let (server, client) = begin(folder.path());
    load(&client, &key, &ledger, || server.kill()).await;
    let (server, client) = begin(folder.path());
    is_complete(&client, &key, &ledger).await;
    stop(server).await;
}

#[tokio::test]
async fn a_log_that_was_emptied_goes_on_above_what_is_in_files() {
    let folder = TemporaryFolder::new("emptied");
    let ledger = Ledger::default();
    let (server, client) = begin(folder.path());
    let key = sign_up(&client).await;
    load(&client, &key, &ledger, || server.terminate()).await;
    server.ended().await;
    for segment in cluster::files_in(&folder.path().join("log"), "log") {
        std::fs::remove_file(segment).unwrap();
    }
    let (server, client) = begin(folder.path());
    load(&client, &key, &ledger, || server.kill()).await;
    let (server, client) = begin(folder.path());
    is_complete(&client, &key, &ledger).await;
    stop(server).await;
}

/// With flushes all the time, so that the end comes at every moment of one.
fn begin(folder: &Path) -> (Process, Client) {
    begin_with(folder, &[])
}

/// As [`begin`], with more settings.
pub(crate) fn begin_with(folder: &Path, more: &[(&'static str, &str)]) -> (Process, Client) {
    let mut settings = cluster::settings(&folder.join("store"));
    settings.retain(|(name, _)| !name.starts_with("SPANLAKE_INGEST__FLUSH"));
    settings.push(("SPANLAKE_DATA_DIR", folder.display().to_string()));
    settings.push(("SPANLAKE_INGEST__FLUSH_BYTES", "50000".into()));
    settings.push(("SPANLAKE_INGEST__FLUSH_CHECK_MS", "20".into()));
    settings.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let server = Process::start("standalone", folder, &settings);
    let http = url(server.address("http"));
    let bases = Bases {
        auth: http.clone(),
        ingest: http.clone(),
        query: http.clone(),
        export: http,
        otlp_http: url(server.address("otlp_http")),
        otlp_grpc: url(server.address("otlp_grpc")),
    };
    (server, Client::new(bases))
}

/// Asked to end, it drains and exits well.
pub(crate) async fn stop(server: Process) {
    server.terminate();
    server.ended().await;
}

pub(crate) async fn sign_up(client: &Client) -> String {
    let body = json!({"email": "crash@example.com", "password": PASSWORD, "tenant_name": "crash"});
    let account = client.send(client.request(reqwest::Method::POST, "/v1/signup").json(&body)).await.data();
    let new = json!({"name": "load", "kind": "workspace", "scopes": ["ingest", "read", "export", "admin"]});
    text(&client.post("/v1/api-keys", &text(&account, "/access_token"), &new).await.data(), "/key")
}

/// Several senders at once; `end` is called in the middle of it, and they stop when nobody answers any more.
async fn load(client: &Client, key: &str, ledger: &Ledger, end: impl FnOnce()) {
    let before = ledger.acknowledged.lock().unwrap().len();
    ledger.stopped.store(false, Ordering::SeqCst);
    let senders = futures::future::join_all((0..SENDERS).map(|_| send(client, key, ledger)));
    let ending = async {
        let wanted = before + ACKNOWLEDGED * BATCH as usize;
        let enough = || std::future::ready((ledger.acknowledged.lock().unwrap().len() >= wanted).then_some(()));
        eventually("enough acknowledged spans", enough).await;
        end();
        ledger.stopped.store(true, Ordering::SeqCst);
    };
    futures::join!(senders, ending);
}

async fn send(client: &Client, key: &str, ledger: &Ledger) {
    loop {
        let first = ledger.next.fetch_add(BATCH, Ordering::SeqCst) + 1;
        let numbers = first..first + BATCH;
        let now = SystemClock.now();
        let spans = numbers.clone().map(|number| otlp::span(trace_id(u128::from(first)), span_id(number), "load", now));
        let body = otlp::protobuf(spans.collect());
        match post(client, key, body.clone()).await {
            Ok(response) if response.status() == 200 => {
                ledger.acknowledged.lock().unwrap().extend(numbers.clone());
                let mut answered = ledger.answered.lock().unwrap();
                if answered.len() < SENDERS {
                    answered.push((numbers, body));
                }
            }
            // While it drains it may say so, in words that make an SDK send again.
            Ok(response) => assert_eq!(response.status(), 503, "only what is sent again"),
            Err(_) => {
                assert!(ledger.stopped.load(Ordering::SeqCst), "no connection breaks before the end");
                ledger.unanswered.lock().unwrap().push((numbers, body));
            }
        }
        if ledger.stopped.load(Ordering::SeqCst) {
            return;
        }
    }
}

async fn post(client: &Client, key: &str, body: Vec<u8>) -> reqwest::Result<reqwest::Response> {
    let request = client.request(reqwest::Method::POST, "/v1/traces").bearer_auth(key);
    request.header("content-type", PROTOBUF).body(body).send().await
}

/// As an exporter does whose connection broke: the same bytes again. Then they are acknowledged, and there once.
async fn send_again(client: &Client, key: &str, ledger: &Ledger) {
    let mut requests = std::mem::take(&mut *ledger.unanswered.lock().unwrap());
    requests.extend(std::mem::take(&mut *ledger.answered.lock().unwrap()));
    for (numbers, body) in requests {
        assert_eq!(post(client, key, body).await.unwrap().status(), 200);
        ledger.acknowledged.lock().unwrap().extend(numbers);
    }
}

/// Every acknowledged span is there, and no span twice. What was sent and not acknowledged may be there or not.
async fn is_complete(client: &Client, key: &str, ledger: &Ledger) {
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = client.get(&format!("/v1/spans?limit=1000{cursor}"), key).await;
        seen.extend(answer.rows().iter().map(number));
        match answer.json()["pagination"]["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let distinct: BTreeSet<u64> = seen.iter().copied().collect();
    assert_eq!(distinct.len(), seen.len(), "no span is there twice");
    let lost: Vec<_> = ledger.acknowledged.lock().unwrap().difference(&distinct).copied().collect();
    assert!(lost.is_empty(), "{} acknowledged spans are lost: {lost:?}", lost.len());
    let traces = client.get("/v1/traces?limit=1000", key).await.rows();
    let counted: u64 = traces.iter().map(|trace| trace["span_count"].as_u64().unwrap()).sum();
    assert!(counted == seen.len() as u64 || traces.len() == 1000, "sums count each span once");
}

fn number(row: &Value) -> u64 {
    u64::from_str_radix(row["id"].as_str().unwrap(), 16).unwrap()
}
