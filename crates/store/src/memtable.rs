//! Rows that are durable in the log and not yet in a data file.
//!
//! ```text
//!   apply (log's thread, in order) ─► active chunk ──freeze──► frozen chunk ──flush──► data file
//!   fresh (queries) ◄──────────────── both, each key once ◄───┘                └─► landed: forgotten here
//! ```
//!
//! A key is a row once: sent again it replaces itself, unless it had ended and the newcomer has not. When the older row
//! lies in a frozen chunk or a data file, the key joins the active chunk's *superseded keys*, which hide older rows of
//! files and travel with the chunk into its file. A row of another writer that is in a file by now is settled by
//! [`Memtables::meet`]: ours replaces it, or is dropped and hides nothing.
//!
//! Invariants
//! - `through` is the last frame applied; everything up to `landed` is in data files.
//! - A row is in exactly one of: active, frozen, files at or below `landed`.

mod chunk;
mod days;

pub use chunk::{Prepared, Preparing};
pub use days::DayKeys;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use spanlake_model::{Day, SpanKey, Table, TenantId, Timestamp, WriterId};

use crate::rows::Rank;
use chunk::{Chunk, Older};

/// A frame's rows with the keys of files that they may meet.
pub struct Pending {
    /// Whose.
    pub tenant: TenantId,
    /// Of which table.
    pub table: Table,
    /// The rows.
    pub prepared: Prepared,
    /// For each day among the rows, the keys in that day's files.
    pub days: HashMap<Day, Arc<DayKeys>>,
}

/// What a query is told.
#[derive(Debug)]
pub enum Snapshot {
    /// Rows above the watermark asked for.
    Rows {
        /// The tenant's last frame in this table, in memory or in files.
        through: u64,
        /// Keys whose rows in files are replaced.
        superseded: Vec<SpanKey>,
        /// The rows.
        batches: Vec<RecordBatch>,
    },
    /// Files have overtaken the watermark asked for.
    Stale,
}

/// A chunk on its way into files; it stays visible until [`Memtables::landed`].
#[derive(Debug)]
pub struct Frozen {
    /// Whose.
    pub tenant: TenantId,
    /// Of which table.
    pub table: Table,
    /// The watermark once it is in files.
    pub sequence: u64,
    /// Its rows.
    pub batches: Vec<RecordBatch>,
    /// Keys whose rows in older files are replaced.
    pub superseded: Vec<SpanKey>,
    /// Its keys, with their days and whether each had ended.
    pub keys: Vec<(Day, SpanKey, bool)>,
    /// Rows that had lost to another writer's when this was made. One that loses later must not be in the file.
    pub losses: u64,
}

/// When a chunk is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Bytes at which a chunk is full.
    pub bytes: u64,
    /// Chunks opened before this are old enough.
    pub opened_before: Timestamp,
    /// Below this many bytes a chunk is small, and old enough only when opened before [`Self::small_opened_before`].
    pub small_bytes: u64,
    /// As above.
    pub small_opened_before: Timestamp,
    /// Chunks with a frame up to here keep the log long: due whatever their size.
    pub first_sequence: u64,
}

impl Due {
    /// Everything there is.
    pub const EVERYTHING: Self = Self::sized(0);

    /// Chunks of this size, however old.
    pub const fn sized(bytes: u64) -> Self {
        let never = Timestamp::from_nanos(i64::MIN);
        Self { bytes, opened_before: never, small_bytes: 0, small_opened_before: never, first_sequence: 0 }
    }

    fn includes(&self, chunk: &Chunk) -> bool {
        let opened_before =
            if chunk.bytes() < self.small_bytes { self.small_opened_before } else { self.opened_before };
        !chunk.is_empty()
            && (chunk.bytes() >= self.bytes
                || chunk.opened_at() < opened_before
                || chunk.first_sequence() <= self.first_sequence)
    }
}

