//! Durations as people write them: `250ms`, `15s`, `10m`, `2h`, `30d`. For `#[serde(with = "transport::config::duration")]`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de};

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Writes the largest unit that loses nothing; below a millisecond is cut off.
///
/// # Errors
/// As the serializer's.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let whole = |&&(_, unit): &&(&str, u64)| millis >= unit && millis.is_multiple_of(unit);
    match UNITS.iter().find(whole) {
        Some((name, unit)) => serializer.collect_str(&format_args!("{}{name}", millis / unit)),
        None => serializer.serialize_str("0s"),
    }
}

/// Reads a whole number and a unit.
///
/// # Errors
/// When it is not of that form.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text)
        .ok_or_else(|| de::Error::custom(format_args!("'{text}' is not a duration like 250ms, 15s, 10m, 2h, 30d")))
}

fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit.trim())?;
    number.parse::<u64>().ok()?.checked_mul(*millis).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_survives_its_text() {
        for text in ["0s", "1ms", "1500ms", "15s", "90s", "10m", "36h", "30d"] {
            let duration = parse(text).unwrap();
            let mut written = Vec::new();
            serialize(&duration, &mut serde_json::Serializer::new(&mut written)).unwrap();
            assert_eq!(String::from_utf8(written).unwrap(), format!("\"{text}\""));
        }
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        for text in ["", "15", "s", "-1s", "1.5s", "15 parsecs", "99999999999999999999d"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
