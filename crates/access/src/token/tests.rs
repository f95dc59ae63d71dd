use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};
use spanlake_model::{Clock, MemberId, Role, SystemEntropy, TenantId, Timestamp};

use super::*;
use crate::secret::{MasterSecret, SigningSeed};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

struct Fixed(Timestamp);
impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        self.0
    }
}

fn seed(version: u32) -> SigningSeed {
    MasterSecret::from_bytes(vec![5; 32]).unwrap().signing_seed(version)
}
fn issuer(version: u32) -> Issuer {
    Issuer::new(&seed(version), Duration::from_secs(600)).unwrap()
}
fn verifier(issuers: &[&Issuer]) -> Verifier {
    let jwks = Jwks { keys: issuers.iter().map(|issuer| issuer.public_key().clone()).collect() };
    Verifier::from_jwks(&jwks.to_json()).unwrap()
}
fn member() -> MemberId {
    MemberId::from_bytes([1; 16])
}
fn tenant() -> TenantId {
    TenantId::from_bytes([2; 16])
}
fn token(issuer: &Issuer) -> String {
    issuer.issue(tenant(), member(), Role::Admin, &Fixed(NOW), &SystemEntropy).unwrap()
}

/// Signs anything with the real key: what a verifier must refuse even so.
fn signed(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let signature = SigningKey::from_bytes(seed(1).expose()).sign(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}
fn good_header() -> Value {
    json!({"alg": "EdDSA", "typ": "at+jwt", "kid": issuer(1).public_key().kid})
}
fn good_claims() -> Value {
    let now = NOW.as_secs();
    json!({
        "iss": "spanlake", "aud": "spanlake", "sub": member().to_string(), "tid": tenant().to_string(),
        "role": "admin", "iat": now, "nbf": now, "exp": now + 600, "jti": "1",
    })
}
fn changed(mut value: Value, field: &str, to: Value) -> Value {
    if to.is_null() {
        value.as_object_mut().unwrap().remove(field);
    } else {
        value[field] = to;
    }
    value
}

#[test]
fn a_token_says_who_and_what() {
    let issuer = issuer(1);
    let verified = verifier(&[&issuer]).verify(&token(&issuer), NOW).unwrap();
    assert_eq!(verified, Verified { member: member(), tenant: tenant(), role: Role::Admin });
    assert!(
        verifier(&[&issuer]).verify(&signed(&good_header(), &good_claims()), NOW).is_ok(),
        "the tests' own signing"
    );
}

#[test]
fn a_token_ends_after_its_lifetime_and_five_seconds() {
    let issuer = issuer(1);
    let (verifier, token) = (verifier(&[&issuer]), token(&issuer));
    assert!(verifier.verify(&token, NOW.plus(Duration::from_secs(604))).is_ok());
    let late = verifier.verify(&token, NOW.plus(Duration::from_secs(605)));
    assert!(matches!(late, Err(TokenError::Expired)));
    assert!(verifier.verify(&token, NOW.minus(Duration::from_secs(5))).is_ok());
    assert!(verifier.verify(&token, NOW.minus(Duration::from_secs(6))).is_err());
}

#[test]
fn every_claim_is_required_and_checked() {
    let verifier = verifier(&[&issuer(1)]);
    let now = NOW.as_secs();
    for field in ["iss", "aud", "sub", "tid", "role", "iat", "nbf", "exp", "jti"] {
        let without = signed(&good_header(), &changed(good_claims(), field, Value::Null));
        assert!(verifier.verify(&without, NOW).is_err(), "without {field}");
    }
    for (field, wrong) in [
        ("iss", json!("other")),
        ("aud", json!("other")),
        ("aud", json!(["other"])),
        ("sub", json!("not an id")),
        ("tid", json!("../x")),
        ("role", json!("root")),
        ("exp", json!((now + 600).to_string())),
        ("nbf", json!(now.to_string())),
        ("nbf", json!(now + 60)),
        ("iat", json!(now + 60)),
        ("exp", json!(now - 60)),
        ("exp", json!(i64::MIN)),
    ] {
        let with = signed(&good_header(), &changed(good_claims(), field, wrong.clone()));
        assert!(verifier.verify(&with, NOW).is_err(), "{field} = {wrong}");
    }
}

#[test]
fn the_header_cannot_choose_how_it_is_checked() {
    let verifier = verifier(&[&issuer(1)]);
    for (field, wrong) in [
        ("alg", json!("none")),
        ("alg", json!("HS256")),
        ("alg", Value::Null),
        ("typ", json!("JWT")),
        ("typ", Value::Null),
        ("kid", Value::Null),
        ("crit", json!(["exp"])),
    ] {
        let with = signed(&changed(good_header(), field, wrong.clone()), &good_claims());
        assert!(verifier.verify(&with, NOW).is_err(), "{field} = {wrong}");
    }
}

#[test]
fn a_public_key_does_not_sign() {
    let header = jsonwebtoken::Header {
        typ: Some(TYPE.to_owned()),
        kid: Some(issuer(1).public_key().kid.clone()),
        ..jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256)
    };
    let public = URL_SAFE_NO_PAD.decode(&issuer(1).public_key().x).unwrap();
    let forged =
        jsonwebtoken::encode(&header, &good_claims(), &jsonwebtoken::EncodingKey::from_secret(&public)).unwrap();
    assert!(verifier(&[&issuer(1)]).verify(&forged, NOW).is_err());
}

#[test]
fn an_altered_token_is_refused() {
    let token = token(&issuer(1));
    let [header, _, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let other = changed(good_claims(), "tid", json!(TenantId::from_bytes([9; 16]).to_string()));
    let altered = format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(other.to_string()));
    let verifier = verifier(&[&issuer(1)]);
    assert!(verifier.verify(&altered, NOW).is_err());
    for text in ["", "a.b.c", "..", "a.b", &token[..token.len() - 2]] {
        assert!(verifier.verify(text, NOW).is_err(), "{text}");
    }
}

#[test]
fn two_keys_verify_side_by_side_and_an_unknown_one_says_so() {
    let (old, new, other) = (issuer(1), issuer(2), issuer(3));
    let verifier = verifier(&[&old, &new]);
    assert!(verifier.verify(&token(&old), NOW).is_ok());
    assert!(verifier.verify(&token(&new), NOW).is_ok());
    assert!(matches!(verifier.verify(&token(&other), NOW), Err(TokenError::UnknownKey)));
}

#[test]
fn a_strange_key_set_is_passed_over_and_never_panics() {
    let short = json!({"keys": [
        {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "short", "x": "AAAA"},
        {"kty": "RSA", "kid": "rsa", "n": "AQAB", "e": "AQAB"},
    ]});
    let verifier = Verifier::from_jwks(&short.to_string()).unwrap();
    let with_short = signed(&changed(good_header(), "kid", json!("short")), &good_claims());
    assert!(matches!(verifier.verify(&with_short, NOW), Err(TokenError::UnknownKey)));
    assert!(matches!(Verifier::from_jwks("<html>"), Err(TokenError::Jwks(_))));
}
