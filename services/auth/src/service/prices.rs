//! Prices for calls of models: a tenant's own, and the list under them.

use spanlake_model::{Caller, Fault, Money, Usage};
use spanlake_prices::{Book, Call, OwnPrices};

use super::Service;
use crate::error::Error;

/// A price for a model.
pub(crate) struct Found {
    pub(crate) source: String,
    pub(crate) entry: String,
    pub(crate) book: String,
    pub(crate) input_per_million: Option<Money>,
    pub(crate) output_per_million: Option<Money>,
}

/// A call short enough for no price to grow with its length.
const SAMPLE_TOKENS: i64 = 1_000;

impl Service {
    /// The prices that the caller's tenant has set.
    pub(crate) async fn own_prices(&self, caller: &Caller) -> Result<OwnPrices, Error> {
        let Some(stored) = self.accounts.own_prices(caller.tenant()).await? else { return Ok(OwnPrices::default()) };
        Ok(serde_json::from_str(&stored)
            .map_err(|error| {
            tracing::error!(tenant.id = %caller.tenant(), error = &error as &dyn std::error::Error, "stored prices cannot be read");
            Fault::internal()
        })?)
    }

    /// Sets them, all at once.
    pub(crate) async fn set_own_prices(&self, caller: &Caller, own: &OwnPrices) -> Result<(), Error> {
        let stored = serde_json::to_string(own).expect("numbers and names are JSON");
        self.accounts.set_own_prices(caller.tenant(), &stored).await?;
        tracing::info!(tenant.id = %caller.tenant(), prices.own = own.as_slice().len(), "prices were set");
        Ok(())
    }

    /// By which price calls count that begin now.
    pub(crate) async fn price_of(
        &self,
        caller: &Caller,
        provider: Option<&str>,
        model: &str,
    ) -> Result<Option<Found>, Error> {
        let book = Book::standard().with_own(self.own_prices(caller).await?);
        let usage = Usage { input: Some(SAMPLE_TOKENS), output: Some(SAMPLE_TOKENS), ..Usage::default() };
        let call = Call { provider, model: Some(model), start: self.clock.now(), usage, ..Call::default() };
        let per_million = |money: Option<Money>| {
            money.map(|money| Money::from_pico(money.as_pico() * 1_000_000 / i128::from(SAMPLE_TOKENS)))
        };
        Ok(book.cost(&call).map(|priced| Found {
            source: priced.source.as_str().to_owned(),
            entry: priced.entry.to_owned(),
            book: priced.version.to_owned(),
            input_per_million: per_million(priced.cost.input),
            output_per_million: per_million(priced.cost.output),
        }))
    }
}
