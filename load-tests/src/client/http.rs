//! OTLP over keep-alive HTTP/1.1, and reading JSON back.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::{Bytes, BytesMut};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};
use serde::de::DeserializeOwned;

use super::{Outcome, REQUEST_TIMEOUT, pause};
use crate::batch::Encoding;
use crate::target;

/// An OTLP answer is a few bytes; more is not one.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// One page of a trace.
const PAGE_BYTES_MAX: usize = 64 << 20;
/// A read is tried so often.
const READ_ATTEMPTS: u32 = 8;

/// One connection: a client of its own, so that nothing is shared.
pub(crate) struct HttpClient {
    client: reqwest::Client,
    url: Url,
    encoding: Encoding,
}

impl HttpClient {
    pub(crate) fn new(base: &Url, key: &str, encoding: Encoding, gzip: bool) -> Result<Self> {
        let mut headers = authorization(key)?;
        let content_type = if encoding == Encoding::Json { "application/json" } else { "application/x-protobuf" };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let client = plain_client(headers)?;
        Ok(Self { client, url: target::join(base, "/v1/traces")?, encoding })
    }

    pub(crate) async fn send(&self, body: Bytes) -> Outcome {
        match self.client.post(self.url.clone()).body(body).send().await {
            Ok(response) => self.outcome(response).await,
            Err(error) => failed(&error),
        }
    }

    async fn outcome(&self, response: Response) -> Outcome {
        let (code, after) = (response.status(), retry_after(response.headers()));
        let status = code.as_str().to_owned();
        let body = match capped(response, ANSWER_BYTES_MAX).await {
            Ok(body) => body,
            Err(error) => {
                return Outcome::Later { status: "broken".to_owned(), after: None, message: format!("{error:#}") };
            }
        };
        if code == StatusCode::OK {
            return match rejected(&body, self.encoding) {
                Ok(rejected) => Outcome::Accepted { status, rejected },
                Err(error) => Outcome::Refused { status, message: format!("the answer is not OTLP: {error:#}") },
            };
        }
        // A status in protobuf is text between a few binary bytes; good enough for a message.
        let message = String::from_utf8_lossy(&body).chars().filter(|c| !c.is_control()).take(300).collect();
        if is_retryable(code) {
            Outcome::Later { status, after, message }
        } else {
            Outcome::Refused { status, message }
        }
    }
}

/// Reads `url` as JSON; `None` when there is no such thing. Waits and tries again while the server says "later".
pub(crate) async fn get_json<T: DeserializeOwned>(client: &reqwest::Client, url: Url) -> Result<Option<T>> {
    let mut last = String::new();
    for attempt in 1..=READ_ATTEMPTS {
        let after = match client.get(url.clone()).send().await {
            Ok(response) if response.status() == StatusCode::NOT_FOUND => return Ok(None),
            Ok(response) if response.status().is_success() => {
                let body = capped(response, PAGE_BYTES_MAX).await?;
                return Ok(Some(
                    serde_json::from_slice(&body).with_context(|| format!("{url} is not the JSON we know"))?,
                ));
            }
            Ok(response) if is_retryable(response.status()) => {
                last = response.status().to_string();
                retry_after(response.headers())
            }
            Ok(response) => bail!("{url}: {}", response.status()),
            Err(error) => {
                last = format!("{error:#}");
                None
            }
        };
        tokio::time::sleep(pause(attempt, after)).await;
    }
    bail!("{url}: {last}, {READ_ATTEMPTS} times")
}

/// A client that sends the key with each request.
pub(crate) fn reader(key: &str) -> Result<reqwest::Client> {
    plain_client(authorization(key)?)
}

fn plain_client(headers: HeaderMap) -> Result<reqwest::Client> {
    let client = reqwest::Client::builder()
        .http1_only()
        .tcp_nodelay(true)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .default_headers(headers)
        .timeout(REQUEST_TIMEOUT);
    Ok(client.build()?)
}

fn authorization(key: &str) -> Result<HeaderMap> {
    let mut value =
        HeaderValue::from_str(&format!("Bearer {key}")).context("the key has characters no header may have")?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
}

async fn capped(mut response: Response, bytes_max: usize) -> Result<Bytes> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > bytes_max {
            bail!("an answer of more than {bytes_max} bytes");
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn rejected(body: &[u8], encoding: Encoding) -> Result<u64> {
    let answer: ExportTraceServiceResponse = match encoding {
        Encoding::Json => serde_json::from_slice(body)?,
        Encoding::Protobuf | Encoding::Grpc => ExportTraceServiceResponse::decode(body)?,
    };
    let rejected = answer.partial_success.map_or(0, |partial| partial.rejected_spans);
    Ok(u64::try_from(rejected).unwrap_or_default())
}

fn is_retryable(code: StatusCode) -> bool {
    matches!(code.as_u16(), 429 | 502 | 503 | 504)
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn failed(error: &reqwest::Error) -> Outcome {
    let status = if error.is_connect() {
        "connect"
    } else if error.is_timeout() {
        "timeout"
    } else {
        "broken"
    };
    // The innermost cause is what the system said.
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Outcome::Later { status: status.to_owned(), after: None, message: format!("{status}: {cause}") }
}
