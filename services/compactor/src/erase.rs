//! Takes erased rows out of data files.
//!
//! An erasure is hidden from the moment it is made (the engine sees to that), so nothing here is urgent; but only here does
//! it become true on disk. When may hiding end? A row is covered when it stands at or below the bound of its writer. Take
//! one reading of the catalog in which every writer that the erasure names has its watermark at or above its bound. Then:
//!
//! - *Every covered row is in a file of that reading, or nowhere.* What is at or below a watermark is in files, and neither
//!   memory nor a replay of the log brings it back.
//! - *If each of those files was found without covered rows, or was replaced by one without, there are none left*, and none
//!   can come: later flushes hold rows above the watermarks, and a merge holds rows of its inputs. A merge that took in a
//!   file with covered rows was faster than we: then our replacement of that file was refused, so the file counts as not
//!   done, and the next look finds the rows in the merge's output.
//!
//! Why dropping rows changes nothing else (the hiding rule is in `merge.rs`): the output has the version and the superseded
//! keys of its one input, so it hides from other files what the input hid, and is hidden as the input was. A file of which
//! nothing is left goes with its keys. Each key stood for a row of the same file, or for one that a higher file lists again.
//! If that row was covered, so is the whole trace: older versions of it are covered as well, wherever they lie, and hidden by
//! the erasure itself until their file has had its turn. Only a version that came *after* the erasure, through another
//! writer, and had lost to the erased one, is not hidden any more; and it should not be, being new.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use arrow::compute::filter_record_batch;
use futures::TryStreamExt;
use spanlake_catalog::{DataFile, ErasedFile, Error as CatalogError, Replacement, Watermark};
use spanlake_model::{Erasure, ErasureId, FileId, Table, TenantId, TimeRange};
use spanlake_store::background::{self, Rank};
use spanlake_store::file::merge;
use spanlake_store::{erased, file};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::service::Service;

/// Files that were found without rows of an erasure: not to be read again at the next look, while it waits for a flush.
/// Bounded; at the bound all is forgotten, and read again.
#[derive(Default)]
pub(crate) struct Clean(Mutex<HashMap<ErasureId, HashSet<FileId>>>);

const CLEAN_MAX: usize = 1 << 20;

impl Clean {
    fn map(&self) -> MutexGuard<'_, HashMap<ErasureId, HashSet<FileId>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn has(&self, erasure: ErasureId, file: FileId) -> bool {
        self.map().get(&erasure).is_some_and(|files| files.contains(&file))
    }
    fn note(&self, erasures: &[Erasure], file: FileId) {
        let mut map = self.map();
        if map.values().map(HashSet::len).sum::<usize>() >= CLEAN_MAX {
            map.clear();
        }
        for erasure in erasures {
            map.entry(erasure.id).or_default().insert(file);
        }
    }
    fn forget(&self, erasure: ErasureId) {
        self.map().remove(&erasure);
    }
}

/// What a file holds of erasures.
struct Found {
    /// Covered rows by erasure; only those that cover any.
    covered: Vec<(ErasureId, u64)>,
    /// Rows that no erasure covers.
    kept: u64,
}

impl Service {
    /// Takes what was erased out of every file it can; answers how many tenants that failed for. Each failure is logged, and
    /// tried again at the next look.
    pub(crate) async fn erase_all(&self, shutdown: &CancellationToken) -> Result<u64, Error> {
        let mut failures = 0;
        for tenant in self.erasures.tenants_to_erase(self.config.erasing_tenants_per_look_max).await? {
            if shutdown.is_cancelled() {
                break;
            }
            match self.erase_of(tenant, shutdown).await {
                Ok(()) => {}
                Err(Error::Merge(merge::Error::Stopped)) => break,
                Err(error) => {
                    failures += 1;
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(tenant.id = %tenant, error, "could not erase");
                }
            }
        }
        Ok(failures)
    }

    #[tracing::instrument(name = "compactor.erase", skip_all, fields(tenant.id = %tenant))]
    async fn erase_of(&self, tenant: TenantId, shutdown: &CancellationToken) -> Result<(), Error> {
        let mut waiting: Option<Vec<Erasure>> = None;
        for table in Table::ALL {
            let read = self.files.snapshot(tenant, table, TimeRange::all()).await?;
            let mut all_done = true;
            for file in &read.files {
                if shutdown.is_cancelled() {
                    return Ok(());
                }
                all_done &= self.clean(file, &read.erasures, shutdown).await?;
            }
            let is_gone = |erasure: &Erasure| all_done && is_in_files(erasure, &read.watermarks);
            let gone: Vec<_> = read.erasures.into_iter().filter(is_gone).collect();
            // From every table, or not at all.
            waiting = Some(match waiting {
                None => gone,
                Some(before) => before.into_iter().filter(|one| gone.iter().any(|other| other.id == one.id)).collect(),
            });
        }
        for erasure in waiting.unwrap_or_default() {
            self.erasures.rewritten(erasure.id, self.clock.now()).await?;
            self.clean.forget(erasure.id);
            tracing::info!(erasure.id = %erasure.id, "no live file holds what was erased");
        }
        Ok(())
    }

