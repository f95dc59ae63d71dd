//! Between our types and columns of text and 64-bit integers.

use std::fmt::Display;
use std::str::FromStr;

use spanlake_model::{AppId, SpanId, SpanKey, Timestamp, TraceId};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::error::Error;

/// A column that is read by its name.
pub(super) trait Columns {
    fn text(&self, column: &'static str) -> Result<String, Error>;
    fn maybe_text(&self, column: &'static str) -> Result<Option<String>, Error>;
    fn integer(&self, column: &'static str) -> Result<i64, Error>;
    fn maybe_integer(&self, column: &'static str) -> Result<Option<i64>, Error>;

    /// What `Display` wrote.
    fn parsed<T: FromStr<Err: Display>>(&self, column: &'static str) -> Result<T, Error> {
        self.text(column)?.parse().map_err(|why| corrupt(column, why))
    }
    fn maybe_parsed<T: FromStr<Err: Display>>(&self, column: &'static str) -> Result<Option<T>, Error> {
        self.maybe_text(column)?.map(|text| text.parse()).transpose().map_err(|why| corrupt(column, why))
    }
    /// A word that `read` knows.
    fn word<T>(&self, column: &'static str, read: fn(&str) -> Option<T>) -> Result<T, Error> {
        let word = self.text(column)?;
        read(&word).ok_or_else(|| corrupt(column, format!("unknown word '{word}'")))
    }
    /// A number of the type wanted.
    fn number<T: TryFrom<i64, Error: Display>>(&self, column: &'static str) -> Result<T, Error> {
        T::try_from(self.integer(column)?).map_err(|why| corrupt(column, why))
    }
    /// A number that may be missing.
    fn maybe_number<T: TryFrom<i64, Error: Display>>(&self, column: &'static str) -> Result<Option<T>, Error> {
        self.maybe_integer(column)?.map(T::try_from).transpose().map_err(|why| corrupt(column, why))
    }
    fn time(&self, column: &'static str) -> Result<Timestamp, Error> {
        self.integer(column).map(Timestamp::from_nanos)
    }
    fn maybe_time(&self, column: &'static str) -> Result<Option<Timestamp>, Error> {
        Ok(self.maybe_integer(column)?.map(Timestamp::from_nanos))
    }
    fn bytes(&self, column: &'static str) -> Result<Vec<u8>, Error> {
        hex::decode(self.text(column)?).map_err(|why| corrupt(column, why))
    }
}

impl Columns for AnyRow {
    fn text(&self, column: &'static str) -> Result<String, Error> {
        self.try_get(column).map_err(|why| corrupt(column, why))
    }
    fn maybe_text(&self, column: &'static str) -> Result<Option<String>, Error> {
        self.try_get(column).map_err(|why| corrupt(column, why))
    }
    fn integer(&self, column: &'static str) -> Result<i64, Error> {
        self.try_get(column).map_err(|why| corrupt(column, why))
    }
    fn maybe_integer(&self, column: &'static str) -> Result<Option<i64>, Error> {
        self.try_get(column).map_err(|why| corrupt(column, why))
    }
}

pub(super) fn corrupt(what: &'static str, why: impl Display) -> Error {
    Error::Corrupt { what, why: why.to_string() }
}

/// A count as the databases store it: they have no unsigned integers.
pub(super) fn stored(count: u64) -> Result<i64, Error> {
    i64::try_from(count).map_err(|error| Error::Database(sqlx::Error::Encode(error.into())))
}

/// A time that may be missing.
pub(super) fn maybe_stored(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_nanos)
}

/// App (16 bytes), trace (16), span (8).
const KEY_BYTES: usize = 40;

/// Keys one after the other, in hex.
pub(super) fn write_keys(keys: &[SpanKey]) -> String {
    let mut bytes = Vec::with_capacity(keys.len() * KEY_BYTES);
    for key in keys {
        bytes.extend_from_slice(key.app_id.as_bytes());
        bytes.extend_from_slice(key.trace_id.as_bytes());
        bytes.extend_from_slice(key.span_id.as_bytes());
    }
    hex::encode(bytes)
}

/// Reads what [`write_keys`] wrote.
pub(super) fn read_keys(row: &AnyRow, column: &'static str) -> Result<Vec<SpanKey>, Error> {
    let bytes = row.bytes(column)?;
    let (keys, rest) = bytes.as_chunks::<KEY_BYTES>();
    if !rest.is_empty() {
        return Err(corrupt(column, "cut short"));
    }
    keys.iter().map(|key| read_key(key).ok_or_else(|| corrupt(column, "a zero id"))).collect()
}

fn read_key(key: &[u8; KEY_BYTES]) -> Option<SpanKey> {
    let (app, ids) = key.split_first_chunk()?;
    let (trace, span) = ids.split_first_chunk()?;
    Some(SpanKey {
        app_id: AppId::from_bytes(*app),
        trace_id: TraceId::from_bytes(*trace)?,
        span_id: SpanId::from_slice(span).ok()?,
    })
}

/// What a failed insert or update means: taken, in the air, or the database's own trouble.
pub(super) fn refused(what: &'static str) -> impl FnOnce(sqlx::Error) -> Error {
    move |error| match error.as_database_error() {
        Some(cause) if cause.is_unique_violation() => Error::Exists { what },
        Some(cause) if cause.is_foreign_key_violation() => Error::Changed("what it belongs to"),
        _ => Error::Database(error),
    }
}
