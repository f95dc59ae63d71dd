//! Whom each field believes first: of two neighbours in its order, both there, the first; whatever else is there.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use spanlake_model::Span;

use crate::build::{one, text};

/// Reads one field, as text to compare.
type Read = fn(&Span) -> Option<String>;

/// Keys with a value of each, first the one to believe first.
type Order = Vec<(&'static str, Value)>;

fn texts(keys: &[&'static str]) -> Order {
    keys.iter().enumerate().map(|(position, key)| (*key, text(&format!("value {position}")))).collect()
}

fn counts(keys: &[&'static str]) -> Order {
    keys.iter().zip(1..).map(|(key, count)| (*key, Value::IntValue(count))).collect()
}

fn doubles(keys: &[&'static str]) -> Order {
    keys.iter().zip(1..).map(|(key, number)| (*key, Value::DoubleValue(f64::from(number)))).collect()
}

fn check(field: &str, beside: &[(&str, Value)], order: &[(&'static str, Value)], read: Read) {
    let of = |sent: &[(&str, Value)]| read(&one(&[beside, sent].concat()));
    for pair in order.windows(2) {
        let [first, second] = pair else { unreachable!("windows of two") };
        let alone = of(std::slice::from_ref(first));
        assert!(alone.is_some(), "{field}: {} is not read", first.0);
        assert_ne!(alone, of(std::slice::from_ref(second)), "{field}: {} and {} read alike", first.0, second.0);
        for both in [[first.clone(), second.clone()], [second.clone(), first.clone()]] {
            assert_eq!(of(&both), alone, "{field}: {} is believed before {}", first.0, second.0);
        }
        // What says nothing is not believed.
        let empty = [(first.0, text("")), second.clone()];
        assert_eq!(of(&empty), of(std::slice::from_ref(second)), "{field}: an empty {}", first.0);
    }
    assert!(order.last().is_none_or(|last| of(std::slice::from_ref(last)).is_some()), "{field}: the last is not read");
}

#[test]
fn who_and_where() {
    let session = [
        "langfuse.session.id",
        "agentmark.session_id",
        "session.id",
        "gen_ai.conversation.id",
        "lmnr.association.properties.session_id",
        "traceloop.association.properties.session_id",
        "traceloop.association.properties.thread_id",
        "traceloop.association.properties.conversation_id",
        "langsmith.metadata.session_id",
        "langsmith.metadata.thread_id",
        "langsmith.metadata.conversation_id",
        "mastra.metadata.sessionId",
        "mastra.metadata.threadId",
        "ai.telemetry.metadata.sessionId",
        "ai.settings.context.sessionId",
        "mlflow.trace.session",
        "livekit.session_id",
        "lk.session_id",
        "gcp.vertex.agent.session_id",
        "conversation.id",
        "spring.ai.chat.client.conversation.id",
        "metadata.session_id",
    ];
    check("session", &[], &texts(&session), |span| span.session_id.clone());
    let user = [
        "langfuse.user.id",
        "agentmark.user_id",
        "user.id",
        "lmnr.association.properties.user_id",
        "traceloop.association.properties.user_id",
        "langsmith.metadata.user_id",
        "mastra.metadata.userId",
        "ai.telemetry.metadata.userId",
        "ai.settings.context.userId",
        "mlflow.trace.user",
        "gen_ai.request.user",
        "gen_ai.user",
        "llm.user",
        "enduser.id",
        "metadata.user_id",
    ];
    check("user", &[], &texts(&user), |span| span.user_id.clone());
    let tags = [
        "langfuse.trace.tags",
        "langfuse.tags",
        "agentmark.tags",
        "tag.tags",
        "lmnr.association.properties.tags",
        "lmnr.association.properties.labels",
        "traceloop.association.properties.tags",
        "langsmith.span.tags",
        "logfire.tags",
        "ai.telemetry.metadata.tags",
        "ai.settings.context.tags",
    ];
    check("tags", &[], &texts(&tags), |span| span.tags.first().cloned());
    let environment = [
        "langfuse.environment",
        "deployment.environment.name",
        "deployment.environment",
        "agentmark.metadata.environment",
    ];
    check("environment", &[], &texts(&environment), |span| span.environment.clone());
    let release = ["langfuse.release", "agentmark.metadata.commit_sha", "vcs.ref.head.revision"];
    check("release", &[], &texts(&release), |span| span.release.clone());
    check("version", &[], &texts(&["langfuse.version", "service.version"]), |span| span.version.clone());
    let trace = [
        "langfuse.trace.name",
        "agentmark.trace_name",
        "mlflow.traceName",
        "ai.telemetry.functionId",
        "traceloop.workflow.name",
        "gen_ai.workflow.name",
    ];
    check("trace name", &[], &texts(&trace), |span| span.trace_name.clone());
    let mut prompt = texts(&[
        "langfuse.observation.prompt.name",
        "langfuse.prompt.name",
        "agentmark.prompt_name",
        "agentmark.prompt_path",
        "gen_ai.prompt.name",
        "llm.prompt_template.name",
        "prompt.id",
        "traceloop.prompt.key",
    ]);
    prompt.push(("ai.telemetry.metadata.langfusePrompt", text(r#"{"name":"in JSON","version":3}"#)));
    prompt.push(("mlflow.linkedPrompts", text(r#"[{"name":"linked","version":"4"}]"#)));
    check("prompt name", &[], &prompt, |span| span.prompt_name.clone());
}

#[test]
fn models_and_how_they_were_called() {
    let model = [
        "langfuse.observation.model.name",
        "gen_ai.response.model",
        "ai.response.model",
        "llm.response.model_name",
        "llm.response.model",
        "gen_ai.request.model",
        "llm.model_name",
        "embedding.model_name",
        "reranker.model_name",
        "ai.model.id",
        "mlflow.llm.model",
        "langsmith.metadata.ls_model_name",
        "aisdk.model.id",
    ];
    check("model", &[], &texts(&model), |span| span.model.clone());
    let bare = texts(&["aisdk.model.id", "model"]);
    check("model", &[("input_tokens", Value::IntValue(1))], &bare, |span| span.model.clone());
    let asked = ["gen_ai.request.model", "llm.request.model_name", "ai.model.id", "llm.request.model"];
    check("request model", &[], &texts(&asked), |span| span.request_model.clone());
    let provider = [
        "gen_ai.provider.name",
        "gen_ai.system",
        "llm.provider",
        "llm.system",
        "ai.model.provider",
        "mlflow.llm.provider",
        "langsmith.metadata.ls_provider",
    ];
    check("provider", &[], &texts(&provider), |span| span.provider.clone());
    let response = ["gen_ai.response.id", "ai.response.id", "llm.response.id"];
    check("response id", &[], &texts(&response), |span| span.response_id.clone());
    let mut reason = texts(&["gen_ai.response.finish_reasons"]);
    reason.push(("gen_ai.output.messages", text(r#"[{"role":"assistant","finish_reason":"in a message"}]"#)));
    reason.extend(texts(&["", "ai.response.finishReason", "llm.finish_reason"]).split_off(1));
    reason.push(("gen_ai.completion.0.finish_reason", text("indexed")));
    reason.push(("stop_reason", text("bare")));
    check("finish reason", &[], &reason, |span| span.finish_reason.clone());
    let mut temperature: Order = vec![
        ("langfuse.observation.model.parameters", text(r#"{"temperature":0.1}"#)),
        ("llm.invocation_parameters", text(r#"{"temperature":0.2}"#)),
    ];
    temperature.extend(doubles(&[
        "gen_ai.request.temperature",
        "ai.settings.temperature",
        "llm.request.temperature",
        "llm.temperature",
    ]));
    check("parameters", &[], &temperature, |span| span.model_parameters.clone());
    let tool = ["gen_ai.tool.name", "tool.name", "ai.toolCall.name"];
    check("tool", &[], &texts(&tool), |span| span.tool_name.clone());
    let tool = [
        "gen_ai.tool.name",
        "tool.name",
        "ai.toolCall.name",
        "traceloop.entity.name",
        "lk.function_tool.name",
        "tool_name",
        "mcp.tool.name",
    ];
    let is_tool = [("openinference.span.kind", text("TOOL"))];
    check("tool of a tool", &is_tool, &texts(&tool), |span| span.tool_name.clone());
    let agent = [
        "gen_ai.agent.name",
        "gen_ai.agent.id",
        "agent.name",
        "graph.node.id",
        "lk.agent_label",
        "traceloop.entity.name",
        "agent_name",
    ];
    let is_agent = [("openinference.span.kind", text("AGENT"))];
    check("agent of an agent", &is_agent, &texts(&agent), |span| span.agent_name.clone());
}

#[test]
fn tokens_and_dollars() {
    let input = [
        "llm.token_count.prompt",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.prompt_tokens",
        "ai.usage.inputTokens",
        "ai.usage.promptTokens",
        "ai.usage.tokens",
        "llm.usage.prompt_tokens",
        "input_tokens",
        "input_token_count",
    ];
    check("input", &[], &counts(&input), |span| span.usage.input.map(|count| count.to_string()));
    let output = [
        "llm.token_count.completion",
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "ai.usage.outputTokens",
        "ai.usage.completionTokens",
        "output_tokens",
    ];
    check("output", &[], &counts(&output), |span| span.usage.output.map(|count| count.to_string()));
    let total =
        ["llm.token_count.total", "gen_ai.usage.total_tokens", "llm.usage.total_tokens", "ai.usage.totalTokens"];
    check("total", &[], &counts(&total), |span| span.usage.total.map(|count| count.to_string()));
    let input =
        [("gen_ai.usage.input_tokens", Value::IntValue(100)), ("gen_ai.usage.output_tokens", Value::IntValue(100))];
    let cache_read = [
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.cache_read_tokens",
        "gen_ai.usage.details.cache_read_tokens",
        "gen_ai.usage.details.cache_read_input_tokens",
        "gen_ai.usage.prompt_details.cache_read",
        "gen_ai.usage.input_cached_tokens",
        "gen_ai.usage.cached_tokens",
        "llm.token_count.prompt_details.cache_read",
        "ai.usage.cachedInputTokens",
        "ai.usage.inputTokenDetails.cacheReadTokens",
        "cache_read_tokens",
        "cached_token_count",
        "metadata.usage.cached_prompt_tokens",
    ];
    check("cache read", &input, &counts(&cache_read), |span| span.usage.cache_read.map(|count| count.to_string()));
    let cache_write = [
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.cache_write_input_tokens",
        "gen_ai.usage.cache_write_tokens",
        "gen_ai.usage.details.cache_write_tokens",
        "gen_ai.usage.details.cache_creation_input_tokens",
        "gen_ai.usage.prompt_details.cache_write",
        "llm.token_count.prompt_details.cache_write",
        "cache_creation_tokens",
        "metadata.usage.cached_creation_tokens",
    ];
    check("cache write", &input, &counts(&cache_write), |span| span.usage.cache_write.map(|count| count.to_string()));
    let reasoning = [
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.details.reasoning_tokens",
        "gen_ai.usage.completion_details.reasoning",
        "llm.token_count.completion_details.reasoning",
        "ai.usage.reasoningTokens",
        "ai.usage.outputTokenDetails.reasoningTokens",
    ];
    check("reasoning", &input, &counts(&reasoning), |span| span.usage.reasoning.map(|count| count.to_string()));
    let whole = [
        ("langfuse.observation.usage_details", text(r#"{"input":1}"#)),
        ("mlflow.chat.tokenUsage", text(r#"{"input_tokens":2}"#)),
        ("gen_ai.usage.input_tokens", Value::IntValue(3)),
        ("langsmith.metadata.usage_metadata", text(r#"{"input_tokens":4}"#)),
        ("gen_ai.usage.raw", text(r#"{"input_tokens":5}"#)),
        ("metadata.usage_object", text("{'prompt_tokens': 6}")),
    ];
    check("whole object", &[], &whole, |span| span.usage.input.map(|count| count.to_string()));
    let mut cost: Order = vec![("langfuse.observation.cost_details", text(r#"{"input":0.25}"#))];
    cost.extend(doubles(&[
        "agentmark.usage.cost_usd",
        "llm.cost.total",
        "gen_ai.usage.cost",
        "gen_ai.cost.total_cost",
        "gen_ai.usage.input_cost",
        "operation.cost",
    ]));
    cost.push(("mlflow.llm.cost", text(r#"{"total_cost":0.5}"#)));
    cost.push(("hidden_params", text("{'response_cost': 0.75}")));
    cost.push(("cost_usd", Value::DoubleValue(0.125)));
    check("cost", &[], &cost, |span| span.cost.total.map(|total| total.to_string()));
}

#[test]
fn how_fast_it_came() {
    let first: Order = vec![
        ("langfuse.observation.completion_start_time", text("2026-11-21T12:00:01Z")),
        ("gen_ai.response.time_to_first_chunk", Value::DoubleValue(2.0)),
        ("gen_ai.client.operation.time_to_first_chunk", Value::DoubleValue(3.0)),
        ("ai.response.msToFirstChunk", Value::DoubleValue(4.0)),
        ("ai.stream.msToFirstChunk", Value::DoubleValue(5.0)),
        ("gen_ai.server.time_to_first_token", Value::DoubleValue(6.0)),
        ("lk.response.ttft", Value::DoubleValue(7.0)),
        ("ttft_ms", Value::IntValue(8)),
        ("mastra.completion_start_time", text("2026-11-21T12:00:09Z")),
    ];
    check("first token", &[], &first, |span| span.time_to_first_token_ns.map(|nanos| nanos.to_string()));
    let speed = [
        "ai.response.avgOutputTokensPerSecond",
        "ai.response.avgCompletionTokensPerSecond",
        "gen_ai.server.time_per_output_token",
        "gen_ai.client.operation.time_per_output_chunk",
    ];
    let speeds: Order =
        speed.into_iter().zip([3.0, 5.0, 0.5, 0.25]).map(|(key, n)| (key, Value::DoubleValue(n))).collect();
    check("speed", &[], &speeds, |span| span.tokens_per_second.map(|speed| speed.to_string()));
}

#[test]
fn content_of_a_call_of_a_model() {
    let is_llm = [("langfuse.observation.type", text("generation"))];
    let input = [
        "langfuse.observation.input",
        "agentmark.request.input",
        "agentmark.input",
        "lmnr.span.input",
        "mlflow.spanInputs",
        "mastra.model_step.input",
        "llm.input_messages.0.message.content",
        "llm.prompts.0.prompt.text",
        "input.value",
        "gen_ai.input.messages",
        "ai.prompt.messages",
        "ai.prompt",
        "ai.value",
        "gcp.vertex.agent.llm_request",
        "genkit:input",
        "traceloop.entity.input",
        "lk.pii.chat_ctx",
        "lk.pii.user_input",
        "lk.chat_ctx",
        "lk.user_input",
        "pydantic_ai.all_messages",
        "gen_ai.prompt.0.content",
        "gen_ai.prompt",
        "agentmark.props",
        "langfuse.trace.input",
        "copilot_chat.user_request",
        "user_prompt",
        "request_data",
        "llm.openai.messages",
        "input",
        "prompt",
    ];
    check("input", &is_llm, &texts(&input), |span| span.input.clone());
    let output = [
        "langfuse.observation.output",
        "agentmark.response.output",
        "agentmark.output",
        "lmnr.span.output",
        "mlflow.spanOutputs",
        "mastra.model_step.output",
        "llm.output_messages.0.message.content",
        "llm.choices.0.completion.text",
        "output.value",
        "gen_ai.output.messages",
        "ai.response.text",
        "ai.response.object",
        "ai.embedding",
        "gcp.vertex.agent.llm_response",
        "genkit:output",
        "traceloop.entity.output",
        "lk.pii.response.text",
        "lk.response.text",
        "final_result",
        "gen_ai.completion.0.content",
        "gen_ai.completion",
        "langfuse.trace.output",
        "response.model_output",
        "response_data",
        "llm.openai.choices",
        "output",
    ];
    check("output", &is_llm, &texts(&output), |span| span.output.clone());
}

#[test]
fn content_of_tools_and_retrievers() {
    let is_tool = [("langfuse.observation.type", text("tool"))];
    let arguments = [
        "input.value",
        "gen_ai.tool.call.arguments",
        "tool_arguments",
        "ai.toolCall.args",
        "lk.function_tool.arguments",
        "gen_ai.tool.input",
        "tool.parameters",
        "traceloop.entity.input",
    ];
    check("arguments", &is_tool, &texts(&arguments), |span| span.input.clone());
    let result = [
        "output.value",
        "gen_ai.tool.call.result",
        "tool_response",
        "ai.toolCall.result",
        "lk.function_tool.output",
        "gen_ai.tool.output",
        "traceloop.entity.output",
    ];
    check("result", &is_tool, &texts(&result), |span| span.output.clone());
    let is_retriever = [("langfuse.observation.type", text("retriever"))];
    let query = ["input.value", "reranker.query", "gen_ai.retrieval.query.text", "db.query.text"];
    check("query", &is_retriever, &texts(&query), |span| span.input.clone());
    let documents = ["retrieval.documents.0.document.content", "gen_ai.retrieval.documents", "output.value"];
    check("documents", &is_retriever, &texts(&documents), |span| span.output.clone());
}

#[test]
fn kinds() {
    let said: Order = vec![
        ("langfuse.observation.type", text("guardrail")),
        ("agentmark.span.kind", text("retrieval")),
        ("lmnr.span.type", text("EVALUATOR")),
        ("langsmith.span.kind", text("parser")),
        ("openinference.span.kind", text("RERANKER")),
        ("mlflow.spanType", text("\"CHAT_MODEL\"")),
        ("mastra.span.type", text("model_chunk")),
        ("agentos.kind", text("step")),
        ("agentops.span.kind", text("task")),
        ("gen_ai.operation.name", text("invoke_agent")),
        ("traceloop.span.kind", text("tool")),
        ("ai.operationId", text("ai.embedMany.doEmbed")),
        ("spring.ai.kind", text("advisor")),
        ("genkit:type", text("retriever")),
        ("llm.request.type", text("completion")),
        ("gen_ai.request.type", text("embedding")),
        ("gen_ai.tool.call.id", text("call_1")),
    ];
    check("kind", &[], &said, |span| Some(span.kind.as_str().to_owned()).filter(|kind| kind != "span"));
}

#[test]
fn a_span_of_several_dialects_takes_each_field_from_the_one_to_believe() {
    let read = one(&[
        // Langfuse over a callback of LangChain, which OpenInference saw too.
        ("langfuse.observation.type", text("generation")),
        ("langfuse.observation.usage_details", text(r#"{"input":10,"output":2}"#)),
        ("openinference.span.kind", text("CHAIN")),
        ("llm.token_count.prompt", Value::IntValue(99)),
        ("llm.output_messages.0.message.content", text("answer")),
        ("gen_ai.input.messages", text(r#"[{"role":"user","parts":[{"type":"text","content":"hi"}]}]"#)),
        ("gen_ai.provider.name", text("langchain")),
        ("llm.system", text("openai")),
        ("session.id", text("talk")),
        ("traceloop.association.properties.user_id", text("ada")),
        ("ai.settings.maxOutputTokens", Value::IntValue(64)),
        ("llm.invocation_parameters", text(r#"{"temperature":0.5,"model":"no parameter"}"#)),
    ]);
    assert_eq!((read.kind.as_str(), read.usage.input, read.usage.output), ("llm", Some(10), Some(2)));
    assert_eq!(read.output.as_deref(), Some(r#"[{"content":"answer"}]"#));
    assert_eq!(read.input.as_deref(), Some(r#"[{"role":"user","parts":[{"type":"text","content":"hi"}]}]"#));
    assert_eq!((read.provider.as_deref(), read.session_id.as_deref()), (Some("openai"), Some("talk")));
    assert_eq!(read.user_id.as_deref(), Some("ada"));
    assert_eq!(read.model_parameters.as_deref(), Some(r#"{"max_tokens":64,"temperature":0.5}"#));
}
