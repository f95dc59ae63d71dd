//! Erasing: what is named becomes whole traces, and what was acknowledged until now is hidden from then on.
//!
//! A user or session is looked up over all time and becomes the traces in which any span has it: a prompt of the user's
//! also sits in spans that do not name the user.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use spanlake_catalog::{Act, Deed, ERASED_TRACES_MAX, ErasureProof, NewErasure, Subject};
use spanlake_engine::TenantSession;
use spanlake_engine::datafusion::prelude::{Expr, col};
use spanlake_model::{
    AgentId, AppId, Caller, Code, Erasure, ErasureId, ErasureScope, Fault, Principal, Receipt, Role, Score, TimeRange,
    Timestamp, TraceId, TraceSet,
};

use spanlake_store::rows::score_key;

use crate::error::Error;
use crate::read::columns::{id, is_trace, own, text};
use crate::read::row::trace_ids;
use crate::read::scores;
use crate::read::traces::is_one_of;
use crate::service::Service;

const DAY: Duration = Duration::from_secs(86_400);

/// What a caller wants to be gone; traces, user and session are those of the caller's app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// A trace, which must be there.
    Trace(TraceId),
    /// Traces, there or not.
    Traces(Vec<TraceId>),
    /// All traces of this user.
    User(String),
    /// All traces of this session.
    Session(String),
    /// This app of the caller's tenant.
    App(AppId),
    /// Everything of the caller's tenant.
    Tenant,
}

impl Service {
    /// Hides what is named from every read that begins after this answers, and has it taken from the files.
    ///
    /// # Errors
    /// `forbidden` for an agent's key, and for everything of a tenant but by its owner; `not_found` for a single trace that
    /// the caller's app does not have; `invalid_request_body` for more than [`ERASED_TRACES_MAX`] traces; `rate_limited`
    /// when too many are under way; what a read may answer.
    pub(crate) async fn erase(&self, caller: &Caller, act: Act, named: Named) -> Result<ErasureProof, Error> {
        may_erase(caller, &named)?;
        let bounds = Bounds::of(&self.scores(caller, None).await?);
        let (subject, scope) = self.resolve(caller, named).await?;
        let what = Erased { action: "deletion.created", subject, scope, touched: Vec::new(), bounds };
        let id = self.store_erasure(caller, act, what).await?;
        self.erasure(caller, id).await
    }

    /// Hides one score from every read that begins after this answers, and has it taken from the files. An agent's key deletes
    /// what was sent with it.
    ///
    /// # Errors
    /// `not_found`; `rate_limited` when too many erasures are under way; what a read may answer.
    pub(crate) async fn erase_score(&self, caller: &Caller, act: Act, score: &str) -> Result<(), Error> {
        let session = self.scores(caller, None).await?;
        let bounds = Bounds::of(&session);
        let found = scores::one(&session, caller, score).await?.ok_or_else(|| Fault::not_found("score"))?;
        // One session a request.
        drop(session);
        let key = score_key(caller.app(), &found.id).trace_id;
        let scope = ErasureScope::Traces(caller.app(), [key].into_iter().collect());
        let touched = self.traces_of(caller, &found).await?;
        let what = Erased { action: "score.deleted", subject: Subject::Traces, scope, touched, bounds };
        self.store_erasure(caller, act, what).await?;
        Ok(())
    }

    /// On record first: an erasure that nobody can be held to does not happen. What the rows say, like whose they are, is not recorded.
    async fn store_erasure(&self, caller: &Caller, act: Act, what: Erased) -> Result<ErasureId, Error> {
        let Erased { action, subject, scope, touched, bounds: Bounds { spans, scores } } = what;
        let of_agents = self.of_agents(caller, &scope, &touched).await?;
        let id = ErasureId::generate(&*self.clock, &*self.entropy);
        let (app, traces) = match &scope {
            ErasureScope::Traces(app, traces) => (Some(app.to_string()), Some(traces.as_slice().len())),
            ErasureScope::App(app) => (Some(app.to_string()), None),
            ErasureScope::Tenant => (None, None),
        };
        let asked = json!({"subject": subject.as_str(), "app_id": app, "traces": traces});
        self.recorder.deeds.put_on_record(caller.tenant(), act, Deed { action, target: id.to_string(), asked }).await?;
        let erasure = Erasure { id, tenant: caller.tenant(), scope, bounds: spans };
        let new =
            NewErasure { score_bounds: scores, touched, of_agents, ..NewErasure::new(erasure, subject, self.now()) };
        self.erasures.add_erasure(new).await?;
        tracing::info!(tenant.id = %caller.tenant(), erasure.id = %id, erasure.subject = subject.as_str(), "erased");
        Ok(id)
    }

