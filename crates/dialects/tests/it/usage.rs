//! Tokens of one call, from every place a sender puts them.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use spanlake_model::Usage;

use crate::build::{one, only, pairs, request, span, text};

fn int(value: i64) -> Value {
    Value::IntValue(value)
}

/// Input, output, read from a cache, written to one, thoughts.
fn counts(usage: &Usage) -> [Option<i64>; 5] {
    [usage.input, usage.output, usage.cache_read, usage.cache_write, usage.reasoning]
}

fn read(sent: &[(&str, Value)]) -> [Option<i64>; 5] {
    counts(&one(sent).usage)
}

const CACHED: [Option<i64>; 5] = [Some(2048), Some(96), Some(1536), None, Some(64)];

#[test]
fn what_a_count_leaves_out_is_taken_from_a_second_report_of_the_same_call() {
    let openai = r#"{"prompt_tokens":2048,"completion_tokens":96,"total_tokens":2144,"prompt_tokens_details":{"cached_tokens":1536},"completion_tokens_details":{"reasoning_tokens":64}}"#;
    let langchain = r#"{"input_tokens":2048,"output_tokens":96,"input_token_details":{"cache_read":1536},"output_token_details":{"reasoning":64}}"#;
    let python = "{'prompt_tokens': 2048, 'completion_tokens': 96, 'prompt_tokens_details': {'cached_tokens': 1536, 'audio_tokens': None}, 'completion_tokens_details': {'reasoning_tokens': 64}}";
    for (key, report) in [
        ("gen_ai.usage.raw", openai.to_owned()),
        ("langsmith.metadata.usage_metadata", langchain.to_owned()),
        ("metadata.usage_object", python.to_owned()),
        ("output.value", format!(r#"{{"id":"c","usage":{openai}}}"#)),
        ("output.value", format!(r#"{{"generations":[],"llm_output":{{"token_usage":{openai}}}}}"#)),
    ] {
        let sent =
            [("gen_ai.usage.input_tokens", int(2048)), ("gen_ai.usage.output_tokens", int(96)), (key, text(&report))];
        assert_eq!(read(&sent), CACHED, "{key}");
        let other =
            [("gen_ai.usage.input_tokens", int(9)), ("gen_ai.usage.output_tokens", int(96)), (key, text(&report))];
        assert_eq!(read(&other), [Some(9), Some(96), None, None, None], "a report of another call: {key}");
    }
}

#[test]
fn anthropics_own_answer_says_what_its_input_leaves_out() {
    let answer = r#"{"usage":{"input_tokens":3000,"cache_read_input_tokens":1536,"cache_creation_input_tokens":256,"output_tokens":96}}"#;
    let sent = [
        ("llm.token_count.prompt", int(3000)),
        ("llm.token_count.completion", int(96)),
        ("output.value", text(answer)),
    ];
    assert_eq!(read(&sent), [Some(4792), Some(96), Some(1536), Some(256), None]);
    // The same answer beside a count that has the caches in it.
    let whole = [
        ("llm.token_count.prompt", int(4792)),
        ("llm.token_count.completion", int(96)),
        ("output.value", text(answer)),
    ];
    assert_eq!(read(&whole), [Some(4792), Some(96), None, None, None]);
}

#[test]
fn vercels_counts_are_completed_by_what_the_provider_says() {
    let sent = |input: i64, metadata: &str| {
        [
            ("ai.usage.promptTokens", int(input)),
            ("ai.usage.completionTokens", int(96)),
            ("ai.response.providerMetadata", text(metadata)),
        ]
    };
    let openai = r#"{"openai":{"cachedPromptTokens":1536,"reasoningTokens":64}}"#;
    assert_eq!(read(&sent(2048, openai)), CACHED);
    let google = r#"{"google":{"usageMetadata":{"cachedContentTokenCount":1536,"thoughtsTokenCount":64}}}"#;
    assert_eq!(read(&sent(2048, google)), CACHED);
    let beside = r#"{"google":{"usageMetadata":{"cachedContentTokenCount":1536,"thoughtsTokenCount":64,"totalTokenCount":2208}}}"#;
    assert_eq!(read(&sent(2048, beside)), [Some(2048), Some(160), Some(1536), None, Some(64)]);
    // Versions 4 and 5 pass Anthropic's own count on, which has no caches in it however large it is.
    let four = r#"{"anthropic":{"cacheCreationInputTokens":256,"cacheReadInputTokens":1536}}"#;
    let five = r#"{"anthropic":{"usage":{"input_tokens":3000,"cache_read_input_tokens":1536,"cache_creation_input_tokens":256},"cacheCreationInputTokens":256}}"#;
    for metadata in [four, five] {
        assert_eq!(read(&sent(3000, metadata)), [Some(4792), Some(96), Some(1536), Some(256), None], "{metadata}");
    }
    // Version 6 counts as the conventions do, and says so.
    assert_eq!(read(&sent(4792, five)), [Some(4792), Some(96), Some(1536), Some(256), None]);
    for nonsense in ["{}", "[]", r#"{"anthropic":7}"#, r#"{"openai":null}"#, "no JSON"] {
        assert_eq!(read(&sent(5, nonsense)), [Some(5), Some(96), None, None, None], "{nonsense}");
    }
}

#[test]
fn thoughts_that_only_the_total_holds_are_output() {
    let sent = |model: &str, reasoning: Option<i64>| {
        let mut sent = vec![
            ("gen_ai.response.model", text(model)),
            ("gen_ai.usage.input_tokens", int(2048)),
            ("gen_ai.usage.output_tokens", int(32)),
            ("gen_ai.usage.total_tokens", int(2144)),
            ("gen_ai.usage.cache_read.input_tokens", int(1536)),
        ];
        sent.extend(reasoning.map(|count| ("gen_ai.usage.reasoning_tokens", int(count))));
        read(&sent)
    };
    assert_eq!(sent("gemini-2.5-flash", None), CACHED);
    assert_eq!(sent("gemini-2.5-flash", Some(64)), CACHED);
    assert_eq!(sent("any-model", Some(64)), CACHED);
    // Of others nobody knows what the total holds.
    assert_eq!(sent("any-model", None), [Some(2048), Some(32), Some(1536), None, None]);
    assert_eq!(sent("any-model", Some(7)), [Some(2048), Some(32), Some(1536), None, Some(7)]);
}

#[test]
fn tokens_may_be_in_an_event() {
    let mut call = span(&[("gen_ai.operation.name", text("chat"))]);
    let attributes = pairs(&[("gen_ai.usage.input_tokens", int(25)), ("gen_ai.usage.output_tokens", int(12))]);
    call.events = vec![Event { name: "gen_ai.usage".to_owned(), attributes, ..Default::default() }];
    assert_eq!(counts(&only(request(vec![call])).usage), [Some(25), Some(12), None, None, None]);
}
