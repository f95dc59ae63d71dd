//! What a run writes.

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use spanlake_model::{Kind, Money, Span, Status, Trace, TraceId};

use super::bench::{Bench, LATER, TENANT};
use crate::world::{APP, at, span};

const ANY_FILE: usize = 1 << 20;

/// Forty spans on two days.
fn spans() -> Vec<Span> {
    (1..=40)
        .map(|number| {
            span(number, if number % 4 == 0 { "2026-04-09T23:59:59.999999999Z" } else { "2026-04-08T10:00:00Z" })
        })
        .collect()
}

async fn filled(file_bytes: usize) -> Bench {
    let bench = Bench::new(file_bytes).await;
    for span in spans() {
        bench.model.write(1, span);
    }
    bench
}

async fn exported(bench: &Bench, body: &Value) -> (String, Value) {
    let id = bench.ask(body).await;
    let export = bench.work_until_done(&id).await;
    assert_eq!(export["status"], "done", "{export}");
    let manifest = bench.get(&format!("/v1/exports/{id}/manifest")).await["data"].clone();
    (id, manifest)
}

/// Everything the manifest says is so, and nothing else is there.
pub(crate) async fn check(bench: &Bench, id: &str, manifest: &Value) {
    let folder = format!("run={:06}", manifest["run"].as_u64().unwrap());
    let text = bench.read(id, &format!("{folder}/manifest.json")).await;
    assert_eq!(&serde_json::from_slice::<Value>(&text).unwrap(), manifest, "the API shows what lies there");
    let mut named = BTreeSet::from([format!("{folder}/manifest.json")]);
    let (mut rows, mut bytes) = (0, 0);
    for file in manifest["files"].as_array().unwrap() {
        let path = format!("{folder}/{}", file["path"].as_str().unwrap());
        let content = bench.read(id, &path).await;
        let digest: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(file["sha256"], digest);
        assert!(path.contains(&digest), "a file's name is its digest: {path}");
        assert_eq!(file["bytes"], content.len());
        rows += file["rows"].as_u64().unwrap();
        bytes += content.len();
        named.insert(path);
    }
    assert_eq!(manifest["rows"].as_u64().unwrap() + manifest["deletes"].as_u64().unwrap(), rows);
    assert_eq!(manifest["bytes"], bytes);
    let there: BTreeSet<_> = bench.objects(id).await.into_iter().filter(|path| path.starts_with(&folder)).collect();
    assert_eq!(there, named, "what the manifest names is there, and nothing else");
}

fn parquet(bytes: Vec<u8>) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).unwrap();
    reader.build().unwrap().map(Result::unwrap).collect()
}

fn texts(batches: &[RecordBatch], column: &str) -> Vec<Option<String>> {
    let texts = |batch: &RecordBatch| {
        let column = batch.column_by_name(column).unwrap().as_string::<i32>().clone();
        (0..column.len()).map(|row| column.is_valid(row).then(|| column.value(row).to_owned())).collect::<Vec<_>>()
    };
    batches.iter().flat_map(texts).collect()
}

