//! What can be filtered by, as data: one line a field.

use std::fmt;

/// What a field holds, which decides how it can be tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Text.
    Text,
    /// A number, a length of time in milliseconds, or dollars.
    Number,
    /// `OK`, `ERROR` or `UNSET`.
    Status,
    /// `GENERATION`, `SPAN` or `EVENT`.
    Type,
    /// Several texts.
    Tags,
    /// An id, which is compared as a whole.
    Id,
}

impl Holds {
    /// In the schema.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Number => "number",
            Self::Status => "status",
            Self::Type => "type",
            Self::Tags => "tags",
            Self::Id => "id",
        }
    }
}

/// A field that every span has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its name in the API.
    pub name: &'static str,
    /// What others call it.
    pub aliases: &'static [&'static str],
    /// What it holds.
    pub holds: Holds,
    /// Whether a trace has one of its own, which counts for a list of traces; of any other field it is enough that one span fits.
    pub is_of_trace: bool,
    /// What it is.
    pub says: &'static str,
}

const fn of_span(name: &'static str, aliases: &'static [&'static str], holds: Holds, says: &'static str) -> Known {
    Known { name, aliases, holds, is_of_trace: false, says }
}

const fn of_trace(name: &'static str, aliases: &'static [&'static str], holds: Holds, says: &'static str) -> Known {
    Known { name, aliases, holds, is_of_trace: true, says }
}

/// All of them.
pub const KNOWN: [Known; 28] = [
    of_trace("name", &["span_name", "trace_name"], Holds::Text, "The span's name; of a trace, the trace's."),
    of_trace("status", &[], Holds::Status, "How it ended; a trace failed when one of its spans did."),
    of_trace("latency_ms", &["latency", "duration_ms"], Holds::Number, "From start to end, in milliseconds."),
    of_trace("cost", &["total_cost"], Holds::Number, "Dollars, sent or computed."),
    of_trace("input_tokens", &["prompt_tokens"], Holds::Number, "All tokens of the prompt."),
    of_trace("output_tokens", &["completion_tokens"], Holds::Number, "All tokens that were generated."),
    of_trace("total_tokens", &["tokens"], Holds::Number, "Both together."),
    of_span("trace_id", &[], Holds::Id, "32 hex digits."),
    of_span("span_id", &[], Holds::Id, "16 hex digits."),
    of_span("kind", &["semantic_kind"], Holds::Text, "llm, tool, agent, … or the sender's own word."),
    of_span("type", &[], Holds::Type, "The coarse type."),
    of_span("operation", &[], Holds::Text, "chat, embeddings, execute_tool, …"),
    of_span("provider", &[], Holds::Text, "Who runs the model."),
    of_span("model", &["model_used"], Holds::Text, "The model that answered, or the one asked for."),
    of_span("user_id", &["user"], Holds::Text, "The end user."),
    of_span("session_id", &["session"], Holds::Text, "The session."),
    of_span("environment", &[], Holds::Text, "production, staging, …"),
    of_span("release", &[], Holds::Text, "The sender's release."),
    of_span("version", &[], Holds::Text, "The sender's version."),
    of_span("level", &[], Holds::Text, "DEBUG, DEFAULT, WARNING or ERROR."),
    of_span("status_message", &[], Holds::Text, "Why it failed."),
    of_span("prompt_name", &["prompt"], Holds::Text, "The prompt that was used."),
    of_span("tool_name", &["tool"], Holds::Text, "The tool that was called."),
    of_span("input", &[], Holds::Text, "What went in, as it was sent."),
    of_span("output", &[], Holds::Text, "What came out, as it was sent."),
    of_span("tags", &["tag"], Holds::Tags, "One of the tags."),
    of_span(
        "cached_input_tokens",
        &["cache_read_tokens"],
        Holds::Number,
        "Tokens of the prompt that came from a cache.",
    ),
    of_span("time_to_first_token_ms", &["ttft_ms"], Holds::Number, "Until the first token, in milliseconds."),
];

/// What scores themselves are filtered by, beside their metadata: where scores are the rows, not what chooses spans.
pub const KNOWN_OF_SCORES: [Known; 8] = [
    of_span("name", &[], Holds::Text, "What was judged."),
    of_span("value", &["score"], Holds::Number, "The number, where there is one."),
    of_span("label", &[], Holds::Text, "The category."),
    of_span("source", &[], Holds::Text, "api, annotation, experiment, eval, or the sender's own word."),
    of_span("author", &[], Holds::Text, "The key or the member that sent it."),
    of_span("trace_id", &[], Holds::Id, "The trace it names."),
    of_span("span_id", &[], Holds::Id, "The span it is about."),
    of_span("session_id", &["session"], Holds::Text, "The session it names."),
];

/// Characters of a key of metadata or a score's name at most.
const KEY_CHARS_MAX: usize = 200;
const METADATA: &str = "metadata.";
const SCORE: &str = "score__";
const ANY_SCORE: &str = "any_score";

/// A field to filter by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// One that every span has.
    Known(&'static Known),
    /// The value under a key of the metadata; dots lead into objects.
    Metadata(String),
    /// The mean of the scores of this name.
    Score(String),
    /// The mean of the scores of any name: a condition holds when it holds for one of them.
    AnyScore,
}

impl Field {
    /// By its name or another's word for it.
    ///
    /// # Errors
    /// There is none of that name; says which comes near.
    pub fn parse(name: &str) -> Result<Self, String> {
        for (prefix, make) in [(METADATA, Self::metadata as fn(&str) -> Option<Self>), (SCORE, Self::score)] {
            if let Some(key) = name.strip_prefix(prefix) {
                return make(key).ok_or_else(|| format!("'{name}' names no key"));
            }
        }
        if name == ANY_SCORE {
            return Ok(Self::AnyScore);
        }
        Self::known(&KNOWN, name).ok_or_else(|| match near(&KNOWN, name) {
            Some(other) => format!("there is no field '{name}'; did you mean '{other}'?"),
            None => format!("there is no field '{name}'; GET /v1/filter-schema lists them"),
        })
    }

    /// As [`Self::parse`], of a score's own.
    ///
    /// # Errors
    /// There is none of that name; says which there are.
    pub fn parse_of_score(name: &str) -> Result<Self, String> {
        if let Some(key) = name.strip_prefix(METADATA) {
            return Self::metadata(key).ok_or_else(|| format!("'{name}' names no key"));
        }
        Self::known(&KNOWN_OF_SCORES, name).ok_or_else(|| {
            let names = KNOWN_OF_SCORES.map(|known| known.name).join(", ");
            format!("scores have no field '{name}'; they have {names} and {METADATA}<key>")
        })
    }

    fn known(fields: &'static [Known], name: &str) -> Option<Self> {
        fields.iter().find(|known| known.name == name || known.aliases.contains(&name)).map(Self::Known)
    }

    fn metadata(key: &str) -> Option<Self> {
        is_key(key).then(|| Self::Metadata(key.to_owned()))
    }

    /// The scores of this name, unless none can have it.
    pub(super) fn score(name: &str) -> Option<Self> {
        is_key(name).then(|| Self::Score(name.to_owned()))
    }

    /// What it holds.
    pub const fn holds(&self) -> Holds {
        match self {
            Self::Known(known) => known.holds,
            Self::Metadata(_) => Holds::Text,
            Self::Score(_) | Self::AnyScore => Holds::Number,
        }
    }

    /// Whether a trace has one of its own.
    pub const fn is_of_trace(&self) -> bool {
        match self {
            Self::Known(known) => known.is_of_trace,
            Self::Metadata(_) => false,
            Self::Score(_) | Self::AnyScore => true,
        }
    }
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= KEY_CHARS_MAX
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(known) => f.write_str(known.name),
            Self::Metadata(key) => write!(f, "{METADATA}{key}"),
            Self::Score(name) => write!(f, "{SCORE}{name}"),
            Self::AnyScore => f.write_str(ANY_SCORE),
        }
    }
}

