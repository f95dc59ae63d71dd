use std::io::Write;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::post;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream;
use http::HeaderMap;
use spanlake_model::{Code, Fault};
use spanlake_transport::body::{self, Limits};
use spanlake_transport::response::{Data, ErrorResponse};

use crate::support::{Server, json, public};

const MIB: usize = 1 << 20;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

/// Bytes that compress about as well as telemetry does.
fn telemetry(bytes: usize) -> Vec<u8> {
    let mut text = String::with_capacity(bytes + 64);
    let mut seed = 1_u32;
    while text.len() < bytes {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text += &format!("{{\"name\":\"chat\",\"tokens\":{seed}}},");
    }
    text.truncate(bytes);
    text.into_bytes()
}

fn pieces(bytes: &[u8], size: usize) -> Body {
    let pieces: Vec<_> =
        bytes.chunks(size).map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece))).collect();
    Body::from_stream(stream::iter(pieces))
}

fn encoded_as(encoding: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("content-encoding", encoding.parse().unwrap());
    headers
}

async fn read(encoding: &str, body: Body, max: usize) -> Result<Bytes, Fault> {
    body::read(&encoded_as(encoding), body, Limits::bytes(max)).await
}

#[tokio::test]
async fn a_body_is_read_whole_in_every_encoding_however_it_is_cut() {
    let sent = telemetry(300_000);
    for (encoding, encoded) in [("identity", sent.clone()), ("gzip", gzip(&sent)), ("zstd", zstd(&sent))] {
        for size in [7, 1_000, 65_536, 1_000_000] {
            let got = read(encoding, pieces(&encoded, size), MIB).await.unwrap();
            assert!(got == sent, "{encoding} in pieces of {size}");
        }
    }
}

#[tokio::test]
async fn a_body_of_several_members_is_read_whole() {
    let (one, two) = (telemetry(70_000), b"the end".to_vec());
    let whole = [one.clone(), two.clone()].concat();
    for size in [3, 100_000] {
        assert!(read("gzip", pieces(&[gzip(&one), gzip(&two)].concat(), size), MIB).await.unwrap() == whole);
        assert!(read("zstd", pieces(&[zstd(&one), zstd(&two)].concat(), size), MIB).await.unwrap() == whole);
    }
}

#[tokio::test]
async fn an_empty_body_is_empty_in_every_encoding() {
    for encoding in ["identity", "gzip", "zstd"] {
        assert_eq!(read(encoding, Body::empty(), MIB).await.unwrap(), "");
    }
    assert_eq!(read("gzip", gzip(b"").into(), MIB).await.unwrap(), "");
    assert_eq!(read("zstd", zstd(b"").into(), MIB).await.unwrap(), "");
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_passes_and_one_byte_more_does_not() {
    for (extra, passes) in [(0, true), (1, false)] {
        let sent = telemetry(MIB + extra);
        for (encoding, encoded) in [("identity", sent.clone()), ("gzip", gzip(&sent)), ("zstd", zstd(&sent))] {
            let read = read(encoding, pieces(&encoded, 10_000), MIB).await;
            match read {
                Ok(got) => assert!(passes && got == sent, "{encoding}"),
                Err(fault) => assert!(!passes && fault.code == Code::PayloadTooLarge, "{encoding}: {fault}"),
            }
        }
    }
}

#[tokio::test]
async fn a_body_that_expands_more_than_a_hundredfold_is_refused_below_the_limit() {
    let zeros = vec![0; 20 * MIB];
    for (encoding, encoded) in [("gzip", gzip(&zeros)), ("zstd", zstd(&zeros))] {
        let fault = read(encoding, encoded.into(), 64 * MIB).await.unwrap_err();
        assert_eq!(fault.code, Code::PayloadTooLarge);
        assert!(fault.message.contains("100 times"), "{fault}");
    }
    // Small ones may: they are harmless.
    assert_eq!(read("gzip", gzip(&zeros[..3 * MIB]).into(), 64 * MIB).await.unwrap().len(), 3 * MIB);
}

#[tokio::test]
async fn a_broken_or_cut_encoding_is_refused() {
    let sent = telemetry(200_000);
    for (encoding, whole) in [("gzip", gzip(&sent)), ("zstd", zstd(&sent))] {
        let mut flipped = whole.clone();
        flipped[1] ^= 0xff;
        let mut trailing = whole.clone();
        trailing.extend_from_slice(b"garbage after the end");
        for broken in [&whole[..whole.len() - 1], &whole[..whole.len() / 2], &whole[..3], &flipped, &trailing, &sent] {
            let fault = read(encoding, pieces(broken, 20_000), MIB).await.unwrap_err();
            assert_eq!(fault.code, Code::InvalidRequestBody, "{encoding}: {fault}");
            assert!(fault.message.contains(encoding), "{fault}");
        }
    }
}

#[tokio::test]
async fn an_unknown_or_stacked_encoding_is_refused_by_name() {
    for encoding in ["br", "deflate", "gzip, gzip", "identity, gzip"] {
        let fault = read(encoding, Body::from("x"), MIB).await.unwrap_err();
        assert_eq!(fault.code, Code::UnsupportedMediaType);
        assert!(fault.details["Content-Encoding"].contains(encoding), "{fault:?}");
    }
    let mut twice = encoded_as("gzip");
    twice.append("content-encoding", "gzip".parse().unwrap());
    let fault = body::read(&twice, Body::from("x"), Limits::default()).await.unwrap_err();
    assert_eq!(fault.code, Code::UnsupportedMediaType);
}

#[tokio::test]
async fn a_client_that_stalls_within_a_body_times_out() {
    let start = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"a start"))]);
    let body = Body::from_stream(futures::StreamExt::chain(start, stream::pending()));
    let limits = Limits { idle: Duration::from_millis(20), ..Limits::default() };
    let fault = body::read(&HeaderMap::new(), body, limits).await.unwrap_err();
    assert_eq!(fault.code, Code::Timeout);
}

