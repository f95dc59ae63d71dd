//! The files of a run: one open at a time for rows and one for deletes, each put when it is large enough or its day is over.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::{filter_record_batch, not};
use arrow::datatypes::Int32Type;
use bytes::Bytes;
use spanlake_catalog::Progress;
use spanlake_model::{Day, Fault, TenantId};
use spanlake_proto::query::{FITS, RowsOf};
use spanlake_store::background::{self, Rank};
use spanlake_store::export::{Outlet, Trouble};
use tokio::task::JoinSet;

use super::columns::{self, KeyRange};
use super::encoder::{Encoder, Error};
use super::manifest::{self, Column, File, Kind};
use super::spec::{FileFormat, Spec};
use super::text;

/// Files of one run at most: what a manifest can name and a catalog keep.
const FILES_MAX: usize = 20_000;

/// How far a run is, for whoever looks.
pub(crate) type Shown = Arc<Mutex<Progress>>;

/// Where and how files are written.
pub(crate) struct Place {
    pub(crate) outlet: Outlet,
    /// The run's folder.
    pub(crate) folder: String,
    pub(crate) tenant: TenantId,
    /// About how large a file is when it is put.
    pub(crate) file_bytes: usize,
}

/// Writes the files of one run.
pub(crate) struct Files {
    place: Place,
    spec: Arc<Spec>,
    table: RowsOf,
    rows: Option<Open>,
    deletes: Option<Open>,
    /// The file that is on its way while the next one grows; dropping it calls it off.
    putting: JoinSet<Result<File, Fault>>,
    written: Written,
    shown: Shown,
}

/// What has been written.
#[derive(Default)]
pub(crate) struct Written {
    pub(crate) files: Vec<File>,
    pub(crate) schema: Vec<Column>,
    pub(crate) rows: u64,
    pub(crate) deletes: u64,
    pub(crate) bytes: u64,
    pub(crate) skipped: BTreeMap<String, u64>,
    /// Rows that came, whatever became of them.
    pub(crate) seen: u64,
}

/// A file that is not put yet.
struct Open {
    day: Option<Day>,
    encoder: Encoder,
    keys: KeyRange,
}

impl Files {
    pub(crate) fn new(place: Place, spec: Arc<Spec>, table: RowsOf, shown: Shown) -> Self {
        let putting = JoinSet::new();
        Self { place, spec, table, rows: None, deletes: None, putting, written: Written::default(), shown }
    }

    /// Takes a batch as the source has it: what fits becomes rows, what does not becomes deletes.
    pub(crate) async fn take(&mut self, batch: RecordBatch) -> Result<(), Fault> {
        self.written.seen += batch.num_rows() as u64;
        let fits = batch.column_by_name(FITS).and_then(|fits| fits.as_boolean_opt());
        let fits = fits.ok_or_else(Fault::internal)?.clone();
        if fits.true_count() < batch.num_rows() {
            let others = not(&fits).and_then(|others| filter_record_batch(&batch, &others)).map_err(Error::from)?;
            self.delete(columns::deletes(self.table, &others)?).await?;
        }
        if fits.true_count() == 0 {
            return Ok(());
        }
        let rows = filter_record_batch(&batch, &fits).map_err(Error::from)?;
        self.describe(&rows)?;
        for (day, rows) in by_day(&rows)? {
            self.push(Kind::Rows, Some(day), rows).await?;
        }
        Ok(())
    }

    /// Takes deletes.
    pub(crate) async fn delete(&mut self, deletes: RecordBatch) -> Result<(), Fault> {
        if deletes.num_rows() == 0 {
            return Ok(());
        }
        self.push(Kind::Deletes, None, deletes).await
    }

    /// Puts what is open, and tells what was written.
    pub(crate) async fn finish(mut self) -> Result<Written, Fault> {
        for kind in [Kind::Rows, Kind::Deletes] {
            self.put(kind).await?;
        }
        self.settle().await?;
        Ok(self.written)
    }

    fn describe(&mut self, rows: &RecordBatch) -> Result<(), Fault> {
        if !self.written.schema.is_empty() {
            return Ok(());
        }
        self.written.schema = if self.spec.format == FileFormat::Parquet {
            let slice = columns::of(self.table, &rows.slice(0, 0)).map_err(Error::from)?;
            columns::described(&slice.schema())
        } else {
            text::described(self.table, self.spec.format, self.spec.scores)
        };
        Ok(())
    }

    fn open(&mut self, kind: Kind) -> &mut Option<Open> {
        match kind {
            Kind::Rows => &mut self.rows,
            Kind::Deletes => &mut self.deletes,
        }
    }

