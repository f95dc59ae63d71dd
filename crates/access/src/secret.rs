//! The one secret of an installation, and what is derived from it.
//!
//! Nothing here is stored: whoever has the catalog and not the master secret can neither check a guessed key nor sign a token.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;

/// The pepper that new keys are hashed with. Older ones stay derivable for as long as a row names them.
pub const PEPPER_VERSION: u32 = 1;

/// Thirty-two bytes at the least.
const BYTES_MIN: usize = 32;

/// Text that cannot be a master secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the master secret must be at least 32 random bytes, as hex or base64; `openssl rand -hex 32` makes one")]
pub struct SecretError;

/// The one secret of an installation. Prints as `***` and is wiped when dropped.
#[derive(Clone)]
pub struct MasterSecret(SecretSlice<u8>);

/// What keys are hashed with. Prints as `***`.
#[derive(Clone)]
pub struct Pepper(SecretSlice<u8>);

/// What an Ed25519 signing key is made of. Prints as `***`.
#[derive(Clone)]
pub struct SigningSeed(SecretSlice<u8>);

impl MasterSecret {
    /// Reads hex, or base64 in either alphabet, with or without padding.
    ///
    /// # Errors
    /// When it is neither, or shorter than 32 bytes.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let text = text.trim();
        let bytes =
            hex::decode(text).or_else(|_| decode_base64(text.trim_end_matches('='))).map_err(|_| SecretError)?;
        Self::from_bytes(bytes)
    }
    /// Takes the bytes themselves.
    ///
    /// # Errors
    /// When there are fewer than 32.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, SecretError> {
        if bytes.len() < BYTES_MIN {
            return Err(SecretError);
        }
        Ok(Self(bytes.into()))
    }
    /// The pepper of this version.
    pub fn pepper(&self, version: u32) -> Pepper {
        Pepper(self.derive("key-pepper", version))
    }
    /// The seed of the signing key of this version.
    pub fn signing_seed(&self, version: u32) -> SigningSeed {
        SigningSeed(self.derive("token-signing", version))
    }
    /// What [`crate::seal`] seals with.
    pub(crate) fn sealing_key(&self) -> Vec<u8> {
        self.derive("sealing", 1).expose_secret().to_vec()
    }
    /// HMAC-SHA-256 is a pseudo-random function of the purpose: knowing one output tells nothing of another.
    fn derive(&self, purpose: &str, version: u32) -> SecretSlice<u8> {
        hmac(self.0.expose_secret(), format!("spanlake/{purpose}/{version}").as_bytes()).to_vec().into()
    }
}

fn decode_base64(text: &str) -> Result<Vec<u8>, base64::DecodeError> {
    STANDARD_NO_PAD.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text))
}

pub(crate) fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

impl Pepper {
    pub(crate) fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

impl SigningSeed {
    pub(crate) fn expose(&self) -> &[u8; 32] {
        self.0.expose_secret().try_into().expect("HMAC-SHA-256 gives 32 bytes")
    }
}

macro_rules! prints_as_stars {
    ($($name:ident)*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("***")
            }
        }
    )*};
}
prints_as_stars!(MasterSecret Pepper SigningSeed);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_and_base64_of_the_same_bytes_are_the_same_secret() {
        let bytes: Vec<u8> = (0..33_u8).map(|n| 200_u8.wrapping_add(n * 7)).collect();
        let pepper = |text: &str| MasterSecret::parse(text).unwrap().pepper(1).expose().to_vec();
        let from_hex = pepper(&hex::encode(&bytes));
        assert_eq!(from_hex, pepper(&STANDARD_NO_PAD.encode(&bytes)));
        assert_eq!(from_hex, pepper(&format!("{}\n", base64::engine::general_purpose::URL_SAFE.encode(&bytes))));
    }

    #[test]
    fn a_short_secret_is_refused() {
        assert_eq!(MasterSecret::parse(&"ab".repeat(31)).err(), Some(SecretError));
        assert_eq!(MasterSecret::parse("change me").err(), Some(SecretError));
        assert_eq!(MasterSecret::parse("").err(), Some(SecretError));
    }

    #[test]
    fn no_purpose_or_version_shares_its_secret_with_another() {
        let secret = MasterSecret::from_bytes(vec![1; 32]).unwrap();
        let derived = [
            secret.pepper(1).expose().to_vec(),
            secret.pepper(2).expose().to_vec(),
            secret.signing_seed(1).expose().to_vec(),
            secret.signing_seed(2).expose().to_vec(),
        ];
        for (at, one) in derived.iter().enumerate() {
            assert!(derived[at + 1..].iter().all(|other| other != one));
        }
    }

    #[test]
    fn a_secret_prints_as_stars() {
        let secret = MasterSecret::from_bytes(vec![77; 32]).unwrap();
        assert_eq!(format!("{secret:?} {:?} {:?}", secret.pepper(1), secret.signing_seed(1)), "*** *** ***");
    }
}
