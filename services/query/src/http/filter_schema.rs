//! `GET /v1/filter-schema`.

use axum::extract::State;
use axum::http::request::Parts;
use serde::Serialize;
use spanlake_model::{CONDITIONS_MAX, Holds, KNOWN, Operator, VALUE_CHARS_MAX, VALUES_MAX};
use spanlake_transport::response::{Data, ErrorResponse};
use utoipa::ToSchema;

use super::Face;

/// What lists can be filtered by, and how.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FilterSchema {
    fields: Vec<FieldSchema>,
    operators: Vec<OperatorSchema>,
    limits: Limits,
}

#[derive(Debug, Serialize, ToSchema)]
struct FieldSchema {
    /// `metadata.<key>` and `score__<name>` stand for as many as there are keys and names.
    name: &'static str,
    aliases: &'static [&'static str],
    /// `string`, `number`, `status`, `type`, `tags` or `id`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// As in JSON.
    operators: Vec<&'static str>,
    /// Whether a trace has one of its own. Of any other field, a trace fits when one of its spans does.
    of_trace: bool,
    description: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
struct OperatorSchema {
    /// In the text language.
    text: &'static str,
    /// In the JSON form.
    json: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
struct Limits {
    conditions: usize,
    values: usize,
    value_characters: usize,
}

/// What lists can be filtered by.
#[utoipa::path(
    get, path = "/v1/filter-schema", tag = "query", operation_id = "get_filter_schema",
    responses((status = 200, description = "Fields, operators and bounds.", body = Data<FilterSchema>), ErrorResponse),
)]
pub(super) async fn get(State(face): State<Face>, parts: Parts) -> Result<Data<FilterSchema>, ErrorResponse> {
    face.reader(&parts).await?;
    let operators = Operator::ALL.iter().map(|(_, text, json)| OperatorSchema { text, json }).collect();
    let limits = Limits { conditions: CONDITIONS_MAX, values: VALUES_MAX, value_characters: VALUE_CHARS_MAX };
    Ok(Data(FilterSchema { fields: fields(), operators, limits }))
}

fn fields() -> Vec<FieldSchema> {
    let known = KNOWN.iter().map(|known| FieldSchema {
        name: known.name,
        aliases: known.aliases,
        kind: known.holds.as_str(),
        operators: operators(&[known.holds]),
        of_trace: known.is_of_trace,
        description: known.says,
    });
    let metadata = FieldSchema {
        name: "metadata.<key>",
        aliases: &[],
        kind: Holds::Text.as_str(),
        operators: operators(&[Holds::Text, Holds::Number]),
        of_trace: false,
        description: "A value of the metadata; dots lead into objects. With >, <, between it is read as a number.",
    };
    let score = |name, description| FieldSchema {
        name,
        aliases: &[],
        kind: Holds::Number.as_str(),
        operators: operators(&[Holds::Number]),
        of_trace: true,
        description,
    };
    let of_name = score("score__<name>", "The mean of the scores of that name.");
    let of_any = score("any_score", "The mean of the scores of any name; it is enough that one fits.");
    known.chain([metadata, of_name, of_any]).collect()
}

/// That fit one of them.
fn operators(holds: &[Holds]) -> Vec<&'static str> {
    let fits = |operator: Operator| holds.iter().any(|holds| operator.fits(*holds));
    Operator::ALL.iter().filter(|(operator, ..)| fits(*operator)).map(|(.., json)| *json).collect()
}
