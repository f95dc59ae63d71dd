//! How many spans a second one core decodes and normalises: `cargo bench -p spanlake-dialects`.
//!
//! Before the measurements it prints what one pass costs beside prost's bare decoding of the same bytes, taken in turns so that
//! a busy machine slows both alike, and how often each allocates.
//!
//! The batch is 500 spans of about 1.8 KB as an agent's run makes them, the same on every machine.

use std::alloc::System;
use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use spanlake_dialects::otlp::{Encoding, Signal};
use spanlake_dialects::{Context, Request};
use spanlake_model::{AppId, Timestamp};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

/// Counts; the cost of it, a few atomic additions, falls on all that is compared.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SPANS: usize = 500;
const SEED: u64 = 0x5eed;
const START: u64 = 1_795_262_400_000_000_000;
const WORDS: [&str; 12] =
    ["weather", "in", "Paris", "is \"sunny\"", "and", "21°C", "with", "wind\n", "from", "the", "north-west", "today"];

/// A linear congruential generator: enough to vary a batch, and the same everywhere.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn prose(&mut self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 16);
        while text.len() < bytes {
            text.push_str(WORDS[self.next() as usize % WORDS.len()]);
            text.push(' ');
        }
        text
    }

    fn messages(&mut self, role: &str, bytes: usize) -> Value {
        let content = self.prose(bytes);
        let message = serde_json::json!([{"role": role, "parts": [{"type": "text", "content": content}]}]);
        Value::StringValue(message.to_string())
    }
}

fn text(value: &str) -> Value {
    Value::StringValue(value.to_owned())
}

fn pairs(attributes: Vec<(&str, Value)>) -> Vec<KeyValue> {
    let pair = |(key, value): (&str, Value)| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..Default::default()
    };
    attributes.into_iter().map(pair).collect()
}

fn attributes(kind: usize, numbers: &mut Numbers) -> (&'static str, Vec<(&'static str, Value)>) {
    match kind {
        0 => (
            "invoke_agent support",
            vec![
                ("gen_ai.operation.name", text("invoke_agent")),
                ("gen_ai.agent.name", text("support")),
                ("input.value", Value::StringValue(numbers.prose(500))),
                ("output.value", Value::StringValue(numbers.prose(600))),
            ],
        ),
        1 | 2 => (
            "chat gpt-4o-mini",
            vec![
                ("gen_ai.operation.name", text("chat")),
                ("gen_ai.provider.name", text("openai")),
                ("gen_ai.request.model", text("gpt-4o-mini")),
                ("gen_ai.response.model", text("gpt-4o-mini-2024-07-18")),
                ("gen_ai.response.id", Value::StringValue(format!("chatcmpl-{:06}", numbers.next() % 1_000_000))),
                ("gen_ai.request.temperature", Value::DoubleValue(0.2)),
                ("gen_ai.usage.input_tokens", Value::IntValue(numbers.next() as i64 % 2_000 + 100)),
                ("gen_ai.usage.output_tokens", Value::IntValue(numbers.next() as i64 % 500)),
                ("gen_ai.usage.cache_read.input_tokens", Value::IntValue(64)),
                ("gen_ai.input.messages", numbers.messages("user", 650)),
                ("gen_ai.output.messages", numbers.messages("assistant", 250)),
            ],
        ),
        3 => (
            "execute_tool get_weather",
            vec![
                ("gen_ai.operation.name", text("execute_tool")),
                ("gen_ai.tool.name", text("get_weather")),
                ("gen_ai.tool.call.id", text("call_000002")),
                ("gen_ai.tool.call.arguments", text(r#"{"city": "Paris"}"#)),
                ("gen_ai.tool.call.result", Value::StringValue(numbers.prose(1_000))),
            ],
        ),
        _ => (
            "retrieve",
            vec![
                ("openinference.span.kind", text("RETRIEVER")),
                ("input.value", Value::StringValue(numbers.prose(120))),
                ("retrieval.documents.0.document.content", Value::StringValue(numbers.prose(450))),
                ("retrieval.documents.0.document.score", Value::DoubleValue(0.92)),
                ("retrieval.documents.1.document.content", Value::StringValue(numbers.prose(450))),
                ("retrieval.documents.1.document.id", text("doc-2")),
            ],
        ),
    }
}

fn span(position: usize, numbers: &mut Numbers) -> Span {
    let (name, mut sent) = attributes(position % 5, numbers);
    sent.push(("session.id", Value::StringValue(format!("session-{}", position / 50))));
    sent.push(("user.id", Value::StringValue(format!("user-{}", numbers.next() % 100))));
    sent.push(("langfuse.trace.metadata.plan", text("\"pro\"")));
    let start = START + position as u64 * 1_000_000;
    Span {
        trace_id: [START + position as u64 / 5, SEED].map(u64::to_be_bytes).concat(),
        span_id: (position as u64 + 1).to_be_bytes().to_vec(),
        parent_span_id: if position.is_multiple_of(5) {
            Vec::new()
        } else {
            (position as u64 / 5 * 5 + 1).to_be_bytes().to_vec()
        },
        name: name.to_owned(),
        kind: 1,
        start_time_unix_nano: start,
        end_time_unix_nano: start + numbers.next() % 5_000_000_000,
        attributes: pairs(sent),
        status: Some(Status { code: 1, ..Default::default() }),
        ..Default::default()
    }
}

fn batch() -> ExportTraceServiceRequest {
    let mut numbers = Numbers(SEED);
    let spans = (0..SPANS).map(|position| span(position, &mut numbers)).collect();
    let scope = InstrumentationScope { name: "bench".to_owned(), ..Default::default() };
    let resource = Resource {
        attributes: pairs(vec![
            ("service.name", text("bench")),
            ("service.version", text("1.4.2")),
            ("deployment.environment.name", text("staging")),
            ("telemetry.sdk.language", text("python")),
        ]),
        ..Default::default()
    };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..Default::default() }];
    let resource_spans = vec![ResourceSpans { resource: Some(resource), scope_spans, ..Default::default() }];
    ExportTraceServiceRequest { resource_spans }
}

