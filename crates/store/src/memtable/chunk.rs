//! Some frames' rows of one tenant's table.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use spanlake_model::{Day, SpanKey, Table, TenantId, Timestamp, WriterId};

use super::Frozen;
use crate::rows::{Origin, Rank, Row, ScoreRow, encode, encode_scores, score_key};

/// A frame's rows, ready but for their sequence. Made off the log's thread, because it takes a while.
#[derive(Debug)]
pub struct Prepared {
    batch: RecordBatch,
    pub(super) arrivals: Vec<Arrival>,
}

/// What decides about a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) key: SpanKey,
    pub(super) day: Day,
    finished: bool,
    received_at: Timestamp,
}

impl Prepared {
    /// The rows of one frame.
    pub fn new(origin: Origin, rows: &[Row]) -> Self {
        let arrival = |row: &Row| Arrival {
            key: row.span.key(),
            day: Day::of(row.span.start),
            finished: row.span.is_finished(),
            received_at: row.received_at,
        };
        Self { batch: encode(origin, rows), arrivals: rows.iter().map(arrival).collect() }
    }
    /// The rows of one frame of scores.
    pub fn of_scores(origin: Origin, rows: &[ScoreRow]) -> Self {
        let arrival = |row: &ScoreRow| Arrival {
            key: score_key(row.score.app_id, &row.score.id),
            day: Day::of(row.score.created_at),
            finished: true,
            received_at: row.received_at,
        };
        Self { batch: encode_scores(origin, rows), arrivals: rows.iter().map(arrival).collect() }
    }
    /// The days among the rows.
    pub fn days(&self) -> HashSet<Day> {
        self.arrivals.iter().map(|arrival| arrival.day).collect()
    }
    /// What it takes in memory, about.
    pub fn bytes(&self) -> u64 {
        (self.batch.get_array_memory_size() + self.arrivals.len() * KEY_BYTES) as u64
    }
}

/// Rows of one frame that come one by one. Few are held as such, since a row takes several times what it does in a batch.
#[derive(Debug)]
pub struct Preparing {
    origin: Origin,
    rows: Vec<Row>,
    parts: Vec<Prepared>,
}

/// Rows that are put into a batch together.
const ROWS_HELD_MAX: usize = 1_024;

impl Preparing {
    /// No rows yet.
    pub const fn new(origin: Origin) -> Self {
        Self { origin, rows: Vec::new(), parts: Vec::new() }
    }

    /// The next one.
    pub fn push(&mut self, row: Row) {
        self.rows.push(row);
        if self.rows.len() == ROWS_HELD_MAX {
            self.pack();
        }
    }

    /// All of them; none when there were none.
    pub fn finish(mut self) -> Option<Prepared> {
        if !self.rows.is_empty() {
            self.pack();
        }
        let mut parts = self.parts;
        if parts.len() < 2 {
            return parts.pop();
        }
        let batches: Vec<_> = parts.iter().map(|part| &part.batch).collect();
        let batch = concat_batches(&batches[0].schema(), batches).expect("they are of one table");
        Some(Prepared { batch, arrivals: parts.into_iter().flat_map(|part| part.arrivals).collect() })
    }

    fn pack(&mut self) {
        self.parts.push(Prepared::new(self.origin, &self.rows));
        self.rows.clear();
    }
}

/// A key's place in the index, with what a hash map needs around it.
const KEY_BYTES: usize = 96;
/// Frames of a span or two would make thousands of tiny batches; that many are put together.
const SMALL_BATCHES_MAX: usize = 64;
const SMALL_ROWS_MAX: usize = 4_096;

/// Where an older row with a key lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Older {
    /// Nowhere.
    None,
    /// In this chunk.
    Here,
    /// In a frozen chunk or a file.
    Elsewhere {
        finished: bool,
        /// Of a row in memory; a row in a file was received before.
        received_at: Option<Timestamp>,
    },
}

#[derive(Clone, Copy, Debug)]
struct Place {
    row: u32,
    day: Day,
    finished: bool,
    received_at: Timestamp,
}

#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// In order; the first row of each is the sum of the rows before it.
    batches: Vec<RecordBatch>,
    rows: u32,
    index: HashMap<SpanKey, Place>,
    /// Rows that lost to another of their key.
    dead: HashSet<u32>,
    /// Keys with a row here that replaces rows in files.
    superseded: HashSet<SpanKey>,
    /// Rows that lost to another writer's, so far.
    losses: u64,
    bytes: u64,
    first_sequence: u64,
    last_sequence: u64,
    opened_at: Timestamp,
}

