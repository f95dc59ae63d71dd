//! The filter language in requests: as text, as parameters, as JSON. All three make one [`Filter`].

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use spanlake_model::{CONDITIONS_MAX, Code, Condition, Fault, Field, Filter, FilterError, Operator, Part};
use utoipa::ToSchema;

use super::params::refused;

/// Parameters of lists that are short for conditions.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Short<'a> {
    /// The text language.
    pub(super) filter: Option<&'a str>,
    /// In input or output.
    pub(super) search: Option<&'a str>,
    /// One of these tags.
    pub(super) tag: &'a [String],
    pub(super) min_latency_ms: Option<f64>,
    pub(super) max_latency_ms: Option<f64>,
    pub(super) min_cost: Option<f64>,
    pub(super) max_cost: Option<f64>,
    /// Each `<name><sign><number>`.
    pub(super) score: &'a [String],
    /// Of any name.
    pub(super) min_score: Option<f64>,
    pub(super) max_score: Option<f64>,
}

impl Short<'_> {
    /// All of them together.
    ///
    /// # Errors
    /// `invalid_filter` that points at the place in the text, `invalid_query_params` for another parameter.
    pub(super) fn read(self) -> Result<Filter, Fault> {
        let mut clauses = match self.filter {
            Some(text) => text.parse::<Filter>().map_err(|error| slip(&error))?.clauses().to_vec(),
            None => Vec::new(),
        };
        if let Some(word) = self.search {
            let contains = |field| condition("search", field, Operator::Contains, word.to_owned());
            clauses.push(vec![contains("input")?, contains("output")?]);
        }
        let bounds = [
            ("min_latency_ms", "latency_ms", Operator::AtLeast, self.min_latency_ms),
            ("max_latency_ms", "latency_ms", Operator::AtMost, self.max_latency_ms),
            ("min_cost", "cost", Operator::AtLeast, self.min_cost),
            ("max_cost", "cost", Operator::AtMost, self.max_cost),
        ];
        for (parameter, field, operator, value) in bounds {
            if let Some(value) = value {
                clauses.push(vec![condition(parameter, field, operator, value.to_string())?]);
            }
        }
        if !self.tag.is_empty() {
            let tags = Condition::new(field("tag", "tags")?, Operator::In, self.tag.to_vec());
            clauses.push(vec![tags.map_err(|why| refused("tag", why))?]);
        }
        for score in self.score {
            clauses.push(vec![Condition::of_score(score).map_err(|why| refused("score", why))?]);
        }
        let any_score = Condition::of_any_score(self.min_score, self.max_score);
        clauses.extend(any_score.map_err(|why| refused("min_score", why))?.map(|bounds| vec![bounds]));
        Filter::new(clauses).map_err(|why| refused("filter", why))
    }
}

fn field(parameter: &str, name: &str) -> Result<Field, Fault> {
    Field::parse(name).map_err(|why| refused(parameter, why))
}

fn condition(parameter: &str, name: &str, operator: Operator, value: String) -> Result<Condition, Fault> {
    Condition::new(field(parameter, name)?, operator, vec![value]).map_err(|why| refused(parameter, why))
}

fn slip(error: &FilterError) -> Fault {
    Fault::new(Code::InvalidFilter, format!("The filter cannot be read: {error}.")).detail("filter", error.to_string())
}

/// What a search takes in its body: the JSON form of the filter language, and otherwise what the list takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Search {
    /// Conditions `{"field", "operator", "value"}`, which all hold, or `{"or": [conditions]}`, of which one does.
    #[schema(value_type = Vec<Object>)]
    #[serde(default)]
    filter: Vec<Value>,
    limit: Option<usize>,
    cursor: Option<String>,
    start_date: Option<String>,
    end_date: Option<String>,
    sort_by: Option<String>,
    sort_order: Option<String>,
    after: Option<String>,
}

impl Search {
    /// The parameters of the list that ask for the same, the filter in the text language: so the cursor of one form is good for the other.
    ///
    /// # Errors
    /// As [`from_json`].
    pub(super) fn params<P: DeserializeOwned>(self) -> Result<P, Fault> {
        let Self { filter, limit, cursor, start_date, end_date, sort_by, sort_order, after } = self;
        let filter = from_json(&filter)?;
        let filter = (!filter.is_empty()).then(|| filter.to_string());
        let params = json!({
            "filter": filter, "limit": limit, "cursor": cursor, "start_date": start_date, "end_date": end_date,
            "sort_by": sort_by, "sort_order": sort_order, "after": after,
        });
        serde_json::from_value(params).map_err(|why| refused("body", why))
    }
}

