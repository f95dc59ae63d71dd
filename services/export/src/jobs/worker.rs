//! Takes exports that are due, one at a time, and sees each run to its end.
//!
//! ```text
//!   claim (lease) ──► allowed? ──► attempt ──┬─ done ──► note manifest and place, set the next run
//!        ▲               heartbeat, progress │─ failed ► wait, twice as long each time; given up when it cannot get better
//!        │     (abandoned by the one before: ┤
//!        │      that attempt failed)         │
//!        │                                   └─ lease lost or called off ► dropped where it stands
//!        └── look again ◄────────────────────────┘
//! ```

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use spanlake_access::seal::SealingKey;
use spanlake_catalog::{
    Accounts, AfterFailure, ClaimedExport, Error as CatalogError, Export, ExportLease, Exports, Progress, RunEnd, Then,
};
use spanlake_model::{Caller, Clock, Code, Entropy, ExporterId, Fault, Principal, Scope, Timestamp};
use spanlake_proto::export::recall;
use spanlake_proto::query::RowSource;
use tokio_util::sync::CancellationToken;

use super::attempt::{Attempt, Failure, Outcome};
use super::destinations::{Credentials, Destinations};
use super::files::Shown;
use super::schedule::Schedule;
use super::spec::Spec;
use super::{Config, Parts};

/// Signs of life that may be missed before an export is anybody's.
const MISSED_MAX: u32 = 4;
/// Attempts at a one-off export. A scheduled one is tried until it has failed for [`Config::pause_after_ms`].
const ATTEMPTS_MAX: u64 = 8;
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// Works on exports. Any number may share a catalog.
pub struct Worker {
    owner: ExporterId,
    exports: Arc<dyn Exports>,
    accounts: Arc<dyn Accounts>,
    source: Arc<dyn RowSource>,
    destinations: Arc<dyn Destinations>,
    key: Option<SealingKey>,
    clock: Arc<dyn Clock>,
    config: Config,
}

/// How an attempt ended.
enum Ended {
    Done(Outcome),
    Failed(Failure),
    /// Somebody else's, or nobody's.
    Lost,
    /// This process is to stop.
    Stopped,
}

impl Worker {
    pub(crate) fn new(parts: &Parts, key: Option<SealingKey>, entropy: &dyn Entropy) -> Self {
        Self {
            owner: ExporterId::generate(parts.clock.as_ref(), entropy),
            exports: parts.exports.clone(),
            accounts: parts.accounts.clone(),
            source: parts.source.clone(),
            destinations: parts.destinations.clone(),
            key,
            clock: parts.clock.clone(),
            config: parts.config.clone(),
        }
    }

