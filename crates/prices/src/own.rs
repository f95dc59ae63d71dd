//! Prices that a tenant has set. They win over the book.

mod index;

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use spanlake_model::Timestamp;

use crate::class::Prices;
use crate::name::Name;
use index::Index;

/// One price of a tenant's own.
///
/// ```
/// let own: spanlake_prices::OwnPrice = serde_json::from_str(
///     r#"{ "model": "acme-*", "provider": "vllm", "prices": { "input": "0.10", "output": 0.4 }, "valid_from": "2026-01-01" }"#,
/// )?;
/// assert_eq!(own.model(), "acme-*");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Given")]
pub struct OwnPrice {
    model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    prices: Prices,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "write_time")]
    valid_from: Option<Timestamp>,
}

/// A price as a tenant gave it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    model: String,
    provider: Option<String>,
    prices: Prices,
    #[serde(default, deserialize_with = "read_time")]
    valid_from: Option<Timestamp>,
}

/// A price that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OwnError {
    /// Nothing, or too much, where a name belongs.
    #[error("{field} must have 1 to {max} bytes", max = Name::BYTES_MAX)]
    Length {
        /// Which name.
        field: &'static str,
    },
    /// A star that is not the end of a name.
    #[error("`*` may stand once, as the last character of model, after at least one other")]
    Star,
    /// A price without a price.
    #[error("prices must name at least one class of tokens")]
    Empty,
    /// More than we keep.
    #[error("at most {max} prices of your own are kept", max = OwnPrices::MAX)]
    TooMany,
    /// Two prices for the same calls.
    #[error("`{0}` has two prices from the same time on")]
    Twice(String),
}

impl OwnPrice {
    /// For calls of `model`: a name, or the beginning of names followed by `*`. With `provider`, only for calls that name it; with
    /// `valid_from`, only for calls that began then or later.
    ///
    /// # Errors
    /// When a name is empty or long, a `*` is out of place, or nothing is priced.
    pub fn new(
        model: String,
        provider: Option<String>,
        prices: Prices,
        valid_from: Option<Timestamp>,
    ) -> Result<Self, OwnError> {
        let is_name = |name: &str| (1..=Name::BYTES_MAX).contains(&name.trim().len());
        if !is_name(&model) {
            return Err(OwnError::Length { field: "model" });
        }
        if provider.as_deref().is_some_and(|provider| !is_name(provider)) {
            return Err(OwnError::Length { field: "provider" });
        }
        let start = model.trim().strip_suffix('*').unwrap_or(model.trim());
        if start.is_empty() || start.contains('*') {
            return Err(OwnError::Star);
        }
        if prices.is_empty() {
            return Err(OwnError::Empty);
        }
        Ok(Self {
            model: model.trim().to_owned(),
            provider: provider.map(|name| name.trim().to_owned()),
            prices,
            valid_from,
        })
    }

    /// Which models: a name, or a beginning and `*`. Case does not count.
    pub fn model(&self) -> &str {
        &self.model
    }
    /// Whose, as the spans say it; anybody's when none.
    pub fn provider(&self) -> Option<&str> {
        self.provider.as_deref()
    }
    /// The prices.
    pub const fn prices(&self) -> &Prices {
        &self.prices
    }
    /// The first moment at which it holds; always when none.
    pub const fn valid_from(&self) -> Option<Timestamp> {
        self.valid_from
    }
}

impl TryFrom<Given> for OwnPrice {
    type Error = OwnError;
    fn try_from(given: Given) -> Result<Self, OwnError> {
        Self::new(given.model, given.provider, given.prices, given.valid_from)
    }
}

/// All prices of one tenant's own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<OwnPrice>", into = "Vec<OwnPrice>")]
pub struct OwnPrices {
    /// In the order given.
    prices: Vec<OwnPrice>,
    index: Index,
}

impl OwnPrices {
    /// More are refused.
    pub const MAX: usize = 1_000;

    /// # Errors
    /// When there are more than [`Self::MAX`], or two for the same model, provider and time.
    pub fn new(prices: Vec<OwnPrice>) -> Result<Self, OwnError> {
        if prices.len() > Self::MAX {
            return Err(OwnError::TooMany);
        }
        let mut seen = BTreeSet::new();
        for own in &prices {
            let provider = own.provider().map(str::to_ascii_lowercase);
            if !seen.insert((own.model.to_ascii_lowercase(), provider, own.valid_from)) {
                return Err(OwnError::Twice(own.model.clone()));
            }
        }
        Ok(Self { index: Index::of(&prices), prices })
    }

    /// In the order given.
    pub fn as_slice(&self) -> &[OwnPrice] {
        &self.prices
    }

    /// The price for this call of this model. The name is tried as sent, then without what stands before it (a path, a region);
    /// what stands behind it belongs to it. Of several prices the one counts that names the model most closely, then one that
    /// names the provider, then the latest.
    /// However many there are, it takes a few look-ups.
    pub(crate) fn find(&self, provider: Option<&str>, model: &str, start: Timestamp) -> Option<&OwnPrice> {
        if self.prices.is_empty() {
            return None;
        }
        let name = Name::new(model)?;
        let provider = provider.map(|provider| provider.trim().to_ascii_lowercase());
        let mut names = vec![name.whole()];
        names.extend(name.readings(|_| false, |_| ()).into_iter().skip(1).map(|reading| name.raw(reading)));
        let place = names.into_iter().find_map(|name| self.index.find(provider.as_deref(), name, start))?;
        self.prices.get(place)
    }
}

