//! A client that goes away.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use spanlake_engine::{Config as EngineConfig, Engine};
use spanlake_model::Fault;
use spanlake_proto::ingest::{Fresh, FreshRequest, FreshSource};
use spanlake_query::{Config, routes};
use spanlake_transport::listener;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::face::{Noon, gate, key_of, service_over};
use crate::world::{World, fresh, span, tenant};

/// A writer that never answers, so that a query runs until somebody ends it.
struct Silent;

#[async_trait]
impl FreshSource for Silent {
    async fn fresh(&self, _: &str, _: FreshRequest) -> Result<Fresh, Fault> {
        std::future::pending().await
    }
}

async fn until_running(engine: &Engine, count: usize) {
    let running = async {
        while engine.queries_running() != count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(2), running).await.unwrap();
}

#[tokio::test]
async fn the_query_of_a_client_that_went_away_ends() {
    let world = World::new();
    world.writer(0, vec![fresh(tenant(1), &[span(1, 1, 0)], &[])]);
    let pieces = (world.clone(), Arc::new(Silent), world.clone(), Arc::new(Noon));
    let engine = Arc::new(Engine::new(pieces.0, pieces.1, pieces.2, pieces.3, EngineConfig::default()).unwrap());
    let service = service_over(engine.clone(), &world, Config::default());
    let (router, _) = routes(Arc::new(service), gate()).split();
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (tcp.local_addr().unwrap(), CancellationToken::new());
    let served = tokio::spawn(listener::serve(tcp, router, None, listener::Config::default(), stop.clone()));
    let mut client = TcpStream::connect(address).await.unwrap();
    let asked =
        format!("GET /v1/metrics HTTP/1.1\r\nhost: here\r\nauthorization: Bearer {}\r\n\r\n", key_of([1, 1, 0]));
    client.write_all(asked.as_bytes()).await.unwrap();
    until_running(&engine, 1).await;
    drop(client);
    until_running(&engine, 0).await;
    stop.cancel();
    served.await.unwrap().unwrap();
}
