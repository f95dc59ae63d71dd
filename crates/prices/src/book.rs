//! The price book: the list, and over it a tenant's own prices.

use std::sync::LazyLock;

use spanlake_model::{Cost, CostSource, Timestamp, Usage};

use crate::class::Prices;
use crate::cost::{Extra, Tokens, cost};
use crate::entry::Entry;
use crate::list::List;
use crate::own::{OwnPrice, OwnPrices};
use crate::tier::Situation;

/// One call of a model, as far as its price depends on it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Call<'a> {
    /// Who runs the model, as the span says. A framework or an address is not believed.
    pub provider: Option<&'a str>,
    /// The model asked for.
    pub request_model: Option<&'a str>,
    /// The model that answered; it is priced when it has a price, else the one asked for.
    pub model: Option<&'a str>,
    /// When the call began: the prices of that time count.
    pub start: Timestamp,
    /// Its tokens.
    pub usage: Usage,
    /// Parts of its tokens that `usage` has no place for.
    pub extra: Extra<'a>,
    /// How it was served: `batch`, `flex`, `priority` and the like.
    pub service_tier: Option<&'a str>,
}

/// What a call costs, and by which price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priced<'a> {
    /// Dollars.
    pub cost: Cost,
    /// [`CostSource::Own`] or [`CostSource::Standard`].
    pub source: CostSource,
    /// The entry of the book, such as `openai/gpt-4o`, or the model of the own price.
    pub entry: &'a str,
    /// The version of the book.
    pub version: &'a str,
}

/// Prices to look up. Cheap to clone apart from the tenant's own prices.
#[derive(Clone, Debug)]
pub struct Book {
    list: &'static List,
    own: OwnPrices,
}

static STANDARD: LazyLock<Book> = LazyLock::new(|| {
    let list = List::read(COVER, TEXTS).expect("the book is compiled in, and a test reads it");
    Book { list: Box::leak(Box::new(list)), own: OwnPrices::default() }
});

const COVER: &str = include_str!("../book/cover.toml");
const TEXTS: &[&str] = &[
    include_str!("../book/openai.toml"),
    include_str!("../book/anthropic.toml"),
    include_str!("../book/google.toml"),
    include_str!("../book/mistral.toml"),
    include_str!("../book/deepseek.toml"),
    include_str!("../book/xai.toml"),
    include_str!("../book/meta.toml"),
    include_str!("../book/cohere.toml"),
    include_str!("../book/voyage.toml"),
    include_str!("../book/perplexity.toml"),
    include_str!("../book/bedrock.toml"),
    include_str!("../book/groq.toml"),
    include_str!("../book/together.toml"),
    include_str!("../book/fireworks.toml"),
];

impl Book {
    /// The list prices we ship. The first call reads them, which takes some milliseconds.
    pub fn standard() -> &'static Self {
        &STANDARD
    }

    /// This list, under prices of a tenant's own.
    #[must_use]
    pub fn with_own(&self, own: OwnPrices) -> Self {
        Self { list: self.list, own }
    }

    /// Changes whenever any list price does: keep it beside what was computed.
    pub fn version(&self) -> &str {
        &self.list.version
    }

    /// Every list price.
    pub fn entries(&self) -> &[Entry] {
        self.list.entries()
    }

    /// The list price of a model at a provider, by any of its names; none when it is unknown, shared by several providers of
    /// whom none is named, or run by the user. A map's look-up or a few: below a microsecond.
    pub fn find(&self, provider: Option<&str>, model: &str) -> Option<&Entry> {
        self.list.find(provider, model)
    }

    /// What a call costs: at the tenant's own price for either of its models, else at the list price of the one that answered,
    /// else of the one asked for. None without a price or without tokens, which is not the same as free.
    pub fn cost(&self, call: &Call<'_>) -> Option<Priced<'_>> {
        let mut models = [call.model, call.request_model].into_iter().flatten();
        self.cost_at(call, || models.find_map(|model| self.find(call.provider, model)))
    }

    /// As [`Self::cost`], with `listed` to tell the list price.
    pub(crate) fn cost_at<'a>(
        &'a self,
        call: &Call<'_>,
        listed: impl FnOnce() -> Option<&'a Entry>,
    ) -> Option<Priced<'a>> {
        let mut models = [call.model, call.request_model].into_iter().flatten();
        if let Some(own) = models.find_map(|model| self.own.find(call.provider, model, call.start)) {
            return self.priced(call, CostSource::Own, own.model(), OwnPrice::prices(own));
        }
        let entry = listed()?;
        let input_tokens = Tokens::of(&call.usage).input.unwrap_or(0);
        let situation = Situation { input_tokens, service_tier: call.service_tier, start: call.start };
        self.priced(call, CostSource::Standard, entry.id(), &entry.prices_for(&situation))
    }

    fn priced<'a>(
        &'a self,
        call: &Call<'_>,
        source: CostSource,
        entry: &'a str,
        prices: &Prices,
    ) -> Option<Priced<'a>> {
        let cost = cost(prices, &call.usage, call.extra)?;
        Some(Priced { cost, source, entry, version: self.version() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_book_can_be_read() {
        List::read(COVER, TEXTS).unwrap();
    }
}
