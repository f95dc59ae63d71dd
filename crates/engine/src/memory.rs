//! One query's share of the memory for all queries.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryLimit, MemoryPool, MemoryReservation};

use crate::error::Error;

/// A bound of its own below a shared one.
#[derive(Debug)]
pub(crate) struct QueryPool {
    shared: Arc<dyn MemoryPool>,
    used: AtomicUsize,
    bytes_max: usize,
    own_bound_met: AtomicBool,
}

impl QueryPool {
    pub(crate) fn new(shared: Arc<dyn MemoryPool>, bytes_max: usize) -> Self {
        Self { shared, used: AtomicUsize::new(0), bytes_max, own_bound_met: AtomicBool::new(false) }
    }

    /// Which bound the last refused allocation ran into.
    pub(crate) fn error(&self) -> Error {
        if self.own_bound_met.load(Ordering::Relaxed) {
            return Error::QueryMemory { bytes: self.bytes_max };
        }
        Error::SharedMemory
    }
}

/// Memory of a query for what is held beside its plans, until it is dropped.
#[derive(Debug)]
pub struct Held {
    pub(crate) reservation: MemoryReservation,
    pub(crate) pool: Arc<QueryPool>,
}

impl Held {
    /// Takes so many bytes more.
    ///
    /// # Errors
    /// [`Error::QueryMemory`], [`Error::SharedMemory`].
    pub fn grow(&mut self, bytes: usize) -> Result<(), Error> {
        self.reservation.try_grow(bytes).map_err(|error| Error::of(error, || self.pool.error()))
    }
}

impl MemoryPool for QueryPool {
    fn name(&self) -> &str {
        "query"
    }
    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.used.fetch_add(additional, Ordering::Relaxed);
        self.shared.grow(reservation, additional);
    }
    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.used.fetch_sub(shrink, Ordering::Relaxed);
        self.shared.shrink(reservation, shrink);
    }
    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let grown = |used: usize| used.checked_add(additional).filter(|used| *used <= self.bytes_max);
        if self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown).is_err() {
            self.own_bound_met.store(true, Ordering::Relaxed);
            return Err(DataFusionError::ResourcesExhausted(format!(
                "the query's {} bytes are used up",
                self.bytes_max
            )));
        }
        self.shared.try_grow(reservation, additional).inspect_err(|_| {
            self.used.fetch_sub(additional, Ordering::Relaxed);
        })
    }
    fn reserved(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.bytes_max)
    }
}

impl fmt::Display for QueryPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "query({} of {} bytes)", self.reserved(), self.bytes_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryConsumer};

    #[test]
    fn a_refused_byte_is_in_neither_pool() {
        let shared: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(100));
        let [one, two] = [80, 80].map(|bytes| Arc::new(QueryPool::new(shared.clone(), bytes)));
        let pools: [Arc<dyn MemoryPool>; 2] = [one.clone(), two.clone()];
        let [first, second] = pools.each_ref().map(|pool| MemoryConsumer::new("test").register(pool));
        first.try_grow(81).unwrap_err();
        assert!(matches!(one.error(), Error::QueryMemory { bytes: 80 }));
        first.try_grow(70).unwrap();
        second.try_grow(40).unwrap_err();
        assert!(matches!(two.error(), Error::SharedMemory));
        assert_eq!((shared.reserved(), one.reserved(), two.reserved()), (70, 70, 0));
        drop(first);
        assert_eq!((shared.reserved(), one.reserved()), (0, 0));
    }
}