    /// Works until told to stop; then an attempt at hand is given up, for anyone to take.
    pub async fn run(&self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            match self.work_on_one(&shutdown).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "could not look for exports"),
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(Duration::from_millis(self.config.look_interval_ms)) => {}
            }
        }
    }

    fn heart_beats_every(&self) -> Duration {
        Duration::from_millis(self.config.heartbeat_ms)
    }

    /// How long an export is somebody's without a sign of life.
    fn lease(&self) -> Duration {
        self.heart_beats_every() * MISSED_MAX
    }

    /// Whether there was one to work on.
    ///
    /// # Errors
    /// When the catalog is away.
    pub async fn work_on_one(&self, shutdown: &CancellationToken) -> Result<bool, CatalogError> {
        let now = self.clock.now();
        let claimed = self.exports.claim_export(self.owner, now, now.plus(self.lease())).await?;
        let Some(ClaimedExport { lease, export, was_abandoned }) = claimed else { return Ok(false) };
        self.work_on(lease, export, was_abandoned, shutdown).await?;
        Ok(true)
    }

    #[tracing::instrument(name = "export.run", skip_all, fields(
        tenant.id = %export.asked.tenant, export.id = %lease.export, export.run = lease.run,
    ))]
    async fn work_on(
        &self,
        lease: ExportLease,
        export: Export,
        was_abandoned: bool,
        shutdown: &CancellationToken,
    ) -> Result<(), CatalogError> {
        let ended =
            if was_abandoned { Ended::Failed(abandoned()) } else { self.attempt_at(lease, &export, shutdown).await };
        let noted = match ended {
            Ended::Done(outcome) => self.end(lease, &export, outcome).await,
            Ended::Failed(failure) => self.fail(lease, &export, failure).await,
            Ended::Stopped => self.exports.leave_export(lease).await,
            Ended::Lost => Ok(()),
        };
        match noted {
            Err(CatalogError::Changed(_)) => {
                tracing::info!("the export was called off, or somebody else has it");
                Ok(())
            }
            noted => noted,
        }
    }

    async fn attempt_at(&self, lease: ExportLease, export: &Export, shutdown: &CancellationToken) -> Ended {
        let shown = Shown::default();
        let attempt = self.attempt(lease, export, shown.clone());
        tokio::select! {
            outcome = attempt => outcome.map_or_else(Ended::Failed, Ended::Done),
            ended = self.heartbeat(lease, &shown) => ended,
            () = tokio::time::sleep(Duration::from_millis(self.config.run_deadline_ms)) => Ended::Failed(late()),
            () = shutdown.cancelled() => Ended::Stopped,
        }
    }

    async fn attempt(&self, lease: ExportLease, export: &Export, shown: Shown) -> Result<Outcome, Failure> {
        let caller = recall(&export.asked.caller)?;
        self.check_asker(&caller).await?;
        let spec = Arc::new(Spec::parse(&export.asked.spec)?);
        let sealed = export.asked.sealed.as_ref();
        let opened = sealed.map(|sealed| Credentials::open(self.key.as_ref(), lease.export, sealed)).transpose()?;
        let outlet = self.destinations.open(export.asked.tenant, &spec.destination, opened).await?;
        let attempt = Attempt {
            exports: self.exports.clone(),
            source: self.source.clone(),
            clock: self.clock.clone(),
            outlet,
            lease,
            export: export.clone(),
            caller,
            spec,
            file_bytes: self.config.file_bytes,
            keep_for: self.lease(),
            shown,
        };
        attempt.run().await
    }

    /// Whoever asked for the export must still be allowed to: a leaked key must not leave a tap behind.
    async fn check_asker(&self, caller: &Caller) -> Result<(), Fault> {
        let (tenant, now) = (caller.tenant(), self.clock.now());
        let refused = |why: &'static str| Err(Fault::new(Code::Forbidden, why));
        if self.accounts.app(tenant, caller.app()).await?.is_none() {
            return refused("The app that was exported is gone.");
        }
        if let Some(agent) = caller.agent()
            && self.accounts.agent(tenant, agent).await?.is_none()
        {
            return refused("The agent that was exported is gone.");
        }
        let scopes = match caller.principal() {
            Principal::Key(key) => {
                let key = self.accounts.key(key).await?.filter(|key| key.tenant == tenant);
                let lives = |at: Option<_>| at.is_none_or(|at| at > now);
                key.filter(|key| lives(key.revoked_at) && lives(key.expires_at)).map(|key| key.scopes)
            }
            Principal::Member(member, _) => {
                self.accounts.member(tenant, member).await?.map(|member| member.role.scopes())
            }
        };
        match scopes {
            Some(scopes) if scopes.has(Scope::Export) => Ok(()),
            _ => refused(
                "Whoever asked for this export may not export any more; ask for it again with a credential that may.",
            ),
        }
    }

    /// Gives signs of life, with the progress, for as long as they are heard.
    async fn heartbeat(&self, lease: ExportLease, shown: &Shown) -> Ended {
        loop {
            tokio::time::sleep(self.heart_beats_every()).await;
            let progress: Progress = *shown.lock().unwrap_or_else(PoisonError::into_inner);
            match self.exports.keep_export(lease, self.clock.now().plus(self.lease()), progress).await {
                Ok(()) => {}
                Err(CatalogError::Changed(_)) => return Ended::Lost,
                // The next one may be heard; when none is, somebody else takes the export.
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "cannot renew an export's lease")
                }
            }
        }
    }

    async fn end(&self, lease: ExportLease, export: &Export, outcome: Outcome) -> Result<(), CatalogError> {
        let at = self.clock.now();
        let Outcome { written, through, scores_through, told } = outcome;
        if let Some((run, _)) = &written {
            tracing::info!(export.rows = run.rows, export.deletes = run.deletes, export.bytes = run.bytes, "exported");
        }
        let then = next_run(export, at).map_or(Then::Done, Then::Again);
        self.exports.end_run(lease, RunEnd { written, through, scores_through, told, then, at }).await
    }

    async fn fail(&self, lease: ExportLease, export: &Export, failure: Failure) -> Result<(), CatalogError> {
        let at = self.clock.now();
        let then = self.after(export, &failure, at);
        let fault = failure.into_fault();
        tracing::warn!(error = %fault, export.failures = export.failures + 1, export.then = ?then, "an export failed");
        let failure = (fault.code, fault.message.to_string()).into();
        self.exports.fail_run(lease, failure, then, at).await
    }

    fn after(&self, export: &Export, failure: &Failure, at: Timestamp) -> AfterFailure {
        let is_scheduled = export.asked.schedule.is_some();
        let is_last = !is_scheduled && export.failures + 1 >= ATTEMPTS_MAX;
        let pause_after = Duration::from_millis(self.config.pause_after_ms);
        if failure.is_hopeless() || is_last {
            AfterFailure::GivenUp
        } else if is_scheduled && export.failing_since.is_some_and(|since| at.since(since) >= pause_after) {
            AfterFailure::Paused
        } else {
            AfterFailure::Again(at.plus(wait(export.failures, Duration::from_millis(self.config.retry_ms))))
        }
    }
}

/// An export that kills the process which works on it must not do so for ever.
fn abandoned() -> Failure {
    Fault::unavailable("The server that worked on this export stopped in the middle of it.").into()
}

fn late() -> Failure {
    Fault::new(
        Code::Timeout,
        "The export took longer than the server allows (export.run_deadline_ms); narrow its dates, or write to a faster \
         destination.",
    )
    .into()
}

fn next_run(export: &Export, now: Timestamp) -> Option<Timestamp> {
    let schedule: Schedule = export.asked.schedule.as_ref()?.parse().ok()?;
    schedule.next(now)
}

/// Before the attempt after this many failures and one more.
fn wait(failures: u64, first: Duration) -> Duration {
    let doubled = u32::try_from(failures).ok().and_then(|failures| 2_u32.checked_pow(failures));
    doubled.and_then(|times| first.checked_mul(times)).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_an_hour() {
        let seconds: Vec<_> =
            [0, 1, 5, 8, 9, 60, u64::MAX].map(|failures| wait(failures, Duration::from_secs(10)).as_secs()).into();
        assert_eq!(seconds, [10, 20, 320, 2_560, 3_600, 3_600, 3_600]);
    }
}
