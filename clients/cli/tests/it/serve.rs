//! Servers that say what a test wants them to.

use axum::Router;

use crate::desk::Desk;

/// A desk in front of `server`.
pub(crate) async fn before(server: Router) -> Desk {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, server).await });
    Desk::at(url)
}
