//! A snapshot in pieces that can be looked at one by one, and what each came to remembered.
//!
//! ```text
//!   files      ├── a ──┤├─── b ───┤├── c ──┤   fresh rows
//!   traces     1 1 2 3   3 4 4 5    6 7 7      7 8
//!   pieces     {1 2}      {4 5}      {6}                    each alone: its traces are nowhere else
//!   the rest   {3 3 7 7 7 8}                                one session over what is left
//! ```
//! A piece is a data file that lies in the range as a whole, without the traces of which another file or the memory of a writer has rows
//! too, and without those of which any row may have been replaced. So whatever is settled within traces (whose call counts, what belongs
//! to all spans) is settled within a piece, and what pieces come to can be put together. A day that is merged into one file shares the
//! traces that were under way at midnight with its neighbours, and no others.
//!
//! Which traces are shared is known from [`crate::index`], by 32 bits of each id: a few more than really are go to the rest.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use datafusion::common::{Result as PlanResult, internal_datafusion_err};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};
use datafusion::prelude::{col, not};
use futures::{StreamExt, TryStreamExt, stream};
use spanlake_catalog::DataFile;
use spanlake_model::{FileId, TimeRange};

use crate::answers::{Answers, Question};
use crate::columns::signature;
use crate::error::Error;
use crate::index::{Named, Prints, print};
use crate::range::{joined, microsecond, starts_in_any};
use crate::session::TenantSession;
use crate::tree::hash;

/// Of a file's traces at most one in so many may be shared; a file that shares more is of the rest.
const ALONE: usize = 4;
/// Stretches of time that lie closer together than this are taken for one.
const GAP: Duration = Duration::from_secs(600);
/// Stretches of one file in which shared traces are looked for.
const STRETCHES_MAX: usize = 8;
/// Files say when their spans begin to the microsecond.
const MICROSECOND: Duration = Duration::from_micros(1);
/// Files that are looked at side by side for where their shared traces lie.
const LOOKED_AT_ONCE: usize = 2;

/// A snapshot in pieces: each visible row of the range is in one of the pieces or in the rest, and all rows of a trace are in the same.
#[derive(Debug)]
pub struct Pieces {
    /// Single files.
    pub alone: Vec<Piece>,
    /// What is left.
    pub rest: TenantSession,
}

/// One data file, without the traces that it shares.
#[derive(Debug)]
pub struct Piece {
    session: TenantSession,
    file: DataFile,
    world: u64,
    answers: Answers,
}

impl Piece {
    /// Its rows alone. All of them are in the range.
    pub fn session(&self) -> &TenantSession {
        &self.session
    }

    /// From the start of its first span to behind that of its last.
    pub fn range(&self) -> TimeRange {
        extent(&self.file)
    }

    /// What the piece came to, remembered or settled now. `asked` says what is asked and on whose behalf, all of it: whoever asks the same
    /// gets the same answer while the file lives and its shared traces, the erasures under way and the tenant's prices stay as they are.
    ///
    /// # Errors
    /// Those of `settle`, which says how many bytes its answer takes; nothing is remembered then.
    pub async fn remembered<T, E>(
        &self,
        asked: String,
        settle: impl Future<Output = Result<(T, usize), E>>,
    ) -> Result<Arc<T>, E>
    where
        T: Send + Sync + 'static,
    {
        let question = Question { file: self.file.id, world: self.world, asked };
        if let Some(known) = self.answers.get(&question).await {
            return Ok(known);
        }
        let (answer, bytes) = settle.await?;
        let answer = Arc::new(answer);
        self.answers.keep(question, answer.clone(), bytes).await;
        Ok(answer)
    }
}

/// What is left out of some files, or all that is left of them.
#[derive(Clone, Debug)]
pub(crate) struct Cut {
    pub(crate) files: HashSet<FileId>,
    shared: Shared,
    keeps_shared: bool,
    /// Where the shared traces of all these files lie; `None`: anywhere.
    stretches: Option<Vec<TimeRange>>,
}

/// The columns that a cut looks at.
pub(crate) const CUT_BY: &[&str] = &["trace_id", "start_time", "start_nanos"];

impl Cut {
    /// What the rows of its files are like that are left.
    pub(crate) fn kept(&self) -> Expr {
        let is_shared = ScalarUDF::from(self.shared.clone()).call(vec![col("trace_id")]);
        if !self.keeps_shared {
            return not(is_shared);
        }
        match &self.stretches {
            None => is_shared,
            Some(stretches) => starts_in_any(stretches).and(is_shared),
        }
    }
}

/// Prints of traces of which rows are in several places.
#[derive(Clone, Debug)]
struct Shared {
    prints: Arc<HashSet<u32>>,
    signature: Signature,
}

impl Shared {
    fn of(prints: impl Iterator<Item = u32>) -> Self {
        Self { prints: Arc::new(prints.collect()), signature: signature(std::iter::once("trace_id")) }
    }
}

impl PartialEq for Shared {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.prints, &other.prints)
    }
}

impl Eq for Shared {}

impl Hash for Shared {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.prints).hash(state);
    }
}

