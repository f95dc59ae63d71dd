//! One condition: a field, a test, a value.

use std::fmt;

use super::field::{Field, Holds};
use super::language;
use super::number::Number;
use crate::span::{Status, Type};

/// Values of `in` at most.
pub const VALUES_MAX: usize = 50;
/// Characters of a value at most.
pub const VALUE_CHARS_MAX: usize = 500;

/// How a field is tested, as it is written in both forms of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Equal.
    Is,
    /// Not equal, or absent.
    IsNot,
    /// Greater.
    Above,
    /// Greater or equal.
    AtLeast,
    /// Less.
    Below,
    /// Less or equal.
    AtMost,
    /// With this in it, in any case.
    Contains,
    /// Without it.
    NotContains,
    /// In any case.
    StartsWith,
    /// In any case.
    EndsWith,
    /// Has a value.
    Exists,
    /// Has none.
    Missing,
    /// Equal to one of several.
    In,
    /// Equal to none of them.
    NotIn,
    /// From the first to the second, both included.
    Between,
}

impl Operator {
    /// All of them: what each is called in the text language and in JSON.
    pub const ALL: [(Self, &'static str, &'static str); 15] = [
        (Self::Is, "=", "equals"),
        (Self::IsNot, "!=", "notEquals"),
        (Self::Above, ">", "gt"),
        (Self::AtLeast, ">=", "gte"),
        (Self::Below, "<", "lt"),
        (Self::AtMost, "<=", "lte"),
        (Self::Contains, "contains", "contains"),
        (Self::NotContains, "not contains", "notContains"),
        (Self::StartsWith, "starts with", "startsWith"),
        (Self::EndsWith, "ends with", "endsWith"),
        (Self::Exists, "exists", "exists"),
        (Self::Missing, "does not exist", "doesNotExist"),
        (Self::In, "in", "in"),
        (Self::NotIn, "not in", "notIn"),
        (Self::Between, "between", "between"),
    ];

    /// In the text language.
    pub fn text(self) -> &'static str {
        Self::ALL.iter().find(|(operator, ..)| *operator == self).map_or("", |(_, text, _)| text)
    }

    /// By its name in JSON.
    pub fn from_json(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(.., json)| *json == name).map(|(operator, ..)| *operator)
    }

    /// Whether it can be asked of such a field.
    pub const fn fits(self, holds: Holds) -> bool {
        match (holds, self) {
            (_, Self::Is | Self::IsNot | Self::In | Self::NotIn | Self::Exists | Self::Missing) => true,
            (Holds::Number, Self::Above | Self::AtLeast | Self::Below | Self::AtMost | Self::Between) => true,
            (Holds::Text, Self::Above | Self::AtLeast | Self::Below | Self::AtMost | Self::Between) => false,
            (Holds::Text | Holds::Tags, Self::Contains | Self::NotContains | Self::StartsWith | Self::EndsWith) => true,
            _ => false,
        }
    }
}

/// What is asked of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// Is one of these texts.
    Is(Vec<String>),
    /// With this in it, in any case.
    Contains(String),
    /// In any case.
    StartsWith(String),
    /// In any case.
    EndsWith(String),
    /// Is one of these numbers.
    Equals(Vec<Number>),
    /// Above, or also at, the first; below, or also at, the second.
    Within {
        /// And whether it belongs to it.
        low: Option<(Number, bool)>,
        /// And whether it belongs to it.
        high: Option<(Number, bool)>,
    },
    /// Ended in one of these ways.
    Status(Vec<Status>),
    /// Is of one of these types.
    Type(Vec<Type>),
    /// Has a value.
    Exists,
}

/// A field and what is asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Which field.
    pub field: Field,
    /// What is asked.
    pub test: Test,
    /// Whether the opposite is: then a field without a value fits.
    pub is_not: bool,
    operator: Operator,
    values: Vec<String>,
}

impl Condition {
    /// With the values as they were written.
    ///
    /// # Errors
    /// The operator is not for this field, or the values are not for the operator; says what would be.
    pub fn new(field: Field, operator: Operator, values: Vec<String>) -> Result<Self, ConditionError> {
        let holds = match (&field, operator) {
            // Metadata holds whatever it was given.
            (
                Field::Metadata(_),
                Operator::Above | Operator::AtLeast | Operator::Below | Operator::AtMost | Operator::Between,
            ) => Holds::Number,
            _ => field.holds(),
        };
        if !operator.fits(holds) {
            let fit = Operator::ALL.iter().filter(|(other, ..)| other.fits(holds)).map(|(_, text, _)| *text);
            let fit: Vec<_> = fit.collect();
            let why = format!("'{}' is not for '{field}', which takes {}", operator.text(), fit.join(", "));
            return Err(ConditionError { part: Part::Operator, why });
        }
        count(operator, values.len())?;
        if let Some(place) = values.iter().position(|value| value.chars().count() > VALUE_CHARS_MAX) {
            let start: String = values[place].chars().take(20).collect();
            let why = format!("the value '{start}…' has more than {VALUE_CHARS_MAX} characters");
            return Err(ConditionError { part: Part::Value(place), why });
        }
        let is_not = matches!(operator, Operator::IsNot | Operator::NotContains | Operator::Missing | Operator::NotIn);
        let test = test(&field, holds, operator, &values)?;
        Ok(Self { field, test, is_not, operator, values })
    }
}

