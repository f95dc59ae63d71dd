//! The `spanlake` command against a whole Spanlake: what a person types, from the first login to the last export.

use serde_json::Value;
use spanlake_testkit::otlp::{self, span_id, text as attribute, trace_id};

use crate::cluster::{Cluster, Form};
use crate::desk::{Desk, Shown};
use crate::tenant::{PASSWORD, Tenant};

/// Spans that are sent: two calls of a model below an agent.
const SPANS: usize = 3;
const HOSTILE: &str = "chat \u{1b}[2J\u{9b}31m";

/// A whole Spanlake, and somebody who is logged in to it.
async fn start() -> (Cluster, Tenant, Desk) {
    let cluster = Cluster::start(Form::Standalone).await;
    let tenant = Tenant::sign_up(&cluster).await;
    let mut desk = Desk::at(cluster.client.bases.query.clone());
    desk.answers = vec![PASSWORD];
    ok(desk.run(&["login", "--email", &tenant.email, "--password-stdin"]).await);
    desk.answers.clear();
    (cluster, tenant, desk)
}

#[track_caller]
fn ok(shown: Shown) -> Shown {
    assert_eq!(shown.code, 0, "{shown:?}");
    shown
}

fn json(shown: Shown) -> Value {
    serde_json::from_str(&ok(shown).out).unwrap()
}

/// Sends the spans from two files, one of each encoding.
async fn send(cluster: &Cluster, desk: &Desk) {
    let (trace, start) = (trace_id(1), cluster.a_minute_ago());
    let child = |number: u64, name: &str| {
        let mut call = otlp::span(trace, span_id(number), name, start);
        call.parent_span_id = span_id(1).as_bytes().to_vec();
        call.attributes = vec![
            attribute("gen_ai.operation.name", "chat"),
            attribute("gen_ai.request.model", "gpt-4o"),
            attribute("gen_ai.input.messages", r#"[{"role":"user","parts":[{"type":"text","content":"hi"}]}]"#),
            attribute(
                "gen_ai.output.messages",
                r#"[{"role":"assistant","parts":[{"type":"text","content":"hello"}]}]"#,
            ),
        ];
        call
    };
    let root = otlp::request(vec![otlp::span(trace, span_id(1), "agent", start)]);
    let lines = [otlp::json(&root), otlp::json(&otlp::request(vec![child(2, "chat, one")]))].join(&b'\n');
    let (text, binary) = (desk.file("spans.jsonl"), desk.file("spans.pb"));
    std::fs::write(&text, lines).unwrap();
    std::fs::write(&binary, otlp::protobuf(vec![child(3, HOSTILE)])).unwrap();
    let sent = json(desk.run_plain(&["send", text.to_str().unwrap(), "--json"]).await);
    assert_eq!((&sent["requests"], &sent["refused"]), (&2.into(), &0.into()));
    assert!(sent["receipt"].is_string());
    ok(desk.run_plain(&["send", binary.to_str().unwrap()]).await);
}

#[tokio::test]
async fn a_person_logs_in_and_hands_a_key_to_a_robot() {
    let (cluster, tenant, desk) = start().await;
    let me = json(desk.run_plain(&["whoami", "--json"]).await);
    assert_eq!(me["member"]["email"], *tenant.email);
    ok(desk.run_plain(&["link"]).await);
    let key = ok(desk.run_plain(&["keys", "create", "robot", "--scope", "read", "--scope", "export"]).await);
    let key = key.out.trim_end();
    assert!(key.starts_with("aos_ws_"), "{key}");
    let robot = Desk::at(desk.url.clone());
    assert!(ok(robot.run(&["whoami", "--api-key", key]).await).out.starts_with("key 'robot' of "));
    let refused = robot.run(&["keys", "list", "--api-key", key]).await;
    assert!(refused.code == 1 && refused.err.contains("Access denied"), "{refused:?}");

    let keys = json(desk.run_plain(&["keys", "list", "--json"]).await);
    let id = keys[0]["id"].as_str().unwrap();
    assert!(ok(desk.run_plain(&["keys", "list"]).await).out.contains(id));
    ok(desk.run_plain(&["keys", "revoke", id]).await);
    let refused = robot.run(&["export", "traces", "--api-key", key]).await;
    assert!(refused.code == 1 && refused.err.contains("spanlake login"), "{refused:?}");
    ok(desk.run_plain(&["logout"]).await);
    assert_eq!(desk.run_plain(&["whoami"]).await.code, 1);
    cluster.stop().await;
}

#[tokio::test]
async fn what_is_sent_from_files_is_shown_as_a_tree() {
    let (cluster, _, desk) = start().await;
    send(&cluster, &desk).await;
    let listed = ok(desk.run_plain(&["traces", "list", "--since", "1h"]).await);
    let id = trace_id(1).to_string();
    assert!(listed.out.contains(&id) && listed.out.contains("agent"), "{listed:?}");
    let shown = ok(desk.run_plain(&["traces", "show", &id]).await);
    let lines: Vec<_> = shown.out.lines().collect();
    assert!(lines.len() == 1 + SPANS && lines[1].starts_with("agent"), "{shown:?}");
    assert!(lines[2].starts_with("  chat, one") && lines[2].contains("gpt-4o"), "{shown:?}");
    assert!(lines[3].starts_with("  chat \\u{1b}[2J\\u{9b}31m"), "{shown:?}");
    assert!(!shown.out.contains(['\u{1b}', '\u{9b}']));
    let with_io = ok(desk.run_plain(&["traces", "show", &id, "--io"]).await);
    assert!(with_io.out.contains("input: ") && with_io.out.contains("hello"), "{with_io:?}");
    let whole = json(desk.run_plain(&["traces", "show", &id, "--json"]).await);
    assert_eq!(whole["spans"].as_array().unwrap().len(), SPANS);
    let missing = desk.run_plain(&["traces", "show", &trace_id(9).to_string()]).await;
    assert!(missing.code == 2 && desk.run_plain(&["traces", "show", "x"]).await.code == 2, "{missing:?}");

    std::fs::write(desk.file("bad.json"), r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"zz"}]}]}]}"#)
        .unwrap();
    let refused = desk.run_plain(&["send", desk.file("bad.json").to_str().unwrap()]).await;
    assert!(refused.code == 2 && refused.err.lines().count() >= 2, "{refused:?}");
    cluster.stop().await;
}

