//! What one core does with spans after they are normalised: `cargo bench -p spanlake-store`.
//!
//! The spans are about 1.8 KB each, as an agent's run makes them, the same on every machine.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use spanlake_model::{
    AppId, FileId, Kind, Span, SpanId, SpanKey, Status, Table, TenantId, Timestamp, TraceId, Usage, WriterId,
};
use spanlake_store::file;
use spanlake_store::rows::{Origin, Row, encode};

/// In one request.
const SPANS: u64 = 500;
/// Requests in one flush.
const REQUESTS: u64 = 20;
const START: u64 = 1_795_262_400_000_000_000;
const WORDS: [&str; 12] =
    ["weather", "in", "Paris", "is \"sunny\"", "and", "21°C", "with", "wind\n", "from", "the", "north-west", "today"];
const ORIGIN: Origin = Origin { tenant: TenantId::from_bytes([1; 16]), writer: WriterId::from_bytes([2; 16]) };

/// A linear congruential generator: enough to vary a batch, and the same everywhere.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn message(&mut self, role: &str, bytes: usize) -> String {
        let mut content = String::new();
        while content.len() < bytes {
            content += WORDS[self.next() as usize % WORDS.len()];
            content.push(' ');
        }
        serde_json::json!([{"role": role, "parts": [{"type": "text", "content": content}]}]).to_string()
    }
}

/// A call of a model.
fn span(number: u64, numbers: &mut Numbers) -> Span {
    let text = |text: &str| Some(text.to_owned());
    let (input, output) = (numbers.message("user", 900), numbers.message("assistant", 400));
    let attributes = serde_json::json!({
        "gen_ai.input.messages": input, "gen_ai.operation.name": "chat", "gen_ai.output.messages": output,
        "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini", "gen_ai.usage.input_tokens": 812,
        "gen_ai.usage.output_tokens": 97, "session.id": format!("session-{}", number / 50), "user.id": "user-7",
    });
    let trace = u128::from(number / 5 + 1) << 64 | u128::from(START);
    let start = Timestamp::from_nanos((START + number * 1_000_000).cast_signed());
    let key = SpanKey {
        app_id: AppId::from_bytes([1; 16]),
        trace_id: TraceId::from_bytes(trace.to_be_bytes()).expect("not zero"),
        span_id: SpanId::from_bytes((number + 1).to_be_bytes()).expect("not zero"),
    };
    Span {
        parent_span_id: SpanId::from_bytes((number / 5 * 5 + 1).to_be_bytes()),
        name: "chat gpt-4o-mini".to_owned(),
        kind: Kind::new(Kind::LLM),
        status: Status::Ok,
        end: Some(Timestamp::from_nanos(start.as_nanos() + 812_345_678)),
        provider: text("openai"),
        request_model: text("gpt-4o-mini"),
        model: text("gpt-4o-mini-2024-07-18"),
        response_id: Some(format!("chatcmpl-{:024}", numbers.next())),
        usage: Usage { input: Some(812), output: Some(97), total: Some(909), ..Usage::default() },
        session_id: Some(format!("session-{}", number / 50)),
        user_id: text("user-7"),
        environment: text("production"),
        version: text("1.4.2"),
        service_name: Some("bench".into()),
        scope_name: Some("bench".into()),
        attributes: attributes.to_string(),
        resource: r#"{"service.name":"bench","service.version":"1.4.2"}"#.into(),
        input: Some(input),
        output: Some(output),
        ..Span::new(key, start)
    }
}

fn request(number: u64) -> Vec<Row> {
    let mut numbers = Numbers(number);
    let received_at = Timestamp::from_nanos(START.cast_signed());
    let row = |place| Row { span: span(number * SPANS + place, &mut numbers), received_at, sequence: number };
    (0..SPANS).map(row).collect()
}

fn stages(criterion: &mut Criterion) {
    let requests: Vec<_> = (0..REQUESTS).map(request).collect();
    let batches: Vec<_> = requests.iter().map(|rows| encode(ORIGIN, rows)).collect();
    let mut group = criterion.benchmark_group("stages");
    group.throughput(Throughput::Elements(SPANS));
    group.bench_function("rows", |bencher| bencher.iter(|| encode(ORIGIN, black_box(&requests[0]))));
    group.throughput(Throughput::Elements(SPANS * REQUESTS));
    group.bench_function("sort", |bencher| bencher.iter(|| file::sort(Table::Spans, black_box(&batches))));
    let (day, sorted) = file::sort(Table::Spans, &batches).expect("rows of the schema").remove(0);
    for (name, config) in [("parquet", file::Config::default()), ("parquet_merged", file::Config::merged())] {
        let name_of_file =
            file::Name { tenant: ORIGIN.tenant, table: Table::Spans, day, file: FileId::from_bytes([3; 16]) };
        group.bench_function(name, |bencher| {
            bencher.iter(|| file::encode(&name_of_file, black_box(&sorted), &config).expect("rows of the schema"));
        });
    }
    group.finish();
}

criterion_group!(benches, stages);
criterion_main!(benches);
