//! The main job: a run goes in over OTLP, in any spelling, and comes out as a trace.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message as _;
use serde_json::{Value, json};
use spanlake_testkit::otlp::{self, AgentRun};
use tonic::codec::CompressionEncoding;

use crate::client::{Answer, Client, JSON, PROTOBUF, micros};
use crate::cluster::Cluster;
use crate::tenant::Tenant;

/// Every way to spell a request.
#[derive(Clone, Copy, Debug)]
enum Spelling {
    Protobuf,
    ProtobufGzip,
    ProtobufZstd,
    Json,
    JsonGzip,
    Grpc,
    GrpcGzip,
}

const SPELLINGS: [Spelling; 7] = [
    Spelling::Protobuf,
    Spelling::ProtobufGzip,
    Spelling::ProtobufZstd,
    Spelling::Json,
    Spelling::JsonGzip,
    Spelling::Grpc,
    Spelling::GrpcGzip,
];

pub(crate) async fn a_run_sent_in_any_spelling_is_read_back_exactly(cluster: &Cluster) {
    let client = &cluster.client;
    let tenant = Tenant::sign_up(cluster).await;
    let key = tenant.key(&["ingest", "read", "export"]).await;
    let agent = tenant.agent("order-help").await;
    let agent_key = tenant.agent_key(&agent).await;
    let mut sent = Vec::new();
    for (number, spelling) in (1..).zip(SPELLINGS) {
        let run = AgentRun::new(number, cluster.a_minute_ago());
        // Both kinds of key; only the agent's says whose run it is.
        let (key_used, whose) = if number % 2 == 0 { (&agent_key, Some(agent.as_str())) } else { (&key, None) };
        spelling.send(client, key_used, &run).await;
        let wanted = Wanted { run, app: tenant.app.clone(), agent: whose.map(str::to_owned) };
        wanted.is_in_list(&client.get("/v1/traces", &key).await);
        wanted.is_trace(client, &key).await;
        sent.push(wanted);
    }
    let answer = client.get("/v1/traces?limit=1000", &key).await;
    assert_eq!(answer.rows().len(), sent.len());
    is_export(&sent, &client.get("/v1/traces/export", &key).await);
    cluster.has_files(&tenant.id, 1).await;
    for wanted in &sent {
        wanted.is_trace(client, &key).await;
    }
}

impl Spelling {
    async fn send(self, client: &Client, key: &str, run: &AgentRun) {
        let protobuf = run.request().encode_to_vec();
        let answer = match self {
            Self::Protobuf => client.otlp("/v1/traces", key, PROTOBUF, protobuf).await,
            Self::ProtobufGzip => compressed(client, key, PROTOBUF, "gzip", gzip(&protobuf)).await,
            Self::ProtobufZstd => {
                compressed(client, key, PROTOBUF, "zstd", zstd::encode_all(&*protobuf, 3).unwrap()).await
            }
            Self::Json => client.otlp("/v1/traces", key, "application/json; charset=utf-8", odd_json(run)).await,
            Self::JsonGzip => compressed(client, key, JSON, "gzip", gzip(&odd_json(run))).await,
            Self::Grpc => return grpc(client, key, run, None).await,
            Self::GrpcGzip => return grpc(client, key, run, Some(CompressionEncoding::Gzip)).await,
        };
        assert_eq!(answer.status, 200, "{self:?}: {}", answer.text());
        let (content_type, body) = match self {
            Self::Json | Self::JsonGzip => (JSON, &b"{}"[..]),
            _ => (PROTOBUF, &b""[..]),
        };
        assert_eq!((answer.header("content-type"), &*answer.body), (content_type, body), "{self:?}");
        assert!(!answer.header("x-spanlake-receipt").is_empty());
    }
}

