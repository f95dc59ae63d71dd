//! The reference of all settings, from the code.

use serde::Serialize;
use serde_json::Value;

use super::setting::leaves;

/// One setting, for the reference page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Dotted, as in the file.
    pub key: String,
    /// The environment variable that sets it.
    pub variable: String,
    /// Its default as JSON; `null` when it has none.
    pub default: String,
}

/// Every setting of `T` with its default, in the order of their names.
///
/// # Errors
/// When `T` cannot be serialised, which [`super::load`] would not accept either.
pub fn reference<T: Serialize + Default>() -> Result<Vec<Entry>, serde_json::Error> {
    let shape = serde_json::to_value(T::default())?;
    let mut keys = Vec::new();
    leaves(&shape, "", &mut keys);
    Ok(keys.into_iter().map(|key| entry(key, &shape)).collect())
}

fn entry(key: String, shape: &Value) -> Entry {
    let default = shape.pointer(&format!("/{}", key.replace('.', "/"))).unwrap_or(&Value::Null).to_string();
    let variable = format!("{}{}", super::PREFIX, key.replace('.', "__").to_ascii_uppercase());
    Entry { key, variable, default }
}
