//! The messages of OTLP: which field has which number.

use std::borrow::Cow;

use super::Error;
use super::reader::Reader;
use crate::otlp::DEPTH_MAX;
use crate::sent::{self, Attribute, Event, Item, Link, Status, Value};

/// The bytes of one item.
#[derive(Clone, Copy, Debug)]
pub(in crate::otlp) struct Raw<'a>(&'a [u8]);

/// A span, not yet read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span<'a>(Raw<'a>);

/// A log record, not yet read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a>(Raw<'a>);

impl<'a> Raw<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl<'a> From<Raw<'a>> for Span<'a> {
    fn from(raw: Raw<'a>) -> Self {
        Self(raw)
    }
}

impl<'a> From<Raw<'a>> for Record<'a> {
    fn from(raw: Raw<'a>) -> Self {
        Self(raw)
    }
}

impl<'a> Item<sent::Span<'a>> for Span<'a> {
    fn read(self, into: &mut sent::Span<'a>) -> Result<(), String> {
        self.try_read(into).map_err(|error| format!("the span cannot be read: {error}"))
    }
}

impl<'a> Item<sent::Record<'a>> for Record<'a> {
    fn read(self, into: &mut sent::Record<'a>) -> Result<(), String> {
        self.try_read(into).map_err(|error| format!("the log record cannot be read: {error}"))
    }
}

impl<'a> Span<'a> {
    fn try_read(self, into: &mut sent::Span<'a>) -> Result<(), Error> {
        into.clear();
        let mut reader = Reader::new(self.0.0);
        while let Some((number, field)) = reader.next()? {
            match number {
                1 => into.trace_id = field.message(number)?,
                2 => into.span_id = field.message(number)?,
                3 => _ = field.message(number)?,
                4 => into.parent_span_id = field.message(number)?,
                5 => into.name = field.text(number)?,
                6 | 10 | 12 | 14 => _ = field.varint(number)?,
                7 => into.start_nanos = field.fixed64(number)?,
                8 => into.end_nanos = field.fixed64(number)?,
                9 => into.attributes.push(attribute(field.message(number)?, 0)?),
                11 => into.events.push(event(field.message(number)?)?),
                13 => into.links.push(link(field.message(number)?)?),
                15 => status(field.message(number)?, into.status.get_or_insert_default())?,
                16 => field.fixed32(number)?,
                _ => {}
            }
        }
        Ok(())
    }
}

impl<'a> Record<'a> {
    fn try_read(self, into: &mut sent::Record<'a>) -> Result<(), Error> {
        into.clear();
        let mut reader = Reader::new(self.0.0);
        while let Some((number, field)) = reader.next()? {
            match number {
                1 => into.nanos = field.fixed64(number)?,
                2 => into.severity = field.varint(number)? as i32,
                3 => _ = field.message(number)?,
                5 => value(field.message(number)?, 0, into.body.get_or_insert_default())?,
                6 => into.attributes.push(attribute(field.message(number)?, 0)?),
                7 => _ = field.varint(number)?,
                8 => field.fixed32(number)?,
                9 => into.trace_id = field.message(number)?,
                10 => into.span_id = field.message(number)?,
                11 => into.observed_nanos = field.fixed64(number)?,
                12 => into.event_name = field.text(number)?,
                _ => {}
            }
        }
        Ok(())
    }
}

fn event(bytes: &[u8]) -> Result<Event<'_>, Error> {
    let (mut reader, mut event) = (Reader::new(bytes), Event::default());
    while let Some((number, field)) = reader.next()? {
        match number {
            1 => event.nanos = field.fixed64(number)?,
            2 => event.name = field.text(number)?,
            3 => event.attributes.push(attribute(field.message(number)?, 0)?),
            4 => _ = field.varint(number)?,
            _ => {}
        }
    }
    Ok(event)
}

fn link(bytes: &[u8]) -> Result<Link<'_>, Error> {
    let (mut reader, mut link) = (Reader::new(bytes), Link::default());
    while let Some((number, field)) = reader.next()? {
        match number {
            1 => link.trace_id = field.message(number)?,
            2 => link.span_id = field.message(number)?,
            3 => _ = field.message(number)?,
            4 => link.attributes.push(attribute(field.message(number)?, 0)?),
            5 => _ = field.varint(number)?,
            6 => field.fixed32(number)?,
            _ => {}
        }
    }
    Ok(link)
}

