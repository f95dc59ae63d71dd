use std::collections::BTreeMap;

use arrow::array::{ArrayRef, Int64Array};
use spanlake_testkit::Dice;

use super::*;

/// A span, as a plan hands it over.
#[derive(Clone, Debug)]
struct Given {
    trace: u8,
    span: u8,
    is_root: bool,
    start: i64,
    end: Option<i64>,
    session: Option<String>,
    is_in_range: bool,
    amount: Option<i64>,
    fits: [bool; 2],
}

fn given(trace: u8, span: u8, session: Option<&str>) -> Given {
    let session = session.map(str::to_owned);
    let (start, end, amount) = (i64::from(span), None, None);
    Given { trace, span, is_root: false, start, end, session, is_in_range: false, amount, fits: [false; 2] }
}

fn batch(spans: &[Given]) -> RecordBatch {
    let ids = |width: usize, byte: fn(&Given) -> u8| {
        let each = spans.iter().map(move |span| vec![byte(span); width]);
        Arc::new(FixedSizeBinaryArray::try_from_iter(each).unwrap()) as ArrayRef
    };
    let flags = |flag: &dyn Fn(&Given) -> bool| {
        Arc::new(spans.iter().map(|span| Some(flag(span))).collect::<BooleanArray>()) as ArrayRef
    };
    let numbers = |number: fn(&Given) -> Option<i64>| Arc::new(spans.iter().map(number).collect::<Int64Array>());
    let sessions: StringViewArray = spans.iter().map(|span| span.session.as_deref()).collect();
    let columns: Vec<(String, ArrayRef)> = vec![
        ("trace_id".into(), ids(16, |span| span.trace)),
        ("span_id".into(), ids(8, |span| span.span)),
        ("is_root".into(), flags(&|span| span.is_root)),
        ("session_id".into(), Arc::new(sessions)),
        (START.into(), numbers(|span| Some(span.start))),
        (END.into(), numbers(|span| span.end)),
        (NAMES_IN_RANGE.into(), flags(&|span| span.is_in_range && span.session.is_some())),
        (AMOUNT.into(), numbers(|span| span.amount)),
        (fits(0), flags(&|span| span.fits[0])),
        (fits(1), flags(&|span| span.fits[1])),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn counted(parts: &[&[Given]]) -> Tally {
    let part = |spans: &&[Given]| {
        let mut tally = Tally::default();
        tally.add(&batch(spans)).unwrap();
        tally
    };
    Tally::together(parts.iter().filter(|part| !part.is_empty()).map(part).collect())
}

fn sorted(mut sums: Vec<Sums>) -> Vec<Sums> {
    sums.sort_by(|one, other| one.id.cmp(&other.id));
    sums
}

/// The session of each trace: what its root names, else its earliest span that names one.
fn membership(spans: &[Given]) -> BTreeMap<u8, String> {
    let mut naming: Vec<_> = spans.iter().filter(|span| span.session.is_some()).collect();
    naming.sort_by_key(|span| (!span.is_root, span.start, span.span));
    let mut of = BTreeMap::new();
    for span in naming {
        of.entry(span.trace).or_insert_with(|| span.session.clone().unwrap());
    }
    of
}

fn plainly(spans: &[Given]) -> Vec<Sums> {
    let membership = membership(spans);
    let names: std::collections::BTreeSet<_> = membership.values().collect();
    let session = |name: &String| {
        let own: Vec<_> = spans.iter().filter(|span| membership.get(&span.trace) == Some(name)).collect();
        let amounts: Vec<_> = own.iter().filter_map(|span| span.amount).collect();
        let any = |flag: &dyn Fn(&Given) -> bool| own.iter().any(|span| flag(span));
        Sums {
            id: name.as_str().into(),
            start_ns: own.iter().map(|span| span.start).min().unwrap(),
            end_ns: own.iter().filter_map(|span| span.end).max(),
            traces: membership.values().filter(|of| *of == name).count() as i64,
            amount: (!amounts.is_empty()).then(|| amounts.iter().map(|amount| i128::from((*amount).max(0))).sum()),
            is_in_range: any(&|span| span.is_in_range && span.session.as_ref() == Some(name)),
            fits: u32::from(any(&|span| span.fits[0])) | u32::from(any(&|span| span.fits[1])) << 1,
        }
    };
    names.into_iter().map(session).collect()
}

fn some_spans(dice: &Dice) -> Vec<Given> {
    let names = ["a", "b", "c"];
    let span = |number: usize| Given {
        is_root: dice.chance(20),
        start: i64::try_from(dice.below(4)).unwrap(),
        end: dice.chance(50).then(|| i64::try_from(dice.below(9)).unwrap()),
        is_in_range: dice.chance(30),
        amount: dice.chance(30).then(|| i64::try_from(dice.below(9)).unwrap() - 2),
        fits: [dice.chance(10), dice.chance(10)],
        ..given(
            1 + u8::try_from(dice.below(12)).unwrap(),
            u8::try_from(number).unwrap(),
            names.get(dice.below(6)).copied(),
        )
    };
    (0..60).map(span).collect()
}

#[test]
fn in_whatever_parts_spans_come_their_sessions_are_what_the_plainest_code_says() {
    for seed in 0..200 {
        let dice = Dice::new(seed);
        let spans = some_spans(&dice);
        let (one, rest) = spans.split_at(dice.below(spans.len()));
        let (two, three) = rest.split_at(dice.below(rest.len()));
        for parts in [vec![&spans[..]], vec![one, two, three], vec![three, one, two]] {
            assert_eq!(sorted(counted(&parts).sessions()), plainly(&spans), "seed {seed}");
        }
    }
}

#[test]
fn members_are_the_traces_of_the_sessions_asked_for_with_their_starts() {
    let root = Given { is_root: true, ..given(1, 9, Some("a")) };
    let spans = [given(1, 3, Some("b")), root, given(2, 4, Some("b")), given(3, 5, None), given(2, 2, None)];
    let tally = counted(&[&spans]);
    let member =
        |byte: u8, session, start_ns| Member { trace: TraceId::from_bytes([byte; 16]).unwrap(), session, start_ns };
    let members = |ids: &[&str]| {
        let mut members = tally.members(&ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>());
        members.sort_by_key(|member| member.trace);
        members
    };
    assert_eq!(members(&["b", "a"]), [member(1, 1, 3), member(2, 0, 2)]);
    assert_eq!(members(&["b"]), [member(2, 0, 2)]);
    assert_eq!(members(&["c"]), []);
}

#[test]
fn a_sum_that_is_more_than_a_trace_holds_bounds_whatever_it_is() {
    let much = |span| Given { amount: Some(i64::MAX - 1), ..given(1, span, Some("a")) };
    let sums = counted(&[&[much(1), much(2)]]).sessions();
    assert!(sums[0].amount.unwrap() > 2 * i128::from(i64::MAX - 1));
}

#[test]
fn what_is_held_is_told() {
    let spans: Vec<_> = (1..=250).map(|byte| given(byte, byte, Some("a session with a name of some length"))).collect();
    let mut tally = Tally::default();
    let grown = tally.add(&batch(&spans)).unwrap();
    assert!(grown >= 250 * size_of::<(TraceId, Trace)>(), "{grown}");
    assert_eq!(tally.add(&batch(&spans)).unwrap(), 0);
}
