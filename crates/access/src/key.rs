//! API keys: their text, their checksum, their hash.
//!
//! ```text
//!   aos_ws_0Bq…22…Zk_8sJ…43…pQ1aB2c3
//!   └──┬──┘└───┬───┘ └───┬───┘└──┬─┘
//!    kind   public id  secret  checksum
//! ```
//! - kind: `aos_ws_` for a whole tenant, `aos_agent_` for one agent.
//! - public id: the sixteen bytes of the [`KeyId`] as one big-endian number in 22 base-62 digits (`0-9A-Za-z`).
//! - secret: 256 random bits, likewise, in 43 digits.
//! - checksum: CRC-32C of everything before it, in 6 digits. A typo costs no look-up, and a scanner of leaked secrets
//!   matches `aos_(ws|agent)_[0-9A-Za-z]{22}_[0-9A-Za-z]{49}` and has no false alarms.
//!
//! 256 bits cannot be guessed, so an ordinary keyed hash is enough at rest (ASVS 5.0, 6.5.2); a slow one would let
//! strangers burn our processors.

use spanlake_model::{Entropy, KeyId};
use subtle::ConstantTimeEq;

use crate::base62;
use crate::secret::{self, Pepper};

const ID_DIGITS: usize = 22;
const SECRET_DIGITS: usize = 43;
const CHECKSUM_DIGITS: usize = 6;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole tenant.
    Workspace,
    /// One agent.
    Agent,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Workspace, Self::Agent];

    /// As written in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::Agent => "agent",
        }
    }
    const fn prefix(self) -> &'static str {
        match self {
            Self::Workspace => "aos_ws_",
            Self::Agent => "aos_agent_",
        }
    }
}

/// What a key says of itself. It is well-formed; whether it is known, and its secret right, only auth can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParsedKey {
    /// What it is for.
    pub kind: Kind,
    /// Its public id.
    pub id: KeyId,
}

/// Text that is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It does not have the shape of one.
    #[error("this is not a key; keys begin with aos_ws_ or aos_agent_")]
    Shape,
    /// It was mistyped, or cut off.
    #[error("the key's checksum does not match: it is mistyped or cut off; copy it again")]
    Checksum,
}

/// Makes the text of a new key.
pub fn generate(kind: Kind, id: KeyId, entropy: &dyn Entropy) -> String {
    let mut secret = [0; 32];
    entropy.fill(&mut secret);
    let body = format!("{}_{}", public_part(kind, id), base62::encode(secret, SECRET_DIGITS));
    let checksum = checksum(&body);
    body + &checksum
}

/// The part of a key that may be shown: its kind and its public id.
pub fn public_part(kind: Kind, id: KeyId) -> String {
    format!("{}{}", kind.prefix(), base62::encode(*id.as_bytes(), ID_DIGITS))
}

/// The last four characters, for recognising a key in a list.
pub fn last4(text: &str) -> &str {
    text.get(text.len().saturating_sub(4)..).unwrap_or_default()
}

/// The user name that goes with a key in `Basic` authentication, as Langfuse clients send it.
pub fn basic_user(id: KeyId) -> String {
    format!("pk-lf-{id}")
}

/// Whether `text` claims to be a key.
pub(crate) fn looks_like_one(text: &str) -> bool {
    text.starts_with("aos_")
}

/// Reads what a key says of itself, the checksum first.
///
/// # Errors
/// [`KeyError`]; nothing needs to be asked of anyone to know.
pub fn parse(text: &str) -> Result<ParsedKey, KeyError> {
    let kind = Kind::ALL.into_iter().find(|kind| text.starts_with(kind.prefix())).ok_or(KeyError::Shape)?;
    let prefix = kind.prefix().len();
    if !text.is_ascii() || text.len() != prefix + ID_DIGITS + 1 + SECRET_DIGITS + CHECKSUM_DIGITS {
        return Err(KeyError::Checksum);
    }
    let (body, sent) = text.split_at(text.len() - CHECKSUM_DIGITS);
    if checksum(body) != sent {
        return Err(KeyError::Checksum);
    }
    let (id, secret) = body[prefix..].split_at(ID_DIGITS);
    let secret = secret.strip_prefix('_').filter(|secret| base62::is_digits(secret)).ok_or(KeyError::Shape);
    let id = base62::decode(id).ok_or(KeyError::Shape);
    secret.and(id).map(|id| ParsedKey { kind, id: KeyId::from_bytes(id.to_be_bytes()) })
}