/// Both halves of a pair, or none.
///
/// # Errors
/// Half a pair; names the half that is missing.
pub(super) fn pair(key: Option<&String>, value: Option<&String>) -> Result<Option<(String, String)>, Fault> {
    match (key, value) {
        (Some(key), Some(value)) => Ok(Some((key.clone(), value.clone()))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(refused("metadata_value", "is required together with metadata_key")),
        (None, Some(_)) => Err(refused("metadata_key", "is required together with metadata_value")),
    }
}

/// The JSON form: `[{"field", "operator", "value"} | {"or": […]}]`.
///
/// # Errors
/// `invalid_filter` with the path of what is wrong.
fn from_json(clauses: &[Value]) -> Result<Filter, Fault> {
    if clauses.len() > CONDITIONS_MAX {
        return Err(wrong("filter", format_args!("holds more than {CONDITIONS_MAX} conditions")));
    }
    let read = clauses.iter().enumerate().map(|(place, clause)| self::clause(&format!("filter[{place}]"), clause));
    Filter::new(read.collect::<Result<_, _>>()?).map_err(|why| wrong("filter", why))
}

fn wrong(path: &str, why: impl std::fmt::Display) -> Fault {
    Fault::new(Code::InvalidFilter, format!("The filter cannot be read: {path} {why}.")).detail(path, why.to_string())
}

fn clause(path: &str, clause: &Value) -> Result<Vec<Condition>, Fault> {
    let object = clause.as_object().ok_or_else(|| wrong(path, "must be an object"))?;
    match object.get("or") {
        None => Ok(vec![leaf(path, object)?]),
        Some(Value::Array(leaves)) if object.len() == 1 => {
            let read = leaves.iter().enumerate().map(|(place, one)| {
                let path = format!("{path}.or[{place}]");
                let object = one.as_object().ok_or_else(|| wrong(&path, "must be an object"))?;
                leaf(&path, object)
            });
            read.collect()
        }
        Some(_) => Err(wrong(path, "must hold \"or\" with a list of conditions, and nothing else")),
    }
}

const KEYS: [&str; 3] = ["field", "operator", "value"];

fn leaf(path: &str, object: &Map<String, Value>) -> Result<Condition, Fault> {
    if let Some(other) = object.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(wrong(path, format_args!("holds '{other}'; it takes field, operator and value")));
    }
    let word = |key: &str| match object.get(key) {
        Some(Value::String(word)) => Ok(word.as_str()),
        _ => Err(wrong(&format!("{path}.{key}"), "must be a text")),
    };
    let field = Field::parse(word("field")?).map_err(|why| wrong(&format!("{path}.field"), why))?;
    let operator = Operator::from_json(word("operator")?).ok_or_else(|| {
        let known: Vec<_> = Operator::ALL.iter().map(|(.., json)| *json).collect();
        wrong(&format!("{path}.operator"), format_args!("is not one of {}", known.join(", ")))
    })?;
    let values = values(object.get("value"))
        .ok_or_else(|| wrong(&format!("{path}.value"), "must be a text, a number, a boolean, or a list of them"))?;
    let is_list = matches!(object.get("value"), Some(Value::Array(_)));
    Condition::new(field, operator, values).map_err(|error| match error.part {
        Part::Operator => wrong(&format!("{path}.operator"), error),
        Part::Value(place) if is_list => wrong(&format!("{path}.value[{place}]"), error),
        Part::Values | Part::Value(_) => wrong(&format!("{path}.value"), error),
    })
}

/// As they would be written in the text language.
fn values(value: Option<&Value>) -> Option<Vec<String>> {
    match value {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Array(values)) => values.iter().map(scalar).collect(),
        Some(one) => Some(vec![scalar(one)?]),
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_json_and_parameters_are_one_filter() {
        let text = r#"(input contains "a b" or output contains "a b") and latency_ms >= "2.5""#;
        let text = &format!(
            r#"{text} and tags in (vip, "a b") and score__quality >= "0.8" and any_score between "0.1" and "1""#
        );
        let (tag, score) = (["vip".to_owned(), "a b".to_owned()], ["quality>=0.8".to_owned()]);
        let short = Short {
            search: Some("a b"),
            tag: &tag,
            min_latency_ms: Some(2.5),
            score: &score,
            min_score: Some(0.1),
            max_score: Some(1.0),
            ..Short::default()
        };
        let json = json!([
            {"or": [
                {"field": "input", "operator": "contains", "value": "a b"},
                {"field": "output", "operator": "contains", "value": "a b"},
            ]},
            {"field": "latency", "operator": "gte", "value": 2.5},
            {"field": "tags", "operator": "in", "value": ["vip", "a b"]},
            {"field": "score__quality", "operator": "gte", "value": 0.8},
            {"field": "any_score", "operator": "between", "value": [0.1, 1]},
        ]);
        let read = text.parse::<Filter>().unwrap();
        assert_eq!(short.read().unwrap(), read);
        assert_eq!(from_json(json.as_array().unwrap()).unwrap(), read);
    }

    #[test]
    fn what_is_wrong_in_json_is_named_by_its_path() {
        for (clause, path) in [
            (json!(7), "filter[0]"),
            (json!({"field": "modle", "operator": "equals", "value": "x"}), "filter[0].field"),
            (json!({"field": "model", "operator": "is", "value": "x"}), "filter[0].operator"),
            (json!({"field": "model", "operator": "equals", "value": {}}), "filter[0].value"),
            (json!({"field": "model", "operator": "equals", "value": "x", "case": true}), "filter[0]"),
            (
                json!({"or": [{"field": "model", "operator": "exists"}, {"field": 1, "operator": "exists"}]}),
                "filter[0].or[1].field",
            ),
            (json!({"or": []}), "filter"),
            (json!({"or": [], "field": "model"}), "filter[0]"),
            (json!({"field": "cost", "operator": "between", "value": [1]}), "filter[0].value"),
            (json!({"field": "cost", "operator": "between", "value": [1, "dear"]}), "filter[0].value[1]"),
            (json!({"field": "cost", "operator": "gt", "value": "dear"}), "filter[0].value"),
            (json!({"field": "cost", "operator": "contains", "value": "1"}), "filter[0].operator"),
            (json!({"field": "trace_id", "operator": "startsWith", "value": "1"}), "filter[0].operator"),
        ] {
            let fault = from_json(std::slice::from_ref(&clause)).unwrap_err();
            assert_eq!(
                (fault.code, fault.details.keys().next().unwrap().as_str()),
                (Code::InvalidFilter, path),
                "{clause}"
            );
        }
    }
}