#[tokio::test]
async fn parquet_files_hold_every_row_once_in_columns_that_a_warehouse_reads() {
    let bench = filled(ANY_FILE).await;
    let (id, manifest) = exported(&bench, &json!({"destination": {"type": "file", "path": "w"}})).await;
    check(&bench, &id, &manifest).await;
    assert_eq!((&manifest["rows"], &manifest["deletes"], &manifest["parent"]), (&json!(40), &json!(0), &Value::Null));
    assert_eq!(manifest["key"], json!(["app_id", "trace_id", "span_id"]));
    let files = manifest["files"].as_array().unwrap();
    let dates: Vec<_> = files.iter().map(|file| file["date"].as_str().unwrap()).collect();
    assert_eq!(dates, ["2026-04-08", "2026-04-09"]);
    let mut ids = BTreeSet::new();
    for file in files {
        let path = file["path"].as_str().unwrap();
        assert!(path.starts_with(&format!("tenant={TENANT}/date={}/", file["date"].as_str().unwrap())), "{path}");
        let batches = parquet(bench.read(&id, &format!("run=000001/{path}")).await);
        let traces = texts(&batches, "trace_id");
        let keys = || traces.iter().map(|trace| format!("{}/0909090909090909", trace.as_ref().unwrap()));
        assert_eq!(file["min_key"], keys().min().unwrap());
        assert_eq!(file["max_key"], keys().max().unwrap());
        ids.extend(traces.into_iter().flatten());
        for (column, expected) in [
            ("kind", "llm"),
            ("type", "GENERATION"),
            ("status", "OK"),
            ("input", r#"[{"role":"user","content":"hi"}]"#),
        ] {
            assert!(texts(&batches, column).iter().all(|text| text.as_deref() == Some(expected)), "{column}");
        }
        let schema = batches[0].schema();
        let described: Vec<_> =
            manifest["schema"].as_array().unwrap().iter().map(|column| column["name"].as_str().unwrap()).collect();
        assert_eq!(schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>(), described);
        assert!(matches!(schema.field_with_name("cost").unwrap().data_type(), DataType::Decimal128(..)));
        assert!(matches!(schema.field_with_name("start_time").unwrap().data_type(), DataType::Timestamp(_, Some(_))));
        for ours in ["tenant_id", "start_minute", "fits", "is_root"] {
            assert!(schema.field_with_name(ours).is_err(), "{ours} is ours");
        }
    }
    let expected: BTreeSet<String> = spans().iter().map(|span| span.trace_id.to_string()).collect();
    assert_eq!(ids, expected);
}

/// Rows have the columns that the manifest says, in its order and types, the key among them.
fn is_as_described(format: &str, text: &str, manifest: &Value) {
    let columns = manifest["schema"].as_array().unwrap();
    let names: Vec<_> = columns.iter().map(|column| column["name"].as_str().unwrap()).collect();
    for key in manifest["key"].as_array().unwrap() {
        let is_it = |column: &&Value| column["name"] == *key && column["nullable"] == false;
        assert!(columns.iter().any(|column| is_it(&column)), "{key} of {columns:?}");
    }
    if format == "csv" {
        assert_eq!(text.lines().next().unwrap(), names.join(","));
        return;
    }
    for line in text.lines() {
        let places: Vec<_> = names.iter().map(|name| line.find(&format!("\"{name}\":")).unwrap()).collect();
        assert!(places.is_sorted(), "{line}");
        let row: Value = serde_json::from_str(line).unwrap();
        assert_eq!(row.as_object().unwrap().len(), names.len(), "{line}");
        for column in columns {
            let value = &row[column["name"].as_str().unwrap()];
            let fits = match column["type"].as_str().unwrap() {
                "string" | "timestamp_rfc3339_utc" => value.is_string(),
                "double" => value.is_number(),
                "int64" => value.is_i64(),
                "list<string>" => value.is_array(),
                "json" => !value.is_null(),
                other => panic!("{other}"),
            };
            assert!(fits || (value.is_null() && column["nullable"] == true), "{column}: {value}");
        }
    }
}

#[tokio::test]
async fn text_is_packed_as_asked_and_unpacks_to_the_rows() {
    let bench = filled(ANY_FILE).await;
    for (format, compression, extension) in [
        ("jsonl", "zstd", ".jsonl.zst"),
        ("jsonl", "gzip", ".jsonl.gz"),
        ("csv", "none", ".csv"),
        ("openai", "none", ".jsonl"),
    ] {
        let body = json!({"format": format, "compression": compression, "destination": {"type": "file"}});
        let (id, manifest) = exported(&bench, &body).await;
        check(&bench, &id, &manifest).await;
        let mut lines = 0;
        for file in manifest["files"].as_array().unwrap() {
            let path = file["path"].as_str().unwrap();
            assert!(path.ends_with(extension), "{path}");
            let packed = bench.read(&id, &format!("run=000001/{path}")).await;
            let text = match compression {
                "zstd" => zstd::decode_all(&packed[..]).unwrap(),
                "gzip" => {
                    let mut text = Vec::new();
                    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut text).unwrap();
                    text
                }
                _ => packed,
            };
            let text = String::from_utf8(text).unwrap();
            lines += text.lines().count();
            match format {
                "csv" => assert!(text.starts_with("trace_id,span_name,"), "{text}"),
                "openai" => assert!(text.lines().all(|line| line.starts_with("{\"messages\":[")), "{text}"),
                _ => assert!(text.lines().all(|line| line.starts_with("{\"trace_id\":")), "{text}"),
            }
            is_as_described(format, &text, &manifest);
        }
        let headers = if format == "csv" { 2 } else { 0 };
        assert_eq!((lines - headers, &manifest["rows"]), (40, &json!(40)), "{format}");
    }
}

