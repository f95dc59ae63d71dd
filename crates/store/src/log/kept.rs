//! How much log there is, for whoever keeps it short, and for whoever watches.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::segment::Closed;

/// The closed segments, oldest first: the last sequence and the size of each.
#[derive(Debug, Default)]
pub(super) struct Kept {
    closed: Mutex<Vec<(u64, u64)>>,
    /// Bytes in the open segment.
    open: AtomicU64,
}

/// How much log there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Of segments, the open one among them.
    pub segments: u64,
    /// In them.
    pub bytes: u64,
}

impl Kept {
    pub(super) fn set(&self, closed: &[Closed]) {
        let segment = |closed: &Closed| (closed.last.values().copied().max().unwrap_or(0), closed.bytes);
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner) = closed.iter().map(segment).collect();
    }

    /// The open segment is so long now.
    pub(super) fn open_is(&self, bytes: u64) {
        self.open.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn size(&self) -> Size {
        let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: u64 = closed.iter().map(|(_, bytes)| bytes).sum();
        Size { segments: closed.len() as u64 + 1, bytes: bytes + self.open.load(Ordering::Relaxed) }
    }

    /// The last sequence of the newest segment that does not fit into `bytes_max` together with those after it; 0 when all fit.
    pub(super) fn beyond(&self, bytes_max: u64) -> u64 {
        let segments = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
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
        kept.open_is(7);
        assert_eq!(kept.size(), Size { segments: 4, bytes: 307 });
    }
}
