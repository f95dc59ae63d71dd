//! Exports from servers that stop, lie or have had enough.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::RawQuery;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::Value;

use crate::serve::before;

/// What the next export is answered with.
type Answer = fn() -> Response;

/// Answers exports one after the other; the last one again and again.
fn server(answers: &'static [Answer]) -> Router {
    let asked = Arc::new(AtomicUsize::new(0));
    let answer = move || async move {
        let number = asked.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
        answers[number]()
    };
    Router::new().route("/v1/traces/export", get(answer))
}

fn page(rows: &[u32], next: &str) -> String {
    let lines: String = rows.iter().map(|row| format!("{{\"trace_id\":\"{row}\"}}\n")).collect();
    let count = rows.len();
    let trailer = format!(
        r#"{{"_export_meta":{{"total":4,"exported":{count},"skipped":0,"skip_reasons":{{}},"next_cursor":{next}}}}}"#
    );
    format!("{lines}{trailer}\n")
}

fn first() -> Response {
    page(&[1, 2], "\"c\"").into_response()
}

fn last() -> Response {
    page(&[3, 4], "null").into_response()
}

/// The second page, of which a row and a half come before the connection ends.
fn half() -> Response {
    let bytes = Bytes::from(page(&[3, 4], "null").into_bytes()[..25].to_vec());
    let pieces = [Ok(bytes), Err(std::io::Error::other("gone"))];
    Body::from_stream(futures::stream::iter(pieces)).into_response()
}

/// As [`half`], by a server that says that this was all.
fn quietly_half() -> Response {
    page(&[3, 4], "null")[..25].to_owned().into_response()
}

fn enough() -> Response {
    let body = r#"{"error":{"code":"rate_limited","message":"Ten an hour."},"request_id":"r"}"#;
    (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "0")], body).into_response()
}

const ALL: &str = "{\"trace_id\":\"1\"}\n{\"trace_id\":\"2\"}\n{\"trace_id\":\"3\"}\n{\"trace_id\":\"4\"}\n";

#[tokio::test]
async fn a_broken_download_goes_on_after_its_last_whole_page() {
    for broken in [half as Answer, quietly_half, enough] {
        let answers: &'static [Answer] = Box::leak(Box::new([first as Answer, broken, last]));
        let desk = before(server(answers)).await;
        let file = desk.file("rows.jsonl");
        let words = ["export", "traces", "--all", "--retries", "0", "-o", file.to_str().unwrap()];
        let shown = desk.run(&words).await;
        assert_eq!(shown.code, 5, "{shown:?}");
        assert_eq!(desk.files(), ["rows.jsonl.part", "rows.jsonl.part.json"], "{shown:?}");
        let shown = desk.run(&words).await;
        assert_eq!(shown.code, 0, "{shown:?}");
        assert!(shown.err.contains("after the 2 rows") && shown.err.contains("Exported 4 rows"), "{shown:?}");
        assert_eq!(desk.files(), ["rows.jsonl"]);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), ALL);
    }
}

