//! A TLS connection to another service, made with the certificates as they are at that moment.

use std::io;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

use super::{Certificates, unbracketed};

pub(super) async fn dial(uri: Uri, certificates: Certificates) -> io::Result<TokioIo<TlsStream<TcpStream>>> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidInput, format!("'{uri}' names no host and port"));
    let (host, port) = (uri.host().ok_or_else(wrong)?, uri.port_u16().ok_or_else(wrong)?);
    let host = unbracketed(host).to_owned();
    let tcp = TcpStream::connect((host.as_str(), port)).await?;
    tcp.set_nodelay(true)?;
    let name = ServerName::try_from(host).map_err(|_| wrong())?;
    let tls = TlsConnector::from(certificates.client()).connect(name, tcp).await;
    // To the caller a peer with a wrong certificate is one that is away; who operates us has to know the difference.
    let tls = tls.inspect_err(|error| tracing::warn!(%error, peer.address = %uri, "TLS with a service failed"))?;
    Ok(TokioIo::new(tls))
}
