//! OTLP in protobuf, read in place: no string, no list of bytes and no message that is not asked for is built.
//!
//! Agrees with prost on every body that prost takes. What prost refuses as a whole is taken as far as it goes: an item that is
//! malformed spoils only itself, text that is not UTF-8 is read with U+FFFD where it is not, values may lie deeper in each other
//! ([`super::DEPTH_MAX`]), and fields nobody here asks for are passed over unread. `tests/it/wire.rs` holds the two against each other.

mod message;
mod reader;

use std::borrow::Cow;

use crate::sent::{Item, Resource, Scope};
pub(super) use message::{Raw, Record, Span};
use reader::Reader;

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
    #[error("groups do not end where they should")]
    Group,
    #[error("groups lie too deep in each other")]
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

/// What the items of a body are to those who expect them to be of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// There are none.
    Nothing,
    /// One is surely what is expected, whatever the others are.
    Good,
    /// They may be what is expected, all to be refused one by one, or something else.
    Doubtful,
}

/// Reads the items no further than to the first good one.
///
/// # Errors
/// When something is malformed: what is around the items, or each of them.
pub(super) fn look<'a, I: From<Raw<'a>> + Item<T>, T: Default>(
    body: &'a [u8],
    is_good: impl Fn(&T) -> bool,
) -> Result<Seen, String> {
    let (mut seen, mut malformed, mut read) = (Seen::Nothing, None, T::default());
    let resources = resources::<I>(body).map_err(|error| error.to_string())?;
    for item in resources.into_iter().flat_map(|resource| resource.scopes).flat_map(|scope| scope.items) {
        match item.read(&mut read) {
            Ok(()) if is_good(&read) => return Ok(Seen::Good),
            Ok(()) => seen = Seen::Doubtful,
            Err(error) => _ = malformed.get_or_insert(error),
        }
    }
    malformed.filter(|_| seen == Seen::Nothing).map_or(Ok(seen), Err)
}

/// `ResourceSpans` and `ResourceLogs`, whose fields have the same numbers.
fn resource<'a, I: From<Raw<'a>>>(bytes: &'a [u8]) -> Result<Resource<'a, I>, Error> {
    let (mut reader, mut resource) = (Reader::new(bytes), Resource { attributes: Vec::new(), scopes: Vec::new() });
    while let Some((number, field)) = reader.next()? {
        match number {
            1 => message::resource_attributes(field.message(number)?, &mut resource.attributes)?,
            2 => resource.scopes.push(scope(field.message(number)?)?),
            3 => _ = field.message(number)?,
            _ => {}
        }
    }
    Ok(resource)
}

/// `ScopeSpans` and `ScopeLogs`, whose fields have the same numbers.
fn scope<'a, I: From<Raw<'a>>>(bytes: &'a [u8]) -> Result<Scope<'a, I>, Error> {
    let (mut reader, mut scope) = (Reader::new(bytes), Scope { name: Cow::Borrowed(""), items: Vec::new() });
    while let Some((number, field)) = reader.next()? {
        match number {
            1 => message::scope_name(field.message(number)?, &mut scope.name)?,
            2 => scope.items.push(I::from(Raw::new(field.message(number)?))),
            3 => _ = field.message(number)?,
            _ => {}
        }
    }
    Ok(scope)
}
