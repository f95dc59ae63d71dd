//! What is left when something fails: nothing that looks whole.

use axum::http::StatusCode;
use serde_json::{Value, json};
use spanlake_catalog::Keys as _;
use spanlake_model::{Clock as _, Code, Fault, KeyId};
use spanlake_store::export::Outlet;

use super::bench::{Bench, LATER, TENANT};
use super::faulty::Trouble;
use super::files::check;
use crate::world::span;

fn once() -> Value {
    json!({"format": "jsonl", "compression": "none", "destination": {"type": "file"}})
}

/// A dozen spans on two days, in files of three.
async fn filled() -> Bench {
    let bench = Bench::new(1).await;
    for number in 1..=12 {
        bench.model.write(1, span(number, if number > 6 { "2026-04-09T01:00:00Z" } else { "2026-04-08T01:00:00Z" }));
    }
    bench
}

async fn is_whole(bench: &Bench, id: &str) {
    let manifest = bench.get(&format!("/v1/exports/{id}/manifest")).await["data"].clone();
    assert_eq!(manifest["rows"], 12);
    check(bench, id, &manifest).await;
}

#[tokio::test]
async fn a_process_that_dies_at_any_step_costs_time_and_nothing_else() {
    for trouble in [Trouble::DiesBefore, Trouble::DiesAfter] {
        let mut deaths = 0;
        for call in 0.. {
            let bench = filled().await;
            let id = bench.ask(&once()).await;
            bench.objects.trouble(call, trouble);
            if bench.work().await {
                assert!(bench.objects.is_waiting());
                break;
            }
            deaths += 1;
            assert_eq!(bench.export(&id).await["status"], "running", "nobody has noticed");
            // What has come or gone meanwhile makes other files than the first attempt's.
            bench.model.write(1, span(1, "2026-04-08T02:00:00Z"));
            bench.clock.advance(LATER);
            assert_eq!(bench.work_until_done(&id).await["status"], "done", "{trouble:?} at call {call}");
            is_whole(&bench, &id).await;
        }
        assert!(deaths >= 7, "looked for a manifest, put four files and the manifest, looked for leftovers: {deaths}");
    }
}

#[tokio::test]
async fn a_manifest_whose_files_are_gone_is_not_taken_for_a_run() {
    let bench = filled().await;
    let id = bench.ask(&once()).await;
    // A manifest is looked for, four files are put, then the manifest.
    bench.objects.trouble(5, Trouble::DiesAfter);
    assert!(!bench.work().await);
    let files = bench.objects(&id).await;
    let lost = files.last().unwrap();
    assert!(files[0].ends_with("manifest.json") && lost.ends_with(".jsonl"), "{files:?}");
    let outlet = Outlet::below(bench.objects.clone(), &id);
    let content = outlet.get(lost).await.unwrap().unwrap();
    outlet.delete(lost).await.unwrap();
    for _ in 0..2 {
        bench.clock.advance(LATER);
        assert!(bench.work().await);
    }
    let export = bench.export(&id).await;
    assert_eq!((&export["status"], &export["last_manifest"]), (&json!("waiting"), &Value::Null), "{export}");
    assert!(export["error"]["message"].as_str().unwrap().contains("has lost"), "{export}");
    outlet.create(lost, content).await.unwrap();
    bench.work_until_done(&id).await;
    is_whole(&bench, &id).await;
}

#[tokio::test]
async fn a_destination_that_refuses_is_told_and_tried_again() {
    for call in 0..7 {
        let bench = filled().await;
        let id = bench.ask(&once()).await;
        bench.objects.trouble(call, Trouble::Fails);
        assert!(bench.work().await);
        let export = bench.export(&id).await;
        assert_eq!((&export["status"], &export["error"]["code"]), (&json!("waiting"), &json!("service_unavailable")));
        assert!(export["error"]["message"].as_str().unwrap().contains("its disk is full"), "{export}");
        assert_eq!(export["last_manifest"], Value::Null);
        assert_eq!(
            bench.send("GET", &format!("/v1/exports/{id}/manifest"), &bench.key, None).await.0,
            StatusCode::NOT_FOUND
        );
        assert_eq!(bench.work_until_done(&id).await["status"], "done");
        is_whole(&bench, &id).await;
    }
}

#[tokio::test]
async fn a_stream_that_breaks_or_ends_early_is_not_taken_for_whole() {
    let bench = filled().await;
    let id = bench.ask(&once()).await;
    *bench.model.breaks_after.lock().unwrap() = Some(2);
    bench.work().await;
    assert_eq!(bench.export(&id).await["error"]["code"], "timeout");
    bench.clock.advance(LATER);
    *bench.model.loses_one.lock().unwrap() = true;
    bench.work().await;
    let export = bench.export(&id).await;
    assert_eq!((&export["error"]["code"], &export["run"]["attempts"]), (&json!("internal_error"), &json!(2)));
    bench.work_until_done(&id).await;
    is_whole(&bench, &id).await;
}

