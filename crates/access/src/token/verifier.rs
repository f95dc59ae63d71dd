//! Checking tokens.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use spanlake_model::{MemberId, Role, TenantId, Timestamp};

use super::{Claims, Jwk, Jwks, NAME, TYPE, TokenError};

/// How far the clocks of two of our machines may differ.
const LEEWAY_S: i64 = 5;

/// What a good token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Who.
    pub member: MemberId,
    /// In which tenant.
    pub tenant: TenantId,
    /// As what.
    pub role: Role,
}

/// Checks tokens against a set of public keys.
pub struct Verifier {
    keys: HashMap<String, DecodingKey>,
    validation: Validation,
}

impl Verifier {
    /// Reads the keys of a JSON Web Key Set. Keys that are not Ed25519 signing keys are passed over.
    ///
    /// # Errors
    /// [`TokenError::Jwks`] when the text is not a key set.
    pub fn from_jwks(text: &str) -> Result<Self, TokenError> {
        let set: Jwks = serde_json::from_str(text).map_err(TokenError::Jwks)?;
        let keys = set.keys.into_iter().filter_map(|jwk| Some((jwk.kid.clone(), decoding_key(&jwk)?))).collect();
        Ok(Self { keys, validation: validation() })
    }
    /// What the token says, if all of it holds at `now`.
    ///
    /// # Errors
    /// [`TokenError`]; the signature is checked before anything inside is believed.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Verified, TokenError> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid("it does not read"))?;
        if header.alg != Algorithm::EdDSA || header.typ.as_deref() != Some(TYPE) || header.crit.is_some() {
            return Err(TokenError::Invalid("it is not an access token"));
        }
        let key = header.kid.and_then(|kid| self.keys.get(&kid)).ok_or(TokenError::UnknownKey)?;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &self.validation)
            .map_err(|_| TokenError::Invalid("its signature or a claim is wrong"))?
            .claims;
        check_times(&claims, now.as_secs())?;
        read(&claims).ok_or(TokenError::Invalid("a claim does not read"))
    }
}

/// The library reads the machine's clock; we read ours, so the times are checked in [`check_times`].
fn validation() -> Validation {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
    validation.set_audience(&[NAME]);
    validation.set_issuer(&[NAME]);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation
}

fn check_times(claims: &Claims, now_s: i64) -> Result<(), TokenError> {
    if claims.exp.saturating_add(LEEWAY_S) <= now_s {
        return Err(TokenError::Expired);
    }
    let latest = now_s.saturating_add(LEEWAY_S);
    if claims.nbf > latest || claims.iat > latest || claims.exp <= claims.iat {
        return Err(TokenError::Invalid("it is not valid yet"));
    }
    Ok(())
}

fn read(claims: &Claims) -> Option<Verified> {
    Some(Verified {
        member: claims.sub.parse().ok()?,
        tenant: claims.tid.parse().ok()?,
        role: Role::parse(&claims.role)?,
    })
}

/// The length is checked here because the library takes the first 32 bytes unseen and panics when there are fewer.
fn decoding_key(jwk: &Jwk) -> Option<DecodingKey> {
    let is_ours = jwk.kty == "OKP" && jwk.crv == "Ed25519" && jwk.alg == "EdDSA" && !jwk.kid.is_empty();
    let bytes = URL_SAFE_NO_PAD.decode(&jwk.x).ok()?;
    (is_ours && bytes.len() == 32).then(|| DecodingKey::from_ed_der(&bytes))
}
