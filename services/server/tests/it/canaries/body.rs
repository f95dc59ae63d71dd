//! What each operation takes: the word of whoever asks in every text, and ids of `owner`, who may be somebody else.

use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use prost::Message as _;
use serde_json::{Value, json};
use spanlake_testkit::otlp::{self, span_id, trace_id};

use super::ask::Content;
use super::party::{EVERYTHING, Party, SHARED};
use super::pick;
use crate::document::Operation;

pub(super) fn of(operation: &Operation, own: &Party, owner: &Party) -> Content {
    match (&*operation.method, &*operation.path) {
        ("GET", _) => Content::Nothing,
        ("DELETE", _) => Content::Nothing,
        ("POST", path) if path.ends_with("/traces") => spans(own, owner),
        ("POST", path) if path.ends_with("/logs") => logs(own),
        _ => Content::Json(json(operation, own, owner)),
    }
}

/// All that a body says, for whoever looks for a name in it.
pub(super) fn said(body: &Content) -> String {
    match body {
        Content::Json(body) => body.to_string(),
        Content::Spans(spans) | Content::Grpc(spans) => {
            let resources = spans.resource_spans.iter().filter_map(|spans| spans.resource.as_ref());
            let values = resources
                .flat_map(|resource| &resource.attributes)
                .filter_map(|one| one.value.as_ref()?.value.as_ref());
            values
                .filter_map(|value| if let AnyValue::StringValue(text) = value { Some(text.as_str()) } else { None })
                .collect()
        }
        Content::Nothing | Content::Bytes(_) => String::new(),
    }
}

/// Of an agent that may be another's; a span that is refused now and then, so that partial answers come too.
fn spans(own: &Party, owner: &Party) -> Content {
    let dice = &own.dice;
    let mut spans = own.spans(1 + dice.below(SHARED as usize) as u128, 1 + dice.below(3), "more");
    if dice.chance(20) {
        spans[0].span_id = vec![1];
    }
    let mut request = otlp::request(spans);
    if let Some(agent) = owner.one_of("/v1/agents", own) {
        request = otlp::for_agent(request, &agent);
    }
    match dice.below(4) {
        0 => Content::Grpc(Box::new(request)),
        1 if dice.chance(20) => Content::Bytes(request.encode_to_vec()[1..].to_vec()),
        _ => Content::Spans(Box::new(request)),
    }
}

fn logs(own: &Party) -> Content {
    let (trace, at) = (1 + own.dice.below(SHARED as usize) as u128, own.now);
    let record = otlp::user_message(trace_id(trace), span_id(1), &format!("{} logged", own.word), at);
    Content::Bytes(otlp::logs_protobuf(vec![record]))
}

