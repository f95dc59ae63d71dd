//! The names of a model: what may stand before and behind one without making it another model.

/// A model's name as sent, made comparable. `.` and `_` count as `-`: `claude-3.5-sonnet` is `claude-3-5-sonnet`.
#[derive(Debug)]
pub(crate) struct Name {
    /// In lower case.
    raw: String,
    /// `raw`, byte for byte, with every `.` and `_` a `-`.
    key: String,
}

/// A way to read a name: from `start` to `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    start: usize,
    end: usize,
}

/// How names are compared: see [`Name`].
pub(crate) fn key(name: &str) -> String {
    name.to_ascii_lowercase().replace(['.', '_'], "-")
}

impl Name {
    /// Longer than any name we know, with a path before it.
    pub(crate) const BYTES_MAX: usize = 256;
    /// More than this many prefixes are no name of a model.
    const READINGS_MAX: usize = 12;

    /// None when it is empty or longer than [`Self::BYTES_MAX`].
    pub(crate) fn new(sent: &str) -> Option<Self> {
        let sent = sent.trim();
        let raw = (1..=Self::BYTES_MAX).contains(&sent.len()).then(|| sent.to_ascii_lowercase())?;
        Some(Self { key: key(&raw), raw })
    }

    /// The name as sent, then ever shorter ones: without a first part of its path, a provider before a colon, a region and a
    /// maker as Bedrock writes them. `is_provider` knows providers. Each word left out before a `/` or a `:` goes to `left_out`.
    pub(crate) fn readings<'a>(
        &'a self,
        is_provider: impl Fn(&str) -> bool,
        mut left_out: impl FnMut(&'a str),
    ) -> Vec<Reading> {
        let mut readings = Vec::with_capacity(4);
        let mut start = 0;
        while start < self.raw.len() && readings.len() < Self::READINGS_MAX {
            let rest = &self.raw[start..];
            if rest.starts_with("ft:") {
                readings.push(Reading { start, end: start + fine_tuned_model(rest).len() });
                break;
            }
            readings.push(Reading { start, end: self.raw.len() });
            let Some(prefix) = prefix(rest, &is_provider) else { break };
            left_out(prefix.word);
            start += prefix.len;
        }
        readings
    }

    /// As sent, in lower case.
    pub(crate) fn whole(&self) -> &str {
        &self.raw
    }

    /// How a reading is looked up.
    pub(crate) fn key(&self, reading: Reading) -> &str {
        &self.key[reading.start..reading.end]
    }

    /// A reading as sent, in lower case.
    pub(crate) fn raw(&self, reading: Reading) -> &str {
        &self.raw[reading.start..reading.end]
    }

    /// What is left of a key without a version at its end, the longest first.
    pub(crate) fn without_version(key: &str) -> impl Iterator<Item = &str> {
        let starts = key.char_indices().rev().filter(|(_, char)| matches!(char, '-' | ':' | '@' | '['));
        starts.filter(|(at, _)| *at > 0 && is_version(&key[*at..])).map(|(at, _)| &key[..at])
    }
}

/// A prefix that may be left out.
struct Prefix<'a> {
    /// The word before the separator.
    word: &'a str,
    /// With the separator.
    len: usize,
}

fn prefix<'a>(rest: &'a str, is_provider: impl Fn(&str) -> bool) -> Option<Prefix<'a>> {
    let before = |separator| rest.split_once(separator).map(|(word, _)| Prefix { word, len: word.len() + 1 });
    if let Some(segment) = before('/') {
        return Some(segment);
    }
    if let Some(provider) = before(':').filter(|prefix| is_provider(prefix.word)) {
        return Some(provider);
    }
    before('.').filter(|prefix| REGIONS.contains(&prefix.word) || MAKERS.contains(&prefix.word))
}

/// Where Bedrock's inference profiles route to.
const REGIONS: &[&str] = &["us", "eu", "apac", "global", "us-gov", "jp", "au", "ca", "sa"];
/// Whose models Bedrock hosts, as it writes them.
const MAKERS: &[&str] = &["ai21", "amazon", "anthropic", "cohere", "deepseek", "meta", "mistral", "openai"];

/// `ft:base` of `ft:base:organisation:name:id`. It keeps its `ft:`, since a fine-tuned model does not cost what its base costs.
fn fine_tuned_model(rest: &str) -> &str {
    rest.match_indices(':').nth(1).map_or(rest, |(end, _)| &rest[..end])
}

/// Whether this is nothing but words that name a version of the same model at the same price: a date, a build number, `latest`,
/// `preview`, `exp`. A size, a speed or a number that counts generations (`-mini`, `-fast`, `.1`) is none.
fn is_version(tail: &str) -> bool {
    let mut rest = tail;
    let mut dated = false;
    while !rest.is_empty() {
        let Some(after) = version_word(rest, &mut dated) else { return false };
        rest = after;
    }
    true
}

/// What follows the first word of a version; none when it is not one.
fn version_word<'a>(rest: &'a str, dated: &mut bool) -> Option<&'a str> {
    if let Some(after) = date(rest) {
        *dated = true;
        return Some(after);
    }
    if let Some(after) = rest.strip_prefix("-preview") {
        return month_and_day(after).or_else(|| month_and_year(after)).or(Some(after));
    }
    if let Some(after) = rest.strip_prefix("-exp") {
        return month_and_day(after).or_else(|| number(after.strip_prefix('-')?, 4..=4)).or(Some(after));
    }
    if let Some(after) = rest.strip_prefix("-v") {
        return bedrock_version(after, *dated);
    }
    if let Some(after) = rest.strip_prefix('@').and_then(|after| number(after, 1..=3)) {
        return Some(after);
    }
    let build = rest.strip_prefix('-').filter(|after| after.starts_with('0')).and_then(|after| number(after, 3..=3));
    build.or_else(|| WORDS.iter().find_map(|word| rest.strip_prefix(word)))
}

