//! The words that several contracts share: model ⇄ generated messages.
//!
//! Bytes from a peer are checked here, once; what does not fit is [`Malformed`], which is our mistake and not the user's.

use spanlake_model::{
    AgentId, AppId, Caller, Fault, Filter, KeyId, MemberId, Position, Principal, Receipt, Role, SpanFilter, SpanId,
    SpanKey, Status, TenantId, TimeRange, Timestamp, TraceId, Type,
};

use crate::pb::common::v1 as common;
use crate::pb::query::v1 as query;

/// A message of one of our services that breaks its contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message between services is malformed: {0}")]
pub struct Malformed(pub(crate) &'static str);

impl From<Malformed> for Fault {
    fn from(error: Malformed) -> Self {
        tracing::error!(%error, "refused a message from another service");
        Self::internal()
    }
}

/// The sixteen bytes of an id.
pub(crate) fn uuid(bytes: &[u8], what: &'static str) -> Result<[u8; 16], Malformed> {
    bytes.try_into().map_err(|_| Malformed(what))
}

/// As [`uuid`]; no bytes mean none.
pub(crate) fn optional_uuid(bytes: &[u8], what: &'static str) -> Result<Option<[u8; 16]>, Malformed> {
    if bytes.is_empty() { Ok(None) } else { uuid(bytes, what).map(Some) }
}

/// A message field that must be there, converted.
pub(crate) fn required<M, T>(message: Option<M>, what: &'static str) -> Result<T, Malformed>
where
    T: TryFrom<M, Error = Malformed>,
{
    message.ok_or(Malformed(what))?.try_into()
}

pub(crate) fn to_usize(number: u64, what: &'static str) -> Result<usize, Malformed> {
    usize::try_from(number).map_err(|_| Malformed(what))
}

/// A receipt as text; no text means none.
pub(crate) fn receipt(text: &str, what: &'static str) -> Result<Option<Receipt>, Malformed> {
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(|_| Malformed(what)) }
}

impl From<&Caller> for common::Caller {
    fn from(caller: &Caller) -> Self {
        use common::caller::Principal as Wire;
        Self {
            tenant_id: caller.tenant().as_bytes().to_vec(),
            app_id: caller.app().as_bytes().to_vec(),
            agent_id: caller.agent().map(|agent| agent.as_bytes().to_vec()).unwrap_or_default(),
            scopes: caller.scopes().to_string(),
            principal: Some(match caller.principal() {
                Principal::Key(key) => Wire::KeyId(key.as_bytes().to_vec()),
                Principal::Member(member, role) => Wire::Member(common::Member {
                    member_id: member.as_bytes().to_vec(),
                    role: role.as_str().to_owned(),
                }),
            }),
        }
    }
}

/// Believed, because the call showed the internal token.
impl TryFrom<common::Caller> for Caller {
    type Error = Malformed;
    fn try_from(caller: common::Caller) -> Result<Self, Malformed> {
        use common::caller::Principal as Wire;
        let principal = match caller.principal.ok_or(Malformed("caller.principal"))? {
            Wire::KeyId(key) => Principal::Key(KeyId::from_bytes(uuid(&key, "caller.key_id")?)),
            Wire::Member(member) => Principal::Member(
                MemberId::from_bytes(uuid(&member.member_id, "caller.member_id")?),
                Role::parse(&member.role).ok_or(Malformed("caller.role"))?,
            ),
        };
        Ok(Self::verified(
            TenantId::from_bytes(uuid(&caller.tenant_id, "caller.tenant_id")?),
            AppId::from_bytes(uuid(&caller.app_id, "caller.app_id")?),
            optional_uuid(&caller.agent_id, "caller.agent_id")?.map(AgentId::from_bytes),
            caller.scopes.parse().map_err(|_| Malformed("caller.scopes"))?,
            principal,
        ))
    }
}

impl From<TimeRange> for common::TimeRange {
    fn from(range: TimeRange) -> Self {
        Self { start_nanos: range.start().as_nanos(), end_nanos: range.end().as_nanos() }
    }
}

impl TryFrom<common::TimeRange> for TimeRange {
    type Error = Malformed;
    fn try_from(range: common::TimeRange) -> Result<Self, Malformed> {
        Self::new(Timestamp::from_nanos(range.start_nanos), Timestamp::from_nanos(range.end_nanos))
            .map_err(|_| Malformed("range"))
    }
}

impl From<SpanKey> for common::SpanKey {
    fn from(key: SpanKey) -> Self {
        Self {
            app_id: key.app_id.as_bytes().to_vec(),
            trace_id: key.trace_id.as_bytes().to_vec(),
            span_id: key.span_id.as_bytes().to_vec(),
        }
    }
}

impl TryFrom<common::SpanKey> for SpanKey {
    type Error = Malformed;
    fn try_from(key: common::SpanKey) -> Result<Self, Malformed> {
        Ok(Self {
            app_id: AppId::from_bytes(uuid(&key.app_id, "key.app_id")?),
            trace_id: TraceId::from_slice(&key.trace_id).map_err(|_| Malformed("key.trace_id"))?,
            span_id: SpanId::from_slice(&key.span_id).map_err(|_| Malformed("key.span_id"))?,
        })
    }
}

impl From<Position> for query::Position {
    fn from(position: Position) -> Self {
        Self {
            start_nanos: position.start.as_nanos(),
            trace_id: position.trace_id.as_bytes().to_vec(),
            span_id: position.span_id.as_bytes().to_vec(),
        }
    }
}

impl TryFrom<query::Position> for Position {
    type Error = Malformed;
    fn try_from(position: query::Position) -> Result<Self, Malformed> {
        Ok(Self {
            start: Timestamp::from_nanos(position.start_nanos),
            trace_id: TraceId::from_slice(&position.trace_id).map_err(|_| Malformed("position.trace_id"))?,
            span_id: SpanId::from_slice(&position.span_id).map_err(|_| Malformed("position.span_id"))?,
        })
    }
}

impl From<SpanFilter> for query::SpanFilter {
    fn from(filter: SpanFilter) -> Self {
        let (metadata_key, metadata_value) = filter.metadata.unzip();
        Self {
            trace_id: filter.trace_id.map(|id| id.to_string()),
            name: filter.name,
            name_contains: filter.name_contains,
            r#type: filter.coarse_type.map(|coarse| coarse.as_str().to_owned()),
            kind: filter.kind,
            status: filter.status.map(|status| status.as_str().to_owned()),
            model: filter.model,
            user_id: filter.user_id,
            session_id: filter.session_id,
            environment: filter.environment,
            tag: filter.tag,
            metadata_key,
            metadata_value,
            agent_id: filter.agent_id.map(|id| id.to_string()),
            filter: filter.filter.to_string(),
        }
    }
}

impl TryFrom<query::SpanFilter> for SpanFilter {
    type Error = Malformed;
    fn try_from(filter: query::SpanFilter) -> Result<Self, Malformed> {
        let metadata = match (filter.metadata_key, filter.metadata_value) {
            (Some(key), Some(value)) => Some((key, value)),
            (None, None) => None,
            _ => return Err(Malformed("filter.metadata")),
        };
        Ok(Self {
            trace_id: parsed(filter.trace_id, |text| text.parse().ok(), "filter.trace_id")?,
            name: filter.name,
            name_contains: filter.name_contains,
            coarse_type: parsed(filter.r#type, Type::parse, "filter.type")?,
            kind: filter.kind,
            status: parsed(filter.status, Status::parse, "filter.status")?,
            model: filter.model,
            user_id: filter.user_id,
            session_id: filter.session_id,
            environment: filter.environment,
            tag: filter.tag,
            metadata,
            agent_id: parsed(filter.agent_id, |text| text.parse().ok(), "filter.agent_id")?,
            filter: match filter.filter.as_str() {
                "" => Filter::default(),
                text => text.parse().map_err(|_| Malformed("filter.filter"))?,
            },
        })
    }
}

/// Reads a text that may be absent but not wrong: a filter that is dropped would show more than was asked for.
fn parsed<T>(
    text: Option<String>,
    read: impl Fn(&str) -> Option<T>,
    what: &'static str,
) -> Result<Option<T>, Malformed> {
    text.map(|text| read(&text).ok_or(Malformed(what))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;

    fn callers() -> [Caller; 2] {
        let (tenant, app) = (TenantId::from_bytes([1; 16]), AppId::from_bytes([2; 16]));
        let key = Principal::Key(KeyId::from_bytes([4; 16]));
        let member = Principal::Member(MemberId::from_bytes([5; 16]), Role::Viewer);
        [
            Caller::verified(tenant, app, Some(AgentId::from_bytes([3; 16])), Role::Member.scopes(), key),
            Caller::verified(tenant, app, None, Role::Viewer.scopes(), member),
        ]
    }

    fn filter() -> SpanFilter {
        let text = |text: &str| Some(text.to_owned());
        SpanFilter {
            trace_id: Some(TraceId::from_bytes([7; 16]).unwrap()),
            name: text("chat"),
            name_contains: text(""),
            coarse_type: Some(Type::Generation),
            kind: text("llm"),
            status: Some(Status::Unset),
            model: text("m"),
            user_id: text("u"),
            session_id: text("s"),
            environment: text("e"),
            tag: text("t"),
            metadata: Some(("k".to_owned(), String::new())),
            agent_id: Some(AgentId::from_bytes([9; 16])),
            filter: "model = \"a b\" and (cost > 1 or tags exists)".parse().unwrap(),
        }
    }

    #[test]
    fn every_word_survives_the_wire() {
        for caller in callers() {
            let bytes = common::Caller::from(&caller).encode_to_vec();
            assert_eq!(Caller::try_from(common::Caller::decode(&*bytes).unwrap()), Ok(caller));
        }
        for filter in [filter(), SpanFilter::default()] {
            assert_eq!(SpanFilter::try_from(query::SpanFilter::from(filter.clone())), Ok(filter));
        }
        for range in [TimeRange::all(), TimeRange::new(Timestamp::from_nanos(-1), Timestamp::from_nanos(0)).unwrap()] {
            assert_eq!(TimeRange::try_from(common::TimeRange::from(range)), Ok(range));
        }
        let trace_id = TraceId::from_bytes([1; 16]).unwrap();
        let span_id = SpanId::from_bytes([2; 8]).unwrap();
        let position = Position { start: Timestamp::from_nanos(i64::MIN), trace_id, span_id };
        assert_eq!(Position::try_from(query::Position::from(position)), Ok(position));
        let key = SpanKey { app_id: AppId::from_bytes([0; 16]), trace_id, span_id };
        assert_eq!(SpanKey::try_from(common::SpanKey::from(key)), Ok(key));
    }

    #[test]
    fn bad_bytes_are_refused_and_never_a_panic() {
        let mut short = common::Caller::from(&callers()[0]);
        short.tenant_id.pop();
        assert_eq!(Caller::try_from(short), Err(Malformed("caller.tenant_id")));
        let anonymous = common::Caller { principal: None, ..common::Caller::from(&callers()[0]) };
        assert_eq!(Caller::try_from(anonymous), Err(Malformed("caller.principal")));
        let mighty = common::Caller { scopes: "read fly".to_owned(), ..common::Caller::from(&callers()[0]) };
        assert_eq!(Caller::try_from(mighty), Err(Malformed("caller.scopes")));
        assert!(TimeRange::try_from(common::TimeRange { start_nanos: 1, end_nanos: 1 }).is_err());
        assert!(SpanKey::try_from(common::SpanKey::default()).is_err());
        assert!(Position::try_from(query::Position::default()).is_err());
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_refused_and_not_dropped() {
        let good = query::SpanFilter::from(filter());
        let some = |text: &str| Some(text.to_owned());
        for bad in [
            query::SpanFilter { trace_id: some("xyz"), ..good.clone() },
            query::SpanFilter { r#type: some("generation"), ..good.clone() },
            query::SpanFilter { status: some(""), ..good.clone() },
            query::SpanFilter { metadata_value: None, ..good.clone() },
            query::SpanFilter { agent_id: some("me"), ..good.clone() },
            query::SpanFilter { filter: "modle = x".to_owned(), ..good.clone() },
        ] {
            assert!(SpanFilter::try_from(bad).is_err());
        }
    }
}
