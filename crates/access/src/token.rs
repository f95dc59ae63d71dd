//! Access tokens: JWTs that auth signs and every service verifies by itself.
//!
//! ```text
//!   Issuer (auth) ──► token ──► Verifier (every service)
//!        └──────────► Jwks (JSON) ───┘
//! ```
//! The algorithm is Ed25519 and nothing else: what the header says is compared, never obeyed. Every claim is required.

mod issuer;
mod verifier;

pub use issuer::Issuer;
pub use verifier::{Verified, Verifier};

use serde::{Deserialize, Serialize};

/// What kind of JWT it is (RFC 9068), so that no other signed thing of ours can be passed off as one.
const TYPE: &str = "at+jwt";
/// Who issues and who accepts.
const NAME: &str = "spanlake";

/// The claims, all required. Times are seconds since the epoch.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    tid: String,
    role: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: String,
}

/// A JSON Web Key Set of Ed25519 public keys (RFC 7517, RFC 8037).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Jwks {
    /// The keys. Several while one takes over from another.
    pub keys: Vec<Jwk>,
}

/// One public key. Fields that we do not know are ignored, so is a key of another type.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Jwk {
    /// `OKP`.
    pub kty: String,
    /// `Ed25519`.
    #[serde(default)]
    pub crv: String,
    /// `EdDSA`.
    #[serde(default)]
    pub alg: String,
    /// `sig`.
    #[serde(default, rename = "use")]
    pub usage: String,
    /// The key's RFC 7638 thumbprint, which tokens name in their header.
    #[serde(default)]
    pub kid: String,
    /// The public key, in unpadded base64url.
    #[serde(default)]
    pub x: String,
}

impl Jwks {
    /// As served.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings always serialise")
    }
}

/// Why a token was not made or not accepted.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The key set does not read.
    #[error("the JSON Web Key Set does not read")]
    Jwks(#[source] serde_json::Error),
    /// It names a key that this verifier does not have; a newer key set may.
    #[error("the token is signed with an unknown key")]
    UnknownKey,
    /// It was good once.
    #[error("the token has expired")]
    Expired,
    /// It was never good: altered, not ours, for something else, or not yet valid.
    #[error("the token is not valid: {0}")]
    Invalid(&'static str),
    /// Signing failed: the build lacks its cryptography.
    #[error("a token cannot be signed")]
    Sign(#[source] jsonwebtoken::errors::Error),
}

#[cfg(test)]
mod tests;
