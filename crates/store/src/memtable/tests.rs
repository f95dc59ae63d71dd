use spanlake_model::{AppId, Cost, Kind, Span, SpanId, Status, TraceId, Usage, WriterId};

use super::*;
use crate::rows::{Origin, Row, decode};

const TENANT: TenantId = TenantId::from_bytes([3; 16]);

fn span(id: u8, name: &str, finished: bool) -> Span {
    let start = Timestamp::from_secs(1_000);
    Span {
        app_id: AppId::from_bytes([1; 16]),
        agent_id: None,
        trace_id: TraceId::from_bytes([1; 16]).unwrap(),
        span_id: SpanId::from_bytes([id; 8]).unwrap(),
        parent_span_id: None,
        name: name.into(),
        kind: Kind::new(Kind::SPAN),
        status: Status::Unset,
        status_message: None,
        start,
        end: finished.then_some(start),
        time_to_first_token_ns: None,
        provider: None,
        request_model: None,
        model: None,
        response_id: None,
        usage: Usage::default(),
        cost: Cost::default(),
        tool_name: None,
        session_id: None,
        user_id: None,
        trace_name: None,
        environment: None,
        release: None,
        version: None,
        service_name: None,
        scope_name: None,
        prompt_name: None,
        prompt_version: None,
        tags: vec![],
        metadata: "{}".into(),
        attributes: "{}".into(),
        resource: "{}".into(),
        events: vec![],
        links: vec![],
        input: None,
        output: None,
    }
}

fn apply(tables: &Memtables, sequence: u64, spans: Vec<Span>, days: &HashMap<Day, Arc<DayKeys>>) {
    let origin = Origin { tenant: TENANT, writer: WriterId::from_bytes([4; 16]) };
    let rows: Vec<_> =
        spans.into_iter().map(|span| Row { span, received_at: Timestamp::from_secs(5), sequence: 0 }).collect();
    let prepared = Prepared::new(origin, &rows);
    let pending = Pending { tenant: TENANT, table: Table::Spans, prepared, days: days.clone() };
    tables.apply(sequence, Timestamp::from_secs(5), pending);
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
    let frozen = tables.freeze(TENANT, Table::Spans).unwrap();
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
    let frozen = tables.freeze(TENANT, Table::Spans).unwrap();
    assert!(tables.freeze(TENANT, Table::Spans).is_none(), "one at a time");
    apply(&tables, 2, vec![span(1, "one again", true), span(2, "two", true)], &days);
    assert_eq!(names(&tables, 0), is(&["one again", "two"], 1), "the file to come is superseded too");
    assert_eq!(names(&tables, 1), is(&["one again", "two"], 1), "a reader of the new catalog does not see the chunk");
    tables.landed(&frozen, &days);
    assert_eq!(names(&tables, 0), None, "a reader of the old catalog must read it again");
    assert_eq!(names(&tables, 1), is(&["one again", "two"], 1));
    let frozen = tables.freeze(TENANT, Table::Spans).unwrap();
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
    let frozen = tables.freeze(TENANT, Table::Spans).unwrap();
    tables.landed(&frozen, &HashMap::new());
    assert_eq!(tables.watermarks(), [(TENANT, 7)]);
}
