//! Certificates of our services: one authority that signs all of them, and this process's own.
//!
//! Every connection asks for the certificates anew, so that renewed files count after [`Certificates::reload`] without a restart;
//! connections that are open go on as they are.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use tokio_rustls::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore, ServerConfig};

/// Where the certificates lie, as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The authority: whoever it signs for is one of our services, so it signs for nobody else.
    pub ca: PathBuf,
    /// This process's own certificate with what stands between it and the authority. It names the hosts that others call it by.
    pub certificate: PathBuf,
    /// The private key of the certificate.
    pub key: PathBuf,
}

/// Certificates that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// Not there, not readable, or not PEM.
    #[error("{} cannot be read as PEM: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// Read, and of no use.
    #[error("{} holds no certificate", .0.display())]
    Empty(PathBuf),
    /// An authority that cannot be one.
    #[error("the certificate authority cannot be used: {0}")]
    Authority(#[from] VerifierBuilderError),
    /// A certificate and key that do not belong together, for example.
    #[error("the certificate and its key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// The certificates as they were read last; cheap to clone, and all clones see a reload.
#[derive(Clone)]
pub struct Certificates {
    files: Arc<Files>,
    current: Arc<RwLock<Current>>,
}

#[derive(Clone)]
struct Current {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Certificates {
    /// Reads the files.
    ///
    /// # Errors
    /// When one is missing, or they do not fit together.
    pub fn read(files: Files) -> Result<Self, CertificateError> {
        let current = Arc::new(RwLock::new(Current::read(&files)?));
        Ok(Self { files: Arc::new(files), current })
    }

    /// Reads the files again, for the connections to come.
    ///
    /// # Errors
    /// As [`Self::read`]; what was read before stays in use.
    pub fn reload(&self) -> Result<(), CertificateError> {
        let read = Current::read(&self.files)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(())
    }

    /// For who is called: shows the certificate, and refuses callers whose own the authority did not sign.
    pub fn server(&self) -> Arc<ServerConfig> {
        self.current().server
    }

    /// For who calls: shows the certificate, and refuses servers whose own the authority did not sign for the host called.
    pub fn client(&self) -> Arc<ClientConfig> {
        self.current().client
    }

    fn current(&self) -> Current {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.fmt(f)
    }
}

impl Current {
    fn read(files: &Files) -> Result<Self, CertificateError> {
        let mut authority = RootCertStore::empty();
        for certificate in certificates(&files.ca)? {
            authority.add(certificate)?;
        }
        let authority = Arc::new(authority);
        let own = certificates(&files.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(unreadable(&files.key))?;
        let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());

        let callers = WebPkiClientVerifier::builder_with_provider(authority.clone(), provider.clone()).build()?;
        let server = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[&TLS13])?;
        let mut server = server.with_client_cert_verifier(callers).with_single_cert(own.clone(), key.clone_key())?;
        let client = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13])?;
        let mut client = client.with_root_certificates(authority).with_client_auth_cert(own, key)?;
        server.alpn_protocols = vec![b"h2".to_vec()];
        client.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self { server: Arc::new(server), client: Arc::new(client) })
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let read = CertificateDer::pem_file_iter(path).map_err(unreadable(path))?;
    let read: Vec<_> = read.collect::<Result<_, _>>().map_err(unreadable(path))?;
    if read.is_empty() { Err(CertificateError::Empty(path.to_owned())) } else { Ok(read) }
}

fn unreadable(path: &Path) -> impl Fn(pem::Error) -> CertificateError {
    move |source| CertificateError::Unreadable { path: path.to_owned(), source }
}
