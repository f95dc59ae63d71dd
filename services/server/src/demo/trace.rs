//! A small agent run, as an instrumented program would send it.

use serde_json::{Value, json};
use spanlake_model::{Entropy, Timestamp};

/// A run that ended at `now`: an agent that looks up an order with a tool, between two calls of a model.
/// Answers its trace id and an OTLP/JSON request.
pub(super) fn agent_run(now: Timestamp, entropy: &dyn Entropy) -> (String, Value) {
    let trace_id = hex(entropy, 16);
    let ids = [(); 4].map(|()| hex(entropy, 8));
    let run = Run { trace_id: trace_id.clone(), began: now.as_nanos() - 2_900_000_000 };
    let [agent, first, tool, second] = ids.each_ref().map(String::as_str);
    let question = "Where is my order 4711?";
    let answer = "Your order 4711 left our warehouse this morning and arrives tomorrow.";
    let system = json!([{"type": "text", "content": "You help customers of a book shop. Be brief."}]);
    let user = json!({"role": "user", "parts": [{"type": "text", "content": question}]});
    let call = json!({"role": "assistant", "parts": [
        {"type": "tool_call", "id": "call_1", "name": "track_order", "arguments": {"order": 4711}}]});
    let found = json!({"role": "tool", "parts": [
        {"type": "tool_call_response", "id": "call_1", "response": {"status": "shipped", "eta": "tomorrow"}}]});
    let said = json!({"role": "assistant", "parts": [{"type": "text", "content": answer}], "finish_reason": "stop"});
    let spans = [
        run.span(
            agent,
            None,
            "invoke_agent order-help",
            0,
            2_900,
            &[
                ("gen_ai.operation.name", json!("invoke_agent")),
                ("gen_ai.agent.name", json!("order-help")),
                ("gen_ai.conversation.id", json!("demo-session")),
                ("user.id", json!("ada")),
                ("gen_ai.input.messages", json!([user])),
                ("gen_ai.output.messages", json!([said])),
            ],
        ),
        run.model_call(first, agent, 40, 1_180, (212, 24), &system, &json!([user]), &json!([call])),
        run.span(
            tool,
            Some(agent),
            "execute_tool track_order",
            1_240,
            310,
            &[
                ("gen_ai.operation.name", json!("execute_tool")),
                ("gen_ai.tool.name", json!("track_order")),
                ("gen_ai.tool.call.id", json!("call_1")),
                ("gen_ai.tool.call.arguments", json!({"order": 4711})),
                ("gen_ai.tool.call.result", json!({"status": "shipped", "eta": "tomorrow"})),
            ],
        ),
        run.model_call(second, agent, 1_580, 1_290, (268, 31), &system, &json!([user, call, found]), &json!([said])),
    ];
    let resource = attributes(&[("service.name", json!("order-help")), ("deployment.environment.name", json!("demo"))]);
    let scope = json!({"scope": {"name": "spanlake.demo"}, "spans": spans});
    (trace_id, json!({"resourceSpans": [{"resource": {"attributes": resource}, "scopeSpans": [scope]}]}))
}

struct Run {
    trace_id: String,
    /// Nanoseconds since the epoch.
    began: i64,
}

impl Run {
    fn span(
        &self,
        id: &str,
        parent: Option<&str>,
        name: &str,
        after_ms: i64,
        took_ms: i64,
        own: &[(&str, Value)],
    ) -> Value {
        let start = self.began + after_ms * 1_000_000;
        json!({
            "traceId": self.trace_id,
            "spanId": id,
            "parentSpanId": parent.unwrap_or_default(),
            "name": name,
            "kind": 3,
            "startTimeUnixNano": start.to_string(),
            "endTimeUnixNano": (start + took_ms * 1_000_000).to_string(),
            "attributes": attributes(own),
            "status": {"code": 1},
        })
    }

    #[expect(clippy::too_many_arguments, reason = "a call of a model has that many sides")]
    fn model_call(
        &self,
        id: &str,
        parent: &str,
        after_ms: i64,
        took_ms: i64,
        (input, output): (i64, i64),
        system: &Value,
        read: &Value,
        wrote: &Value,
    ) -> Value {
        self.span(
            id,
            Some(parent),
            "chat gpt-4o-mini",
            after_ms,
            took_ms,
            &[
                ("gen_ai.operation.name", json!("chat")),
                ("gen_ai.provider.name", json!("openai")),
                ("gen_ai.request.model", json!("gpt-4o-mini")),
                ("gen_ai.response.model", json!("gpt-4o-mini-2024-07-18")),
                ("gen_ai.conversation.id", json!("demo-session")),
                ("gen_ai.usage.input_tokens", json!(input)),
                ("gen_ai.usage.output_tokens", json!(output)),
                ("gen_ai.system_instructions", system.clone()),
                ("gen_ai.input.messages", read.clone()),
                ("gen_ai.output.messages", wrote.clone()),
            ],
        )
    }
}

/// Numbers as OTLP integers, everything else as text, JSON where it is no text.
fn attributes(own: &[(&str, Value)]) -> Vec<Value> {
    let value = |value: &Value| match value {
        Value::Number(number) => json!({"intValue": number.to_string()}),
        Value::String(text) => json!({"stringValue": text}),
        other => json!({"stringValue": other.to_string()}),
    };
    own.iter().map(|(key, given)| json!({"key": key, "value": value(given)})).collect()
}

fn hex(entropy: &dyn Entropy, bytes: usize) -> String {
    let mut random = vec![0; bytes];
    entropy.fill(&mut random);
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}
