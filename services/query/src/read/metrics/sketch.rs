//! Durations of some spans, of which quantiles can be told: themselves while they are few, then how many there are in each bucket of a
//! scale with 128 steps to each doubling. A bucket of `[a, b)` has `b − a ≤ a / 128`, so its middle is within 1/256 of whatever is in it.

/// Which quantiles are told: p50, p90, p95, p99.
pub(crate) const QUANTILES: [f64; 4] = [0.50, 0.90, 0.95, 0.99];

/// Up to this many are kept themselves.
const EXACT_MAX: usize = 1_024;
/// Steps to a doubling, as a power of two.
const STEP_BITS: u32 = 7;
const STEPS: u64 = 1 << STEP_BITS;

/// Whole numbers; negative ones, which a clock that was set back makes, count as zero. A quantile is the value at its rank, rounded up, as
/// one of the values: of 1, 2, 3, 4 the median is 2. Exact up to 1,024 values; of more, numbers above 128 are within 1/256 (0.4 %) of the
/// value at that rank. The mean is exact. The same in whatever parts and order the values come; at most 60 kB.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sketch {
    values: Values,
    count: u64,
    sum: i128,
}

#[derive(Clone, Debug)]
enum Values {
    /// At most [`EXACT_MAX`].
    Few(Vec<u64>),
    /// How many are in the bucket `first` and in those that follow.
    Many { first: usize, counts: Vec<u64> },
}

impl Default for Values {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Values {
    fn add(&mut self, value: u64) {
        match self {
            Self::Few(values) if values.len() < EXACT_MAX => values.push(value),
            Self::Few(_) => {
                self.spread();
                self.add(value);
            }
            Self::Many { .. } => self.add_to(bucket(value), 1),
        }
    }

    /// Puts few into buckets.
    fn spread(&mut self) {
        if let Self::Few(values) = self {
            let values = std::mem::take(values);
            *self = Self::Many { first: 0, counts: Vec::new() };
            values.into_iter().for_each(|value| self.add_to(bucket(value), 1));
        }
    }

    fn add_to(&mut self, bucket: usize, more: u64) {
        let Self::Many { first, counts } = self else { return };
        if counts.is_empty() {
            *first = doubling(bucket);
        }
        if bucket < *first {
            let before = *first - doubling(bucket);
            counts.splice(0..0, std::iter::repeat_n(0, before));
            *first -= before;
        }
        let place = bucket - *first;
        if place >= counts.len() {
            counts.resize(doubling(place) + STEPS as usize, 0);
        }
        counts[place] += more;
    }

    fn merge(&mut self, others: &Self) {
        match others {
            Self::Few(values) => values.iter().for_each(|value| self.add(*value)),
            Self::Many { first, counts } => {
                self.spread();
                let held = counts.iter().enumerate().filter(|(_, count)| **count > 0);
                held.for_each(|(place, count)| self.add_to(first + place, *count));
            }
        }
    }

    /// The value at a rank from 1 on.
    fn at(&self, rank: u64) -> Option<u64> {
        match self {
            Self::Few(values) => {
                let mut values = values.clone();
                let place = usize::try_from(rank - 1).ok().filter(|place| *place < values.len())?;
                Some(*values.select_nth_unstable(place).1)
            }
            Self::Many { first, counts } => {
                let mut below = 0;
                let place = counts.iter().position(|count| {
                    below += count;
                    below >= rank
                });
                Some(middle(first + place?))
            }
        }
    }
}

impl Sketch {
    pub(super) fn insert(&mut self, value: i64) {
        self.count += 1;
        self.sum += i128::from(value);
        self.values.add(u64::try_from(value).unwrap_or(0));
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.values.merge(&other.values);
    }

    /// Takes no more room than it must.
    pub(super) fn shrink_to_fit(&mut self) {
        if let Values::Many { counts, .. } = &mut self.values {
            let used = counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
            counts.truncate(used);
        }
        let (Values::Few(numbers) | Values::Many { counts: numbers, .. }) = &mut self.values;
        numbers.shrink_to_fit();
    }

    /// In bytes, beside itself.
    pub(super) fn held(&self) -> usize {
        let (Values::Few(numbers) | Values::Many { counts: numbers, .. }) = &self.values;
        numbers.capacity() * size_of::<u64>()
    }

    /// The value at this share of the ranks, rounded up; `None` without any.
    pub(super) fn quantile(&self, share: f64) -> Option<i64> {
        let rank = ((self.count as f64 * share).ceil() as u64).clamp(1, self.count.max(1));
        Some(i64::try_from(self.values.at(rank)?).unwrap_or(i64::MAX))
    }

    pub(super) fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }
}

/// Values below [`STEPS`] have a bucket each; then each doubling has as many steps.
fn bucket(value: u64) -> usize {
    let place = match value.checked_ilog2() {
        Some(top) if top >= STEP_BITS => {
            let shift = top - STEP_BITS;
            u64::from(shift + 1) * STEPS + (value >> shift) - STEPS
        }
        _ => value,
    };
    usize::try_from(place).expect("58 doublings of 128 steps")
}

/// The first bucket of the doubling that a bucket is in.
fn doubling(bucket: usize) -> usize {
    bucket & !(STEPS as usize - 1)
}

/// Of all values in a bucket, the one in the middle.
fn middle(bucket: usize) -> u64 {
    let (doubling, step) = (bucket as u64 / STEPS, bucket as u64 % STEPS);
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
            for share in QUANTILES {
                let (found, true_value) = (sketch.quantile(share).unwrap(), at_rank(&values, share));
                let error = if count <= EXACT_MAX { 0.0 } else { true_value as f64 / 256.0 };
                assert!(found.abs_diff(true_value) as f64 <= error, "{share} of {count}: {found} for {true_value}");
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
                    joined.merge(&of(part));
                }
                for share in QUANTILES {
                    assert_eq!(joined.quantile(share), whole.quantile(share), "{count} cut at {cut}");
                }
                assert_eq!(joined.mean(), whole.mean());
            }
        }
    }

    #[test]
    fn memory_is_bounded_however_many_there_are() {
        let sketch = of(&numbers(9, 300_000));
        assert!(sketch.held() <= 2 * 58 * 128 * size_of::<u64>(), "{}", sketch.held());
    }
}
