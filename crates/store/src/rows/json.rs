//! Events and links as JSON text: a column each, rarely read.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use spanlake_model::{Event, Link, SpanId, Timestamp, TraceId};

#[derive(Serialize, Deserialize)]
struct EventText<'a> {
    name: std::borrow::Cow<'a, str>,
    time: i64,
    #[serde(borrow)]
    attributes: &'a RawValue,
}

#[derive(Serialize, Deserialize)]
struct LinkText<'a> {
    trace_id: TraceId,
    span_id: SpanId,
    #[serde(borrow)]
    attributes: &'a RawValue,
}

/// Attributes are canonical JSON already; what is not, by a mistake of ours, becomes an empty object rather than a lost row.
fn raw(attributes: &str) -> &RawValue {
    serde_json::from_str(attributes).unwrap_or_else(|_| serde_json::from_str("{}").expect("an empty object is JSON"))
}

pub(super) fn events_text(events: &[Event]) -> String {
    if events.is_empty() {
        return "[]".to_string();
    }
    let texts: Vec<_> = events
        .iter()
        .map(|event| EventText {
            name: event.name.as_str().into(),
            time: event.time.as_nanos(),
            attributes: raw(&event.attributes),
        })
        .collect();
    serde_json::to_string(&texts).expect("strings, numbers and JSON make JSON")
}

pub(super) fn links_text(links: &[Link]) -> String {
    if links.is_empty() {
        return "[]".to_string();
    }
    let texts: Vec<_> = links
        .iter()
        .map(|link| LinkText { trace_id: link.trace_id, span_id: link.span_id, attributes: raw(&link.attributes) })
        .collect();
    serde_json::to_string(&texts).expect("ids and JSON make JSON")
}

pub(super) fn events(text: &str) -> Result<Vec<Event>, serde_json::Error> {
    let texts: Vec<EventText<'_>> = serde_json::from_str(text)?;
    let event = |text: EventText<'_>| Event {
        name: text.name.into_owned(),
        time: Timestamp::from_nanos(text.time),
        attributes: text.attributes.get().to_string(),
    };
    Ok(texts.into_iter().map(event).collect())
}

pub(super) fn links(text: &str) -> Result<Vec<Link>, serde_json::Error> {
    let texts: Vec<LinkText<'_>> = serde_json::from_str(text)?;
    let link = |text: LinkText<'_>| Link {
        trace_id: text.trace_id,
        span_id: text.span_id,
        attributes: text.attributes.get().to_string(),
    };
    Ok(texts.into_iter().map(link).collect())
}
