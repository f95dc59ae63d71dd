//! A snapshot in pieces: nothing is missing, nothing is twice, and what a piece came to is remembered as long as it holds.

use std::collections::BTreeSet;
use std::sync::Arc;

use spanlake_engine::{Config, Engine, Error, Piece, Pieces, SnapshotRequest, TenantSession};
use spanlake_model::{ErasureScope, Span, SpanKey, Table, TimeRange};
use spanlake_store::rows::decode;
use spanlake_testkit::Dice;

use crate::world::{World, app, at, caller, fresh, id, span, tenant, trace};

fn engine(world: &Arc<World>) -> Engine {
    world.engine(Config { piece_rows: 1, ..Config::default() })
}

async fn snapshot(engine: &Engine, range: TimeRange) -> TenantSession {
    engine.snapshot(&caller(1, 1), &SnapshotRequest { table: Table::Spans, range, after: None }).await.unwrap()
}

/// Trace and span of each row, in order; a row that is there twice is there twice.
async fn rows(session: &TenantSession) -> Vec<(u8, u8)> {
    let batches = session.collect(session.frame().unwrap()).await.unwrap();
    let spans = batches.iter().flat_map(|batch| decode(batch).unwrap());
    let mut rows: Vec<_> = spans.map(|span| (span.trace_id.as_bytes()[0], span.span_id.as_bytes()[0])).collect();
    rows.sort_unstable();
    rows
}

async fn rows_of(pieces: &Pieces) -> Vec<Vec<(u8, u8)>> {
    let mut all = vec![rows(&pieces.rest).await];
    for piece in &pieces.alone {
        all.push(rows(piece.session()).await);
    }
    all
}

fn key(trace_byte: u8, span_byte: u8) -> SpanKey {
    SpanKey { app_id: app(1), trace_id: trace(trace_byte), span_id: id(span_byte) }
}

/// Files and memory of which some share traces, replace rows of each other, or have some erased.
async fn any_world(dice: &Dice) -> Arc<World> {
    let world = World::new();
    let byte = |most: usize| 1 + u8::try_from(dice.below(most)).unwrap();
    let mut sent: Vec<(u8, u8)> = Vec::new();
    for version in 1..=1 + dice.below(4) as u64 {
        let traces = 12 * u8::try_from(version).unwrap();
        let mut spans: BTreeSet<(u8, u8)> = (0..8 + dice.below(30)).map(|_| (traces + byte(12), byte(9))).collect();
        let strayed = (0..dice.below(3)).map(|_| (byte(60), 10 + byte(9)));
        spans.extend(strayed.collect::<Vec<_>>());
        let again: Vec<_> = sent.iter().filter(|_| dice.chance(4)).copied().collect();
        spans.extend(&again);
        let superseded: Vec<_> = again.iter().map(|(trace, span)| key(*trace, *span)).collect();
        // Replaced here though the row that takes its place is elsewhere.
        let gone = sent.iter().filter(|_| dice.chance(2)).map(|(trace, span)| key(*trace, *span)).collect::<Vec<_>>();
        let started = |(trace, number): &(u8, u8)| span(*trace, *number, u64::from(*trace) * 60 + u64::from(*number));
        let file: Vec<Span> = spans.iter().map(started).collect();
        world.file(tenant(1), version, &file, &[superseded, gone].concat()).await;
        sent.extend(&spans);
    }
    let again: Vec<_> = sent.iter().filter(|_| dice.chance(3)).copied().collect();
    let superseded: Vec<_> = again.iter().map(|(trace, span)| key(*trace, *span)).collect();
    let mut in_memory: BTreeSet<(u8, u8)> = again.into_iter().collect();
    in_memory.extend((0..dice.below(6)).map(|_| (byte(60), 30 + byte(9))).collect::<Vec<_>>());
    let in_memory: Vec<_> =
        in_memory.iter().map(|(trace, number)| span(*trace, *number, u64::from(*trace) * 60)).collect();
    world.writer(0, vec![fresh(tenant(1), &in_memory, &superseded)]);
    if dice.chance(30) {
        world.erase(ErasureScope::Traces(app(1), [trace(13), trace(20), trace(40)].into_iter().collect()), 9);
    }
    world
}

