use axum::body::to_bytes;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use spanlake_model::{Code, Fault, FaultKind, Quota};
use spanlake_transport::response::{Created, Data, ErrorResponse, NoContent, Page, status};
use std::time::Duration;

async fn body(response: Response) -> Value {
    serde_json::from_slice(&to_bytes(response.into_body(), 1 << 20).await.unwrap()).unwrap()
}

#[tokio::test]
async fn a_success_is_wrapped_in_data() {
    let response = Created(json!({"id": 1})).into_response();
    assert_eq!(response.status(), 201);
    assert_eq!(body(response).await, json!({"data": {"id": 1}}));
    assert_eq!(body(Data([1, 2]).into_response()).await, json!({"data": [1, 2]}));
    assert_eq!(NoContent.into_response().status(), 204);
}

#[tokio::test]
async fn a_page_says_where_the_next_one_starts_and_the_total_only_when_known() {
    let page = Page { data: vec![1], limit: 50, next_cursor: None, total: None };
    let expected = json!({"data": [1], "pagination": {"limit": 50, "next_cursor": null}});
    assert_eq!(body(page.into_response()).await, expected);
    let page = Page::<i32> { data: vec![], limit: 5, next_cursor: Some("c".into()), total: Some(9) };
    let expected = json!({"data": [], "pagination": {"limit": 5, "next_cursor": "c", "total": 9}});
    assert_eq!(body(page.into_response()).await, expected);
}

#[tokio::test]
async fn an_error_says_its_code_and_the_field_at_fault() {
    let fault =
        Fault::new(Code::RateLimited, "Slow down.").detail("limit", "spans").retry_after(Duration::from_millis(1_200));
    let response = ErrorResponse(fault).into_response();
    assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (429, &"2".parse().unwrap()));
    let expected = json!({"error": {"code": "rate_limited", "message": "Slow down.", "details": {"limit": "spans"}}});
    assert_eq!(body(response).await, expected);
}

#[test]
fn a_limit_that_is_used_up_says_which_and_until_when() {
    let quota = Quota { name: "exports", most: 10, window: Duration::from_secs(3_600) };
    let fault = Fault::new(Code::RateLimited, "Slow down.").retry_after(Duration::from_millis(1_200)).quota(quota);
    let response = ErrorResponse(fault).into_response();
    for (header, value) in
        [("retry-after", "2"), ("ratelimit-policy", "\"exports\";q=10;w=3600"), ("ratelimit", "\"exports\";r=0;t=2")]
    {
        assert_eq!(response.headers()[header], value, "{header}");
    }
}

#[test]
fn every_code_answers_with_an_error_status() {
    for code in Code::ALL {
        let status = status(&Fault::new(*code, ""));
        assert_eq!(
            status.is_server_error(),
            matches!(code.kind(), FaultKind::Internal | FaultKind::Unavailable | FaultKind::Timeout)
        );
        assert!(status.is_client_error() || status.is_server_error());
    }
}