/// Words that always mean the same model. The last is how Claude Code asks for the long context.
const WORDS: &[&str] = &["-latest", "@latest", "@default", "[1m]"];

/// After `-20250929`, `@20250929` or `-2025-09-29`.
fn date(rest: &str) -> Option<&str> {
    let digits = rest.strip_prefix(['-', '@'])?;
    let after_year = digits.starts_with("20").then(|| number(digits.get(..4)?, 4..=4).map(|_| &digits[4..]))??;
    month_and_day(after_year).or_else(|| {
        let after = number(after_year, 4..=4)?;
        is_month(&after_year[..2]).then_some(after)
    })
}

/// After `-05-20`.
fn month_and_day(rest: &str) -> Option<&str> {
    let after_month = number(rest.strip_prefix('-')?, 2..=2)?;
    is_month(&rest[1..3]).then(|| number(after_month.strip_prefix('-')?, 2..=2))?
}

/// After `-09-2025`.
fn month_and_year(rest: &str) -> Option<&str> {
    let after_month = number(rest.strip_prefix('-')?, 2..=2)?;
    is_month(&rest[1..3]).then(|| number(after_month.strip_prefix('-')?, 4..=4))?
}

/// After `1`, `1:0` or `1:0:300k`. Other numbers than one count only behind a date, where they cannot name a generation.
fn bedrock_version(rest: &str, dated: bool) -> Option<&str> {
    let after = number(rest, 1..=2).filter(|after| dated || &rest[..rest.len() - after.len()] == "1")?;
    let Some(after) = after.strip_prefix(':').and_then(|after| number(after, 1..=2)) else { return Some(after) };
    let window = after.strip_prefix(':').and_then(|after| number(after, 1..=4)?.strip_prefix('k'));
    window.or(Some(after))
}

/// After a number of so many digits.
fn number(rest: &str, digits: std::ops::RangeInclusive<usize>) -> Option<&str> {
    let len = rest.bytes().take_while(u8::is_ascii_digit).count();
    digits.contains(&len).then(|| &rest[len..])
}

fn is_month(two_digits: &str) -> bool {
    two_digits.parse().is_ok_and(|month: u8| (1..=12).contains(&month))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str) -> (Vec<String>, Vec<String>) {
        let mut left_out = Vec::new();
        let name = Name::new(name).unwrap();
        let readings = name.readings(|word| word == "openai", |word| left_out.push(word.to_owned()));
        (readings.into_iter().map(|reading| name.raw(reading).to_owned()).collect(), left_out)
    }

    #[test]
    fn paths_regions_and_makers_are_left_out_one_by_one() {
        let (readings, left_out) = read("Bedrock/US.Anthropic.claude-v2:1");
        let expected =
            ["bedrock/us.anthropic.claude-v2:1", "us.anthropic.claude-v2:1", "anthropic.claude-v2:1", "claude-v2:1"];
        assert_eq!(readings, expected);
        assert_eq!(left_out, ["bedrock", "us", "anthropic"]);
        assert_eq!(read("openai:gpt-4o").0, ["openai:gpt-4o", "gpt-4o"]);
        assert_eq!(read("llama3:8b").0, ["llama3:8b"], "a tag is no provider");
        assert_eq!(read("gpt.4o").0, ["gpt.4o"], "nor is any word before a point");
    }

    #[test]
    fn a_fine_tuned_model_is_never_read_as_its_base() {
        assert_eq!(read("ft:gpt-4o-mini-2024-07-18:acme:bot:9f").0, ["ft:gpt-4o-mini-2024-07-18"]);
        assert_eq!(read("openai/ft:gpt-4o:acme/x::1").0, ["openai/ft:gpt-4o:acme/x::1", "ft:gpt-4o"]);
        assert_eq!(read("ft:gpt-4o").0, ["ft:gpt-4o"]);
    }

    #[test]
    fn readings_are_few_however_long_the_path() {
        let (readings, _) = read(&"a/".repeat(120));
        assert_eq!(readings.len(), Name::READINGS_MAX);
        assert!(Name::new(&"a".repeat(Name::BYTES_MAX + 1)).is_none() && Name::new("  ").is_none());
    }

    #[test]
    fn these_tails_name_a_version() {
        for tail in [
            "-2024-08-06",
            "-20250929",
            "@20250514",
            "-latest",
            "@latest",
            "@001",
            "-001",
            "-v1:0",
            "-v1",
            "-20250514-v1:0",
            "-20241022-v2:0",
            "-v1:0:300k",
            "-preview",
            "-preview-05-20",
            "-preview-09-2025",
            "-exp",
            "-exp-0827",
            "-exp-03-25",
            "-20250929[1m]",
        ] {
            assert!(is_version(tail), "{tail}");
        }
    }

    #[test]
    fn these_tails_name_another_model() {
        for tail in [
            "-mini",
            "-nano",
            "-1",
            "-7",
            "-5-sonnet",
            "-turbo",
            "-fast",
            "-pro",
            "-unheard-of",
            "-0613",
            "-2407",
            "-32k",
            "-v2:0",
            "-v3",
            ":7b",
            ":latest",
            ":free",
            "-audio-preview",
            "-2024",
            "-2024-13-01",
            "-19991231",
            "-preview-mini",
            "-100",
            "-",
            "@",
        ] {
            assert!(!is_version(tail), "{tail}");
        }
    }

    #[test]
    fn the_longest_rest_comes_first() {
        let rests: Vec<_> = Name::without_version("claude-sonnet-4-20250514-v1:0").collect();
        assert_eq!(rests, ["claude-sonnet-4-20250514", "claude-sonnet-4"]);
    }
}
