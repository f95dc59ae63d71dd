//! Scores, from the wire to the page.

use prost::Message as _;
use reqwest::Method;
use serde_json::{Value, json};
use spanlake_model::{SpanId, TraceId};
use spanlake_testkit::eventually;
use spanlake_testkit::otlp::{self, span_id, trace_id};

use crate::client::Answer;
use crate::cluster::Cluster;
use crate::tenant::{Tenant, text};

/// A tenant with a key for everything.
async fn scorer(cluster: &Cluster) -> (Tenant, String) {
    let tenant = Tenant::sign_up(cluster).await;
    let key = tenant.key(&["ingest", "read", "score", "admin"]).await;
    (tenant, key)
}

async fn send(cluster: &Cluster, key: &str, trace: TraceId, span: SpanId) {
    let sent = otlp::span(trace, span, "judged", cluster.a_minute_ago());
    cluster.client.ingest(key, otlp::protobuf(vec![sent])).await;
}

/// Gives a score, which must be taken; answers the whole reply.
async fn give(cluster: &Cluster, key: &str, score: &Value) -> Answer {
    let answer = cluster.client.post("/v1/scores", key, score).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer
}

async fn values(cluster: &Cluster, key: &str, path: &str) -> Vec<Option<f64>> {
    cluster.client.get(path, key).await.rows().iter().map(|row| row["score"].as_f64()).collect()
}

pub(crate) async fn a_score_is_there_once_however_often_it_is_given(cluster: &Cluster) {
    let (tenant, key) = scorer(cluster).await;
    let yesterday = cluster.now().minus(std::time::Duration::from_secs(86_400)).to_string();
    let score = |value: f64| json!({"id": "mine", "session_id": "talk", "name": "accuracy", "score": value});
    let mut old = score(0.1);
    old["created_at"] = yesterday.into();
    let mut files = 0;
    // In memory twice, then over files, from one day into the next, and in one batch.
    for (round, given) in [old, score(0.2), score(0.3), score(0.4)].into_iter().enumerate() {
        let answer = give(cluster, &key, &given).await;
        let receipt = answer.header("x-spanlake-receipt").to_owned();
        assert_eq!((&answer.json()["id"], &answer.data()["resource_type"]), (&json!("mine"), &json!("session")));
        for path in ["/v1/scores".to_owned(), format!("/v1/scores?after={receipt}&resource_id=talk&name=accuracy")] {
            assert_eq!(values(cluster, &key, &path).await, [given["score"].as_f64()], "round {round}, {path}");
        }
        let one = cluster.client.get("/v1/scores/mine", &key).await.data();
        assert_eq!(one["score"], given["score"], "round {round}");
        if round == 1 {
            files += 1;
            cluster.has_files(&tenant.id, files).await;
        }
    }
    let batch = json!({"scores": [score(0.5), score(0.6)]});
    assert_eq!(cluster.client.post("/v1/scores/batch", &key, &batch).await.status, 201);
    assert_eq!(values(cluster, &key, "/v1/scores").await, [Some(0.6)]);
    let sums = cluster.client.get("/v1/scores/aggregations", &key).await.data();
    assert_eq!((&sums[0]["count"], &sums[0]["avg_score"]), (&json!(1), &json!(0.6)));
}

