use super::*;

/// `(id, parent, kind, response, input tokens)`.
type Spec = (u64, u64, &'static str, u64, Option<i64>);

fn forest(spans: &[Spec]) -> Forest {
    let node = |(id, parent, kind, ..): &Spec| Node {
        id: *id,
        parent: (*parent > 0).then_some(*parent),
        role: Role::of(kind),
    };
    let report = |(id, _, _, response, input): &Spec| {
        let mut numbers = [None; NUMBERS];
        numbers[0] = *input;
        input.map(|_| Report { node: *id, response: *response, numbers })
    };
    Forest { nodes: spans.iter().map(node).collect(), reports: spans.iter().filter_map(report).collect() }
}

fn counted(spans: &[Spec]) -> (i64, Option<i128>) {
    let totals = forest(spans).totals();
    (totals.calls, totals.numbers[0])
}

#[test]
fn an_agent_that_repeats_its_calls_is_not_counted() {
    let spans = [
        (1, 0, "agent", 0, Some(30)),
        (2, 1, "chain", 0, None),
        (3, 2, "llm", 0, Some(10)),
        (4, 2, "llm", 0, Some(20)),
    ];
    assert_eq!(counted(&spans), (2, Some(30)));
}

#[test]
fn an_agent_whose_calls_are_not_seen_is_counted() {
    assert_eq!(counted(&[(1, 0, "agent", 0, Some(30)), (2, 1, "tool", 0, None)]), (1, Some(30)));
}

#[test]
fn a_call_within_a_call_is_one() {
    assert_eq!(counted(&[(1, 0, "llm", 7, Some(10)), (2, 1, "llm", 7, Some(10))]), (1, Some(10)));
}

#[test]
fn a_tool_under_the_call_that_asked_for_it_may_call_a_model_itself() {
    let spans = [
        (1, 0, "agent", 0, Some(60)),
        (2, 1, "llm", 0, Some(10)),
        (3, 2, "tool", 0, None),
        (4, 3, "agent", 0, Some(50)),
        (5, 4, "llm", 0, Some(50)),
    ];
    assert_eq!(counted(&spans), (2, Some(60)));
}

#[test]
fn two_instrumentations_side_by_side_are_one_call() {
    let mut forest = forest(&[(1, 0, "chain", 0, None), (2, 1, "llm", 9, Some(25)), (3, 1, "llm", 9, Some(25))]);
    forest.reports[1].numbers[1] = Some(12);
    let totals = forest.totals();
    assert_eq!((totals.calls, totals.numbers[0], totals.numbers[1]), (1, Some(25), Some(12)));
}

#[test]
fn circles_and_lost_parents_end() {
    let spans = [(1, 2, "chain", 0, Some(1)), (2, 1, "chain", 0, Some(2)), (3, 99, "llm", 0, Some(4))];
    // Of the circle one counts: the other is above it.
    assert_eq!(counted(&spans), (2, Some(6)));
    assert_eq!(counted(&[(1, 1, "llm", 0, Some(4))]).1, Some(4));
    // What hangs on a circle counts, and the circle above it does not.
    let spans =
        [(1, 3, "chain", 0, Some(1)), (2, 1, "chain", 0, None), (3, 2, "chain", 0, None), (4, 3, "llm", 0, Some(8))];
    assert_eq!(counted(&spans), (1, Some(8)));
}

#[test]
fn no_report_is_no_number_and_not_zero() {
    assert_eq!(counted(&[(1, 0, "llm", 0, None)]), (0, None));
}

#[test]
fn in_parts_and_over_bytes_the_sums_are_the_same() {
    let spans = [(1, 0, "agent", 0, Some(30)), (2, 1, "llm", 5, Some(i64::MAX)), (3, 1, "llm", 5, Some(-20))];
    let whole = forest(&spans);
    for cut in 0..=spans.len() {
        let mut joined = Forest::default();
        for part in [&spans[cut..], &spans[..cut]] {
            joined.extend_from_bytes(&forest(part).to_bytes()).unwrap();
        }
        assert_eq!(joined.totals(), whole.totals());
    }
    assert_eq!(Forest::default().extend_from_bytes(&[1; 9]), None);
}