fn read(encoding: Encoding, bytes: &Bytes) -> Request {
    Request::decode(Signal::Traces, encoding, black_box(bytes)).expect("the batch is well-formed")
}

/// Turns taken for the ratio.
const ROUNDS: usize = 200;

/// What is compared, by name.
type Pass<'p> = (&'static str, Box<dyn FnMut() + 'p>);

/// The least time one pass took, and how often it allocated per span.
fn cost(passes: &mut [Pass<'_>]) -> Vec<(Duration, f64)> {
    let mut least = vec![(Duration::MAX, 0.0); passes.len()];
    for _ in 0..ROUNDS {
        for ((_, pass), least) in passes.iter_mut().zip(&mut least) {
            let region = Region::new(ALLOCATOR);
            let start = Instant::now();
            pass();
            *least = (least.0.min(start.elapsed()), region.change().allocations as f64 / SPANS as f64);
        }
    }
    least
}

#[expect(clippy::print_stdout, reason = "what a benchmark finds is what it prints")]
fn compare(batch: &ExportTraceServiceRequest, json: &Bytes, context: &Context) {
    let protobuf = Bytes::from(batch.encode_to_vec());
    let all = |encoding, bytes| drop(black_box(read(encoding, bytes).normalise(context, &mut |_| Ok(None))));
    let request = read(Encoding::Protobuf, &protobuf);
    let mut passes: Vec<Pass<'_>> = vec![
        (
            "prost, bare",
            Box::new(|| drop(black_box(ExportTraceServiceRequest::decode(black_box(&*protobuf)).expect("our own")))),
        ),
        ("protobuf, decode only", Box::new(|| drop(read(Encoding::Protobuf, &protobuf)))),
        ("protobuf, normalise only", Box::new(|| drop(black_box(request.normalise(context, &mut |_| Ok(None)))))),
        ("protobuf, decode and normalise", Box::new(|| all(Encoding::Protobuf, &protobuf))),
        ("json, decode and normalise", Box::new(|| all(Encoding::Json, json))),
    ];
    let costs = cost(&mut passes);
    for ((name, _), (time, allocations)) in passes.iter().zip(&costs) {
        let ratio = time.as_secs_f64() / costs[0].0.as_secs_f64();
        let spans = SPANS as f64 / time.as_secs_f64();
        println!("{name:32} {spans:>9.0} spans/s  {ratio:>5.2} × bare prost  {allocations:>6.1} allocations a span");
    }
}

fn decode(criterion: &mut Criterion) {
    let context = Context::new(AppId::from_bytes([1; 16]), Timestamp::from_nanos(START as i64));
    let batch = batch();
    let json = Bytes::from(serde_json::to_vec(&batch).expect("plain data is always JSON"));
    compare(&batch, &json, &context);
    for (name, encoding, bytes) in
        [("protobuf", Encoding::Protobuf, Bytes::from(batch.encode_to_vec())), ("json", Encoding::Json, json)]
    {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::ElementsAndBytes { elements: SPANS as u64, bytes: bytes.len() as u64 });
        group.bench_function("decode", |bencher| {
            bencher.iter(|| read(encoding, &bytes));
        });
        group.bench_function("decode_and_normalise", |bencher| {
            bencher.iter(|| {
                let normalised = read(encoding, &bytes).normalise(&context, &mut |_| Ok(None));
                assert_eq!(normalised.spans.len(), SPANS);
                normalised
            });
        });
        group.finish();
    }
}

criterion_group!(benches, decode);
criterion_main!(benches);