pub(crate) async fn scores_show_at_their_trace_and_their_span(cluster: &Cluster) {
    let (tenant, key) = scorer(cluster).await;
    let (trace, other, span) = (trace_id(0x5c0), trace_id(0x5c1), span_id(0x5c0));
    let of_trace = json!({"resource_id": trace.to_string(), "name": "quality", "score": 0.5});
    // Before the span it is about has come.
    let of_span = json!({"resource_id": span.to_string(), "name": "quality", "score": 1.0, "reason": "well said"});
    let in_words = json!({"trace_id": trace.to_string(), "name": "tone", "label": "kind", "metadata": {"by": "ann"}});
    for score in [&of_trace, &of_span, &in_words] {
        give(cluster, &key, score).await;
    }
    send(cluster, &key, trace, span).await;
    send(cluster, &key, other, span_id(0x5c1)).await;
    for in_files in [false, true] {
        if in_files {
            cluster.has_files(&tenant.id, 2).await;
        }
        let rows = cluster.client.get("/v1/traces?sort_by=name", &key).await.rows();
        let row = |id: TraceId| rows.iter().find(|row| row["id"] == id.to_string()).unwrap();
        assert_eq!(row(trace)["scores"], json!({"quality": 0.75}));
        assert_eq!(row(other)["scores"], json!({}));
        let detail = cluster.client.get(&format!("/v1/traces/{trace}"), &key).await.data();
        let names: Vec<_> = detail["scores"].as_array().unwrap().iter().map(|score| &score["name"]).collect();
        assert_eq!(names.len(), 3, "{detail}");
        let of_the_span = &detail["spans"][0]["scores"];
        assert_eq!((&of_the_span[0]["reason"], &of_the_span[1]), (&json!("well said"), &Value::Null));
        let whole = cluster.client.get(&format!("/v1/traces/{trace}/spans/{span}"), &key).await.data();
        assert_eq!(&whole["scores"], of_the_span);
        let summaries = cluster.client.get("/v1/scores/aggregations", &key).await.data();
        let expected = json!([
            {"name": "quality", "count": 2, "avg_score": 0.75, "min_score": 0.5, "max_score": 1.0, "labels": {}},
            {"name": "tone", "count": 1, "avg_score": null, "min_score": null, "max_score": null, "labels": {"kind": 1}},
        ]);
        assert_eq!(summaries, expected);
        assert_eq!(cluster.client.get("/v1/scores/names", &key).await.data(), json!(["quality", "tone"]));
    }
    for (query, count) in [
        (format!("resource_id={trace}"), 2),
        (format!("trace_id={trace}&name=tone"), 1),
        (format!("span_id={span}"), 1),
        ("resource_type=session".into(), 0),
        ("resource_type=span".into(), 1),
        ("source=api".into(), 3),
        ("source=annotation".into(), 0),
        ("start_date=2020-01-01&end_date=2020-01-02".into(), 0),
    ] {
        assert_eq!(cluster.client.get(&format!("/v1/scores?{query}"), &key).await.rows().len(), count, "{query}");
    }
}

/// The names of the rows that are exported, and what scores say of each.
async fn exported(cluster: &Cluster, key: &str, query: &str) -> Vec<(String, Value)> {
    let answer = cluster.client.get(&format!("/v1/traces/export?{query}"), key).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    let mut lines: Vec<Value> = answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.pop().unwrap()["_export_meta"]["total"], lines.len(), "{query}");
    let mut rows: Vec<_> = lines.iter().map(|row| (text(row, "/span_name"), row["scores"].clone())).collect();
    rows.sort_by(|one, other| one.0.cmp(&other.0));
    rows
}

