//! One merge: what of its inputs lives on. How files are merged within a bound on memory is `store::file::merge`'s affair.
//!
//! The hiding rule (`catalog::DataFile`): a row is dead when its key stands in the superseded keys of a live file of a
//! higher version, or of rows in memory. A merge must not change which rows are dead. Why it does not:
//!
//! *Versions are intervals.* The inputs are neighbours among the day's live files, and the output has the version of the
//! highest. So no live file lies between an input and the output, and none can come to: the catalog gives versions in the
//! order of commits, one tenant's table at a time, so what is committed during the merge is higher than all that was
//! listed; and another merge that reached across would have one of our inputs as its own, and then only one of the two is
//! taken. To any other file the output is therefore higher or lower exactly as each of its inputs was.
//! - *A file that was skipped between small ones* (it is large) ends the run: small files on its two sides are never
//!   put together. If they were, older rows would rise above its superseded keys, and older superseded keys above its rows.
//! - *A file committed during the merge* is higher than every input and than the output: its keys hide our rows as before,
//!   whether or not the merge has seen them.
//! - *Rows in memory* hide rows of every file. Flushed, they are the case above.
//! - *Fewer inputs than were chosen*, when they would not fit into memory: the first of them, so they are neighbours still.
//!
//! *Dropped rows* were dead by the superseded keys of a live file, read in one statement. Dead rows stay dead: the row that
//! replaced one is in a file already, moves only into merges, and is dropped only for a newer one.
//!
//! *Dropped superseded keys.* A key of an input matters for rows in lower files only. Rows of inputs it hid are dropped here;
//! so it is carried on when a lower live file holds a row of it (`hiding.rs`), and not otherwise: no lower file can come to be but
//! by merging lower files or taking rows out of one, so none comes to hold the row later. When no row is left there is no file to carry keys, and no need: a file that lists a key holds its row (or
//! rows in memory do), so if that row is dead, a higher file lists the key again and hides what the dropped entry hid.

use std::collections::HashMap;
use std::ops::Range;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use spanlake_catalog::DataFile;
use spanlake_model::{Day, FileId, SpanKey, Table, TenantId};
use spanlake_store::background::Rank;
use spanlake_store::file::merge::{self, Inputs};
use spanlake_store::rows::row_keys;
use spanlake_store::{Store, file};
use tokio::runtime::Handle;

use crate::config::Config;
use crate::error::Error;
use crate::hiding;

/// Neighbouring files of one day, to become one.
#[derive(Debug)]
pub(crate) struct Merge {
    pub(crate) tenant: TenantId,
    pub(crate) table: Table,
    pub(crate) day: Day,
    pub(crate) inputs: Vec<DataFile>,
    /// A day that gets many files faster than they are merged needs more than what requests leave.
    pub(crate) rank: Rank,
    /// How the output is written.
    file: file::Config,
    /// The output's.
    version: u64,
    /// For each replaced key the version below which its rows are dead.
    dead_below: HashMap<SpanKey, u64>,
    /// All of the inputs, in order.
    superseded: Vec<SpanKey>,
    /// The day's live files below the inputs: where the superseded keys may hide rows still.
    lower: Vec<DataFile>,
    store: Store,
}

impl Merge {
    /// The merge of the files in `run`, or the first of them when they do not fit into memory, and its inputs, open. The run
    /// is out of all live files of one day in the order of their versions; `None` when it is empty.
    pub(crate) async fn open(
        files: Vec<DataFile>,
        run: Range<usize>,
        is_over: bool,
        store: &Store,
        config: &Config,
    ) -> Result<Option<(Self, Inputs)>, Error> {
        let Some(first) = files.get(run.start) else { return Ok(None) };
        let paths: Vec<_> = files[run.clone()].iter().map(|file| file.path.as_str()).collect();
        let inputs = merge::open(store.tenant(first.tenant), &paths, &config.merge, &config.settled).await?;
        let run = run.start..run.start + inputs.len();
        let file = config.file_of(is_over).clone();
        let rank = if files.len() as u64 >= config.urgent_files { Rank::Even } else { Rank::Below };
        Ok(Self::of(files, run, rank, file, store).map(|merge| (merge, inputs)))
    }

    fn of(mut files: Vec<DataFile>, run: Range<usize>, rank: Rank, file: file::Config, store: &Store) -> Option<Self> {
        let dead_below = dead_below(&files);
        let lower = run.start;
        let inputs: Vec<_> = files.drain(run).collect();
        files.truncate(lower);
        let highest = inputs.last()?;
        let (tenant, table, day, version) = (highest.tenant, highest.table, highest.day, highest.version);
        let superseded = all_superseded(&inputs);
        let (lower, store) = (files, store.clone());
        Some(Self { tenant, table, day, inputs, rank, file, version, dead_below, superseded, lower, store })
    }

    /// The ids of the inputs.
    pub(crate) fn input_ids(&self) -> Vec<FileId> {
        self.inputs.iter().map(|input| input.id).collect()
    }

    /// Writes what lives on into the store, durable when this returns; `None` when nothing does. Blocks while it reads,
    /// decodes, encodes and writes; stops when told not to `go_on`.
    pub(crate) fn write(
        &self,
        inputs: Inputs,
        output: FileId,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Option<DataFile>, Error> {
        let name = file::Name { tenant: self.tenant, table: self.table, day: self.day, file: output };
        let living = |number: usize, batch| self.living(self.inputs[number].version, batch);
        let merged = inputs.write(&name, &self.file, &living, go_on)?;
        tracing::debug!(merge.held_bytes = merged.held_bytes_max, merge.files = self.inputs.len(), "merged files");
        let Some(written) = merged.written else { return Ok(None) };
        let hiding = hiding::still(&self.store, &self.lower, &self.superseded, go_on);
        Ok(Some(self.output(&name, &written, Handle::current().block_on(hiding)?)))
    }

    /// The output as the catalog is to know it.
    fn output(&self, name: &file::Name, written: &file::Written, superseded: Vec<SpanKey>) -> DataFile {
        DataFile {
            id: name.file,
            tenant: name.tenant,
            table: name.table,
            day: name.day,
            path: name.path(),
            rows: written.rows,
            bytes: written.bytes,
            min_start: written.min_start,
            max_start: written.max_start,
            version: self.version,
            superseded,
        }
    }

    /// The rows of a file of this version that are not dead.
    fn living(&self, version: u64, batch: RecordBatch) -> Result<RecordBatch, file::Error> {
        if self.dead_below.is_empty() {
            return Ok(batch);
        }
        let is_dead = |key| self.dead_below.get(key).is_some_and(|below| *below > version);
        let keys = row_keys(self.table, &batch)?;
        let living: BooleanArray = keys.iter().map(|key| Some(!is_dead(key))).collect();
        Ok(filter_record_batch(&batch, &living)?)
    }
}

fn dead_below(files: &[DataFile]) -> HashMap<SpanKey, u64> {
    let mut dead_below = HashMap::new();
    for file in files {
        for key in &file.superseded {
            let below = dead_below.entry(*key).or_insert(file.version);
            *below = file.version.max(*below);
        }
    }
    dead_below
}

fn all_superseded(inputs: &[DataFile]) -> Vec<SpanKey> {
    let mut keys: Vec<_> = inputs.iter().flat_map(|input| input.superseded.iter().copied()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}