impl ScalarUDFImpl for Shared {
    fn name(&self) -> &str {
        "is_shared"
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _: &[DataType]) -> PlanResult<DataType> {
        Ok(DataType::Boolean)
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> PlanResult<ColumnarValue> {
        let ids = args.args[0].to_array(args.number_rows)?;
        let ids = ids.as_fixed_size_binary_opt().ok_or_else(|| internal_datafusion_err!("is_shared takes ids"))?;
        let is_shared = |row| ids.is_valid(row) && self.prints.contains(&print(ids.value(row)));
        Ok(ColumnarValue::Array(Arc::new((0..ids.len()).map(|row| Some(is_shared(row))).collect::<BooleanArray>())))
    }
}

/// A file that is a piece, and the prints of traces that it shares.
struct Sharing {
    file: DataFile,
    shared: Vec<u32>,
    /// Rows of these traces, about.
    rows: u64,
}

impl TenantSession {
    /// The snapshot in pieces: files that lie in `within` as a whole, and have rows enough that it is worth it, each by itself.
    /// Without it, files that touch the session's range, of which a piece has all rows, also those outside.
    ///
    /// # Errors
    /// [`Error::Index`], [`Error::Deadline`] when what files hold is not known yet; as [`Self::collect`] when it is not known yet where
    /// shared traces lie.
    pub async fn pieces(&self, within: Option<TimeRange>) -> Result<Pieces, Error> {
        if !self.files().iter().any(|file| self.is_piece(file, within)) {
            return Ok(self.whole());
        }
        let files = self.sharing(within).await?;
        let alone: Vec<_> = files.iter().map(|sharing| self.piece(sharing)).collect();
        let rest = self.rest(&alone, files).await?;
        Ok(Pieces { alone, rest })
    }

    /// Everything as the rest, for what cannot be looked at in pieces.
    pub fn whole(&self) -> Pieces {
        Pieces { alone: Vec::new(), rest: self.clone() }
    }

    fn is_piece(&self, file: &DataFile, within: Option<TimeRange>) -> bool {
        let lies =
            |range: TimeRange| range.start() <= file.min_start && file.max_start.plus(MICROSECOND) <= range.end();
        file.rows >= self.piece_rows() && within.is_none_or(|within| lies(within) && lies(self.range()))
    }

    /// The files that are pieces. Traces are shared that are in two files, in a file and in memory, or of which a row may have been
    /// replaced.
    async fn sharing(&self, within: Option<TimeRange>) -> Result<Vec<Sharing>, Error> {
        let (held, shares) = self.traces_of_files().await?;
        let mut elsewhere = Prints::of_batches(self.fresh(), Named::Trace)?.as_slice().to_vec();
        elsewhere.extend(self.replaced().map(|key| print(key.trace_id.as_bytes())));
        elsewhere.retain(|print| shares.holds(*print));
        let mut files = Vec::new();
        for (place, file) in self.files().iter().enumerate().filter(|(_, file)| self.is_piece(file, within)) {
            let mut shared = shares.of_file(place).to_vec();
            shared.extend(elsewhere.iter().copied().filter(|print| held[place].holds(*print)));
            shared.sort_unstable();
            shared.dedup();
            let traces = held[place].as_slice().len();
            if shared.len() * ALONE <= traces {
                let rows = file.rows.saturating_mul(shared.len() as u64) / (traces as u64).max(1);
                files.push(Sharing { file: file.clone(), shared, rows });
            }
        }
        Ok(files)
    }

    fn piece(&self, sharing: &Sharing) -> Piece {
        let Sharing { file, shared, .. } = sharing;
        let cut = (!shared.is_empty()).then(|| sharing.cut(false));
        let world = hash((shared, self.world()));
        Piece { session: self.alone(file.clone(), cut), file: file.clone(), world, answers: self.answers().clone() }
    }

    /// What is left of the pieces' files, and all other rows. A file that shares nothing is not opened.
    async fn rest(&self, alone: &[Piece], files: Vec<Sharing>) -> Result<Self, Error> {
        let looked_for = alone.iter().zip(&files).filter(|(_, sharing)| !sharing.shared.is_empty());
        let looked_for: Vec<_> = looked_for.map(|(piece, sharing)| self.stretches(piece, sharing)).collect();
        let stretches: Vec<_> = stream::iter(looked_for).buffered(LOOKED_AT_ONCE).try_collect().await?;
        let cut = Cut {
            files: files.iter().map(|sharing| sharing.file.id).collect(),
            shared: Shared::of(files.iter().flat_map(|sharing| sharing.shared.iter().copied())),
            keeps_shared: true,
            stretches: Some(joined(
                stretches.iter().flat_map(|found| found.iter().copied()).collect(),
                GAP,
                STRETCHES_MAX * alone.len(),
            )),
        };
        let rows = files.iter().map(|sharing| sharing.rows).sum();
        let done = files.into_iter().filter(|sharing| sharing.shared.is_empty()).map(|sharing| sharing.file.id);
        Ok(self.without(&done.collect(), cut, rows))
    }

    /// When the shared traces of a piece's file have spans.
    async fn stretches(&self, piece: &Piece, sharing: &Sharing) -> Result<Arc<Vec<TimeRange>>, Error> {
        let settle = async {
            let session = self.alone(sharing.file.clone(), Some(sharing.cut(true)));
            let mut found = Vec::new();
            for batch in session.collect(session.rows()?.select(vec![col("start_time")])?).await? {
                let starts = batch.column(0).as_primitive_opt::<TimestampMicrosecondType>();
                let starts = starts.ok_or_else(|| internal_datafusion_err!("a start is no time"))?;
                found.extend(starts.values().iter().map(|micros| microsecond(*micros)));
            }
            let stretches = joined(found, GAP, STRETCHES_MAX);
            let bytes = size_of_val(&*stretches);
            Ok((stretches, bytes))
        };
        piece.remembered("stretches of shared traces".to_owned(), settle).await
    }
}

impl Sharing {
    fn cut(&self, keeps_shared: bool) -> Cut {
        let shared = Shared::of(self.shared.iter().copied());
        Cut { files: HashSet::from([self.file.id]), shared, keeps_shared, stretches: None }
    }
}

fn extent(file: &DataFile) -> TimeRange {
    let end = file.max_start.plus(MICROSECOND);
    TimeRange::new(file.min_start, end).expect("a file's first span begins no later than its last")
}
