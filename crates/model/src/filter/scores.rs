//! Conditions on scores as plain parameters have them.

use super::condition::{Condition, Operator};
use super::field::Field;

/// Of two that begin alike the longer one comes first.
const SIGNS: [(&str, Operator); 6] = [
    (">=", Operator::AtLeast),
    ("<=", Operator::AtMost),
    ("!=", Operator::IsNot),
    (">", Operator::Above),
    ("<", Operator::Below),
    ("=", Operator::Is),
];

impl Condition {
    /// `<name><sign><number>`, as `score=quality>=0.8` has it.
    ///
    /// ```
    /// # use spanlake_model::Condition;
    /// assert_eq!(Condition::of_score("quality>=0.8").unwrap().to_string(), r#"score__quality >= "0.8""#);
    /// assert!(Condition::of_score("quality").is_err());
    /// ```
    ///
    /// # Errors
    /// It is not written so; says what would be.
    pub fn of_score(text: &str) -> Result<Self, String> {
        let signed = text.char_indices().find_map(|(at, _)| {
            let (sign, operator) = SIGNS.iter().find(|(sign, _)| text[at..].starts_with(sign))?;
            Some((text[..at].trim(), *operator, text[at + sign.len()..].trim()))
        });
        let signs = || SIGNS.map(|(sign, _)| sign).join(" ");
        let (name, operator, number) =
            signed.ok_or_else(|| format!("'{text}' is not <name><sign><number> with one of {}", signs()))?;
        let field = Field::score(name).ok_or_else(|| format!("'{text}' names no score before the sign"))?;
        Self::new(field, operator, vec![number.to_owned()]).map_err(|error| error.to_string())
    }

    /// A score of any name is at least and at most this; nothing when neither is asked for.
    ///
    /// # Errors
    /// A bound is no finite number.
    pub fn of_any_score(min: Option<f64>, max: Option<f64>) -> Result<Option<Self>, String> {
        let (operator, values) = match (min, max) {
            (Some(min), Some(max)) => (Operator::Between, vec![min, max]),
            (Some(min), None) => (Operator::AtLeast, vec![min]),
            (None, Some(max)) => (Operator::AtMost, vec![max]),
            (None, None) => return Ok(None),
        };
        let condition = Self::new(Field::AnyScore, operator, values.iter().map(f64::to_string).collect());
        condition.map(Some).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Filter;

    #[test]
    fn every_sign_of_a_parameter_is_the_operator_of_the_language() {
        for (parameter, text) in [
            ("quality>0.5", "score__quality > 0.5"),
            ("quality >= 0.5", "score__quality >= 0.5"),
            ("quality<-1", "score__quality < -1"),
            ("quality<=1e3", "score__quality <= 1e3"),
            ("quality=1", "score__quality = 1"),
            ("quality!=1", "score__quality != 1"),
            ("two words>=1", "\"score__two words\" >= 1"),
        ] {
            let filter: Filter = text.parse().unwrap();
            assert_eq!(Condition::of_score(parameter).unwrap(), filter.clauses()[0][0], "{parameter}");
        }
    }

    #[test]
    fn a_parameter_without_a_name_a_sign_or_a_number_says_what_is_missing() {
        for (parameter, why) in [
            ("quality", "<name><sign><number>"),
            (">0.5", "names no score"),
            ("quality>", "takes a number"),
            ("quality>much", "takes a number"),
            ("quality=>1", "takes a number"),
            ("", "<name><sign><number>"),
        ] {
            let found = Condition::of_score(parameter).unwrap_err();
            assert!(found.contains(why), "{parameter}: {found}");
        }
    }

    #[test]
    fn bounds_without_a_name_are_held_against_one_and_the_same_score() {
        let written = |min, max| Condition::of_any_score(min, max).unwrap().map(|condition| condition.to_string());
        assert_eq!(written(None, None), None);
        assert_eq!(written(Some(0.5), None).unwrap(), r#"any_score >= "0.5""#);
        assert_eq!(written(None, Some(1.0)).unwrap(), r#"any_score <= "1""#);
        assert_eq!(written(Some(0.5), Some(1.0)).unwrap(), r#"any_score between "0.5" and "1""#);
        assert!(Condition::of_any_score(Some(f64::NAN), None).is_err());
    }
}
