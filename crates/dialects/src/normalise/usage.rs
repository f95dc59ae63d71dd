//! Tokens and dollars of one call, so that no sum counts a token twice.

mod second;
mod vercel;

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use spanlake_model::{Cost, Money, Usage};

use super::Source;
use super::canonical;
use super::fields::{Family, Field};
use super::value::{self, Map};

/// Where an object in JSON keeps each count: paths, in order of belief.
struct Paths {
    input: &'static [&'static str],
    output: &'static [&'static str],
    total: &'static [&'static str],
    cache_read: &'static [&'static str],
    cache_write: &'static [&'static str],
    reasoning: &'static [&'static str],
}

const OBJECT: Paths = Paths {
    input: &["prompt_tokens", "input_tokens", "input", "promptTokens", "inputTokens", "prompt_token_count"],
    output: &["completion_tokens", "output_tokens", "output", "completionTokens", "outputTokens"],
    total: &["total_tokens", "total", "totalTokens", "total_token_count"],
    cache_read: &[
        "prompt_tokens_details.cached_tokens",
        "input_tokens_details.cached_tokens",
        "input_token_details.cache_read",
        "cache_read_input_tokens",
        "input_cached_tokens",
        "cache_read",
        "cached_tokens",
        "cached_content_token_count",
    ],
    cache_write: &[
        "prompt_tokens_details.cache_creation_tokens",
        "input_token_details.cache_creation",
        "cache_creation_input_tokens",
        "cache_write_input_tokens",
        "cache_creation",
        "cache_write",
    ],
    reasoning: &[
        "completion_tokens_details.reasoning_tokens",
        "output_tokens_details.reasoning_tokens",
        "output_token_details.reasoning",
        "output_reasoning_tokens",
        "reasoning_tokens",
        "reasoning",
        "thoughts_token_count",
    ],
};

/// Buckets that mean the sender has already taken them out of `input` and `output`: Langfuse's LangChain callback.
const DISJOINT: &[&str] =
    &["input_cache_read", "input_cache_creation", "input_audio", "output_reasoning", "output_audio"];

/// Counts that are no part of [`Usage`]: the name of each bucket, and what it is read from.
const BUCKETS: &[(&str, Field)] = &[
    ("input_text", Field::InputTextTokens),
    ("input_image", Field::InputImageTokens),
    ("input_audio", Field::InputAudioTokens),
    ("input_video", Field::InputVideoTokens),
    ("output_text", Field::OutputTextTokens),
    ("output_image", Field::OutputImageTokens),
    ("output_audio", Field::OutputAudioTokens),
    ("output_video", Field::OutputVideoTokens),
];

/// Objects within an object of usage, and what their members are part of.
const DETAILS: &[(&str, &str)] = &[
    ("prompt_tokens_details", "input_"),
    ("input_tokens_details", "input_"),
    ("input_token_details", "input_"),
    ("completion_tokens_details", "output_"),
    ("output_tokens_details", "output_"),
    ("output_token_details", "output_"),
];

/// Names of counts that [`Usage`] has, wherever they stand.
const OF_USAGE: &[&str] = &[
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_read",
    "cache_read_tokens",
    "cache_read_input_tokens",
    "cache_creation",
    "cache_creation_tokens",
    "cache_creation_input_tokens",
    "cache_write_tokens",
    "input_cache_read",
    "input_cache_creation",
    "output_reasoning",
    "reasoning",
    "reasoning_tokens",
    "thoughts_tokens",
    "thoughts_token_count",
    "cached_content_tokens",
    "candidates_token_count",
    "input_audio_tokens",
    "output_audio_tokens",
];

/// Other counts, by bucket.
type Others = BTreeMap<String, String>;

