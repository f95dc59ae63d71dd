//! Whether anybody still waits for a query. Work that holds its thread for long asks, since dropping a stream ends only what gives way.

use std::hash::{Hash, Hasher};
use std::sync::Weak;

use datafusion::common::{DataFusionError, Result};
use tokio::time::Instant;

use crate::turns::Turn;

/// What long work of one query holds of it. It does not keep the query's turn.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    turn: Weak<Turn>,
    deadline: Instant,
}

impl Wanted {
    pub(crate) fn new(turn: Weak<Turn>, deadline: Instant) -> Self {
        Self { turn, deadline }
    }

    /// # Errors
    /// The session and its streams were dropped, or the deadline has passed: nobody will see what comes of it.
    pub(crate) fn check(&self) -> Result<()> {
        if self.turn.strong_count() > 0 && Instant::now() < self.deadline {
            return Ok(());
        }
        Err(DataFusionError::Execution("nobody waits for this query any more".into()))
    }
}

impl PartialEq for Wanted {
    fn eq(&self, other: &Self) -> bool {
        self.turn.ptr_eq(&other.turn)
    }
}

impl Eq for Wanted {}

impl Hash for Wanted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.turn.as_ptr().hash(state);
    }
}
