//! Appends that are on their way: what a batch waits for, and what it does not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Wake;
use std::thread::Thread;

/// How many are on their way, shared by the log's thread and whoever announces.
#[derive(Default)]
pub(super) struct Coming {
    count: AtomicUsize,
    /// The log's thread, which may be waiting.
    thread: OnceLock<Thread>,
}

impl Coming {
    pub(super) fn announce(self: &Arc<Self>) -> Announced {
        self.count.fetch_add(1, Ordering::SeqCst);
        Announced(self.clone())
    }

    /// Called by the log's thread, once: it is woken from now on.
    pub(super) fn wakes_this_thread(&self) {
        let _ = self.thread.set(std::thread::current());
    }

    pub(super) fn is_any(&self) -> bool {
        self.count.load(Ordering::SeqCst) > 0
    }
}

impl Wake for Coming {
    fn wake(self: Arc<Self>) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

/// An append that somebody is preparing. Handed to [`super::Log::append`] with it, or dropped when nothing comes of it.
pub struct Announced(Arc<Coming>);

impl Drop for Announced {
    fn drop(&mut self) {
        // The last one lets a waiting batch go.
        if self.0.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.clone().wake();
        }
    }
}
