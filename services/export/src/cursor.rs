//! Where the next page starts.
//!
//! What we hand out names the last row, the range of the first page (so that "the last 30 days" does not move between
//! pages) and a digest of tenant, app and query; as 65 bytes in URL-safe base64, the first of them the version.
//! A client may also send a time: rows strictly before it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use spanlake_model::{Caller, Code, Fault, Position, SpanFilter, SpanId, TimeRange, Timestamp, TraceId};

const VERSION: u8 = 1;

/// A cursor as sent by a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// Rows strictly before this time.
    Before(Timestamp),
    /// Rows strictly after a row in the order.
    After(Page),
}

/// A page that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The range of the first page.
    pub range: TimeRange,
    /// Its last row.
    pub last: Position,
    /// Of which query.
    pub query: QueryDigest,
}

/// Tells one query of one tenant's app from another: same rows in the same order, same digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryDigest([u8; 16]);

impl Cursor {
    /// Reads what a client sent.
    ///
    /// # Errors
    /// `invalid_query_params` when it is neither a time nor a cursor of ours.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if let Some(time) = Timestamp::parse(text) {
            return Ok(Self::Before(time));
        }
        Page::decode(text).map(Self::After).ok_or_else(|| {
            refused("is neither what 'next_cursor' held nor an RFC 3339 time; copy it whole, or leave it out")
        })
    }

    /// The row after which to go on, if this cursor belongs to the query.
    ///
    /// # Errors
    /// `invalid_query_params` when it belongs to another.
    pub fn position(&self, query: QueryDigest) -> Result<Position, Fault> {
        match self {
            Self::Before(time) => Ok(Position { start: *time, trace_id: first_trace(), span_id: first_span() }),
            Self::After(page) if page.query == query => Ok(page.last),
            Self::After(_) => {
                Err(refused("belongs to another query; send the same filters and dates, or start again without it"))
            }
        }
    }
}

fn refused(why: &'static str) -> Fault {
    Fault::new(Code::InvalidQueryParams, "The cursor cannot be used.").detail("cursor", why)
}

/// The least ids there are: the order descends, so no row of that instant comes after them.
fn first_trace() -> TraceId {
    TraceId::from_bytes(1_u128.to_be_bytes()).expect("not all zero")
}

fn first_span() -> SpanId {
    SpanId::from_bytes(1_u64.to_be_bytes()).expect("not all zero")
}

impl Page {
    /// As handed out.
    pub fn encode(&self) -> String {
        let mut bytes = vec![VERSION];
        for time in [self.range.start(), self.range.end(), self.last.start] {
            bytes.extend(time.as_nanos().to_be_bytes());
        }
        bytes.extend(self.last.trace_id.as_bytes());
        bytes.extend(self.last.span_id.as_bytes());
        bytes.extend(self.query.0);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn decode(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let mut rest = bytes.strip_prefix(&[VERSION])?;
        let [start, end, last] = [time(&mut rest)?, time(&mut rest)?, time(&mut rest)?];
        let trace_id = TraceId::from_bytes(take(&mut rest)?)?;
        let span_id = SpanId::from_bytes(take(&mut rest)?)?;
        let query = QueryDigest(take(&mut rest)?);
        let range = TimeRange::new(start, end).ok()?;
        rest.is_empty().then_some(Self { range, last: Position { start: last, trace_id, span_id }, query })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*bytes)
}

fn time(rest: &mut &[u8]) -> Option<Timestamp> {
    take(rest).map(|bytes| Timestamp::from_nanos(i64::from_be_bytes(bytes)))
}

impl QueryDigest {
    /// Of all that decides which rows there are. What only changes their shape or number is left out: a client may ask
    /// for a page of another size.
    pub fn of(caller: &Caller, range: TimeRange, filter: &SpanFilter) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(caller.tenant().as_bytes());
        hasher.update(caller.app().as_bytes());
        hasher.update(range.start().as_nanos().to_be_bytes());
        hasher.update(range.end().as_nanos().to_be_bytes());
        for part in parts(filter) {
            // The length ends the part, so that no two queries run together; absent differs from empty.
            hasher.update(part.as_ref().map_or(u64::MAX, |text| text.len() as u64).to_be_bytes());
            hasher.update(part.unwrap_or_default());
        }
        let digest: [u8; 32] = hasher.finalize().into();
        Self(digest[..16].try_into().expect("16 of 32 bytes"))
    }
}