    /// How far an erasure of the caller's tenant is.
    ///
    /// # Errors
    /// `forbidden` for an agent's key; `not_found`.
    pub(crate) async fn erasure(&self, caller: &Caller, id: ErasureId) -> Result<ErasureProof, Error> {
        refuse_agents(caller)?;
        let found = self.erasures.erasure(caller.tenant(), id).await?;
        Ok(found.ok_or_else(|| Fault::not_found("deletion"))?)
    }

    async fn resolve(&self, caller: &Caller, named: Named) -> Result<(Subject, ErasureScope), Error> {
        let of_app = |traces: TraceSet| ErasureScope::Traces(caller.app(), traces);
        Ok(match named {
            Named::Trace(trace) => {
                let found = self.traces_with(caller, is_trace(trace)).await?;
                if found.as_slice().is_empty() {
                    return Err(Fault::not_found("trace").into());
                }
                (Subject::Traces, of_app(self.with_scores(caller, found, None).await?))
            }
            Named::Traces(named) => {
                let found = bounded(named.into_iter().collect())?;
                (Subject::Traces, of_app(self.with_scores(caller, found, None).await?))
            }
            Named::User(user) => {
                let found = self.traces_with(caller, col("user_id").eq(text(user))).await?;
                (Subject::User, of_app(self.with_scores(caller, bounded(found)?, None).await?))
            }
            Named::Session(session) => {
                let found = bounded(self.traces_with(caller, col("session_id").eq(text(&session))).await?)?;
                (Subject::Session, of_app(self.with_scores(caller, found, Some(&session)).await?))
            }
            Named::App(app) => (Subject::App, ErasureScope::App(app)),
            Named::Tenant => (Subject::Tenant, ErasureScope::Tenant),
        })
    }

    /// These traces, and the scores that go with them though they do not name them: those of their spans, and those of the
    /// session. Each stands there by its own key.
    async fn with_scores(
        &self,
        caller: &Caller,
        traces: TraceSet,
        of_session: Option<&str>,
    ) -> Result<TraceSet, Error> {
        let mut found: BTreeSet<TraceId> = traces.as_slice().iter().copied().collect();
        let mut parts = Parts::of_all_time();
        while let Some(part) = parts.0.pop() {
            let Some(session) = parts.opened(part, self.session_with_scores(caller, part, None).await)? else {
                continue;
            };
            if !session.has_scores() {
                break;
            }
            if let Some(name) = of_session {
                let about = scores::latest(&session, caller, col("session_id").eq(text(name)))?;
                found.extend(scores::erasable(&session, about, ERASED_TRACES_MAX + 1).await?);
            }
            if !traces.as_slice().is_empty() {
                let about = scores::of_traces(&session, caller, Some(traces.as_slice())).await?;
                let about = about.filter(col("trace_id").is_null())?;
                found.extend(scores::erasable(&session, about, ERASED_TRACES_MAX + 1).await?);
            }
        }
        bounded(found.into_iter().collect()).map_err(Error::from)
    }

    /// The traces whose rows show this score.
    async fn traces_of(&self, caller: &Caller, score: &Score) -> Result<Vec<TraceId>, Error> {
        match (score.trace_id, score.span_id) {
            (Some(trace), _) => Ok(vec![trace]),
            (None, Some(span)) => {
                let found = self.traces_with(caller, col("span_id").eq(id(span.as_bytes()))).await?;
                Ok(found.as_slice().to_vec())
            }
            (None, None) => Ok(Vec::new()),
        }
    }

    /// What of this each agent has whose rows are exported on a schedule: nobody else's ids are told there.
    async fn of_agents(
        &self,
        caller: &Caller,
        scope: &ErasureScope,
        touched: &[TraceId],
    ) -> Result<Vec<(AgentId, Vec<TraceId>)>, Error> {
        let ErasureScope::Traces(app, erased) = scope else { return Ok(Vec::new()) };
        let mut all = Vec::new();
        for agent in self.erasures.agents_told(caller.tenant(), *app).await? {
            let named: Vec<_> = erased.as_slice().iter().chain(touched).copied().collect();
            let is_agents = col("agent_id").eq(id(agent.as_bytes()));
            let mut had: BTreeSet<_> = self
                .traces_with(caller, is_one_of(&named).and(is_agents.clone()))
                .await?
                .as_slice()
                .iter()
                .copied()
                .collect();
            let keys = named.iter().map(|key| id(key.as_bytes())).collect();
            let session = self.scores(caller, None).await?;
            let own = scores::latest(&session, caller, is_agents.and(col("key_high").in_list(keys, false)))?;
            had.extend(scores::erasable(&session, own, ERASED_TRACES_MAX).await?);
            all.push((agent, had.into_iter().collect()));
        }
        Ok(all)
    }

