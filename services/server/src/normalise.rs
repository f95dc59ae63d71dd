//! What a request becomes, for somebody who wonders why a field is empty.
//!
//! The same code that takes requests in reads it; each span is then shown as the API shows it, with the cost of today's list
//! prices. Nothing is stored, and nobody is asked.

use std::io::Read;

use bytes::Bytes;
use serde_json::{Value, json};
use spanlake_dialects::otlp::{DecodeError, Encoding, Signal};
use spanlake_dialects::{Context, Request};
use spanlake_model::{AppId, Clock as _, Cost, Span, SystemClock};
use spanlake_prices::{Book, Spent};

/// As one request may hold, decompressed, and more.
const BYTES_MAX: u64 = 256 << 20;

/// Reads an OTLP request, traces or logs, protobuf or JSON, and answers `{"spans": […], "rejected": […]}`: in each list the place
/// in the request (`ordinal`), and the span, or why it was refused.
///
/// # Errors
/// When the input cannot be read, or is no OTLP.
pub fn normalise(input: impl Read) -> anyhow::Result<Value> {
    let mut bytes = Vec::new();
    input.take(BYTES_MAX).read_to_end(&mut bytes)?;
    anyhow::ensure!(!bytes.starts_with(&[0x1f, 0x8b]), "the request is compressed; pipe it through gunzip first");
    let request = decode(&bytes.into())?;
    let mut context = Context::new(AppId::from_bytes([0; 16]), SystemClock.now());
    // Whoever looks at an old request does not want to hear that it is old.
    (context.span_age_max, context.span_ahead_max) = (FOR_EVER, FOR_EVER);
    let normalised = request.normalise(&context, &mut |agent| Ok(agent.and_then(|agent| agent.parse().ok())));
    let spans: Vec<_> = normalised.spans.into_iter().map(|(ordinal, span)| shown(ordinal, span)).collect();
    let rejected = normalised.rejected.iter().map(|one| json!({"ordinal": one.ordinal, "reason": one.reason}));
    Ok(json!({"spans": spans, "rejected": rejected.collect::<Vec<_>>()}))
}

/// A hundred years.
const FOR_EVER: std::time::Duration = std::time::Duration::from_secs(100 * 365 * 86_400);

fn decode(bytes: &Bytes) -> Result<Request, DecodeError> {
    let is_json = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    let encoding = if is_json { Encoding::Json } else { Encoding::Protobuf };
    match Request::decode(Signal::Traces, encoding, bytes) {
        Err(DecodeError::OtherSignal { .. }) => Request::decode(Signal::Logs, encoding, bytes),
        outcome => outcome,
    }
}

fn shown(ordinal: u32, mut span: Span) -> Value {
    price(&mut span);
    let log = span.log_name.clone();
    let mut shown = spanlake_query::span_json(span);
    shown["ordinal"] = ordinal.into();
    if let Some(log) = log {
        // Not a span to anybody who reads: what it says is shown at the span it names.
        shown["log_name"] = log.into();
    }
    shown
}

fn price(span: &mut Span) {
    let settled = Book::standard().settle(&Spent {
        provider: span.provider.as_deref(),
        request_model: span.request_model.as_deref(),
        model: span.model.as_deref(),
        start: span.start,
        usage: span.usage,
        usage_details: span.usage_details.as_deref(),
        model_parameters: span.model_parameters.as_deref(),
        sent: span.cost,
    });
    let (cost, source) = settled.map_or((Cost::default(), None), |(cost, source)| (cost, Some(source)));
    (span.cost, span.cost_source) = (cost, source);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_shown_as_the_api_shows_it() {
        let request = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[
            {"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708","name":"chat gpt-4o",
             "startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"1700000001000000000","attributes":[
              {"key":"gen_ai.operation.name","value":{"stringValue":"chat"}},
              {"key":"gen_ai.request.model","value":{"stringValue":"gpt-4o"}},
              {"key":"gen_ai.usage.input_tokens","value":{"intValue":"1000"}},
              {"key":"gen_ai.usage.output_tokens","value":{"intValue":"100"}},
              {"key":"gen_ai.input.messages","value":{"stringValue":"[{\"role\":\"user\",\"content\":\"hi\"}]"}}]},
            {"name":"no ids"}]}]}]}"#;
        let shown = normalise(&request[..]).unwrap();
        let span = &shown["spans"][0];
        assert_eq!(
            (&span["ordinal"], &span["kind"], &span["cost_source"]),
            (&json!(0), &json!("llm"), &json!("standard"))
        );
        assert_eq!(span["input_messages"], json!([{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]));
        assert_eq!(shown["rejected"][0]["ordinal"], json!(1));
    }

    #[test]
    fn what_is_no_otlp_is_refused() {
        for input in [&b"hello"[..], b"{", &[0x1f, 0x8b, 8]] {
            assert!(normalise(input).is_err());
        }
    }
}
