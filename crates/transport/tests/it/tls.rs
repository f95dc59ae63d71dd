//! Mutual TLS between our services, with real certificates over real sockets.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use spanlake_model::{Fault, FaultKind};
use spanlake_proto::compactor::{self, Compacted, Compactor};
use spanlake_proto::internal::{Certificates, Files, InternalToken, Trust, connect};
use spanlake_testkit::Authority;
use spanlake_transport::listener;
use tonic::service::Routes;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use crate::support::Server;

/// The service that is called.
struct Idle;

#[async_trait]
impl Compactor for Idle {
    async fn run_once(&self) -> Result<Compacted, Fault> {
        Ok(Compacted::default())
    }
}

const HERE: &[&str] = &["IP:127.0.0.1"];

/// What a service has: a certificate that `signer` signed, and trust in what `trusted` signs.
fn files(trusted: &Authority, signer: &Authority, name: &str, hosts: &[&str]) -> Files {
    let (certificate, key) = signer.sign(name, hosts);
    Files { ca: trusted.certificate(), certificate, key }
}

fn trust(files: Files) -> Trust {
    Trust::Certificates(Certificates::read(files).unwrap())
}

async fn serve(files: Files) -> (Server, Certificates) {
    let certificates = Certificates::read(files).unwrap();
    let routes = routes(Trust::Certificates(certificates.clone()));
    let server = Server::start_as(routes, Some(certificates.clone()), listener::Config::default()).await;
    (server, certificates)
}

fn routes(trust: Trust) -> Router {
    Routes::new(compactor::service(Arc::new(Idle), trust)).into_axum_router()
}

async fn call(server: &Server, trust: &Trust) -> Result<Compacted, FaultKind> {
    let channel = connect(&server.address.to_string(), trust).unwrap();
    compactor::Client::new(channel, trust).run_once().await.map_err(|fault| fault.kind())
}

/// Connects as a client of tonic's own does, and makes one call.
async fn reaches(server: &Server, tls: ClientTlsConfig) -> bool {
    let endpoint = Endpoint::from_shared(format!("https://{}", server.address)).unwrap();
    // TLS 1.3 lets the client end first: that it was refused shows when it asks.
    let Ok(mut channel) = endpoint.tls_config(tls).unwrap().connect().await else { return false };
    let call = http::Request::post(format!("https://{}/any", server.address)).body(tonic::body::Body::empty()).unwrap();
    if futures::future::poll_fn(|context| tower::Service::poll_ready(&mut channel, context)).await.is_err() {
        return false;
    }
    tower::Service::call(&mut channel, call).await.is_ok()
}

fn pem(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[tokio::test]
async fn services_of_one_authority_reach_each_other() {
    let ours = Authority::new();
    let (server, _) = serve(files(&ours, &ours, "server", HERE)).await;
    assert_eq!(call(&server, &trust(files(&ours, &ours, "client", &["DNS:client"]))).await, Ok(Compacted::default()));
    server.stop().await;
}

#[tokio::test]
async fn a_caller_without_a_certificate_is_refused() {
    let ours = Authority::new();
    let (server, _) = serve(files(&ours, &ours, "server", HERE)).await;
    let bare = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem(&ours.certificate())));
    assert!(!reaches(&server, bare.clone()).await);
    let (certificate, key) = ours.sign("client", &["DNS:client"]);
    assert!(reaches(&server, bare.identity(Identity::from_pem(pem(&certificate), pem(&key)))).await);
    server.stop().await;
}

#[tokio::test]
async fn a_caller_whose_certificate_another_authority_signed_is_refused() {
    let (ours, foreign) = (Authority::new(), Authority::new());
    let (server, _) = serve(files(&ours, &ours, "server", HERE)).await;
    assert_eq!(
        call(&server, &trust(files(&ours, &foreign, "client", &["DNS:client"]))).await,
        Err(FaultKind::Unavailable)
    );
    server.stop().await;
}

#[tokio::test]
async fn a_server_whose_certificate_another_authority_signed_is_not_called() {
    let (ours, foreign) = (Authority::new(), Authority::new());
    // It would take our certificate; it is we who refuse.
    let (server, _) = serve(files(&ours, &foreign, "server", HERE)).await;
    assert_eq!(
        call(&server, &trust(files(&ours, &ours, "client", &["DNS:client"]))).await,
        Err(FaultKind::Unavailable)
    );
    server.stop().await;
}

#[tokio::test]
async fn a_server_with_the_name_of_another_is_not_called_until_its_renewed_certificate_is_read() {
    let ours = Authority::new();
    let (server, certificates) = serve(files(&ours, &ours, "server", &["DNS:elsewhere.example"])).await;
    let client = trust(files(&ours, &ours, "client", &["DNS:client"]));
    assert_eq!(call(&server, &client).await, Err(FaultKind::Unavailable));

    ours.sign("server", HERE);
    certificates.reload().unwrap();
    assert_eq!(call(&server, &client).await, Ok(Compacted::default()));
    server.stop().await;
}

#[tokio::test]
async fn certificates_that_cannot_be_read_again_leave_those_before_in_use() {
    let ours = Authority::new();
    let (server, certificates) = serve(files(&ours, &ours, "server", HERE)).await;
    let (_, key) = ours.sign("server", HERE);
    ours.sign("other", HERE);
    std::fs::copy(key.with_file_name("other.key"), &key).unwrap();
    assert!(certificates.reload().is_err(), "a key of another certificate");
    std::fs::write(key.with_extension("crt"), "half").unwrap();
    assert!(certificates.reload().unwrap_err().to_string().contains("server.crt"));
    assert_eq!(call(&server, &trust(files(&ours, &ours, "client", &["DNS:client"]))).await, Ok(Compacted::default()));
    server.stop().await;
}

#[tokio::test]
async fn plain_text_is_refused_by_both_ends() {
    let ours = Authority::new();
    let certificates = || trust(files(&ours, &ours, "server", HERE));
    let token = Trust::Token(InternalToken::new("a-token-of-this-test").unwrap());
    let (server, _) = serve(files(&ours, &ours, "server", HERE)).await;
    assert_eq!(call(&server, &token).await, Err(FaultKind::Unavailable));
    server.stop().await;

    // A listener that was opened without TLS by mistake.
    let server = Server::start(routes(certificates())).await;
    assert_eq!(
        call(&server, &token).await,
        Err(FaultKind::Unavailable),
        "the token opens nothing where there are certificates"
    );
    assert_eq!(call(&server, &certificates()).await, Err(FaultKind::Unavailable));
    server.stop().await;
}
