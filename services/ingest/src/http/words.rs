//! What is refused around the routes, said to senders of OTLP as OTLP asks: no such path, another method, no answer in time.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Uri};
use spanlake_dialects::otlp::Encoding;
use spanlake_transport::response;

use super::{encoding, status_of};

/// How the paths end that exporters send to.
const SIGNALS: [&str; 3] = ["/v1/traces", "/v1/logs", "/v1/metrics"];

/// Around everything else of a public listener: what a sender of OTLP is refused in our envelope becomes a `google.rpc.Status` in the
/// encoding of the request.
pub fn in_words_of_otlp(router: Router) -> Router {
    router.layer(from_fn(respelled))
}

async fn respelled(request: Request, next: Next) -> Response {
    let encoding = of_exporter(request.method(), request.uri(), request.headers());
    let answer = next.run(request).await;
    let Some((encoding, fault)) = encoding.zip(response::enveloped(&answer).cloned()) else { return answer };
    let (mut parts, _) = answer.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static(encoding.content_type()));
    Response::from_parts(parts, Body::from(status_of(&fault, encoding)))
}

/// The encoding of a request that none but an exporter would send: in protobuf, or in JSON to where exporters send it.
fn of_exporter(method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<Encoding> {
    let is_of_signal = || method == Method::POST && SIGNALS.iter().any(|end| uri.path().ends_with(end));
    encoding(headers).filter(|encoding| *encoding == Encoding::Protobuf || is_of_signal())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::routing::get;
    use http::StatusCode;
    use spanlake_model::{Clock, Entropy, SystemClock, SystemEntropy};
    use spanlake_transport::layers;
    use std::sync::Arc;
    use tower::ServiceExt;

    use super::*;

    /// A listener that answers nothing at one path, with a deadline that is over at once.
    fn listener() -> Router {
        let routes = Router::new().route("/v1/logs", get(|| async {}).post(std::future::pending::<()>));
        let routes = routes.route("/v1/metrics", get(|| async {}));
        let config = layers::Config { deadline: Duration::from_millis(10) };
        let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        in_words_of_otlp(layers::public(routes, config, clock, entropy))
    }

    async fn asked(method: Method, path: &str, content_type: &str) -> (StatusCode, String, Vec<u8>) {
        let request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, content_type);
        let answer = listener().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert!(answer.headers().contains_key("x-request-id"));
        let (status, said) = (answer.status(), answer.headers()[CONTENT_TYPE].to_str().unwrap().to_owned());
        (status, said, axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap().to_vec())
    }

    #[tokio::test]
    async fn an_exporter_is_told_in_its_own_encoding() {
        for (path, status, code) in [
            ("/somewhere/v1/traces", StatusCode::NOT_FOUND, 5_u8),
            ("/v1/metrics", StatusCode::METHOD_NOT_ALLOWED, 5),
            ("/v1/logs", StatusCode::GATEWAY_TIMEOUT, 4),
        ] {
            let (answered, content_type, body) = asked(Method::POST, path, "application/json; charset=utf-8").await;
            assert_eq!((answered, &*content_type), (status, "application/json"), "{path}");
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["code"], code, "{path}: {body}");
            assert!(body["message"].as_str().is_some_and(|message| message.len() > 10), "{body}");
            let (answered, content_type, body) = asked(Method::POST, path, "application/x-protobuf").await;
            assert_eq!((answered, &*content_type), (status, "application/x-protobuf"), "{path}");
            assert_eq!(body[..2], [1 << 3, code], "field 1 is the code");
        }
    }

    #[tokio::test]
    async fn anybody_else_is_told_in_our_envelope() {
        for (method, path, content_type) in [
            (Method::POST, "/v1/nothing", "application/json"),
            (Method::DELETE, "/v1/logs", "application/json"),
            (Method::POST, "/v1/metrics", "text/plain"),
        ] {
            let (_, _, body) = asked(method, path, content_type).await;
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["error"]["code"], "not_found");
        }
    }
}
