//! `GET /v1/metadata/keys`.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use spanlake_model::{Caller, Fault};
use spanlake_transport::extract::Query;
use spanlake_transport::response::{Data, ErrorResponse};
use utoipa::{IntoParams, ToSchema};

use super::{Face, params};
use crate::error::Error;
use crate::read::metadata::keys::{Known, read};

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// First instant, RFC 3339 or a date. 30 days before the end unless given.
    start_date: Option<String>,
    /// First instant after the range. Now unless given. At most 400 days after the start.
    end_date: Option<String>,
    /// A receipt (`X-Spanlake-Receipt`): the answer includes that write.
    after: Option<String>,
}

/// The keys of metadata.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MetadataKeys {
    /// The commonest first, then by name; at most 1,000.
    keys: Vec<MetadataKey>,
    /// Whether there are more.
    has_more: bool,
}

/// A key of metadata.
#[derive(Debug, Serialize, ToSchema)]
struct MetadataKey {
    /// A key in an object is named with a dot, `team.name`, here and in filters, groups and facets.
    key: String,
    /// Of most values: `string`, `number`, `boolean`, `list`, or `object` where nesting is too deep to be looked into.
    #[serde(rename = "type")]
    commonest: String,
    /// How many values of each type there are.
    types: BTreeMap<String, u64>,
    /// Spans that have it.
    count: u64,
    /// Up to five values, the first in the order of texts.
    examples: Vec<String>,
}

/// What keys metadata has, found by looking.
#[utoipa::path(
    get, path = "/v1/metadata/keys", tag = "query", operation_id = "list_metadata_keys", params(Params),
    responses((status = 200, description = "The keys.", body = Data<MetadataKeys>), ErrorResponse),
)]
pub(super) async fn list(
    State(face): State<Face>,
    parts: Parts,
    params: Result<Query<Params>, ErrorResponse>,
) -> Result<Data<MetadataKeys>, ErrorResponse> {
    let caller = face.reader(&parts).await?;
    let Query(params) = params?;
    Ok(Data(keys(&face, &caller, params).await.map_err(Fault::from)?))
}

async fn keys(face: &Face, caller: &Caller, params: Params) -> Result<MetadataKeys, Error> {
    let range = params::range(face.service.now(), params.start_date.as_deref(), params.end_date.as_deref())?;
    let after = params::parsed("after", params.after.as_deref())?;
    let session = face.service.session(caller, range, after).await?;
    let found = read(&session, caller, range).await?;
    let mut keys: Vec<_> = found.known.into_iter().map(MetadataKey::from).collect();
    keys.sort_by_key(|key| Reverse(key.count));
    Ok(MetadataKeys { keys, has_more: found.has_more })
}

impl From<(String, Known)> for MetadataKey {
    fn from((key, known): (String, Known)) -> Self {
        let commonest = known.commonest().to_owned();
        Self { key, commonest, types: known.types, count: known.count, examples: known.examples.into_iter().collect() }
    }
}
