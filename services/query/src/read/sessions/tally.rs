//! Whole traces, and the sessions that they belong to, counted in one pass over their spans.
//!
//! A trace takes about 100 bytes, a session what its name does and as much again; what only its spans know is forgotten.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, FixedSizeBinaryArray, PrimitiveArray, RecordBatch, StringViewArray};
use arrow::datatypes::{Decimal128Type, Int64Type};
use foldhash::fast::FixedState;
use spanlake_model::TraceId;
use spanlake_store::rows::{ids, numbers, texts};

use crate::error::Error;

/// Whether a span names a session and began in the range, computed before.
pub(super) const NAMES_IN_RANGE: &str = "names_in_range";
/// What of a span is summed up, computed before where anything is: tokens, or money in units of 10⁻¹² dollars.
pub(super) const AMOUNT: &str = "amount";
/// When a span began, in nanoseconds, computed before.
pub(super) const START: &str = "start_ns";
/// When it ended.
pub(super) const END: &str = "end_ns";
/// What a span is held against, at most.
pub(super) const FITS_MAX: usize = 32;

/// Whether a span is as the one with this number asks, computed before.
pub(super) fn fits(number: usize) -> String {
    format!("fits_{number}")
}

/// A session as a number, in the order in which they were met.
type Number = u32;

/// No session.
const NONE: Number = Number::MAX;
/// No span of a trace has any.
const NO_AMOUNT: i64 = -1;
/// No span has ended.
const NO_END: i64 = i64::MIN;

/// Which of the spans that name a session says whose the trace is: the lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    is_below: bool,
    start_ns: i64,
    span: u64,
}

/// What some spans of a trace come to.
#[derive(Clone, Copy, Debug)]
struct Trace {
    rank: Rank,
    /// Of the span with that rank.
    session: Number,
    /// Named by a span in range; all others are kept beside.
    in_range: Number,
    first_ns: i64,
    last_end_ns: i64,
    /// Of what is more than nothing. At the most that there is, it may be more.
    amount: i64,
    fits: u32,
}

impl Trace {
    /// Adds other spans, and returns what is left over of [`Self::in_range`].
    fn add(&mut self, other: &Self) -> Option<Number> {
        if other.session != NONE && (self.session == NONE || other.rank < self.rank) {
            (self.rank, self.session) = (other.rank, other.session);
        }
        self.first_ns = self.first_ns.min(other.first_ns);
        self.last_end_ns = self.last_end_ns.max(other.last_end_ns);
        self.amount = match (self.amount, other.amount) {
            (NO_AMOUNT, amount) | (amount, NO_AMOUNT) => amount,
            (one, other) => one.saturating_add(other),
        };
        self.fits |= other.fits;
        match (self.in_range, other.in_range) {
            (_, NONE) => None,
            (NONE, named) => {
                self.in_range = named;
                None
            }
            (known, named) => (known != named).then_some(named),
        }
    }
}

/// The names of sessions, and their numbers.
#[derive(Debug, Default)]
struct Names {
    names: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, Number, FixedState>,
}

impl Names {
    /// The number of a session, and by how many bytes this grew.
    fn number(&mut self, name: &str) -> (Number, usize) {
        if let Some(number) = self.numbers.get(name) {
            return (*number, 0);
        }
        let number = Number::try_from(self.names.len()).unwrap_or(NONE);
        let name: Arc<str> = name.into();
        self.names.push(name.clone());
        let grown = name.len() + NAME_BYTES;
        self.numbers.insert(name, number);
        (number, grown)
    }
}

/// Beside the name itself: the counts before it, its place in the list and in the map.
const NAME_BYTES: usize = 80;
/// In the map, at its fullest.
const TRACE_BYTES: usize = size_of::<(TraceId, Trace)>() + 1;

/// A session, by all spans of its traces that were counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) id: Arc<str>,
    pub(super) start_ns: i64,
    /// The last; none while no span has ended.
    pub(super) end_ns: Option<i64>,
    pub(super) traces: i64,
    /// The sum of what is more than nothing; none where no span says any.
    pub(super) amount: Option<i128>,
    /// Whether a span that names it is in the range.
    pub(super) is_in_range: bool,
    /// For each thing that spans were held against, lowest bit first, whether one of them was like it.
    pub(super) fits: u32,
}

/// A trace of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) trace: TraceId,
    /// Its place among the sessions asked for.
    pub(super) session: usize,
    pub(super) start_ns: i64,
}

