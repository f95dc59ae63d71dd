//! The keys in one day's data files, as hashes.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use spanlake_model::SpanKey;

/// Which keys a tenant's files of one day may hold, and whether each had ended. About 24 bytes a key.
///
/// Keys are kept as 64-bit hashes. Two that share one are not told apart: then a key is called superseded that need not be,
/// which hides nothing, since hiding compares whole keys. (At ten million keys that is one chance in two trillion a row.)
#[derive(Debug, Default)]
pub struct DayKeys(Mutex<HashMap<u64, bool>>);

impl DayKeys {
    /// Notes a key; the newest word on whether it had ended counts.
    pub fn insert(&self, key: SpanKey, finished: bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(hash(key), finished);
    }
    /// Notes keys read from a file, which never overrule what a flush has noted meanwhile.
    pub fn load(&self, keys: impl IntoIterator<Item = (SpanKey, bool)>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, finished) in keys {
            *known.entry(hash(key)).or_default() |= finished;
        }
    }
    /// Whether the key may be there, and had ended.
    pub fn finished(&self, key: SpanKey) -> Option<bool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&hash(key)).copied()
    }
    /// How many keys.
    pub fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn hash(key: SpanKey) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}
