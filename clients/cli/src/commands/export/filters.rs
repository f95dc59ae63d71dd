//! Filters that are more than a word.

use std::fmt;

/// `correctness>=0.8`: a score's name, an operator, a number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Score {
    name: String,
    operator: &'static str,
    value: f64,
}

/// Longer ones first, so that `>=` is not taken for `>`.
const OPERATORS: [&str; 6] = [">=", "<=", "!=", ">", "<", "="];

impl Score {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        const KNOWN: &str = "must be a name, one of >= > <= < = != and a number, such as correctness>=0.8";
        let at = text.find(['>', '<', '=', '!']).ok_or(KNOWN)?;
        let (name, rest) = text.split_at(at);
        let operator = OPERATORS.into_iter().find(|operator| rest.starts_with(operator)).ok_or(KNOWN)?;
        let value: f64 = rest[operator.len()..].trim().parse().map_err(|_| KNOWN)?;
        let name = name.trim();
        if name.is_empty() || !value.is_finite() {
            return Err(KNOWN.to_owned());
        }
        Ok(Self { name: name.to_owned(), operator, value })
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.name, self.operator, self.value)
    }
}

/// `key=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) key: String,
    pub(crate) value: String,
}

impl Metadata {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Self { key: key.to_owned(), value: value.to_owned() }),
            _ => Err("must be KEY=VALUE".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_filter_is_read_with_each_operator() {
        for (text, shown) in [
            ("correctness>=0.8", "correctness>=0.8"),
            ("correctness > .5", "correctness>0.5"),
            ("a-b.c<=-1e3", "a-b.c<=-1000"),
            ("x<7", "x<7"),
            ("x=1", "x=1"),
            (" tone != 0 ", "tone!=0"),
        ] {
            assert_eq!(Score::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_score_filter_is_refused_with_an_example() {
        for text in ["", "correctness", ">=0.8", "x>=", "x>=high", "x=>1", "x!1", "x==1", "x>=nan", "x<inf", "x>1>2"] {
            assert!(Score::parse(text).unwrap_err().contains("correctness>=0.8"), "{text}");
        }
    }

    #[test]
    fn metadata_is_split_at_the_first_equals_sign() {
        let parsed = Metadata::parse("team=a=b").unwrap();
        assert_eq!((&*parsed.key, &*parsed.value), ("team", "a=b"));
        assert_eq!(Metadata::parse("team=").unwrap().value, "");
        assert!(Metadata::parse("team").is_err() && Metadata::parse("=b").is_err());
    }
}
