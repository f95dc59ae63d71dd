//! A cost that was sent, against one that was computed.

use std::collections::HashMap;

use spanlake_model::{Cost, CostSource, Money, Timestamp, Usage};

use crate::book::{Book, Call, Priced};
use crate::entry::Entry;
use crate::sent;

/// A span, as far as its cost depends on it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent<'a> {
    /// As in a [`Call`].
    pub provider: Option<&'a str>,
    /// As in a [`Call`].
    pub request_model: Option<&'a str>,
    /// As in a [`Call`].
    pub model: Option<&'a str>,
    /// As in a [`Call`].
    pub start: Timestamp,
    /// As in a [`Call`].
    pub usage: Usage,
    /// Counts that `usage` has no place for: an object in JSON.
    pub usage_details: Option<&'a str>,
    /// Temperature and the like, among them `service_tier`: an object in JSON.
    pub model_parameters: Option<&'a str>,
    /// What the client says that it cost.
    pub sent: Cost,
}

/// A book at work on many spans, of which few name a model that none did before: a list price is looked up once for each.
#[derive(Debug)]
pub struct Desk<'b, 's> {
    book: &'b Book,
    found: HashMap<(Option<&'s str>, &'s str), Option<&'b Entry>>,
}

impl Book {
    /// What the span costs by what the client sent, else by this book, as [`settle`] has it. Of many spans, ask a [`Desk`].
    pub fn settle(&self, spent: &Spent<'_>) -> Option<(Cost, CostSource)> {
        Desk::new(self).settle(spent)
    }
}

impl<'b, 's> Desk<'b, 's> {
    /// A desk with this book on it.
    pub fn new(book: &'b Book) -> Self {
        Self { book, found: HashMap::new() }
    }

    /// As [`Book::settle`].
    pub fn settle(&mut self, spent: &Spent<'s>) -> Option<(Cost, CostSource)> {
        let Spent { provider, request_model, model, start, usage, usage_details, model_parameters, sent } = *spent;
        // Most spans are no calls, and have nothing that must be read.
        if model.or(request_model).is_none() || usage == Usage::default() {
            return settle(&sent, None);
        }
        let extra = usage_details.map(sent::counts).unwrap_or_default();
        let extra: Vec<_> = extra.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        let service_tier = model_parameters.and_then(sent::service_tier);
        let service_tier = service_tier.as_deref();
        let call = Call { provider, request_model, model, start, usage, extra: &extra, service_tier };
        let (book, found) = (self.book, &mut self.found);
        let find = |model| *found.entry((provider, model)).or_insert_with(|| book.find(provider, model));
        let listed = || [model, request_model].into_iter().flatten().find_map(find);
        settle(&sent, book.cost_at(&call, listed).as_ref())
    }
}

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
    fn a_desk_says_of_each_span_what_the_book_says() {
        let book = Book::standard();
        let usage = Usage { input: Some(1_000), output: Some(100), ..Usage::default() };
        let spent = |provider, model| Spent { provider, model: Some(model), usage, ..Spent::default() };
        let spans = [
            spent(Some("openai"), "gpt-4o"),
            spent(None, "gpt-4o"),
            spent(Some("ollama"), "gpt-4o"),
            spent(Some("openai"), "gpt-4o"),
            spent(Some("openai"), "no such model"),
            Spent { request_model: Some("gpt-4o"), ..spent(Some("openai"), "no such model") },
        ];
        let mut desk = Desk::new(book);
        let said: Vec<_> = spans.iter().map(|span| desk.settle(span)).collect();
        assert_eq!(said, spans.iter().map(|span| book.settle(span)).collect::<Vec<_>>());
        assert!(said[0].is_some() && said[0] == said[3] && said[4].is_none() && said[5] == said[0], "{said:?}");
    }

    #[test]
    fn a_sent_zero_is_believed_only_where_nothing_is_known_better() {
        assert_eq!(settle(&total(0), Some(&priced(7))), Some((total(7), CostSource::Standard)));
        assert_eq!(settle(&total(0), Some(&priced(0))), Some((total(0), CostSource::Sent)));
        assert_eq!(settle(&total(0), None), Some((total(0), CostSource::Sent)));
    }
}
