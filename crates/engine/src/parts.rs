//! All traces in parts, of each of which a query can hold what it takes.

use datafusion::prelude::{Expr, col, lit};
use datafusion::scalar::ScalarValue;

/// Parts at most; each reads the ids of all rows.
const PARTS_MAX: u64 = 64;

/// Conditions of which one holds for each trace, by the first two bytes of its id.
pub(crate) fn parts(count: u64) -> Vec<Expr> {
    let count = count.clamp(1, PARTS_MAX);
    (0..count).map(|number| part(number, count)).collect()
}

fn part(number: u64, count: u64) -> Expr {
    let bound = |number: u64| {
        let start = u16::try_from(number * 0x1_0000 / count).ok().filter(|start| *start > 0)?;
        let mut bytes = vec![0; 16];
        bytes[..2].copy_from_slice(&start.to_be_bytes());
        Some(lit(ScalarValue::FixedSizeBinary(16, Some(bytes))))
    };
    let from = bound(number).map(|bound| col("trace_id").gt_eq(bound));
    let to = bound(number + 1).map(|bound| col("trace_id").lt(bound));
    from.into_iter().chain(to).reduce(Expr::and).unwrap_or(lit(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_part_asks_nothing_and_several_meet_without_a_gap() {
        assert_eq!(parts(0), [lit(true)]);
        assert_eq!(parts(1), [lit(true)]);
        let three: Vec<String> = parts(3).iter().map(ToString::to_string).collect();
        assert!(three[0].starts_with("trace_id < ") && three[2].starts_with("trace_id >= "), "{three:?}");
        let bound = three[0].strip_prefix("trace_id < ").unwrap();
        assert!(three[1].starts_with(&format!("trace_id >= {bound} AND ")), "{three:?}");
        assert_eq!(parts(u64::MAX).len() as u64, PARTS_MAX);
    }
}