impl TryFrom<Vec<OwnPrice>> for OwnPrices {
    type Error = OwnError;
    fn try_from(prices: Vec<OwnPrice>) -> Result<Self, OwnError> {
        Self::new(prices)
    }
}

impl From<OwnPrices> for Vec<OwnPrice> {
    fn from(own: OwnPrices) -> Self {
        own.prices
    }
}

fn read_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let time = Timestamp::parse(&text);
    time.map(Some).ok_or_else(|| de::Error::custom("valid_from must be a date or an RFC 3339 time, such as 2026-01-31"))
}

fn write_time<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.to_string()).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class::Class;

    fn own(json: &str) -> OwnPrices {
        serde_json::from_str(json).unwrap()
    }

    fn input(own: &OwnPrices, provider: Option<&str>, model: &str, start: &str) -> Option<String> {
        let found = own.find(provider, model, Timestamp::parse(start).unwrap())?;
        Some(found.prices().get(Class::Input).unwrap().to_string())
    }

    #[test]
    fn the_closest_name_wins_then_the_provider_then_the_latest() {
        let own = own(r#"[
            { "model": "acme-*", "prices": { "input": 1 } },
            { "model": "Acme-Large*", "prices": { "input": 2 } },
            { "model": "acme-large-2", "prices": { "input": 3 } },
            { "model": "acme-large-2", "prices": { "input": 4 }, "provider": "vLLM" },
            { "model": "acme-large-2", "prices": { "input": 5 }, "valid_from": "2026-06-01" }
        ]"#);
        let at = |provider, model, start| input(&own, provider, model, start).unwrap();
        assert_eq!(at(None, "acme-tiny", "2026-01-01"), "1");
        assert_eq!(at(None, "ACME-large-1", "2026-01-01"), "2");
        assert_eq!(at(None, "acme-large-2", "2026-01-01"), "3");
        assert_eq!(at(Some("vllm"), "acme-large-2", "2026-07-01"), "4");
        assert_eq!(at(Some("other"), "acme-large-2", "2026-06-01"), "5");
        assert_eq!(input(&own, None, "acm", "2026-01-01"), None);
    }

    #[test]
    fn a_path_before_the_name_does_not_hide_it() {
        let own = own(r#"[{ "model": "gpt-4o", "prices": { "input": 1 } }]"#);
        assert_eq!(input(&own, None, "azure/gpt-4o", "2026-01-01").as_deref(), Some("1"));
        assert_eq!(input(&own, None, "gpt-4o-2024-08-06", "2026-01-01"), None, "a version is part of the name");
    }

    #[test]
    fn a_name_is_compared_without_cutting_a_character() {
        let own = own(r#"[{ "model": "ab*", "prices": { "input": 1 } }]"#);
        assert_eq!(input(&own, None, "aé", "2026-01-01"), None);
    }

    #[test]
    fn what_was_given_comes_back() {
        let json = r#"[{"model":"m*","provider":"p","prices":{"input":"0.1","output":"2"},"valid_from":"2026-01-01T00:00:00Z"}]"#;
        assert_eq!(serde_json::to_string(&own(json)).unwrap(), json);
        assert_eq!(
            serde_json::to_string(&own(r#"[{"model":"m","prices":{"input":0}}]"#)).unwrap(),
            r#"[{"model":"m","prices":{"input":"0"}}]"#
        );
    }

    #[test]
    fn what_cannot_be_taken_says_why() {
        let long = "x".repeat(Name::BYTES_MAX + 1);
        for (json, why) in [
            (r#"{"model":"","prices":{"input":1}}"#.to_owned(), "model must have"),
            (format!(r#"{{"model":"{long}","prices":{{"input":1}}}}"#), "model must have"),
            (r#"{"model":"m","provider":" ","prices":{"input":1}}"#.to_owned(), "provider must have"),
            (r#"{"model":"*","prices":{"input":1}}"#.to_owned(), "`*` may stand once"),
            (r#"{"model":"a*b","prices":{"input":1}}"#.to_owned(), "`*` may stand once"),
            (r#"{"model":"m","prices":{}}"#.to_owned(), "at least one class"),
            (r#"{"model":"m","prices":{"input":-1}}"#.to_owned(), "below zero"),
            (r#"{"model":"m","prices":{"input":"2000000"}}"#.to_owned(), "at most 1000000 dollars"),
            (r#"{"model":"m","prices":{"cached":1}}"#.to_owned(), "is no class"),
            (r#"{"model":"m","prices":{"input":1},"valid_from":"soon"}"#.to_owned(), "valid_from must be"),
            (r#"{"model":"m","prices":{"input":1},"price":2}"#.to_owned(), "unknown field"),
        ] {
            let error = serde_json::from_str::<OwnPrice>(&json).unwrap_err().to_string();
            assert!(error.contains(why), "{json}: {error}");
        }
    }

    #[test]
    fn too_many_and_two_for_the_same_are_refused() {
        let one =
            |model: String| serde_json::from_str(&format!(r#"{{"model":"{model}","prices":{{"input":1}}}}"#)).unwrap();
        let many = (0..=OwnPrices::MAX).map(|number| one(format!("m-{number}"))).collect();
        assert_eq!(OwnPrices::new(many), Err(OwnError::TooMany));
        assert_eq!(OwnPrices::new(vec![one("m".into()), one("M".into())]), Err(OwnError::Twice("M".into())));
    }
}
