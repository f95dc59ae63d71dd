//! Spans as sent, turned into spans in our words.

mod call;
mod canonical;
mod content;
mod fields;
mod indexed;
mod kind;
mod labels;
mod logs;
mod outcome;
mod outcomes;
mod said;
mod usage;
mod value;
mod view;

use std::sync::Arc;
use std::time::Duration;

use spanlake_model::{AgentId, AppId, CostSource, Event, Link, Span, SpanId, Timestamp, TraceId};

pub(crate) use call::plain_reason;

use crate::otlp::{Signal, TracesRequest};
use crate::sent::{self, Attribute, Item as _};
use fields::Field;
use view::View;

pub(crate) use logs::normalise_logs_each;
pub use logs::{BODY, Stray, normalise_logs};
pub use outcomes::{Normalised, Refusals, Rejected};

/// A longer name is refused: it is a payload in the wrong place.
pub const NAME_BYTES_MAX: usize = 64 * 1024;
/// Further events of a span are counted, not kept: streams send one per token.
pub const EVENTS_MAX: usize = 1_024;
/// Further links of a span are not kept.
pub const LINKS_MAX: usize = 1_024;
/// Attributes of resources that a request may have, in bytes, counted once for each span: a thousand spans of a resource of
/// 256 KiB are as many.
pub const RESOURCE_BYTES_MAX: usize = 256 << 20;
/// The event that says how many were not kept, as `count`.
pub const EVENTS_DROPPED: &str = "spanlake.events_dropped";

/// What a request cannot say about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The app it was sent to.
    pub app: AppId,
    /// When it was received; never "now", so that replaying the log gives the same answer.
    pub received: Timestamp,
    /// Spans that began longer than this before `received` are refused.
    pub span_age_max: Duration,
    /// Spans that begin later than this after `received` are refused.
    pub span_ahead_max: Duration,
    /// Attributes of resources, counted once for each span; spans beyond are refused.
    pub resource_bytes_max: usize,
}

impl Context {
    /// With the usual bounds: 400 days back, one day ahead, [`RESOURCE_BYTES_MAX`].
    pub const fn new(app: AppId, received: Timestamp) -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        let span_age_max = Duration::from_secs(400 * DAY.as_secs());
        Self { app, received, span_age_max, span_ahead_max: DAY, resource_bytes_max: RESOURCE_BYTES_MAX }
    }
}

/// Answers the agent that the spans of a resource belong to, given the text of its `agentos.agent_id` if it has one, or why
/// they are refused.
pub type Attribution<'f> = dyn FnMut(Option<&str>) -> Result<Option<AgentId>, String> + 'f;

/// Every attribute key that some field is read from, in no order; what a field reads by a prefix is not among them.
pub fn known_keys() -> impl Iterator<Item = &'static str> {
    fields::TABLE.iter().flat_map(|keys| keys.iter().copied())
}

/// What takes the items of a request, in order: the place of each in the request, from zero, and the span, or why it is refused.
pub type Taker<'f> = dyn FnMut(u32, Result<Span, String>) + 'f;

/// Turns every span of `request` into ours, or says why not.
///
/// `attribute` is asked once per resource, in order; it must answer alike when the log is replayed.
pub fn normalise(request: &TracesRequest, context: &Context, attribute: &mut Attribution<'_>) -> Normalised {
    let mut normalised = Normalised::of(Signal::Traces);
    normalised.spans.reserve(request.span_count());
    normalise_each(request, context, attribute, &mut |ordinal, outcome| normalised.take(ordinal, outcome));
    normalised
}

/// As [`normalise`], one by one: of many tiny spans, all of them together take many times what their request does.
pub(crate) fn normalise_each(
    request: &TracesRequest,
    context: &Context,
    attribute: &mut Attribution<'_>,
    take: &mut Taker<'_>,
) {
    let mut ordinals = 0_u32..;
    let (mut span, mut span_view, mut resource_view) = (sent::Span::default(), View::new(), View::new());
    let mut copies = Copies::below(context.resource_bytes_max);
    for mut sent in request.resources() {
        let resource = Resource::new(&mut sent.attributes, &mut resource_view, context, attribute);
        for scope in &sent.scopes {
            let name = scope_name(&scope.name);
            for (item, ordinal) in scope.items.iter().zip(ordinals.by_ref()) {
                let read = item.read(&mut span);
                span_view.load(&mut span.attributes);
                let (view, scope, scope_name) = (&span_view, &*scope.name, name.as_ref());
                let source = Source { span: &span, view, resource: &resource_view, scope, scope_name };
                let span = read.and_then(|()| copies.take(&resource.attributes));
                take(ordinal, span.and_then(|()| resource.span(&source)));
            }
        }
    }
}

