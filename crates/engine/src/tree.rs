//! How the spans of a trace hang together, whatever is wrong with it: parents that are missing, spans that are each other's.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};

use arrow::array::{Array, AsArray};
use datafusion::dataframe::DataFrame;
use datafusion::prelude::col;
use futures::TryStreamExt;
use spanlake_model::{SpanId, TraceId};

use crate::error::Error;
use crate::session::TenantSession;

/// The same for the same value wherever it is computed.
pub(crate) fn hash(value: impl Hash) -> u64 {
    foldhash::quality::FixedState::default().hash_one(value)
}

/// Sets and maps whose keys are hashes already.
pub(crate) type HashedSet = HashSet<u64, BuildHasherDefault<AsItIs>>;
pub(crate) type HashedMap<V> = HashMap<u64, V, BuildHasherDefault<AsItIs>>;

/// The hash of a hash.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        // Keys are single numbers; anything else is still hashed, only not well.
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }
    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

/// A span among those of many traces.
pub(crate) fn span_hash(trace: &[u8], span: &[u8]) -> u64 {
    hash((trace, span))
}

/// Where circles of parents are cut: of each circle that is above one of these nodes, or contains it, the node with the smallest id,
/// which is then taken to have no parent. Every node is passed once.
pub(crate) fn cuts(from: impl Iterator<Item = u64>, parent: impl Fn(u64) -> Option<u64>) -> HashedSet {
    let mut walks: HashedMap<usize> = HashedMap::default();
    let mut cuts = HashedSet::default();
    for (walk, start) in from.enumerate() {
        let mut at = Some(start);
        while let Some(id) = at {
            match walks.get(&id) {
                Some(earlier) if *earlier == walk => {
                    cuts.insert(smallest_in_circle(id, &parent));
                    break;
                }
                Some(_) => break,
                None => walks.insert(id, walk),
            };
            at = parent(id);
        }
    }
    cuts
}

fn smallest_in_circle(start: u64, parent: impl Fn(u64) -> Option<u64>) -> u64 {
    let around = std::iter::successors(parent(start), |id| parent(*id));
    around.take_while(|id| *id != start).fold(start, u64::min)
}

/// Whether the parent that a span names can be drawn above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParentStatus {
    /// It names none: a root.
    None,
    /// It is there.
    Present,
    /// It has not come, or is elsewhere. May still come.
    Missing,
    /// It is below the span itself: here the circle is cut.
    Circular,
}

impl ParentStatus {
    /// In the words of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Present => "present",
            Self::Missing => "missing",
            Self::Circular => "circular",
        }
    }
}

/// Of one trace, the spans that name a parent and yet stand at the top.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LooseEnds {
    missing: HashedSet,
    circular: HashedSet,
}

/// What one span takes while its trace is looked at, maps included.
const NODE_BYTES: usize = 96;

impl LooseEnds {
    /// Reads the tree of one trace from all its spans.
    ///
    /// # Errors
    /// As [`TenantSession::collect`]; the ids of the whole trace are held in the query's memory meanwhile.
    pub async fn of(session: &TenantSession, spans: DataFrame) -> Result<Self, Error> {
        let mut stream = session.stream(spans.select(["trace_id", "span_id", "parent_span_id"].map(col))?).await?;
        let held = session.memory("tree");
        let mut parents: HashedMap<Option<u64>> = HashedMap::default();
        while let Some(batch) = stream.try_next().await? {
            session.within(held.try_grow(batch.num_rows() * NODE_BYTES))?;
            let [traces, spans, above] = [0, 1, 2].map(|column| batch.column(column).as_fixed_size_binary());
            let id = |ids: &arrow::array::FixedSizeBinaryArray, row| {
                ids.is_valid(row).then(|| span_hash(traces.value(row), ids.value(row)))
            };
            parents.extend((0..batch.num_rows()).filter_map(|row| Some((id(spans, row)?, id(above, row)))));
        }
        Ok(Self::among(&parents))
    }

    fn among(parents: &HashedMap<Option<u64>>) -> Self {
        let is_missing = |parent: &Option<u64>| parent.is_some_and(|parent| !parents.contains_key(&parent));
        Self {
            missing: parents.iter().filter(|(_, parent)| is_missing(parent)).map(|(id, _)| *id).collect(),
            circular: cuts(parents.keys().copied(), |id| parents.get(&id).copied().flatten()),
        }
    }

    /// Of a span of this trace.
    pub fn status(&self, trace: TraceId, span: SpanId, parent: Option<SpanId>) -> ParentStatus {
        let id = span_hash(trace.as_bytes(), span.as_bytes());
        match parent {
            None => ParentStatus::None,
            Some(_) if self.missing.contains(&id) => ParentStatus::Missing,
            Some(_) if self.circular.contains(&id) => ParentStatus::Circular,
            Some(_) => ParentStatus::Present,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(parents: &[(u64, u64)]) -> Vec<u64> {
        let tree: HashMap<_, _> = parents.iter().copied().collect();
        let mut found: Vec<_> = cuts(tree.keys().copied(), |id| tree.get(&id).copied()).into_iter().collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn each_circle_is_cut_once_wherever_one_begins() {
        assert_eq!(cut(&[(1, 1)]), [1]);
        assert_eq!(cut(&[(5, 4), (4, 3), (3, 5)]), [3]);
        assert_eq!(cut(&[(1, 2), (2, 3), (3, 4), (4, 2), (9, 8), (8, 9)]), [2, 8]);
        assert_eq!(cut(&[(1, 2), (2, 3), (4, 3)]), [] as [u64; 0]);
    }

    #[test]
    fn a_tree_of_any_shape_has_a_top_from_which_all_is_reached() {
        let parents =
            [(1, None), (2, Some(1)), (3, Some(99)), (4, Some(5)), (5, Some(4)), (6, Some(5))].into_iter().collect();
        let loose = LooseEnds::among(&parents);
        assert_eq!((loose.missing, loose.circular), (HashedSet::from_iter([3]), HashedSet::from_iter([4])));
    }
}
