//! What a sender's own counts leave out and another report of the same call on the same span has.

use serde::Deserialize;
use serde_json::value::RawValue;
use spanlake_model::Usage;

use super::super::Source;
use super::super::fields::Field;
use super::super::value::{self, Map};
use super::{as_sent, is_there, vercel};

/// The counts with the caches and thoughts that only a second report mentions, and whether the caches are known to stand beside the
/// input. A report is believed when its input and output are the same.
pub(super) fn completed(source: &Source<'_, '_>, usage: Usage) -> (Usage, bool) {
    if !is_there(&usage) || (usage.cache_read.is_some() && usage.reasoning.is_some()) {
        return vercel::completed(source, usage);
    }
    let reports = source.view.values(Field::UsageObjectLast).filter_map(value::map);
    let answer = if usage.cache_read.is_none() { of_answer(source) } else { None };
    for report in reports.chain(answer) {
        let second = as_sent(&report);
        if (second.input, second.output) == (usage.input, usage.output) {
            let is_exclusive = usage.cache_read.is_none() && is_of_anthropic(&report);
            let usage = Usage {
                total: usage.total.or(second.total),
                cache_read: usage.cache_read.or(second.cache_read),
                cache_write: usage.cache_write.or(second.cache_write),
                reasoning: usage.reasoning.or(second.reasoning),
                ..usage
            };
            return (usage, is_exclusive);
        }
    }
    vercel::completed(source, usage)
}

/// As Anthropic counts, whose input has no caches in it.
fn is_of_anthropic(report: &Map) -> bool {
    report.contains_key("input_tokens") && report.contains_key("cache_read_input_tokens")
}

/// The counts in the provider's whole answer, which OpenInference keeps beside its own and LangChain wraps.
fn of_answer(source: &Source<'_, '_>) -> Option<Map> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(default, borrow)]
        usage: Option<&'a RawValue>,
        #[serde(default, borrow)]
        llm_output: Option<Wrapped<'a>>,
    }
    #[derive(Deserialize)]
    struct Wrapped<'a> {
        #[serde(default, borrow)]
        token_usage: Option<&'a RawValue>,
        #[serde(default, borrow)]
        usage: Option<&'a RawValue>,
    }
    let text = source.view.first(Field::OutputValue).and_then(value::str)?;
    // Reading an answer costs far more than a look for the word.
    if !text.starts_with('{') || !text.contains("cache") {
        return None;
    }
    let answer: Answer<'_> = serde_json::from_str(text).ok()?;
    let wrapped = || answer.llm_output.and_then(|output| output.token_usage.or(output.usage));
    value::parse_map(answer.usage.or_else(wrapped)?.get())
}