impl Chunk {
    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }
    pub(super) fn row_count(&self) -> u64 {
        self.rows.into()
    }
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
    pub(super) fn last_sequence(&self) -> u64 {
        self.last_sequence
    }
    pub(super) fn first_sequence(&self) -> u64 {
        self.first_sequence
    }
    pub(super) fn days(&self) -> impl Iterator<Item = Day> {
        self.index.values().map(|place| place.day)
    }
    pub(super) fn replacing_days(&self) -> impl Iterator<Item = Day> {
        self.superseded.iter().filter_map(|key| Some(self.index.get(key)?.day))
    }
    pub(super) fn opened_at(&self) -> Timestamp {
        self.opened_at
    }
    pub(super) fn holds(&self, key: SpanKey) -> bool {
        self.index.contains_key(&key)
    }

    /// Whether the key's row here has ended, and when it was received; `None` when there is none.
    pub(super) fn rank(&self, key: SpanKey) -> Option<(bool, Timestamp)> {
        self.index.get(&key).map(|place| (place.finished, place.received_at))
    }

    /// Makes ready for a frame's rows; answers the number its first row will have.
    pub(super) fn open(&mut self, sequence: u64, now: Timestamp) -> u32 {
        if self.batches.is_empty() {
            self.opened_at = now;
            self.first_sequence = sequence;
        }
        self.last_sequence = sequence;
        self.rows
    }

    /// Decides between a row and an older one with its key; answers whether the newcomer won.
    pub(super) fn place(&mut self, arrival: &Arrival, row: u32, older: Older) -> bool {
        let Arrival { key, day, finished, received_at } = *arrival;
        let older_rank = match older {
            Older::None => None,
            Older::Here => self.rank(key),
            Older::Elsewhere { finished, received_at } => Some((finished, received_at.unwrap_or(arrival.received_at))),
        };
        // Of two that are under way at once the one received later stays, as between writers; of equals the later frame.
        let loses = older_rank.is_some_and(|older| older > (finished, received_at));
        if loses {
            self.dead.insert(row);
            return false;
        }
        if let Some(replaced) = self.index.insert(key, Place { row, day, finished, received_at }) {
            self.dead.insert(replaced.row);
        }
        if matches!(older, Older::Elsewhere { .. }) {
            self.superseded.insert(key);
        }
        true
    }

    /// Adds the rows that were placed.
    pub(super) fn push(&mut self, prepared: Prepared, sequence: u64) {
        self.bytes += prepared.bytes();
        self.rows += u32::try_from(prepared.batch.num_rows()).expect("a request holds far fewer than 4 billion spans");
        self.batches.push(numbered(&prepared.batch, sequence));
        self.put_small_ones_together();
    }

    fn put_small_ones_together(&mut self) {
        let Some(first) = self.batches.len().checked_sub(SMALL_BATCHES_MAX) else { return };
        let tail = &self.batches[first..];
        if tail.iter().map(RecordBatch::num_rows).sum::<usize>() > SMALL_ROWS_MAX {
            return;
        }
        // Batches of one schema always fit; if they did not, they would stay apart and nothing be lost.
        if let Ok(together) = concat_batches(&tail[0].schema(), tail) {
            self.batches.truncate(first);
            self.batches.push(together);
        }
    }

    /// What a query may read, cheap to make.
    pub(super) fn view(&self) -> View {
        View {
            batches: self.batches.clone(),
            dead: self.dead.clone(),
            superseded: self.superseded.iter().copied().collect(),
        }
    }

    /// What a flush needs.
    pub(super) fn frozen(&self, tenant: TenantId, table: Table) -> Frozen {
        let view = self.view();
        Frozen {
            tenant,
            table,
            sequence: self.last_sequence,
            batches: view.live().collect(),
            keys: self.index.iter().map(|(key, place)| (place.day, *key, place.finished)).collect(),
            superseded: view.superseded,
            losses: self.losses,
        }
    }

    /// Settles the key's row here against one in a file. If ours is the one to be seen, it replaces the other's; else it is as
    /// if it had never come, so that it hides nothing in files. Equal ranks are of one writer, and its later frame is here.
    pub(super) fn meet(&mut self, key: SpanKey, other: Rank, own: WriterId) {
        let Some(place) = self.index.get(&key).copied() else { return };
        let ours = Rank { finished: place.finished, received_at: micros(place.received_at), writer: own };
        if ours >= other {
            self.superseded.insert(key);
            return;
        }
        self.index.remove(&key);
        self.dead.insert(place.row);
        self.superseded.remove(&key);
        self.losses += 1;
    }

    /// Hides a row for queries, because a newer one has come since this chunk was frozen.
    pub(super) fn hide(&mut self, key: SpanKey) {
        if let Some(place) = self.index.get(&key) {
            self.dead.insert(place.row);
        }
    }
}

/// As a file keeps it: both sides of a comparison must have been cut alike.
fn micros(at: Timestamp) -> Timestamp {
    Timestamp::from_micros(at.as_micros())
}

fn numbered(batch: &RecordBatch, sequence: u64) -> RecordBatch {
    let at = batch.schema().index_of("sequence").expect("every table numbers its rows");
    let sequence = i64::try_from(sequence).unwrap_or(i64::MAX);
    let mut columns = batch.columns().to_vec();
    columns[at] = Arc::new(Int64Array::from_value(sequence, batch.num_rows())) as ArrayRef;
    RecordBatch::try_new(batch.schema(), columns).expect("one column gave way to another of its type and length")
}

/// A chunk at one instant.
pub(super) struct View {
    batches: Vec<RecordBatch>,
    dead: HashSet<u32>,
    pub(super) superseded: Vec<SpanKey>,
}

impl View {
    /// The batches without dead rows.
    pub(super) fn live(&self) -> impl Iterator<Item = RecordBatch> {
        let mut first = 0;
        self.batches.iter().filter_map(move |batch| {
            let rows = u32::try_from(batch.num_rows()).expect("counted when it was pushed");
            let range = first..first + rows;
            first += rows;
            if self.dead.is_empty() || !range.clone().any(|row| self.dead.contains(&row)) {
                return Some(batch.clone());
            }
            let live: BooleanArray = range.map(|row| Some(!self.dead.contains(&row))).collect();
            let batch = filter_record_batch(batch, &live).expect("the mask is as long as the batch");
            (batch.num_rows() > 0).then_some(batch)
        })
    }
}
