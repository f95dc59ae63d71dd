//! Proof of a write, to be shown to a reader.

use std::fmt;
use std::str::FromStr;

use crate::ids::{IdError, WriterId};

/// Where an acknowledged write stands: the `sequence`-th frame of a writer's log.
/// A read that is given one answers no earlier than it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Whose log.
    pub writer: WriterId,
    /// Which frame, counted from 1.
    pub sequence: u64,
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.writer, self.sequence)
    }
}

impl FromStr for Receipt {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let (writer, sequence) = text.split_once('.').unwrap_or((text, ""));
        let writer = writer.parse()?;
        let sequence = sequence.parse().map_err(|_| IdError::receipt())?;
        Ok(Self { writer, sequence })
    }
}
