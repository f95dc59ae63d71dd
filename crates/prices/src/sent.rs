//! What a span keeps as JSON that its price depends on.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The counts of an object of numbers, such as `{"input_audio": 900}`; none when it is anything else.
pub(crate) fn counts(details: &str) -> Vec<(String, i64)> {
    let counts: BTreeMap<String, i64> = serde_json::from_str(details).unwrap_or_default();
    counts.into_iter().collect()
}

/// How a call was served, by its parameters: their `service_tier`.
pub(crate) fn service_tier(parameters: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Parameters {
        service_tier: Option<String>,
    }
    // Few name one, and a look for the word costs less than reading them all.
    let named = parameters.contains("service_tier").then(|| serde_json::from_str::<Parameters>(parameters).ok());
    named.flatten()?.service_tier
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_none() {
        assert_eq!(
            counts(r#"{"input_audio":9,"output_audio":2}"#),
            [("input_audio".into(), 9), ("output_audio".into(), 2)]
        );
        assert_eq!(service_tier(r#"{"service_tier":"flex","temperature":1}"#).as_deref(), Some("flex"));
        for odd in ["", "[]", r#"{"input_audio":"many"}"#] {
            assert_eq!((counts(odd), service_tier(odd)), (vec![], None), "{odd}");
        }
        assert_eq!(service_tier(r#"{"service_tier":7}"#), None);
    }
}
