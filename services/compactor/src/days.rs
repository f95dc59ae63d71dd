//! Work on one day, under a lease.

use std::time::Duration;

use spanlake_catalog::{DayLease, Ended, Error as CatalogError, TenantDay, Wanted};
use spanlake_model::Day;
use spanlake_proto::compactor::Compacted;
use spanlake_store::file::merge::Error as MergeError;
use tokio_util::sync::CancellationToken;

use crate::choose::choose;
use crate::error::Error;
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

    /// Each merge makes it at least one file less, so this ends.
    async fn merge_day(&self, lease: DayLease, stop: &CancellationToken, done: &mut Compacted) -> Result<Ended, Error> {
        let is_over = lease.day < self.closed_before();
        loop {
            let files = self.files.day(lease.tenant, lease.table, lease.day).await?;
            let version = files.iter().map(|file| file.version).max().unwrap_or(0);
            let Some(run) = choose(&files, is_over && !lease.is_finished, &self.config) else {
                let finished_at = is_over.then(|| self.clock.now());
                return Ok(Ended::Settled { version, rules: self.config.rules(), finished_at });
            };
            if stop.is_cancelled() {
                return Ok(Ended::Left);
            }
            let Some((merge, inputs)) = Merge::open(files, run, is_over, &self.store, &self.config).await? else {
                return Ok(Ended::Left);
            };
            let Some(merged) = self.merge(merge, inputs, stop).await? else { return Ok(Ended::Left) };
            done.merged_files += merged.merged_files;
            done.written_files += merged.written_files;
        }
    }
}

fn unclaimed(day: TenantDay, error: &CatalogError) -> bool {
    let error: &dyn std::error::Error = error;
    tracing::warn!(tenant.id = %day.tenant, merge.day = %day.day, error, "could not take a lease");
    false
}
