use spanlake_model::{AppId, Span, SpanId, SpanKey, TraceId, WriterId};

use super::*;
use crate::rows::{Origin, Row, decode};

const TENANT: TenantId = TenantId::from_bytes([3; 16]);

fn span(id: u8, name: &str, finished: bool) -> Span {
    let start = Timestamp::from_secs(1_000);
    let key = SpanKey {
        app_id: AppId::from_bytes([1; 16]),
        trace_id: TraceId::from_bytes([1; 16]).unwrap(),
        span_id: SpanId::from_bytes([id; 8]).unwrap(),
    };
    Span { name: name.into(), end: finished.then_some(start), ..Span::new(key, start) }
}

fn apply(tables: &Memtables, sequence: u64, spans: Vec<Span>, days: &HashMap<Day, Arc<DayKeys>>) {
    let origin = Origin { tenant: TENANT, writer: WriterId::from_bytes([4; 16]) };
    let rows: Vec<_> =
        spans.into_iter().map(|span| Row { span, received_at: Timestamp::from_secs(5), sequence: 0 }).collect();
    let prepared = Prepared::new(origin, &rows);
    let pending = Pending { tenant: TENANT, table: Table::Spans, prepared, days: days.clone() };
    tables.apply(sequence, Timestamp::from_secs(5), pending);
}

fn freeze(tables: &Memtables) -> Frozen {
    tables.freeze(TENANT, Table::Spans);
    tables.frozen(TENANT, Table::Spans).unwrap()
}

/// Names of the rows above a watermark, sorted, and how many keys they replace in files.
fn names(tables: &Memtables, after: u64) -> Option<(Vec<String>, usize)> {
    match tables.fresh(TENANT, Table::Spans, after) {
        Snapshot::Stale => None,
        Snapshot::Rows { superseded, batches, .. } => {
            let mut names: Vec<_> =
                batches.iter().flat_map(|batch| decode(batch).unwrap()).map(|span| span.name).collect();
            names.sort();
            Some((names, superseded.len()))
        }
    }
}

fn is(names: &[&str], superseded: usize) -> Option<(Vec<String>, usize)> {
    Some((names.iter().map(|name| name.to_string()).collect(), superseded))
}

#[test]
fn a_span_sent_again_is_there_once_and_the_last_wins() {
    let tables = Memtables::default();
    let none = HashMap::new();
    apply(&tables, 1, vec![span(1, "old", true), span(2, "two", true), span(2, "two again", true)], &none);
    apply(&tables, 2, vec![span(1, "new", true)], &none);
    assert_eq!(names(&tables, 0), is(&["new", "two again"], 0));
}

#[test]
fn a_finished_span_is_never_replaced_by_an_unfinished_one() {
    let tables = Memtables::default();
    let days = HashMap::from([(Day(0), Arc::new(DayKeys::default()))]);
    apply(&tables, 1, vec![span(1, "running", false)], &days);
    apply(&tables, 2, vec![span(1, "done", true)], &days);
    apply(&tables, 3, vec![span(1, "late", false)], &days);
    assert_eq!(names(&tables, 0), is(&["done"], 0));
    let frozen = freeze(&tables);
    apply(&tables, 4, vec![span(1, "later", false)], &days);
    assert_eq!(names(&tables, 0), is(&["done"], 0));
    tables.landed(&frozen, &days);
    apply(&tables, 5, vec![span(1, "latest", false)], &days);
    assert_eq!(names(&tables, 3), is(&[], 0));
    apply(&tables, 6, vec![span(1, "corrected", true)], &days);
    assert_eq!(names(&tables, 3), is(&["corrected"], 1));
}

#[test]
fn a_row_is_seen_once_before_while_and_after_it_is_flushed() {
    let tables = Memtables::default();
    let days = HashMap::from([(Day(0), Arc::new(DayKeys::default()))]);
    apply(&tables, 1, vec![span(1, "one", true)], &days);
    let frozen = freeze(&tables);
    tables.freeze(TENANT, Table::Spans);
    assert_eq!(tables.frozen(TENANT, Table::Spans).unwrap().sequence, frozen.sequence, "one at a time");
    apply(&tables, 2, vec![span(1, "one again", true), span(2, "two", true)], &days);
    assert_eq!(names(&tables, 0), is(&["one again", "two"], 1), "the file to come is superseded too");
    assert_eq!(names(&tables, 1), is(&["one again", "two"], 1), "a reader of the new catalog does not see the chunk");
    tables.landed(&frozen, &days);
    assert_eq!(names(&tables, 0), None, "a reader of the old catalog must read it again");
    assert_eq!(names(&tables, 1), is(&["one again", "two"], 1));
    let frozen = freeze(&tables);
    assert_eq!((frozen.sequence, frozen.superseded.len(), frozen.keys.len()), (2, 1, 2));
    tables.landed(&frozen, &days);
    assert_eq!((names(&tables, 2), tables.bytes()), (is(&[], 0), 0));
}

#[test]
fn many_small_frames_are_put_together_without_losing_their_order() {
    let tables = Memtables::default();
    let none = HashMap::new();
    for sequence in 1..=200 {
        apply(&tables, sequence, vec![span(sequence as u8, "small", true)], &none);
        apply(&tables, sequence, vec![span(sequence as u8, "again", true)], &none);
    }
    let Snapshot::Rows { batches, .. } = tables.fresh(TENANT, Table::Spans, 0) else { panic!("not stale") };
    assert!(batches.len() <= 70, "{}", batches.len());
    let names = names(&tables, 0).unwrap().0;
    assert!(names.len() == 200 && names.iter().all(|name| name == "again"));
}

