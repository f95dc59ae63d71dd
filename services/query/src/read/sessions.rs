//! Sessions: traces that share a session id, as one row.
//!
//! - A trace belongs to one session, the one its own row names: the root's, else that of its earliest span that has any.
//! - A session is listed when a span that names it began in the range, and shown whole: over all its traces, wherever they began.
//! - It matches a filter when one of its spans does, and in the filter language each condition by one of them; latency, cost and tokens
//!   are its own.
//! - Scores are those of its spans and its own: either is enough.
//! - Tokens and cost are summed over calls of providers, each once, also where two traces report one call ([`TenantSession::call_totals`]).
//!
//! Which sessions a page holds is found by one of two plans: [`by_start`] reads as far as the page needs, [`sweep`] all spans once.
//! Sessions are then read whole by their ids ([`whole`]).

mod asked;
mod by_start;
mod counted;
mod exact;
mod row;
mod sweep;
mod tally;
mod whole;

use serde::{Deserialize, Serialize};
use spanlake_engine::TenantSession;
use spanlake_model::{Caller, SpanFilter, TimeRange, Timestamp, TraceId};

use self::asked::Asked;
pub(crate) use self::row::Session;
pub(crate) use self::whole::{Whole, describe};
use super::order::Order;
use super::sort_key::Key;
use crate::error::Error;

/// What a list can be sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SortBy {
    #[default]
    Start,
    End,
    Latency,
    Cost,
    Tokens,
    Traces,
}

/// Which sessions.
#[derive(Clone, Debug)]
pub(crate) struct SessionQuery {
    /// In which a span that names it begins.
    pub(crate) range: TimeRange,
    /// With a span like this.
    pub(crate) with_span: SpanFilter,
    pub(crate) sort_by: SortBy,
    pub(crate) order: Order,
    /// Strictly after this place in the order.
    pub(crate) after: Option<Place>,
    pub(crate) limit: usize,
}

/// Where a session stands in the order asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Place {
    key: Key,
    id: String,
}

/// Where a trace stands in the timeline of its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Moment(Timestamp, TraceId);

/// Of one page, in order, and whether more follow.
#[derive(Debug)]
pub(crate) struct Chosen<T> {
    pub(crate) places: Vec<T>,
    pub(crate) has_more: bool,
}

impl Chosen<Place> {
    pub(crate) fn ids(&self) -> Vec<String> {
        self.places.iter().map(|place| place.id.clone()).collect()
    }
}

impl Chosen<Moment> {
    pub(crate) fn ids(&self) -> Vec<TraceId> {
        self.places.iter().map(|Moment(_, trace)| *trace).collect()
    }
}

/// Names a span's session: that of its trace.
const SESSION: &str = "session";

impl<T> Chosen<T> {
    /// The first of these, which are in order, and more than `limit` when more follow.
    fn of(mut places: Vec<T>, limit: usize) -> Self {
        let has_more = places.len() > limit;
        places.truncate(limit);
        Self { places, has_more }
    }
}

/// Where a session stands: by what is sorted by, then by its id. What is unknown is less than all that is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Standing {
    amount: i128,
    id: String,
}

impl Standing {
    fn of(place: &Place) -> Result<Self, Error> {
        Ok(Self { amount: place.key.amount().ok_or(Error::Column("key"))?, id: place.id.clone() })
    }

    fn place(self, by: SortBy) -> Result<Place, Error> {
        let key = match by {
            SortBy::Cost => Key::money(Some(self.amount)),
            _ => Key::Number(i64::try_from(self.amount).map_err(|_| Error::Column("key"))?),
        };
        Ok(Place { key, id: self.id })
    }

    fn is_after(&self, after: Option<&Self>, order: Order) -> bool {
        after.is_none_or(|after| order.is_beyond(self, after))
    }
}

impl Order {
    /// Whether one comes strictly after another.
    fn is_beyond<T: Ord>(self, one: &T, other: &T) -> bool {
        if self.is_ascending() { one > other } else { one < other }
    }

    fn sorted<T: Ord>(self, mut all: Vec<T>) -> Vec<T> {
        if self.is_ascending() {
            all.sort_unstable()
        } else {
            all.sort_unstable_by(|one, other| other.cmp(one))
        }
        all
    }
}

/// Which sessions the page holds.
pub(crate) async fn choose(
    session: &TenantSession,
    caller: &Caller,
    query: &SessionQuery,
) -> Result<Chosen<Place>, Error> {
    let asked = Asked::of(session, caller, query).await?;
    let after = query.after.as_ref().map(Standing::of).transpose()?;
    let quick = match query.sort_by {
        SortBy::Start => by_start::choose(session, caller, query, &asked, after.as_ref()).await?,
        _ => None,
    };
    let Chosen { places, has_more } = match quick {
        Some(chosen) => chosen,
        None => sweep::choose(session, caller, query, &asked, after.as_ref()).await?,
    };
    let places = places.into_iter().map(|standing| standing.place(query.sort_by)).collect::<Result<_, _>>()?;
    Ok(Chosen { places, has_more })
}