#[tokio::test]
async fn conversations_that_cannot_be_written_are_counted() {
    let bench = Bench::new(ANY_FILE).await;
    bench.model.write(1, span(1, "2026-04-08T10:00:00Z"));
    bench.model.write(1, Span { input: None, ..span(2, "2026-04-08T10:00:00Z") });
    let body = json!({"format": "openai", "destination": {"type": "file"}});
    let (_, manifest) = exported(&bench, &body).await;
    assert_eq!((&manifest["rows"], &manifest["skipped"]), (&json!(1), &json!({"no_input": 1})));
}

#[tokio::test]
async fn files_are_cut_when_they_are_large_enough_and_at_the_end_of_a_day() {
    let bench = filled(1).await;
    let body = json!({"format": "jsonl", "compression": "none", "destination": {"type": "file"}});
    let (id, manifest) = exported(&bench, &body).await;
    check(&bench, &id, &manifest).await;
    let rows: Vec<_> =
        manifest["files"].as_array().unwrap().iter().map(|file| file["rows"].as_u64().unwrap()).collect();
    assert_eq!(rows, [3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 1], "thirty on one day, ten on the other");
}

#[tokio::test]
async fn filter_and_dates_are_those_of_the_request_and_nothing_found_is_an_export_too() {
    let bench = filled(ANY_FILE).await;
    bench.model.write(1, Span { kind: Kind::new("tool"), ..span(77, "2026-04-08T11:00:00Z") });
    let body = |more: Value| {
        let mut body = json!({"destination": {"type": "file"}});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (more, rows) in [
        (json!({}), 41),
        (json!({"filter": "kind = llm"}), 40),
        (json!({"start_date": "2026-04-09"}), 10),
        (json!({"end_date": "2026-04-08T10:00:00.000000001Z"}), 30),
        (json!({"start_date": "2026-05-01"}), 0),
    ] {
        let (id, manifest) = exported(&bench, &body(more.clone())).await;
        check(&bench, &id, &manifest).await;
        assert_eq!(manifest["rows"], rows, "{more}");
    }
}

fn traces() -> Vec<Trace> {
    let trace = |number: u128, start: &str| Trace {
        name: "=checkout".into(),
        status: Status::Ok,
        end: Some(at(start).plus(std::time::Duration::from_millis(1_500))),
        cost: Money::from_dollars(0.25),
        tokens: Some(14),
        span_count: 3,
        models: vec!["gpt-4o".into(), "o1".into()],
        user_id: Some("u".into()),
        metadata: r#"{"plan":"pro"}"#.into(),
        scores: [("quality".to_owned(), 0.5)].into(),
        ..Trace::new(APP, TraceId::from_bytes(number.to_be_bytes()).unwrap(), at(start))
    };
    let running = Trace { end: None, ..trace(3, "2026-04-09T10:00:00Z") };
    vec![trace(1, "2026-04-08T10:00:00.123456789Z"), trace(2, "2026-04-08T11:00:00Z"), running]
}

/// The text of all files of rows of a run.
async fn text(bench: &Bench, id: &str, manifest: &Value) -> String {
    let mut whole = String::new();
    for file in manifest["files"].as_array().unwrap() {
        let path = format!("run={:06}/{}", manifest["run"].as_u64().unwrap(), file["path"].as_str().unwrap());
        whole += &String::from_utf8(bench.read(id, &path).await).unwrap();
    }
    whole
}

#[tokio::test]
async fn traces_are_a_row_each_in_every_format_that_has_columns() {
    let bench = Bench::new(ANY_FILE).await;
    *bench.model.traces.lock().unwrap() = traces();
    for format in ["parquet", "jsonl", "csv"] {
        let mut body = json!({"table": "traces", "format": format, "destination": {"type": "file"}});
        if format != "parquet" {
            body["compression"] = "none".into();
        }
        let (id, manifest) = exported(&bench, &body).await;
        check(&bench, &id, &manifest).await;
        assert_eq!((&manifest["rows"], &manifest["key"]), (&json!(3), &json!(["app_id", "trace_id"])), "{format}");
        let files = manifest["files"].as_array().unwrap();
        let dates: Vec<_> = files.iter().map(|file| file["date"].as_str().unwrap()).collect();
        assert_eq!(dates, ["2026-04-08", "2026-04-09"], "by the day on which a trace began");
        assert_eq!(
            (&files[0]["min_key"], &files[0]["max_key"]),
            (&json!(format!("{:032x}", 1)), &json!(format!("{:032x}", 2)))
        );
        if format != "parquet" {
            let text = text(&bench, &id, &manifest).await;
            is_as_described(format, &text, &manifest);
            assert!(format != "csv" || text.contains(",'=checkout,"), "{text}");
            continue;
        }
        let batches = parquet(bench.read(&id, &format!("run=000001/{}", files[0]["path"].as_str().unwrap())).await);
        assert_eq!(texts(&batches, "trace_id"), [Some(format!("{:032x}", 1)), Some(format!("{:032x}", 2))]);
        for (column, expected) in
            [("status", "OK"), ("scores", r#"{"quality":0.5}"#), ("app_id", "02020202-0202-0202-0202-020202020202")]
        {
            assert!(texts(&batches, column).iter().all(|text| text.as_deref() == Some(expected)), "{column}");
        }
        let schema = batches[0].schema();
        for shown in ["input_preview", "models", "duration_ns", "error_count"] {
            assert!(schema.field_with_name(shown).is_ok(), "{shown}");
        }
        assert!(schema.field_with_name("start_minute").is_err());
    }
}

#[tokio::test]
async fn a_schedule_of_traces_asks_from_where_spans_and_scores_were_told() {
    let bench = Bench::new(ANY_FILE).await;
    *bench.model.traces.lock().unwrap() = traces();
    let body = json!({"table": "traces", "filter": "score__quality > 0", "schedule": "@hourly", "destination": {"type": "file"}});
    let id = bench.ask(&body).await;
    for run in 1..=2 {
        bench.clock.advance(LATER);
        bench.work().await;
        assert_eq!(bench.export(&id).await["last_manifest"]["run"], run);
        let asked = bench.model.asked.lock().unwrap().clone().unwrap();
        let places = asked.window.map(|window| (window.after[0].sequence, window.scores_after[0].sequence));
        assert_eq!(places, (run == 2).then_some((5, 3)));
        assert!(asked.filter.filter.asks_for_scores());
        let manifest = bench.get(&format!("/v1/exports/{id}/manifest")).await["data"].clone();
        assert_eq!(manifest["scores_through"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn scores_stand_beside_spans_where_they_were_asked_for() {
    let bench = filled(ANY_FILE).await;
    for (format, shown, absent) in
        [("jsonl", r#""scores":{"quality":0.5}"#, r#""scores":{}"#), ("csv", r#","{""quality"":0.5}","#, ",{},")]
    {
        let mut body =
            json!({"format": format, "compression": "none", "scores": true, "destination": {"type": "file"}});
        let (id, manifest) = exported(&bench, &body).await;
        let with = text(&bench, &id, &manifest).await;
        assert!(with.contains(shown) && with.contains(absent), "{with}");
        is_as_described(format, &with, &manifest);
        assert_eq!(bench.export(&id).await["scores"], true);
        body["scores"] = false.into();
        let (id, manifest) = exported(&bench, &body).await;
        assert!(!text(&bench, &id, &manifest).await.contains("quality"));
    }
    let body = json!({"scores": true, "destination": {"type": "file"}});
    let (id, manifest) = exported(&bench, &body).await;
    let path = manifest["files"][0]["path"].as_str().unwrap();
    let batches = parquet(bench.read(&id, &format!("run=000001/{path}")).await);
    assert_eq!(texts(&batches, "scores")[..2], [Some(r#"{"quality":0.5}"#.to_owned()), None]);
}

#[tokio::test]
async fn a_filter_of_scores_speaks_of_what_scores_have() {
    let bench = Bench::new(ANY_FILE).await;
    let body = json!({
        "table": "scores", "filter": "name = quality and value >= 0.5 and source = annotation", "schedule": "@hourly",
        "destination": {"type": "file"},
    });
    let id = bench.ask(&body).await;
    assert_eq!(bench.export(&id).await["filter"], r#"name = "quality" and value >= "0.5" and source = "annotation""#);
}