#[tokio::test]
async fn pieces_and_the_rest_are_all_there_is_and_no_trace_is_in_two_of_them() {
    let mut alone = 0;
    for seed in 0..24 {
        let dice = Dice::new(seed);
        let world = any_world(&dice).await;
        let engine = engine(&world);
        let range = match dice.below(3) {
            0 => TimeRange::all(),
            1 => TimeRange::new(at(0), at(60 * 40)).unwrap(),
            _ => TimeRange::new(at(60 * 14), at(60 * 61)).unwrap(),
        };
        let session = snapshot(&engine, range).await;
        let pieces = session.pieces(Some(range)).await.unwrap();
        alone += pieces.alone.len();
        let parts = rows_of(&pieces).await;
        let mut together = parts.concat();
        together.sort_unstable();
        assert_eq!(together, rows(&session).await, "seed {seed}");
        let mut traces = BTreeSet::new();
        for part in &parts {
            let of_part: BTreeSet<_> = part.iter().map(|(trace, _)| *trace).collect();
            assert!(of_part.is_disjoint(&traces), "seed {seed}: {parts:?}");
            traces.extend(of_part);
        }
    }
    assert!(alone > 12, "the worlds have {alone} pieces between them");
}

#[tokio::test]
async fn a_file_that_the_range_cuts_is_no_piece_unless_pieces_may_reach_beyond_it() {
    let world = World::new();
    world.file(tenant(1), 1, &[span(1, 1, 0), span(2, 1, 100)], &[]).await;
    let engine = engine(&world);
    let range = TimeRange::new(at(50), at(200)).unwrap();
    let session = snapshot(&engine, range).await;
    let cut = session.pieces(Some(range)).await.unwrap();
    assert_eq!((cut.alone.len(), rows(&cut.rest).await), (0, vec![(2, 1)]));
    let whole = session.pieces(None).await.unwrap();
    assert_eq!(rows_of(&whole).await, [vec![], vec![(1, 1), (2, 1)]]);
}

/// What a piece comes to, and whether it was looked at for that.
async fn counted(piece: &Piece) -> (usize, bool) {
    let mut looked = false;
    let count = piece
        .remembered("how many rows".to_owned(), async {
            looked = true;
            Ok::<_, Error>((rows(piece.session()).await.len(), 8))
        })
        .await
        .unwrap();
    (*count, looked)
}

async fn only_piece(engine: &Engine) -> (usize, bool) {
    let session = snapshot(engine, TimeRange::all()).await;
    counted(&session.pieces(Some(TimeRange::all())).await.unwrap().alone[0]).await
}

#[tokio::test]
async fn what_a_piece_came_to_is_remembered_until_something_changes_what_it_is() {
    let world = World::new();
    let spans: Vec<_> = (1..=9).map(|byte| span(byte, 1, u64::from(byte))).collect();
    world.file(tenant(1), 1, &spans, &[]).await;
    let engine = engine(&world);
    assert_eq!(only_piece(&engine).await, (9, true));
    assert_eq!(only_piece(&engine).await, (9, false));
    // A new file is another piece. One of its traces is shared, and is of neither from now on.
    let others: Vec<_> = (9..=14).map(|byte| span(byte, 2, 100)).collect();
    world.file(tenant(1), 2, &others, &[]).await;
    assert_eq!(only_piece(&engine).await, (8, true));
    assert_eq!(only_piece(&engine).await, (8, false));
    world.erase(ErasureScope::Traces(app(1), [trace(3)].into_iter().collect()), 9);
    assert_eq!(only_piece(&engine).await, (7, true));
    world.price("{}");
    assert_eq!(only_piece(&engine).await, (7, true));
    assert_eq!(only_piece(&engine).await, (7, false));
}

#[tokio::test]
async fn a_failure_is_not_remembered() {
    let world = World::new();
    world.file(tenant(1), 1, &[span(1, 1, 0)], &[]).await;
    let engine = engine(&world);
    let session = snapshot(&engine, TimeRange::all()).await;
    let pieces = session.pieces(Some(TimeRange::all())).await.unwrap();
    let failed =
        pieces.alone[0].remembered("how many rows".to_owned(), async { Err::<(usize, usize), _>(Error::SharedMemory) });
    assert!(matches!(failed.await, Err(Error::SharedMemory)));
    assert_eq!(counted(&pieces.alone[0]).await, (1, true));
}

#[tokio::test]
async fn a_file_of_few_rows_is_left_to_the_rest() {
    let world = World::new();
    world.file(tenant(1), 1, &[span(1, 1, 0)], &[]).await;
    let engine = world.engine(Config { piece_rows: 1_000, ..Config::default() });
    for (rows, expected) in [(999, vec![vec![(1, 1)]]), (1_000, vec![vec![], vec![(1, 1)]])] {
        world.claim(rows);
        let session = snapshot(&engine, TimeRange::all()).await;
        assert_eq!(rows_of(&session.pieces(Some(TimeRange::all())).await.unwrap()).await, expected, "{rows}");
    }
}
