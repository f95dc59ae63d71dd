//! The suite on S3: a server in this process, and the suite in another, which finds the server as a real one does, in the
//! usual `AWS_…` variables.

use std::process::Stdio;
use std::sync::Arc;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use spanlake_store::disk::LocalDisk;
use spanlake_store::{Config, Store};
use spanlake_testkit::TemporaryFolder;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::Mutex;

use super::every_promise;

pub(crate) const KEY: &str = "key";
pub(crate) const SECRET: &str = "secret";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_keeps_every_promise() {
    let folder = TemporaryFolder::new("s3");
    std::fs::create_dir(folder.path().join("bucket")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(serve(listener, service(&folder)));
    let suite = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "conformance::s3::the_suite_in_its_own_process", "--nocapture"])
        .env("AWS_ENDPOINT", endpoint)
        .envs([("AWS_ALLOW_HTTP", "true"), ("AWS_REGION", "us-east-1")])
        .envs([("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", SECRET)])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    server.abort();
    let said = String::from_utf8_lossy(&suite.stdout);
    assert!(suite.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&suite.stderr));
}

#[tokio::test]
#[ignore = "run by a_bucket_keeps_every_promise, which sets the variables"]
async fn the_suite_in_its_own_process() {
    let url = "s3://bucket/some/prefix".to_owned();
    every_promise(&Store::open(&Config { url }, Arc::new(LocalDisk)).unwrap()).await;
}

pub(crate) fn service(folder: &TemporaryFolder) -> S3Service {
    let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path()).unwrap());
    builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
    builder.build()
}

pub(crate) async fn serve(listener: TcpListener, service: S3Service) {
    // The server looks whether a name is taken and writes then; S3 does both at once, so changes take turns here.
    let turn = Arc::new(Mutex::new(()));
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let (service, turn) = (service.clone(), turn.clone());
        let answer = move |request: hyper::Request<hyper::body::Incoming>| {
            let (service, turn) = (service.clone(), turn.clone());
            async move {
                let is_read = matches!(*request.method(), hyper::Method::GET | hyper::Method::HEAD);
                let _turn = if is_read { None } else { Some(turn.lock().await) };
                service.call(request.map(s3s::Body::from)).await
            }
        };
        tokio::spawn(async move {
            let connection = Builder::new(TokioExecutor::new());
            // A client that goes away in the middle is not our concern.
            let _ = connection.serve_connection(TokioIo::new(socket), hyper::service::service_fn(answer)).await;
        });
    }
}