    /// Makes sure that no row of a live file is covered; `false` when another compactor was faster with it.
    async fn clean(&self, file: &DataFile, erasures: &[Erasure], stop: &CancellationToken) -> Result<bool, Error> {
        let unsure: Vec<_> = erasures.iter().filter(|erasure| !self.clean.has(erasure.id, file.id)).cloned().collect();
        if unsure.is_empty() {
            return Ok(true);
        }
        let found = self.count_covered(file, unsure).await?;
        if found.covered.is_empty() {
            self.clean.note(erasures, file.id);
            return Ok(true);
        }
        let output = if found.kept == 0 { None } else { self.rewrite(file, erasures, stop).await? };
        let replaced_by = output.as_ref().map(|output| output.id);
        let note = |(erasure, rows): &(ErasureId, u64)| {
            let (erasure, rows) = (*erasure, *rows);
            ErasedFile { erasure, file: file.id, day: file.day, rows, replaced_by }
        };
        let notes: Vec<_> = found.covered.iter().map(note).collect();
        let is_ours = self.replace(file, output, &notes).await?;
        if let Some(output) = replaced_by.filter(|_| is_ours) {
            self.clean.note(erasures, output);
        }
        Ok(is_ours)
    }

    /// The file without covered rows, durable in the store; a merge of one input. `None` when nothing is left after all.
    async fn rewrite(
        &self,
        file: &DataFile,
        erasures: &[Erasure],
        stop: &CancellationToken,
    ) -> Result<Option<DataFile>, Error> {
        let config = self.config.file_of(file.day < self.closed_before()).clone();
        let store = self.store.tenant(file.tenant);
        let inputs = merge::open(store, &[file.path.as_str()], &self.config.merge, &config).await?;
        let id = FileId::generate(self.clock.as_ref(), self.entropy.as_ref());
        let name = file::Name { tenant: file.tenant, table: file.table, day: file.day, file: id };
        let (erasures, stop) = (erasures.to_vec(), stop.clone());
        let writing = background::run(Rank::Below, move || {
            let living = |_: usize, batch: RecordBatch| -> Result<RecordBatch, file::Error> {
                Ok(filter_record_batch(&batch, &erased::kept(name.table, &batch, &erasures)?)?)
            };
            inputs.write(&name, &config, &living, &|| !stop.is_cancelled())
        });
        let written = writing.await??.written;
        Ok(written.map(|written| DataFile {
            id,
            path: name.path(),
            rows: written.rows,
            bytes: written.bytes,
            min_start: written.min_start,
            max_start: written.max_start,
            ..file.clone()
        }))
    }

    /// `false` when the file is no longer live.
    async fn replace(&self, file: &DataFile, output: Option<DataFile>, notes: &[ErasedFile]) -> Result<bool, Error> {
        let outputs: Vec<_> = output.into_iter().collect();
        let replacement = Replacement {
            tenant: file.tenant,
            table: file.table,
            inputs: vec![file.id],
            outputs: outputs.clone(),
            at: self.clock.now(),
        };
        match self.erasures.erase(replacement, notes).await {
            Ok(()) => Ok(true),
            Err(CatalogError::Changed(_)) => {
                self.discard(&outputs).await;
                Ok(false)
            }
            Err(refused @ CatalogError::Misfiled { .. }) => {
                self.discard(&outputs).await;
                Err(refused.into())
            }
            // It may have gone through and only the answer be lost: see `Service::merge`.
            Err(unclear) => Err(unclear.into()),
        }
    }

    /// Counts without reading more than the ids.
    async fn count_covered(&self, file: &DataFile, erasures: Vec<Erasure>) -> Result<Found, Error> {
        let (store, path, runtime) = (self.store.tenant(file.tenant), file.path.clone(), Handle::current());
        let table = file.table;
        let count = async move {
            let mut rows = file::read(store, &path, Some(erased::columns(table))).await?;
            let mut covered = vec![0; erasures.len()];
            let mut kept = 0;
            while let Some(batch) = rows.try_next().await? {
                for (count, erasure) in covered.iter_mut().zip(&erasures) {
                    *count += erased::covered(table, &batch, erasure).map_err(file::Error::from)?.true_count() as u64;
                }
                kept += erased::kept(table, &batch, &erasures).map_err(file::Error::from)?.true_count() as u64;
            }
            let covered =
                erasures.iter().map(|erasure| erasure.id).zip(covered).filter(|(_, rows)| *rows > 0).collect();
            Ok::<_, Error>(Found { covered, kept })
        };
        background::run(Rank::Below, move || runtime.block_on(count)).await?
    }
}

/// Whether all of it that will ever be in files is there.
fn is_in_files(erasure: &Erasure, watermarks: &[Watermark]) -> bool {
    let landed = |writer| watermarks.iter().find(|mark| mark.writer == writer).map_or(0, |mark| mark.sequence);
    erasure.bounds.iter().all(|bound| landed(bound.writer) >= bound.sequence)
}
