//! Where the next page begins. Opaque to clients, and good for one query of one caller only.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use spanlake_model::{Caller, Code, Fault, TimeRange};

/// What a cursor is good for: a digest of who asks and what for, without the page itself. It is no secret and need not
/// be one: whoever forges a cursor only jumps within what they may read anyway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binding(String);

impl Binding {
    /// `query` is everything that shapes the list but its pages.
    pub(super) fn of(caller: &Caller, route: &str, query: &impl Serialize) -> Self {
        let query = serde_json::to_vec(query).expect("parameters are strings and numbers");
        let mut digest = Sha256::new();
        digest.update(caller.tenant().as_bytes());
        digest.update(caller.app().as_bytes());
        digest.update(caller.agent().map_or([0; 16], |agent| *agent.as_bytes()));
        digest.update(route.as_bytes());
        digest.update([0]);
        digest.update(query);
        Self(URL_SAFE_NO_PAD.encode(&digest.finalize()[..16]))
    }
}

/// The range is the first page's: "the last 30 days" must not move while one pages through it.
#[derive(Debug, Serialize, Deserialize)]
struct Sealed<P> {
    v: u8,
    bound: String,
    range: TimeRange,
    place: P,
}

const VERSION: u8 = 1;

/// A cursor for the page after `place`.
pub(super) fn seal(binding: &Binding, range: TimeRange, place: &impl Serialize) -> String {
    let sealed = Sealed { v: VERSION, bound: binding.0.clone(), range, place };
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&sealed).expect("ids, numbers and strings make JSON"))
}

/// The range and place in a cursor of this query.
///
/// # Errors
/// `invalid_query_params` when it is of another query or caller, or no cursor at all.
fn open<P: DeserializeOwned>(binding: &Binding, text: &str) -> Result<(TimeRange, P), Fault> {
    let refused = || {
        Fault::new(Code::InvalidQueryParams, "The cursor is not of this query; start again without it.")
            .detail("cursor", "must be the next_cursor of the same query")
    };
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refused())?;
    let sealed: Sealed<P> = serde_json::from_slice(&bytes).map_err(|_| refused())?;
    let is_ours = sealed.v == VERSION && sealed.bound == binding.0 && sealed.range.start() < sealed.range.end();
    if is_ours { Ok((sealed.range, sealed.place)) } else { Err(refused()) }
}

/// Where a page begins: in the range and after the place that its cursor holds, else at the beginning of this range.
///
/// # Errors
/// As [`open`].
pub(super) fn begin<P: DeserializeOwned>(
    binding: &Binding,
    cursor: Option<&str>,
    range: TimeRange,
) -> Result<(TimeRange, Option<P>), Fault> {
    let Some(text) = cursor else { return Ok((range, None)) };
    let (range, place) = open(binding, text)?;
    Ok((range, Some(place)))
}

/// Cuts rows, which are one more than `limit` when more follow, to a page, and says where the next one begins.
pub(super) fn cut<R, P: Serialize>(
    binding: &Binding,
    range: TimeRange,
    rows: &mut Vec<R>,
    limit: usize,
    place: impl Fn(&R) -> P,
) -> Option<String> {
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    rows.last().filter(|_| has_more).map(|last| seal(binding, range, &place(last)))
}
