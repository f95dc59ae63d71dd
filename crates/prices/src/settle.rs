//! A cost that was sent, against one that was computed.

use spanlake_model::{Cost, CostSource, Money};

use crate::book::Priced;

/// The cost to show, and where it comes from. What the client sent wins, its total being the sum of its parts where it sent
/// none; but a sent zero, where we know that the call costs something, is what senders write for models they do not know.
///
/// ```
/// use spanlake_model::{Cost, CostSource, Money};
/// use spanlake_prices::settle;
/// let sent = Cost { input: Money::from_dollars(0.5), output: Money::from_dollars(0.25), total: None };
/// let (cost, source) = settle(&sent, None).unwrap();
/// assert_eq!((cost.total, source), (Money::from_dollars(0.75), CostSource::Sent));
/// ```
pub fn settle(sent: &Cost, computed: Option<&Priced<'_>>) -> Option<(Cost, CostSource)> {
    let computed = computed.map(|priced| (priced.cost, priced.source));
    let says_nothing = |cost: &Cost| parts(cost).all(|money| money == Money::default());
    let costs_something = computed.is_some_and(|(cost, _)| !says_nothing(&cost));
    if parts(sent).next().is_none() || (says_nothing(sent) && costs_something) {
        return computed;
    }
    Some((Cost { total: sent.total.or_else(|| sum(sent)), ..*sent }, CostSource::Sent))
}

fn parts(cost: &Cost) -> impl Iterator<Item = Money> {
    [cost.input, cost.output, cost.total].into_iter().flatten()
}

/// Of the parts that were sent. One alone is a total too: whoever sends a cost for one side has none for the other.
fn sum(cost: &Cost) -> Option<Money> {
    let parts = || [cost.input, cost.output].into_iter().flatten();
    parts().next()?;
    parts().try_fold(0_i128, |sum, money| sum.checked_add(money.as_pico())).map(Money::from_pico)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(pico: i128) -> Cost {
        Cost { total: Some(Money::from_pico(pico)), ..Cost::default() }
    }

    fn priced(pico: i128) -> Priced<'static> {
        Priced { cost: total(pico), source: CostSource::Standard, entry: "p/m", version: "v" }
    }

    #[test]
    fn what_was_sent_wins() {
        assert_eq!(settle(&total(5), Some(&priced(7))), Some((total(5), CostSource::Sent)));
        assert_eq!(settle(&Cost::default(), Some(&priced(7))), Some((total(7), CostSource::Standard)));
        assert_eq!(settle(&Cost::default(), None), None);
    }

    #[test]
    fn a_sent_zero_is_believed_only_where_nothing_is_known_better() {
        assert_eq!(settle(&total(0), Some(&priced(7))), Some((total(7), CostSource::Standard)));
        assert_eq!(settle(&total(0), Some(&priced(0))), Some((total(0), CostSource::Sent)));
        assert_eq!(settle(&total(0), None), Some((total(0), CostSource::Sent)));
    }
}
