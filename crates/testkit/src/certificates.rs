//! Certificates for a test, made by the `openssl` command.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::TemporaryFolder;

/// An authority that signs certificates for a test; its files are removed on drop.
pub struct Authority {
    folder: TemporaryFolder,
}

const KEY: [&str; 6] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256"];

impl Authority {
    /// A new one, which nobody trusts yet.
    pub fn new() -> Self {
        let authority = Self { folder: TemporaryFolder::new("authority") };
        let own = ["-subj", "/CN=authority of a test", "-addext", "keyUsage=critical,keyCertSign"];
        authority.make("ca", &own);
        authority
    }

    /// Its own certificate.
    pub fn certificate(&self) -> PathBuf {
        self.file("ca.crt")
    }

    /// A certificate for these hosts, as `DNS:name` or `IP:address`, and its key. One of the same name is replaced.
    pub fn sign(&self, name: &str, hosts: &[&str]) -> (PathBuf, PathBuf) {
        let (certificate, key) = (self.certificate(), self.file("ca.key"));
        let (subject, hosts) = (format!("/CN={name}"), format!("subjectAltName={}", hosts.join(",")));
        let signed = ["-CA", path(&certificate), "-CAkey", path(&key), "-subj", &subject, "-addext", &hosts];
        let uses =
            ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=serverAuth,clientAuth"];
        self.make(name, &[&signed[..], &uses].concat());
        (self.file(&format!("{name}.crt")), self.file(&format!("{name}.key")))
    }

    fn make(&self, name: &str, arguments: &[&str]) {
        let (certificate, key) = (self.file(&format!("{name}.crt")), self.file(&format!("{name}.key")));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-days", "2", "-out", path(&certificate), "-keyout", path(&key)])
            .args(KEY)
            .args(arguments)
            .output()
            .expect("the openssl command (3.0 or later) is installed");
        assert!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}
