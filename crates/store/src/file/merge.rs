//! Many sorted files into one, as streams.
//!
//! ```text
//!   input: windows of its row group ─► small batches ─► what lives on ─┐
//!   input: …                                                           ├─► lowest key first ─► row groups ─► parts ─► store
//!   input: …                                                           ┘
//! ```
//!
//! Never is a whole file in memory. [`Bounds::memory_bytes_max`] is shared out: what one row group of the output may hold,
//! two parts on their way, and the rest for the inputs: half of it for the largest pages, which must fit whole, half for
//! windows and batches. When the pages of all inputs do not fit, fewer inputs are taken, neighbours from the first on; but never
//! fewer than two, or nothing would ever be merged: two files with row groups of huge values may then go over the bound, by
//! what their largest pages take.
//!
//! Inputs must be sorted. That is checked row by row on the way, so that one that is not stops the merge and is named.

mod input;
mod need;
mod output;
mod window;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use object_store::ObjectStore;
use parquet::errors::ParquetError;
use serde::{Deserialize, Serialize};
use spanlake_model::Day;
use tokio::runtime::Handle;

use super::key::SortKey;
use super::upload::PART_BYTES;
use super::{Config, Name, Written};
use input::Input;
use output::Output;

/// How much one merge may take.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bounds {
    /// Files that one merge reads at most; 2 at the least.
    pub inputs_max: usize,
    /// Bytes in memory, for one merge at a time. At the bound a merge takes fewer files; never fewer than two, whose largest
    /// pages may then take more.
    pub memory_bytes_max: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { inputs_max: 32, memory_bytes_max: 256 << 20 }
    }
}

/// Why files were not merged. Nothing of the output stays in the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An input cannot be read, or the output not be written.
    #[error(transparent)]
    File(#[from] super::Error),
    /// A file whose rows are not in order. Merged, rows would be lost to readers that trust the order.
    #[error("the rows of {path} are not in order")]
    Unsorted {
        /// Which.
        path: String,
    },
    /// A file with rows of another day.
    #[error("{path} holds rows that are not of day {day}")]
    Stray {
        /// Which.
        path: String,
        /// The day they should be of.
        day: Day,
    },
    /// The caller did not want it any more.
    #[error("the merge was stopped")]
    Stopped,
}

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Self {
        Self::File(error.into())
    }
}

impl From<ParquetError> for Error {
    fn from(error: ParquetError) -> Self {
        Self::File(error.into())
    }
}

/// What of a batch of the input with this number goes into the output, in its order.
pub type Living<'a> = dyn Fn(usize, RecordBatch) -> Result<RecordBatch, super::Error> + 'a;

/// A merge done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The output, durable; `None` when no row lived on, and then there is no file.
    pub written: Option<Written>,
    /// Bytes it held at once, at most: windows, batches, the row group at work, parts.
    pub held_bytes_max: u64,
}

/// Files that are open for merging.
pub struct Inputs {
    store: Arc<dyn ObjectStore>,
    inputs: Vec<Input>,
}

/// Opens the first of these files, as many as fit into the bounds; two at least, where there are two.
///
/// # Errors
/// When one is gone or broken.
pub async fn open(
    store: Arc<dyn ObjectStore>,
    paths: &[&str],
    bounds: &Bounds,
    config: &Config,
) -> Result<Inputs, Error> {
    let budget = inputs_budget(bounds, config);
    let (mut inputs, mut pages) = (Vec::<Input>::new(), 0);
    for path in paths.iter().take(bounds.inputs_max.max(2)) {
        let input = Input::open(store.clone(), path).await?;
        pages += input.pages_bytes();
        if inputs.len() >= 2 && pages > budget / 2 {
            break;
        }
        inputs.push(input);
    }
    let share = budget / 2 / inputs.len().max(1) as u64;
    inputs.iter_mut().for_each(|input| input.give(share));
    Ok(Inputs { store, inputs })
}

/// What the output leaves; a quarter of everything at the least.
fn inputs_budget(bounds: &Bounds, config: &Config) -> u64 {
    let output = (config.row_group_bytes_max + 2 * PART_BYTES) as u64;
    bounds.memory_bytes_max.saturating_sub(output).max(bounds.memory_bytes_max / 4)
}

