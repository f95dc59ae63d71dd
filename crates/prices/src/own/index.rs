//! Own prices by what they are for, so that a call is not compared with each of them.

use std::collections::BTreeMap;

use spanlake_model::Timestamp;

use super::OwnPrice;

/// Places of prices in the order given, found by name, provider and time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Index {
    /// For whole names, sorted by name.
    whole: Vec<Group>,
    /// For beginnings of names, sorted by them.
    starts: Vec<Group>,
}

/// The prices for one name.
#[derive(Clone, Debug, PartialEq)]
struct Group {
    /// In lower case, without the star.
    name: String,
    /// Of a beginning: the place of the longest other one that it begins with.
    shorter: Option<usize>,
    /// For which provider, in lower case, from when on, and the price's place; sorted.
    prices: Vec<(Option<String>, Option<Timestamp>, usize)>,
}

impl Index {
    pub(super) fn of(prices: &[OwnPrice]) -> Self {
        let (starts, whole) = (0..prices.len()).partition(|place| prices[*place].model.ends_with('*'));
        let mut starts = groups(prices, starts);
        let mut open: Vec<usize> = Vec::new();
        for at in 0..starts.len() {
            open.retain(|outer| starts[at].name.starts_with(&starts[*outer].name));
            starts[at].shorter = open.last().copied();
            open.push(at);
        }
        Self { whole: groups(prices, whole), starts }
    }

    /// The price for this name, in lower case, that names it most closely and holds for the provider, in lower case, then.
    pub(super) fn find(&self, provider: Option<&str>, name: &str, start: Timestamp) -> Option<usize> {
        let whole = self.whole.binary_search_by(|group| group.name.as_str().cmp(name)).ok();
        let whole = whole.and_then(|at| self.whole[at].find(provider, start));
        whole.or_else(|| self.beginnings_of(name).find_map(|group| group.find(provider, start)))
    }

    /// Those that the name begins with, the longest first.
    fn beginnings_of(&self, name: &str) -> impl Iterator<Item = &Group> {
        // What stands between a beginning of the name and the name begins with it too. So the last one that is not behind the
        // name has all beginnings of the name among what it begins with itself.
        let last = self.starts.partition_point(|group| group.name.as_str() <= name).checked_sub(1);
        let groups = std::iter::successors(last, |at| self.starts[*at].shorter).map(|at| &self.starts[at]);
        groups.filter(move |group| name.starts_with(&group.name))
    }
}

fn groups(prices: &[OwnPrice], places: Vec<usize>) -> Vec<Group> {
    let mut groups: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for place in places {
        let own = &prices[place];
        let name = own.model.trim_end_matches('*').to_ascii_lowercase();
        let price = (own.provider().map(str::to_ascii_lowercase), own.valid_from, place);
        groups.entry(name).or_default().push(price);
    }
    let sorted = groups.into_iter().map(|(name, mut prices)| {
        prices.sort_unstable();
        Group { name, shorter: None, prices }
    });
    sorted.collect()
}

impl Group {
    /// One that names the provider before one for anybody's; of either the latest that holds.
    fn find(&self, provider: Option<&str>, start: Timestamp) -> Option<usize> {
        let latest = |whose: Option<&str>| {
            let begun = |(own, from, _): &(Option<String>, _, _)| (own.as_deref(), *from) <= (whose, Some(start));
            let (own, _, place) = self.prices[..self.prices.partition_point(begun)].last()?;
            (own.as_deref() == whose).then_some(*place)
        };
        provider.and_then(|provider| latest(Some(provider))).or_else(|| latest(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class::Prices;
    use proptest::prelude::*;

    /// The rule, as it is written down: each price compared with the name.
    fn by_comparing(prices: &[OwnPrice], provider: Option<&str>, name: &str, start: Timestamp) -> Option<usize> {
        let closeness = |own: &OwnPrice| match own.model.to_ascii_lowercase().strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning).then_some(beginning.len()),
            None => name.eq_ignore_ascii_case(&own.model).then_some(usize::MAX),
        };
        let holds = |own: &OwnPrice| {
            own.valid_from.is_none_or(|from| from <= start)
                && own.provider().is_none_or(|own| provider.is_some_and(|named| own.eq_ignore_ascii_case(named)))
        };
        let holding = prices.iter().enumerate().filter(|(_, own)| holds(own));
        let close =
            holding.filter_map(|(place, own)| Some(((closeness(own)?, own.provider.is_some(), own.valid_from), place)));
        close.max().map(|(_, place)| place)
    }

    fn any_price() -> impl Strategy<Value = OwnPrice> {
        let provider = prop::option::of(prop::sample::select(vec!["p", "Q"]));
        ("[aAbé]{1,4}", any::<bool>(), provider, prop::option::of(0_i64..3)).prop_map(
            |(name, is_start, provider, from)| {
                let prices: Prices = serde_json::from_str(r#"{"input":1}"#).unwrap();
                let model = if is_start { name + "*" } else { name };
                OwnPrice::new(model, provider.map(str::to_owned), prices, from.map(Timestamp::from_secs)).unwrap()
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_looked_up_is_what_comparing_finds(
            mut prices in prop::collection::vec(any_price(), 0..40),
            name in "[abé]{1,6}",
            provider in prop::option::of(prop::sample::select(vec!["p", "q", "r"])),
            start in 0_i64..4,
        ) {
            let key = |own: &OwnPrice| {
                (own.model.to_ascii_lowercase(), own.provider().map(str::to_ascii_lowercase), own.valid_from)
            };
            prices.sort_by_key(key);
            prices.dedup_by_key(|own| key(own));
            let start = Timestamp::from_secs(start);
            let found = Index::of(&prices).find(provider, &name, start);
            prop_assert_eq!(found, by_comparing(&prices, provider, &name, start));
        }
    }
}