pub(crate) async fn lists_and_exports_are_filtered_by_scores(cluster: &Cluster) {
    let tenant = Tenant::sign_up(cluster).await;
    let key = tenant.key(&["ingest", "read", "score", "export"]).await;
    let spans: Vec<_> = (0..4_u64)
        .map(|n| {
            let trace = trace_id(0x5d0 + u128::from(n / 2));
            otlp::span(trace, span_id(0x5d0 + n), &format!("call {n}"), cluster.a_minute_ago())
        })
        .collect();
    cluster.client.ingest(&key, otlp::request(spans).encode_to_vec()).await;
    let [liked, other] = [trace_id(0x5d0), trace_id(0x5d1)].map(|trace| trace.to_string());
    // What people thought of a run counts for its calls, unless a call was judged itself.
    give(cluster, &key, &json!({"trace_id": liked, "name": "quality", "score": 0.9})).await;
    give(cluster, &key, &json!({"resource_id": span_id(0x5d1).to_string(), "name": "quality", "score": 0.2})).await;
    give(cluster, &key, &json!({"trace_id": other, "name": "quality", "label": "unheard"})).await;
    give(cluster, &key, &json!({"trace_id": other, "name": "speed", "score": 40})).await;
    let found = |list: &'static str, query: &'static str| {
        let (client, key) = (&cluster.client, &key);
        async move { client.get(&format!("/v1/{list}?{query}"), key).await.rows().len() }
    };
    for in_files in [false, true] {
        if in_files {
            cluster.has_files(&tenant.id, 2).await;
        }
        // The run's mean is 0.55.
        let asked = [
            ("score=quality%3E%3D0.5", 1, 1),
            ("score=quality%3C0.5", 0, 1),
            ("score=quality%3E0.5&score=speed%3E1", 0, 0),
            ("minScore=10", 1, 2),
            ("min_score=0.3&max_score=10", 1, 1),
            ("filter=score__quality%20does%20not%20exist", 1, 2),
            ("filter=any_score%20exists", 2, 4),
        ];
        // Where rows lie is no matter of the filter: in memory some will do.
        for (query, traces, spans) in asked.into_iter().take(if in_files { asked.len() } else { 2 }) {
            let counts = (found("traces", query).await, found("spans", query).await);
            assert_eq!(counts, (traces, spans), "{query}, in files: {in_files}");
        }
    }
    let body = json!({"filter": [{"field": "score__quality", "operator": "gte", "value": 0.5}]});
    assert_eq!(cluster.client.post("/v1/spans/search", &key, &body).await.rows().len(), 1);
    let filter = "filter=score__quality%20%3E%200.5";
    let measured = cluster.client.get(&format!("/v1/metrics?{filter}"), &key).await.data();
    assert_eq!(measured["summary"]["span_count"], 1, "{measured}");
    let facets = cluster.client.get(&format!("/v1/facets/name?{filter}"), &key).await.rows();
    assert_eq!(facets, [json!({"value": "call 0", "count": 1})]);
    let liked = ("call 0".to_owned(), json!({"quality": 0.9}));
    let poor = ("call 1".to_owned(), json!({"quality": 0.2}));
    let others = [2, 3].map(|n| (format!("call {n}"), json!({"speed": 40.0})));
    assert_eq!(exported(cluster, &key, "score=quality%3E%3D0.5").await, std::slice::from_ref(&liked));
    assert_eq!(exported(cluster, &key, "maxScore=1&score=quality!%3D0.9").await, std::slice::from_ref(&poor));
    assert_eq!(exported(cluster, &key, "minScore=1&filter=name%20contains%20call").await, others);
    assert_eq!(exported(cluster, &key, "").await, [vec![liked, poor], others.to_vec()].concat());
    let csv = cluster.client.get("/v1/traces/export?format=csv&score=quality%3E0.5", &key).await.text();
    assert!(csv.lines().nth(1).unwrap().contains(r#""{""quality"":0.9}""#), "{csv}");
}

pub(crate) async fn a_batch_is_answered_score_by_score(cluster: &Cluster) {
    let (_, key) = scorer(cluster).await;
    let good = |name: &str| json!({"session_id": "s", "name": name, "score": 1, "client_id": name});
    let bad = json!({"session_id": "s", "name": "bad", "clientId": "bad"});
    let batch = |scores: Vec<Value>| {
        let client = &cluster.client;
        let key = &key;
        async move { client.post("/v1/scores/batch", key, &json!({"scores": scores})).await }
    };
    let mixed = batch(vec![good("one"), bad.clone(), json!("no score"), good("two")]).await;
    assert_eq!(mixed.status, 207);
    let data = mixed.json()["data"].clone();
    assert_eq!(data["summary"], json!({"total": 4, "succeeded": 2, "failed": 2}));
    let told: Vec<_> =
        data["results"].as_array().unwrap().iter().map(|one| (&one["status"], &one["client_id"])).collect();
    let (success, error) = (json!("success"), json!("error"));
    let ids = [json!("one"), json!("bad"), Value::Null, json!("two")];
    assert_eq!(told, [(&success, &ids[0]), (&error, &ids[1]), (&error, &ids[2]), (&success, &ids[3])]);
    assert_eq!(data["results"][1]["error"]["code"], "invalid_request_body");
    let id = text(&data, "/results/3/id");
    assert_eq!(cluster.client.get(&format!("/v1/scores/{id}"), &key).await.data()["name"], "two");
    assert_eq!(batch(vec![bad]).await.status, 400);
    batch(vec![]).await.refused(400, "invalid_request_body");
    batch(vec![good("many"); 1_001]).await.refused(413, "payload_too_large");
    let many = batch(vec![good("many"); 1_000]).await;
    assert_eq!((many.status, &many.data()["summary"]["succeeded"]), (201, &json!(1_000)));
    let sums = cluster.client.get("/v1/scores/aggregations?name=many", &key).await.data();
    assert_eq!(sums[0]["count"], 1_000);
    assert_eq!(cluster.client.get("/v1/scores/names", &key).await.data(), json!(["many", "one", "two"]));
}

pub(crate) async fn every_spelling_of_a_score_is_taken(cluster: &Cluster) {
    let (_, key) = scorer(cluster).await;
    let trace = trace_id(0x5c2).to_string();
    // As the SDKs of AgentMark send it, and the seed's own path.
    let camel = json!({"resourceId": trace, "name": "camel", "score": 0.95, "type": "x", "source": "eval", "label": "", "reason": ""});
    let answer = cluster.client.post("/v1/score", &key, &camel).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let body = answer.json();
    assert_eq!((&body["id"], body["message"].is_string()), (&body["data"]["id"], true));
    // As those of Langfuse.
    let one = json!({"id": "lf", "traceId": trace, "name": "langfuse", "value": true, "dataType": "BOOLEAN"});
    let answer = cluster.client.post("/api/public/scores", &key, &one).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"id": "lf"})));
    let list = json!([{"sessionId": "s", "name": "category", "value": "good"}, {"sessionId": "s", "name": "no value"}]);
    let answer = cluster.client.post("/api/public/scores", &key, &list).await;
    assert_eq!((answer.status, &answer.json()["accepted"]), (207, &json!(1)));
    let answer = cluster.client.post("/api/public/scores", &key, &json!([one])).await;
    assert_eq!((answer.status, answer.json()), (202, json!({"message": "Accepted"})));
    let shown = |name: &'static str| {
        let (client, key) = (&cluster.client, &key);
        async move {
            let row = client.get(&format!("/v1/scores?name={name}"), key).await.rows().remove(0);
            (row["score"].clone(), row["label"].clone(), row["source"].clone())
        }
    };
    assert_eq!(shown("camel").await, (json!(0.95), Value::Null, json!("eval")));
    assert_eq!(shown("langfuse").await, (json!(1.0), json!("true"), json!("api")));
    assert_eq!(shown("category").await, (Value::Null, json!("good"), json!("api")));
    for bad in [json!({"name": "n", "score": 1}), json!({"resource_id": "r", "score": 1}), json!([1]), json!("x")] {
        cluster.client.post("/v1/scores", &key, &bad).await.refused(400, "invalid_request_body");
    }
}

