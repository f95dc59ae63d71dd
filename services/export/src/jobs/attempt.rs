//! One attempt at one run: read a snapshot, write its files, then the manifest.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use bytes::Bytes;
use futures::TryStreamExt;
use spanlake_catalog::{Error as CatalogError, Export, ExportLease, ExportRun, Exports, UntoldErasure};
use spanlake_model::{
    AppId, Caller, Clock, ErasureId, Fault, FaultKind, Filter, Receipt, SpanFilter, Timestamp, TraceId,
};
use spanlake_proto::query::{RowSource, RowsOf, RowsRequest, Window};
use spanlake_store::export::Outlet;

use super::columns;
use super::encoder::Error;
use super::files::{Files, Place, Shown, Written, refused};
use super::manifest::{Manifest, Parent, Span, Through, VERSION};
use super::spec::{FileFormat, Spec};
use super::text;

/// Traces that are told again at most; where more were erased, everything is.
const AGAIN_MAX: usize = 10_000;

/// What an attempt needs.
pub(crate) struct Attempt {
    pub(crate) exports: Arc<dyn Exports>,
    pub(crate) source: Arc<dyn RowSource>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) outlet: Outlet,
    pub(crate) lease: ExportLease,
    pub(crate) export: Export,
    pub(crate) caller: Caller,
    pub(crate) spec: Arc<Spec>,
    pub(crate) file_bytes: usize,
    /// How long the lease lasts when it is renewed.
    pub(crate) keep_for: Duration,
    pub(crate) shown: Shown,
}

/// What a run has come to.
pub(crate) struct Outcome {
    /// `None`: nothing had changed.
    pub(crate) written: Option<(ExportRun, String)>,
    pub(crate) through: Vec<Receipt>,
    pub(crate) scores_through: Vec<Receipt>,
    pub(crate) told: Vec<ErasureId>,
}

/// Why an attempt has come to nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The asker, what was asked for, or the destination.
    Asked(Fault),
    /// The rows could not be read: whatever the reason, it was a fair question once, and may be answered later.
    Source(Fault),
}

/// What was erased since the last run.
struct Erased {
    told: Vec<ErasureId>,
    /// Whether all of the app was.
    everything: bool,
    traces: Vec<TraceId>,
}

impl Attempt {
    pub(crate) async fn run(self) -> Result<Outcome, Failure> {
        // The attempt before may have died between its manifest and the note of it.
        if let Some(outcome) = self.finished().await? {
            return Ok(outcome);
        }
        let is_scheduled = self.export.asked.schedule.is_some();
        // Before the snapshot: what is erased in between is told by the next run, and hidden in this one already.
        let untold = if is_scheduled { self.exports.untold_erasures(self.lease).await? } else { Vec::new() };
        let erased = Erased::of(untold);
        let request = self.request(&erased)?;
        let (table, window) = (request.of, request.window.clone());
        let rows = self.source.rows(&self.caller, request).await.map_err(Failure::Source)?;
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).total_rows = Some(rows.total);
        let (total, taken_at) = (rows.total, rows.taken_at);
        let through = Through {
            rows: furthest(&self.export.through, &rows.through),
            scores: furthest(&self.export.scores_through, &rows.scores_through),
        };

