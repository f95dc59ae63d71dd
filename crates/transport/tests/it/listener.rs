use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use futures::stream;
use spanlake_transport::listener::{Config, Listener};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tower::{Service, ServiceExt};

use crate::support::{PATIENCE, Server};

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

fn impatient() -> Config {
    Config {
        header_timeout: Duration::from_millis(200),
        write_timeout: Duration::from_millis(200),
        drain_deadline: Duration::from_millis(200),
        ..Config::default()
    }
}

#[tokio::test]
async fn a_client_that_stalls_before_its_headers_end_is_closed() {
    let server = Server::start_with(hello(), impatient()).await;
    for stalled in ["", "P", "PRI * HTTP/2.0\r\n", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\n"] {
        assert_eq!(server.raw(stalled.as_bytes()).await, "", "{stalled:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_answer() {
    let server = Server::start_with(hello(), impatient()).await;
    let answer = server.raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("hello"), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn headers_above_sixteen_kibibytes_are_refused() {
    let server = Server::start(hello()).await;
    for (kibibytes, expected) in [(8, 200), (17, 431), (200, 431)] {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Long: {}\r\n\r\n",
            "x".repeat(kibibytes << 10)
        );
        let answer = server.raw(request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{kibibytes} KiB: {answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn http_2_is_spoken_with_prior_knowledge() {
    let server = Server::start(hello()).await;
    let mut channel = h2c(&server).await;
    let request = http::Request::get(server.url("/")).body(tonic::body::Body::empty()).unwrap();
    let response = channel.ready().await.unwrap().call(request).await.unwrap();
    assert_eq!((response.status(), response.version()), (http::StatusCode::OK, http::Version::HTTP_2));
    drop((channel, response));
    server.stop().await;
}

async fn h2c(server: &Server) -> tonic::transport::Channel {
    tonic::transport::Endpoint::from_shared(server.url("")).unwrap().connect().await.unwrap()
}

/// A route that says when it was entered, waits to be released, and notes when it is dropped unfinished.
struct Held {
    entered: Arc<Notify>,
    release: Arc<Notify>,
    dropped: Arc<AtomicBool>,
    router: Router,
}

struct OnDrop(Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn held() -> Held {
    let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let dropped = Arc::new(AtomicBool::new(false));
    let (in_entered, in_release, in_dropped) = (Arc::clone(&entered), Arc::clone(&release), Arc::clone(&dropped));
    let handler = move || {
        let (entered, release) = (Arc::clone(&in_entered), Arc::clone(&in_release));
        let guard = OnDrop(Arc::clone(&in_dropped));
        async move {
            entered.notify_one();
            release.notified().await;
            drop(guard);
            "finished"
        }
    };
    Held { entered, release, dropped, router: Router::new().route("/", get(handler)) }
}

/// Waits until connecting is refused.
async fn refused(address: std::net::SocketAddr) {
    let refusal = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await
        }
    };
    tokio::time::timeout(PATIENCE, refusal).await.expect("new connections are refused");
}

#[tokio::test]
async fn a_drain_lets_a_running_request_finish_and_refuses_new_connections() {
    let held = held();
    let server = Server::start(held.router).await;
    let running = tokio::spawn(reqwest::get(server.url("/")));
    held.entered.notified().await;
    server.shutdown.cancel();
    refused(server.address).await;
    assert!(!server.task.is_finished());
    held.release.notify_one();
    assert_eq!(running.await.unwrap().unwrap().text().await.unwrap(), "finished");
    server.stop().await;
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_a_drain() {
    let server = Server::start(hello()).await;
    let client = reqwest::Client::new();
    assert_eq!(client.get(server.url("/")).send().await.unwrap().text().await.unwrap(), "hello");
    let opened = TcpStream::connect(server.address).await.unwrap();
    let channel = h2c(&server).await;
    server.stop().await;
    drop((client, opened, channel));
}

#[tokio::test]
async fn the_drain_deadline_cuts_what_is_still_running() {
    let held = held();
    let server = Server::start_with(held.router, impatient()).await;
    let one = tokio::spawn(reqwest::get(server.url("/")));
    held.entered.notified().await;
    server.stop().await;
    assert!(one.await.unwrap().is_err());
    assert!(held.dropped.load(Ordering::SeqCst));
}

#[tokio::test]
async fn the_drain_deadline_cuts_http_2_streams_too() {
    let held = held();
    let server = Server::start_with(held.router, impatient()).await;
    let mut channel = h2c(&server).await;
    let request = http::Request::get(server.url("/")).body(tonic::body::Body::empty()).unwrap();
    let running = tokio::spawn(channel.ready().await.unwrap().call(request));
    held.entered.notified().await;
    server.stop().await;
    assert!(running.await.unwrap().is_err());
    assert!(held.dropped.load(Ordering::SeqCst));
}

#[tokio::test]
async fn at_the_bound_a_new_connection_waits_until_one_ends() {
    let server = Server::start_with(hello(), Config { connections_max: 1, ..Config::default() }).await;
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(request).await.unwrap();
    first.read_exact(&mut [0; 12]).await.unwrap();
    let mut second = TcpStream::connect(server.address).await.unwrap();
    second.write_all(request).await.unwrap();
    let mut start = [0; 12];
    let early = tokio::time::timeout(Duration::from_millis(200), second.read_exact(&mut start)).await;
    assert!(early.is_err(), "answered beyond the bound");
    drop(first);
    tokio::time::timeout(PATIENCE, second.read_exact(&mut start)).await.expect("served in its turn").unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    drop(second);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_stops_reading_is_cut() {
    let gone = Arc::new(Notify::new());
    struct Tell(Arc<Notify>);
    impl Drop for Tell {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    let told = Arc::clone(&gone);
    let endless = move || {
        let guard = Tell(Arc::clone(&told));
        async move {
            let chunk = Bytes::from(vec![0; 64 << 10]);
            let chunks = stream::repeat_with(move || {
                let _held = &guard;
                Ok::<_, std::convert::Infallible>(chunk.clone())
            });
            Body::from_stream(chunks)
        }
    };
    let server = Server::start_with(Router::new().route("/", get(endless)), impatient()).await;
    let mut tcp = TcpStream::connect(server.address).await.unwrap();
    tcp.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    tokio::time::timeout(PATIENCE, gone.notified()).await.expect("the answer is given up");
    server.stop().await;
}

#[tokio::test]
async fn an_address_that_is_taken_is_reported_with_the_option_to_change() {
    let taken = Listener { name: "--http", address: ([127, 0, 0, 1], 0).into() }.bind().await.unwrap();
    let address = taken.local_addr().unwrap();
    let error = Listener { name: "--http", address }.bind().await.unwrap_err();
    let expected = format!("cannot listen on {address} (--http): address in use; choose another with --http");
    assert_eq!(error.to_string(), expected);
}
