//! What single data files came to, remembered from one query to the next: a file never changes, so neither does what it comes to under
//! the same conditions.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use moka::future::Cache;
use spanlake_model::FileId;

/// What an answer takes beside itself and its question.
const ENTRY_BYTES: usize = 160;

/// Answers of files, within a bound on memory; at the bound the least used go, to be found again.
#[derive(Clone)]
pub(crate) struct Answers(Cache<Question, Answer>);

/// What was asked of a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    pub(crate) file: FileId,
    /// A hash of all that decides the answer beside the file and what was asked.
    pub(crate) world: u64,
    pub(crate) asked: String,
}

#[derive(Clone)]
struct Answer {
    value: Arc<dyn Any + Send + Sync>,
    bytes: u32,
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers").field("count", &self.0.entry_count()).finish_non_exhaustive()
    }
}

impl Answers {
    pub(crate) fn new(bytes_max: usize) -> Self {
        let weight = |_: &Question, answer: &Answer| answer.bytes;
        Self(Cache::builder().max_capacity(bytes_max as u64).weigher(weight).build())
    }

    pub(crate) async fn get<T: Send + Sync + 'static>(&self, question: &Question) -> Option<Arc<T>> {
        self.0.get(question).await?.value.downcast().ok()
    }

    /// Remembers it, of so many bytes.
    pub(crate) async fn keep<T: Send + Sync + 'static>(&self, question: Question, value: Arc<T>, bytes: usize) {
        let bytes = u32::try_from(bytes + question.asked.len() + ENTRY_BYTES).unwrap_or(u32::MAX);
        self.0.insert(question, Answer { value, bytes }).await;
    }
}