/// Traces, counted.
#[derive(Debug, Default)]
pub(super) struct Tally {
    names: Names,
    traces: HashMap<TraceId, Trace, FixedState>,
    /// Of the few traces of which spans in range name several sessions.
    also_in_range: HashMap<TraceId, Vec<Number>, FixedState>,
}

impl Tally {
    /// Counts the spans of a batch, and returns by how many bytes it grew.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<usize, Error> {
        let spans = Spans::of(batch)?;
        let before = self.traces.capacity();
        let mut grown = 0;
        // Spans of a trace mostly come one after another, and those of a session as well.
        let mut run: Option<(TraceId, Trace)> = None;
        let mut last: Option<(&str, Number)> = None;
        for row in 0..spans.len() {
            let named = spans.session(row).map(|name| match last {
                Some((same, number)) if same == name => number,
                _ => {
                    let (number, more) = self.names.number(name);
                    grown += more;
                    last = Some((name, number));
                    number
                }
            });
            let (id, span) = (spans.trace(row)?, spans.span(row, named.unwrap_or(NONE)));
            match &mut run {
                Some((same, trace)) if *same == id => {
                    if let Some(left) = trace.add(&span) {
                        self.name_in_range(id, left);
                    }
                }
                _ => {
                    if let Some((id, trace)) = run.replace((id, span)) {
                        self.put(id, trace);
                    }
                }
            }
        }
        if let Some((id, trace)) = run {
            self.put(id, trace);
        }
        Ok(grown + (self.traces.capacity() - before) * TRACE_BYTES)
    }

    fn put(&mut self, id: TraceId, trace: Trace) {
        match self.traces.get_mut(&id) {
            Some(known) => {
                if let Some(left) = known.add(&trace) {
                    self.name_in_range(id, left);
                }
            }
            None => {
                self.traces.insert(id, trace);
            }
        }
    }

    fn name_in_range(&mut self, trace: TraceId, session: Number) {
        let named = self.also_in_range.entry(trace).or_default();
        if !named.contains(&session) {
            named.push(session);
        }
    }

    /// All parts as one.
    pub(super) fn together(mut parts: Vec<Self>) -> Self {
        let largest = (0..parts.len()).max_by_key(|part| parts[*part].traces.len());
        let mut whole = largest.map(|part| parts.swap_remove(part)).unwrap_or_default();
        parts.into_iter().for_each(|part| whole.merge(part));
        whole
    }

    fn merge(&mut self, other: Self) {
        let renumbered: Vec<_> = other.names.names.iter().map(|name| self.names.number(name).0).collect();
        let renumber = |number: Number| renumbered.get(number as usize).copied().unwrap_or(NONE);
        for (id, trace) in other.traces {
            let (session, in_range) = (renumber(trace.session), renumber(trace.in_range));
            self.put(id, Trace { session, in_range, ..trace });
        }
        for (id, named) in other.also_in_range {
            named.into_iter().for_each(|session| self.name_in_range(id, renumber(session)));
        }
    }

    /// The sessions that traces belong to, in no order.
    pub(super) fn sessions(self) -> Vec<Sums> {
        let Self { names, traces, also_in_range } = self;
        let mut sums: Vec<Option<Sums>> = vec![None; names.names.len()];
        for (id, trace) in traces {
            let Some(name) = names.names.get(trace.session as usize) else { continue };
            let also = || also_in_range.get(&id).is_some_and(|named| named.contains(&trace.session));
            let one = Sums {
                id: name.clone(),
                start_ns: trace.first_ns,
                end_ns: Some(trace.last_end_ns).filter(|end| *end != NO_END),
                traces: 1,
                amount: amount(trace.amount),
                is_in_range: trace.in_range == trace.session || also(),
                fits: trace.fits,
            };
            match &mut sums[trace.session as usize] {
                Some(session) => session.add(&one),
                none => *none = Some(one),
            }
        }
        sums.into_iter().flatten().collect()
    }

    /// The traces of these sessions, in no order.
    pub(super) fn members(&self, sessions: &[String]) -> Vec<Member> {
        let places: HashMap<Number, usize> = sessions
            .iter()
            .enumerate()
            .filter_map(|(place, id)| Some((*self.names.numbers.get(id.as_str())?, place)))
            .collect();
        let member = |(trace, counted): (&TraceId, &Trace)| {
            let session = *places.get(&counted.session)?;
            Some(Member { trace: *trace, session, start_ns: counted.first_ns })
        };
        self.traces.iter().filter_map(member).collect()
    }
}