/// All that is known about one span.
#[derive(Clone, Copy)]
pub(crate) struct Source<'s, 'r> {
    /// Without its attributes, which are in the view.
    span: &'s sent::Span<'r>,
    view: &'s View<'r>,
    resource: &'s View<'r>,
    scope: &'s str,
    /// The same as all its spans have it.
    scope_name: Option<&'s Arc<str>>,
}

impl Source<'_, '_> {
    /// The first of the field's keys that says something, on the span.
    fn text(&self, field: Field) -> Option<String> {
        self.view.text(field)
    }
    /// As [`Self::text`], else on the resource.
    fn text_or_resource(&self, field: Field) -> Option<String> {
        self.view.text(field).or_else(|| self.resource.text(field))
    }
}

/// What the spans or log records of one resource share.
struct Resource<'c> {
    context: &'c Context,
    agent: Result<Option<AgentId>, String>,
    attributes: Arc<str>,
    service_name: Option<Arc<str>>,
}

/// What an instrumentation is called; none when it says no name.
fn scope_name(sent: &str) -> Option<Arc<str>> {
    (!sent.is_empty()).then(|| value::clean(sent).into())
}

/// Bytes of resources, counted once for each span. Spans share them, but not wherever they go from here.
struct Copies {
    bytes: usize,
    bytes_max: usize,
}

impl Copies {
    const fn below(bytes_max: usize) -> Self {
        Self { bytes: 0, bytes_max }
    }

    /// Counts one more span of a resource with these attributes, unless that is too much.
    fn take(&mut self, attributes: &str) -> Result<(), String> {
        let bytes = self.bytes.saturating_add(attributes.len());
        if bytes > self.bytes_max {
            return Err(format!(
                "the attributes of its resource, {} bytes, come with too many spans in one request; send fewer at once, \
                 or put on spans what is long",
                attributes.len()
            ));
        }
        self.bytes = bytes;
        Ok(())
    }
}

impl<'c> Resource<'c> {
    fn new<'r>(
        attributes: &mut Vec<Attribute<'r>>,
        view: &mut View<'r>,
        context: &'c Context,
        attribute: &mut Attribution<'_>,
    ) -> Self {
        view.load(attributes);
        Self {
            context,
            agent: attribute(view.text(Field::AgentOfResource).as_deref()),
            attributes: canonical::object_of_view(view).into(),
            service_name: view.text(Field::ServiceName).map(Into::into),
        }
    }

    fn span(&self, source: &Source<'_, '_>) -> Result<Span, String> {
        let sent = source.span;
        let agent_id = self.agent.clone()?;
        let identity = Identity::of(source)?;
        if sent.name.len() > NAME_BYTES_MAX {
            return Err(format!("the name must be at most {NAME_BYTES_MAX} bytes long"));
        }
        let start = self.instant("the start time", sent.start_nanos)?;
        let end = if identity.is_pending { None } else { end(sent.end_nanos, start) };
        let (usage, usage_details) = usage::usage(source);
        let answered = source.text(Field::Model);
        let asked = || if answered.is_none() { call::model_in_parameters(source) } else { None };
        let request_model = source.text(Field::RequestModel).or_else(asked);
        let model = answered
            .or_else(|| request_model.clone())
            .or_else(|| usage.input.or(usage.output).and_then(|_| source.text(Field::BareModel)));
        let kind = kind::kind(source, usage.input.or(usage.output).is_some(), model.is_some());
        let (status, status_message) = outcome::status(source);
        let is_root = identity.parent_span_id.is_none() || source.view.values(Field::IsRoot).any(value::is_true);
        let (input, output) = content::input_and_output(source, kind.as_str(), is_root);
        let (prompt_name, prompt_version) = labels::prompt(source);
        let cost = usage::cost(source, &usage);
        // Named one by one, not filled up from an empty span: that would make four strings to throw away.
        Ok(Span {
            app_id: self.context.app,
            trace_id: identity.trace_id,
            span_id: identity.span_id,
            start,
            log_name: None,
            agent_id,
            operation: source.text(Field::Operation),
            parent_span_id: identity.parent_span_id,
            name: value::clean(&sent.name),
            status,
            level: outcome::level(source, status),
            status_message,
            end,
            time_to_first_token_ns: outcome::time_to_first_token(source, start),
            tokens_per_second: outcome::tokens_per_second(source),
            provider: call::provider(source),
            request_model,
            model,
            model_parameters: call::parameters(source),
            response_id: source.text(Field::ResponseId),
            finish_reason: call::finish_reason(source),
            usage,
            usage_details,
            cost_source: cost.total.map(|_| CostSource::Sent),
            cost,
            tool_name: labels::tool_name(source, &kind),
            agent_name: labels::agent_name(source, &kind),
            session_id: labels::session(source),
            session_name: source.text(Field::SessionName),
            user_id: labels::user(source),
            trace_name: labels::trace_name(source, is_root),
            environment: labels::environment(source),
            release: source.text_or_resource(Field::Release),
            version: source.text_or_resource(Field::Version),
            service_name: self.service_name.clone(),
            scope_name: source.scope_name.cloned(),
            prompt_name,
            prompt_version,
            tags: labels::tags(source),
            metadata: labels::metadata(source),
            attributes: canonical::object_of_view(source.view),
            resource: self.attributes.clone(),
            events: events(&sent.events, start),
            links: links(&sent.links),
            input,
            output,
            kind,
        })
    }

    fn instant(&self, what: &str, nanos: u64) -> Result<Timestamp, String> {
        let Context { received, span_age_max, span_ahead_max, .. } = *self.context;
        if nanos == 0 {
            return Err(format!("{what} must be set"));
        }
        let instant = Timestamp::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX));
        if instant < received.minus(span_age_max) {
            return Err(format!("{what} must not be more than {} ago", period(span_age_max)));
        }
        if instant > received.plus(span_ahead_max) {
            return Err(format!("{what} must not be more than {} ahead", period(span_ahead_max)));
        }
        Ok(instant)
    }
}