fn checksum(body: &str) -> String {
    base62::encode(crc32c::crc32c(body.as_bytes()).to_be_bytes(), CHECKSUM_DIGITS)
}

/// What is stored of a key: HMAC-SHA-256 of its whole text.
pub fn hash(pepper: &Pepper, text: &str) -> [u8; 32] {
    secret::hmac(pepper.expose(), text.as_bytes())
}

/// Whether two hashes are equal, in a time that does not tell where they differ.
pub fn hashes_match(stored: &[u8], computed: &[u8; 32]) -> bool {
    stored.ct_eq(computed).into()
}

#[cfg(test)]
mod tests {
    use spanlake_model::SystemEntropy;

    use super::*;
    use crate::secret::MasterSecret;

    fn id() -> KeyId {
        "0199aaaa-bbbb-7ccc-8ddd-eeeeffff0001".parse().unwrap()
    }

    #[test]
    fn a_key_says_its_kind_and_its_id() {
        for kind in Kind::ALL {
            let text = generate(kind, id(), &SystemEntropy);
            assert_eq!(parse(&text), Ok(ParsedKey { kind, id: id() }));
            assert_eq!(text.len(), kind.prefix().len() + 72);
            assert!(text.starts_with(&public_part(kind, id())));
        }
    }

    #[test]
    fn a_key_of_the_first_release_reads_for_ever() {
        struct Always;
        impl Entropy for Always {
            fn fill(&self, bytes: &mut [u8]) {
                bytes.fill(0x5a);
            }
        }
        let text = "aos_ws_031DWisao85TUcXOexoyIL_LQNUGZHT5u543eF8cvF8tKdPlcVkNSYQAq1KIqZ6f743Kmvop";
        assert_eq!(generate(Kind::Workspace, id(), &Always), text);
        assert_eq!(parse(text), Ok(ParsedKey { kind: Kind::Workspace, id: id() }));
    }

    #[test]
    fn one_wrong_character_anywhere_is_a_wrong_checksum() {
        let text = generate(Kind::Agent, id(), &SystemEntropy);
        for at in "aos_agent_".len()..text.len() {
            let mut typo = text.clone().into_bytes();
            typo[at] = if typo[at] == b'x' { b'y' } else { b'x' };
            assert_eq!(parse(std::str::from_utf8(&typo).unwrap()), Err(KeyError::Checksum), "at {at}");
        }
        assert_eq!(parse(&text[..text.len() - 1]), Err(KeyError::Checksum));
        assert_eq!(parse(&format!("{text}x")), Err(KeyError::Checksum));
        assert_eq!(parse(&text.replace("aos_agent_", "aos_agent_é")), Err(KeyError::Checksum));
    }

    #[test]
    fn a_right_checksum_over_nonsense_is_refused() {
        let sealed = |body: String| format!("{body}{}", checksum(&body));
        let secret = "a".repeat(43);
        assert_eq!(parse(&sealed(format!("aos_ws_{}_{secret}", "z".repeat(22)))), Err(KeyError::Shape));
        assert_eq!(parse(&sealed(format!("aos_ws_{}_{}", "0".repeat(22), "/".repeat(43)))), Err(KeyError::Shape));
        assert_eq!(parse("sk-lf-1"), Err(KeyError::Shape));
        assert_eq!(parse(""), Err(KeyError::Shape));
    }

    #[test]
    fn a_hash_is_of_one_key_and_one_pepper() {
        let secret = MasterSecret::from_bytes(vec![9; 32]).unwrap();
        let hashed = hash(&secret.pepper(1), "one");
        assert!(hashes_match(&hashed, &hash(&secret.pepper(1), "one")));
        assert!(!hashes_match(&hashed, &hash(&secret.pepper(1), "two")));
        assert!(!hashes_match(&hashed, &hash(&secret.pepper(2), "one")));
        assert!(!hashes_match(&[], &hashed));
    }
}
