//! The routes: who may, and what is refused with which words.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::bench::Bench;

#[tokio::test]
async fn a_credential_without_the_scope_exports_nothing() {
    let bench = Bench::new(1).await;
    let body = json!({"destination": {"type": "file"}});
    let id = bench.ask(&body).await;
    for (method, path) in [
        ("POST", "/v1/exports".to_owned()),
        ("GET", "/v1/exports".to_owned()),
        ("GET", format!("/v1/exports/{id}")),
        ("POST", format!("/v1/exports/{id}/cancel")),
        ("POST", format!("/v1/exports/{id}/resume")),
        ("GET", format!("/v1/exports/{id}/runs")),
        ("GET", format!("/v1/exports/{id}/manifest")),
    ] {
        for (key, expected) in [(bench.reader.as_str(), StatusCode::FORBIDDEN), ("nonsense", StatusCode::UNAUTHORIZED)]
        {
            let body = (method == "POST").then_some(&body);
            assert_eq!(bench.send(method, &path, key, body).await.0, expected, "{method} {path}");
        }
    }
    assert_eq!(bench.export(&id).await["status"], "waiting");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_by_its_name() {
    let bench = Bench::new(1).await;
    let s3 = json!({"type": "s3", "bucket": "b", "access_key_id": "a", "secret_access_key": "s"});
    for (more, code, named) in [
        (json!({"table": "nonsense"}), "invalid_request_body", "table"),
        (json!({"format": "xml"}), "invalid_request_body", "format"),
        (json!({"compression": "gzip"}), "invalid_request_body", "compression"),
        (json!({"filter": "modle = x"}), "invalid_filter", "modle"),
        (json!({"filter": "x".repeat(9_000)}), "invalid_request_body", "filter"),
        (json!({"start_date": "yesterday"}), "invalid_request_body", "start_date"),
        (json!({"start_date": "2026-04-02", "end_date": "2026-04-02"}), "invalid_request_body", "end_date"),
        (json!({"schedule": "* * * * *"}), "invalid_request_body", "schedule"),
        (json!({"schedule": "@daily", "end_date": "2026-04-02"}), "invalid_request_body", "end_date"),
        (json!({"schedule": "@daily", "format": "openai"}), "invalid_request_body", "format"),
        (json!({"table": "scores", "format": "openai"}), "invalid_request_body", "format"),
        (json!({"table": "traces", "format": "openai"}), "invalid_request_body", "format"),
        (json!({"table": "scores", "filter": "kind = llm"}), "invalid_filter", "kind"),
        (json!({"filter": "value > 1"}), "invalid_filter", "value"),
        (json!({"table": "scores", "scores": true}), "invalid_request_body", "scores"),
        (json!({"table": "traces", "scores": false}), "invalid_request_body", "scores"),
        (json!({"format": "openai", "scores": true}), "invalid_request_body", "scores"),
        (json!({"destination": {"type": "ftp"}}), "invalid_request_body", "ftp"),
        (json!({"destination": s3}), "invalid_request_body", "credentials_key"),
        (json!({"limit": 1}), "invalid_request_body", "limit"),
    ] {
        let mut body = json!({"destination": {"type": "file"}});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (status, answer) = bench.send("POST", "/v1/exports", &bench.key, Some(&body)).await;
        assert_eq!((status, &answer["error"]["code"]), (StatusCode::BAD_REQUEST, &json!(code)), "{more}: {answer}");
        assert!(answer["error"].to_string().contains(named), "{more}: {answer}");
    }
    assert_eq!(bench.get("/v1/exports").await["data"], json!([]), "nothing was stored");
    let counted = bench.ask(&json!({"destination": {"type": "file"}})).await;
    assert_eq!(bench.export(&counted).await["run"]["number"], 1, "what was refused did not count against the limit");
}

#[tokio::test]
async fn the_list_is_newest_first_in_pages_that_neither_lose_nor_repeat() {
    let bench = Bench::new(1).await;
    let mut asked = Vec::new();
    for _ in 0..5 {
        asked.insert(0, bench.ask(&json!({"destination": {"type": "file"}})).await);
        bench.clock.advance(std::time::Duration::from_millis(1));
    }
    let (mut listed, mut path) = (Vec::new(), "/v1/exports?limit=2".to_owned());
    loop {
        let page = bench.get(&path).await;
        listed.extend(page["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["pagination"]["next_cursor"].as_str() else { break };
        path = format!("/v1/exports?limit=2&cursor={cursor}");
    }
    assert_eq!(listed, asked);
    for path in ["/v1/exports?limit=0", "/v1/exports?limit=1001", "/v1/exports?cursor=nonsense", "/v1/exports?page=2"] {
        assert_eq!(bench.send("GET", path, &bench.key, None).await.0, StatusCode::BAD_REQUEST, "{path}");
    }
    let unknown = "/v1/exports/00000000-0000-4000-8000-000000000000";
    assert_eq!(bench.send("GET", unknown, &bench.key, None).await.0, StatusCode::NOT_FOUND);
    assert_eq!(bench.send("GET", "/v1/exports/nonsense", &bench.key, None).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn ten_exports_an_hour_are_taken() {
    let bench = Bench::new(1).await;
    let body = json!({"destination": {"type": "file"}});
    for _ in 0..10 {
        bench.ask(&body).await;
    }
    let (status, answer) = bench.send("POST", "/v1/exports", &bench.key, Some(&body)).await;
    assert_eq!((status, &answer["error"]["code"]), (StatusCode::TOO_MANY_REQUESTS, &Value::from("rate_limited")));
}