#[derive(Default)]
struct TenantRows {
    active: Chunk,
    /// Oldest first; one at a time in practice.
    frozen: Vec<Chunk>,
    /// The watermark of what has landed.
    landed: u64,
    /// Bytes of all chunks.
    bytes: u64,
}

type Tables = HashMap<(TenantId, Table), Arc<Mutex<TenantRows>>>;

/// All tenants' rows. One writer's.
#[derive(Default)]
pub struct Memtables {
    tables: Mutex<Tables>,
    bytes: AtomicU64,
    through: AtomicU64,
}

/// A panic elsewhere leaves rows as they were before it or after; both are sound.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memtables {
    /// None yet, but told what is in files already.
    pub fn new(watermarks: impl IntoIterator<Item = (TenantId, Table, u64)>) -> Self {
        let this = Self::default();
        for (tenant, table, sequence) in watermarks {
            lock(&this.rows(tenant, table)).landed = sequence;
        }
        this
    }

    fn rows(&self, tenant: TenantId, table: Table) -> Arc<Mutex<TenantRows>> {
        lock(&self.tables).entry((tenant, table)).or_default().clone()
    }

    /// As [`Self::rows`], of a table that has had some. All tables' lock is let go before the table's is asked for.
    fn existing(&self, tenant: TenantId, table: Table) -> Option<Arc<Mutex<TenantRows>>> {
        lock(&self.tables).get(&(tenant, table)).cloned()
    }

    /// Takes a durable frame's rows in; answers how many bytes the chunk they joined holds now. Frames come in the order of
    /// their sequences.
    pub fn apply(&self, sequence: u64, now: Timestamp, pending: Pending) -> u64 {
        let rows = self.rows(pending.tenant, pending.table);
        let (added, held) = {
            let mut rows = lock(&rows);
            (rows.apply(sequence, now, pending.prepared, &pending.days), rows.active.bytes())
        };
        self.bytes.fetch_add(added, Ordering::Relaxed);
        self.through.fetch_max(sequence, Ordering::Release);
        held
    }

    /// The last frame applied.
    pub fn through(&self) -> u64 {
        self.through.load(Ordering::Acquire)
    }

    /// Frames up to here are known of, though none was applied: what a restart found in files already.
    pub fn reached(&self, sequence: u64) {
        self.through.fetch_max(sequence, Ordering::Release);
    }

    /// Tables with a chunk that is on its way.
    pub fn waiting(&self) -> Vec<(TenantId, Table)> {
        let tables: Vec<_> = lock(&self.tables).iter().map(|(key, rows)| (*key, rows.clone())).collect();
        tables.into_iter().filter(|(_, rows)| !lock(rows).frozen.is_empty()).map(|(key, _)| key).collect()
    }

    /// Bytes held, about.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Rows held, replaced ones among them.
    pub fn row_count(&self) -> u64 {
        let tables: Vec<_> = lock(&self.tables).values().cloned().collect();
        let of = |rows: Arc<Mutex<TenantRows>>| {
            let rows = lock(&rows);
            rows.frozen.iter().chain([&rows.active]).map(Chunk::row_count).sum::<u64>()
        };
        tables.into_iter().map(of).sum()
    }

    /// Since when the rows are held that have waited longest; none when none wait.
    pub fn oldest(&self) -> Option<Timestamp> {
        let tables: Vec<_> = lock(&self.tables).values().cloned().collect();
        let of = |rows: Arc<Mutex<TenantRows>>| {
            let rows = lock(&rows);
            let held = rows.frozen.iter().chain([&rows.active]).filter(|chunk| !chunk.is_empty());
            held.map(Chunk::opened_at).min()
        };
        tables.into_iter().filter_map(of).min()
    }

    /// What is in files of a tenant's table.
    pub fn watermark(&self, tenant: TenantId, table: Table) -> u64 {
        lock(&self.rows(tenant, table)).landed
    }

    /// Rows above `after`, each key once.
    pub fn fresh(&self, tenant: TenantId, table: Table, after: u64) -> Snapshot {
        let Some(rows) = self.existing(tenant, table) else {
            return Snapshot::Rows { through: 0, superseded: Vec::new(), batches: Vec::new() };
        };
        let (through, views) = {
            let rows = lock(&rows);
            if after < rows.landed {
                return Snapshot::Stale;
            }
            let newer = rows.chunks().filter(|chunk| chunk.last_sequence() > after);
            (rows.through(), newer.map(Chunk::view).collect::<Vec<_>>())
        };
        // Outside the lock: filtering copies.
        let superseded = views.iter().flat_map(|view| view.superseded.iter().copied()).collect();
        let batches = views.iter().flat_map(chunk::View::live).collect();
        Snapshot::Rows { through, superseded, batches }
    }

    /// Tables whose active chunk is due, fullest first.
    pub fn due(&self, due: Due) -> Vec<(TenantId, Table)> {
        let tables: Vec<_> = lock(&self.tables).iter().map(|(key, rows)| (*key, rows.clone())).collect();
        let mut due: Vec<_> = tables
            .into_iter()
            .filter_map(|(key, rows)| {
                let rows = lock(&rows);
                due.includes(&rows.active).then(|| (rows.active.bytes(), key))
            })
            .collect();
        due.sort_unstable_by(|one, two| two.cmp(one));
        due.into_iter().map(|(_, key)| key).collect()
    }

    /// Closes the active chunk, so that it can be flushed. Nothing happens when it is empty, or one is on its way already.
    pub fn freeze(&self, tenant: TenantId, table: Table) {
        let rows = self.rows(tenant, table);
        let mut rows = lock(&rows);
        if rows.frozen.is_empty() && !rows.active.is_empty() {
            let chunk = std::mem::take(&mut rows.active);
            rows.frozen.push(chunk);
        }
    }

    /// The chunk that is on its way, as it is now.
    pub fn frozen(&self, tenant: TenantId, table: Table) -> Option<Frozen> {
        let rows = self.rows(tenant, table);
        let rows = lock(&rows);
        rows.frozen.first().map(|chunk| chunk.frozen(tenant, table))
    }

    /// The frozen chunk is in files and the catalog says so. Its keys join the days' keys that are `known`.
    pub fn landed(&self, frozen: &Frozen, known: &HashMap<Day, Arc<DayKeys>>) {
        // Before the chunk goes, and outside the lock that the log's thread waits for.
        for (day, keys) in known {
            keys.insert(frozen.keys.iter().filter(|(of, ..)| of == day).map(|(_, key, finished)| (*key, *finished)));
        }
        let rows = self.rows(frozen.tenant, frozen.table);
        let mut rows = lock(&rows);
        let (gone, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut rows.frozen).into_iter().partition(|chunk| chunk.last_sequence() <= frozen.sequence);
        rows.frozen = kept;
        rows.landed = rows.landed.max(frozen.sequence);
        let freed: u64 = gone.iter().map(Chunk::bytes).sum();
        rows.bytes -= freed;
        self.bytes.fetch_sub(freed, Ordering::Relaxed);
    }

    /// Settles rows here against those that another writer has put into files: each key's version is decided by [`Rank`].
    /// Rows of `own` files are passed over; the order of the log has decided about them.
    pub fn meet(&self, tenant: TenantId, table: Table, own: WriterId, others: &[(SpanKey, Rank)]) {
        self.meet_each(tenant, table, own, others.iter().filter(|(_, other)| other.writer != own));
    }

    /// As [`Self::meet`], against rows of `own` files too: for rows that were applied without the keys of their days.
    pub fn meet_own_too(&self, tenant: TenantId, table: Table, own: WriterId, all: &[(SpanKey, Rank)]) {
        self.meet_each(tenant, table, own, all.iter());
    }

    fn meet_each<'a>(
        &self,
        tenant: TenantId,
        table: Table,
        own: WriterId,
        others: impl Iterator<Item = &'a (SpanKey, Rank)>,
    ) {
        let Some(rows) = self.existing(tenant, table) else { return };
        let mut rows = lock(&rows);
        for (key, other) in others {
            rows.chunks_mut().for_each(|chunk| chunk.meet(*key, *other, own));
        }
    }

    /// Whether a tenant's table has no rows here.
    pub fn is_empty(&self, tenant: TenantId, table: Table) -> bool {
        self.existing(tenant, table).is_none_or(|rows| lock(&rows).chunks().all(Chunk::is_empty))
    }

    /// The days of all rows here.
    pub fn days(&self, tenant: TenantId, table: Table) -> HashSet<Day> {
        let Some(rows) = self.existing(tenant, table) else { return HashSet::new() };
        lock(&rows).chunks().flat_map(Chunk::days).collect()
    }

    /// The days of rows here that replace rows in files.
    pub fn replacing_days(&self, tenant: TenantId, table: Table) -> HashSet<Day> {
        let Some(rows) = self.existing(tenant, table) else { return HashSet::new() };
        lock(&rows).chunks().flat_map(Chunk::replacing_days).collect()
    }

    /// Tables with rows here.
    pub fn tables(&self) -> Vec<(TenantId, Table)> {
        lock(&self.tables).keys().copied().collect()
    }

    /// Bytes held of a tenant's table, about.
    pub fn bytes_of(&self, tenant: TenantId, table: Table) -> u64 {
        self.existing(tenant, table).map_or(0, |rows| lock(&rows).bytes)
    }

    /// What of each tenant is in files, for trimming the log. A tenant with nothing waiting is done with all it sent.
    pub fn watermarks(&self) -> Vec<(TenantId, u64)> {
        let through = self.through();
        let tables: Vec<_> = lock(&self.tables).iter().map(|(key, rows)| (*key, rows.clone())).collect();
        tables
            .into_iter()
            .map(|((tenant, _), rows)| {
                let rows = lock(&rows);
                let idle = rows.frozen.is_empty() && rows.active.is_empty();
                (tenant, if idle { through.max(rows.landed) } else { rows.landed })
            })
            .collect()
    }
}

