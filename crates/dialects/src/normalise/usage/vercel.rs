//! What the provider counted, as Vercel's SDK passes it on: until version 6 its own counts leave caches and thoughts out.

use spanlake_model::Usage;

use super::super::Source;
use super::super::fields::Field;
use super::super::value::{self, Map};
use super::first;

/// How some providers spell their counts: paths, in order of belief.
struct Spelling {
    providers: &'static [&'static str],
    cache_read: &'static [&'static str],
    cache_write: &'static [&'static str],
    reasoning: &'static [&'static str],
    total: &'static [&'static str],
    /// The input as they count it.
    input: &'static [&'static str],
    /// Whether they leave caches out of it.
    is_exclusive: bool,
}

const SPELLINGS: &[Spelling] = &[
    Spelling {
        providers: &["openai", "azure"],
        cache_read: &["cachedPromptTokens"],
        cache_write: &[],
        reasoning: &["reasoningTokens"],
        total: &[],
        input: &[],
        is_exclusive: false,
    },
    Spelling {
        providers: &["anthropic"],
        cache_read: &["cacheReadInputTokens", "usage.cache_read_input_tokens"],
        cache_write: &["cacheCreationInputTokens", "usage.cache_creation_input_tokens"],
        reasoning: &[],
        total: &[],
        input: &["usage.input_tokens"],
        is_exclusive: true,
    },
    Spelling {
        providers: &["bedrock"],
        cache_read: &["usage.cacheReadInputTokens"],
        cache_write: &["usage.cacheWriteInputTokens"],
        reasoning: &[],
        total: &[],
        input: &["usage.inputTokens"],
        is_exclusive: true,
    },
    Spelling {
        providers: &["google"],
        cache_read: &["usageMetadata.cachedContentTokenCount"],
        cache_write: &[],
        reasoning: &["usageMetadata.thoughtsTokenCount"],
        total: &["usageMetadata.totalTokenCount"],
        input: &[],
        is_exclusive: false,
    },
    Spelling {
        providers: &["deepseek"],
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
    let said = source.view.first(Field::VercelProviderMetadata).and_then(value::map);
    let Some((spelling, counts)) = said.as_ref().and_then(spelled) else { return (usage, false) };
    let knew_no_caches = usage.cache_read.is_none() && usage.cache_write.is_none();
    let is_as_counted = first(&counts, spelling.input).map(|input| Some(input) == usage.input);
    usage.cache_read = usage.cache_read.or_else(|| first(&counts, spelling.cache_read));
    usage.cache_write = usage.cache_write.or_else(|| first(&counts, spelling.cache_write));
    usage.reasoning = usage.reasoning.or_else(|| first(&counts, spelling.reasoning));
    usage.total = usage.total.or_else(|| first(&counts, spelling.total));
    (usage, spelling.is_exclusive && is_as_counted.unwrap_or(knew_no_caches))
}

/// The counts of the first provider we know, and how it spells them.
fn spelled(said: &Map) -> Option<(&'static Spelling, Map)> {
    let raw = |spelling: &Spelling| spelling.providers.iter().find_map(|provider| said.get(*provider));
    let (spelling, raw) = SPELLINGS.iter().find_map(|spelling| Some((spelling, raw(spelling)?)))?;
    Some((spelling, value::parse_map(raw.get())?))
}
