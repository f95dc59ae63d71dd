//! Whether auth answers, for whoever watches.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Shared by everything that asks auth.
#[derive(Default)]
pub(super) struct Away {
    is_away: AtomicBool,
    served: AtomicU64,
}

impl Away {
    /// It said something, if only no.
    pub(super) fn answered(&self) {
        self.is_away.store(false, Ordering::Relaxed);
    }
    pub(super) fn failed(&self) {
        self.is_away.store(true, Ordering::Relaxed);
    }
    /// Somebody was told what it had said before it went away.
    pub(super) fn was_stood_in_for(&self) {
        self.served.fetch_add(1, Ordering::Relaxed);
    }
    /// Whether the last call failed.
    pub(super) fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Relaxed)
    }
    pub(super) fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }
}