pub(crate) async fn what_is_deleted_takes_its_scores_along(cluster: &Cluster) {
    let (tenant, key) = scorer(cluster).await;
    let (trace, kept) = (trace_id(0x5c3), trace_id(0x5c4));
    let mut sent = otlp::span(trace, span_id(0x5c3), "judged", cluster.a_minute_ago());
    sent.attributes = vec![otlp::text("session.id", "talk")];
    cluster.client.ingest(&key, otlp::request(vec![sent]).encode_to_vec()).await;
    send(cluster, &key, kept, span_id(0x5c4)).await;
    let about = |id: &str, what: Value| json!({"id": id, "resource_id": what, "name": "n", "score": 1});
    give(cluster, &key, &about("of-kept", json!(kept.to_string()))).await;
    give(cluster, &key, &about("of-kept-span", json!(span_id(0x5c4).to_string()))).await;
    give(cluster, &key, &about("of-trace", json!(trace.to_string()))).await;
    give(cluster, &key, &about("of-span", json!(span_id(0x5c3).to_string()))).await;
    give(cluster, &key, &about("of-session", json!("talk"))).await;
    give(cluster, &key, &about("alone", json!("another talk"))).await;
    cluster.has_files(&tenant.id, 2).await;
    give(cluster, &key, &about("alone", json!("another talk"))).await;
    let delete = cluster.client.delete("/v1/scores/alone", &key).await;
    assert_eq!(delete.status, 204, "{}", delete.text());
    cluster.client.get("/v1/scores/alone", &key).await.refused(404, "not_found");
    cluster.client.delete("/v1/scores/alone", &key).await.refused(404, "not_found");
    let deletion = cluster.client.post("/v1/deletions", &key, &json!({"session_id": "talk"})).await;
    assert!((200..300).contains(&deletion.status), "{}", deletion.text());
    let mut left: Vec<_> =
        cluster.client.get("/v1/scores", &key).await.rows().iter().map(|row| text(row, "/id")).collect();
    left.sort();
    assert_eq!(left, ["of-kept", "of-kept-span"]);
    let row = cluster.client.get(&format!("/v1/traces/{kept}"), &key).await.data();
    assert_eq!(row["scores"].as_array().unwrap().len(), 2);
    // Also from the disk: of both tables, whichever was written to last.
    let path = format!("/v1/deletions/{}", text(&deletion.data(), "/id"));
    let look = || async {
        let receipt = cluster.client.get(&path, &key).await.data();
        (receipt["status"] == "finished").then_some(receipt)
    };
    let receipt = eventually("the deletion is finished", look).await;
    assert!(receipt["rows"].as_u64().unwrap() >= 4, "a span and three scores: {receipt}");
    // What is given later is new.
    give(cluster, &key, &about("alone", json!("another talk"))).await;
    assert_eq!(cluster.client.get("/v1/scores/alone", &key).await.status, 200);
}

