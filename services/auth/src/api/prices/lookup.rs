//! `GET /v1/prices/lookup`

use axum::extract::State;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use spanlake_model::{Fault, Money, Scope};
use spanlake_transport::extract::Query;
use spanlake_transport::response::{Data, ErrorResponse};
use utoipa::{IntoParams, ToSchema};

use crate::api::Deps;
use crate::service::Found;

/// Which price.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct Params {
    /// The model as spans name it.
    model: String,
    /// Who runs it, as spans name it.
    provider: Option<String>,
}

/// By which price calls of a model count that begin now.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct Price {
    /// `own` or `standard`.
    source: String,
    /// The entry of the price list, such as `openai/gpt-4o`, or the model of the own price.
    entry: String,
    /// The version of the list prices.
    book: String,
    /// Dollars for a million tokens in a short prompt; null when they have no price.
    input_per_million: Option<f64>,
    /// Dollars for a million tokens.
    output_per_million: Option<f64>,
}

impl From<Found> for Price {
    fn from(found: Found) -> Self {
        let Found { source, entry, book, input_per_million, output_per_million } = found;
        let dollars = |money: Option<Money>| money.map(Money::as_dollars);
        Self {
            source,
            entry,
            book,
            input_per_million: dollars(input_per_million),
            output_per_million: dollars(output_per_million),
        }
    }
}

/// By which price a model counts: to see why a span costs what it costs, or nothing. Needs `read`.
#[utoipa::path(
    get, path = "/v1/prices/lookup", tag = "auth", operation_id = "lookUpPrice", params(Params),
    responses((status = 200, description = "The price.", body = Data<Price>), ErrorResponse),
)]
pub(in crate::api) async fn look_up(
    State(deps): State<Deps>,
    parts: Parts,
    params: Result<Query<Params>, ErrorResponse>,
) -> Result<Data<Price>, ErrorResponse> {
    let caller = deps.admit(&parts, Scope::Read).await?;
    let Query(Params { model, provider }) = params?;
    let found = deps.service.price_of(&caller, provider.as_deref(), &model).await?;
    Ok(Data(found.ok_or_else(|| Fault::not_found("price"))?.into()))
}
