//! Whole calls, priced.

use proptest::prelude::*;
use spanlake_model::{CostSource, Timestamp, Usage};
use spanlake_prices::{Book, Call, OwnPrices};

fn usage(input: i64, output: i64) -> Usage {
    Usage { input: Some(input), output: Some(output), ..Usage::default() }
}

fn call<'a>(model: &'a str, start: &str, usage: Usage) -> Call<'a> {
    Call { model: Some(model), start: Timestamp::parse(start).unwrap(), usage, ..Call::default() }
}

fn total(book: &Book, call: &Call<'_>) -> String {
    book.cost(call).unwrap().cost.total.unwrap().to_string()
}

fn standard(call: &Call<'_>) -> String {
    total(Book::standard(), call)
}

#[test]
fn a_price_is_that_of_the_day_of_the_call() {
    let at = |start| standard(&call("o3", start, usage(1_000_000, 0)));
    assert_eq!(at("2025-06-09T23:59:59Z"), "10.000000000000");
    assert_eq!(at("2025-06-10"), "2.000000000000");
    let flash = |start| standard(&call("gemini-3.8-flash", start, usage(1_000_000, 0)));
    assert_eq!([flash("2026-12-31"), flash("2027-01-01")], ["0.750000000000", "1.500000000000"]);
}

#[test]
fn a_long_prompt_makes_the_whole_call_dearer() {
    let at = |input| standard(&call("gemini-2.5-pro", "2026-01-01", usage(input, 1_000)));
    assert_eq!(at(200_000), "0.260000000000");
    assert_eq!(at(200_001), "0.515002500000");
}

#[test]
fn a_batch_costs_half_of_what_its_length_costs() {
    let long = call("claude-sonnet-4-5", "2026-01-01", usage(300_000, 10_000));
    assert_eq!(standard(&long), "2.025000000000");
    assert_eq!(standard(&Call { service_tier: Some("batch"), ..long }), "1.012500000000");
    assert_eq!(standard(&Call { service_tier: Some("standard"), ..long }), "2.025000000000");
}

#[test]
fn priority_is_paid_for() {
    let plain = call("gpt-5-mini", "2026-01-01", usage(1_000_000, 0));
    assert_eq!(standard(&plain), "0.250000000000");
    assert_eq!(standard(&Call { service_tier: Some("priority"), ..plain }), "0.450000000000");
}

#[test]
fn peak_hours_are_paid_for() {
    let at = |start| standard(&call("deepseek-flash", start, usage(1_000_000, 0)));
    assert_eq!([at("2026-11-27T00:00:00Z"), at("2026-11-27T02:00:00Z")], ["0.150000000000", "0.300000000000"]);
}

#[test]
fn the_model_that_answered_is_priced_and_else_the_one_asked_for() {
    let asked = Call { request_model: Some("gpt-4o"), ..call("gpt-4o-mini-2024-07-18", "2026-01-01", usage(10, 10)) };
    assert_eq!(Book::standard().cost(&asked).unwrap().entry, "openai/gpt-4o-mini");
    let odd = Call { model: Some("deployment-7"), ..asked };
    assert_eq!(Book::standard().cost(&odd).unwrap().entry, "openai/gpt-4o");
}

#[test]
fn an_unknown_model_has_no_cost_rather_than_none_to_pay() {
    assert_eq!(Book::standard().cost(&call("my-model", "2026-01-01", usage(10, 10))), None);
    assert_eq!(Book::standard().cost(&call("gpt-4o", "2026-01-01", Usage::default())), None);
    assert_eq!(Book::standard().cost(&Call { usage: usage(1, 1), ..Call::default() }), None);
}

#[test]
fn own_prices_win_and_say_so() {
    let own: OwnPrices = serde_json::from_str(
        r#"[
            { "model": "deployment-*", "prices": { "input": "1", "output": "2" } },
            { "model": "gpt-4o", "prices": { "input": 2 , "output": 8 }, "valid_from": "2026-06-01" },
            { "model": "llama3.2:latest", "provider": "ollama", "prices": { "input": 0, "output": 0 } }
        ]"#,
    )
    .unwrap();
    let book = Book::standard().with_own(own);
    let asked = Call { request_model: Some("deployment-7"), ..call("gpt-4o", "2026-01-01", usage(1_000_000, 0)) };
    let priced = book.cost(&asked).unwrap();
    assert_eq!((priced.source, priced.entry, priced.version), (CostSource::Own, "deployment-*", book.version()));
    assert_eq!(total(&book, &asked), "1.000000000000", "also for the name that was asked for");
    let before = call("gpt-4o", "2026-05-31", usage(1_000_000, 0));
    assert_eq!(
        (total(&book, &before).as_str(), book.cost(&before).unwrap().source),
        ("2.500000000000", CostSource::Standard)
    );
    assert_eq!(total(&book, &call("gpt-4o", "2026-06-01", usage(1_000_000, 0))), "2.000000000000");
    let local = Call { provider: Some("ollama"), ..call("llama3.2:latest", "2026-01-01", usage(9, 9)) };
    assert_eq!(total(&book, &local), "0.000000000000", "free, because the tenant says so");
}