#[test]
fn an_idle_tenant_holds_no_segment() {
    let tables = Memtables::new([(TENANT, Table::Spans, 3)]);
    assert_eq!(tables.watermarks(), [(TENANT, 3)]);
    apply(&tables, 7, vec![span(1, "x", true)], &HashMap::new());
    assert_eq!(tables.watermarks(), [(TENANT, 3)]);
    let frozen = freeze(&tables);
    tables.landed(&frozen, &HashMap::new());
    assert_eq!(tables.watermarks(), [(TENANT, 7)]);
}

const OWN: WriterId = WriterId::from_bytes([4; 16]);
const OTHER: WriterId = WriterId::from_bytes([5; 16]);

/// Another writer's row in a file, received so many seconds after 0. Ours are received at second 5.
fn theirs(id: u8, finished: bool, received: i64) -> (SpanKey, Rank) {
    (span(id, "", finished).key(), Rank { finished, received_at: Timestamp::from_secs(received), writer: OTHER })
}

#[test]
fn between_writers_the_one_received_later_is_seen() {
    let tables = Memtables::default();
    apply(&tables, 1, vec![span(1, "newer", true), span(2, "older", true), span(3, "alone", true)], &HashMap::new());
    tables.meet(TENANT, Table::Spans, OWN, &[theirs(1, true, 4), theirs(2, true, 6), theirs(9, true, 6)]);
    assert_eq!(names(&tables, 0), is(&["alone", "newer"], 1), "one replaces a row in a file, one has lost to it");
    let frozen = freeze(&tables);
    assert_eq!((frozen.keys.len(), frozen.superseded.len(), frozen.losses), (2, 1, 1));
}

#[test]
fn between_writers_a_finished_span_is_never_replaced_by_an_unfinished_one() {
    let tables = Memtables::default();
    apply(&tables, 1, vec![span(1, "done", true), span(2, "running", false)], &HashMap::new());
    tables.meet(TENANT, Table::Spans, OWN, &[theirs(1, false, 9), theirs(2, true, 1)]);
    assert_eq!(names(&tables, 0), is(&["done"], 1));
}

#[test]
fn rows_of_our_own_files_are_passed_over() {
    let tables = Memtables::default();
    apply(&tables, 1, vec![span(1, "ours", true)], &HashMap::new());
    let (key, rank) = theirs(1, true, 9);
    tables.meet(TENANT, Table::Spans, OWN, &[(key, Rank { writer: OWN, ..rank })]);
    assert_eq!(names(&tables, 0), is(&["ours"], 0));
}

#[test]
fn a_row_that_loses_on_its_way_into_a_file_hides_nothing_and_makes_room_for_the_next() {
    let tables = Memtables::default();
    let days = HashMap::from([(Day(0), Arc::new(DayKeys::default()))]);
    days[&Day(0)].insert([(span(1, "", true).key(), true)]);
    apply(&tables, 1, vec![span(1, "ours", true)], &days);
    assert_eq!(freeze(&tables).superseded.len(), 1);
    tables.meet(TENANT, Table::Spans, OWN, &[theirs(1, true, 6)]);
    let frozen = tables.frozen(TENANT, Table::Spans).unwrap();
    assert_eq!((frozen.superseded.len(), frozen.keys.len(), frozen.losses), (0, 0, 1));
    assert!(frozen.batches.iter().all(|batch| batch.num_rows() == 0));
    apply(&tables, 2, vec![span(1, "sent again", true)], &days);
    assert_eq!(names(&tables, 0), is(&["sent again"], 1));
}

#[test]
fn a_small_memtable_waits_longer_than_a_large_one() {
    let tables = Memtables::default();
    apply(&tables, 1, vec![span(1, "x", true)], &HashMap::new());
    let bytes = tables.bytes();
    let at = Timestamp::from_secs;
    let due = |small_bytes, opened_before, small_opened_before| {
        let due = Due {
            bytes: u64::MAX,
            opened_before: at(opened_before),
            small_bytes,
            small_opened_before: at(small_opened_before),
            first_sequence: 0,
        };
        tables.due(due).len()
    };
    assert_eq!([due(bytes, 5, 0), due(bytes, 6, 0), due(bytes + 1, 6, 5), due(bytes + 1, 6, 6)], [0, 1, 0, 1]);
    assert_eq!(tables.due(Due::sized(bytes)).len(), 1);
    let keeping = |first_sequence| tables.due(Due { first_sequence, ..Due::sized(u64::MAX) }).len();
    assert_eq!([keeping(0), keeping(1)], [0, 1], "one that keeps the log long is due whatever its size");
    assert_eq!(tables.bytes_of(TENANT, Table::Spans), bytes);
}

/// Were it lifted by other tenants' frames, this tenant's watermark would never reach it.
#[test]
fn the_last_frame_is_the_tenants_own_with_rows_that_lost_and_rows_in_files() {
    let last = |tables: &Memtables, after| match tables.fresh(TENANT, Table::Spans, after) {
        Snapshot::Rows { through, .. } => through,
        Snapshot::Stale => panic!("nothing is in files above {after}"),
    };
    let tables = Memtables::new([(TENANT, Table::Spans, 2)]);
    assert_eq!(last(&tables, 2), 2);
    apply(&tables, 3, vec![span(1, "done", true)], &HashMap::new());
    apply(&tables, 4, vec![span(1, "lost", false)], &HashMap::new());
    tables.reached(9);
    assert_eq!(last(&tables, 2), 4);
}
