//! Parts of a snapshot that hold whole traces, one by one ([`Pieces`]), as one caller sees them; and what each came to.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use spanlake_engine::{Piece, Pieces, TenantSession};
use spanlake_model::{Caller, TimeRange};

use crate::error::Error;

/// Parts that are looked at side by side.
const AT_ONCE: usize = 2;

/// A piece, or the rest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'p> {
    pub(crate) session: &'p TenantSession,
    piece: Option<&'p Piece>,
    caller: &'p Caller,
}

impl<'p> Part<'p> {
    /// The pieces, in the order of their files, then the rest.
    pub(crate) fn all(pieces: &'p Pieces, caller: &'p Caller) -> Vec<Self> {
        let alone = pieces.alone.iter().map(|piece| Self { session: piece.session(), piece: Some(piece), caller });
        alone.chain([Self { session: &pieces.rest, piece: None, caller }]).collect()
    }

    /// In which all its spans begin, of a piece.
    pub(crate) fn range(&self) -> Option<TimeRange> {
        self.piece.map(Piece::range)
    }

    /// What comes of `settle`, which says how many bytes that takes; of a piece, remembered for whoever may see what the caller may, and
    /// asks the same. `asked` says all of it.
    pub(crate) async fn remembered<T: Send + Sync + 'static>(
        &self,
        asked: String,
        settle: impl Future<Output = Result<(T, usize), Error>>,
    ) -> Result<Arc<T>, Error> {
        match self.piece {
            Some(piece) => {
                let (app, agent) = (self.caller.app(), self.caller.agent());
                piece.remembered(format!("{app:?} {agent:?}: {asked}"), settle).await
            }
            None => Ok(Arc::new(settle.await?.0)),
        }
    }
}

/// What comes of all of these, some at a time, in any order.
pub(crate) async fn of_each<T>(work: Vec<impl Future<Output = Result<T, Error>>>) -> Result<Vec<T>, Error> {
    stream::iter(work).buffer_unordered(AT_ONCE).try_collect().await
}
