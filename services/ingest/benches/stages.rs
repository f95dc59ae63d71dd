//! Where the time of a span goes, from request to Parquet: `cargo bench -p spanlake-ingest --bench stages -- FOLDER`.
//!
//! The folder holds OTLP requests in protobuf, one a file (`spanlake-load write --folder FOLDER`). Every stage is the public
//! function that the server calls, runs over all of them on one thread, and hands its result to the next; the best of a few
//! rounds counts. Prints one JSON document.

use std::collections::HashMap;
use std::hint::black_box;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt as _;
use serde::Serialize;
use spanlake_dialects::otlp::{self, TracesRequest};
use spanlake_dialects::{Context, Normalised, normalise};
use spanlake_model::{AppId, Clock as _, FileId, SystemClock, SystemEntropy, Table, TenantId, Timestamp, WriterId};
use spanlake_store::disk::LocalDisk;
use spanlake_store::file::{self, merge};
use spanlake_store::log::{self, Encoding, Frame, Log};
use spanlake_store::memtable::{Frozen, Memtables, Pending, Prepared};
use spanlake_store::rows::{Origin, Row};
use spanlake_store::{Config, Store};

const ROUNDS: usize = 5;
/// Appends under way at a time, as from so many connections.
const APPENDS: usize = 8;
const TENANT: TenantId = TenantId::from_bytes([1; 16]);
const APP: AppId = AppId::from_bytes([2; 16]);
const WRITER: WriterId = WriterId::from_bytes([3; 16]);
/// Files of one merge.
const INPUTS: usize = 8;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[derive(Serialize)]
struct Report {
    requests: usize,
    spans: usize,
    request_bytes: usize,
    parquet_bytes: usize,
    decode_spans_per_second: f64,
    stages: Vec<Stage>,
}

#[derive(Serialize)]
struct Stage {
    name: &'static str,
    micros_per_span: f64,
    spans_per_second: f64,
}

impl Stage {
    fn new(name: &'static str, time: Duration, spans: usize) -> Self {
        let seconds = time.as_secs_f64();
        Self { name, micros_per_span: seconds * 1e6 / spans as f64, spans_per_second: spans as f64 / seconds }
    }
}

fn main() -> Outcome<()> {
    // `cargo bench` adds a flag of its own.
    let folder = std::env::args_os().skip(1).find(|argument| !argument.to_string_lossy().starts_with("--"));
    let Some(folder) = folder else {
        writeln!(std::io::stderr(), "stages: no folder of requests was named, so nothing was measured")?;
        return Ok(());
    };
    let report = measure(&requests(Path::new(&folder))?, SystemClock.now())?;
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &report)?;
    Ok(writeln!(out)?)
}

fn requests(folder: &Path) -> Outcome<Vec<Bytes>> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.sort();
    Ok(paths.iter().map(|path| std::fs::read(path).map(Bytes::from)).collect::<Result<_, _>>()?)
}

fn measure(requests: &[Bytes], now: Timestamp) -> Outcome<Report> {
    let (decode_time, decoded) = best(|| requests.iter().map(decode).collect::<Vec<_>>());
    let (normalise_time, normalised) =
        best(|| decoded.iter().map(|request| normalised(request, now)).collect::<Vec<_>>());
    let spans: usize = normalised.iter().map(|normalised| normalised.spans.len()).sum();
    let rows: Vec<Vec<Row>> = normalised.into_iter().map(|normalised| rows(normalised, now)).collect();
    let origin = Origin { tenant: TENANT, writer: WRITER };
    let prepare = || rows.iter().map(|rows| Prepared::new(origin, rows)).collect::<Vec<_>>();
    let (rows_time, _) = best(prepare);
    let log_time = log_time(requests, now)?;
    let (memtable_time, frozen) = memtable(prepare, now)?;
    let (sort_time, _) = best(|| file::sort(Table::Spans, &frozen.batches).expect("rows of one table"));
    let (encode_time, files) = best(|| encode(&frozen, 0));
    let merge_time = merge_time(prepare(), now)?;
    let encode_time = encode_time.saturating_sub(sort_time);
    let stages = [
        ("decode OTLP", decode_time),
        ("normalise", normalise_time),
        ("Arrow rows", rows_time),
        ("log: compress, write, sync", log_time),
        ("memtable", memtable_time),
        ("sort", sort_time),
        ("encode Parquet", encode_time),
    ];
    let total = stages.iter().map(|(_, time)| *time).sum();
    let stages = stages
        .into_iter()
        .chain([("all of it, one core", total), ("merge, for each time a span is merged", merge_time)]);
    Ok(Report {
        requests: requests.len(),
        spans,
        request_bytes: requests.iter().map(Bytes::len).sum(),
        parquet_bytes: files.iter().map(|(_, bytes)| bytes.len()).sum(),
        decode_spans_per_second: spans as f64 / (decode_time + normalise_time).as_secs_f64(),
        stages: stages.map(|(name, time)| Stage::new(name, time, spans)).collect(),
    })
}

/// The fastest of some rounds, and the last result.
fn best<T>(mut work: impl FnMut() -> T) -> (Duration, T) {
    let mut round = || {
        let begun = Instant::now();
        let result = black_box(work());
        (begun.elapsed(), result)
    };
    (1..ROUNDS).fold(round(), |(fastest, _), _| {
        let (time, result) = round();
        (fastest.min(time), result)
    })
}