fn period(duration: Duration) -> String {
    match duration.as_secs() {
        secs if secs >= 172_800 => format!("{} days", secs / 86_400),
        secs if secs >= 7_200 => format!("{} hours", secs / 3_600),
        secs => format!("{secs} seconds"),
    }
}

/// When it ended: not before it began; not yet, when that was not said.
fn end(nanos: u64, start: Timestamp) -> Option<Timestamp> {
    (nanos != 0).then(|| Timestamp::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX)).max(start))
}

/// Which span it is, and below which.
struct Identity {
    trace_id: TraceId,
    span_id: SpanId,
    parent_span_id: Option<SpanId>,
    is_pending: bool,
}

impl Identity {
    fn of(source: &Source<'_, '_>) -> Result<Self, String> {
        let sent = source.span;
        let trace_id = TraceId::from_slice(sent.trace_id).map_err(|error| error.to_string())?;
        let mut span_id = SpanId::from_slice(sent.span_id).map_err(|error| error.to_string())?;
        let mut parent_span_id = SpanId::from_slice(sent.parent_span_id).ok();
        let is_pending = source.text(Field::LogfireSpanType).as_deref() == Some("pending_span");
        // Logfire announces a span by a child of it that names the real parent: take it for the span it announces,
        // which then replaces it.
        if let (true, Some(real), Some(parent)) = (is_pending, parent_span_id, source.text(Field::PendingParent)) {
            span_id = real;
            parent_span_id = parent.parse().ok();
        }
        // Some name themselves as their parent, or the beginning of their trace.
        let is_parent = |parent: &SpanId| *parent != span_id && !trace_id.as_bytes().starts_with(parent.as_bytes());
        Ok(Self { trace_id, span_id, parent_span_id: parent_span_id.filter(is_parent), is_pending })
    }
}

fn events(sent: &[sent::Event<'_>], start: Timestamp) -> Vec<Event> {
    let at =
        |nanos: u64| if nanos == 0 { start } else { Timestamp::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX)) };
    let mut events: Vec<Event> = sent
        .iter()
        .take(EVENTS_MAX)
        .map(|event| Event {
            name: value::clean(&event.name),
            time: at(event.nanos),
            attributes: canonical::object(&event.attributes),
        })
        .collect();
    if let Some(first) = sent.get(EVENTS_MAX) {
        let attributes = format!("{{\"count\":{}}}", sent.len() - EVENTS_MAX);
        events.push(Event { name: EVENTS_DROPPED.to_owned(), time: at(first.nanos), attributes });
    }
    events
}

fn links(sent: &[sent::Link<'_>]) -> Vec<Link> {
    let valid = sent.iter().filter_map(|link| {
        let trace_id = TraceId::from_slice(link.trace_id).ok()?;
        let span_id = SpanId::from_slice(link.span_id).ok()?;
        Some(Link { trace_id, span_id, attributes: canonical::object(&link.attributes) })
    });
    valid.take(LINKS_MAX).collect()
}
