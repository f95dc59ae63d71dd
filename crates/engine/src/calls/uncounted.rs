//! The rule as a set: which spans' usage repeats that of others. With it, sums can be grouped by anything, and the sums of
//! the groups are the whole.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::DataType;
use datafusion::common::Result as PlanResult;
use datafusion::dataframe::DataFrame;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};
use datafusion::prelude::{Expr, col, lit};
use datafusion::scalar::ScalarValue;

use super::aggregate::{Columns, KEYS, unreadable};
use super::{Forest, Node, Report};
use crate::columns::{SPENT, kind, signature};
use crate::error::Error;
use crate::session::TenantSession;
use crate::tree::{HashedSet, hash, span_hash};

/// What a span takes in the maps of the rule, beside itself.
const MAPS_BYTES: usize = 48;
/// What a span takes in the set.
const KEPT_BYTES: usize = 20;

/// A span that reports usage or cost.
pub fn reports() -> Expr {
    let zero = |name: &str| ScalarValue::new_zero(&kind(name)).expect("numbers have a zero");
    let positive = |name: &&str| col(*name).gt(lit(zero(name)));
    let any = SPENT.iter().map(positive).reduce(Expr::or).expect("there are some");
    // A null is no yes.
    datafusion::functions::core::expr_fn::coalesce(vec![any, lit(false)])
}

/// Spans whose usage repeats that of others in their trace, by the rule of [`TenantSession::call_totals`].
pub struct Uncounted {
    spans: Arc<HashedSet>,
    _memory: Option<MemoryReservation>,
}

impl fmt::Debug for Uncounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uncounted").field("spans", &self.spans.len()).finish_non_exhaustive()
    }
}

impl Uncounted {
    /// Among these spans, which are priced and of whole traces. Their trees are held some traces at a time, as
    /// [`crate::Config::tree_rows`] says.
    ///
    /// # Errors
    /// As [`TenantSession::collect`].
    pub async fn among(session: &TenantSession, spans: DataFrame) -> Result<Self, Error> {
        let columns: Vec<Expr> = KEYS.into_iter().chain(SPENT).map(col).collect();
        let spans = spans.select(columns)?;
        let kept = session.memory("uncounted calls");
        let mut found = HashedSet::default();
        for part in session.parts_of_traces() {
            for span in round_of(session, spans.clone().filter(part)?).await? {
                session.within(kept.try_grow(KEPT_BYTES))?;
                found.insert(span);
            }
        }
        Ok(Self { spans: Arc::new(found), _memory: Some(kept) })
    }

    /// No longer in the memory of its query, to be kept beyond it, and how many bytes it takes.
    pub fn kept(self) -> (Self, usize) {
        let bytes = self.spans.len() * KEPT_BYTES;
        (Self { spans: self.spans, _memory: None }, bytes)
    }

    /// Whether a span's usage counts.
    pub fn counts(&self) -> Expr {
        if self.spans.is_empty() {
            return lit(true);
        }
        let keys = ["trace_id", "span_id"];
        let counts = Counts { uncounted: self.spans.clone(), signature: signature(keys.into_iter()) };
        ScalarUDF::from(counts).call(keys.map(col).to_vec())
    }
}

/// Of one round. Its trees are forgotten at the end.
async fn round_of(session: &TenantSession, spans: DataFrame) -> Result<Vec<u64>, Error> {
    let trees = session.fold(spans, add).await?;
    let uncounted = |parts: Vec<Forest>| {
        let mut whole = Forest::default();
        parts.into_iter().for_each(|part| whole.extend(part));
        let mut uncounted: HashedSet = whole.reports.iter().map(|report| report.node).collect();
        whole.counted(|report| {
            uncounted.remove(&report.node);
        });
        uncounted.into_iter().collect()
    };
    trees.finish(uncounted).await
}

/// Adds the spans of a batch, and returns by how many bytes the trees grew.
fn add(forest: &mut Forest, batch: &RecordBatch) -> Result<usize, Error> {
    let columns = Columns(batch.columns());
    let before = forest.reports.len();
    for row in 0..batch.num_rows() {
        let node = columns.node(row).ok_or_else(|| Error::Engine(unreadable()))?;
        let mut report = columns.report(node.id, row);
        if let Some(report) = report.as_mut().filter(|report| report.response != 0) {
            // One trace at a time: groups of any kind then sum up to the traces' own sums.
            let trace = columns.trace(row).ok_or_else(|| Error::Engine(unreadable()))?;
            report.response = hash((trace, report.response));
        }
        forest.nodes.push(node);
        forest.reports.extend(report);
    }
    let reports = forest.reports.len() - before;
    Ok(batch.num_rows() * (size_of::<Node>() + MAPS_BYTES) + reports * size_of::<Report>())
}

#[derive(Debug)]
struct Counts {
    uncounted: Arc<HashedSet>,
    signature: Signature,
}

impl PartialEq for Counts {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.uncounted, &other.uncounted)
    }
}

impl Eq for Counts {}

impl Hash for Counts {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.uncounted).hash(state);
    }
}

impl ScalarUDFImpl for Counts {
    fn name(&self) -> &str {
        "counts"
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _: &[DataType]) -> PlanResult<DataType> {
        Ok(DataType::Boolean)
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> PlanResult<ColumnarValue> {
        let rows = args.number_rows;
        let ids = args.args.into_iter().map(|ids| ids.into_array(rows)).collect::<PlanResult<Vec<_>>>()?;
        let [traces, spans] = [0, 1].map(|place: usize| ids[place].as_fixed_size_binary_opt());
        let (traces, spans) = traces.zip(spans).ok_or_else(unreadable)?;
        let counts = |row| !self.uncounted.contains(&span_hash(traces.value(row), spans.value(row)));
        Ok(ColumnarValue::Array(Arc::new((0..rows).map(|row| Some(counts(row))).collect::<BooleanArray>())))
    }
}
