//! What a request presents: a key or a token, in whichever way its client sends it.
//!
//! ```text
//!   Authorization: Bearer aos_…          ┐
//!   Authorization: aos_…                 ├─► Key
//!   Authorization: Basic base64(pk-lf-<key id>:aos_…) ┘
//!   Authorization: Bearer <JWT>, <JWT>   ──► Token
//! ```

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use spanlake_model::{Code, Fault};
use spanlake_proto::auth::PresentedKey;
use subtle::ConstantTimeEq;

use crate::key::{self, ParsedKey};

/// Longer than any credential of ours by far.
const CREDENTIAL_BYTES_MAX: usize = 4_096;

/// What a request presents; not verified yet.
#[derive(Clone)]
pub enum Presented {
    /// A key whose checksum is right.
    Key(ParsedKey, PresentedKey),
    /// What may be an access token.
    Token(String),
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(parsed, _) => f.debug_tuple("Key").field(parsed).finish(),
            Self::Token(_) => f.write_str("Token(***)"),
        }
    }
}

/// Reads the credential out of the headers.
///
/// # Errors
/// `unauthenticated`, with how to send one: when there is none, more than one, or nothing that could be ours.
pub fn read(headers: &HeaderMap) -> Result<Presented, Fault> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or_else(missing)?;
    if values.next().is_some() {
        return Err(refused("Send one 'Authorization' header, not several."));
    }
    let value = value.to_str().map_err(|_| unreadable())?;
    if value.len() > CREDENTIAL_BYTES_MAX {
        return Err(unreadable());
    }
    let value = percent_decoded(value.trim()).ok_or_else(unreadable)?;
    match value.split_once(char::is_whitespace) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => bare(rest.trim()),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("basic") => basic(rest.trim()),
        Some(_) => Err(unreadable()),
        None if value.is_empty() => Err(missing()),
        None => bare(&value),
    }
}

/// A key or a token without a scheme before it.
fn bare(text: &str) -> Result<Presented, Fault> {
    if key::looks_like_one(text) {
        return read_key(text).map(|parsed| Presented::Key(parsed, PresentedKey::new(text)));
    }
    if text.split('.').count() == 3 {
        return Ok(Presented::Token(text.to_owned()));
    }
    Err(unreadable())
}

/// Langfuse clients send a public key as user and a secret key as password.
fn basic(encoded: &str) -> Result<Presented, Fault> {
    let decoded = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let pair = decoded.as_deref().and_then(|pair| pair.split_once(':'));
    let (user, password) = pair
        .ok_or_else(|| refused("'Authorization: Basic' must be followed by base64 of '<public key>:<secret key>'."))?;
    let parsed = read_key(password)?;
    if !bool::from(key::basic_user(parsed.id).as_bytes().ct_eq(user.as_bytes())) {
        return Err(refused("The public key and the secret key do not belong together."));
    }
    Ok(Presented::Key(parsed, PresentedKey::new(password)))
}

fn read_key(text: &str) -> Result<ParsedKey, Fault> {
    key::parse(text).map_err(|error| refused(format!("The credential is refused: {error}.")))
}

/// Some exporters send `OTEL_EXPORTER_OTLP_HEADERS` as it was written for a URL: `Bearer%20aos_…`. No credential of
/// ours holds a `%`, so decoding once is safe; twice would be a guess.
fn percent_decoded(value: &str) -> Option<String> {
    if !value.contains('%') {
        return Some(value.to_owned());
    }
    let mut decoded = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            decoded.push(*first);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2)?;
        decoded.extend(hex::decode(digits).ok()?);
        rest = tail;
    }
    String::from_utf8(decoded).ok()
}

fn missing() -> Fault {
    refused("No credential was sent. Send your key as 'Authorization: Bearer <key>'.")
}

fn unreadable() -> Fault {
    refused("The 'Authorization' header holds neither a key nor a token. Send 'Authorization: Bearer <key or token>'.")
}

fn refused(message: impl Into<std::borrow::Cow<'static, str>>) -> Fault {
    Fault::new(Code::Unauthenticated, message)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use spanlake_model::{KeyId, SystemEntropy};

    use super::*;
    use crate::key::Kind;

    fn id() -> KeyId {
        KeyId::from_bytes([3; 16])
    }
    fn a_key() -> String {
        key::generate(Kind::Workspace, id(), &SystemEntropy)
    }
    fn with(value: &str) -> Result<Presented, Fault> {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_str(value).unwrap());
        read(&headers)
    }
    fn key_of(presented: Result<Presented, Fault>) -> String {
        match presented.unwrap() {
            Presented::Key(parsed, text) => {
                assert_eq!(parsed.id, id());
                text.expose().to_owned()
            }
            Presented::Token(_) => panic!("read as a token"),
        }
    }
    fn basic_of(user: &str, password: &str) -> String {
        format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
    }

    #[test]
    fn every_way_to_send_a_key_is_read() {
        let key = a_key();
        for value in [
            key.clone(),
            format!("Bearer {key}"),
            format!("bearer  {key} "),
            format!("BEARER {key}"),
            format!("Bearer%20{key}"),
            basic_of(&format!("pk-lf-{}", id()), &key),
            basic_of(&format!("pk-lf-{}", id()), &key).replace("Basic ", "basic%20").replace('=', "%3D"),
        ] {
            assert_eq!(key_of(with(&value)), key, "{value}");
        }
    }

    #[test]
    fn a_token_is_told_from_a_key_by_its_shape() {
        assert!(matches!(with("Bearer a.b.c"), Ok(Presented::Token(token)) if token == "a.b.c"));
        assert!(matches!(with("a.b.c"), Ok(Presented::Token(_))));
    }

    #[test]
    fn a_public_key_of_another_key_is_refused() {
        let other = KeyId::from_bytes([4; 16]);
        assert!(with(&basic_of(&format!("pk-lf-{other}"), &a_key())).is_err());
        assert!(with(&basic_of("", &a_key())).is_err());
    }

    #[test]
    fn what_is_no_credential_is_told_how_to_send_one() {
        let none = read(&HeaderMap::new()).unwrap_err();
        assert_eq!(none.code, Code::Unauthenticated);
        assert!(none.message.contains("Authorization: Bearer"));
        let typo = with(&format!("Bearer {}x", a_key())).unwrap_err();
        assert!(typo.message.contains("mistyped"), "{typo}");
        for value in
            ["", "Bearer", "Bearer ", "hunter2", "Digest a.b.c", "Basic !!", "Basic Og==", "Bearer%2", "%ff.%ff.%ff"]
        {
            assert_eq!(with(value).unwrap_err().code, Code::Unauthenticated, "{value}");
        }
        assert!(with(&format!("Bearer {}", "a.".repeat(3_000))).is_err());
    }

    #[test]
    fn a_doubly_encoded_value_is_not_decoded_twice() {
        assert!(with(&format!("Bearer%2520{}", a_key())).is_err());
    }

    #[test]
    fn two_credentials_are_one_too_many() {
        let mut headers = HeaderMap::new();
        headers.append("authorization", HeaderValue::from_static("a.b.c"));
        headers.append("authorization", HeaderValue::from_static("a.b.c"));
        assert!(read(&headers).unwrap_err().message.contains("one"));
    }

    #[test]
    fn a_presented_credential_never_prints_its_secret() {
        let key = a_key();
        assert!(!format!("{:?} {:?}", with(&key), with("a.b.secret")).contains("secret"));
        assert!(!format!("{:?}", with(&key)).contains(key::last4(&key)));
    }
}
