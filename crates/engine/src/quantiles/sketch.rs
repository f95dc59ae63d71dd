//! Values of one group: themselves while they are few, then how many there are in each bucket of a scale with 128 steps to each
//! doubling. A bucket of `[a, b)` has `b − a ≤ a / 128`, so its middle is within 1/256 of whatever is in it.

/// Up to this many are kept themselves.
const EXACT_MAX: usize = 1_024;
/// Steps to a doubling, as a power of two.
const STEP_BITS: u32 = 7;
const STEPS: u64 = 1 << STEP_BITS;

/// The values of one group. Negative ones, which a clock that was set back makes, count as zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sketch {
    /// Not in a bucket yet: all, while [`Self::buckets`] is empty.
    waiting: Vec<u64>,
    /// Ascending, each once.
    buckets: Vec<(u16, u64)>,
    count: u64,
    sum: i128,
}

impl Sketch {
    pub(super) fn insert(&mut self, value: i64) {
        self.count += 1;
        self.sum += i128::from(value);
        self.push(u64::try_from(value).unwrap_or(0));
    }

    fn push(&mut self, value: u64) {
        if self.waiting.len() == EXACT_MAX {
            self.settle();
        }
        self.waiting.push(value);
    }

    /// Does it, and returns by how many bytes more are held.
    pub(super) fn grown(&mut self, work: impl FnOnce(&mut Self)) -> usize {
        let before = self.held();
        work(self);
        self.held().saturating_sub(before)
    }

    fn held(&self) -> usize {
        self.waiting.capacity() * size_of::<u64>() + self.buckets.capacity() * size_of::<(u16, u64)>()
    }

    /// Puts what waits into buckets.
    fn settle(&mut self) {
        let waiting = self.waiting.drain(..).map(|value| (bucket(value), 1));
        let counts: Vec<_> = waiting.collect();
        self.add_counts(counts);
    }

    fn add_counts(&mut self, counts: Vec<(u16, u64)>) {
        self.buckets.extend(counts);
        self.buckets.sort_unstable_by_key(|(bucket, _)| *bucket);
        self.buckets.dedup_by(|later, earlier| {
            let is_same = later.0 == earlier.0;
            earlier.1 += if is_same { later.1 } else { 0 };
            is_same
        });
    }

    /// The value at this share of the ranks, rounded up; `None` without any.
    pub(super) fn quantile(&self, share: f64) -> Option<i64> {
        let rank = ((self.count as f64 * share).ceil() as u64).clamp(1, self.count.max(1));
        let found = if self.count as usize <= EXACT_MAX {
            let mut values = self.waiting.clone();
            let place = usize::try_from(rank - 1).ok().filter(|place| *place < values.len())?;
            *values.select_nth_unstable(place).1
        } else {
            let mut whole = self.clone();
            whole.settle();
            let mut below = 0;
            let at_rank = whole.buckets.iter().find(|(_, count)| {
                below += count;
                below >= rank
            });
            middle(at_rank?.0)
        };
        Some(i64::try_from(found).unwrap_or(i64::MAX))
    }

    pub(super) fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(32 + self.waiting.len() * 8 + self.buckets.len() * 10);
        bytes.extend(self.count.to_le_bytes());
        bytes.extend(self.sum.to_le_bytes());
        bytes.extend((self.waiting.len() as u64).to_le_bytes());
        bytes.extend(self.waiting.iter().flat_map(|value| value.to_le_bytes()));
        for (bucket, count) in &self.buckets {
            bytes.extend(bucket.to_le_bytes());
            bytes.extend(count.to_le_bytes());
        }
        bytes
    }

    /// Adds what [`Self::to_bytes`] wrote; `None` when it is anything else.
    pub(super) fn merge_bytes(&mut self, bytes: &[u8]) -> Option<()> {
        let (count, rest) = bytes.split_first_chunk::<8>()?;
        let (sum, rest) = rest.split_first_chunk::<16>()?;
        let (waiting, rest) = rest.split_first_chunk::<8>()?;
        let waiting = usize::try_from(u64::from_le_bytes(*waiting)).ok()?.checked_mul(8)?;
        let (waiting, rest) = rest.split_at_checked(waiting)?;
        let (buckets, rest) = rest.as_chunks::<10>();
        self.count += u64::from_le_bytes(*count);
        self.sum += i128::from_le_bytes(*sum);
        waiting.as_chunks::<8>().0.iter().for_each(|value| self.push(u64::from_le_bytes(*value)));
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
        if !buckets.is_empty() {
            let counts = buckets.iter().map(|both| (u16::from_le_bytes([both[0], both[1]]), number(&both[2..])));
            self.add_counts(counts.collect());
        }
        rest.is_empty().then_some(())
    }
}

