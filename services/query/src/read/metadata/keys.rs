//! Which keys metadata has, found by looking: an aggregate over the column.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use spanlake_engine::TenantSession;
use spanlake_engine::datafusion::common::{Result as PlanResult, ScalarValue, internal_datafusion_err};
use spanlake_engine::datafusion::dataframe::DataFrame;
use spanlake_engine::datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use spanlake_engine::datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};
use spanlake_engine::datafusion::prelude::col;
use spanlake_model::{Caller, TimeRange};

use super::shown;
use crate::error::Error;
use crate::read::columns::{own, text};
use crate::read::pieces::{Part, of_each};

/// Keys that are kept; of those that are met when there are so many, none is.
pub(crate) const KEYS_MAX: usize = 1_000;
/// Example values of a key: the first in the order of texts.
pub(crate) const EXAMPLES_MAX: usize = 5;
/// Longer values are no examples.
const EXAMPLE_BYTES_MAX: usize = 200;
/// Longer keys are left out.
const KEY_BYTES_MAX: usize = 200;
/// Objects in objects that are looked into.
const DEPTH_MAX: usize = 8;

/// What is known of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    /// Spans that have it.
    pub(crate) count: u64,
    /// Of these, how many have a value of each type of JSON.
    pub(crate) types: BTreeMap<String, u64>,
    pub(crate) examples: BTreeSet<String>,
}

/// All keys, nested ones with dots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Keys {
    pub(crate) known: BTreeMap<String, Known>,
    /// Whether some were left out.
    pub(crate) has_more: bool,
}

/// The keys in the metadata of the caller's spans that begin in the range, which is the session's.
pub(crate) async fn read(session: &TenantSession, caller: &Caller, range: TimeRange) -> Result<Keys, Error> {
    let pieces = session.pieces(Some(range)).await?;
    let parts = Part::all(&pieces, caller);
    let mut all = Keys::default();
    for keys in of_each(parts.iter().map(|part| of_part(part, caller)).collect()).await? {
        all.merge(Arc::unwrap_or_clone(keys));
    }
    Ok(all)
}

async fn of_part(part: &Part<'_>, caller: &Caller) -> Result<Arc<Keys>, Error> {
    let settle = async {
        let keys = of_spans(part.session, part.session.frame()?.filter(own(caller))?).await?;
        let bytes = keys.size();
        Ok((keys, bytes))
    };
    part.remembered("metadata keys".to_owned(), settle).await
}

async fn of_spans(session: &TenantSession, spans: DataFrame) -> Result<Keys, Error> {
    let aggregate = AggregateUDF::from(MetadataKeys { signature: SIGNATURE.clone() });
    let spans = spans.filter(col("metadata").not_eq(text("{}")))?;
    let keys = spans.aggregate(vec![], vec![aggregate.call(vec![col("metadata")]).alias("keys")])?;
    let batches = session.collect(keys).await?;
    let first = batches.iter().find(|batch| batch.num_rows() > 0).ok_or(Error::Column("keys"))?;
    let keys = first.column(0).as_string_opt::<i32>().filter(|keys| keys.is_valid(0)).ok_or(Error::Column("keys"))?;
    serde_json::from_str(keys.value(0)).map_err(|_| Error::Column("keys"))
}

static SIGNATURE: LazyLock<Signature> =
    LazyLock::new(|| Signature::exact(vec![DataType::Utf8View], Volatility::Immutable));

#[derive(Debug, PartialEq, Eq, Hash)]
struct MetadataKeys {
    signature: Signature,
}

impl AggregateUDFImpl for MetadataKeys {
    fn name(&self) -> &str {
        "metadata_keys"
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _: &[DataType]) -> PlanResult<DataType> {
        Ok(DataType::Utf8)
    }
    fn accumulator(&self, _: AccumulatorArgs<'_>) -> PlanResult<Box<dyn Accumulator>> {
        Ok(Box::<Keys>::default())
    }
    fn state_fields(&self, args: StateFieldsArgs<'_>) -> PlanResult<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[keys]", args.name), DataType::Utf8, true))])
    }
}

