//! What holds for everything in the book. That no name stands for two things is checked as it is read.

use std::collections::BTreeSet;

use spanlake_model::Timestamp;
use spanlake_prices::{Book, Class, Entry, Rate};

/// Moments before, within and after the times for which the book knows prices.
const MOMENTS: &[&str] = &["2020-01-01", "2025-01-01", "2026-08-20", "2026-11-27", "2027-06-01", "2099-01-01"];

fn entries() -> &'static [Entry] {
    Book::standard().entries()
}

fn is_day(text: &str) -> bool {
    text.len() == 10 && Timestamp::parse(text).is_some()
}

#[test]
fn the_book_is_broad_and_every_entry_has_a_name_of_its_own() {
    let ids: BTreeSet<&str> = entries().iter().map(Entry::id).collect();
    assert_eq!(ids.len(), entries().len());
    assert!(ids.len() >= 200, "{}", ids.len());
}

#[test]
fn every_price_says_where_and_when_it_was_read() {
    let today = Book::standard().version();
    for entry in entries() {
        assert!(entry.source().starts_with("https://"), "{}", entry.id());
        assert!(is_day(entry.as_of()) && entry.as_of() <= today, "{}: {}", entry.id(), entry.as_of());
    }
    assert!(is_day(&today[..10]), "a version is the day of the last change");
}

#[test]
fn every_model_has_a_price_for_input_at_any_time_and_none_is_free() {
    for entry in entries() {
        for moment in MOMENTS {
            let prices = entry.prices_at(Timestamp::parse(moment).unwrap());
            assert!(prices.get(Class::Input).is_some(), "{} at {moment}", entry.id());
            assert!(prices.iter().all(|(_, rate)| rate > Rate::default()), "{} at {moment}", entry.id());
        }
    }
}

#[test]
fn a_cache_is_read_for_less_than_the_input_and_written_for_no_less() {
    for entry in entries() {
        for moment in MOMENTS {
            let prices = entry.prices_at(Timestamp::parse(moment).unwrap());
            let [input, read, write, hourly] = [Class::Input, Class::CacheRead, Class::CacheWrite, Class::CacheWrite1h]
                .map(|class| prices.rate(class));
            assert!(read <= input && input <= write && write <= hourly, "{} at {moment}", entry.id());
        }
    }
}

#[test]
fn output_costs_no_less_than_input() {
    for entry in entries() {
        let prices = entry.prices_at(Timestamp::parse("2026-11-27").unwrap());
        assert!(
            prices.get(Class::Output).is_none_or(|output| Some(output) >= prices.get(Class::Input)),
            "{}",
            entry.id()
        );
    }
}

#[test]
fn every_entry_is_found_by_its_own_name() {
    for entry in entries() {
        let (provider, name) = entry.id().split_once('/').unwrap();
        let found = Book::standard().find(Some(provider), name).map(Entry::id);
        assert_eq!(found, Some(entry.id()), "with its provider beside it");
        assert_eq!(Book::standard().find(None, entry.id()).map(Entry::id), Some(entry.id()), "and before it");
    }
}
