//! Kinds of tokens that have a price of their own, and a price for each.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::rate::{Factor, Rate};

/// A kind of token. The kinds are disjoint: a token is of exactly one, and is paid for once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Read by the model, and none of the below.
    Input,
    /// Read from a prompt cache.
    CacheRead,
    /// Written to a prompt cache, for five minutes or as long as the provider likes.
    CacheWrite,
    /// Written to a prompt cache for an hour.
    CacheWrite1h,
    /// Read, and sound.
    AudioInput,
    /// Read, and a picture.
    ImageInput,
    /// Written by the model, and none of the below.
    Output,
    /// Written while thinking; with a price only where it is not that of `Output`.
    Reasoning,
    /// Written, and sound.
    AudioOutput,
    /// Written, and a picture.
    ImageOutput,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Input,
        Self::CacheRead,
        Self::CacheWrite,
        Self::CacheWrite1h,
        Self::AudioInput,
        Self::ImageInput,
        Self::Output,
        Self::Reasoning,
        Self::AudioOutput,
        Self::ImageOutput,
    ];

    /// As written in data.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::CacheRead => "cache_read",
            Self::CacheWrite => "cache_write",
            Self::CacheWrite1h => "cache_write_1h",
            Self::AudioInput => "audio_input",
            Self::ImageInput => "image_input",
            Self::Output => "output",
            Self::Reasoning => "reasoning",
            Self::AudioOutput => "audio_output",
            Self::ImageOutput => "image_output",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == text)
    }

    /// The class of an extra count of tokens that a span carries beside the usual ones, by the words senders use for it:
    /// `audio_input`, `input_audio_tokens`, `cache_write_1h`. What is priced as the rest is none.
    pub fn of_extra(name: &str) -> Option<Self> {
        match name.strip_suffix("_tokens").unwrap_or(name) {
            "audio_input" | "input_audio" | "audioInput" => Some(Self::AudioInput),
            "image_input" | "input_image" | "imageInput" => Some(Self::ImageInput),
            "audio_output" | "output_audio" | "audioOutput" => Some(Self::AudioOutput),
            "image_output" | "output_image" | "imageOutput" => Some(Self::ImageOutput),
            "cache_write_1h" | "ephemeral_1h_input" | "input_cache_creation_1h" | "cacheWrite1h" => {
                Some(Self::CacheWrite1h)
            }
            _ => None,
        }
    }

    /// Whose price counts when this class has none. `Input` and `Output` stand for themselves.
    const fn fallback(self) -> Self {
        match self {
            Self::CacheWrite1h => Self::CacheWrite,
            Self::Input | Self::CacheRead | Self::CacheWrite | Self::AudioInput | Self::ImageInput => Self::Input,
            Self::Output | Self::Reasoning | Self::AudioOutput | Self::ImageOutput => Self::Output,
        }
    }
}

/// A price per class; most have none.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Prices([Option<Rate>; Class::ALL.len()]);

impl Prices {
    /// The price of exactly this class.
    pub const fn get(&self, class: Class) -> Option<Rate> {
        self.0[class as usize]
    }

    /// Sets a price.
    #[must_use]
    pub const fn with(mut self, class: Class, rate: Rate) -> Self {
        self.0[class as usize] = Some(rate);
        self
    }

    /// What a token of this class costs: its own price, else that of an hour's cache write as a short one, of the rest as
    /// plain input or output; none when that has none either.
    pub fn rate(&self, class: Class) -> Option<Rate> {
        let fallback = class.fallback();
        self.get(class).or_else(|| if fallback == class { None } else { self.rate(fallback) })
    }

    /// The classes that have a price.
    pub fn iter(&self) -> impl Iterator<Item = (Class, Rate)> {
        Class::ALL.into_iter().filter_map(|class| Some((class, self.get(class)?)))
    }

    /// Whether nothing has a price.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// These, where `other` says nothing.
    #[must_use]
    pub(crate) fn overlaid(self, other: &Self) -> Self {
        other.iter().fold(self, |prices, (class, rate)| prices.with(class, rate))
    }

    /// Each of these times `factor`.
    #[must_use]
    pub(crate) fn times(self, factor: Factor) -> Self {
        Self(self.0.map(|rate| rate.map(|rate| rate.times(factor))))
    }
}

impl fmt::Debug for Prices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(class, rate)| (class.as_str(), rate.to_string()))).finish()
    }
}

impl Serialize for Prices {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(class, rate)| (class.as_str(), rate)))
    }
}

impl<'de> Deserialize<'de> for Prices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = BTreeMap::<String, Rate>::deserialize(deserializer)?;
        given.into_iter().try_fold(Self::default(), |prices, (name, rate)| match Class::parse(&name) {
            Some(class) => Ok(prices.with(class, rate)),
            None => Err(de::Error::custom(format!("`{name}` is no class of tokens; there are {}", known_names()))),
        })
    }
}

fn known_names() -> String {
    Class::ALL.map(Class::as_str).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> Rate {
        Rate::parse(text).unwrap()
    }

    #[test]
    fn a_class_without_a_price_costs_what_plain_tokens_cost() {
        let prices = Prices::default().with(Class::Input, rate("2")).with(Class::Output, rate("8"));
        for class in [Class::CacheRead, Class::CacheWrite, Class::CacheWrite1h, Class::AudioInput, Class::ImageInput] {
            assert_eq!(prices.rate(class), Some(rate("2")), "{class:?}");
        }
        assert_eq!(prices.rate(Class::Reasoning), Some(rate("8")));
        let prices = prices.with(Class::CacheWrite, rate("3"));
        assert_eq!(prices.rate(Class::CacheWrite1h), Some(rate("3")), "an hour costs at least what five minutes cost");
    }

    #[test]
    fn without_a_price_for_output_there_is_none_for_its_parts() {
        let embedding = Prices::default().with(Class::Input, rate("0.02"));
        assert_eq!(embedding.rate(Class::Reasoning), None);
    }

    #[test]
    fn every_class_reads_back_what_it_writes() {
        assert!(Class::ALL.into_iter().all(|class| Class::parse(class.as_str()) == Some(class)));
        let json = r#"{"cache_read":"0.125","input":"1.25"}"#;
        let prices: Prices = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&prices).unwrap(), r#"{"input":"1.25","cache_read":"0.125"}"#);
    }

    #[test]
    fn an_unknown_class_is_an_error_that_names_the_known_ones() {
        let error = serde_json::from_str::<Prices>(r#"{"cached":"1"}"#).unwrap_err().to_string();
        assert!(error.contains("cached") && error.contains("cache_read"), "{error}");
    }
}