/// Of a trace.
fn amount(amount: i64) -> Option<i128> {
    match amount {
        NO_AMOUNT => None,
        // As much as a trace's sum holds: it may be any more.
        i64::MAX => Some(i128::from(i64::MAX) << 32),
        amount => Some(i128::from(amount)),
    }
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.start_ns = self.start_ns.min(other.start_ns);
        self.end_ns = self.end_ns.max(other.end_ns);
        self.traces += other.traces;
        self.amount = match (self.amount, other.amount) {
            (Some(one), Some(other)) => Some(one.saturating_add(other)),
            (one, other) => one.or(other),
        };
        self.is_in_range |= other.is_in_range;
        self.fits |= other.fits;
    }
}

/// The rows of one batch.
struct Spans<'a> {
    traces: &'a FixedSizeBinaryArray,
    spans: &'a FixedSizeBinaryArray,
    roots: &'a BooleanArray,
    sessions: &'a StringViewArray,
    starts: &'a PrimitiveArray<Int64Type>,
    ends: &'a PrimitiveArray<Int64Type>,
    in_range: &'a BooleanArray,
    amounts: Option<Amounts<'a>>,
    fits: Vec<&'a BooleanArray>,
}

#[derive(Clone, Copy)]
enum Amounts<'a> {
    Tokens(&'a PrimitiveArray<Int64Type>),
    Money(&'a PrimitiveArray<Decimal128Type>),
}

impl Amounts<'_> {
    fn at(self, row: usize) -> i64 {
        match self {
            Self::Tokens(tokens) if tokens.is_valid(row) => tokens.value(row).max(0),
            Self::Money(money) if money.is_valid(row) => i64::try_from(money.value(row).max(0)).unwrap_or(i64::MAX),
            _ => NO_AMOUNT,
        }
    }
}

fn flags<'a>(batch: &'a RecordBatch, name: &'static str) -> Result<&'a BooleanArray, Error> {
    batch.column_by_name(name).and_then(|column| column.as_boolean_opt()).ok_or(Error::Column(name))
}

impl<'a> Spans<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self, Error> {
        let amounts = batch.column_by_name(AMOUNT).map(|amounts| match amounts.as_primitive_opt() {
            Some(tokens) => Ok(Amounts::Tokens(tokens)),
            None => amounts.as_primitive_opt().map(Amounts::Money).ok_or(Error::Column(AMOUNT)),
        });
        let fitting = (0..FITS_MAX).map_while(|number| batch.column_by_name(&fits(number)));
        let fits = fitting.map(|column| column.as_boolean_opt().ok_or(Error::Column("fits")));
        Ok(Self {
            traces: ids(batch, "trace_id")?,
            spans: ids(batch, "span_id")?,
            roots: flags(batch, "is_root")?,
            sessions: texts(batch, "session_id")?,
            starts: numbers(batch, START)?,
            ends: numbers(batch, END)?,
            in_range: flags(batch, NAMES_IN_RANGE)?,
            amounts: amounts.transpose()?,
            fits: fits.collect::<Result<_, _>>()?,
        })
    }

    fn len(&self) -> usize {
        self.traces.len()
    }

    fn session(&self, row: usize) -> Option<&'a str> {
        self.sessions.is_valid(row).then(|| self.sessions.value(row))
    }

    fn trace(&self, row: usize) -> Result<TraceId, Error> {
        TraceId::from_slice(self.traces.value(row)).map_err(|_| Error::Column("trace_id"))
    }

    fn span(&self, row: usize, session: Number) -> Trace {
        let holds = |flags: &BooleanArray| flags.is_valid(row) && flags.value(row);
        let start_ns = self.starts.value(row);
        let span = self.spans.value(row).try_into().map_or(0, u64::from_be_bytes);
        let bit = |(number, fits): (usize, &&BooleanArray)| u32::from(holds(fits)) << number;
        Trace {
            rank: Rank { is_below: !holds(self.roots), start_ns, span },
            session,
            in_range: if holds(self.in_range) { session } else { NONE },
            first_ns: start_ns,
            last_end_ns: if self.ends.is_valid(row) { self.ends.value(row) } else { NO_END },
            amount: self.amounts.map_or(NO_AMOUNT, |amounts| amounts.at(row)),
            fits: self.fits.iter().enumerate().map(bit).sum(),
        }
    }
}

#[cfg(test)]
mod tests;
