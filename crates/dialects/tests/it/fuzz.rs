//! Fuzzing with stable Rust: real input, changed at random from a seed, into each parser of bytes from outside.
//!
//! `FUZZ_ITERATIONS=1000000 cargo test -p spanlake-dialects --release fuzz` runs longer than the few thousand of a usual test;
//! `FUZZ_SEED` begins elsewhere. A failure prints the input.

use std::panic::{AssertUnwindSafe, catch_unwind};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use prost::Message;
use serde_json::json;
use spanlake_dialects::chat;
use spanlake_dialects::otlp::{Encoding, decode_traces};

use crate::build::{RECEIVED, normalised, one, text};
use crate::hostile::must_not_panic;
use crate::{chat::settles, fixtures, logs};

const ITERATIONS: u64 = 3_000;

/// What parsers stumble over.
const TOKENS: &[&str] = &[
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "\\",
    ",",
    ":",
    ".",
    "-1",
    "0",
    "999999999999999999999",
    "1e999",
    "NaN",
    "null",
    "None",
    "True",
    "(",
    ")",
    "\\u0000",
    "\\ud83d",
    "\\x",
    "\u{0}",
    "é",
    "💥",
    " ",
    "\n",
    "\"role\":",
    "\"type\":\"text\"",
    "[[[[",
    "{\"a\":",
    "=",
    "\u{FEFF}",
];

/// A xorshift generator: enough to vary input, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }

    /// The input with a few things changed, taken out, doubled or put in.
    fn change(&mut self, input: &[u8]) -> Vec<u8> {
        let mut bytes = input.to_vec();
        for _ in 0..=self.below(6) {
            let at = self.below(bytes.len() + 1);
            let end = (at + self.below(16)).min(bytes.len());
            match self.below(5) {
                0 if at < bytes.len() => bytes[at] = self.below(256) as u8,
                1 => drop(bytes.drain(at..end)),
                2 => {
                    let again = bytes[at..end].to_vec();
                    bytes.splice(at..at, again);
                }
                3 => bytes.truncate(at),
                _ => drop(bytes.splice(at..at, TOKENS[self.below(TOKENS.len())].bytes())),
            }
        }
        bytes
    }
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var_os(name).and_then(|value| value.to_str()?.parse().ok()).unwrap_or(otherwise)
}

pub(crate) fn fuzz(inputs: &[Vec<u8>], parse: impl Fn(&[u8])) {
    let mut random = Random(number("FUZZ_SEED", 0x5eed).max(1));
    for _ in 0..number("FUZZ_ITERATIONS", ITERATIONS) {
        let chosen = random.below(inputs.len());
        let input = random.change(&inputs[chosen]);
        if catch_unwind(AssertUnwindSafe(|| parse(&input))).is_err() {
            panic!("on {:?}", String::from_utf8_lossy(&input));
        }
    }
}

fn seeds(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Small enough that thousands of changes take seconds.
pub(crate) fn captures(encoding: Encoding) -> Vec<Vec<u8>> {
    let requests = fixtures::captures().into_values().flatten();
    let bytes = requests.filter(|(of, bytes)| *of == encoding && bytes.len() < 40_000).map(|(_, bytes)| bytes);
    bytes.collect()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn fuzz_otlp_json() {
    let mut inputs = captures(Encoding::Json);
    inputs.push(br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"a","attributes":[{"key":"k","value":{"intValue":"1"}}]}]}]}]}"#.to_vec());
    fuzz(&inputs, |bytes| must_not_panic(Encoding::Json, bytes));
}

#[test]
fn fuzz_otlp_protobuf() {
    fuzz(&captures(Encoding::Protobuf), |bytes| must_not_panic(Encoding::Protobuf, bytes));
}

#[test]
fn fuzz_otlp_logs() {
    let sent = fixtures::logs().into_iter().filter(|(.., body)| body.len() < 40_000);
    let protobuf: Vec<_> =
        sent.filter(|(_, encoding, _)| *encoding == Encoding::Protobuf).map(|(.., body)| body).collect();
    let in_json = |body: &Vec<u8>| serde_json::to_vec(&ExportLogsServiceRequest::decode(&**body).unwrap()).unwrap();
    let json: Vec<_> = protobuf.iter().map(in_json).collect();
    fuzz(&protobuf, |bytes| logs::must_not_panic(Encoding::Protobuf, bytes));
    fuzz(&json, |bytes| logs::must_not_panic(Encoding::Json, bytes));
}

