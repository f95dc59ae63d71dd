//! Reading a request body: every bound holds while bytes arrive, never after.
//!
//! ```text
//!   frames ──► batch of 64 KiB ──► gzip | zstd | as is ──► at most `decoded_bytes_max`
//!     └ 15 s between two of them      └ on a blocking thread when it is much
//! ```
//!
//! At a bound: too big is 413, a client that stalls is a timeout, a broken encoding 400, an unknown or stacked one 415.
//! Memory for one body is what has been decoded so far, one batch, and one decoder.

mod decode;

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use spanlake_model::{Code, Fault};
use tokio::time::{Instant, timeout, timeout_at};

use decode::{Decoder, Encoding, Refusal};

/// How much of a body is taken, and how long it may stall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes on the wire.
    pub encoded_bytes_max: usize,
    /// Bytes after decompression. A compressed body may also not expand beyond 100 times its size (4 MiB are always allowed).
    pub decoded_bytes_max: usize,
    /// Longest wait for the next piece of the body.
    #[serde(with = "crate::config::duration")]
    pub idle: Duration,
}

impl Default for Limits {
    /// 64 MiB, as OTLP recommends, and 15 s.
    fn default() -> Self {
        Self::bytes(64 << 20)
    }
}

impl Limits {
    /// The same number of bytes before and after decompression, and 15 s.
    pub const fn bytes(max: usize) -> Self {
        Self { encoded_bytes_max: max, decoded_bytes_max: max, idle: Duration::from_secs(15) }
    }
}

/// A batch of encoded bytes is decoded when it reaches this size.
const BATCH_BYTES: usize = 64 << 10;
/// Room made before a body comes, if that much is announced. Until bytes arrive it costs addresses, not memory.
const AHEAD_BYTES_MAX: usize = 1 << 20;
/// About half a millisecond of decoding at the usual ratio; more goes to a blocking thread.
const INLINE_BYTES_MAX: usize = 16 << 10;
/// After a refusal we read on for a while, since a client that is still writing when the connection closes
/// sees a broken connection, not our answer, and would send it all again.
const DRAIN: Duration = Duration::from_secs(5);
const DRAIN_IDLE: Duration = Duration::from_millis(250);

/// Reads and decompresses a body within `limits`.
///
/// # Errors
/// `payload_too_large`, `invalid_request_body` (a broken encoding, or a connection that ended early),
/// `unsupported_media_type` (an encoding that is not gzip, zstd or identity, or more than one), `timeout`.
pub async fn read(headers: &HeaderMap, body: Body, limits: Limits) -> Result<Bytes, Fault> {
    read_held(headers, body, limits, &mut |_| Ok(())).await
}

/// Is told how many bytes a body holds after each piece of it that was decoded, and may refuse to hold them.
pub type Hold<'a> = dyn FnMut(usize) -> Result<(), Fault> + Send + 'a;

/// As [`read`], for whoever counts what is held.
///
/// # Errors
/// As [`read`], and what `hold` answers.
pub async fn read_held(
    headers: &HeaderMap,
    mut body: Body,
    limits: Limits,
    hold: &mut Hold<'_>,
) -> Result<Bytes, Fault> {
    let read = read_within(headers, &mut body, limits, hold).await;
    if read.is_err() {
        discard(headers, body, limits).await;
    }
    read.map_err(|refusal| fault(&refusal, limits))
}

/// Reads a body away that nobody will look at, for a while, because its request has been refused already: a client that is
/// still writing when the connection closes sees a broken connection, not our answer, and would send it all again.
pub async fn discard(headers: &HeaderMap, mut body: Body, limits: Limits) {
    // A client that waits for `100 Continue` has sent nothing, and must not be asked to.
    if !headers.contains_key(header::EXPECT) {
        drain(&mut body, limits.encoded_bytes_max).await;
    }
}