        let mut files = Files::new(self.place(), self.spec.clone(), table, self.shown.clone());
        files
            .delete(erased.deletes(table, self.caller.app()).map_err(|error| Fault::from(Error::from(error)))?)
            .await?;
        let mut batches = rows.batches;
        while let Some(batch) = batches.try_next().await.map_err(Failure::Source)? {
            files.take(batch).await?;
        }
        let written = files.finish().await?;
        if written.seen != total {
            tracing::error!(rows.announced = total, rows.came = written.seen, "an export is not whole");
            return Err(Failure::Source(Fault::internal()));
        }
        if is_scheduled && written.files.is_empty() {
            let Through { rows: through, scores: scores_through } = through;
            return Ok(Outcome { written: None, through, scores_through, told: erased.told });
        }
        let manifest = self.manifest(table, window, taken_at, &through, &erased.told, written);
        Ok(self.publish(manifest).await?)
    }

    /// The outcome of an attempt before this one that wrote its manifest.
    async fn finished(&self) -> Result<Option<Outcome>, Fault> {
        match self.outlet.get(&self.manifest_path()).await.map_err(refused)? {
            Some(bytes) => self.adopt(&bytes).await.map(Some),
            None => Ok(None),
        }
    }

    async fn adopt(&self, bytes: &[u8]) -> Result<Outcome, Fault> {
        let strange = || Fault::unavailable("The destination holds a manifest of this run that is not this export's.");
        let manifest = Manifest::parse(bytes).ok_or_else(strange)?;
        if manifest.export_id != self.lease.export.to_string() || manifest.run != self.lease.run {
            return Err(strange());
        }
        let text = String::from_utf8(bytes.to_vec()).map_err(|_| strange())?;
        self.settle(&manifest, text).await?.ok_or_else(strange)
    }

    /// What a manifest that lies there has come to, once the run's folder holds what it names and nothing else: what attempts that
    /// died have left is deleted. `None` when its places or erasures are not ours. The first manifest is the run for good, so nobody
    /// ever deletes what it names, and nothing is deleted before there is one.
    async fn settle(&self, manifest: &Manifest, text: String) -> Result<Option<Outcome>, Fault> {
        let (Some(through), Some(told)) = (manifest.through(), manifest.told()) else { return Ok(None) };
        let Through { rows: through, scores: scores_through } = through;
        let folder = self.folder();
        let mut there: BTreeSet<_> = self.outlet.list(&folder).await.map_err(refused)?.into_iter().collect();
        there.remove(&self.manifest_path());
        for file in &manifest.files {
            if !there.remove(&format!("{folder}/{}", file.path)) {
                return Err(Fault::unavailable(format!(
                    "The destination has lost '{}', which the manifest of run {} names; put it back, or cancel this export.",
                    file.path, self.lease.run
                )));
            }
        }
        for leftover in there {
            self.outlet.delete(&leftover).await.map_err(refused)?;
        }
        let run = manifest.summary(run_path(self.lease.run), &text);
        Ok(Some(Outcome { written: Some((run, text)), through, scores_through, told }))
    }

    fn request(&self, erased: &Erased) -> Result<RowsRequest, Fault> {
        let after = self.export.through.clone();
        let window = if after.is_empty() || erased.everything {
            None
        } else if erased.traces.len() > AGAIN_MAX {
            Some(Window::default())
        } else {
            Some(Window { after, scores_after: self.export.scores_through.clone(), again: erased.traces.clone() })
        };
        let spec = &self.spec;
        let (of, range) = (spec.table()?, spec.range()?);
        let (filter, score_filter) = match of {
            RowsOf::Scores => (SpanFilter::default(), spec.filter()?),
            RowsOf::Spans | RowsOf::Traces => {
                (SpanFilter { filter: spec.filter()?, ..SpanFilter::default() }, Filter::default())
            }
        };
        // Text has no field for what only details hold.
        let without_details = spec.format != FileFormat::Parquet;
        Ok(RowsRequest { of, range, filter, score_filter, window, without_details, with_scores: spec.scores })
    }

    fn place(&self) -> Place {
        let (outlet, tenant) = (self.outlet.clone(), self.export.asked.tenant);
        Place { outlet, folder: self.folder(), tenant, file_bytes: self.file_bytes }
    }

    fn folder(&self) -> String {
        format!("{}/{}", self.lease.export, run_folder(self.lease.run))
    }

    fn manifest_path(&self) -> String {
        format!("{}/{}", self.lease.export, run_path(self.lease.run))
    }

    fn manifest(
        &self,
        table: RowsOf,
        window: Option<Window>,
        taken_at: Timestamp,
        through: &Through,
        told: &[ErasureId],
        written: Written,
    ) -> Manifest {
        let (spec, asked) = (&self.spec, &self.export.asked);
        let parent = |run: &ExportRun| Parent { run: run.run, path: run.path.clone(), sha256: run.sha256.clone() };
        Manifest {
            version: VERSION,
            export_id: asked.id.to_string(),
            run: self.lease.run,
            tenant_id: asked.tenant.to_string(),
            app_id: asked.app.to_string(),
            table: table.as_str().to_string(),
            format: spec.format.as_str().to_string(),
            compression: spec.compression.as_str().to_string(),
            key: text::key(table, spec.format),
            agent_id: asked.agent.map(|agent| agent.to_string()),
            filter: spec.filter_text().to_string(),
            start_date: spec.start.map(|at| at.to_string()),
            end_date: spec.end.map(|at| at.to_string()),
            snapshot_at: taken_at.to_string(),
            window: window.map(|window| Span { after: words(&window.after), through: words(&through.rows) }),
            schema: written.schema,
            rows: written.rows,
            deletes: written.deletes,
            bytes: written.bytes,
            skipped: written.skipped,
            files: written.files,
            parent: self.export.last.as_ref().map(parent),
            created_at: self.clock.now().to_string(),
            through: words(&through.rows),
            scores_through: words(&through.scores),
            erasures: told.iter().map(ToString::to_string).collect(),
        }
    }

    /// Whoever has lost the lease stops here, and leaves the place as it is.
    async fn keep(&self) -> Result<(), Fault> {
        let progress = *self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(self.exports.keep_export(self.lease, self.clock.now().plus(self.keep_for), progress).await?)
    }

    /// Puts the manifest. When somebody else was faster, theirs is the run.
    async fn publish(&self, manifest: Manifest) -> Result<Outcome, Fault> {
        self.keep().await?;
        let text = manifest.to_text();
        let bytes = Bytes::from(text.clone().into_bytes());
        if !self.outlet.create(&self.manifest_path(), bytes).await.map_err(refused)? {
            let theirs = self.outlet.get(&self.manifest_path()).await.map_err(refused)?;
            return self.adopt(&theirs.ok_or_else(Fault::internal)?).await;
        }
        self.settle(&manifest, text).await?.ok_or_else(Fault::internal)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Asked(fault)
    }
}