    async fn push(&mut self, kind: Kind, day: Option<Day>, batch: RecordBatch) -> Result<(), Fault> {
        if self.open(kind).as_ref().is_some_and(|open| open.day != day) {
            self.put(kind).await?;
        }
        let table = self.table;
        let mut open = match self.open(kind).take() {
            Some(open) => open,
            None => Open { day, encoder: Encoder::new(&self.spec, table, kind)?, keys: KeyRange::default() },
        };
        // Encoding a batch takes milliseconds: not on a thread that others wait for, and after those.
        let pushed = background::run(Rank::Below, move || {
            if kind == Kind::Rows {
                open.keys.add(table, &batch)?;
            }
            open.encoder.push(&batch)?;
            Ok::<_, Error>(open)
        });
        let open = pushed.await.map_err(broken)??;
        let is_full = open.encoder.bytes() >= self.place.file_bytes;
        *self.open(kind) = Some(open);
        if is_full { self.put(kind).await } else { Ok(()) }
    }

    /// Ends the open file of a kind and has it put under the digest of what is in it. One without a row is none.
    async fn put(&mut self, kind: Kind) -> Result<(), Fault> {
        let Some(Open { day, encoder, keys, .. }) = self.open(kind).take() else { return Ok(()) };
        let rows = encoder.rows;
        for (reason, count) in &encoder.skipped {
            *self.written.skipped.entry((*reason).to_string()).or_default() += count;
        }
        if rows == 0 {
            return Ok(());
        }
        if self.written.files.len() + self.putting.len() >= FILES_MAX {
            return Err(Fault::new(
                spanlake_model::Code::PayloadTooLarge,
                format!(
                    "The export has more than {FILES_MAX} files; narrow its dates, or have the server write larger files."
                ),
            ));
        }
        let finished = background::run(Rank::Below, move || {
            let bytes = encoder.finish()?;
            let sha256 = manifest::sha256(&bytes);
            Ok::<_, Error>((Bytes::from(bytes), sha256))
        });
        let (bytes, sha256) = finished.await.map_err(broken)??;
        // One at a time: beside the two that are open a run holds one more, and knows those before when it names the next.
        self.settle().await?;
        let path = self.path(kind, day, &sha256);
        let (min_key, max_key) = keys.into_ends();
        let file = File {
            path,
            kind,
            date: day.map(|day| day.to_string()),
            rows,
            bytes: bytes.len() as u64,
            sha256,
            min_key,
            max_key,
        };
        let (outlet, path) = (self.place.outlet.clone(), format!("{}/{}", self.place.folder, file.path));
        self.putting.spawn(async move {
            outlet.put(&path, bytes).await.map_err(refused)?;
            Ok(file)
        });
        Ok(())
    }

    /// Waits for the file that is on its way.
    async fn settle(&mut self) -> Result<(), Fault> {
        while let Some(file) = self.putting.join_next().await {
            self.note(file.map_err(broken)??);
        }
        Ok(())
    }

    /// The same bytes twice, which only rows without ids can be, are two files.
    fn path(&self, kind: Kind, day: Option<Day>, sha256: &str) -> String {
        let folder = match (kind, day) {
            (Kind::Rows, Some(day)) => format!("tenant={}/date={day}", self.place.tenant),
            _ => "deletes".to_string(),
        };
        let same = self.written.files.iter().filter(|file| file.sha256 == sha256).count();
        let number = if same == 0 { String::new() } else { format!("-{}", same + 1) };
        format!("{folder}/{sha256}{number}{}", self.spec.extension())
    }

    fn note(&mut self, file: File) {
        let written = &mut self.written;
        match file.kind {
            Kind::Rows => written.rows += file.rows,
            Kind::Deletes => written.deletes += file.rows,
        }
        written.bytes += file.bytes;
        written.files.push(file);
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        (shown.rows, shown.bytes, shown.files) = (written.rows, written.bytes, written.files.len() as u64);
    }
}

/// The rows apart by day, in order; nearly always one.
fn by_day(batch: &RecordBatch) -> Result<Vec<(Day, RecordBatch)>, Fault> {
    let minutes = batch.column_by_name("start_minute").and_then(|minutes| minutes.as_primitive_opt::<Int32Type>());
    let minutes = minutes.ok_or_else(Fault::internal)?;
    let day_of = |minute: i32| Day(minute.div_euclid(24 * 60));
    let mut days: Vec<Day> = minutes.values().iter().map(|minute| day_of(*minute)).collect();
    days.sort_unstable();
    days.dedup();
    if let [day] = days[..] {
        return Ok(vec![(day, batch.clone())]);
    }
    let of_day = |day: Day| {
        let rows = minutes.values().iter().map(|minute| Some(day_of(*minute) == day)).collect();
        Ok((day, filter_record_batch(batch, &rows).map_err(Error::from)?))
    };
    days.into_iter().map(of_day).collect()
}

/// What a panic says may be made of what somebody sent, so it is not passed on; its place has been logged.
fn broken<E>(_: E) -> Fault {
    tracing::error!("writing a file of an export broke down");
    Fault::internal()
}

/// What a destination's refusal means to whoever asked for the export.
pub(crate) fn refused(error: spanlake_store::file::Error) -> Fault {
    let trouble = Trouble::of(&error);
    tracing::warn!(%trouble, cause = Trouble::cause(&error), "the destination of an export cannot be used");
    Fault::unavailable(format!("The destination cannot be used: {trouble}."))
}