impl Inputs {
    /// How many were opened.
    pub fn len(&self) -> usize {
        self.inputs.len()
    }

    /// Whether there was nothing to open.
    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    /// Writes the output and makes it durable; asks now and then whether to `go_on`. Blocks, for as long as reading and
    /// encoding take: keep it off the async threads.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn write(
        self,
        name: &Name,
        config: &Config,
        living: &Living<'_>,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Merged, Error> {
        let rows = self.inputs.iter().map(Input::rows).sum();
        let mut output = Output::new(Handle::current(), self.store, name, config, rows);
        let streams = self.inputs.into_iter().map(|input| Stream::new(input, name)).collect();
        match (Merge { streams, living, go_on }).run(&mut output) {
            Ok(()) => Ok(output.finish()?),
            Err(error) => {
                output.abort();
                Err(error)
            }
        }
    }
}

/// An input, and how far it has been merged.
struct Stream<'a> {
    input: Input,
    name: &'a Name,
    batch: RecordBatch,
    keys: Vec<SortKey>,
    /// The first row that is not in the output yet.
    at: usize,
}

impl<'a> Stream<'a> {
    fn new(input: Input, name: &'a Name) -> Self {
        let batch = RecordBatch::new_empty(crate::schema::of(name.table));
        Self { input, name, batch, keys: Vec::new(), at: 0 }
    }

    fn head(&self) -> Option<SortKey> {
        self.keys.get(self.at).copied()
    }

    /// The next batch of which anything lives on, or an empty one at the end.
    fn load(&mut self, number: usize, living: &Living<'_>) -> Result<(), Error> {
        // First, so that the old batch and the new are not held together.
        self.batch = RecordBatch::new_empty(self.batch.schema());
        (self.keys, self.at) = (Vec::new(), 0);
        while let Some(batch) = self.input.next(self.name)? {
            let batch = living(number, batch)?;
            if batch.num_rows() > 0 {
                self.keys = SortKey::of(self.name.table, &batch)?;
                self.batch = batch;
                break;
            }
        }
        Ok(())
    }

    /// How far rows go before `other`, the lowest row of all other inputs.
    fn end_of_run(&self, number: usize, other: Option<(SortKey, usize)>) -> usize {
        let Some(other) = other else { return self.keys.len() };
        self.at + self.keys[self.at..].partition_point(|key| (*key, number) < other)
    }

    fn held(&self) -> usize {
        self.input.held() + self.batch.get_array_memory_size() + self.keys.len() * size_of::<SortKey>()
    }
}

struct Merge<'a> {
    streams: Vec<Stream<'a>>,
    living: &'a Living<'a>,
    go_on: &'a dyn Fn() -> bool,
}

impl Merge<'_> {
    fn run(mut self, output: &mut Output<'_>) -> Result<(), Error> {
        let mut heads = BinaryHeap::new();
        for number in 0..self.streams.len() {
            self.streams[number].load(number, self.living)?;
            heads.extend(self.streams[number].head().map(|key| Reverse((key, number))));
        }
        while let Some(Reverse((_, number))) = heads.pop() {
            let stream = &mut self.streams[number];
            let end = stream.end_of_run(number, heads.peek().map(|head| head.0));
            let run = stream.at..end;
            stream.at = end;
            if output.take(number, run) || self.streams[number].head().is_none() {
                self.write(output)?;
            }
            if self.streams[number].head().is_none() {
                self.streams[number].load(number, self.living)?;
            }
            heads.extend(self.streams[number].head().map(|key| Reverse((key, number))));
        }
        Ok(())
    }

    /// What was taken so far, before the batches it lies in go.
    fn write(&self, output: &mut Output<'_>) -> Result<(), Error> {
        if !(self.go_on)() {
            return Err(Error::Stopped);
        }
        let batches: Vec<_> = self.streams.iter().map(|stream| &stream.batch).collect();
        let held = self.streams.iter().map(Stream::held).sum();
        output.write(&batches, held)
    }
}

#[cfg(test)]
mod tests;