    /// The caller's traces of all time in which any span is like this; no more than one above the bound. Where one query
    /// may not open so many files, time is taken in parts.
    async fn traces_with(&self, caller: &Caller, like: Expr) -> Result<TraceSet, Error> {
        let (like, mut found) = (own(caller).and(like), BTreeSet::new());
        let mut parts = Parts::of_all_time();
        while let Some(part) = parts.0.pop() {
            if let Some(session) = parts.opened(part, self.session(caller, part, None).await)? {
                found.extend(traces_in(&session, like.clone()).await?);
            }
            if found.len() > ERASED_TRACES_MAX {
                break;
            }
        }
        Ok(found.into_iter().collect())
    }
}

/// Time in parts that one query each can look at, still to be looked at.
struct Parts(Vec<TimeRange>);

impl Parts {
    fn of_all_time() -> Self {
        Self(vec![TimeRange::all()])
    }

    /// The session of a part; nothing when that holds more files than one query may open, and its halves come next.
    fn opened(
        &mut self,
        part: TimeRange,
        session: Result<TenantSession, Error>,
    ) -> Result<Option<TenantSession>, Error> {
        match (session, halves(part)) {
            (Ok(session), _) => Ok(Some(session)),
            (Err(error), Some(halves)) if is_too_much(&error) => {
                self.0.extend(halves);
                Ok(None)
            }
            (Err(error), _) => Err(error),
        }
    }
}

/// What is to be erased, and how that is called on record.
struct Erased {
    action: &'static str,
    subject: Subject,
    scope: ErasureScope,
    /// Traces that stay and lose scores.
    touched: Vec<TraceId>,
    bounds: Bounds,
}

/// What is meant: of each writer the last write that a snapshot shows.
struct Bounds {
    spans: Vec<Receipt>,
    scores: Vec<Receipt>,
}

impl Bounds {
    fn of(session: &TenantSession) -> Self {
        Self { spans: session.shown().to_vec(), scores: session.scores_shown().to_vec() }
    }
}

fn may_erase(caller: &Caller, named: &Named) -> Result<(), Fault> {
    refuse_agents(caller)?;
    let is_owner = matches!(caller.principal(), Principal::Member(_, Role::Owner));
    if *named == Named::Tenant && !is_owner {
        return Err(Fault::new(Code::Forbidden, "Only the owner, signed in, may delete everything of a tenant."));
    }
    Ok(())
}

/// A trace may hold spans of several agents, so whoever speaks for one of them may not delete it.
fn refuse_agents(caller: &Caller) -> Result<(), Fault> {
    match caller.agent() {
        None => Ok(()),
        Some(_) => {
            Err(Fault::new(Code::Forbidden, "A key of an agent cannot delete; use a workspace key with 'admin'."))
        }
    }
}

async fn traces_in(session: &TenantSession, like: Expr) -> Result<Vec<TraceId>, Error> {
    let frame = session.rows()?.filter(like)?.select(vec![col("trace_id")])?.distinct()?;
    trace_ids(session, frame.limit(0, Some(ERASED_TRACES_MAX + 1))?, "trace_id").await
}

fn is_too_much(error: &Error) -> bool {
    matches!(error, Error::Engine(spanlake_engine::Error::TooManyFiles { .. }))
}

/// `None` when it is a day or less: files do not get fewer from there on.
fn halves(range: TimeRange) -> Option<[TimeRange; 2]> {
    if range.length() <= DAY {
        return None;
    }
    let middle = Timestamp::from_nanos(range.start().as_nanos() / 2 + range.end().as_nanos() / 2);
    Some([TimeRange::new(range.start(), middle).ok()?, TimeRange::new(middle, range.end()).ok()?])
}

fn bounded(traces: TraceSet) -> Result<TraceSet, Fault> {
    if traces.as_slice().len() <= ERASED_TRACES_MAX {
        return Ok(traces);
    }
    let message =
        format!("One deletion takes at most {ERASED_TRACES_MAX} traces; delete session by session, or the app.");
    Err(Fault::new(Code::InvalidRequestBody, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_time_falls_into_parts_without_gap_or_overlap() {
        let (mut parts, mut whole) = (vec![TimeRange::all()], Vec::new());
        while let Some(part) = parts.pop() {
            match halves(part).filter(|_| part.contains(Timestamp::from_secs(1_767_312_000))) {
                Some([first, last]) => parts.extend([last, first]),
                None => whole.push(part),
            }
        }
        assert!(whole.windows(2).all(|pair| pair[0].end() == pair[1].start()), "{whole:?}");
        assert_eq!(
            (whole[0].start(), whole[whole.len() - 1].end()),
            (TimeRange::all().start(), TimeRange::all().end())
        );
        assert!(whole.iter().any(|part| part.length() <= DAY));
    }
}