#[tokio::test]
async fn what_cannot_get_better_or_fails_too_often_is_given_up() {
    let bench = filled().await;
    let id = bench.ask(&once()).await;
    for _ in 0..8 {
        bench.objects.trouble(0, Trouble::Fails);
        bench.work().await;
        bench.clock.advance(LATER);
    }
    let export = bench.export(&id).await;
    assert_eq!((&export["status"], &export["run"]["attempts"]), (&json!("failed"), &json!(8)));

    let id = bench.ask(&once()).await;
    assert!(bench.catalog.revoke_key(TENANT, KeyId::from_bytes([1; 16]), bench.clock.now()).await.unwrap());
    bench.work().await;
    let export = bench.export(&id).await;
    assert_eq!((&export["status"], &export["error"]["code"]), (&json!("failed"), &json!("forbidden")), "{export}");
    assert_eq!(bench.objects(&id).await, Vec::<String>::new(), "a key that was revoked exports nothing");
}

#[tokio::test]
async fn an_export_that_kills_every_process_is_given_up() {
    let bench = filled().await;
    let id = bench.ask(&once()).await;
    for deaths in 1..=8 {
        bench.objects.trouble(0, Trouble::DiesBefore);
        assert!(!bench.work().await, "it dies of the attempt");
        bench.clock.advance(LATER);
        assert!(bench.work().await, "whoever finds it abandoned notes that, and does not try at once");
        let export = bench.export(&id).await;
        assert_eq!(export["run"]["attempts"], deaths);
        assert_eq!(export["status"], if deaths < 8 { "waiting" } else { "failed" }, "{export}");
        bench.objects.heal();
        bench.clock.advance(LATER);
    }
    assert!(bench.work().await);
    assert_eq!(bench.objects(&id).await, Vec::<String>::new(), "nobody tries again");
}

#[tokio::test]
async fn what_the_source_refuses_today_it_may_answer_tomorrow() {
    let mut body = once();
    body["schedule"] = json!("*/5 * * * *");
    for is_stream in [false, true] {
        let bench = filled().await;
        let id = bench.ask(&body).await;
        bench.clock.advance(LATER);
        let refusal = Fault::new(Code::InvalidQueryParams, "The time range holds too much data for one query.");
        *bench.model.refuses.lock().unwrap() = Some((is_stream, refusal));
        bench.work().await;
        let export = bench.export(&id).await;
        assert_eq!((&export["status"], &export["error"]["code"]), (&json!("waiting"), &json!("invalid_query_params")));
        bench.clock.advance(LATER);
        bench.work().await;
        is_whole(&bench, &id).await;
    }
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_ended() {
    let bench = filled().await.with_run_deadline_ms(50);
    let id = bench.ask(&once()).await;
    bench.objects.trouble(2, Trouble::DiesBefore);
    let token = tokio_util::sync::CancellationToken::new();
    assert!(bench.worker().work_on_one(&token).await.unwrap());
    let export = bench.export(&id).await;
    assert_eq!((&export["status"], &export["error"]["code"]), (&json!("waiting"), &json!("timeout")), "{export}");
}

#[tokio::test]
async fn a_cancelled_export_leaves_no_manifest() {
    let bench = filled().await;
    let id = bench.ask(&once()).await;
    bench.objects.trouble(2, Trouble::DiesAfter);
    let (cancelled, lived) = tokio::join!(
        async {
            // The second file is put; then the export is called off, and the worker goes on.
            bench.objects.died.notified().await;
            bench.send("POST", &format!("/v1/exports/{id}/cancel"), &bench.key, None).await
        },
        async {
            let (worker, token) = (bench.worker(), tokio_util::sync::CancellationToken::new());
            let work = worker.work_on_one(&token);
            tokio::time::timeout(std::time::Duration::from_secs(60), work).await
        }
    );
    assert_eq!((cancelled.0, &cancelled.1["data"]["status"]), (StatusCode::OK, &json!("cancelled")));
    assert!(lived.unwrap().unwrap(), "the heartbeat noticed");
    assert_eq!(bench.export(&id).await["status"], "cancelled");
    assert!(!bench.objects(&id).await.iter().any(|path| path.ends_with("manifest.json")));
    bench.clock.advance(LATER);
    assert!(bench.work().await);
    assert_eq!(bench.export(&id).await["status"], "cancelled", "nobody takes it up again");
}
