//! A caller that export passes on to itself, from the request for an export to its runs, which may be months later.

use prost::Message;
use spanlake_model::{Caller, Fault};

use crate::convert::Malformed;
use crate::pb::common::v1 as common;

/// As it is kept in the catalog, which only our services write.
pub fn remember(caller: &Caller) -> Vec<u8> {
    common::Caller::from(caller).encode_to_vec()
}

/// Reads what [`remember`] wrote. Whether the caller may still do what it might then is another question.
///
/// # Errors
/// When it is something else.
pub fn recall(bytes: &[u8]) -> Result<Caller, Fault> {
    let message = common::Caller::decode(bytes).map_err(|_| Malformed("a remembered caller"))?;
    Ok(message.try_into()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use spanlake_model::{AgentId, AppId, KeyId, MemberId, Principal, Role, ScopeSet, TenantId};

    #[test]
    fn a_caller_is_recalled_as_it_was() {
        let (tenant, app) = (TenantId::from_bytes([1; 16]), AppId::from_bytes([2; 16]));
        let key = Principal::Key(KeyId::from_bytes([3; 16]));
        let member = Principal::Member(MemberId::from_bytes([4; 16]), Role::Member);
        let agent = Some(AgentId::from_bytes([5; 16]));
        for caller in [
            Caller::verified(tenant, app, agent, ScopeSet::all(), key),
            Caller::verified(tenant, app, None, Role::Member.scopes(), member),
        ] {
            assert_eq!(recall(&remember(&caller)).unwrap(), caller);
        }
        assert!(recall(b"nonsense").is_err());
    }
}
