//! The book as it is written: TOML, a file for each provider.

use serde::Deserialize;
use spanlake_model::Timestamp;

use crate::class::Prices;
use crate::entry::{Entry, Period};
use crate::list::ListError;
use crate::tier::Tier;

/// What is said once for the whole book.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cover {
    /// Changes whenever anything in the book does.
    pub(crate) version: String,
    /// Providers that run on the user's own machines: no list has their price.
    pub(crate) local: Vec<String>,
    /// Providers that sell other people's models at prices of their own, which the book does not hold.
    pub(crate) other_sellers: Vec<String>,
}

/// One provider's prices.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) provider: String,
    /// What spans and paths call it, beside `provider`.
    #[serde(default)]
    pub(crate) names: Vec<String>,
    source: String,
    as_of: String,
    /// Whether whoever resells these models does so at this price.
    #[serde(default)]
    pub(crate) everywhere: bool,
    /// Whether this provider sells other people's models at its own prices.
    #[serde(default)]
    pub(crate) sells_others: bool,
    /// Tiers of every model here, after its own.
    #[serde(default)]
    tiers: Vec<Tier>,
    /// Names that would be taken for another spelling of a priced model, and cost something else.
    #[serde(default)]
    pub(crate) unpriced: Vec<String>,
    pub(crate) models: Vec<Model>,
}

/// One model.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Model {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) aliases: Vec<String>,
    /// Whether others use the same names for what they sell: then a span must name the provider.
    #[serde(default)]
    pub(crate) shared: bool,
    source: Option<String>,
    as_of: Option<String>,
    prices: Prices,
    #[serde(default)]
    tiers: Vec<Tier>,
    /// What it cost before, the oldest first.
    #[serde(default)]
    earlier: Vec<Earlier>,
}

/// What a model cost until some moment.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Earlier {
    until: String,
    prices: Prices,
    #[serde(default)]
    tiers: Vec<Tier>,
}

impl File {
    /// The model as an entry of the file with this number.
    pub(crate) fn entry(&self, model: &Model, file: usize) -> Result<Entry, ListError> {
        let id = format!("{}/{}", self.provider, model.id);
        let mut periods = Vec::with_capacity(model.earlier.len() + 1);
        for earlier in &model.earlier {
            let until = Timestamp::parse(&earlier.until).ok_or_else(|| ListError::Time(id.clone()))?;
            periods.push(self.period(Some(until), earlier.prices, &earlier.tiers));
        }
        periods.push(self.period(None, model.prices, &model.tiers));
        if !periods.windows(2).all(|pair| pair[1].until.is_none_or(|until| pair[0].until < Some(until))) {
            return Err(ListError::Time(id));
        }
        let source = model.source.as_ref().unwrap_or(&self.source).clone();
        let as_of = model.as_of.as_ref().unwrap_or(&self.as_of).clone();
        Ok(Entry { id, source, as_of, file, periods })
    }

    fn period(&self, until: Option<Timestamp>, prices: Prices, own: &[Tier]) -> Period {
        Period { until, prices, tiers: own.iter().chain(&self.tiers).cloned().collect() }
    }
}
