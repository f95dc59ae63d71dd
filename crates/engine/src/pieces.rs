//! A snapshot in pieces that can be looked at one by one, and what each came to remembered.
//!
//! ```text
//!   files      ├── a ──┤├─── b ───┤├── c ──┤   fresh rows
//!   traces     1 1 2 3   3 4 4 5    6 7 7      7 8
//!   pieces     {1 2}      {4 5}      {6}                    each alone: its traces are nowhere else
//!   the seam        {3 3}                                   one more piece: traces that only pieces' files share
//!   the rest   {7 7 7 8}                                    one session over what is left
//! ```
//! A piece is a data file that lies in the range as a whole, without the traces of which another file or the memory of a writer has rows
//! too, and without those of which any row may have been replaced. So whatever is settled within traces (whose call counts, what belongs
//! to all spans) is settled within a piece, and what pieces come to can be put together. A day that is merged into one file shares the
//! traces that were under way at midnight with its neighbours, and no others. Those are the seam, which changes only when one of its files
//! does. The rest is files that are no pieces, rows in memory, and the rows that pieces' files have of their traces.
//!
//! Which traces are shared is known from [`crate::index`], by 32 bits of each id: a few more than really are go to the rest.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::common::{Result as PlanResult, internal_datafusion_err};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};
use datafusion::prelude::{col, not};
use spanlake_catalog::DataFile;
use spanlake_model::{FileId, TimeRange};

use crate::answers::{Answers, Question};
use crate::columns::signature;
use crate::error::Error;
use crate::index::{Named, Prints, print};
use crate::session::TenantSession;
use crate::tree::hash;

/// Of a file's traces at most one in so many may be shared; a file that shares more is of the rest.
const ALONE: usize = 4;
/// Files say when their spans begin to the microsecond.
const MICROSECOND: Duration = Duration::from_micros(1);
/// A snapshot in pieces: each visible row of the range is in one of the pieces or in the rest, and all rows of a trace are in the same.
#[derive(Debug)]
pub struct Pieces {
    /// Single files, and the seam between them.
    pub alone: Vec<Piece>,
    /// What is left.
    pub rest: TenantSession,
}

/// Traces that are whole in one data file, or in some of them.
#[derive(Debug)]
pub struct Piece {
    session: TenantSession,
    /// One of its files.
    file: FileId,
    range: TimeRange,
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
        self.range
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
        let question = Question { file: self.file, world: self.world, asked };
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
}

/// The columns that a cut looks at.
pub(crate) const CUT_BY: &[&str] = &["trace_id"];

impl Cut {
    /// What the rows of its files are like that are left.
    pub(crate) fn kept(&self) -> Expr {
        let is_shared = ScalarUDF::from(self.shared.clone()).call(vec![col("trace_id")]);
        if self.keeps_shared { is_shared } else { not(is_shared) }
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
    /// With files that are pieces as well, and with nothing else.
    seam: Vec<u32>,
    /// With anything else, or of which rows may have been replaced.
    rest: Vec<u32>,
    /// In the file.
    traces: usize,
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
        let alone = files.iter().map(|sharing| self.piece(sharing)).chain(self.seam(&files)).collect();
        Ok(Pieces { alone, rest: self.rest(&files) })
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

    /// The files that are pieces.
    async fn sharing(&self, within: Option<TimeRange>) -> Result<Vec<Sharing>, Error> {
        let (held, shares) = self.traces_of_files().await?;
        let is_piece = |place: usize| {
            let shared = shares.of_file(place).len();
            self.is_piece(&self.files()[place], within) && shared * ALONE <= held[place].as_slice().len()
        };
        let (pieces, others): (Vec<_>, Vec<_>) = (0..self.files().len()).partition(|place| is_piece(*place));
        let mut elsewhere = Prints::of_batches(self.fresh(), Named::Trace)?.as_slice().to_vec();
        elsewhere.extend(self.replaced().map(|key| print(key.trace_id.as_bytes())));
        elsewhere.retain(|print| shares.holds(*print));
        elsewhere.extend(others.iter().flat_map(|place| shares.of_file(*place)));
        let elsewhere: HashSet<u32> = elsewhere.into_iter().collect();
        let sharing = |place: usize| {
            let seam = shares.of_file(place).iter().copied().filter(|print| !elsewhere.contains(print)).collect();
            let mut rest: Vec<_> = elsewhere.iter().copied().filter(|print| held[place].holds(*print)).collect();
            rest.sort_unstable();
            Sharing { file: self.files()[place].clone(), seam, rest, traces: held[place].as_slice().len() }
        };
        Ok(pieces.into_iter().map(sharing).collect())
    }

    fn piece(&self, sharing: &Sharing) -> Piece {
        let file = &sharing.file;
        let shared: Vec<u32> = sharing.seam.iter().chain(&sharing.rest).copied().collect();
        let world = hash((&shared, self.world()));
        let cut = (!shared.is_empty()).then(|| Cut::of([file.id], shared, false));
        let session = self.alone(vec![file.clone()], cut);
        Piece { session, file: file.id, range: extent(file), world, answers: self.answers().clone() }
    }

    /// The traces that pieces' files share with each other alone.
    fn seam(&self, files: &[Sharing]) -> Option<Piece> {
        let files: Vec<_> = files.iter().filter(|sharing| !sharing.seam.is_empty()).collect();
        let extents = files.iter().map(|sharing| extent(&sharing.file));
        let range = extents.reduce(around)?;
        let ids = || files.iter().map(|sharing| sharing.file.id);
        let of_each = files.iter().map(|sharing| (sharing.file.id, &sharing.seam));
        let world = of_each.fold(self.world(), |world, each| hash((world, each)));
        let cut = Cut::of(ids(), files.iter().flat_map(|sharing| sharing.seam.iter().copied()), true);
        let session = self.alone(files.iter().map(|sharing| sharing.file.clone()).collect(), Some(cut));
        Some(Piece { session, file: ids().next()?, range, world, answers: self.answers().clone() })
    }

    /// All other rows. A piece's file of which nothing is left for it is not opened.
    fn rest(&self, files: &[Sharing]) -> Self {
        let done = files.iter().filter(|sharing| sharing.rest.is_empty()).map(|sharing| sharing.file.id).collect();
        let shared = files.iter().flat_map(|sharing| sharing.rest.iter().copied());
        let cut = Cut::of(files.iter().map(|sharing| sharing.file.id), shared, true);
        self.without(&done, cut, files.iter().map(Sharing::rows).sum())
    }
}

impl Sharing {
    /// Those that go to the rest, about.
    fn rows(&self) -> u64 {
        self.file.rows.saturating_mul(self.rest.len() as u64) / (self.traces as u64).max(1)
    }
}

impl Cut {
    fn of(files: impl IntoIterator<Item = FileId>, shared: impl IntoIterator<Item = u32>, keeps_shared: bool) -> Self {
        Self { files: files.into_iter().collect(), shared: Shared::of(shared.into_iter()), keeps_shared }
    }
}

fn extent(file: &DataFile) -> TimeRange {
    let end = file.max_start.plus(MICROSECOND);
    TimeRange::new(file.min_start, end).expect("a file's first span begins no later than its last")
}

/// From the first instant of either to the last.
fn around(one: TimeRange, other: TimeRange) -> TimeRange {
    TimeRange::new(one.start().min(other.start()), one.end().max(other.end())).unwrap_or(one)
}
