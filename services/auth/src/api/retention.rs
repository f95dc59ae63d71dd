//! `/v1/retention`

pub(super) mod get;
pub(super) mod put;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How long rows are kept.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Retention {
    /// Spans that began longer ago than this many days are not shown, and are deleted by and by; null: never.
    // Named, so that forgetting it is no way to say "for ever".
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required = true, minimum = 1, maximum = 36500)]
    spans_days: Option<u32>,
}