/// Values below [`STEPS`] have a bucket each; then each doubling has as many steps.
fn bucket(value: u64) -> u16 {
    let place = match value.checked_ilog2() {
        Some(top) if top >= STEP_BITS => {
            let shift = top - STEP_BITS;
            u64::from(shift + 1) * STEPS + (value >> shift) - STEPS
        }
        _ => value,
    };
    u16::try_from(place).expect("58 doublings of 128 steps")
}

/// Of all values in a bucket, the one in the middle.
fn middle(bucket: u16) -> u64 {
    let (doubling, step) = (u64::from(bucket) / STEPS, u64::from(bucket) % STEPS);
    match doubling {
        0 => step,
        _ => {
            let shift = doubling - 1;
            ((STEPS + step) << shift) + ((1 << shift) >> 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantiles::QUANTILES;

    /// Numbers that repeat nothing, over many sizes; no library of randomness is needed for that.
    fn numbers(seed: u64, count: usize) -> Vec<i64> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        (0..count).map(|_| (next() >> (next() % 63 + 1)).cast_signed()).collect()
    }

    fn of(values: &[i64]) -> Sketch {
        let mut sketch = Sketch::default();
        values.iter().for_each(|value| sketch.insert(*value));
        sketch
    }

    fn at_rank(values: &[i64], share: f64) -> i64 {
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        sorted[((values.len() as f64 * share).ceil() as usize).max(1) - 1]
    }

    #[test]
    fn every_value_is_within_the_stated_error_of_its_bucket() {
        for value in
            numbers(1, 20_000).into_iter().map(i64::unsigned_abs).chain([0, 1, 127, 128, 255, 256, u64::MAX >> 1])
        {
            let shown = middle(bucket(value));
            assert!(shown.abs_diff(value) as f64 <= value as f64 / 256.0, "{value} is shown as {shown}");
            assert!(value >= 128 || shown == value);
        }
        assert_eq!(bucket(u64::MAX), 58 * 128 - 1);
    }

    #[test]
    fn few_values_are_exact_and_many_within_the_error() {
        for (seed, count) in [1, 2, 3, 100, 1_023, 1_024, 1_025, 5_000, 40_000].into_iter().enumerate() {
            let values = numbers(seed as u64 + 1, count);
            let sketch = of(&values);
            for (name, share) in QUANTILES {
                let (found, true_value) = (sketch.quantile(share).unwrap(), at_rank(&values, share));
                let error = if count <= EXACT_MAX { 0.0 } else { true_value as f64 / 256.0 };
                assert!(found.abs_diff(true_value) as f64 <= error, "{name} of {count}: {found} for {true_value}");
            }
            let mean = values.iter().map(|value| *value as f64).sum::<f64>() / count as f64;
            assert!((sketch.mean().unwrap() - mean).abs() <= mean * 1e-9);
        }
        assert_eq!((Sketch::default().quantile(0.5), Sketch::default().mean()), (None, None));
    }

    #[test]
    fn in_whatever_parts_and_order_they_come_the_answer_is_the_same() {
        for (seed, count) in [10, 1_500, 9_000].into_iter().enumerate() {
            let values = numbers(seed as u64 + 50, count);
            let whole = of(&values);
            for cut in [0, 1, count / 3, count / 2, count] {
                let mut joined = Sketch::default();
                for part in [&values[cut..], &values[..cut]] {
                    joined.merge_bytes(&of(part).to_bytes()).unwrap();
                }
                for (_, share) in QUANTILES {
                    assert_eq!(joined.quantile(share), whole.quantile(share), "{count} cut at {cut}");
                }
                assert_eq!(joined.mean(), whole.mean());
            }
        }
        assert_eq!(Sketch::default().merge_bytes(&[7; 40]), None);
    }

    #[test]
    fn memory_is_bounded_however_many_there_are() {
        let mut sketch = Sketch::default();
        let grown: usize =
            numbers(9, 300_000).into_iter().map(|value| sketch.grown(|sketch| sketch.insert(value))).sum();
        assert!(grown >= sketch.held() && sketch.held() < 300_000, "{} of {grown}", sketch.held());
    }
}