#[test]
fn fuzz_log_records() {
    let bodies = [
        r#"{"content":"hi","role":"user"}"#,
        r#"{"index":0,"finish_reason":"FinishReason.STOP","message":{"role":"assistant","tool_calls":[{"id":"1"}]}}"#,
        r#"{"event.name":"gen_ai.choice","content":{"parts":[{"text":"x"}]}}"#,
        r#"[{"role":"system","content":"{'a': None}"}]"#,
    ];
    let names =
        ["gen_ai.user.message", "gen_ai.choice", "gen_ai.client.inference.operation.details", "codex.user_prompt", ""];
    fuzz(&seeds(&bodies), |bytes| {
        let body = lossy(bytes);
        for name in names {
            let row = logs::one(logs::with_body(name, text(&body)));
            assert!(serde_json::from_str::<serde_json::Map<_, _>>(&row.attributes).is_ok(), "{}", row.attributes);
            for message in
                [row.input, row.output].into_iter().flatten().filter(|content| content.starts_with("{\"role\""))
            {
                assert!(serde_json::from_str::<serde_json::Value>(&message).is_ok(), "{message}");
            }
        }
    });
}

/// What short texts are read from: lists, names, objects, numbers and times.
#[test]
fn fuzz_labels() {
    let texts = [
        r#"["a", "b", 'c']"#,
        "one, two,, three",
        r#"{"name":"p","version":3}"#,
        r#"[{"name":"p","version":"3"}]"#,
        r#""quoted \" text""#,
        r#"{"plan":{"deep":[1e999,"\ud800"]},"plan":2}"#,
        "2026-11-21T12:00:00.123456789+02:00",
        "1795262400.5",
        "['stop', None]",
        "FinishReason.STOP",
        "gemini/models:generateContent",
    ];
    let keys = [
        "langfuse.trace.tags",
        "tag.tags",
        "mlflow.linkedPrompts",
        "ai.telemetry.metadata.langfusePrompt",
        "metadata",
        "langfuse.trace.metadata.k",
        "langfuse.observation.metadata",
        "llm.invocation_parameters",
        "gen_ai.request.temperature",
        "ai.settings.maxOutputTokens",
        "gen_ai.response.finish_reasons",
        "ai.response.finishReason",
        "gen_ai.output.messages",
        "langfuse.observation.completion_start_time",
        "gen_ai.response.time_to_first_chunk",
        "ai.response.msToFirstChunk",
        "ai.response.avgOutputTokensPerSecond",
        "langfuse.observation.level",
        "logfire.level_num",
        "logfire.pending_parent_id",
        "session.id",
        "user.id",
        "gen_ai.provider.name",
        "ai.model.provider",
        "gen_ai.operation.name",
        "openinference.span.kind",
    ];
    fuzz(&seeds(&texts), |bytes| {
        let sent = lossy(bytes);
        for only in keys {
            let span = one(&[(only, text(&sent))]);
            let is_object = |json: &str| serde_json::from_str::<serde_json::Map<_, _>>(json).is_ok();
            let objects = [Some(&span.metadata), Some(&span.attributes), span.model_parameters.as_ref()];
            assert!(objects.into_iter().flatten().all(|object| is_object(object)), "{only}: {objects:?}");
            assert!(span.tags.iter().all(|tag| !tag.is_empty() && tag.chars().count() <= 100), "{:?}", span.tags);
            assert!(span.time_to_first_token_ns.is_none_or(|nanos| nanos >= 0));
            assert!(span.tokens_per_second.is_none_or(|speed| speed.is_finite() && speed > 0.0));
            for name in [span.session_id, span.user_id, span.provider, span.finish_reason].into_iter().flatten() {
                assert!(!name.is_empty() && name.len() <= 1_024 + 64 && !name.contains('\0'), "{only}: {name:?}");
            }
        }
    });
}

