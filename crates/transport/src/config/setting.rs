//! One setting from one source: is its key known, and which value does it mean.

use serde_json::{Map, Value as Json};

use super::names;

/// One key and what it is set to.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) key: Vec<String>,
    pub(super) value: Value,
    pub(super) origin: String,
}

/// A value with a type, or text whose type the key decides.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Typed(Json),
    Text(String),
}

/// What is known about a key.
enum Shape<'a> {
    /// It has this default.
    Known(&'a Json),
    /// It is inside a map, or inside something optional.
    Open,
    Unknown,
}

/// One setting per key of `table`; tables that are settings of their own, such as maps, stay whole.
pub(super) fn flatten(table: &toml::Table, shape: &Json, origin: &str, settings: &mut Vec<Setting>) {
    walk(table, Some(shape), &mut Vec::new(), origin, settings);
}

fn walk(table: &toml::Table, shape: Option<&Json>, at: &mut Vec<String>, origin: &str, settings: &mut Vec<Setting>) {
    for (name, value) in table {
        at.push(name.clone());
        let inner = shape.and_then(|shape| shape.get(name));
        match (value, inner) {
            (toml::Value::Table(table), Some(Json::Object(known))) if !known.is_empty() => {
                walk(table, inner, at, origin, settings);
            }
            _ => {
                let value = Value::Typed(json(value));
                settings.push(Setting { key: at.clone(), value, origin: origin.to_owned() });
            }
        }
        at.pop();
    }
}

impl Setting {
    /// The value to take, which `fits` has accepted; or what is wrong.
    pub(super) fn checked(&self, shape: &Json, fits: impl Fn(&Json) -> Result<(), String>) -> Result<Json, String> {
        let default = match look_up(shape, &self.key) {
            Shape::Unknown => return Err(unknown(shape, &self.key)),
            Shape::Open => &Json::Null,
            Shape::Known(default) => default,
        };
        let candidates = match &self.value {
            Value::Typed(value) => vec![value.clone()],
            Value::Text(text) => readings(text, default),
        };
        let mut refused = None;
        for candidate in candidates {
            match fits(&candidate) {
                Ok(()) => return Ok(candidate),
                Err(why) => refused = refused.or(Some(why)),
            }
        }
        let why = refused.unwrap_or_else(|| "cannot be read".to_owned());
        Err(if default.is_null() { why } else { format!("{why} (the default is {default})") })
    }
}

/// What a text may mean, the likeliest first.
fn readings(text: &str, default: &Json) -> Vec<Json> {
    let whole = Json::String(text.to_owned());
    let literal = || {
        let table: toml::Table = format!("value = {text}").parse().ok()?;
        table.get("value").map(json)
    };
    let list = || Json::Array(text.split(',').map(|item| item.trim().into()).collect());
    match default {
        Json::String(_) => vec![whole],
        Json::Null => [whole].into_iter().chain(literal()).collect(),
        Json::Array(_) => literal().into_iter().chain([list()]).collect(),
        Json::Bool(_) | Json::Number(_) | Json::Object(_) => literal().into_iter().chain([whole]).collect(),
    }
}

fn look_up<'a>(shape: &'a Json, key: &[String]) -> Shape<'a> {
    let mut at = shape;
    for name in key {
        match at {
            Json::Object(known) if known.is_empty() => return Shape::Open,
            Json::Null => return Shape::Open,
            _ => match at.get(name) {
                Some(inner) => at = inner,
                None => return Shape::Unknown,
            },
        }
    }
    Shape::Known(at)
}

fn unknown(shape: &Json, key: &[String]) -> String {
    let mut known = Vec::new();
    leaves(shape, "", &mut known);
    let wanted = key.join(".");
    let same_name = || {
        let last = key.last()?;
        known.iter().find(|path| path.rsplit('.').next() == Some(last)).map(String::as_str)
    };
    if let Some(near) = names::nearest(&wanted, known.iter().map(String::as_str)).or_else(same_name) {
        return format!("unknown setting, perhaps '{near}' is meant");
    }
    let beside = siblings(shape, key);
    format!("unknown setting, known here are {}", beside.join(", "))
}

/// The names that the deepest known table on the way to `key` takes.
fn siblings(shape: &Json, key: &[String]) -> Vec<String> {
    let mut at = shape;
    for name in key {
        match at.get(name) {
            Some(inner @ Json::Object(_)) => at = inner,
            _ => break,
        }
    }
    at.as_object().map(|known| known.keys().cloned().collect()).unwrap_or_default()
}

/// The dotted path of every key that holds a value.
pub(super) fn leaves(shape: &Json, prefix: &str, paths: &mut Vec<String>) {
    match shape {
        Json::Object(known) if !known.is_empty() => known.iter().for_each(|(name, inner)| {
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            leaves(inner, &path, paths);
        }),
        _ => paths.push(prefix.to_owned()),
    }
}

/// The defaults to lay settings over. Absent and secret values are left to the type's own default.
pub(super) fn base(shape: &Json) -> Json {
    match shape {
        Json::Object(known) => {
            let kept =
                known.iter().filter(|(_, value)| !value.is_null() && value.as_str() != Some(super::secret::MASK));
            Json::Object(kept.map(|(name, value)| (name.clone(), base(value))).collect())
        }
        other => other.clone(),
    }
}

/// Sets `key` in `target`, making the tables on the way.
pub(super) fn overlay(target: &mut Json, key: &[String], value: Json) {
    let Some((first, rest)) = key.split_first() else {
        *target = value;
        return;
    };
    if !target.is_object() {
        *target = Json::Object(Map::new());
    }
    if let Json::Object(table) = target {
        overlay(table.entry(first.clone()).or_insert(Json::Null), rest, value);
    }
}

fn json(value: &toml::Value) -> Json {
    match value {
        toml::Value::String(text) => text.clone().into(),
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Float(number) => (*number).into(),
        toml::Value::Boolean(flag) => (*flag).into(),
        toml::Value::Datetime(at) => at.to_string().into(),
        toml::Value::Array(items) => items.iter().map(json).collect(),
        toml::Value::Table(table) => table.iter().map(|(name, value)| (name.clone(), json(value))).collect(),
    }
}
