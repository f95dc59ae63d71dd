//! `/v1/prices`

pub(super) mod get;
pub(super) mod lookup;
pub(super) mod put;

use serde::{Deserialize, Serialize};
use spanlake_prices::{Book, OwnPrices};
use utoipa::ToSchema;

/// The tenant's own prices for calls of models. They lie over the list prices, for spans of any time: changing them changes what
/// past spans cost, except where the client has sent a cost.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Own {
    /// Each has `model` (a name, or its beginning and `*`), `prices` (dollars for a million tokens, by class: `input`, `output`,
    /// `cache_read`, `cache_write` …), and may have `provider` and `valid_from`. At most 1,000.
    #[schema(value_type = Vec<serde_json::Value>)]
    own: OwnPrices,
}

/// The tenant's own prices, and which list lies under them.
#[derive(Serialize, ToSchema)]
pub(super) struct Prices {
    #[serde(flatten)]
    own: Own,
    /// The version of the list prices.
    book: String,
}

impl From<OwnPrices> for Prices {
    fn from(own: OwnPrices) -> Self {
        Self { own: Own { own }, book: Book::standard().version().to_owned() }
    }
}
