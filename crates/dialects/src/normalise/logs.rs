//! Log records as sent, turned into rows that lie beside the spans they belong to.
//!
//! A row is a [`Span`] with a `log_name`, without duration, whose parent is the span that the record names. Its `input` and
//! `output` hold what the record says of that span's content, in one of two shapes:
//! - a JSON object with a `role` is **one message**; the messages of a span make a list, in the order of their time;
//! - anything else, a JSON list or text, is the **whole** content.
//!
//! What a record counts (tokens, dollars) repeats what its span counts, so that a row never has usage nor cost.

mod content;
mod moment;
mod name;

use sha2::{Digest, Sha256};
use spanlake_model::{Kind, Span, SpanId, SpanKey, Status, Timestamp, TraceId};

use super::fields::Field;
use super::view::View;
use super::{
    Attribution, Context, Copies, NAME_BYTES_MAX, Normalised, Resource, Source, Taker, canonical, labels, outcome,
    scope_name, value,
};
use crate::otlp::{LogsRequest, Signal};
use crate::sent::{self, Attribute, Item as _, Record, Value};
use moment::Moments;

/// The attribute of a row that holds the record's body, unless that only repeats the event's name.
pub const BODY: &str = "log.body";

/// Turns every record of `request` into a row, or says why not.
///
/// `attribute` is asked once per resource, in order; it must answer alike when the log is replayed.
pub fn normalise_logs(request: &LogsRequest, context: &Context, attribute: &mut Attribution<'_>) -> Normalised {
    let mut normalised = Normalised::of(Signal::Logs);
    normalised.spans.reserve(request.record_count());
    normalise_logs_each(request, context, attribute, &mut |ordinal, outcome| normalised.take(ordinal, outcome));
    normalised
}

/// As [`normalise_logs`], one by one.
pub(crate) fn normalise_logs_each(
    request: &LogsRequest,
    context: &Context,
    attribute: &mut Attribution<'_>,
    take: &mut Taker<'_>,
) {
    let mut ordinals = 0_u32..;
    // Labels and content are read from a span's attributes; a record has nothing else of a span.
    let (blank, mut record) = (sent::Span::default(), Record::default());
    let (mut record_view, mut resource_view) = (View::new(), View::new());
    let (mut moments, mut copies) = (Moments::default(), Copies::below(context.resource_bytes_max));
    for mut sent in request.resources() {
        let resource = Resource::new(&mut sent.attributes, &mut resource_view, context, attribute);
        for scope in &sent.scopes {
            let name = scope_name(&scope.name);
            for (item, ordinal) in scope.items.iter().zip(ordinals.by_ref()) {
                let read = item.read(&mut record);
                record_view.load(&mut record.attributes.clone());
                let (view, scope, scope_name) = (&record_view, &*scope.name, name.as_ref());
                let source = Source { span: &blank, view, resource: &resource_view, scope, scope_name };
                let row = read.and_then(|()| copies.take(&resource.attributes));
                take(ordinal, row.and_then(|()| resource.row(&record, &source, &mut moments)));
            }
        }
    }
}

/// What a record without a trace id is known by; records that are known by the same thing lie in one trace of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stray {
    /// A session or conversation.
    Session,
    /// One prompt of a session.
    Prompt,
    /// A provider's answer.
    Response,
}

impl Stray {
    /// The trace that holds the stray records of this `id`, so that whoever has the id finds them.
    pub fn trace(self, id: &str) -> TraceId {
        let what = match self {
            Self::Session => "session",
            Self::Prompt => "prompt",
            Self::Response => "response",
        };
        let hash = Sha256::new().chain_update(what).chain_update(id).finalize();
        let head = hash.first_chunk().expect("it has 32 bytes");
        TraceId::from_bytes(*head).expect("nobody finds a text whose hash begins with sixteen zeros")
    }
}