/// Every part of a filter, as text. Written without `..`, so that a new one cannot be forgotten.
fn parts(filter: &SpanFilter) -> [Option<String>; 15] {
    let SpanFilter {
        trace_id,
        name,
        name_contains,
        coarse_type,
        kind,
        status,
        model,
        user_id,
        session_id,
        environment,
        tag,
        metadata,
        agent_id,
        filter,
    } = filter.clone();
    let (metadata_key, metadata_value) = metadata.unzip();
    [
        trace_id.map(|id| id.to_string()),
        name,
        name_contains,
        coarse_type.map(|coarse| coarse.as_str().to_owned()),
        kind,
        status.map(|status| status.as_str().to_owned()),
        model,
        user_id,
        session_id,
        environment,
        tag,
        metadata_key,
        metadata_value,
        agent_id.map(|id| id.to_string()),
        (!filter.is_empty()).then(|| filter.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use spanlake_model::{AppId, KeyId, Principal, ScopeSet, TenantId};

    fn caller(tenant: u8, app: u8) -> Caller {
        let (tenant, app) = (TenantId::from_bytes([tenant; 16]), AppId::from_bytes([app; 16]));
        Caller::verified(tenant, app, None, ScopeSet::all(), Principal::Key(KeyId::from_bytes([3; 16])))
    }

    fn range(end: i64) -> TimeRange {
        TimeRange::new(Timestamp::from_nanos(-5), Timestamp::from_nanos(end)).unwrap()
    }

    fn page() -> Page {
        let last = Position { start: Timestamp::from_nanos(77), trace_id: first_trace(), span_id: first_span() };
        Page { range: range(100), last, query: QueryDigest::of(&caller(1, 2), range(100), &SpanFilter::default()) }
    }

    #[test]
    fn a_cursor_survives_its_text() {
        assert_eq!(Cursor::parse(&page().encode()), Ok(Cursor::After(page())));
        let time = Timestamp::parse("2026-04-10T15:30:45.123Z").unwrap();
        assert_eq!(Cursor::parse("2026-04-10T15:30:45.123Z"), Ok(Cursor::Before(time)));
    }

    #[test]
    fn what_we_never_handed_out_is_refused() {
        let text = page().encode();
        let longer = format!("{text}AAAA");
        let mut bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
        bytes[0] = VERSION + 1;
        let versioned = URL_SAFE_NO_PAD.encode(bytes);
        for wrong in ["", "next", "null", &text[1..], &text[..text.len() - 4], &longer, &versioned] {
            assert_eq!(Cursor::parse(wrong).unwrap_err().code, Code::InvalidQueryParams, "{wrong}");
        }
    }

    #[test]
    fn a_cursor_fits_its_own_query_only() {
        let text = |text: &str| Some(text.to_owned());
        let cursor = Cursor::After(page());
        let of = |caller, range, filter| cursor.position(QueryDigest::of(&caller, range, &filter));
        assert_eq!(of(caller(1, 2), range(100), SpanFilter::default()), Ok(page().last));
        let others = [
            (caller(9, 2), range(100), SpanFilter::default()),
            (caller(1, 9), range(100), SpanFilter::default()),
            (caller(1, 2), range(101), SpanFilter::default()),
            (caller(1, 2), range(100), SpanFilter { model: text(""), ..SpanFilter::default() }),
            (caller(1, 2), range(100), SpanFilter { tag: text("a"), ..SpanFilter::default() }),
        ];
        for (caller, range, filter) in others {
            assert!(of(caller, range, filter).is_err());
        }
    }

    #[test]
    fn values_in_another_field_make_another_query() {
        let text = |text: &str| Some(text.to_owned());
        let digest = |filter| QueryDigest::of(&caller(1, 2), range(100), &filter);
        let one = digest(SpanFilter { model: text("ab"), user_id: text("c"), ..SpanFilter::default() });
        let two = digest(SpanFilter { model: text("a"), user_id: text("bc"), ..SpanFilter::default() });
        let three = digest(SpanFilter { user_id: text("ab"), session_id: text("c"), ..SpanFilter::default() });
        assert!(one != two && one != three && two != three);
    }
}