/// The name that is most like this one, when it is near enough to be meant.
fn near(fields: &'static [Known], name: &str) -> Option<&'static str> {
    let name = name.to_lowercase().replace('-', "_");
    let words = fields
        .iter()
        .flat_map(|known| std::iter::once(&known.name).chain(known.aliases).map(|word| (*word, known.name)));
    let (distance, found) = words.map(|(word, name_of)| (distance(&name, word), name_of)).min()?;
    (distance <= 1 + name.chars().count() / 4).then_some(found)
}

/// Letters to change, add or leave out (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (place, letter) in one.chars().take(KEY_CHARS_MAX).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], place + 1);
        for (column, of_other) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *of_other);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases_are_each_of_one_field() {
        let mut words: Vec<_> =
            KNOWN.iter().flat_map(|known| std::iter::once(&known.name).chain(known.aliases)).collect();
        let count = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), count);
    }

    #[test]
    fn a_field_is_known_by_every_name_and_a_slip_is_answered_with_the_name() {
        assert_eq!(Field::parse("prompt_tokens").unwrap().to_string(), "input_tokens");
        assert_eq!(Field::parse("metadata.team.name").unwrap(), Field::Metadata("team.name".into()));
        assert_eq!(Field::parse("score__exact-match").unwrap(), Field::Score("exact-match".into()));
        assert!(Field::parse("modle").unwrap_err().contains("did you mean 'model'?"));
        assert!(Field::parse("Latency-MS").unwrap_err().contains("did you mean 'latency_ms'?"));
        assert!(Field::parse("weather_in_paris").unwrap_err().contains("filter-schema"));
        assert!(Field::parse("metadata.").is_err());
    }

    #[test]
    fn a_score_has_fields_of_its_own() {
        assert_eq!(Field::parse_of_score("score").unwrap().to_string(), "value");
        assert_eq!(Field::parse_of_score("metadata.judge").unwrap(), Field::Metadata("judge".into()));
        let slip = Field::parse_of_score("model").unwrap_err();
        assert!(slip.contains("name, value, label, source"), "{slip}");
        assert!(Field::parse_of_score("score__quality").is_err() && Field::parse("value").is_err());
    }
}