#[tokio::test]
async fn a_download_that_breaks_goes_on_by_itself() {
    fn away() -> Response {
        StatusCode::BAD_GATEWAY.into_response()
    }
    for broken in [half as Answer, quietly_half, away] {
        let answers: &'static [Answer] = Box::leak(Box::new([broken, first as Answer, broken, last]));
        let desk = before(server(answers)).await;
        let file = desk.file("rows.jsonl");
        let shown = desk.run(&["export", "traces", "--all", "-o", file.to_str().unwrap()]).await;
        assert_eq!((shown.code, desk.files()), (0, vec!["rows.jsonl".to_owned()]), "{shown:?}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), ALL, "each row once");
        assert!(
            shown.err.contains("going on after 0 rows") && shown.err.contains("going on after 2 rows"),
            "{shown:?}"
        );
    }
    // What is on standard output cannot be taken back; what is not there yet can come again.
    let desk = before(server(&[first, quietly_half, last])).await;
    let shown = desk.run(&["export", "traces", "--all"]).await;
    assert!(shown.code == 5 && shown.out.contains("\"3\""), "{shown:?}");
    let desk = before(server(&[away, first, away, last])).await;
    let shown = desk.run(&["export", "traces", "--all"]).await;
    assert_eq!((shown.code, &*shown.out), (0, ALL), "{shown:?}");
}

#[tokio::test]
async fn half_a_page_is_never_a_file_and_never_a_success() {
    for broken in [half as Answer, quietly_half] {
        let answers: &'static [Answer] = Box::leak(Box::new([broken]));
        let desk = before(server(answers)).await;
        let file = desk.file("rows.jsonl");
        let shown = desk.run(&["export", "traces", "--retries", "1", "-o", file.to_str().unwrap()]).await;
        assert_eq!((shown.code, desk.files().len()), (5, 0), "{shown:?}");
        let shown = desk.run(&["export", "traces"]).await;
        assert_eq!(shown.code, 5, "{shown:?}");
    }
}

#[tokio::test]
async fn an_export_waits_where_that_was_wished() {
    let desk = before(server(&[first, enough, enough, last])).await;
    let shown = desk.run(&["export", "traces", "--all", "--wait"]).await;
    assert_eq!((shown.code, &*shown.out), (0, ALL), "{shown:?}");
    let desk = before(server(&[enough])).await;
    let shown = desk.run(&["export", "traces"]).await;
    assert!(shown.code == 5 && shown.err.contains("Rate limited: Ten an hour."), "{shown:?}");
}

#[tokio::test]
async fn what_follows_the_first_page_is_asked_for_by_its_cursor_alone() {
    async fn answer(RawQuery(query): RawQuery) -> Response {
        let query = query.unwrap_or_default();
        match query.contains("cursor=c") {
            false if query.contains("startDate=2026-04-01T00%3A00%3A00Z") => first(),
            // Dates may have moved since; the cursor holds those of the first page.
            true if !query.contains("Date=")
                && query.contains("score=tone%3E%3D0.5")
                && query.contains("limit=2000") =>
            {
                last()
            }
            _ => (StatusCode::BAD_REQUEST, query).into_response(),
        }
    }
    let desk = before(Router::new().route("/v1/traces/export", get(answer))).await;
    let shown = desk.run(&["export", "traces", "--all", "--since", "2026-04-01", "--score", "tone>=0.5"]).await;
    assert_eq!((shown.code, &*shown.out), (0, ALL), "{shown:?}");
}

#[tokio::test]
async fn a_file_that_is_there_is_overwritten_by_consent_only() {
    let mut desk = before(server(&[last])).await;
    let file = desk.file("rows.jsonl");
    std::fs::write(&file, "mine").unwrap();
    let words = ["export", "traces", "-o", file.to_str().unwrap()];
    let shown = desk.run(&words).await;
    assert!(shown.code == 2 && shown.err.contains("--force"), "{shown:?}");
    desk.answers = vec!["n"];
    let shown = desk.run(&words).await;
    assert!(shown.code == 0 && shown.err.contains("Overwrite? [y/N]"), "{shown:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    desk.answers = vec!["y"];
    assert_eq!(desk.run(&words).await.code, 0);
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("{\"trace_id\":\"3\"}"));
    desk.answers.clear();
    assert_eq!(desk.run(&[&words[..], &["--force"]].concat()).await.code, 0);
}

#[tokio::test]
async fn a_preview_says_how_many_match_and_writes_nothing() {
    let desk = before(server(&[first])).await;
    let file = desk.file("rows.csv");
    let words = ["export", "traces", "--format", "csv", "--dry-run", "--model", "m", "-o", file.to_str().unwrap()];
    let shown = desk.run(&words).await;
    assert_eq!((shown.code, &*shown.out, desk.files().len()), (0, "", 0), "{shown:?}");
    for said in ["Filters applied:", "model: m", "Matching rows: 4", "{\"trace_id\":\"2\"}"] {
        assert!(shown.err.contains(said), "{said}: {shown:?}");
    }
    let json: Value = serde_json::from_str(&desk.run(&[&words[..], &["--json"]].concat()).await.out).unwrap();
    assert_eq!((&json["total"], json["sample"].as_array().unwrap().len()), (&4.into(), 2));
}

#[tokio::test]
async fn a_terminal_is_shown_no_control_characters() {
    fn hostile() -> Response {
        let headers = HeaderMap::from_iter([("x-export-exported".parse().unwrap(), 1.into())]);
        (headers, "name\r\n\u{1b}]0;owned\u{7}\u{9b}2J\r\n").into_response()
    }
    let mut desk = before(server(&[hostile])).await;
    let words = ["export", "traces", "--format", "csv"];
    assert!(desk.run(&words).await.out.contains("\u{1b}]0;owned\u{7}"), "into a pipe go the rows as they are");
    desk.is_terminal = true;
    assert_eq!(desk.run(&words).await.out, "name\n?]0;owned??2J\n");
}