fn json(operation: &Operation, own: &Party, owner: &Party) -> Value {
    let (word, dice) = (&own.word, &own.dice);
    let kind = *pick(dice, &["kept", "first", "more"]);
    let id = |collection: &str| owner.one_of(collection, own);
    let name = format!("{word} {}", dice.below(1_000_000));
    match (&*operation.method, &*operation.path) {
        ("POST", "/v1/apps") | ("PATCH", "/v1/apps/{id}" | "/v1/agents/{id}") => json!({"name": name}),
        ("POST", "/v1/agents") => json!({"name": name, "app_id": id("/v1/apps")}),
        ("POST", "/v1/api-keys") if dice.chance(50) => {
            json!({"name": name, "kind": "agent", "agent_id": id("/v1/agents")})
        }
        ("POST", "/v1/api-keys") => {
            json!({"name": name, "kind": "workspace", "scopes": EVERYTHING[..=dice.below(4)], "app_id": id("/v1/apps")})
        }
        ("POST", "/v1/deletions") => match dice.below(5) {
            0 => json!({"trace_ids": [owner.trace(own)]}),
            1 => json!({"user_id": owner.handle("user", others_may(own, owner, kind))}),
            2 => json!({"session_id": owner.handle("session", others_may(own, owner, kind))}),
            3 if !std::ptr::eq(own, owner) => json!({"app_id": id("/v1/apps")}),
            _ if std::ptr::eq(own, owner) => json!({"tenant_id": "none"}),
            _ => json!({"tenant_id": owner.tenant.id}),
        },
        ("POST", "/v1/exports") => json!({
            "format": pick(dice, &["jsonl", "csv", "openai"]), "compression": "none",
            "table": pick(dice, &["spans", "spans", "scores", "traces"]),
            "destination": {"type": "file", "path": pick(dice, &["", word.as_str(), "..", "../../up"])},
            "schedule": if dice.chance(20) { Some("@daily") } else { None },
        }),
        ("POST", "/v1/members/invites") => {
            json!({"email": format!("{}-{}@example.com", own.handle("mail", "more"), dice.below(1_000)),
                "role": pick(dice, &["admin", "member", "viewer"])})
        }
        // A token speaks for itself, so it is never another's.
        ("POST", "/v1/invites/accept" | "/v1/password-reset") => {
            json!({"token": own.one_of("token", own), "password": format!("{word} is a password")})
        }
        ("POST", "/v1/token/refresh" | "/v1/logout") => json!({"refresh_token": own.one_of("token", own)}),
        ("POST", "/v1/login") => {
            // All have the same password; what others would come to know with it is theirs.
            let password = if std::ptr::eq(own, owner) { crate::tenant::PASSWORD } else { "a guess at a password" };
            let tenants = [Some(&owner.tenant.id), Some(&own.tenant.id), None];
            json!({"email": owner.tenant.email, "password": password, "tenant_id": pick(dice, &tenants)})
        }
        ("POST", "/v1/signup") => {
            json!({"email": format!("{word}-{}@example.com", dice.below(1_000_000)), "tenant_name": name,
                "password": format!("{word} is a password")})
        }
        ("PATCH", "/v1/members/{id}") => json!({"role": pick(dice, &["admin", "member", "viewer"])}),
        ("PUT", "/v1/me/password") => {
            json!({"current_password": crate::tenant::PASSWORD, "new_password": format!("{word} is another password")})
        }
        ("PUT", "/v1/limits") => json!({"spans_per_second": 100_000 + dice.below(1_000)}),
        ("PUT", "/v1/retention") => json!({"spans_days": 30 + dice.below(30)}),
        ("PUT", "/v1/prices") => json!({"own": [{"model": format!("{word}-*"), "prices": {"input": 1.5}}]}),
        ("POST", "/v1/scores" | "/v1/score" | "/api/public/scores") => score(own, owner),
        ("POST", "/v1/scores/batch") => json!({"scores": [score(own, owner), {"client_id": word, "score": 1}]}),
        ("POST", path) if path.ends_with("/search") => {
            json!({"filter": [{"field": "user_id", "operator": "=", "value": owner.handle("user", kind)}],
                "cursor": if dice.chance(30) { owner.one_of("cursor", own) } else { None }, "limit": 2})
        }
        ("POST", "/v1/exports/{id}/cancel" | "/v1/exports/{id}/resume") => json!({}),
        ("POST", "/v1/members/{id}/password-reset" | "/v1/api-keys/{id}/rotate") => json!({}),
        _ => panic!("say what {} takes", operation.name()),
    }
}

/// Nobody deletes what they keep for the end; others may try.
fn others_may(own: &Party, owner: &Party, kind: &'static str) -> &'static str {
    if std::ptr::eq(own, owner) { "more" } else { kind }
}

fn score(own: &Party, owner: &Party) -> Value {
    let (word, dice) = (&own.word, &own.dice);
    let mut score = json!({
        "id": own.score_id(dice), "name": format!("{word} score"), "score": 0.5, "label": format!("{word} label"),
        "reason": format!("{word} reason"), "metadata": {word: word}, "data_type": if dice.chance(10) { Some("ODD") } else { None },
    });
    match dice.below(3) {
        0 => score["trace_id"] = owner.trace(own).into(),
        1 => score["session_id"] = own.handle("session", "more").into(),
        _ => score["resource_id"] = span_id(1).to_string().into(),
    }
    score
}
