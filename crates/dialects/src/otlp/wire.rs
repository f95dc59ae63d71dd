//! OTLP in protobuf, read in place: no string, no list of bytes and no message that is not asked for is built.
//!
//! Agrees with prost on every body that prost takes, except that values may lie deeper in each other ([`DEPTH_MAX`]) and that fields
//! nobody here asks for are passed over unread. `tests/it/wire.rs` holds the two against each other.

mod message;
mod reader;

use crate::sent::{Resource, Scope};
pub(super) use message::{Raw, Record, Span};
use reader::Reader;

/// Lists and maps within each other in one value; further ones are refused, since each takes a bit of the stack.
pub(super) const DEPTH_MAX: usize = 64;

/// Bytes that are not the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    #[error("it ends within a field")]
    Truncated,
    #[error("a number is longer than ten bytes or 64 bits")]
    Number,
    #[error("a field has number 0 or a type that protobuf does not have")]
    Tag,
    #[error("field {0} has another type than it should")]
    WireType(u32),
    #[error("text is not UTF-8")]
    Utf8,
    #[error("groups do not end where they should")]
    Group,
    #[error("values lie more than {max} deep in each other", max = DEPTH_MAX)]
    TooDeep,
}

/// The resources of a request with their items, in order. Reads what is around the items, but not the items.
///
/// # Errors
/// When what is around the items is malformed.
pub(super) fn resources<'a, I: From<Raw<'a>>>(body: &'a [u8]) -> Result<Vec<Resource<'a, I>>, Error> {
    let (mut reader, mut resources) = (Reader::new(body), Vec::new());
    while let Some((number, field)) = reader.next()? {
        if number == 1 {
            resources.push(resource(field.message(number)?)?);
        }
    }
    Ok(resources)
}

/// `ResourceSpans` and `ResourceLogs`, whose fields have the same numbers.
fn resource<'a, I: From<Raw<'a>>>(bytes: &'a [u8]) -> Result<Resource<'a, I>, Error> {
    let (mut reader, mut resource) = (Reader::new(bytes), Resource { attributes: Vec::new(), scopes: Vec::new() });
    while let Some((number, field)) = reader.next()? {
        match number {
            1 => message::resource_attributes(field.message(number)?, &mut resource.attributes)?,
            2 => resource.scopes.push(scope(field.message(number)?)?),
            3 => drop(field.text(number)?),
            _ => {}
        }
    }
    Ok(resource)
}

/// `ScopeSpans` and `ScopeLogs`, whose fields have the same numbers.
fn scope<'a, I: From<Raw<'a>>>(bytes: &'a [u8]) -> Result<Scope<'a, I>, Error> {
    let (mut reader, mut scope) = (Reader::new(bytes), Scope { name: "", items: Vec::new() });
    while let Some((number, field)) = reader.next()? {
        match number {
            1 => message::scope_name(field.message(number)?, &mut scope.name)?,
            2 => scope.items.push(I::from(Raw::new(field.message(number)?))),
            3 => drop(field.text(number)?),
            _ => {}
        }
    }
    Ok(scope)
}
