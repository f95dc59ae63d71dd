//! Work on one day, under a lease.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use spanlake_catalog::{DataFile, DayLease, Ended, Error as CatalogError, TenantDay, Wanted};
use spanlake_model::{Day, SpanKey, Timestamp};
use spanlake_proto::compactor::Compacted;
use spanlake_store::background::{self, Rank};
use spanlake_store::file::merge::Error as MergeError;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::choose::choose;
use crate::config::Config;
use crate::error::Error;
use crate::hiding;
use crate::merge::Merge;
use crate::service::Service;

impl Service {
    /// What makes a day worth a look now.
    pub(crate) fn wanted(&self) -> Wanted {
        Wanted {
            now: self.clock.now(),
            least_files: self.config.least_files(),
            closed_before: self.closed_before(),
            small_bytes: self.config.final_bytes(),
            alone_bytes_min: self.config.alone_bytes_min,
            rules: self.config.rules(),
        }
    }

    pub(crate) fn closed_before(&self) -> Day {
        Day::of(self.clock.now().minus(self.config.closed_after()))
    }

    /// Takes the day, unless somebody has it, and merges until it is as it should be. False when a step failed: it has been
    /// logged, and the day is left alone for a while.
    pub(crate) async fn work_on(&self, day: TenantDay, shutdown: &CancellationToken, done: &mut Compacted) -> bool {
        let now = self.clock.now();
        let lease = match self.jobs.claim(self.owner, day, now, now.plus(self.config.lease())).await {
            Ok(Some(lease)) => lease,
            Ok(None) => return true,
            Err(error) => return unclaimed(day, &error),
        };
        // Told to stop, or the lease is lost.
        let stop = shutdown.child_token();
        let worked = CancellationToken::new();
        let work = async {
            let outcome = self.merge_day(lease, &stop, done).await;
            worked.cancel();
            outcome
        };
        let (outcome, ()) = tokio::join!(work, self.keep(lease, &stop, &worked));
        self.end(lease, outcome).await
    }

