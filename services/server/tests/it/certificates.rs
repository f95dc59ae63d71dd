//! Five processes that know each other by certificates, and none that listens beyond this machine without.

use spanlake_model::FaultKind;
use spanlake_proto::auth::{Auth, Client};
use spanlake_proto::internal::{InternalToken, Trust, connect};
use spanlake_server::{Config, Outside, Role, start};
use spanlake_testkit::Authority;
use spanlake_transport::shutdown::Shutdown;

use crate::cluster::{Cluster, INTERNAL_TOKEN};
use crate::{exports, journey, people, visibility};

#[tokio::test]
async fn five_processes_with_certificates_do_what_five_with_a_token_do() {
    let authority = Authority::new();
    let cluster = Cluster::with_certificates(&authority).await;
    journey::a_run_sent_in_any_spelling_is_read_back_exactly(&cluster).await;
    visibility::an_acknowledged_span_is_in_the_next_answer(&cluster).await;
    exports::an_export_lies_in_files_that_add_up_with_the_api(&cluster).await;
    people::a_role_change_and_a_removal_bite_in_every_service(&cluster).await;
    let token = Trust::Token(InternalToken::new(INTERNAL_TOKEN).unwrap());
    for (role, base) in cluster.internal() {
        let stranger = Client::new(connect(&base, &token).unwrap(), &token);
        assert_eq!(stranger.jwks().await.unwrap_err().kind(), FaultKind::Unavailable, "{role} speaks TLS only");
    }
    cluster.stop().await;
}

#[tokio::test]
async fn a_role_without_certificates_listens_on_this_machine_only() {
    let config = |grpc: &str, ca: &str| {
        let mut config = Config { grpc: grpc.parse().unwrap(), ..Config::default() };
        config.internal_tls.ca = ca.into();
        config
    };
    let refused = async |config| {
        let shutdown = Shutdown::new(std::time::Duration::from_secs(1));
        let started = start(Role::Compactor, config, Outside::default(), shutdown).await;
        started.err().expect("it does not start").to_string()
    };
    for everywhere in ["0.0.0.0:0", "[::]:0", "10.0.0.7:0"] {
        let why = refused(config(everywhere, "")).await;
        assert!(why.contains("SPANLAKE_INTERNAL_TLS__CA") && why.contains(everywhere), "{why}");
    }
    let why = refused(config("127.0.0.1:0", "")).await;
    assert!(why.contains("SPANLAKE_INTERNAL_TOKEN"), "{why}");
    let why = refused(config("127.0.0.1:0", "ca.pem")).await;
    assert!(why.contains("certificate and key"), "{why}");
}
