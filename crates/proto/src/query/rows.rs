//! All rows of a table from one snapshot, for files that a warehouse reads.

use std::fmt;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use futures::stream::BoxStream;
use spanlake_model::{Caller, Fault, Filter, Receipt, SpanFilter, TimeRange, Timestamp, TraceId};

use crate::convert::{Malformed, required};
use crate::pb::query::v1 as pb;

/// The column beside the table's own in every batch: whether the row is wanted. One that is not is there because it came in
/// the window and an older version of it may have been wanted; only its key counts.
pub const FITS: &str = "fits";

/// Rows of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowsOf {
    /// In `store::schema` of spans; costs and content as every reader sees them.
    Spans,
    /// In `store::schema` of scores; of each score its last version.
    Scores,
    /// In `store::schema` of traces: a row for all spans of a trace, as lists show it.
    Traces,
}

impl RowsOf {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Spans, Self::Scores, Self::Traces];

    /// In the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spans => "spans",
            Self::Scores => "scores",
            Self::Traces => "traces",
        }
    }
    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rows| rows.as_str() == text)
    }
}

/// What has come in since a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Rows above these places of the writers' logs; of a writer that is not named, all.
    pub after: Vec<Receipt>,
    /// And, where rows show scores or are chosen by them, those of traces with scores above these places.
    pub scores_after: Vec<Receipt>,
    /// And rows of these traces (scores: or whose key begins so), wherever they stand.
    pub again: Vec<TraceId>,
}

/// Which rows.
#[derive(Clone, Debug, PartialEq)]
pub struct RowsRequest {
    /// Of what.
    pub of: RowsOf,
    /// That start in this range.
    pub range: TimeRange,
    /// And are like this; for spans and traces.
    pub filter: SpanFilter,
    /// And are like this; for scores ([`Filter::of_scores`]).
    pub score_filter: Filter,
    /// And are in this window; `None`: all.
    pub window: Option<Window>,
    /// Of spans: whether attributes, resource, events and links are left out, `{}` and `[]` in their place.
    pub without_details: bool,
    /// Of spans: whether each has the column [`super::SCORES`] behind its own.
    pub with_scores: bool,
}

impl RowsRequest {
    /// All rows, whole.
    pub fn of(of: RowsOf) -> Self {
        let (filter, score_filter) = (SpanFilter::default(), Filter::default());
        let range = TimeRange::all();
        Self { of, range, filter, score_filter, window: None, without_details: false, with_scores: false }
    }

    /// Whether scores decide which rows there are, or are shown in them, so that rows change when scores do.
    pub fn needs_scores(&self) -> bool {
        match self.of {
            RowsOf::Spans => self.with_scores || self.filter.filter.asks_for_scores(),
            RowsOf::Traces => true,
            RowsOf::Scores => false,
        }
    }
}

/// The answer: one snapshot, streamed day by day, in no other order.
pub struct Rows {
    /// How many rows the stream brings; one that ends earlier without an error is broken.
    pub total: u64,
    /// Of each writer the last write in the snapshot: where the next window begins.
    pub through: Vec<Receipt>,
    /// As `through`, of the scores beside the rows; nothing when the request needs none.
    pub scores_through: Vec<Receipt>,
    /// When it was taken.
    pub taken_at: Timestamp,
    /// The rows, with [`FITS`] as the last column. All of a batch start on one day, and no day comes again.
    pub batches: BoxStream<'static, Result<RecordBatch, Fault>>,
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("total", &self.total).field("through", &self.through).finish_non_exhaustive()
    }
}

/// Reads rows of the caller's app. Dropping the stream stops the query.
#[async_trait]
pub trait RowSource: Send + Sync + 'static {
    /// Takes the snapshot and starts.
    async fn rows(&self, caller: &Caller, request: RowsRequest) -> Result<Rows, Fault>;
}

impl From<RowsRequest> for pb::RowsTicket {
    fn from(request: RowsRequest) -> Self {
        Self {
            table: request.of.as_str().to_string(),
            range: Some(request.range.into()),
            filter: Some(request.filter.into()),
            window: request.window.map(|window| pb::Window {
                after: to_words(&window.after),
                scores_after: to_words(&window.scores_after),
                again: window.again.iter().map(|trace| trace.as_bytes().to_vec()).collect(),
            }),
            without_details: request.without_details,
            with_scores: request.with_scores,
            score_filter: request.score_filter.to_string(),
        }
    }
}

impl TryFrom<pb::RowsTicket> for RowsRequest {
    type Error = Malformed;
    fn try_from(ticket: pb::RowsTicket) -> Result<Self, Malformed> {
        let window = |window: pb::Window| {
            let again = window.again.iter().map(|trace| TraceId::from_slice(trace));
            let again = again.collect::<Result<_, _>>().map_err(|_| Malformed("rows.window.again"))?;
            let scores_after = receipts(&window.scores_after)?;
            Ok(Window { after: receipts(&window.after)?, scores_after, again })
        };
        Ok(Self {
            of: RowsOf::parse(&ticket.table).ok_or(Malformed("rows.table"))?,
            range: required(ticket.range, "rows.range")?,
            filter: required(ticket.filter, "rows.filter")?,
            window: ticket.window.map(window).transpose()?,
            without_details: ticket.without_details,
            with_scores: ticket.with_scores,
            score_filter: score_filter(&ticket.score_filter)?,
        })
    }
}

impl Rows {
    pub(super) fn header(&self) -> pb::RowsHeader {
        let (total, through) = (self.total, to_words(&self.through));
        let scores_through = to_words(&self.scores_through);
        pb::RowsHeader { total, through, scores_through, taken_at_nanos: self.taken_at.as_nanos() }
    }

    pub(super) fn of(
        header: &pb::RowsHeader,
        batches: BoxStream<'static, Result<RecordBatch, Fault>>,
    ) -> Result<Self, Malformed> {
        let taken_at = Timestamp::from_nanos(header.taken_at_nanos);
        let (through, scores_through) = (receipts(&header.through)?, receipts(&header.scores_through)?);
        Ok(Self { total: header.total, through, scores_through, taken_at, batches })
    }
}

fn score_filter(text: &str) -> Result<Filter, Malformed> {
    if text.is_empty() {
        return Ok(Filter::default());
    }
    Filter::of_scores(text).map_err(|_| Malformed("rows.score_filter"))
}

fn to_words(receipts: &[Receipt]) -> Vec<String> {
    receipts.iter().map(Receipt::to_string).collect()
}

fn receipts(words: &[String]) -> Result<Vec<Receipt>, Malformed> {
    words.iter().map(|word| word.parse()).collect::<Result<_, _>>().map_err(|_| Malformed("a receipt"))
}
