//! Choices that a seed repeats.

use spanlake_model::Entropy as _;

use crate::SeededEntropy;

/// Throws the same for the same seed.
#[derive(Debug)]
pub struct Dice(SeededEntropy);

impl Dice {
    /// The throws of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    /// Any number.
    pub fn number(&self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_be_bytes(bytes)
    }

    /// A number below `end`, which is above 0.
    pub fn below(&self, end: usize) -> usize {
        usize::try_from(self.number() % end as u64).unwrap()
    }

    /// True so many times in a hundred.
    pub fn chance(&self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// So many bytes of noise.
    pub fn noise(&self, bytes: usize) -> Vec<u8> {
        let mut noise = vec![0; bytes];
        self.0.fill(&mut noise);
        noise
    }
}
