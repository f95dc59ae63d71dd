//! `/v1/retention`

pub(super) mod get;
pub(super) mod put;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How long rows are kept.
#[derive(Serialize, ToSchema)]
pub(super) struct Retention {
    /// Spans that began longer ago than this many days are not shown, and are deleted by and by; null: never.
    spans_days: Option<u32>,
    /// Scores that were given longer ago than this many days likewise. 90 unless set.
    scores_days: Option<u32>,
}

/// How long rows are to be kept.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRetention {
    /// Spans that began longer ago than this many days are not shown, and are deleted by and by; null: never.
    // Named, so that forgetting it is no way to say "for ever".
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required = true, minimum = 1, maximum = 36500)]
    spans_days: Option<u32>,
    /// Scores that were given longer ago than this many days likewise; null: never. As before unless given.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 36500)]
    scores_days: Option<Option<u32>>,
}

/// Tells null from what is not there.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u32>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