async fn compressed(client: &Client, key: &str, content_type: &str, encoding: &str, body: Vec<u8>) -> Answer {
    let request = client.request(reqwest::Method::POST, "/v1/traces").bearer_auth(key);
    let request = request.header("content-type", content_type).header("content-encoding", encoding);
    client.send(request.body(body)).await
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn grpc(client: &Client, key: &str, run: &AgentRun, compression: Option<CompressionEncoding>) {
    let mut grpc = client.grpc().await;
    if let Some(compression) = compression {
        grpc = grpc.send_compressed(compression);
    }
    let mut request = tonic::Request::new(run.request());
    request.metadata_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    let response = grpc.export(request).await.unwrap();
    assert!(response.metadata().contains_key("x-spanlake-receipt"));
    assert_eq!(response.into_inner().partial_success, None);
}

/// The request as JSON that is allowed to look like this: upper-case ids, integers as strings and as numbers, fields that
/// nobody knows.
fn odd_json(run: &AgentRun) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(&otlp::json(&run.request())).unwrap();
    value["nobodyKnowsThis"] = json!({"deep": [1, 2, {"er": null}]});
    let spans = value["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array_mut().unwrap();
    for span in spans.iter_mut() {
        assert!(span["startTimeUnixNano"].is_string());
        span["spanId"] = span["spanId"].as_str().unwrap().to_uppercase().into();
        span["traceId"] = span["traceId"].as_str().unwrap().to_uppercase().into();
        span["norThis"] = json!(true);
    }
    let start: i64 = spans[1]["startTimeUnixNano"].as_str().unwrap().parse().unwrap();
    spans[1]["startTimeUnixNano"] = start.into();
    serde_json::to_vec(&value).unwrap()
}

/// A run and whose it is.
struct Wanted {
    run: AgentRun,
    app: String,
    agent: Option<String>,
}

impl Wanted {
    fn row(&self) -> Value {
        let end = self.run.start.plus(AgentRun::TOOK);
        json!({
            "id": self.run.trace.to_string(), "app_id": self.app, "agent_id": self.agent, "name": AgentRun::NAME,
            "status": "OK", "start": self.run.start.to_string(), "end": end.to_string(), "latency_ms": 2_900.0,
            "cost": 105e-6, "tokens": 535, "input_tokens": 480, "output_tokens": 55, "span_count": 4, "error_count": 0,
            "models": [AgentRun::MODEL], "session_id": AgentRun::SESSION, "user_id": AgentRun::USER,
            "environment": null, "tags": [],
        })
    }

    /// Nobody has given it a score: `scores` is empty, as a list has them or as a trace has.
    fn is_row(&self, row: &Value, scores: &Value) {
        let mut row = row.clone();
        assert_eq!(row.as_object_mut().unwrap().remove("scores").as_ref(), Some(scores));
        let previews = [("input_preview", AgentRun::QUESTION), ("output_preview", AgentRun::ANSWER)];
        for (field, part) in previews {
            let preview = row.as_object_mut().unwrap().remove(field).unwrap();
            assert!(preview.as_str().is_some_and(|preview| preview.contains(part)), "{field}: {preview}");
        }
        assert_same(&row, &self.row());
    }

    fn is_in_list(&self, answer: &Answer) {
        let (rows, id) = (answer.rows(), self.run.trace.to_string());
        let found: Vec<_> = rows.iter().filter(|row| row["id"] == id.as_str()).collect();
        assert_eq!(found.len(), 1, "{id} in {}", answer.text());
        self.is_row(found[0], &json!({}));
    }

    async fn is_trace(&self, client: &Client, key: &str) {
        let path = format!("/v1/traces/{}", self.run.trace);
        let mut trace = client.get(&path, key).await.data();
        let spans = trace.as_object_mut().unwrap().remove("spans").unwrap();
        let metadata = trace.as_object_mut().unwrap().remove("metadata").unwrap();
        assert_eq!(metadata, json!({}));
        self.is_row(&trace, &json!([]));
        let skeleton: Vec<Value> = (0..4).map(|place| self.span(place)).collect();
        for (got, wanted) in spans.as_array().unwrap().iter().zip(&skeleton) {
            let mut got = got.clone();
            let parent = got.as_object_mut().unwrap().remove("parent_status").unwrap();
            assert_eq!(parent, if wanted["parent_id"].is_null() { "none" } else { "present" });
            assert_eq!(got.as_object_mut().unwrap().remove("scores"), Some(json!([])));
            assert_same(&got, wanted);
        }
        assert_eq!(spans.as_array().unwrap().len(), 4);
        let with_io = client.get(&format!("{path}?fields=io"), key).await.data();
        for (place, span) in with_io["spans"].as_array().unwrap().iter().enumerate() {
            assert_eq!([&span["input"], &span["output"]], [&self.io(place).0, &self.io(place).1]);
        }
        for (place, mut wanted) in skeleton.into_iter().enumerate() {
            let mut span = client.get(&format!("{path}/spans/{}", self.run.spans[place]), key).await.data();
            let attributes = span.as_object_mut().unwrap().remove("attributes").unwrap();
            assert!(attributes["gen_ai.operation.name"].is_string(), "{attributes}");
            (wanted["input"], wanted["output"]) = self.io(place);
            // They are sent in the form they are read in; what a tool takes and gives is no conversation.
            let is_chat = place != 2;
            for (messages, content) in [("input_messages", "input"), ("output_messages", "output")] {
                wanted[messages] = if is_chat { wanted[content].clone() } else { Value::Null };
            }
            (wanted["events"], wanted["links"], wanted["scores"]) = (json!([]), json!([]), json!([]));
            assert_same(&span, &wanted);
        }
    }

    /// What the list of spans says about each.
    fn span(&self, place: usize) -> Value {
        let (name, kind, after, took) = [
            (AgentRun::NAME, "agent", 0, 2_900),
            ("chat gpt-4o-mini", "llm", 40, 1_180),
            ("execute_tool track_order", "tool", 1_240, 310),
            ("chat gpt-4o-mini", "llm", 1_580, 1_290),
        ][place];
        let tokens = [None, Some((212, 24)), None, Some((268, 31))][place];
        let cost = [None, Some((31.8e-6, 14.4e-6, 46.2e-6)), None, Some((40.2e-6, 18.6e-6, 58.8e-6))][place];
        let operation = ["invoke_agent", "chat", "execute_tool", "chat"][place];
        let speed = tokens.map(|(_, output)| f64::from(output) / (took as f64 / 1e3));
        let is_call = tokens.is_some();
        let start = self.run.start.plus(std::time::Duration::from_millis(after));
        let end = start.plus(std::time::Duration::from_millis(took));
        json!({
            "id": self.run.spans[place].to_string(), "trace_id": self.run.trace.to_string(),
            "parent_id": (place > 0).then(|| self.run.spans[0].to_string()), "name": name, "kind": kind,
            "type": if is_call { "GENERATION" } else { "SPAN" }, "status": "OK", "status_message": null,
            "start": start.to_string(), "end": end.to_string(), "latency_ms": took as f64, "time_to_first_token_ms": null,
            "provider": is_call.then_some("openai"), "model": is_call.then_some(AgentRun::MODEL),
            "input_tokens": tokens.map(|tokens| tokens.0), "output_tokens": tokens.map(|tokens| tokens.1),
            "total_tokens": tokens.map(|tokens| tokens.0 + tokens.1), "cached_input_tokens": null,
            "cache_write_tokens": null, "reasoning_tokens": null, "usage_details": null, "cost": cost.map(|cost| cost.2),
            "input_cost": cost.map(|cost| cost.0), "output_cost": cost.map(|cost| cost.1),
            "cost_source": cost.map(|_| "standard"), "tokens_per_second": speed, "level": null, "version": null,
            "operation": operation, "finish_reason": null,
            "request_model": is_call.then_some("gpt-4o-mini"), "model_parameters": null, "session_name": null,
            "agent_name": (place == 0).then_some("order-help"),
            "tool_name": (place == 2).then_some("track_order"),
            "session_id": (place != 2).then_some(AgentRun::SESSION), "user_id": (place == 0).then_some(AgentRun::USER),
            "agent_id": self.agent, "app_id": self.app, "environment": null, "release": null, "tags": [],
            "metadata": {}, "prompt_name": null, "prompt_version": null,
        })
    }

    fn io(&self, place: usize) -> (Value, Value) {
        let said = |role: &str, content: &str| json!([{"role": role, "parts": [{"type": "text", "content": content}]}]);
        let question = said("user", AgentRun::QUESTION);
        match place {
            0 | 3 => (question, said("assistant", AgentRun::ANSWER)),
            1 => (question, said("assistant", "look_up")),
            _ => (json!({"order": 4711}), json!({"status": "shipped"})),
        }
    }
}

/// Every span once, newest first, and the trailer that proves it.
fn is_export(sent: &[Wanted], answer: &Answer) {
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-ndjson"), "{}", answer.text());
    let mut lines: Vec<Value> = answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let total = sent.len() * 4;
    let trailer = json!({"total": total, "exported": total, "skipped": 0, "skip_reasons": {}, "next_cursor": null});
    assert_eq!(lines.pop().unwrap(), json!({"_export_meta": trailer}));
    assert_eq!(lines.len(), total);
    assert!(lines.is_sorted_by_key(|line| std::cmp::Reverse(micros(&line["timestamp"]))));
    for wanted in sent {
        for place in 0..4 {
            let (span, (input, output)) = (wanted.span(place), wanted.io(place));
            let line = lines.iter().find(|line| line["span_id"] == span["id"]).unwrap();
            let expected = json!({
                "trace_id": span["trace_id"], "span_name": span["name"], "type": span["type"], "model": span["model"],
                "latency_ms": span["latency_ms"], "timestamp": span["start"], "input": input, "output": output,
                "metadata": span["metadata"], "span_id": span["id"], "parent_span_id": span["parent_id"],
                "kind": span["kind"], "status": span["status"], "user_id": span["user_id"],
                "session_id": span["session_id"], "tags": span["tags"], "input_tokens": span["input_tokens"],
                "output_tokens": span["output_tokens"], "cost": span["cost"], "scores": {},
            });
            assert_same(line, &expected);
        }
    }
}

/// Says which fields differ, which two long lines of JSON do not.
#[track_caller]
fn assert_same(got: &Value, wanted: &Value) {
    let (got, wanted) = (got.as_object().unwrap(), wanted.as_object().unwrap());
    let fields = got.keys().chain(wanted.keys());
    let same = |field: &str| match (got.get(field), wanted.get(field)) {
        (Some(got), Some(wanted)) if field == "start" || field == "end" || field == "timestamp" => {
            micros(got) == micros(wanted)
        }
        (got, wanted) => got == wanted,
    };
    let differing: Vec<_> = fields
        .filter(|field| !same(field))
        .map(|field| format!("{field}: {:?}, not {:?}", got.get(field), wanted.get(field)))
        .collect();
    assert!(differing.is_empty(), "{differing:#?}");
}
