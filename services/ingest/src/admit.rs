//! From a request to rows: who, how much, what.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use spanlake_access::Gate;
use spanlake_dialects::otlp::{self, Signal};
use spanlake_dialects::{Context, Refusals, Request};
use spanlake_model::{AgentId, Caller, Code, Day, Fault, Limit, Receipt, Span, Standing, Table};
use spanlake_store::log::Frame;
use spanlake_store::memtable::{Prepared, Preparing};
use spanlake_store::rows::{Origin, Row};

use crate::error::Error;
use crate::room::Reserved;
use crate::spelling;
use crate::writer::{DAYS_MAX, Writer};

/// Where a request came in: what it must say about its agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Naming an agent is optional.
    Open,
    /// AgentOS: a workspace key must name the agent on the resource.
    AgentNamed,
}

/// A request whose caller is verified and whose body is whole and decompressed.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// What it holds.
    pub signal: Signal,
    /// How it is spelled.
    pub encoding: otlp::Encoding,
    /// Where it came in.
    pub door: Door,
    /// Its bytes.
    pub body: Bytes,
}

/// What became of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Proof of the write; none when nothing was to be written.
    pub receipt: Option<Receipt>,
    /// Spans or log records refused.
    pub rejected: u64,
    /// Why, when some were.
    pub message: Option<String>,
    /// How the limits stand that it was taken from.
    pub standings: Vec<Standing>,
}

impl Accepted {
    /// The answer to a request of this kind.
    pub(crate) fn encode(&self, signal: Signal, encoding: otlp::Encoding) -> Vec<u8> {
        match &self.message {
            Some(message) => encoding.encode_partial(signal, self.rejected, message),
            None => encoding.encode_success(),
        }
    }
}

/// Who the spans or log records of each resource belong to.
struct Agents {
    /// The agent of an agent key.
    bound: Option<AgentId>,
    /// Named in the request, and found or refused.
    named: HashMap<String, Result<AgentId, Fault>>,
    door: Door,
}

pub(crate) async fn accept(
    gate: &Gate,
    writer: &Writer,
    caller: &Caller,
    incoming: Incoming,
    mut room: Reserved,
) -> Result<Accepted, Fault> {
    writer.rooms.grow(&mut room, caller.tenant(), incoming.body.len() as u64).map_err(refuse)?;
    let Incoming { signal, encoding, door, body } = incoming;
    let bytes = body.len();
    // Before decoding, which is work too, also when nothing comes of it.
    let mut standings = gate.take(caller, &[(Limit::Requests, 1), (Limit::Bytes, bytes as u64)]).await?;
    let announced = writer.log.announce();
    let request = decode(writer, signal, encoding, body.clone()).await?;
    let items = request.item_count() as u64;
    standings.extend(gate.take(caller, &[(Limit::Spans, items)]).await?);
    let agents = Agents::find(gate, caller, &request, door).await?;
    let (received_at, origin) = (writer.received_at(), Origin { tenant: caller.tenant(), writer: writer.id() });
    let context = Context::new(caller.app(), received_at);
    let admitted = off_thread(writer, bytes, move || admit(&request, &context, &agents, origin)).await??;
    let accepted = Accepted { standings, ..admitted.accepted };
    let Some(prepared) = admitted.prepared else {
        writer.figures.answered(0, accepted.rejected);
        return Ok(accepted);
    };
    let frame = Frame {
        sequence: 0,
        tenant: caller.tenant(),
        app: caller.app(),
        agent: caller.agent(),
        received_at,
        encoding: spelling::in_log(signal, encoding),
        rejected: admitted.rejected,
        body,
    };
    let receipt = writer.append(announced, Table::Spans, frame, prepared, room).await.map_err(refuse)?;
    writer.figures.answered(items.saturating_sub(accepted.rejected), accepted.rejected);
    Ok(Accepted { receipt: Some(receipt), ..accepted })
}

/// Logs why we could not, and tells the client to send again. That too much comes at once is said by the answer alone:
/// a line a request would make it worse.
pub(crate) fn refuse(error: Error) -> Fault {
    if error.is_overload() {
        return error.into();
    }
    tracing::warn!(error = &error as &dyn std::error::Error, "refused telemetry");
    error.into()
}

/// About half a millisecond of work; more leaves the async threads.
const INLINE_BYTES_MAX: usize = 16 << 10;

/// As many at once as there are cores: more would finish no sooner, and each holds several times its request's bytes. One that
/// nobody waits for any more counts until it is done.
async fn off_thread<T: Send + 'static>(
    writer: &Writer,
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    if bytes <= INLINE_BYTES_MAX {
        return Ok(work());
    }
    let core = writer.cores.clone().acquire_owned().await.expect("it is never closed");
    let done = tokio::task::spawn_blocking(move || {
        let _core = core;
        work()
    });
    done.await.map_err(|error| refuse(error.into()))
}

