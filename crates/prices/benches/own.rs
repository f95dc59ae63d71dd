//! What it takes to price a call of a tenant with as many prices of its own as there may be: `cargo bench -p spanlake-prices`.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use spanlake_model::{Timestamp, Usage};
use spanlake_prices::{Book, Call, OwnPrices};

/// Prices with names as long as names may be, that differ at their ends; half of them are for beginnings.
fn prices() -> OwnPrices {
    let price = |number: usize| {
        let star = if number.is_multiple_of(2) { "*" } else { "" };
        format!(r#"{{"model":"{}-{number:04}{star}","prices":{{"input":1,"output":2}}}}"#, "m".repeat(240))
    };
    let all: Vec<_> = (0..OwnPrices::MAX).map(price).collect();
    serde_json::from_str(&format!("[{}]", all.join(","))).expect("they are as prices should be")
}

fn own(criterion: &mut Criterion) {
    let (standard, own) = (Book::standard(), Book::standard().with_own(prices()));
    let usage = Usage { input: Some(1_000), output: Some(100), ..Usage::default() };
    let call =
        |model| Call { model: Some(model), start: Timestamp::from_secs(1_800_000_000), usage, ..Call::default() };
    let (listed, last) = ("openai/gpt-4o-2024-08-06", format!("{}-0999", "m".repeat(240)));
    for (name, book, model) in [
        ("a listed model, no own prices", standard, listed),
        ("a listed model, 1,000 own prices", &own, listed),
        ("a model of 245 bytes with an own price, of 1,000", &own, &*last),
    ] {
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| black_box(book.cost(&call(black_box(model)))).expect("it has a price"));
        });
    }
}

criterion_group!(benches, own);
criterion_main!(benches);