#[tokio::test]
async fn who_counts_bytes_hears_of_them_as_they_are_decoded_and_may_refuse_the_rest() {
    let sent = telemetry(900_000);
    for (encoding, encoded) in [("identity", sent.clone()), ("gzip", gzip(&sent)), ("zstd", zstd(&sent))] {
        let mut heard = Vec::new();
        let mut hold = |bytes| {
            heard.push(bytes);
            if bytes > 300_000 { Err(Fault::new(Code::ServiceUnavailable, "no room")) } else { Ok(()) }
        };
        let body = pieces(&encoded, 10_000);
        let fault = body::read_held(&encoded_as(encoding), body, Limits::bytes(MIB), &mut hold).await.unwrap_err();
        assert_eq!(fault.code, Code::ServiceUnavailable, "{encoding}");
        assert!(
            heard.is_sorted() && heard.iter().filter(|bytes| **bytes > 300_000).count() == 1,
            "{encoding}: {heard:?}"
        );
    }
}

async fn measure(request: Request) -> Result<Data<usize>, ErrorResponse> {
    let (parts, body) = request.into_parts();
    Ok(Data(body::read(&parts.headers, body, Limits::bytes(MIB)).await?.len()))
}

async fn server() -> Server {
    Server::start(public(Router::new().route("/", post(measure)))).await
}

#[tokio::test]
async fn a_client_that_sends_too_much_gets_the_answer_and_not_a_broken_connection() {
    let server = server().await;
    let client = reqwest::Client::new();
    let zeros = vec![0; 3 * MIB];
    let stream = stream::iter((0..48).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![0; 64 << 10]))));
    let sent = [
        client.post(server.url("/")).body(zeros.clone()),
        client.post(server.url("/")).body(reqwest::Body::wrap_stream(stream)),
        client.post(server.url("/")).header("content-encoding", "gzip").body(gzip(&zeros)),
        client.post(server.url("/")).header("content-encoding", "zstd").body(zstd(&zeros)),
    ];
    for request in sent {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 413);
        assert_eq!(json(response).await["error"]["code"], "payload_too_large");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_declared_length_above_the_limit_is_refused_before_the_body_is_asked_for() {
    let server = server().await;
    let request = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n";
    let answer = server.raw(request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn a_connection_that_ends_within_a_body_is_an_invalid_body() {
    let (fault, seen) = tokio::sync::oneshot::channel();
    let fault = std::sync::Arc::new(std::sync::Mutex::new(Some(fault)));
    let handler = move |request: Request| async move {
        let (parts, body) = request.into_parts();
        let read = body::read(&parts.headers, body, Limits::default()).await;
        if let Some(fault) = fault.lock().unwrap().take() {
            fault.send(read.unwrap_err()).unwrap();
        }
    };
    let server = Server::start(Router::new().route("/", post(handler))).await;
    let mut tcp = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nshort";
    tokio::io::AsyncWriteExt::write_all(&mut tcp, request).await.unwrap();
    tokio::io::AsyncWriteExt::shutdown(&mut tcp).await.unwrap();
    assert_eq!(seen.await.unwrap().code, Code::InvalidRequestBody);
    server.stop().await;
}
