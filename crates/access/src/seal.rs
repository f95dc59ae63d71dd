//! Keeping what others entrusted to us: sealed with a key that is not in the catalog.

use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use spanlake_model::Entropy;

use crate::secret::{MasterSecret, SecretError};

/// The first byte of whatever is sealed.
const VERSION: u8 = 1;

/// Seals and opens. Prints as `***`.
#[derive(Clone)]
pub struct SealingKey(std::sync::Arc<LessSafeKey>);

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl SealingKey {
    /// Of a text as [`MasterSecret::parse`] reads it.
    ///
    /// # Errors
    /// When it is no such text.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let key = MasterSecret::parse(text)?.sealing_key();
        let key = UnboundKey::new(&AES_256_GCM, &key).expect("32 bytes are a key of AES-256");
        Ok(Self(std::sync::Arc::new(LessSafeKey::new(key))))
    }

    /// Sealed `text`, which opens only together with the same `place`. The nonce is random: good for four thousand million texts.
    pub fn seal(&self, text: &[u8], place: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let mut sealed = text.to_vec();
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place), &mut sealed)
            .expect("texts are far below 64 gigabytes");
        [&[VERSION][..], &nonce, &sealed].concat()
    }

    /// What was sealed; `None` when the key or the place is another, or a bit has changed.
    pub fn open(&self, sealed: &[u8], place: &[u8]) -> Option<Vec<u8>> {
        let (version, rest) = sealed.split_first()?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>()?;
        if *version != VERSION {
            return None;
        }
        let mut text = text.to_vec();
        let opened = self.0.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(place), &mut text).ok()?;
        Some(opened.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spanlake_model::SystemEntropy;

    #[test]
    fn what_is_sealed_opens_with_its_key_in_its_place_and_unchanged() {
        let key = |digit: &str| SealingKey::parse(&digit.repeat(64)).unwrap();
        let sealed = key("1").seal(b"secret", b"here", &SystemEntropy);
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        assert_eq!(key("1").open(&sealed, b"here").unwrap(), b"secret");
        assert_eq!(key("2").open(&sealed, b"here"), None);
        assert_eq!(key("1").open(&sealed, b"there"), None);
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key("1").open(&changed, b"here"), None, "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert_eq!(key("1").open(&sealed[..length], b"here"), None);
        }
        assert_ne!(sealed, key("1").seal(b"secret", b"here", &SystemEntropy), "never twice the same");
        assert_eq!(format!("{:?}", key("1")), "***");
    }
}
