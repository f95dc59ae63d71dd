//! What was refused to whoever claimed to be somebody goes on that somebody's tenant's record: they did not do it, and should know.
//!
//! Who guesses must not fill the record: of the refused logins of one member the first, the tenth, the hundredth and so on are on it, counted
//! anew after an hour without any.

use std::sync::Arc;

use serde_json::json;
use spanlake_catalog::{Act, Actor, Deed, Member};

use super::Service;
use crate::error::Error;

/// Entries that are being written; one more is left out.
pub(super) const WRITTEN_AT_ONCE: usize = 16;

impl Service {
    /// Notes that somebody tried to log in as these. It is written while the answer goes out: an answer must not tell by its time whether
    /// there is such a member. A process that ends just then leaves it out.
    pub(super) fn note_refused_login(&self, members: impl Iterator<Item = Member>) {
        for member in members {
            let Some(times) = self.guesses.refused(member.id) else { continue };
            let Ok(permit) = Arc::clone(&self.noting).try_acquire_owned() else {
                tracing::warn!(tenant.id = %member.tenant, "a refused login is not on record: too much is being written");
                continue;
            };
            let service = self.clone();
            tokio::spawn(async move {
                let noted = service.note(&member, "login.refused", json!({"times": times})).await;
                if let Err(error) = noted {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, tenant.id = %member.tenant, "a refused login is not on record");
                }
                drop(permit);
            });
        }
    }

    /// Notes that a session ended because its refresh token was used again.
    pub(super) async fn note_ended_session(&self, member: &Member) -> Result<(), Error> {
        let why = "its refresh token was used a second time, so two have it";
        self.note(member, "session.ended", json!({"why": why})).await
    }

    /// As done by whom they claimed to be, from where they were.
    async fn note(&self, member: &Member, action: &'static str, asked: serde_json::Value) -> Result<(), Error> {
        let address = self.address.map(|address| address.to_string());
        let act = Act { actor: Actor::Member(member.id), address, at: self.clock.now() };
        let deed = Deed { action, target: member.id.to_string(), asked };
        Ok(self.accounts.put_on_record(member.tenant, act, deed).await?)
    }
}
