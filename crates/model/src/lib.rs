//! The vocabulary of Spanlake: ids, spans, time, limits, error kinds.
//!
//! Everything else is written in these words, so this crate holds no IO, no async and no foreign format.
//!
//! ```text
//!   ids ──► Caller (who asks) ──► TimeRange, Limit (what they may ask)
//!    └────► Span, Score (what was sent) ──► Table (where it is kept)
//!   Fault (what went wrong, and whose move it is)      Clock, Entropy (the only ways to the outside)
//! ```
//!
//! Invariants
//! - No two ids share a type; an id that exists is well-formed.
//! - A [`Caller`] names exactly one tenant, and only a verified credential makes one.
//! - Time and randomness come in through [`Clock`] and [`Entropy`]; nothing here reads the machine's by itself
//!   except [`SystemClock`] and [`SystemEntropy`].
//!
//! ```
//! use spanlake_model::{TimeRange, Timestamp};
//! let range = TimeRange::new(Timestamp::from_nanos(0), Timestamp::from_nanos(1)).unwrap();
//! assert!(range.contains(Timestamp::from_nanos(0)) && !range.contains(Timestamp::from_nanos(1)));
//! ```

mod caller;
mod changed;
mod clock;
mod erasure;
mod fault;
mod filter;
mod ids;
mod limit;
mod money;
mod receipt;
mod score;
mod span;
mod table;
mod time;
mod trace;

pub use caller::{Caller, Principal, Role, Scope, ScopeSet};
pub use changed::{AccountChanges, Changed};
pub use clock::{Clock, Entropy, SystemClock, SystemEntropy};
pub use erasure::{Erasure, ErasureScope, RowPlace, TraceSet};
pub use fault::{Code, Fault, Kind as FaultKind, Quota};
pub use filter::{
    CONDITIONS_MAX, Condition, ConditionError, Field, Filter, FilterError, Holds, KNOWN, KNOWN_OF_SCORES, Known,
    Number, Operator, Part, Position, SpanFilter, Test, VALUE_CHARS_MAX, VALUES_MAX,
};
pub use ids::{
    AgentId, AppId, CompactorId, ErasureId, ExportId, ExporterId, FileId, IdError, InviteId, KeyId, MemberId,
    RequestId, ScoreId, SpanId, TenantId, TraceId, WriterId,
};
pub use limit::{Exhausted, Limit, Limits, Standing};
pub use money::Money;
pub use receipt::Receipt;
pub use score::{Resource, Score};
pub use span::{Cost, CostSource, Event, Kind, Link, Span, SpanKey, Status, Type, Usage, preview};
pub use table::{Day, Table};
pub use time::{RangeError, TimeRange, Timestamp};
pub use trace::Trace;
