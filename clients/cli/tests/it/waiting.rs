//! Waiting for an export job that does not simply come to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::serve::before;

/// A job as a server shows it.
fn job(attempts: u64, error: &Value, next_run_at: &str) -> Value {
    json!({"data": {
        "id": "j1", "status": "waiting", "table": "spans", "format": "parquet", "schedule": "@hourly",
        "destination": {"type": "file", "path": ""}, "run": {"number": 1, "attempts": attempts, "rows": 0},
        "error": error, "last_manifest": null, "next_run_at": next_run_at,
    }})
}

#[tokio::test]
async fn what_goes_wrong_is_told_and_a_run_that_found_nothing_ends_the_wait() {
    let asked = Arc::new(AtomicUsize::new(0));
    let shown = move || async move {
        let denied = json!({"code": "service_unavailable", "message": "The destination cannot be used."});
        Json(match asked.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => job(1, &denied, "2026-04-10T12:00:20Z"),
            2 => job(2, &denied, "2026-04-10T12:00:40Z"),
            _ => job(0, &Value::Null, "2026-04-10T13:00:00Z"),
        })
    };
    let created = || async { Json(job(0, &Value::Null, "2026-04-10T12:00:10Z")) };
    let server = Router::new().route("/v1/exports", post(created)).route("/v1/exports/j1", get(shown));
    let desk = before(server).await;
    let shown = desk.run(&["export", "jobs", "create", "--folder", "w", "--schedule", "@hourly", "--wait"]).await;
    assert_eq!(shown.code, 0, "{shown:?}");
    assert_eq!(shown.err.matches("The destination cannot be used.").count(), 2, "{shown:?}");
    assert!(shown.err.contains("attempt 2 failed") && shown.err.contains("found nothing"), "{shown:?}");
}
