//! Making tokens.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use sha2::{Digest, Sha256};
use spanlake_model::{Clock, Entropy, MemberId, RequestId, Role, TenantId};

use super::{Claims, Jwk, NAME, TYPE, TokenError};
use crate::secret::SigningSeed;

/// Signs tokens. Only auth has one.
pub struct Issuer {
    key: EncodingKey,
    header: Header,
    public: Jwk,
    lifetime: Duration,
}

impl Issuer {
    /// Signs with the key of this seed, for this long.
    ///
    /// # Errors
    /// [`TokenError::Sign`] when the build cannot sign; found out here and not at the first login.
    pub fn new(seed: &SigningSeed, lifetime: Duration) -> Result<Self, TokenError> {
        let signing = SigningKey::from_bytes(seed.expose());
        let der = signing.to_pkcs8_der().expect("an Ed25519 key always has a PKCS #8 form");
        let public = public_key(&signing);
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(public.kid.clone());
        let issuer = Self { key: EncodingKey::from_ed_der(der.as_bytes()), header, public, lifetime };
        issuer.sign(&serde_json::Map::new())?;
        Ok(issuer)
    }
    /// A token for a member, valid from now.
    ///
    /// # Errors
    /// [`TokenError::Sign`].
    pub fn issue(
        &self,
        tenant: TenantId,
        member: MemberId,
        role: Role,
        clock: &dyn Clock,
        entropy: &dyn Entropy,
    ) -> Result<String, TokenError> {
        let now = clock.now();
        self.sign(&Claims {
            iss: NAME.to_owned(),
            aud: NAME.to_owned(),
            sub: member.to_string(),
            tid: tenant.to_string(),
            role: role.as_str().to_owned(),
            iat: now.as_secs(),
            nbf: now.as_secs(),
            exp: now.plus(self.lifetime).as_secs(),
            jti: RequestId::generate(clock, entropy).to_string(),
        })
    }
    /// How long its tokens are good for.
    pub const fn lifetime(&self) -> Duration {
        self.lifetime
    }
    /// What verifiers need.
    pub const fn public_key(&self) -> &Jwk {
        &self.public
    }
    fn sign(&self, claims: &impl serde::Serialize) -> Result<String, TokenError> {
        jsonwebtoken::encode(&self.header, claims, &self.key).map_err(TokenError::Sign)
    }
}

fn public_key(signing: &SigningKey) -> Jwk {
    let x = URL_SAFE_NO_PAD.encode(signing.verifying_key().as_bytes());
    // RFC 7638: the required members in alphabetical order, without spaces.
    let thumbprint = Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#));
    Jwk {
        kty: "OKP".to_owned(),
        crv: "Ed25519".to_owned(),
        alg: "EdDSA".to_owned(),
        usage: "sig".to_owned(),
        kid: URL_SAFE_NO_PAD.encode(thumbprint),
        x,
    }
}
