//! The record of who changed what.

use spanlake_catalog::{AuditEntry, AuditHead, CHAIN_START};
use spanlake_model::{Caller, Code, Fault, Principal, Role, TenantId};

use super::Service;
use crate::error::Error;

/// Entries read at a time while the chain is checked.
const CHECKED_AT_ONCE: u32 = 1_000;

/// What came of checking the chain.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Check {
    /// Entries that were looked at.
    pub(crate) entries: u64,
    /// The newest entry that does not follow from the one before it, or is missing.
    pub(crate) broken_at: Option<u64>,
    /// Where the chain ends; keep it elsewhere to see later that what was there then is there still.
    pub(crate) head: AuditHead,
}

impl Service {
    /// Entries below `before`, newest first.
    pub(crate) async fn audit_log(&self, caller: &Caller, before: u64, most: u32) -> Result<Vec<AuditEntry>, Error> {
        Ok(self.accounts.audit_log(caller.tenant(), before, most).await?)
    }

    /// How many entries there are.
    pub(crate) async fn audit_head(&self, caller: &Caller) -> Result<AuditHead, Error> {
        Ok(self.accounts.audit_head(caller.tenant()).await?)
    }

    /// Walks the chain from its end to its beginning.
    pub(crate) async fn check_audit_log(&self, caller: &Caller) -> Result<Check, Error> {
        let (tenant, head) = (caller.tenant(), self.audit_head(caller).await?);
        let mut walk = Walk { tenant, next: head.sequence, head: head.hash, newer: None };
        loop {
            let entries = self.accounts.audit_log(tenant, walk.next + 1, CHECKED_AT_ONCE).await?;
            let is_last = entries.len() < CHECKED_AT_ONCE as usize;
            let mut walked = entries.into_iter().try_for_each(|entry| walk.take(entry));
            if walked.is_ok() && is_last {
                walked = walk.end();
            }
            if walked.is_err() || is_last {
                return Ok(Check { entries: head.sequence - walk.next, broken_at: walked.err(), head });
            }
        }
    }
}

/// A walk along the chain, newest first: an entry can be checked once the hash before it is known.
struct Walk {
    tenant: TenantId,
    /// The sequence that must come now.
    next: u64,
    /// The hash that the newest entry must have.
    head: [u8; 32],
    newer: Option<AuditEntry>,
}

impl Walk {
    /// Goes on to this entry; the error is the sequence that is wrong or missing.
    fn take(&mut self, entry: AuditEntry) -> Result<(), u64> {
        if entry.sequence != self.next {
            return Err(self.next);
        }
        match &self.newer {
            Some(newer) if newer.chained(self.tenant, &entry.hash) != newer.hash => return Err(newer.sequence),
            None if entry.hash != self.head => return Err(entry.sequence),
            _ => {}
        }
        self.next -= 1;
        self.newer = Some(entry);
        Ok(())
    }
    /// Nothing comes before: what was taken last must be the first entry.
    fn end(&self) -> Result<(), u64> {
        match &self.newer {
            _ if self.next > 0 => Err(self.next),
            Some(first) if first.chained(self.tenant, &CHAIN_START) != first.hash => Err(first.sequence),
            _ => Ok(()),
        }
    }
}

/// Passes for a person who owns the tenant.
pub(crate) fn require_owner(caller: &Caller) -> Result<(), Fault> {
    match caller.principal() {
        Principal::Member(_, Role::Owner) => Ok(()),
        _ => Err(Fault::new(Code::Forbidden, "Only an owner of the tenant may do this, logged in with a password.")),
    }
}

#[cfg(test)]
mod tests {
    use spanlake_catalog::Actor;
    use spanlake_model::{MemberId, Timestamp};

    use super::*;

    const TENANT: TenantId = TenantId::from_bytes([1; 16]);

    /// Five entries, newest first.
    fn chain() -> Vec<AuditEntry> {
        let mut previous = CHAIN_START;
        let mut entries: Vec<_> = (1..=5)
            .map(|sequence| {
                let mut entry = AuditEntry {
                    sequence,
                    at: Timestamp::from_secs(1_800_000_000),
                    actor: Actor::Member(MemberId::from_bytes([2; 16])),
                    address: None,
                    action: "app.created".into(),
                    target: sequence.to_string(),
                    before: None,
                    after: Some("{}".into()),
                    hash: CHAIN_START,
                };
                entry.hash = entry.chained(TENANT, &previous);
                previous = entry.hash;
                entry
            })
            .collect();
        entries.reverse();
        entries
    }

    fn walked(entries: Vec<AuditEntry>) -> Result<(), u64> {
        let mut walk = Walk { tenant: TENANT, next: 5, head: chain()[0].hash, newer: None };
        entries.into_iter().try_for_each(|entry| walk.take(entry))?;
        walk.end()
    }

    #[test]
    fn a_chain_is_whole_as_it_was_written_and_only_so() {
        assert_eq!(walked(chain()), Ok(()));
        for at in 0..5 {
            let sequence = 5 - at as u64;
            let mut entries = chain();
            entries.remove(at);
            assert_eq!(walked(entries), Err(sequence), "an entry that is missing");
            let mut entries = chain();
            entries[at].after = Some("{\"name\":\"x\"}".into());
            assert_eq!(walked(entries), Err(sequence), "another content");
            let mut entries = chain();
            entries[at].hash = [7; 32];
            assert!(walked(entries).is_err(), "another hash");
        }
        assert_eq!(walked(Vec::new()), Err(5));
    }
}