/// Of a message that comes twice, what each says counts.
fn status<'a>(bytes: &'a [u8], status: &mut Status<'a>) -> Result<(), Error> {
    let mut reader = Reader::new(bytes);
    while let Some((number, field)) = reader.next()? {
        match number {
            2 => status.message = field.text(number)?,
            3 => status.code = field.varint(number)? as i32,
            _ => {}
        }
    }
    Ok(())
}

/// The name in an `InstrumentationScope`.
pub(super) fn scope_name<'a>(bytes: &'a [u8], name: &mut Cow<'a, str>) -> Result<(), Error> {
    let mut reader = Reader::new(bytes);
    while let Some((number, field)) = reader.next()? {
        match number {
            1 => *name = field.text(number)?,
            2 => _ = field.message(number)?,
            3 => drop(attribute(field.message(number)?, 0)?),
            4 => _ = field.varint(number)?,
            _ => {}
        }
    }
    Ok(())
}

/// The attributes of a `Resource`.
pub(super) fn resource_attributes<'a>(bytes: &'a [u8], into: &mut Vec<Attribute<'a>>) -> Result<(), Error> {
    let mut reader = Reader::new(bytes);
    while let Some((number, field)) = reader.next()? {
        match number {
            1 => into.push(attribute(field.message(number)?, 0)?),
            2 => _ = field.varint(number)?,
            _ => {}
        }
    }
    Ok(())
}

fn attribute(bytes: &[u8], depth: usize) -> Result<Attribute<'_>, Error> {
    let (mut reader, mut attribute) = (Reader::new(bytes), Attribute::default());
    while let Some((number, field)) = reader.next()? {
        match number {
            1 => attribute.key = field.text(number)?,
            2 => value(field.message(number)?, depth, &mut attribute.value)?,
            3 => _ = field.varint(number)?,
            _ => {}
        }
    }
    Ok(attribute)
}

/// Of several members the last counts; lists and maps that come in pieces are put together.
fn value<'a>(bytes: &'a [u8], depth: usize, into: &mut Value<'a>) -> Result<(), Error> {
    let mut reader = Reader::new(bytes);
    while let Some((number, field)) = reader.next()? {
        match number {
            1 => *into = Value::Text(field.text(number)?),
            2 => *into = Value::Bool(field.varint(number)? != 0),
            3 => *into = Value::Int(field.varint(number)?.cast_signed()),
            4 => *into = Value::Double(f64::from_bits(field.fixed64(number)?)),
            5 => list(field.message(number)?, depth, into)?,
            6 => map(field.message(number)?, depth, into)?,
            7 => *into = Value::Bytes(field.message(number)?),
            8 => {
                field.varint(number)?;
                *into = Value::Empty;
            }
            _ => {}
        }
    }
    Ok(())
}

/// One list or map further down; none where the bytes of it stay as they are.
fn deeper(depth: usize) -> Option<usize> {
    (depth < DEPTH_MAX).then_some(depth + 1)
}

fn list<'a>(bytes: &'a [u8], depth: usize, into: &mut Value<'a>) -> Result<(), Error> {
    let Some(depth) = deeper(depth) else {
        *into = Value::Bytes(bytes);
        return Ok(());
    };
    if !matches!(into, Value::List(_)) {
        *into = Value::List(Vec::new());
    }
    let Value::List(values) = into else { return Ok(()) };
    let mut reader = Reader::new(bytes);
    while let Some((number, field)) = reader.next()? {
        if number == 1 {
            let mut one = Value::Empty;
            value(field.message(number)?, depth, &mut one)?;
            values.push(one);
        }
    }
    Ok(())
}

fn map<'a>(bytes: &'a [u8], depth: usize, into: &mut Value<'a>) -> Result<(), Error> {
    let Some(depth) = deeper(depth) else {
        *into = Value::Bytes(bytes);
        return Ok(());
    };
    if !matches!(into, Value::Map(_)) {
        *into = Value::Map(Vec::new());
    }
    let Value::Map(attributes) = into else { return Ok(()) };
    let mut reader = Reader::new(bytes);
    while let Some((number, field)) = reader.next()? {
        if number == 1 {
            attributes.push(attribute(field.message(number)?, depth)?);
        }
    }
    Ok(())
}