impl Resource<'_> {
    fn row(&self, record: &Record<'_>, source: &Source<'_, '_>, moments: &mut Moments) -> Result<Span, String> {
        let name = name::of(record, source.scope);
        if name.len() > NAME_BYTES_MAX {
            return Err(format!("the event's name must be at most {NAME_BYTES_MAX} bytes long"));
        }
        let session_id = labels::session(source);
        let response_id = response_id(record, source);
        let (trace_id, parent_span_id) = match TraceId::from_slice(record.trace_id) {
            Ok(trace_id) => (trace_id, SpanId::from_slice(record.span_id).ok()),
            Err(_) if !name::is_of_a_model(&name, record, source.scope, self.service_name.as_deref()) => {
                return Err(
                    "a log record without a trace id must be about a model's work: an event or attribute `gen_ai.*`, \
                            or one of a known coding agent; was it logged inside a span?"
                        .to_owned(),
                );
            }
            Err(_) => (stray(record, session_id.as_deref(), response_id.as_deref())?, None),
        };
        let sent = match record.nanos {
            0 => record.observed_nanos,
            nanos => nanos,
        };
        let sent = self.instant("the time of a log record", sent)?;
        let at = moments.after(trace_id, parent_span_id, sent);
        let attributes = attributes(record, &name);
        let span_id = moments.own_id(own_hash(trace_id, parent_span_id, sent, &name, &attributes));
        // Last, so that whatever came before goes the same way in a replay, where every agent is known.
        let agent_id = self.agent.clone()?;
        let (input, output) = content::input_and_output(record, source, &name);
        let (status, status_message) = status(record, &name);
        Ok(Span {
            agent_id,
            parent_span_id,
            name: name.clone(),
            kind: Kind::of(Kind::EVENT),
            status,
            level: (record.severity > 0).then(|| outcome::level_of(record.severity.into()).to_owned()),
            status_message,
            end: Some(at),
            response_id,
            session_id,
            user_id: labels::user(source),
            environment: labels::environment(source),
            release: source.text_or_resource(Field::Release),
            version: source.text_or_resource(Field::Version),
            service_name: self.service_name.clone(),
            scope_name: source.scope_name.cloned(),
            tags: labels::tags(source),
            metadata: labels::metadata(source),
            attributes,
            resource: self.attributes.clone(),
            input,
            output,
            log_name: Some(name),
            ..Span::new(SpanKey { app_id: self.context.app, trace_id, span_id }, at)
        })
    }
}

/// The trace of a record that names none.
fn stray(record: &Record<'_>, session: Option<&str>, response: Option<&str>) -> Result<TraceId, String> {
    let prompt = || attribute(record, &["prompt.id", "prompt_id", "gen_ai.prompt.name"]).and_then(value::text);
    let of_session = session.map(|id| Stray::Session.trace(id));
    let trace = of_session.or_else(|| prompt().map(|id| Stray::Prompt.trace(&id)));
    trace.or_else(|| response.map(|id| Stray::Response.trace(id))).ok_or_else(|| {
        "a log record must have a trace id (32 hex digits, not all zero), or an attribute that says what it belongs to: \
         session.id, gen_ai.conversation.id, prompt.id or gen_ai.response.id"
            .to_owned()
    })
}

fn response_id(record: &Record<'_>, source: &Source<'_, '_>) -> Option<String> {
    // Claude Code's.
    source.text(Field::ResponseId).or_else(|| attribute(record, &["request_id"]).and_then(value::text))
}

/// The value of the first of these keys that says something.
fn attribute<'s, 'r>(record: &'s Record<'r>, keys: &[&str]) -> Option<&'s Value<'r>> {
    keys.iter().find_map(|key| value::of_key(&record.attributes, key))
}

/// All attributes as sent and the body beside them, in canonical JSON.
fn attributes(record: &Record<'_>, name: &str) -> String {
    let repeats_name = |body: &Value<'_>| value::str(body).is_some_and(|text| text == name);
    match record.body.as_ref().filter(|body| !body.is_empty() && !repeats_name(body)) {
        None => canonical::object(&record.attributes),
        Some(body) => {
            let body = Attribute { key: BODY.into(), value: body.clone() };
            canonical::object(&[&record.attributes[..], &[body]].concat())
        }
    }
}

/// A record has no id, and is the same when it is sent again, whatever is sent with it: its id is made of all that it says.
fn own_hash(trace: TraceId, parent: Option<SpanId>, sent: Timestamp, name: &str, attributes: &str) -> Sha256 {
    let mut hash = Sha256::new();
    hash.update(trace.as_bytes());
    hash.update(parent.map_or([0; 8], |parent| *parent.as_bytes()));
    hash.update(sent.as_nanos().to_le_bytes());
    hash.update(name.len().to_le_bytes());
    hash.update(name);
    hash.update(attributes);
    hash
}

/// Only an exception says how its span ended; an error that is merely logged may have been handled.
fn status(record: &Record<'_>, name: &str) -> (Status, Option<String>) {
    if name != "gen_ai.client.operation.exception" {
        return (Status::Unset, None);
    }
    let text = |keys: &[&str]| attribute(record, keys).and_then(value::whole);
    let (class, message) = (text(&["exception.type", "error.type"]), text(&["exception.message", "error.message"]));
    (Status::Error, outcome::of_class(class, message))
}
