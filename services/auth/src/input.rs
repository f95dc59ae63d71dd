//! What people type, parsed.

use spanlake_model::{Code, Fault};

const NAME_CHARS_MAX: usize = 100;
const EMAIL_BYTES_MAX: usize = 254;
const PASSWORD_CHARS_MIN: usize = 8;
const PASSWORD_BYTES_MAX: usize = 1_024;

/// A name of a tenant, app, agent or key: trimmed, 1 to 100 characters, none of them control characters.
///
/// # Errors
/// `invalid_request_body`, naming `field`.
pub(crate) fn name(field: &'static str, text: &str) -> Result<String, Fault> {
    let text = text.trim();
    let is_good = !text.is_empty() && text.chars().count() <= NAME_CHARS_MAX && !text.chars().any(char::is_control);
    if is_good { Ok(text.to_owned()) } else { Err(invalid(field, "must be 1 to 100 printable characters")) }
}

/// An email address in lower case. Only a letter sent there would tell whether it is real, so little is checked.
///
/// # Errors
/// `invalid_request_body`.
pub(crate) fn email(text: &str) -> Result<String, Fault> {
    let text = text.trim();
    let is_good = text.len() <= EMAIL_BYTES_MAX
        && !text.chars().any(|letter| letter.is_whitespace() || letter.is_control())
        && text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'));
    if is_good { Ok(text.to_lowercase()) } else { Err(invalid("email", "must be an email address")) }
}

/// Lower case, one a line; where they are from stands at their top.
const COMMON_PASSWORDS: &str = include_str!("common_passwords.txt");

fn is_common(password: &str) -> bool {
    let password = password.to_lowercase();
    COMMON_PASSWORDS.lines().filter(|line| !line.starts_with('#')).any(|common| common == password)
}

/// Checks a new password: 8 characters at least, 1,024 bytes at most, none that everybody has, no rules of composition (NIST SP 800-63B).
///
/// # Errors
/// `invalid_request_body`.
pub(crate) fn new_password(field: &'static str, text: &str) -> Result<(), Fault> {
    if text.chars().count() < PASSWORD_CHARS_MIN {
        return Err(invalid(field, "must have at least 8 characters"));
    }
    if is_common(text) {
        return Err(invalid(field, "is one of the passwords that are tried first; choose another, like a sentence"));
    }
    if text.len() > PASSWORD_BYTES_MAX {
        return Err(invalid(field, "must have at most 1,024 bytes"));
    }
    Ok(())
}

/// `invalid_request_body` for one field.
pub(crate) fn invalid(field: &'static str, why: &'static str) -> Fault {
    Fault::new(Code::InvalidRequestBody, format!("'{field}' {why}.")).detail(field, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_is_kept_in_lower_case() {
        assert_eq!(email(" Ann@Example.COM "), Ok("ann@example.com".to_owned()));
        for bad in ["", "ann", "@example.com", "ann@", "a@b@c", "a b@c", "a@b\n.c"] {
            assert!(email(bad).is_err(), "{bad:?}");
        }
        assert!(email(&format!("{}@example.com", "a".repeat(250))).is_err());
    }

    #[test]
    fn a_name_is_trimmed_and_bounded() {
        assert_eq!(name("name", "  Ü b  "), Ok("Ü b".to_owned()));
        assert!(name("name", &"é".repeat(100)).is_ok());
        for bad in ["", "   ", "a\nb", "a\0", &"é".repeat(101)] {
            let refused = name("name", bad).unwrap_err();
            assert!(refused.details.contains_key("name"), "{bad:?}");
        }
    }

    #[test]
    fn a_password_has_eight_characters_and_may_be_a_long_sentence() {
        assert!(new_password("password", "1234567").is_err());
        assert!(new_password("password", "ein satz").is_ok());
        assert!(new_password("password", &"correct horse ".repeat(20)).is_ok());
        assert!(new_password("password", &"x".repeat(1_025)).is_err());
    }

    #[test]
    fn a_password_that_everybody_has_is_refused() {
        for common in ["12345678", "password1", "PassWord1", "qwertyuiop", "iloveyou"] {
            let refused = new_password("password", common).unwrap_err();
            assert!(refused.message.contains("tried first"), "{common}: {refused}");
        }
        assert_eq!(COMMON_PASSWORDS.lines().filter(|line| !line.starts_with('#')).count(), 3_000);
        assert!(!is_common("# The 3,000 most common"), "what is said about them is none");
    }
}