/// Names that have a price, names that look like it, and noise.
fn any_name() -> impl Strategy<Value = String> {
    let ids: Vec<String> = Book::standard().entries().iter().map(|entry| entry.id().to_owned()).collect();
    let tail = "(-[0-9]{1,8}|-[a-z]{1,6}|@[0-9]{1,9}|:[0-9a-z]{1,4}|/[a-z]{0,3}|\\.|\\[1m\\]|é){0,3}";
    prop_oneof![
        (prop::sample::select(ids), tail).prop_map(|(id, tail)| id + &tail),
        "(ft:|us\\.|anthropic\\.|openai:|models/|-|@|:|/|[0-9]|[a-z]|🦀){0,24}",
        any::<String>(),
    ]
}

fn any_usage() -> impl Strategy<Value = Usage> {
    let count = || prop::option::of(prop_oneof![any::<i64>(), -5_i64..300_000, Just(i64::MAX)]);
    (count(), count(), count(), count(), count(), count()).prop_map(
        |(input, output, total, cache_read, cache_write, reasoning)| Usage {
            input,
            output,
            total,
            cache_read,
            cache_write,
            reasoning,
        },
    )
}

proptest! {
    #[test]
    fn any_call_is_priced_or_not_and_never_below_zero(
        model in any_name(), provider in prop::option::of(any_name()), start in any::<i64>(), usage in any_usage(),
        extra in any::<i64>(), tier in prop::sample::select(vec![None, Some("batch"), Some("priority"), Some("é")]),
    ) {
        let extra = [("audio_input", extra), ("cache_write_1h", extra), ("", extra)];
        let start = Timestamp::from_nanos(start);
        let call = Call {
            provider: provider.as_deref(), model: Some(&model), request_model: None, start, usage, extra: &extra, service_tier: tier,
        };
        if let Some(priced) = Book::standard().cost(&call) {
            let sides = [priced.cost.input, priced.cost.output];
            prop_assert!(sides.iter().flatten().all(|side| side.as_pico() >= 0));
            prop_assert!(sides.iter().any(Option::is_some));
            if let Some(total) = priced.cost.total {
                let sum: i128 = sides.iter().flatten().map(|side| side.as_pico()).sum();
                prop_assert_eq!(total.as_pico(), sum);
            }
        }
    }

    #[test]
    fn more_tokens_never_cost_less(
        entry in 0..Book::standard().entries().len(), input in 0_i64..500_000, output in 0_i64..500_000,
        more in 0_i64..500_000, read in 0_i64..500_000, written in 0_i64..500_000,
    ) {
        let id = Book::standard().entries()[entry].id();
        let cost = |input, output| {
            let usage = Usage { cache_read: Some(read), cache_write: Some(written), ..usage(input, output) };
            Book::standard().cost(&call(id, "2026-11-27", usage)).and_then(|priced| priced.cost.total)
        };
        prop_assert!(cost(input, output) <= cost(input + more, output), "{id}");
        prop_assert!(cost(input, output) <= cost(input, output + more) || cost(input, output + more).is_none(), "{id}");
    }

    #[test]
    fn a_name_finds_the_same_whatever_its_case(model in any_name()) {
        let find = |model: &str| Book::standard().find(None, model).map(spanlake_prices::Entry::id);
        prop_assert_eq!(find(&model), find(&model.to_ascii_uppercase()));
    }

    #[test]
    fn a_word_after_a_name_is_another_model(entry in 0..Book::standard().entries().len(), word in "[a-z]{3,9}") {
        let id = Book::standard().entries()[entry].id();
        let longer = format!("{id}-{word}");
        let found = Book::standard().find(None, &longer).map(spanlake_prices::Entry::id);
        prop_assert!(found != Some(id) || ["latest", "preview", "exp"].contains(&word.as_str()), "{longer} found {id}");
    }

    #[test]
    fn own_prices_read_from_any_json_are_taken_or_refused(model in any::<String>(), price in any::<f64>(), text in any::<String>()) {
        let json = serde_json::json!([{ "model": model, "prices": { "input": price, "output": text } }]);
        if let Ok(own) = serde_json::from_value::<OwnPrices>(json) {
            let again: OwnPrices = serde_json::from_value(serde_json::to_value(&own).unwrap()).unwrap();
            prop_assert_eq!(own, again);
        }
    }
}
