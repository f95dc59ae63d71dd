//! Sessions in the order in which they began, newest first, without looking at all of them: part by part from the end of the range back,
//! as [`crate::read::traces`] does it.
//!
//! A session that no span named in the parts down to an instant began before that instant, since it began no later than the first span
//! that names it. So those that were met and began later are all known, and the page is full when they are enough. Each that is met is
//! looked at whole. Oldest first this does not hold: a session that began first may be named last.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::time::Duration;

use spanlake_engine::{TenantSession, starts_in};
use spanlake_model::{Caller, Timestamp};

use super::{Chosen, LOOKED_UP_MAX, Place, SessionQuery, named, names, ranked};
use crate::error::Error;
use crate::read::parts::Parts;

/// Rows of the first part, for each session of a page.
const ROWS_A_SESSION: u64 = 64;
/// When so many have been looked at and the page is not full, one look at all of the range is cheaper.
const SESSIONS_MAX: usize = 4_000;
/// How long after its first span a session may be named for the first time, on pages after the first.
const LONGEST: Duration = Duration::from_secs(86_400);

/// The page, or `None` when it is better found another way.
pub(super) async fn choose(
    session: &TenantSession,
    caller: &Caller,
    query: &SessionQuery,
) -> Result<Option<Chosen<Place>>, Error> {
    let mut parts = Parts::new(query.order, first_edge(query), ROWS_A_SESSION, query.limit);
    let (mut met, mut found) = (HashSet::new(), Vec::<Place>::new());
    while let Some(part) = parts.next(session, query.range) {
        let in_part = named(session.frame()?, caller)?.filter(starts_in(part))?;
        let Some(mut new) = names(session, in_part, SESSIONS_MAX).await? else { return Ok(None) };
        new.retain(|name| met.insert(name.clone()));
        if met.len() > SESSIONS_MAX {
            return Ok(None);
        }
        for some in new.chunks(LOOKED_UP_MAX) {
            found.extend(ranked(session, caller, query, Some(some), some.len()).await?.places);
        }
        let known = found.iter().filter(|place| place.began() >= part.start()).count();
        if known > query.limit {
            found.retain(|place| place.began() >= part.start());
            break;
        }
        parts.found(known);
    }
    found.sort_by_cached_key(|place| Reverse((place.began(), place.id.clone())));
    let has_more = found.len() > query.limit;
    found.truncate(query.limit);
    Ok(Some(Chosen { places: found, has_more }))
}

/// Behind the last span that may be the first to name a session of the page.
fn first_edge(query: &SessionQuery) -> Timestamp {
    let after = query.after.as_ref().map(|place| place.began().plus(LONGEST));
    after.map_or(query.range.end(), |after| after.min(query.range.end()))
}