#[test]
fn fuzz_ids() {
    let ids = [
        "0AF7651916cd43dd8448eb211c80319c",
        "CvdlGRbNQ92ESOshHIAxnA==",
        "b7ad6b7169203331",
        "t61rcWkgMzE=",
        "-_-_",
        "",
    ];
    fuzz(&seeds(&ids), |bytes| {
        let id = lossy(bytes);
        let span = json!({"traceId": id, "spanId": id, "parentSpanId": id, "name": id, "startTimeUnixNano": RECEIVED});
        let body = json!({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).to_string();
        let answer = normalised(&decode_traces(Encoding::Json, body.as_bytes()).unwrap());
        assert_eq!(answer.spans.len() + answer.rejected.len(), 1);
    });
}

#[test]
fn fuzz_indexed_keys() {
    let keys = ["0.role\n0.content\n1.tool_calls.0.id\n10.x\n9.x", "0\n0.0\n0.a.b", "00.x\n-1.x\n99999999999.x\n.\n.."];
    fuzz(&seeds(&keys), |bytes| {
        let keys: Vec<String> = lossy(bytes).lines().map(|line| format!("gen_ai.prompt.{line}")).collect();
        let sent: Vec<_> = keys.iter().map(|key| (key.as_str(), text("x"))).collect();
        if let Some(input) = one(&sent).input {
            assert!(serde_json::from_str::<serde_json::Value>(&input).is_ok(), "{input}");
        }
    });
}

#[test]
fn fuzz_python_literals() {
    let literals = [
        "{'a': None, 'b': (1, 2.5,), 'c': 'it\\'s', \"d\": True}",
        "['a', \"b\", '\\x41\\u00e9']",
        "{'response_cost': 0.5}",
    ];
    fuzz(&seeds(&literals), |bytes| {
        let literal = lossy(bytes);
        let keys = [
            "tag.tags",
            "langsmith.metadata.usage_metadata",
            "hidden_params",
            "metadata",
            "gen_ai.response.finish_reasons",
        ];
        let span = one(&keys.map(|key| (key, text(&literal))));
        assert!(serde_json::from_str::<serde_json::Map<_, _>>(&span.metadata).is_ok(), "{}", span.metadata);
        let _ = chat::of_input(&literal);
    });
}

#[test]
fn fuzz_conversations() {
    let mut inputs: Vec<Vec<u8>> = fixtures::decoded()
        .flat_map(|(_, request)| normalised(&request).spans)
        .flat_map(|(_, span)| [span.input, span.output])
        .flatten()
        .filter(|content| content.len() < 10_000)
        .map(String::into_bytes)
        .collect();
    inputs.extend(seeds(&[
        r#"[{"role":"user","parts":[{"type":"text","content":"x"},{"type":"blob","content":"aGk=","mime_type":"image/png"}]}]"#,
        r#"{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f","args":{}}},{"inlineData":{"data":"aGk="}}]}]}"#,
        r#"{"kind":"request","parts":[{"part_kind":"tool-return","content":"x","tool_call_id":"1"}]}"#,
    ]));
    fuzz(&inputs, |bytes| {
        let content = lossy(bytes);
        for messages in [chat::of_input(&content), chat::of_output(&content)].into_iter().flatten() {
            settles(&messages);
        }
    });
}

#[test]
fn fuzz_usage_objects() {
    let objects = [
        r#"{"prompt_tokens":30,"completion_tokens":9,"prompt_tokens_details":{"cached_tokens":20,"audio_tokens":1}}"#,
        r#"{"input":10,"input_cache_read":20,"output":5,"output_reasoning":4,"total":39}"#,
        "{'input_tokens': 7, 'input_token_details': {'cache_read': 2}}",
    ];
    fuzz(&seeds(&objects), |bytes| {
        let span = one(&[("langfuse.observation.usage_details", text(&lossy(bytes)))]);
        let usage = span.usage;
        let counts = [usage.input, usage.output, usage.total, usage.cache_read, usage.cache_write, usage.reasoning];
        assert!(counts.into_iter().flatten().all(|count| count >= 0));
    });
}

#[test]
fn fuzz_cost_objects() {
    let objects = [
        r#"{"input":0.1,"output":0.2,"total":0.3}"#,
        r#"{"total_cost":"0.5"}"#,
        "{'response_cost': 0.75, 'model_id': None}",
    ];
    fuzz(&seeds(&objects), |bytes| {
        let sent = text(&lossy(bytes));
        let cost = one(&[("langfuse.observation.cost_details", sent.clone()), ("hidden_params", sent)]).cost;
        let parts = [cost.input, cost.output, cost.total].into_iter().flatten();
        assert!(parts.into_iter().all(|money| money.as_pico() >= 0));
    });
}