pub(crate) async fn an_agent_key_sees_the_scores_it_gave(cluster: &Cluster) {
    let (tenant, key) = scorer(cluster).await;
    let agent = tenant.agent("judge").await;
    let new = json!({"name": "judge", "kind": "agent", "agent_id": agent, "scopes": ["score", "read"]});
    let agent_key = text(&tenant.new_key(&new).await, "/key");
    give(cluster, &agent_key, &json!({"id": "own", "session_id": "s", "name": "n", "score": 1})).await;
    give(cluster, &key, &json!({"id": "theirs", "session_id": "s", "name": "n", "score": 1})).await;
    let seen = cluster.client.get("/v1/scores", &agent_key).await.rows();
    assert_eq!((seen.len(), &seen[0]["id"], &seen[0]["agent_id"]), (1, &json!("own"), &json!(agent)));
    cluster.client.get("/v1/scores/theirs", &agent_key).await.refused(404, "not_found");
    cluster.client.delete("/v1/scores/theirs", &agent_key).await.refused(404, "not_found");
    assert_eq!(cluster.client.delete("/v1/scores/own", &agent_key).await.status, 204);
    let left = cluster.client.get("/v1/scores", &key).await.rows();
    assert_eq!((left.len(), &left[0]["id"]), (1, &json!("theirs")));
}

pub(crate) async fn pages_of_scores_hold_every_one_once_while_more_arrive(cluster: &Cluster) {
    let (_, key) = scorer(cluster).await;
    let at = cluster.a_minute_ago().to_string();
    let score = |number: usize| json!({"id": format!("{number:02}"), "session_id": "s", "name": "n", "score": number, "created_at": at});
    let all: Vec<_> = (0..23).map(score).collect();
    assert_eq!(cluster.client.post("/v1/scores/batch", &key, &json!({"scores": all})).await.status, 201);
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = cluster.client.get(&format!("/v1/scores?limit=4{cursor}"), &key).await;
        seen.extend(answer.rows().iter().map(|row| text(row, "/id")));
        give(cluster, &key, &json!({"session_id": "s", "name": "newer", "score": 1})).await;
        match answer.json()["pagination"]["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let wanted: Vec<_> = (0..23).rev().map(|number| format!("{number:02}")).collect();
    assert_eq!(seen, wanted);
    let request = cluster.client.request(Method::GET, &format!("/v1/scores?limit=4&name=n{cursor}")).bearer_auth(&key);
    cluster.client.send(request).await.refused(400, "invalid_query_params");
}

pub(crate) async fn scores_are_shown_for_ninety_days(cluster: &Cluster) {
    let (_, key) = scorer(cluster).await;
    for days in [1, 89, 91, 200] {
        let given = cluster.now().minus(std::time::Duration::from_secs(days * 86_400)).to_string();
        let score =
            json!({"id": format!("{days} days"), "session_id": "s", "name": "n", "score": 1, "created_at": given});
        give(cluster, &key, &score).await;
    }
    let start = cluster.now().minus(std::time::Duration::from_secs(300 * 86_400)).to_string();
    let rows = cluster.client.get(&format!("/v1/scores?start_date={start}"), &key).await.rows();
    let ids: Vec<_> = rows.iter().map(|row| text(row, "/id")).collect();
    assert_eq!(ids, ["1 days", "89 days"]);
    cluster.client.get("/v1/scores/91%20days", &key).await.refused(404, "not_found");
}
