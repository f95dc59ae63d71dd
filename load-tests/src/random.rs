//! Repeatable draws: everything that varies in a trace comes from one seed.

use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};

/// A stream of draws. The same seed gives the same stream.
pub(crate) struct Draw(StdRng);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// From `low` up to and including `high`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0.random_range(low..=high)
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.0.random_bool(probability)
    }

    /// `items` must not be empty.
    pub(crate) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.0.random_range(0..items.len())]
    }

    pub(crate) fn fraction(&mut self) -> f64 {
        self.0.random_range(0.0..1.0)
    }

    /// Never 0, which no trace or span id may be.
    pub(crate) fn id<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes[N - 1] |= u8::from(bytes.iter().all(|byte| *byte == 0));
        bytes
    }
}

/// Ranks drawn so that few are common and many are rare: rank k with weight 1 / (k + 1).
pub(crate) struct Zipf {
    cumulative: Vec<f64>,
}

impl Zipf {
    /// `ranks` must not be 0.
    pub(crate) fn new(ranks: usize) -> Self {
        let mut sum = 0.0;
        let cumulative = (1..=ranks)
            .map(|rank| {
                sum += 1.0 / rank as f64;
                sum
            })
            .collect();
        Self { cumulative }
    }

    pub(crate) fn rank(&self, draw: &mut Draw) -> usize {
        let total = self.cumulative.last().copied().unwrap_or_default();
        let at = draw.fraction() * total;
        self.cumulative.partition_point(|sum| *sum <= at).min(self.cumulative.len() - 1)
    }
}

/// Scatters a number over 64 bits; different numbers give different results (splitmix64, Steele et al., OOPSLA 2014).
pub(crate) fn scatter(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_ranks_are_drawn_more_often_and_every_rank_is_possible() {
        let (zipf, mut draw) = (Zipf::new(10), Draw::new(1));
        let mut counts = [0_u32; 10];
        for _ in 0..20_000 {
            counts[zipf.rank(&mut draw)] += 1;
        }
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
        assert!(counts[0] > counts[1] && counts[1] > counts[3] && counts[3] > counts[8], "{counts:?}");
    }

    #[test]
    fn one_rank_is_always_rank_zero() {
        assert_eq!(Zipf::new(1).rank(&mut Draw::new(1)), 0);
    }
}