impl TenantRows {
    /// The last frame that is in memory or in files.
    fn through(&self) -> u64 {
        self.chunks().map(Chunk::last_sequence).fold(self.landed, u64::max)
    }

    fn chunks(&self) -> impl Iterator<Item = &Chunk> {
        self.frozen.iter().chain(std::iter::once(&self.active))
    }

    fn chunks_mut(&mut self) -> impl Iterator<Item = &mut Chunk> {
        self.frozen.iter_mut().chain(std::iter::once(&mut self.active))
    }

    fn apply(&mut self, sequence: u64, now: Timestamp, prepared: Prepared, days: &HashMap<Day, Arc<DayKeys>>) -> u64 {
        let before = self.active.bytes();
        let first = self.active.open(sequence, now);
        for (row, arrival) in (first..).zip(&prepared.arrivals) {
            let older = self.older(arrival.key, arrival.day, days);
            let won = self.active.place(arrival, row, older);
            if won && older != Older::None {
                self.frozen.iter_mut().for_each(|chunk| chunk.hide(arrival.key));
            }
        }
        self.active.push(prepared, sequence);
        let added = self.active.bytes() - before;
        self.bytes += added;
        added
    }

    /// Where an older row with this key lies: here, else in the newest frozen chunk or file that has it.
    fn older(&self, key: SpanKey, day: Day, days: &HashMap<Day, Arc<DayKeys>>) -> Older {
        if self.active.holds(key) {
            return Older::Here;
        }
        if let Some((finished, received_at)) = self.frozen.iter().rev().find_map(|chunk| chunk.rank(key)) {
            return Older::Elsewhere { finished, received_at: Some(received_at) };
        }
        match days.get(&day).and_then(|keys| keys.finished(key)) {
            Some(finished) => Older::Elsewhere { finished, received_at: None },
            None => Older::None,
        }
    }
}

#[cfg(test)]
mod tests;