/// The tokens a span reports; and what else it counts, as a canonical JSON object.
pub(super) fn usage(source: &Source<'_, '_>) -> (Usage, Option<String>) {
    let object = |field| {
        let maps = source.view.values(field).filter_map(value::map);
        let mut reports = maps.map(|map| (of_object(source, &map), others_of_object(&map)));
        reports.find(|(usage, _)| is_there(usage))
    };
    let alone = |usage| (usage, Others::new());
    let (usage, mut others) = object(Field::UsageObject)
        .or_else(|| of_adk(source).map(alone))
        .or_else(|| Some(of_attributes(source)).filter(is_there).map(alone))
        // Of a call that failed LiteLLM says that it took nothing.
        .or_else(|| object(Field::UsageObjectLast).filter(|(usage, _)| usage.input.max(usage.output) > Some(0)))
        .or_else(|| of_event(source).map(alone))
        .unwrap_or_default();
    for (bucket, field) in BUCKETS {
        if let Some(count) = source.view.count(*field) {
            add(&mut others, bucket, count);
        }
    }
    for (name, value) in source.view.family(Family::UsageDetails) {
        if let Some(count) = value::count(value).filter(|_| !OF_USAGE.contains(&name)) {
            add(&mut others, name, count);
        }
    }
    let details = (!others.is_empty()).then(|| canonical::object_of_json(&others));
    (usage, details)
}

/// Of a bucket that comes twice the first counts; one of nothing says nothing.
fn add(others: &mut Others, bucket: &str, count: i64) {
    if count > 0 && !others.contains_key(bucket) {
        others.insert(value::clean(bucket), count.to_string());
    }
}

fn others_of_object(map: &Map) -> Others {
    let mut others = Others::new();
    let is_ours = |name: &str| {
        let Paths { input, output, total, cache_read, cache_write, reasoning } = OBJECT;
        OF_USAGE.contains(&name)
            || [input, output, total, cache_read, cache_write, reasoning].iter().any(|paths| paths.contains(&name))
    };
    for (name, raw) in map {
        if let Some((_, prefix)) = DETAILS.iter().find(|(details, _)| details == name) {
            for (name, raw) in value::parse_map(raw.get()).unwrap_or_default() {
                if let Some(count) = count(&raw).filter(|_| !is_ours(&name)) {
                    add(&mut others, &format!("{prefix}{}", name.strip_suffix("_tokens").unwrap_or(&name)), count);
                }
            }
        } else if let Some(count) = count(raw).filter(|_| !is_ours(name)) {
            add(&mut others, name, count);
        }
    }
    others
}

fn is_there(usage: &Usage) -> bool {
    usage.input.or(usage.output).or(usage.total).is_some()
}

fn of_attributes(source: &Source<'_, '_>) -> Usage {
    let count = |field| source.view.count(field);
    let detail = |field: Field, key: &[&str]| first(&source.view.first(field).and_then(value::map)?, key);
    let sent = Usage {
        input: count(Field::InputTokens),
        output: count(Field::OutputTokens),
        total: count(Field::TotalTokens),
        cache_read: count(Field::CacheReadTokens).or_else(|| detail(Field::InputTokenDetails, &["cache_read"])),
        cache_write: count(Field::CacheWriteTokens).or_else(|| detail(Field::InputTokenDetails, &["cache_creation"])),
        reasoning: count(Field::ReasoningTokens).or_else(|| detail(Field::OutputTokenDetails, &["reasoning"])),
    };
    let (sent, is_exclusive) = second::completed(source, sent);
    inclusive(source, sent, is_exclusive)
}

/// Ax reports its tokens in an event, in the words of the conventions.
fn of_event(source: &Source<'_, '_>) -> Option<Usage> {
    let event = source.span.events.iter().rev().find(|event| event.name == "gen_ai.usage")?;
    let count = |key: &str| value::of_key(&event.attributes, key).and_then(value::count);
    let usage = Usage {
        input: count("gen_ai.usage.input_tokens"),
        output: count("gen_ai.usage.output_tokens"),
        total: count("gen_ai.usage.total_tokens"),
        ..Usage::default()
    };
    is_there(&usage).then(|| inclusive(source, usage, false))
}

fn of_object(source: &Source<'_, '_>, map: &Map) -> Usage {
    if DISJOINT.iter().any(|key| map.contains_key(*key)) {
        return of_buckets(map);
    }
    inclusive(source, as_sent(map), false)
}