impl From<CatalogError> for Failure {
    fn from(error: CatalogError) -> Self {
        Self::Asked(error.into())
    }
}

impl Failure {
    /// Whether trying again would be of no use.
    pub(crate) fn is_hopeless(&self) -> bool {
        use FaultKind::{Forbidden, Invalid, NotFound, TooLarge};
        match self {
            Self::Asked(fault) => matches!(fault.kind(), Invalid | Forbidden | NotFound | TooLarge),
            Self::Source(_) => false,
        }
    }

    pub(crate) fn into_fault(self) -> Fault {
        match self {
            Self::Asked(fault) | Self::Source(fault) => fault,
        }
    }
}

impl Erased {
    fn of(untold: Vec<UntoldErasure>) -> Self {
        let mut erased = Self { told: Vec::new(), everything: false, traces: Vec::new() };
        for UntoldErasure { id, traces } in untold {
            erased.told.push(id);
            match traces {
                Some(traces) => erased.traces.extend(traces),
                None => erased.everything = true,
            }
        }
        erased.traces.sort_unstable();
        erased.traces.dedup();
        erased
    }

    /// As rows of a file of deletes. What names a score stands in a trace id's place, and may be either.
    fn deletes(&self, table: RowsOf, app: AppId) -> Result<RecordBatch, arrow::error::ArrowError> {
        let schema = columns::deletes_schema(table);
        let mut keys: Vec<(Option<&TraceId>, Option<&TraceId>)> = Vec::new();
        if self.everything {
            keys.push((None, None));
        } else {
            keys.extend(self.traces.iter().map(|trace| (Some(trace), None)));
            if table == RowsOf::Scores {
                keys.extend(self.traces.iter().map(|key| (None, Some(key))));
            }
        }
        let text = |id: Option<&TraceId>| id.map(ToString::to_string);
        let apps: StringArray = keys.iter().map(|_| Some(app.to_string())).collect();
        let traces: StringArray = keys.iter().map(|(trace, _)| text(*trace)).collect();
        let others: StringArray = keys.iter().map(|(_, other)| text(*other)).collect();
        let columns: [ArrayRef; 3] = [Arc::new(apps), Arc::new(traces), Arc::new(others)];
        // A trace has no part that could be named.
        let columns = columns.into_iter().take(schema.fields().len()).collect();
        RecordBatch::try_new(schema, columns)
    }
}

/// `run=000001`.
fn run_folder(run: u64) -> String {
    format!("run={run:06}")
}

/// Of a run's manifest, below the export's folder.
fn run_path(run: u64) -> String {
    format!("{}/manifest.json", run_folder(run))
}

fn words(receipts: &[Receipt]) -> Vec<String> {
    receipts.iter().map(Receipt::to_string).collect()
}

/// Of each writer the later place. A writer that a snapshot does not know any more has not gone back.
fn furthest(before: &[Receipt], now: &[Receipt]) -> Vec<Receipt> {
    let mut places: std::collections::BTreeMap<_, u64> = std::collections::BTreeMap::new();
    for Receipt { writer, sequence } in before.iter().chain(now) {
        let place = places.entry(*writer).or_default();
        *place = (*place).max(*sequence);
    }
    places.into_iter().map(|(writer, sequence)| Receipt { writer, sequence }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use spanlake_model::WriterId;

    #[test]
    fn a_writer_never_goes_back() {
        let at = |writer, sequence| Receipt { writer: WriterId::from_bytes([writer; 16]), sequence };
        let through = furthest(&[at(2, 5), at(1, 9)], &[at(1, 8), at(3, 0), at(2, 6)]);
        assert_eq!(through, [at(1, 9), at(2, 6), at(3, 0)]);
    }
}
