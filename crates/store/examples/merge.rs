//! Merges files of a busy tenant's day and says how fast, and in how much memory.
//!
//! ```text
//! cargo run --release -p spanlake-store --example merge -- [FILES] [ROWS] [VALUE_BYTES]
//! ```
//!
//! Without arguments 20 files of 30,000 spans of 1.8 KB, flushed one after the other. `VALUE_BYTES` is the size of a span's input.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement for people to read")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use object_store::ObjectStore;
use spanlake_model::{
    AppId, Cost, Day, FileId, Kind, Money, Span, SpanId, SpanKey, Status, Table, TenantId, TraceId, Usage, WriterId,
};
use spanlake_store::disk::LocalDisk;
use spanlake_store::file::{self, merge};
use spanlake_store::rows::{Origin, Row, encode};
use spanlake_store::{Config, Store};

const TENANT: TenantId = TenantId::from_bytes([7; 16]);
const DAY: Day = Day(20_000);
const WORDS: [&str; 24] = [
    "the", "customer", "asks", "about", "an", "invoice", "that", "was", "paid", "twice", "please", "check", "order",
    "status", "and", "refund", "policy", "tool", "returned", "no", "result", "for", "query", "agent",
];

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>().unwrap());
    let files = arguments.next().unwrap_or(20);
    let rows = arguments.next().unwrap_or(30_000);
    let value_bytes = arguments.next().unwrap_or(700);
    let folder = std::env::temp_dir().join(format!("spanlake-merge-{}", std::process::id()));
    let url = format!("file:{}", folder.display());
    let store = Store::open(&Config { url }, Arc::new(LocalDisk)).unwrap().tenant(TENANT);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(measure(store, files, rows, value_bytes));
    std::fs::remove_dir_all(folder).unwrap();
}

async fn measure(store: Arc<dyn ObjectStore>, files: usize, rows: usize, value_bytes: usize) {
    let mut numbers = Numbers(42);
    let (mut paths, mut read) = (Vec::new(), 0);
    for number in 0..files {
        let name = name(u8::try_from(number).unwrap());
        let spans: Vec<_> = (0..rows).map(|index| row(&mut numbers, number * rows + index, value_bytes)).collect();
        let batch = encode(Origin { tenant: TENANT, writer: WriterId::from_bytes([1; 16]) }, &spans);
        let (_, sorted) = file::sort(Table::Spans, &[batch]).unwrap().remove(0);
        let (bytes, written) = file::encode(&name, &sorted, &file::Config::default()).unwrap();
        read += written.bytes;
        file::put(store.as_ref(), &name, bytes).await.unwrap();
        paths.push(name.path());
    }
    let before = status("VmRSS");
    let paths: Vec<_> = paths.iter().map(String::as_str).collect();
    let (bounds, started) = (merge::Bounds::default(), Instant::now());
    let config = file::Config { zstd_level: 3, row_group_bytes_max: 64 << 20, ..file::Config::default() };
    let inputs = merge::open(store, &paths, &bounds, &config).await.unwrap();
    let taken = inputs.len();
    let merged =
        tokio::task::spawn_blocking(move || inputs.write(&name(255), &config, &|_, rows| Ok(rows), &|| true).unwrap());
    let merged = merged.await.unwrap();
    let written = merged.written.unwrap();
    let seconds = started.elapsed().as_secs_f64();
    println!("files {taken} of {files}, rows {}, {seconds:.2} s", written.rows);
    println!("rows/s {:.0}", written.rows as f64 / seconds);
    println!("MB/s read {:.1}, written {:.1}", read as f64 / 1e6 / seconds, written.bytes as f64 / 1e6 / seconds);
    println!(
        "bytes a row {:.0} before, {:.0} after",
        read as f64 / (files * rows) as f64,
        written.bytes as f64 / written.rows as f64
    );
    println!(
        "held at most {:.1} MB of {:.1} MB allowed",
        merged.held_bytes_max as f64 / 1e6,
        bounds.memory_bytes_max as f64 / 1e6
    );
    println!("resident before {before}, at most {}", status("VmHWM"));
}

fn name(number: u8) -> file::Name {
    file::Name { tenant: TENANT, table: Table::Spans, day: DAY, file: FileId::from_bytes([number; 16]) }
}

/// What Linux says of this process.
fn status(what: &str) -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'));
    line.map_or("unknown".into(), |value| value.trim().to_string())
}

/// Looks random and is the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn text(&mut self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 32);
        while text.len() < bytes {
            match self.below(8) {
                0 => text.push_str(&self.below(100_000).to_string()),
                _ => text.push_str(WORDS[usize::try_from(self.below(24)).unwrap()]),
            }
            text.push(' ');
        }
        text.truncate(bytes);
        text
    }
}

/// The spans of ten apps, in the order they come in: about a hundred a second, eight to a trace.
fn row(numbers: &mut Numbers, index: usize, value_bytes: usize) -> Row {
    let number = index as u64;
    let trace = number / 8;
    let start = DAY.start().plus(Duration::from_millis(number * 10 + numbers.below(5_000)));
    let mut trace_id = [0; 16];
    trace_id[..8].copy_from_slice(&trace.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    trace_id[15] = 1;
    let key = SpanKey {
        app_id: AppId::from_bytes([u8::try_from(trace % 10).unwrap(); 16]),
        trace_id: TraceId::from_bytes(trace_id).unwrap(),
        span_id: SpanId::from_bytes((number.wrapping_mul(0xd6e8_feb8_6659_fd93) | 1).to_be_bytes()).unwrap(),
    };
    let span = Span {
        name: "chat gpt-4o".into(),
        kind: Kind::new(Kind::LLM),
        status: Status::Ok,
        end: Some(start.plus(Duration::from_micros(numbers.below(3_000_000)))),
        provider: Some("openai".into()),
        request_model: Some("gpt-4o".into()),
        model: Some("gpt-4o-2024-08-06".into()),
        response_id: Some(format!("chatcmpl-{:016x}", numbers.below(u64::MAX))),
        usage: Usage {
            input: Some(i64::try_from(numbers.below(2_000)).unwrap()),
            output: Some(200),
            ..Usage::default()
        },
        cost: Cost { total: Money::from_dollars(0.01), ..Cost::default() },
        session_id: Some(format!("session-{}", trace / 4)),
        user_id: Some(format!("user-{}", trace % 997)),
        trace_name: Some("support".into()),
        environment: Some("prod".into()),
        service_name: Some("support-bot".into()),
        scope_name: Some("openinference.instrumentation.openai".into()),
        tags: vec!["eu".into()],
        attributes: format!(r#"{{"gen_ai.request.temperature":0.7,"note":"{}"}}"#, numbers.text(300)),
        resource: r#"{"service.name":"support-bot","telemetry.sdk.language":"python"}"#.into(),
        input: Some(numbers.text(value_bytes)),
        output: Some(numbers.text(400)),
        ..Span::new(key, start)
    };
    Row { span, received_at: start, sequence: number }
}