fn as_sent(map: &Map) -> Usage {
    Usage {
        input: first(map, OBJECT.input),
        output: first(map, OBJECT.output),
        total: first(map, OBJECT.total),
        cache_read: first(map, OBJECT.cache_read),
        cache_write: first(map, OBJECT.cache_write),
        reasoning: first(map, OBJECT.reasoning),
    }
}

/// Every bucket counts once: what begins with `input` was read, what begins with `output` was written.
fn of_buckets(map: &Map) -> Usage {
    let sum = |prefix: &str| {
        let counts = map.iter().filter(|(key, _)| key.starts_with(prefix)).filter_map(|(_, raw)| count(raw));
        counts.fold(None, |sum: Option<i64>, count| Some(sum.unwrap_or(0).saturating_add(count)))
    };
    let (input, output) = (sum("input"), sum("output"));
    Usage {
        input,
        output,
        total: first(map, OBJECT.total).or_else(|| total(input, output)),
        cache_read: first(map, &["input_cache_read"]),
        cache_write: first(map, &["input_cache_creation"]),
        reasoning: first(map, &["output_reasoning"]),
    }
}

/// Google ADK 1 leaves its thoughts out of the output; only the response it keeps as JSON says how many there were.
fn of_adk(source: &Source<'_, '_>) -> Option<Usage> {
    if source.scope != "gcp.vertex.agent" {
        return None;
    }
    let response = source.view.first(Field::AdkResponse).and_then(value::map)?;
    let map = value::parse_map(response.get("usage_metadata")?.get())?;
    let thoughts = first(&map, &["thoughts_token_count"]);
    let output = first(&map, &["candidates_token_count"]).map(|count| count.saturating_add(thoughts.unwrap_or(0)));
    let (input, cache_read) = (first(&map, OBJECT.input), first(&map, OBJECT.cache_read));
    let total = first(&map, OBJECT.total).or_else(|| total(input, output));
    let usage = Usage { input, output, total, cache_read, cache_write: None, reasoning: thoughts };
    is_there(&usage).then_some(usage)
}

/// Adds the cached tokens to an input that was sent without them, as it is known to be or turns out to be.
fn inclusive(source: &Source<'_, '_>, sent: Usage, is_known: bool) -> Usage {
    let mut usage = sent;
    let caches = sent.cache_read.unwrap_or(0).saturating_add(sent.cache_write.unwrap_or(0));
    if let Some(input) = sent.input
        && caches > 0
        && (is_known || is_exclusive(source, &sent, input, caches))
    {
        usage.input = Some(input.saturating_add(caches));
    }
    // Nor can the thoughts outnumber the output that they are part of.
    if let (Some(output), Some(reasoning)) = (sent.output, sent.reasoning)
        && output < reasoning
    {
        usage.output = Some(output.saturating_add(reasoning));
    } else if let Some(thoughts) = thoughts_beside(source, &usage) {
        usage.output = usage.output.map(|output| output.saturating_add(thoughts));
        usage.reasoning = Some(thoughts);
    }
    let computed = total(usage.input, usage.output);
    // A total that the input alone outgrew was the total without caches.
    usage.total = sent.total.filter(|sent| computed.is_none_or(|computed| *sent >= computed)).or(computed);
    usage
}

/// What the total holds beside input and output: the thoughts, when they are said to be as many. Gemini counts its thoughts so, and
/// some who pass its counts on leave them out.
fn thoughts_beside(source: &Source<'_, '_>, usage: &Usage) -> Option<i64> {
    let beside = usage.total?.checked_sub(total(usage.input, usage.output)?).filter(|beside| *beside > 0)?;
    let is_gemini = || source.text(Field::Model).is_some_and(|model| model.to_lowercase().contains("gemini"));
    match usage.reasoning.filter(|thoughts| *thoughts > 0) {
        Some(thoughts) => (thoughts == beside).then_some(beside),
        None => (usage.output.is_some() && is_gemini()).then_some(beside),
    }
}