    /// Renews the lease until the work is done, or somebody else has it: then the work stops.
    async fn keep(&self, lease: DayLease, stop: &CancellationToken, worked: &CancellationToken) {
        let pause = (self.config.lease() / 3).max(Duration::from_millis(1));
        while worked.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
            match self.jobs.renew(lease, self.clock.now().plus(self.config.lease())).await {
                Ok(()) => {}
                Err(CatalogError::Changed(_)) => return stop.cancel(),
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(tenant.id = %lease.tenant, merge.day = %lease.day, error, "could not renew a lease");
                }
            }
        }
    }

    async fn end(&self, lease: DayLease, outcome: Result<Ended, Error>) -> bool {
        let (ended, is_done) = match outcome {
            Ok(ended) => (ended, true),
            Err(Error::Merge(MergeError::Stopped)) => (Ended::Left, true),
            Err(error) => (self.failed(lease, &error), false),
        };
        match self.jobs.end(lease, ended).await {
            Ok(()) | Err(CatalogError::Changed(_)) => is_done,
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(tenant.id = %lease.tenant, merge.day = %lease.day, error, "could not give back a lease; it will end");
                false
            }
        }
    }

    /// Reports a failure: as an error once, when the day is set aside, so that one broken file does not fill the log.
    fn failed(&self, lease: DayLease, error: &Error) -> Ended {
        let failures = lease.failures + 1;
        let pause = self.config.pause_after(failures);
        let (tenant, day, pause_s) = (lease.tenant, lease.day, pause.as_secs());
        let error: &dyn std::error::Error = error;
        match failures.cmp(&self.config.failures_max) {
            std::cmp::Ordering::Less => {
                tracing::warn!(tenant.id = %tenant, merge.day = %day, merge.failures = failures, pause_s, error, "could not merge files; will try again");
            }
            std::cmp::Ordering::Equal => {
                tracing::error!(tenant.id = %tenant, merge.day = %day, merge.failures = failures, pause_s, error, "could not merge files; the day is set aside");
            }
            std::cmp::Ordering::Greater => {
                tracing::debug!(tenant.id = %tenant, merge.day = %day, merge.failures = failures, pause_s, error, "still could not merge files");
            }
        }
        Ended::Failed { not_before: self.clock.now().plus(pause) }
    }

    /// Since when a day is over.
    fn over_since(&self, day: Day) -> Timestamp {
        Day(day.0 + 1).start().plus(self.config.closed_after())
    }

    /// Each merge makes it at least one file less, a file is packed alone but once, and one that was rid of its keys gets no new
    /// ones; so this ends.
    async fn merge_day(&self, lease: DayLease, stop: &CancellationToken, done: &mut Compacted) -> Result<Ended, Error> {
        let is_over = lease.day < self.closed_before();
        let over_since = (is_over && !lease.is_finished).then(|| self.over_since(lease.day));
        loop {
            let files = self.files.day(lease.tenant, lease.table, lease.day).await?;
            let version = files.iter().map(|file| file.version).max().unwrap_or(0);
            let Some(run) = choose(&files, over_since, &self.config) else {
                if let Some(crowded) = crowded(&files, &self.config) {
                    if self.unburden(&files, crowded, is_over, stop, done).await? {
                        continue;
                    }
                    return Ok(Ended::Left);
                }
                let finished_at = is_over.then(|| self.clock.now());
                return Ok(Ended::Settled { version, rules: self.config.rules(), finished_at });
            };
            if stop.is_cancelled() {
                return Ok(Ended::Left);
            }
            if !self.merge_run(files, run, is_over, stop, done).await? {
                return Ok(Ended::Left);
            }
        }
    }

    /// Merges this run of a day's live files; false when another was faster.
    async fn merge_run(
        &self,
        files: Vec<DataFile>,
        run: Range<usize>,
        is_over: bool,
        stop: &CancellationToken,
        done: &mut Compacted,
    ) -> Result<bool, Error> {
        let opened = Merge::open(files, run, is_over, &self.store, &self.config).await?;
        let Some((merge, inputs)) = opened else { return Ok(false) };
        let Some(merged) = self.merge(merge, inputs, stop).await? else { return Ok(false) };
        done.merged_files += merged.merged_files;
        done.written_files += merged.written_files;
        Ok(true)
    }

    /// Writes the files again whose rows the file at `crowded` hides, lowest first, and then that file, without its keys:
    /// nothing is left for them to hide. False when another was faster.
    async fn unburden(
        &self,
        files: &[DataFile],
        crowded: usize,
        is_over: bool,
        stop: &CancellationToken,
        done: &mut Compacted,
    ) -> Result<bool, Error> {
        let keys: Arc<[SpanKey]> = files[crowded].superseded.clone().into();
        for (at, file) in files[..=crowded].iter().enumerate() {
            if at < crowded && !self.holds_any(file, keys.clone(), stop).await? {
                continue;
            }
            // As they are now: what was written just before has another id, or is gone.
            let now = self.files.day(file.tenant, file.table, file.day).await?;
            let Some(at) = now.iter().position(|other| other.id == file.id) else { return Ok(false) };
            if !self.merge_run(now, at..at + 1, is_over, stop, done).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn holds_any(&self, file: &DataFile, keys: Arc<[SpanKey]>, stop: &CancellationToken) -> Result<bool, Error> {
        let (store, file, stop) = (self.store.clone(), file.clone(), stop.clone());
        let look = move || Handle::current().block_on(hiding::any(&store, &file, &keys, &|| !stop.is_cancelled()));
        background::run(Rank::Below, look).await?
    }
}

/// The lowest file that hides more rows of others than it may.
fn crowded(files: &[DataFile], config: &Config) -> Option<usize> {
    files.iter().position(|file| file.superseded.len() > config.superseded_keys_max)
}

fn unclaimed(day: TenantDay, error: &CatalogError) -> bool {
    let error: &dyn std::error::Error = error;
    tracing::warn!(tenant.id = %day.tenant, merge.day = %day.day, error, "could not take a lease");
    false
}
