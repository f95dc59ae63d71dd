//! Keys in memory: sorted runs of hashes.

/// So that no insertion moves more than a small part of the keys.
const SHARDS: usize = 256;
/// More keys than this are split into shards.
const ONE_SHARD_MAX: usize = 16_384;
/// The large run is rewritten once per this part of it that is new.
const SMALL_PART: usize = 8;
/// Below this, merging costs next to nothing.
const SMALL_LEAST: usize = 64;

/// Entries by their highest byte. An entry is a hash, and in its lowest bit whether the span had ended.
#[derive(Debug)]
pub(super) struct Shards(Vec<Shard>);

impl Default for Shards {
    fn default() -> Self {
        Self(vec![Shard::default()])
    }
}

impl Shards {
    pub(super) fn insert(&mut self, entries: Vec<u64>) {
        if self.0.len() == 1 && self.len() + entries.len() > ONE_SHARD_MAX {
            let few = std::mem::take(&mut self.0[0]);
            self.0.resize_with(SHARDS, Shard::default);
            self.deal(few.entries());
        }
        self.deal(entries);
    }

    fn deal(&mut self, entries: impl IntoIterator<Item = u64>) {
        let mut dealt = vec![Vec::new(); self.0.len()];
        for entry in entries {
            dealt[self.shard_of(entry)].push(entry);
        }
        for (shard, entries) in self.0.iter_mut().zip(dealt) {
            shard.insert(entries);
        }
    }

    fn shard_of(&self, entry: u64) -> usize {
        usize::from(entry.to_be_bytes()[0]) % self.0.len()
    }

    pub(super) fn finished(&self, hash: u64) -> Option<bool> {
        self.0[self.shard_of(hash)].finished(hash)
    }

    /// How many, about: one that was noted twice may count twice.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(Shard::len).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them in order, each hash once.
    pub(super) fn entries(&self) -> impl Iterator<Item = u64> {
        self.0.iter().flat_map(Shard::entries)
    }
}

/// Sorted entries in two runs: the small one takes new ones in, and is merged into the large one before it weighs much.
#[derive(Debug, Default)]
struct Shard {
    large: Vec<u64>,
    small: Vec<u64>,
}

impl Shard {
    fn insert(&mut self, mut entries: Vec<u64>) {
        if entries.is_empty() {
            return;
        }
        entries.sort_unstable();
        self.small = merged(self.small.iter().copied(), entries.into_iter()).collect();
        if self.small.len() > (self.large.len() / SMALL_PART).max(SMALL_LEAST) {
            let mut large = Vec::with_capacity(self.len());
            large.extend(self.entries());
            *self = Self { large, small: Vec::new() };
        }
    }

    fn len(&self) -> usize {
        self.large.len() + self.small.len()
    }

    fn entries(&self) -> impl Iterator<Item = u64> {
        merged(self.large.iter().copied(), self.small.iter().copied())
    }

    fn finished(&self, hash: u64) -> Option<bool> {
        let found = [&self.small, &self.large].map(|run| find(run, hash));
        found.into_iter().flatten().reduce(|one, other| one | other)
    }
}

/// Two sorted runs as one; of entries with one hash one stays, ended if any had.
pub(super) fn merged(one: impl Iterator<Item = u64>, other: impl Iterator<Item = u64>) -> impl Iterator<Item = u64> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    let mut next = move || match (one.peek(), other.peek()) {
        (Some(first), Some(second)) if first <= second => one.next(),
        (_, Some(_)) => other.next(),
        (_, None) => one.next(),
    };
    let mut ahead = next();
    std::iter::from_fn(move || {
        let mut entry = ahead?;
        loop {
            ahead = next();
            match ahead {
                Some(same) if same >> 1 == entry >> 1 => entry |= same,
                _ => return Some(entry),
            }
        }
    })
}

/// Whether the hash is in a sorted run, and had ended.
pub(super) fn find(run: &[u64], hash: u64) -> Option<bool> {
    let place = run.partition_point(|entry| *entry < hash);
    run.get(place).filter(|entry| **entry >> 1 == hash >> 1).map(|entry| entry & 1 == 1)
}