async fn read_within(
    headers: &HeaderMap,
    body: &mut Body,
    limits: Limits,
    hold: &mut Hold<'_>,
) -> Result<Bytes, Refusal> {
    let encoding = Encoding::of(headers)?;
    let encoded_max = match encoding {
        Encoding::Identity => limits.encoded_bytes_max.min(limits.decoded_bytes_max),
        Encoding::Gzip | Encoding::Zstd => limits.encoded_bytes_max,
    };
    if content_length(headers).is_some_and(|length| length > encoded_max as u64) {
        return Err(Refusal::Encoded);
    }
    let announced = content_length(headers).and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    let mut decoder = Decoder::new(encoding, announced.min(AHEAD_BYTES_MAX), limits.decoded_bytes_max)?;
    let (mut batch, mut batch_bytes, mut encoded_bytes) = (Vec::new(), 0, 0_usize);
    while let Some(frame) = timeout(limits.idle, body.frame()).await.map_err(|_| Refusal::Stalled)? {
        let Ok(data) = frame.map_err(|_| Refusal::Broken("The connection ended before the body did."))?.into_data()
        else {
            continue; // Trailers hold nothing for us.
        };
        encoded_bytes = encoded_bytes.saturating_add(data.len());
        if encoded_bytes > encoded_max {
            return Err(Refusal::Encoded);
        }
        batch_bytes += data.len();
        batch.push(data);
        if batch_bytes >= BATCH_BYTES {
            decoder = push(decoder, std::mem::take(&mut batch), batch_bytes).await?;
            batch_bytes = 0;
            hold(decoder.decoded_bytes()).map_err(Refusal::NotHeld)?;
        }
    }
    push(decoder, batch, batch_bytes).await?.finish().map(Bytes::from)
}

/// Decodes a batch here when it is little work, else on a blocking thread.
async fn push(mut decoder: Decoder, batch: Vec<Bytes>, batch_bytes: usize) -> Result<Decoder, Refusal> {
    let is_cheap = decoder.only_copies();
    let decode = move || {
        batch.iter().try_for_each(|data| decoder.push(data))?;
        Ok(decoder)
    };
    if is_cheap || batch_bytes <= INLINE_BYTES_MAX {
        return decode();
    }
    tokio::task::spawn_blocking(decode).await.unwrap_or(Err(Refusal::Crashed))
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Discards what still comes: at most `bytes_max`, five seconds, and a quarter of a second of silence.
async fn drain(body: &mut Body, bytes_max: usize) {
    let deadline = Instant::now() + DRAIN;
    let mut left = bytes_max;
    while let Ok(Some(Ok(frame))) = timeout_at(deadline.min(Instant::now() + DRAIN_IDLE), body.frame()).await {
        let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
        left = rest;
    }
}

fn fault(refusal: &Refusal, limits: Limits) -> Fault {
    match refusal {
        Refusal::NotHeld(fault) => fault.clone(),
        Refusal::Encoded => too_large("", limits.encoded_bytes_max.min(limits.decoded_bytes_max)),
        Refusal::Decoded => too_large(" once decompressed", limits.decoded_bytes_max),
        Refusal::Ratio => Fault::new(
            Code::PayloadTooLarge,
            "The body expands to more than 100 times its compressed size; send it with less compression or in parts.",
        ),
        Refusal::Encoding(name) => {
            let message = "The body's encoding is not one we read; use one of gzip, zstd or identity, and only once.";
            Fault::new(Code::UnsupportedMediaType, message).detail("Content-Encoding", format!("got '{name}'"))
        }
        Refusal::Broken(why) => Fault::new(Code::InvalidRequestBody, *why),
        Refusal::Stalled => Fault::new(
            Code::Timeout,
            format!("No part of the body arrived for {} seconds; send it again.", limits.idle.as_secs_f32()),
        ),
        Refusal::Crashed => {
            tracing::error!("decoding a request body crashed");
            Fault::internal()
        }
    }
}

fn too_large(when: &str, max: usize) -> Fault {
    let max = if max >= 1 << 20 { format!("{} MiB", max >> 20) } else { format!("{max} bytes") };
    Fault::new(Code::PayloadTooLarge, format!("The body is larger than {max}{when}; send it in parts."))
}
