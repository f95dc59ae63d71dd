//! Where in an encoded request the ids, the times and the session ids stand, so that they can be overwritten in place.

use anyhow::{Context, Result, bail, ensure};

use crate::population::SESSION_PREFIX;

/// One value in a request body and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) at: usize,
    pub(crate) value: Value,
}

/// What stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Value {
    Trace(u128),
    /// A span's id, or its parent's.
    Span(u64),
    Nanos(u64),
    /// The 16 hex digits of a session id.
    Session(u64),
}

/// Walks an `ExportTraceServiceRequest`: resource spans (1), scope spans (2), spans (2).
pub(crate) fn in_protobuf(body: &[u8]) -> Result<Vec<Place>> {
    let mut places = sessions(body)?;
    for resource in fields(body, 0, body.len())?.iter().filter(|field| field.number == 1) {
        for scope in fields(body, resource.start, resource.end)?.iter().filter(|field| field.number == 2) {
            for span in fields(body, scope.start, scope.end)?.iter().filter(|field| field.number == 2) {
                in_span(body, *span, &mut places)?;
            }
        }
    }
    Ok(places)
}

fn in_span(body: &[u8], span: Field, places: &mut Vec<Place>) -> Result<()> {
    for field in fields(body, span.start, span.end)? {
        let bytes = &body[field.start..field.end];
        let value = match field.number {
            1 => Value::Trace(u128::from_be_bytes(bytes.try_into().context("a trace id of 16 bytes")?)),
            2 | 4 if !bytes.is_empty() => {
                Value::Span(u64::from_be_bytes(bytes.try_into().context("an id of 8 bytes")?))
            }
            7 | 8 => Value::Nanos(u64::from_le_bytes(bytes.try_into().context("a time of 8 bytes")?)),
            11 => {
                for time in fields(body, field.start, field.end)?.iter().filter(|field| field.number == 1) {
                    let bytes = body[time.start..time.end].try_into().context("a time of 8 bytes")?;
                    places.push(Place { at: time.start, value: Value::Nanos(u64::from_le_bytes(bytes)) });
                }
                continue;
            }
            _ => continue,
        };
        places.push(Place { at: field.start, value });
    }
    Ok(())
}

/// A field of a message and where its content lies (without tag and length).
#[derive(Clone, Copy)]
struct Field {
    number: u64,
    start: usize,
    end: usize,
}

fn fields(body: &[u8], mut at: usize, end: usize) -> Result<Vec<Field>> {
    let mut fields = Vec::new();
    while at < end {
        let tag = varint(body, &mut at)?;
        let start_of_value = at;
        let (start, next) = match tag & 7 {
            0 => {
                varint(body, &mut at)?;
                (start_of_value, at)
            }
            1 => (at, at + 8),
            2 => {
                let length = usize::try_from(varint(body, &mut at)?)?;
                (at, at + length)
            }
            5 => (at, at + 4),
            other => bail!("unknown wire type {other}"),
        };
        ensure!(next <= end, "a field reaches past its message");
        fields.push(Field { number: tag >> 3, start, end: next });
        at = next;
    }
    Ok(fields)
}

fn varint(body: &[u8], at: &mut usize) -> Result<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *body.get(*at).context("a varint is cut off")?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    bail!("a varint is too long")
}

/// Finds the values of OTLP/JSON by their keys. No text that we write holds such a key.
pub(crate) fn in_json(body: &[u8]) -> Result<Vec<Place>> {
    let mut places = sessions(body)?;
    for at in after(body, b"\"traceId\":\"") {
        places.push(Place { at, value: Value::Trace(u128::from_str_radix(ascii(body, at, 32)?, 16)?) });
    }
    for key in [b"\"spanId\":\"".as_slice(), b"\"parentSpanId\":\""] {
        for at in after(body, key).filter(|at| body.get(*at) != Some(&b'"')) {
            places.push(Place { at, value: Value::Span(u64::from_str_radix(ascii(body, at, 16)?, 16)?) });
        }
    }
    for key in [b"\"startTimeUnixNano\":\"".as_slice(), b"\"endTimeUnixNano\":\"", b"\"timeUnixNano\":\""] {
        for at in after(body, key) {
            places.push(Place { at, value: Value::Nanos(ascii(body, at, 19)?.parse()?) });
        }
    }
    Ok(places)
}

fn sessions(body: &[u8]) -> Result<Vec<Place>> {
    after(body, SESSION_PREFIX.as_bytes())
        .map(|at| Ok(Place { at, value: Value::Session(u64::from_str_radix(ascii(body, at, 16)?, 16)?) }))
        .collect()
}

/// The positions right behind each occurrence of `needle`.
fn after(body: &[u8], needle: &'static [u8]) -> impl Iterator<Item = usize> {
    body.windows(needle.len())
        .enumerate()
        .filter(move |(_, window)| *window == needle)
        .map(move |(at, _)| at + needle.len())
}

fn ascii(body: &[u8], at: usize, length: usize) -> Result<&str> {
    Ok(std::str::from_utf8(body.get(at..at + length).context("a value is cut off")?)?)
}
