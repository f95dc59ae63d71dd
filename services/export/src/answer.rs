//! An export as an HTTP answer: headers with what is known, the text, trailers with what became of it.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, TRAILER};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use futures::{StreamExt, TryStreamExt};
use http_body::Frame;
use http_body_util::StreamBody;
use spanlake_model::Fault;
use spanlake_proto::export::{Format, Piece, Summary};

use crate::Started;

const TOTAL: HeaderName = HeaderName::from_static("x-export-total");
const EXPORTED: HeaderName = HeaderName::from_static("x-export-exported");
const SKIPPED: HeaderName = HeaderName::from_static("x-export-skipped");
const SKIP_REASONS: HeaderName = HeaderName::from_static("x-export-skip-reasons");
const NEXT_CURSOR: HeaderName = HeaderName::from_static("x-export-next-cursor");
/// HTTP/1 sends only those that are announced, and only to who asks for them with `TE: trailers`.
const ANNOUNCED: &str =
    "x-export-total, x-export-exported, x-export-skipped, x-export-skip-reasons, x-export-next-cursor";

/// The answer. Its first piece is waited for, so that a query that fails at once is answered with an error; one that fails
/// later cuts the body off, which HTTP tells the client.
///
/// # Errors
/// Whatever the first piece is instead of one.
pub(crate) async fn of(started: Started, format: Format) -> Result<Response, Fault> {
    let headers = headers(&started, format);
    let mut pieces = started.pieces;
    // The header of a table fails never, so the piece after it.
    let mut first = Vec::new();
    for _ in 0..if format == Format::Csv { 2 } else { 1 } {
        first.extend(pieces.try_next().await?);
    }
    let rest = pieces.inspect_err(|fault| tracing::warn!(error = %fault, "an export broke off"));
    let frames = stream::iter(first.into_iter().map(Ok)).chain(rest).map_ok(frame);
    Ok((headers, Body::new(StreamBody::new(frames))).into_response())
}

fn headers(started: &Started, format: Format) -> HeaderMap {
    let content_type = match format {
        Format::Jsonl | Format::OpenAi => "application/x-ndjson",
        Format::Csv => "text/csv; charset=utf-8; header=present",
    };
    let mut headers = HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (TRAILER, HeaderValue::from_static(ANNOUNCED)),
        (TOTAL, started.total.into()),
    ]);
    // In the other formats every row can be written.
    if format != Format::OpenAi {
        headers.insert(EXPORTED, started.rows.into());
        headers.insert(SKIPPED, 0.into());
    }
    headers.extend(cursor(started.next_cursor.as_deref()));
    headers
}

fn frame(piece: Piece) -> Frame<Bytes> {
    match piece {
        Piece::Bytes(bytes) => Frame::data(bytes),
        Piece::Summary(summary) => Frame::trailers(trailers(&summary)),
    }
}

fn trailers(summary: &Summary) -> HeaderMap {
    let Summary { total, exported, skipped, skip_reasons, next_cursor } = summary;
    let mut trailers =
        HeaderMap::from_iter([(TOTAL, (*total).into()), (EXPORTED, (*exported).into()), (SKIPPED, (*skipped).into())]);
    let reasons: Vec<_> = skip_reasons.iter().map(|(reason, count)| format!("{reason}={count}")).collect();
    trailers.extend(HeaderValue::try_from(reasons.join(", ")).ok().map(|reasons| (SKIP_REASONS, reasons)));
    trailers.extend(cursor(next_cursor.as_deref()));
    trailers
}

/// A cursor is URL-safe base64, which is a fit value.
fn cursor(cursor: Option<&str>) -> Option<(HeaderName, HeaderValue)> {
    Some((NEXT_CURSOR, HeaderValue::try_from(cursor?).ok()?))
}