fn decode(body: &Bytes) -> TracesRequest {
    otlp::decode_traces(otlp::Encoding::Protobuf, body).expect("the generator's requests are well-formed")
}

fn normalised(request: &TracesRequest, now: Timestamp) -> Normalised {
    normalise(request, &Context::new(APP, now), &mut |_| Ok(None))
}

fn rows(normalised: Normalised, now: Timestamp) -> Vec<Row> {
    normalised.spans.into_iter().map(|(_, span)| Row { span, received_at: now, sequence: 0 }).collect()
}

/// All requests into a new log, several at a time, each durable when it is answered.
fn log_time(requests: &[Bytes], now: Timestamp) -> Outcome<Duration> {
    let path = scratch();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut fastest = Duration::MAX;
    for _ in 0..ROUNDS {
        let folder = log::open(&path, Arc::new(LocalDisk), Arc::new(SystemEntropy), || WRITER)?;
        let recovered = folder.recover(drop)?;
        let log = Log::start(folder, recovered, log::Config::default(), |_, ()| {})?;
        let begun = Instant::now();
        runtime.block_on(async {
            let appends = requests.iter().map(|body| log.append(log.announce(), frame(body, now), ()));
            let mut appends = futures::stream::iter(appends).buffer_unordered(APPENDS);
            while let Some(appended) = appends.next().await {
                appended?;
            }
            Ok::<_, log::AppendError>(())
        })?;
        fastest = fastest.min(begun.elapsed());
        drop(log);
        std::fs::remove_dir_all(&path)?;
    }
    Ok(fastest)
}

fn frame(body: &Bytes, now: Timestamp) -> Frame {
    Frame {
        sequence: 0,
        tenant: TENANT,
        app: APP,
        agent: None,
        received_at: now,
        encoding: Encoding::OtlpProtobuf,
        rejected: Vec::new(),
        body: body.clone(),
    }
}

/// All rows into one chunk, which the last round hands out.
fn memtable(prepare: impl Fn() -> Vec<Prepared>, now: Timestamp) -> Outcome<(Duration, Frozen)> {
    let mut fastest = Duration::MAX;
    let mut last = None;
    for _ in 0..ROUNDS {
        let prepared = prepare();
        let begun = Instant::now();
        let memtables = fill(prepared, now);
        fastest = fastest.min(begun.elapsed());
        last = freeze(&memtables);
    }
    Ok((fastest, last.ok_or("the folder holds no span that is taken")?))
}

fn fill(prepared: Vec<Prepared>, now: Timestamp) -> Memtables {
    let memtables = Memtables::new([]);
    for (sequence, prepared) in (1..).zip(prepared) {
        memtables.apply(sequence, now, Pending { tenant: TENANT, table: Table::Spans, prepared, days: HashMap::new() });
    }
    memtables
}

fn freeze(memtables: &Memtables) -> Option<Frozen> {
    memtables.freeze(TENANT, Table::Spans);
    memtables.frozen(TENANT, Table::Spans)
}

/// The sorted files of a chunk, one a day, with this number in their names.
fn encode(frozen: &Frozen, number: u8) -> Vec<(file::Name, Vec<u8>)> {
    let sorted = file::sort(Table::Spans, &frozen.batches).expect("rows of one table");
    let encode = |(day, rows)| {
        let name = file::Name { tenant: TENANT, table: Table::Spans, day, file: FileId::from_bytes([number; 16]) };
        let (bytes, _) = file::encode(&name, &rows, &file::Config::default()).expect("rows of one table");
        (name, bytes)
    };
    sorted.into_iter().map(encode).collect()
}

/// The same rows in several files, merged into one as the compactor does it by default; the outcome is durable.
fn merge_time(prepared: Vec<Prepared>, now: Timestamp) -> Outcome<Duration> {
    let path = scratch();
    let store = Store::open(&Config { url: format!("file:{}", path.display()) }, Arc::new(LocalDisk))?.tenant(TENANT);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut names = Vec::new();
    for (number, part) in (0..).zip(parts(prepared)) {
        let frozen = freeze(&fill(part, now)).ok_or("a part holds no span that is taken")?;
        for (name, bytes) in encode(&frozen, number) {
            runtime.block_on(file::put(store.as_ref(), &name, bytes))?;
            names.push(name);
        }
    }
    let name = file::Name { file: FileId::from_bytes([u8::MAX; 16]), ..names[0] };
    // Around midnight a few rows are of another day; they are left out.
    let paths: Vec<String> = names.iter().filter(|other| other.day == name.day).map(file::Name::path).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let config = file::Config { zstd_level: 3, ..file::Config::default() };
    let begun = Instant::now();
    let inputs = runtime.block_on(merge::open(store, &paths, &merge::Bounds::default(), &config))?;
    let _entered = runtime.enter();
    inputs.write(&name, &config, &|_, rows| Ok(rows), &|| true)?;
    let time = begun.elapsed();
    std::fs::remove_dir_all(&path)?;
    Ok(time)
}

/// As many parts as a merge has inputs, none of them empty.
fn parts(mut prepared: Vec<Prepared>) -> Vec<Vec<Prepared>> {
    let size = prepared.len().div_ceil(INPUTS).max(1);
    let mut parts = Vec::new();
    while !prepared.is_empty() {
        let rest = prepared.split_off(size.min(prepared.len()));
        parts.push(std::mem::replace(&mut prepared, rest));
    }
    parts
}

fn scratch() -> PathBuf {
    std::env::temp_dir().join(format!("spanlake-stages-{}", std::process::id()))
}
