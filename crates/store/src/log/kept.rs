//! How much log there is, for whoever keeps it short.

use std::sync::{Mutex, PoisonError};

use super::segment::Closed;

/// The closed segments, oldest first: the last sequence and the size of each.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<Vec<(u64, u64)>>);

impl Kept {
    pub(super) fn set(&self, closed: &[Closed]) {
        let segment = |closed: &Closed| (closed.last.values().copied().max().unwrap_or(0), closed.bytes);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = closed.iter().map(segment).collect();
    }

    /// The last sequence of the newest segment that does not fit into `bytes_max` together with those after it; 0 when all fit.
    pub(super) fn beyond(&self, bytes_max: u64) -> u64 {
        let segments = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = 0;
        let too_much = segments.iter().rev().find(|(_, bytes)| {
            kept += bytes;
            kept > bytes_max
        });
        too_much.map_or(0, |(last, _)| *last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spanlake_model::TenantId;

    #[test]
    fn the_oldest_segments_are_too_much() {
        let kept = Kept::default();
        assert_eq!(kept.beyond(0), 0);
        let closed = |last, bytes| Closed {
            path: Default::default(),
            last: [(TenantId::from_bytes([1; 16]), last)].into_iter().collect(),
            bytes,
        };
        kept.set(&[closed(10, 100), closed(20, 100), closed(30, 100)]);
        assert_eq!([300, 299, 199, 99].map(|max| kept.beyond(max)), [0, 10, 20, 30]);
    }
}