fn is_exclusive(source: &Source<'_, '_>, sent: &Usage, input: i64, caches: i64) -> bool {
    let openlit = || {
        source.resource.text(Field::SdkName).as_deref() == Some("openlit")
            && source.text(Field::Provider).is_some_and(|provider| provider.eq_ignore_ascii_case("anthropic"))
    };
    let with_caches = total(sent.input, sent.output).map(|plain| plain.saturating_add(caches));
    source.scope == "com.anthropic.claude_code.tracing"
        || openlit()
        // Tokens that are in the input cannot outnumber it.
        || input < caches
        || (sent.total.is_some() && sent.total == with_caches)
}

fn total(input: Option<i64>, output: Option<i64>) -> Option<i64> {
    match (input, output) {
        (None, None) => None,
        (input, output) => Some(input.unwrap_or(0).saturating_add(output.unwrap_or(0))),
    }
}

fn first(map: &Map, paths: &[&str]) -> Option<i64> {
    paths.iter().find_map(|path| match path.split_once('.') {
        None => count(map.get(*path)?),
        Some((outer, inner)) => count(value::parse_map(map.get(outer)?.get())?.get(inner)?),
    })
}

fn number(raw: &RawValue) -> Option<f64> {
    let text = raw.get();
    let unquoted = value::unquote(text);
    unquoted.as_deref().unwrap_or(text).trim().parse().ok().filter(|number: &f64| number.is_finite())
}

fn count(raw: &RawValue) -> Option<i64> {
    number(raw).and_then(value::whole_number)
}

/// The dollars a span says it cost. Nothing of what it says is computed here, but a sum of its parts.
pub(super) fn cost(source: &Source<'_, '_>, usage: &Usage) -> Cost {
    let number = |field| source.view.number(field);
    let object = |field| {
        let mut costs = source.view.values(field).filter_map(value::map).map(|map| cost_of_object(&map));
        costs.find(is_sent)
    };
    let alone = |field| Some(money(None, None, number(field))).filter(is_sent);
    let cost = object(Field::CostObject)
        .or_else(|| {
            let parts = (number(Field::CostInput), number(Field::CostOutput));
            Some(money(parts.0, parts.1, number(Field::CostTotal).or_else(|| sum(parts)))).filter(is_sent)
        })
        .or_else(|| alone(Field::CostTotalOfOperation))
        .or_else(|| object(Field::CostObjectLast))
        .or_else(|| alone(Field::CostTotalLast))
        .unwrap_or_default();
    // Senders that know no price for the model say that it was free.
    let is_free = cost.total.is_none_or(|total| total == Money::default());
    if is_free && is_there(usage) { Cost::default() } else { cost }
}

fn is_sent(cost: &Cost) -> bool {
    cost.total.is_some()
}

fn sum(parts: (Option<f64>, Option<f64>)) -> Option<f64> {
    match parts {
        (None, None) => None,
        (input, output) => Some(input.unwrap_or(0.0) + output.unwrap_or(0.0)),
    }
}

fn cost_of_object(map: &Map) -> Cost {
    let first = |keys: &[&str]| keys.iter().find_map(|key| number(map.get(*key)?));
    let of_prefix = |prefix: &str| {
        let parts = map.iter().filter(|(key, _)| key.starts_with(prefix)).filter_map(|(_, raw)| number(raw));
        parts.fold(None, |sum: Option<f64>, part| Some(sum.unwrap_or(0.0) + part))
    };
    let (input, output) = (of_prefix("input"), of_prefix("output"));
    let all_parts = || {
        let parts: Vec<f64> = map.values().filter_map(|raw| number(raw)).collect();
        (!parts.is_empty()).then(|| parts.iter().sum())
    };
    money(
        input,
        output,
        first(&["total", "total_cost", "response_cost"]).or_else(|| if is_hidden(map) { None } else { all_parts() }),
    )
}

/// LiteLLM's `hidden_params` holds much besides the cost; its numbers are not parts of one.
fn is_hidden(map: &Map) -> bool {
    map.contains_key("response_cost") || map.contains_key("litellm_call_id") || map.contains_key("model_id")
}

/// Negative dollars are none.
fn money(input: Option<f64>, output: Option<f64>, total: Option<f64>) -> Cost {
    let dollars = |amount: Option<f64>| amount.filter(|amount| *amount >= 0.0).and_then(Money::from_dollars);
    Cost { input: dollars(input), output: dollars(output), total: dollars(total) }
}
