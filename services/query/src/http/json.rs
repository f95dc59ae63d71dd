//! JSON that is passed on as it is stored.

use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A JSON value, digit by digit as it was sent.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Json(Box<RawValue>);

impl Json {
    /// What the text holds when it holds JSON, else the text itself.
    pub(super) fn of(text: String) -> Self {
        match serde_json::from_str::<&RawValue>(&text) {
            Ok(value) => Self(value.to_owned()),
            Err(_) => Self(serde_json::value::to_raw_value(&text).expect("a string is JSON")),
        }
    }
}

impl PartialSchema for Json {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(SchemaType::AnyValue).description(Some("Any JSON value.")).into()
    }
}

impl ToSchema for Json {
    fn name() -> std::borrow::Cow<'static, str> {
        "Json".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_stays_as_sent_and_text_becomes_a_string() {
        let shown = |text: &str| serde_json::to_string(&Json::of(text.into())).unwrap();
        assert_eq!(shown(r#"{"b":1,"a":12345678901234567890.50}"#), r#"{"b":1,"a":12345678901234567890.50}"#);
        assert_eq!(shown("say \"hi\""), r#""say \"hi\"""#);
        assert_eq!(shown("{broken"), r#""{broken""#);
    }
}
