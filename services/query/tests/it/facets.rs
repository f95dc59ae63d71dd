//! What can be filtered by: keys of metadata, values of fields.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use serde_json::{Value, json};
use spanlake_model::{AgentId, Span, Status};
use spanlake_testkit::Dice;

use crate::face::{Face, face};
use crate::pages::walk;
use crate::stories::{spans, world_of};
use crate::world::{World, span, tenant};

fn with(metadata: &str, span: Span) -> Span {
    Span { metadata: metadata.into(), ..span }
}

#[tokio::test]
async fn keys_are_found_with_their_types_and_examples() {
    let world = World::new();
    let first = with(r#"{"plan":"pro","team":{"name":"a"},"seats":3}"#, span(1, 1, 0));
    let second = with(r#"{"plan":"free","seats":"many","list":[1]}"#, span(2, 1, 0));
    world.file(tenant(1), 1, &[first, second, span(3, 1, 0)], &[]).await;
    let face = face(&world);
    let data = face.ok("/v1/metadata/keys").await["data"].clone();
    assert_eq!(
        data,
        json!({"has_more": false, "keys": [
            {"key": "plan", "type": "string", "types": {"string": 2}, "count": 2, "examples": ["free", "pro"]},
            {"key": "seats", "type": "string", "types": {"number": 1, "string": 1}, "count": 2, "examples": ["3", "many"]},
            {"key": "list", "type": "list", "types": {"list": 1}, "count": 1, "examples": ["[1]"]},
            {"key": "team.name", "type": "string", "types": {"string": 1}, "count": 1, "examples": ["a"]},
        ]})
    );
    assert_eq!(
        face.ok("/v1/metadata/keys?start_date=2026-01-02T00:00:01Z").await["data"],
        json!({"has_more": false, "keys": []})
    );
}

#[tokio::test]
async fn values_are_found_by_how_they_begin() {
    let world = World::new();
    let named = |byte, name: &str| Span { name: name.into(), ..span(byte, 1, 0) };
    world
        .file(
            tenant(1),
            1,
            &[named(1, "Plan"), named(2, "planet"), named(3, "planet"), named(4, "p_x"), named(5, "pax")],
            &[],
        )
        .await;
    let face = face(&world);
    let found = async |query: &str| {
        let page = face.ok(&format!("/v1/facets/name?{query}")).await;
        page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|facet| facet["value"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(found("q=PLAN").await, ["planet", "Plan"]);
    assert_eq!(found("q=p_").await, ["p_x"]);
    assert_eq!(found("q=lan").await, [""; 0]);
    assert_eq!(found("limit=1").await, ["planet"]);
    assert_eq!(found("filter=name%20contains%20%22pla%22").await, ["planet", "Plan"]);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let face = face(&World::new());
    for (path, code) in [
        ("/v1/facets/colour", "invalid_path_params"),
        ("/v1/facets/metadata.", "invalid_path_params"),
        ("/v1/facets/status?q=O", "invalid_query_params"),
        ("/v1/facets/model?cursor=AAAA", "invalid_query_params"),
        ("/v1/facets/model?limit=1001", "invalid_query_params"),
        ("/v1/metadata/keys?limit=5", "invalid_query_params"),
    ] {
        let (status, body) = face.get(path).await;
        assert_eq!((status, &body["error"]["code"]), (StatusCode::BAD_REQUEST, &json!(code)), "{path}");
    }
}

async fn check(face: &Face, field: &str, all: &[Span], values: &dyn Fn(&Span) -> Vec<String>) {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    all.iter().flat_map(values).for_each(|value| *counts.entry(value).or_default() += 1);
    let mut expected: Vec<_> = counts.into_iter().collect();
    expected.sort_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(&other.0)));
    let rows = |page: &Value| {
        let facets = page["data"].as_array().unwrap().iter();
        facets.map(|facet| format!("{} {}", facet["value"].as_str().unwrap(), facet["count"])).collect()
    };
    let seen = walk(face, &format!("/v1/facets/{field}?"), rows).await;
    assert_eq!(seen, expected.iter().map(|(value, count)| format!("{value} {count}")).collect::<Vec<_>>(), "{field}");
}

#[tokio::test]
async fn facets_of_random_spans_are_what_the_plainest_code_says() {
    let dice = Dice::new(77);
    let all = spans(&dice);
    let face = face(&world_of(&dice, &all).await);
    check(&face, "model", &all, &|span| span.model.clone().into_iter().collect()).await;
    check(&face, "tag", &all, &|span| span.tags.clone()).await;
    check(&face, "session_id", &all, &|span| span.session_id.clone().into_iter().collect()).await;
    check(&face, "agent_id", &all, &|span| span.agent_id.as_ref().map(AgentId::to_string).into_iter().collect()).await;
    let metadata = |span: &Span, key: &str| {
        let object: Value = serde_json::from_str(&span.metadata).unwrap();
        let value = key.split('.').try_fold(&object, |object, part| object.get(part));
        value
            .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            .into_iter()
            .collect::<Vec<_>>()
    };
    check(&face, "metadata.team.name", &all, &|span| metadata(span, "team.name")).await;
    check(&face, "metadata.seats", &all, &|span| metadata(span, "seats")).await;
    // By the number, not by the word, which no two of the same count can tell apart.
    let counted = face.ok("/v1/facets/status").await["data"].clone();
    for status in [Status::Ok, Status::Error, Status::Unset] {
        let shown = counted.as_array().unwrap().iter().find(|facet| facet["value"] == json!(status.as_str()));
        let count = all.iter().filter(|span| span.status == status).count();
        assert_eq!(shown.map_or(0, |facet| facet["count"].as_u64().unwrap()), count as u64);
    }

    let keys = face.ok("/v1/metadata/keys").await["data"]["keys"].clone();
    let shown: BTreeSet<_> = keys.as_array().unwrap().iter().map(|key| key["key"].as_str().unwrap()).collect();
    let known = ["plan", "seats", "team.name", "team.size", "flag", "list"];
    let there: BTreeSet<_> =
        known.into_iter().filter(|key| all.iter().any(|span| !metadata(span, key).is_empty())).collect();
    assert_eq!(shown, there);
    for key in keys.as_array().unwrap() {
        let values: Vec<_> = all.iter().flat_map(|span| metadata(span, key["key"].as_str().unwrap())).collect();
        assert_eq!(key["count"], json!(values.len()));
        let examples: BTreeSet<_> = values.into_iter().collect();
        assert_eq!(key["examples"], json!(examples.into_iter().take(5).collect::<Vec<_>>()));
    }
}