#[tokio::test]
async fn an_export_is_the_same_in_one_page_and_in_many_and_says_when_it_is_enough() {
    let (cluster, _, desk) = start().await;
    send(&cluster, &desk).await;
    let whole = ok(desk.run_plain(&["export", "traces", "--since", "1h"]).await);
    assert_eq!(whole.out.lines().count(), SPANS);
    assert!(whole.err.contains("Exported 3 rows.") && !whole.out.contains("_export_meta"), "{whole:?}");

    // Four pages, the last of which is empty.
    let file = desk.file("all.jsonl");
    let words = ["export", "traces", "--since", "1h", "--all", "--limit", "1", "--json", "-o", file.to_str().unwrap()];
    let report = json(desk.run_plain(&words).await);
    assert_eq!((&report["exported"], &report["total"], &report["next_cursor"]), (&3.into(), &3.into(), &Value::Null));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), whole.out);
    assert!(desk.files().iter().all(|name| !name.contains(".part")), "{:?}", desk.files());

    let csv = ok(desk.run_plain(&["export", "traces", "--format", "csv", "--all", "--limit", "2"]).await);
    assert_eq!((csv.out.matches("trace_id,").count(), csv.out.matches("\r\n").count()), (1, 1 + SPANS), "{csv:?}");
    let chats = ok(desk.run_plain(&["export", "traces", "--format", "openai", "--type", "generation"]).await);
    assert_eq!(chats.out.lines().count(), 2, "{chats:?}");
    assert!(chats.out.contains(r#"{"role":"assistant","content":"hello"}"#), "{chats:?}");

    let preview = ok(desk
        .run_plain(&["export", "traces", "--dry-run", "--model", "gpt-4o", "--status", "status_code_unset"])
        .await);
    assert!(preview.err.contains("Matching rows: 2"), "{preview:?}");
    let refused = desk.run_plain(&["export", "traces", "--filter", "nonsense ~ 3"]).await;
    assert!(refused.code == 2 && refused.err.contains("filter"), "{refused:?}");

    // Nine so far.
    ok(desk.run_plain(&["export", "traces", "--limit", "1"]).await);
    let refused = desk.run_plain(&["export", "traces"]).await;
    assert!(refused.code == 5 && refused.err.contains("Rate limited") && refused.err.contains("min."), "{refused:?}");
    cluster.stop().await;
}

#[tokio::test]
async fn what_a_job_writes_is_verified_file_by_file_and_against_its_source() {
    let (cluster, tenant, desk) = start().await;
    send(&cluster, &desk).await;
    let forms: [&[&str]; 4] =
        [&[], &["--format", "jsonl"], &["--format", "csv", "--compression", "gzip"], &["--format", "openai"]];
    for form in forms {
        let words = [&["export", "jobs", "create", "--folder", "warehouse", "--wait", "--json"], form].concat();
        let job = json(desk.run_plain(&words).await);
        assert_eq!(job["status"], "done", "{job}");
        let id = job["id"].as_str().unwrap();
        let folder = cluster.exports().join(&tenant.id).join("warehouse").join(id);
        let manifest = folder.join(job["last_manifest"]["path"].as_str().unwrap());
        let verify = ["export", "verify", manifest.to_str().unwrap(), "--source", "--json"];
        let found = json(desk.run_plain(&verify).await);
        assert_eq!((&found["ok"], &found["problems"]), (&true.into(), &Value::Array(Vec::new())), "{found}");
        let printed = json(desk.run_plain(&["export", "jobs", "manifest", id]).await);
        let file = printed["files"][0]["path"].as_str().unwrap();
        let path = manifest.with_file_name(file);
        let mut bytes = std::fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let broken = desk.run_plain(&verify[..3]).await;
        assert!(broken.code == 2 && broken.err.contains(file), "{broken:?}");
    }
    let listed = ok(desk.run_plain(&["export", "jobs", "list"]).await);
    assert_eq!(listed.out.matches("folder warehouse").count(), forms.len(), "{listed:?}");
    cluster.stop().await;
}

#[tokio::test]
async fn a_job_on_a_schedule_is_shown_and_called_off() {
    let (cluster, _, desk) = start().await;
    let words =
        ["export", "jobs", "create", "--folder", "daily", "--table", "scores", "--schedule", "@daily", "--json"];
    let job = json(desk.run_plain(&words).await);
    let id = job["id"].as_str().unwrap();
    let shown = ok(desk.run_plain(&["export", "jobs", "show", id]).await);
    for said in ["scores as parquet", "schedule 0 0 * * *", "folder daily"] {
        assert!(shown.out.contains(said), "{said}: {shown:?}");
    }
    assert_eq!(json(desk.run_plain(&["export", "jobs", "cancel", id, "--json"]).await)["status"], "cancelled");
    let refused = desk.run_plain(&["export", "jobs", "create", "--folder", "x", "--schedule", "always"]).await;
    assert!(refused.code == 2 && refused.err.contains("schedule"), "{refused:?}");
    let missing = desk.run_plain(&["export", "jobs", "show", &nothing()]).await;
    assert_eq!(missing.code, 2, "{missing:?}");
    cluster.stop().await;
}

/// An id of nothing.
fn nothing() -> String {
    spanlake_model::ExportId::from_bytes([7; 16]).to_string()
}

#[tokio::test]
async fn an_export_takes_what_was_judged_good() {
    let (cluster, tenant, desk) = start().await;
    send(&cluster, &desk).await;
    let key = tenant.key(&["score"]).await;
    for (span, tone, length) in [(2, 0.9, 0.2), (3, 0.9, 0.7)] {
        for (name, score) in [("tone", tone), ("length", length)] {
            let given =
                serde_json::json!({"trace_id": trace_id(1), "span_id": span_id(span), "name": name, "score": score});
            assert_eq!(cluster.client.post("/v1/scores", &key, &given).await.status, 201);
        }
    }
    let filters: [&[&str]; 4] =
        [&["tone>=0.9"], &["tone>=0.9", "length < 0.5"], &["length!=0.2", "tone=0.9"], &["tone>0.9"]];
    for (given, rows) in filters.iter().zip([2, 1, 1, 0]) {
        let scores = given.iter().flat_map(|filter| ["--score", filter]);
        let words: Vec<_> = ["export", "traces", "--format", "openai"].into_iter().chain(scores).collect();
        let shown = ok(desk.run_plain(&words).await);
        assert_eq!(shown.out.lines().count(), rows, "{given:?}: {shown:?}");
    }
    cluster.stop().await;
}