async fn decode(writer: &Writer, signal: Signal, encoding: otlp::Encoding, body: Bytes) -> Result<Request, Fault> {
    let decoded = off_thread(writer, body.len(), move || Request::decode(signal, encoding, &body)).await?;
    decoded.map_err(Fault::from)
}

/// Agents that one request may name: each is looked up.
const AGENTS_MAX: usize = 100;

impl Agents {
    async fn find(gate: &Gate, caller: &Caller, request: &Request, door: Door) -> Result<Self, Fault> {
        let mut named = HashMap::new();
        // Those beyond are refused as unknown, item by item.
        for name in request.named_agents().into_iter().take(AGENTS_MAX) {
            let verdict = find(gate, caller, &name).await;
            if let Err(fault) = &verdict
                && !matches!(fault.code, Code::Forbidden | Code::InvalidOtlpPayload)
            {
                return Err(fault.clone());
            }
            named.insert(name.into_owned(), verdict);
        }
        Ok(Self { bound: caller.agent(), named, door })
    }

    fn verdict(&self, name: Option<&str>) -> Result<Option<AgentId>, Fault> {
        match (name, self.bound, self.door) {
            (Some(name), ..) => self.named.get(name).cloned().unwrap_or_else(|| Err(unknown(name))).map(Some),
            (None, Some(bound), _) => Ok(Some(bound)),
            (None, None, Door::Open) => Ok(None),
            (None, None, Door::AgentNamed) => Err(Fault::new(
                Code::InvalidOtlpPayload,
                "a workspace key must name the agent here: set the resource attribute agentos.agent_id, for example with OTEL_RESOURCE_ATTRIBUTES=agentos.agent_id=<uuid>",
            )),
        }
    }
}

/// The agent a resource names, if the caller may write for it.
async fn find(gate: &Gate, caller: &Caller, name: &str) -> Result<AgentId, Fault> {
    let agent: AgentId = name.parse().map_err(|_| unknown(name))?;
    if let Some(bound) = caller.agent() {
        let message = format!("this key belongs to agent {bound} and may not write for agent {agent}");
        return if bound == agent { Ok(agent) } else { Err(Fault::new(Code::Forbidden, message)) };
    }
    match gate.agent_app(caller, agent).await? {
        Some(app) if app == caller.app() => Ok(agent),
        Some(app) => {
            let message = format!("agent {agent} belongs to app {app}; name it in the header X-Spanlake-App-Id");
            Err(Fault::new(Code::InvalidOtlpPayload, message))
        }
        None => Err(unknown(name)),
    }
}

fn unknown(name: &str) -> Fault {
    let shown: String = name.chars().take(64).collect();
    Fault::new(Code::InvalidOtlpPayload, format!("agentos.agent_id '{shown}' is no agent of this tenant"))
}

struct Admitted {
    /// None when nothing was left.
    prepared: Option<Prepared>,
    rejected: Vec<u32>,
    accepted: Accepted,
}

fn admit(request: &Request, context: &Context, agents: &Agents, origin: Origin) -> Result<Admitted, Fault> {
    let mut refused = None;
    let mut attribute = |name: Option<&str>| {
        agents.verdict(name).map_err(|fault| {
            let message = fault.message.to_string();
            refused.get_or_insert(fault);
            message
        })
    };
    let (mut days, mut refusals, mut kept) = (Days::default(), Refusals::default(), 0);
    let mut preparing = Preparing::new(origin);
    let mut take = |ordinal, outcome: Result<Span, String>| match outcome.and_then(|span| days.bound(span)) {
        Ok(span) => {
            kept += 1;
            preparing.push(Row { span, received_at: context.received, sequence: 0 });
        }
        Err(reason) => refusals.add(ordinal, reason),
    };
    request.normalise_each(context, &mut attribute, &mut take);
    // When nothing is left because of whom it names, the request as a whole is refused, with that as its reason.
    if kept == 0
        && let Some(fault) = refused
    {
        return Err(fault);
    }
    let (rejected, message) = (refusals.ordinals().len() as u64, refusals.summary(request.signal(), kept));
    let accepted = Accepted { rejected, message, ..Accepted::default() };
    Ok(Admitted { prepared: preparing.finish(), rejected: refusals.ordinals().to_vec(), accepted })
}

/// The days of a request. Every day becomes a file: what is of further days than [`DAYS_MAX`] is refused, in the order of the
/// request.
#[derive(Default)]
struct Days(HashSet<Day>);

impl Days {
    fn bound(&mut self, span: Span) -> Result<Span, String> {
        let day = Day::of(span.start);
        if self.0.contains(&day) || (self.0.len() < DAYS_MAX && self.0.insert(day)) {
            return Ok(span);
        }
        Err(format!("one request may be about {DAYS_MAX} days; send the rest in another"))
    }
}
