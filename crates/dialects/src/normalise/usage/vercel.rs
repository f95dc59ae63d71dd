//! What the provider counted, as Vercel's SDK passes it on: until version 6 its own counts leave caches and thoughts out.

use spanlake_model::Usage;

use super::super::Source;
use super::super::fields::Field;
use super::super::value;
use super::first;

/// How one provider spells its counts: paths, in order of belief.
struct Spelling {
    provider: &'static str,
    cache_read: &'static [&'static str],
    cache_write: &'static [&'static str],
    reasoning: &'static [&'static str],
    total: &'static [&'static str],
    /// The input as the provider counts it.
    input: &'static [&'static str],
    /// Whether the provider leaves caches out of its input.
    is_exclusive: bool,
}

const SPELLINGS: &[Spelling] = &[
    Spelling {
        provider: "openai",
        cache_read: &["cachedPromptTokens"],
        cache_write: &[],
        reasoning: &["reasoningTokens"],
        total: &[],
        input: &[],
        is_exclusive: false,
    },
    Spelling {
        provider: "azure",
        cache_read: &["cachedPromptTokens"],
        cache_write: &[],
        reasoning: &["reasoningTokens"],
        total: &[],
        input: &[],
        is_exclusive: false,
    },
    Spelling {
        provider: "anthropic",
        cache_read: &["cacheReadInputTokens", "usage.cache_read_input_tokens"],
        cache_write: &["cacheCreationInputTokens", "usage.cache_creation_input_tokens"],
        reasoning: &[],
        total: &[],
        input: &["usage.input_tokens"],
        is_exclusive: true,
    },
    Spelling {
        provider: "bedrock",
        cache_read: &["usage.cacheReadInputTokens"],
        cache_write: &["usage.cacheWriteInputTokens"],
        reasoning: &[],
        total: &[],
        input: &["usage.inputTokens"],
        is_exclusive: true,
    },
    Spelling {
        provider: "google",
        cache_read: &["usageMetadata.cachedContentTokenCount"],
        cache_write: &[],
        reasoning: &["usageMetadata.thoughtsTokenCount"],
        total: &["usageMetadata.totalTokenCount"],
        input: &[],
        is_exclusive: false,
    },
    Spelling {
        provider: "deepseek",
        cache_read: &["promptCacheHitTokens"],
        cache_write: &[],
        reasoning: &[],
        total: &[],
        input: &[],
        is_exclusive: false,
    },
];

/// The counts with what only the provider says, and whether the caches are known to stand beside the input.
pub(super) fn completed(source: &Source<'_, '_>, mut usage: Usage) -> (Usage, bool) {
    let Some(said) = source.view.first(Field::VercelProviderMetadata).and_then(value::map) else {
        return (usage, false);
    };
    let found = SPELLINGS.iter().find_map(|spelling| Some((spelling, said.get(spelling.provider)?)));
    let Some((spelling, counts)) = found.and_then(|(spelling, raw)| Some((spelling, value::parse_map(raw.get())?)))
    else {
        return (usage, false);
    };
    let knew_no_caches = usage.cache_read.is_none() && usage.cache_write.is_none();
    let is_as_counted = first(&counts, spelling.input).map(|input| Some(input) == usage.input);
    usage.cache_read = usage.cache_read.or_else(|| first(&counts, spelling.cache_read));
    usage.cache_write = usage.cache_write.or_else(|| first(&counts, spelling.cache_write));
    usage.reasoning = usage.reasoning.or_else(|| first(&counts, spelling.reasoning));
    usage.total = usage.total.or_else(|| first(&counts, spelling.total));
    (usage, spelling.is_exclusive && is_as_counted.unwrap_or(knew_no_caches))
}