impl Accumulator for Keys {
    fn update_batch(&mut self, values: &[ArrayRef]) -> PlanResult<()> {
        let texts = values[0].as_string_view_opt().ok_or_else(|| internal_datafusion_err!("metadata is text"))?;
        for metadata in texts.iter().flatten() {
            if let Ok(object) = serde_json::from_str(metadata) {
                self.look(&mut String::new(), &object, DEPTH_MAX);
            }
        }
        Ok(())
    }
    fn evaluate(&mut self) -> PlanResult<ScalarValue> {
        let json = serde_json::to_string(self).map_err(|error| internal_datafusion_err!("{error}"))?;
        Ok(ScalarValue::Utf8(Some(json)))
    }
    fn size(&self) -> usize {
        let known = |(key, known): (&String, &Known)| {
            key.len() + size_of::<Known>() + known.examples.iter().map(|example| example.len() + 24).sum::<usize>()
        };
        self.known.iter().map(known).sum()
    }
    fn state(&mut self) -> PlanResult<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> PlanResult<()> {
        let unreadable = || internal_datafusion_err!("a state of metadata_keys does not read back");
        let states = states[0].as_string_opt::<i32>().ok_or_else(unreadable)?;
        states.iter().flatten().try_for_each(|state| {
            let other: Self = serde_json::from_str(state).map_err(|_| unreadable())?;
            self.merge(other);
            Ok(())
        })
    }
}

impl Keys {
    /// Adds the keys of an object whose own name is `path`.
    fn look(&mut self, path: &mut String, object: &Map<String, Value>, depth: usize) {
        for (name, value) in object {
            let length = path.len();
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(name);
            match value {
                Value::Null => {}
                Value::Object(inner) if depth > 0 => self.look(path, inner, depth - 1),
                other => self.meet(path, other),
            }
            path.truncate(length);
        }
    }

    fn meet(&mut self, key: &str, value: &Value) {
        if key.len() > KEY_BYTES_MAX || (self.known.len() >= KEYS_MAX && !self.known.contains_key(key)) {
            self.has_more = true;
            return;
        }
        if !self.known.contains_key(key) {
            self.known.insert(key.to_owned(), Known::default());
        }
        let known = self.known.get_mut(key).expect("just looked for");
        known.count += 1;
        let kind = kind(value);
        match known.types.get_mut(kind) {
            Some(count) => *count += 1,
            None => drop(known.types.insert(kind.to_owned(), 1)),
        }
        let example = shown(value).filter(|example| example.len() <= EXAMPLE_BYTES_MAX);
        known.examples.extend(example);
        known.trim();
    }

    fn merge(&mut self, other: Self) {
        self.has_more |= other.has_more;
        for (key, more) in other.known {
            if self.known.len() >= KEYS_MAX && !self.known.contains_key(&key) {
                self.has_more = true;
                continue;
            }
            let known = self.known.entry(key).or_default();
            known.count += more.count;
            more.types.into_iter().for_each(|(kind, count)| *known.types.entry(kind).or_default() += count);
            known.examples.extend(more.examples);
            known.trim();
        }
    }
}

impl Known {
    fn trim(&mut self) {
        while self.examples.len() > EXAMPLES_MAX {
            self.examples.pop_last();
        }
    }

    /// The type that most values are of.
    pub(crate) fn commonest(&self) -> &str {
        self.types.iter().max_by_key(|(_, count)| **count).map_or("null", |(kind, _)| kind)
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(metadata: &[&str]) -> Keys {
        let mut keys = Keys::default();
        let objects = metadata.iter().map(|text| serde_json::from_str(text).unwrap());
        objects.for_each(|object: Map<String, Value>| keys.look(&mut String::new(), &object, DEPTH_MAX));
        keys
    }

    #[test]
    fn many_keys_are_cut_off_and_said_to_be() {
        let wide: String = (0..KEYS_MAX + 1).map(|number| format!(r#","k{number}":1"#)).collect();
        let keys = of(&[&format!("{{{}}}", &wide[1..])]);
        assert_eq!((keys.known.len(), keys.has_more), (KEYS_MAX, true));
    }

    #[test]
    fn parts_merge_to_the_whole() {
        let all = [r#"{"a":1,"b":{"c":"x"}}"#, r#"{"a":"1","b":{"c":"y","d":[1]}}"#, r#"{"b":null}"#];
        for cut in 0..=all.len() {
            let mut joined = of(&all[cut..]);
            joined.merge(of(&all[..cut]));
            assert_eq!(joined, of(&all));
        }
        let keys = of(&all);
        assert_eq!(keys.known.keys().collect::<Vec<_>>(), ["a", "b.c", "b.d"]);
        assert_eq!(keys.known["b.c"].examples, BTreeSet::from(["x".to_owned(), "y".to_owned()]));
        assert_eq!((keys.known["b.d"].commonest(), keys.known["a"].count), ("list", 2));
    }

    #[test]
    fn a_deep_nest_ends() {
        let deep = format!("{}1{}", r#"{"a":"#.repeat(60), "}".repeat(60));
        let keys = of(&[&deep]);
        assert_eq!(keys.known.values().next().unwrap().commonest(), "object");
    }
}