/// What is wrong with a condition, and which part of it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct ConditionError {
    /// Which part.
    pub part: Part,
    /// What would be right.
    pub why: String,
}

/// A part of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Is not for the field.
    Operator,
    /// The values are too few or too many.
    Values,
    /// This one, counted from 0, is not for the field or the operator.
    Value(usize),
}

fn count(operator: Operator, given: usize) -> Result<(), ConditionError> {
    let (least, most) = match operator {
        Operator::Exists | Operator::Missing => (0, 0),
        Operator::In | Operator::NotIn => (1, VALUES_MAX),
        Operator::Between => (2, 2),
        _ => (1, 1),
    };
    if (least..=most).contains(&given) {
        return Ok(());
    }
    let wanted = if least == most { least.to_string() } else { format!("{least} to {most}") };
    let why = format!("'{}' takes {wanted} values, not {given}", operator.text());
    Err(ConditionError { part: Part::Values, why })
}

fn test(field: &Field, holds: Holds, operator: Operator, values: &[String]) -> Result<Test, ConditionError> {
    let first = || values[0].clone();
    let wrong = |place, why| ConditionError { part: Part::Value(place), why };
    let number = |place: usize| number(field, &values[place]).map_err(|why| wrong(place, why));
    Ok(match operator {
        Operator::Exists | Operator::Missing => Test::Exists,
        Operator::Contains | Operator::NotContains | Operator::StartsWith | Operator::EndsWith => {
            if values[0].is_empty() {
                return Err(wrong(0, format!("'{}' takes a text that is not empty", operator.text())));
            }
            match operator {
                Operator::StartsWith => Test::StartsWith(first()),
                Operator::EndsWith => Test::EndsWith(first()),
                _ => Test::Contains(first()),
            }
        }
        Operator::Above | Operator::AtLeast => {
            Test::Within { low: Some((number(0)?, operator == Operator::AtLeast)), high: None }
        }
        Operator::Below | Operator::AtMost => {
            Test::Within { low: None, high: Some((number(0)?, operator == Operator::AtMost)) }
        }
        Operator::Between => {
            let (low, high) = (number(0)?, number(1)?);
            Test::Within { low: Some((low, true)), high: Some((high, true)) }
        }
        Operator::Is | Operator::IsNot | Operator::In | Operator::NotIn => match holds {
            Holds::Text | Holds::Tags | Holds::Id => Test::Is(values.to_vec()),
            Holds::Number => Test::Equals((0..values.len()).map(number).collect::<Result<_, _>>()?),
            Holds::Status => Test::Status(each(values, status)?),
            Holds::Type => Test::Type(each(values, coarse)?),
        },
    })
}

fn each<T>(values: &[String], read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, ConditionError> {
    let read =
        |(place, value): (usize, &String)| read(value).map_err(|why| ConditionError { part: Part::Value(place), why });
    values.iter().enumerate().map(read).collect()
}

fn number(field: &Field, text: &str) -> Result<Number, String> {
    Number::parse(text).ok_or_else(|| format!("'{field}' takes a number, and '{text}' is none"))
}

/// AgentMark's words as well.
fn status(text: &str) -> Result<Status, String> {
    let word = text.to_uppercase();
    let word = match word.as_str() {
        "SUCCESS" => "OK",
        "FAIL" | "FAILED" => "ERROR",
        other => other.strip_prefix("STATUS_CODE_").unwrap_or(other),
    };
    Status::parse(word).ok_or_else(|| format!("'status' is OK, ERROR or UNSET, not '{text}'"))
}

fn coarse(text: &str) -> Result<Type, String> {
    Type::parse(&text.to_uppercase()).ok_or_else(|| format!("'type' is GENERATION, SPAN or EVENT, not '{text}'"))
}

/// In the text language, values in quotes; reads back as the same.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<_> = self.values.iter().map(|value| language::quote(value)).collect();
        write!(f, "{} {}", language::field(&self.field.to_string()), self.operator.text())?;
        match self.operator {
            Operator::Exists | Operator::Missing => Ok(()),
            Operator::In | Operator::NotIn => write!(f, " ({})", values.join(", ")),
            Operator::Between => write!(f, " {} and {}", values[0], values[1]),
            _ => write!(f, " {}", values[0]),
        }
    }
}
