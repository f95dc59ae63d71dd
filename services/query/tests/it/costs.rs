//! What a call costs: as sent, else by the price of its model, the tenant's own first, however old the span is.

use serde_json::{Value, json};
use spanlake_model::{Cost, CostSource, Kind, Money, Span, Usage};

use crate::face::{Face, face};
use crate::world::{World, fresh, id, span, tenant, trace};

fn call(trace_byte: u8, model: &str) -> Span {
    Span {
        kind: Kind::new(Kind::LLM),
        provider: Some("openai".into()),
        model: Some(model.into()),
        usage: Usage { input: Some(1_000), cache_read: Some(400), output: Some(200), ..Usage::default() },
        ..span(trace_byte, 1, u64::from(trace_byte))
    }
}

/// Of the trace's only span, in its page and in the list; and of the trace.
async fn cost(face: &Face, trace_byte: u8) -> (Value, Value) {
    let page = face.ok(&format!("/v1/traces/{}/spans/{}", trace(trace_byte), id(1))).await["data"].clone();
    let list = face.ok(&format!("/v1/spans?trace_id={}", trace(trace_byte))).await["data"][0].clone();
    let whole = face.ok(&format!("/v1/traces/{}", trace(trace_byte))).await["data"].clone();
    assert_eq!((&page["cost"], &page["cost_source"]), (&list["cost"], &list["cost_source"]));
    assert_eq!(page["cost"], whole["cost"]);
    (page["cost"].clone(), page["cost_source"].clone())
}

#[tokio::test]
async fn a_sent_cost_wins_and_an_unknown_model_costs_nothing_we_know() {
    let world = World::new();
    let money = Cost { total: Money::from_dollars(0.5), ..Cost::default() };
    let sent = Span { cost: money, cost_source: Some(CostSource::Sent), ..call(1, "gpt-4o") };
    let listed = call(2, "gpt-4o-2024-08-06");
    world.file(tenant(1), 1, &[sent, listed], &[]).await;
    world.writer(0, vec![fresh(tenant(1), &[call(3, "nobody-knows-it")], &[])]);
    let face = face(&world);
    assert_eq!(cost(&face, 1).await, (json!(0.5), json!("sent")));
    // 600 at $2.50, 400 at $1.25, 200 at $10, for a million each.
    assert_eq!(cost(&face, 2).await, (json!(0.004), json!("standard")));
    assert_eq!(cost(&face, 3).await, (Value::Null, Value::Null));
    let dearest: Vec<_> = face.ok("/v1/traces?sort_by=cost").await["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["cost"].clone())
        .collect();
    assert_eq!(dearest, [json!(0.5), json!(0.004), Value::Null]);
}

#[tokio::test]
async fn a_changed_price_holds_for_what_was_stored_before() {
    let world = World::new();
    world.file(tenant(1), 1, &[call(1, "gpt-4o"), call(2, "acme-large")], &[]).await;
    let face = face(&world);
    assert_eq!(cost(&face, 1).await, (json!(0.004), json!("standard")));
    for (price, dollars) in [("1", 0.001), ("3", 0.003)] {
        world.price(&format!(r#"[{{"model":"acme-*","prices":{{"input":"{price}","output":"0"}}}}]"#));
        assert_eq!(cost(&face, 2).await, (json!(dollars), json!("own")));
    }
    world.price(r#"[{"model":"gpt-4o","prices":{"input":"10","cache_read":"0","output":"0"}}]"#);
    assert_eq!(cost(&face, 1).await, (json!(0.006), json!("own")));
}

#[tokio::test]
async fn a_sent_zero_is_not_believed_of_a_call_that_has_a_price() {
    let world = World::new();
    let free = Cost { total: Money::from_dollars(0.0), ..Cost::default() };
    let zero = |byte, model| Span { cost: free, ..call(byte, model) };
    world.file(tenant(1), 1, &[zero(1, "gpt-4o"), zero(2, "llama3.2:latest")], &[]).await;
    let face = face(&world);
    assert_eq!(cost(&face, 1).await, (json!(0.004), json!("standard")));
    assert_eq!(cost(&face, 2).await.0, json!(0.0));
}
