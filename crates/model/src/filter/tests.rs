//! The language: what it reads, what it refuses, and that it prints what it reads.

use proptest::prelude::*;

use super::*;
use crate::span::Status;

fn read(text: &str) -> Filter {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn slip(text: &str) -> String {
    text.parse::<Filter>().unwrap_err().to_string()
}

#[test]
fn clauses_hold_together_and_of_each_one_condition() {
    let filter = read(r#"model = gpt-4o AND (status = fail or latency_ms >= 2000) and metadata.plan != "pro plus""#);
    let [model, either, plan] = filter.clauses() else { panic!("{filter:?}") };
    assert_eq!((model[0].test.clone(), model[0].is_not), (Test::Is(vec!["gpt-4o".into()]), false));
    assert_eq!(either[0].test, Test::Status(vec![Status::Error]));
    assert_eq!(either[1].test, Test::Within { low: Number::parse("2000").map(|n| (n, true)), high: None });
    assert_eq!((plan[0].test.clone(), plan[0].is_not), (Test::Is(vec!["pro plus".into()]), true));
}

#[test]
fn every_operator_is_read() {
    for text in [
        "name = a",
        "name != 'it''s'",
        "cost > 0.5",
        "cost >= 1e-3",
        "cost < 2",
        "cost <= 2",
        "input contains hello",
        "output not contains \"say \\\"hi\\\"\"",
        "name starts with chat",
        "name ends with '%'",
        "user_id exists",
        "user_id does not exist",
        "model in (gpt-4o, \"o3\")",
        "model not in (a)",
        "total_tokens between 1 and 10",
        "metadata.seats > 3",
        "tags = vip",
        "score__exact-match >= 0.5",
    ] {
        if text.contains("''") {
            assert!(text.parse::<Filter>().is_err(), "two values in a row: {text}");
            continue;
        }
        let filter = read(text);
        assert_eq!(read(&filter.to_string()), filter, "{text}");
    }
}

#[test]
fn a_slip_is_pointed_at_and_answered_with_what_would_be_right() {
    for (text, expected) in [
        ("", "at character 1: expected a field, found the end"),
        ("model", "at character 6: expected an operator, found the end; there are =, !=, "),
        ("model = ", "at character 9: expected a value, found the end"),
        ("model = gpt 4", "at character 13: expected 'and' or the end, found '4'"),
        ("modle = x", "at character 1: there is no field 'modle'; did you mean 'model'?"),
        (
            "name = a and latency_ms contains 3",
            "at character 25: 'contains' is not for 'latency_ms', which takes =, !=, >, >=, <, <=, ",
        ),
        ("cost > cheap", "at character 8: 'cost' takes a number, and 'cheap' is none"),
        ("cost in (1, 2, dear)", "at character 16: 'cost' takes a number, and 'dear' is none"),
        ("cost between 1 and dear", "at character 20: 'cost' takes a number, and 'dear' is none"),
        ("trace_id contains ab", "at character 10: 'contains' is not for 'trace_id', which takes =, !=, exists, "),
        ("any_score starts with 1", "at character 11: 'starts with' is not for 'any_score'"),
        ("status = GREEN", "at character 10: 'status' is OK, ERROR or UNSET, not 'GREEN'"),
        ("name = a or name = b", "at character 10: 'or' stands in parentheses: (a or b) and c"),
        ("((name = a))", "at character 2: expected a field, found '('; parentheses do not nest"),
        ("(name = a or name = b", "at character 22: expected 'or' or ')', found the end"),
        ("name = \"open", "at character 8: the quote is not closed"),
        ("name ! a", "at character 6: '!' is not expected"),
        ("model in gpt-4o", "at character 10: expected '(', found 'gpt-4o'"),
        ("cost between 1, 2", "at character 15: expected 'and': between 1 and 2"),
        ("ünïcödé = 1", "at character 1: there is no field 'ünïcödé'"),
    ] {
        let found = slip(text);
        assert!(found.starts_with(expected), "{text}\n{found}\n{expected}");
    }
}

#[test]
fn a_key_with_spaces_or_words_of_the_language_stays_one_key() {
    let key = "a exists and user_id";
    let condition = Condition::new(Field::Metadata(key.into()), Operator::Is, vec!["x".into()]).unwrap();
    let filter = Filter::new(vec![vec![condition]]).unwrap();
    assert_eq!(filter.to_string(), r#""metadata.a exists and user_id" = "x""#);
    assert_eq!(read(&filter.to_string()), filter);
}

#[test]
fn a_filter_within_every_bound_is_read_however_long_it_is() {
    let value = "\u{10ffff}".repeat(VALUE_CHARS_MAX);
    let condition = Condition::new(Field::Metadata("k".repeat(100)), Operator::In, vec![value; VALUES_MAX]);
    let filter = Filter::new(vec![vec![condition.unwrap()]; CONDITIONS_MAX]).unwrap();
    assert_eq!(read(&filter.to_string()), filter);
}

#[test]
fn what_grows_is_bounded() {
    let many = vec!["name = a"; CONDITIONS_MAX + 1].join(" and ");
    assert!(slip(&many).contains("more than 20 conditions"));
    let values = vec!["x"; VALUES_MAX + 1].join(",");
    assert!(slip(&format!("name in ({values})")).contains("takes 1 to 50 values, not 51"));
    assert!(slip(&format!("name = {}", "x".repeat(VALUE_CHARS_MAX + 1))).contains("more than 500 characters"));
    assert!(slip(&"(".repeat(1 << 20)).contains("words and signs"));
    assert!(slip(&"(".repeat(5 << 20)).contains("longer than"));
}

fn condition() -> impl Strategy<Value = Condition> {
    let field = prop_oneof![
        (0..KNOWN.len()).prop_map(|place| Field::Known(&KNOWN[place])),
        "[a-zA-Z_][a-zA-Z0-9_.-]{0,20}".prop_map(Field::Metadata),
        "\\PC{1,20}".prop_map(Field::Metadata),
        "\\PC{1,20}".prop_map(Field::Score),
        Just(Field::AnyScore),
    ];
    let values = prop_oneof![
        prop::collection::vec("\\PC{0,12}", 0..4),
        prop::collection::vec((-1e9..1e9f64).prop_map(|number| number.to_string()), 0..4),
        prop::collection::vec(prop::sample::select(vec!["OK", "error", "SPAN"]).prop_map(str::to_owned), 0..3),
    ];
    (field, 0..Operator::ALL.len(), values).prop_filter_map("they fit", |(field, operator, values)| {
        Condition::new(field, Operator::ALL[operator].0, values).ok()
    })
}

proptest! {
    #[test]
    fn what_is_printed_reads_back_as_the_same(clauses in prop::collection::vec(prop::collection::vec(condition(), 1..4), 1..5)) {
        let filter = Filter::new(clauses).unwrap();
        prop_assert_eq!(filter.to_string().parse::<Filter>(), Ok(filter));
    }

    #[test]
    fn nothing_that_is_typed_breaks_it(text in "\\PC{0,80}") {
        let _ = text.parse::<Filter>();
    }

    #[test]
    fn nothing_that_looks_like_it_breaks_it(words in prop::collection::vec(prop::sample::select(vec![
        "name", "cost", "and", "or", "(", ")", "=", "!", "not", "contains", "in", ",", "\"a\"", "'", "between", "1", "does", "exist", "metadata.", "score__x",
    ]), 0..24)) {
        let _ = words.join(" ").parse::<Filter>();
        let _ = words.concat().parse::<Filter>();
    }
}
