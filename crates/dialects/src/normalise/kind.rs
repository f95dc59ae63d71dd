//! What a span is. The first rule that knows the span's word decides; a word nobody knows is kept when no rule decides.

use std::borrow::Cow;

use spanlake_model::Kind;

use super::Source;
use super::fields::{Family, Field};
use super::value;

/// A sender's word, in lower case, and ours. A word that ends with `*` stands for all that begin so, one that begins
/// with `*` for all that end so.
type Words = &'static [(&'static str, &'static str)];

/// One way to tell.
enum Rule {
    /// By the value of an attribute; an unknown value is kept.
    Word(Field, Words),
    /// By the value of an attribute that names more than kinds; an unknown value says nothing.
    Hint(Field, Words),
    /// By the name of the span, of one instrumentation; of any, when the scope is empty.
    Name { scope: &'static str, words: Words },
    /// By the word of an attribute, of one instrumentation.
    Scoped { scope: &'static str, field: Field, words: Words },
    /// By what is there.
    Presence,
}

const OURS: Words = &[
    ("llm", Kind::LLM),
    ("tool", Kind::TOOL),
    ("agent", Kind::AGENT),
    ("retriever", Kind::RETRIEVER),
    ("retrieval", Kind::RETRIEVER),
    ("embedding", Kind::EMBEDDING),
    ("chain", Kind::CHAIN),
    ("guardrail", Kind::GUARDRAIL),
    ("evaluator", Kind::EVALUATOR),
    ("event", Kind::EVENT),
    ("span", Kind::SPAN),
    ("generation", Kind::LLM),
    ("function", Kind::CHAIN),
    ("prompt", Kind::CHAIN),
    ("parser", Kind::CHAIN),
    ("reranker", Kind::RETRIEVER),
    ("step", Kind::STEP),
    ("workflow", Kind::CHAIN),
    ("task", Kind::CHAIN),
];

const LAMINAR: Words = &[
    ("llm", Kind::LLM),
    ("cached", Kind::LLM),
    ("tool", Kind::TOOL),
    ("evaluator", Kind::EVALUATOR),
    ("human_evaluator", Kind::EVALUATOR),
    ("evaluation", Kind::CHAIN),
    ("executor", Kind::CHAIN),
    ("default", Kind::SPAN),
];

const MLFLOW: Words = &[
    ("llm", Kind::LLM),
    ("chat_model", Kind::LLM),
    ("chain", Kind::CHAIN),
    ("workflow", Kind::CHAIN),
    ("task", Kind::CHAIN),
    ("agent", Kind::AGENT),
    ("tool", Kind::TOOL),
    ("retriever", Kind::RETRIEVER),
    ("reranker", Kind::RETRIEVER),
    ("embedding", Kind::EMBEDDING),
    ("parser", Kind::CHAIN),
    ("memory", Kind::TOOL),
    ("evaluator", Kind::EVALUATOR),
    ("guardrail", Kind::GUARDRAIL),
];

const MASTRA: Words = &[
    ("agent_run", Kind::AGENT),
    ("model_inference", Kind::LLM),
    ("model_generation", Kind::CHAIN),
    ("model_step", Kind::CHAIN),
    ("model_chunk", Kind::EVENT),
    ("tool_call", Kind::TOOL),
    ("mcp_tool_call", Kind::TOOL),
    ("workflow_*", Kind::CHAIN),
    ("generic", Kind::SPAN),
];

const AGENTOPS: Words = &[
    ("session", Kind::CHAIN),
    ("agent", Kind::AGENT),
    ("workflow", Kind::CHAIN),
    ("operation", Kind::CHAIN),
    ("task", Kind::CHAIN),
    ("tool", Kind::TOOL),
    ("llm", Kind::LLM),
    ("guardrail", Kind::GUARDRAIL),
];

const OPERATIONS: Words = &[
    ("chat", Kind::LLM),
    ("completion", Kind::LLM),
    ("text_completion", Kind::LLM),
    ("generate_content", Kind::LLM),
    ("generate", Kind::LLM),
    ("llm_call", Kind::LLM),
    ("embeddings", Kind::EMBEDDING),
    ("embedding", Kind::EMBEDDING),
    ("embed", Kind::EMBEDDING),
    ("execute_tool", Kind::TOOL),
    ("tool_call", Kind::TOOL),
    ("invoke_agent", Kind::AGENT),
    ("create_agent", Kind::AGENT),
    ("agent_call", Kind::AGENT),
    ("retrieval", Kind::RETRIEVER),
    ("retriever", Kind::RETRIEVER),
    ("rerank", Kind::RETRIEVER),
    ("invoke_workflow", Kind::CHAIN),
    ("plan", Kind::CHAIN),
    ("chain", Kind::CHAIN),
    ("framework", Kind::CHAIN),
    ("agent_step", Kind::CHAIN),
    ("execute_task", Kind::CHAIN),
    ("execute_event_loop_cycle", Kind::CHAIN),
    ("*_memory", Kind::TOOL),
    ("*_memory_store", Kind::TOOL),
];

const VERCEL: Words = &[
    ("ai.embed*.doembed*", Kind::EMBEDDING),
    ("*.dogenerate", Kind::LLM),
    ("*.dostream", Kind::LLM),
    ("*.doembed", Kind::EMBEDDING),
    ("ai.toolcall", Kind::TOOL),
    ("ai.generate*", Kind::CHAIN),
    ("ai.stream*", Kind::CHAIN),
    ("ai.embed*", Kind::CHAIN),
    ("ai.rerank*", Kind::RETRIEVER),
    ("ai.transcribe*", Kind::CHAIN),
    ("ai.decide*", Kind::CHAIN),
    ("generatetext.*", Kind::CHAIN),
    ("stream.*", Kind::CHAIN),
];

const CLAUDE_CODE: Words = &[
    ("interaction", Kind::AGENT),
    ("llm_request", Kind::LLM),
    ("tool", Kind::TOOL),
    ("claude_code.interaction", Kind::AGENT),
    ("claude_code.llm_request", Kind::LLM),
    ("claude_code.tool", Kind::TOOL),
    ("*", Kind::SPAN),
];

const RULES: &[Rule] = &[
    Rule::Word(Field::LangfuseType, OURS),
    Rule::Word(Field::AgentmarkKind, OURS),
    Rule::Word(Field::LaminarType, LAMINAR),
    Rule::Word(Field::LangsmithKind, OURS),
    Rule::Word(Field::OpeninferenceKind, OURS),
    Rule::Word(Field::MlflowType, MLFLOW),
    Rule::Word(Field::MastraType, MASTRA),
    Rule::Word(Field::AgentosKind, OURS),
    Rule::Word(Field::AgentopsKind, AGENTOPS),
    Rule::Word(Field::Operation, OPERATIONS),
    Rule::Word(Field::TraceloopKind, OURS),
    Rule::Hint(Field::VercelOperation, VERCEL),
    Rule::Scoped { scope: "com.anthropic.claude_code.tracing", field: Field::ClaudeCodeType, words: CLAUDE_CODE },
    Rule::Name {
        scope: "livekit-agents",
        words: &[
            ("llm_request", Kind::LLM),
            ("function_tool", Kind::TOOL),
            ("agent_turn", Kind::AGENT),
            ("start_agent_activity", Kind::AGENT),
            ("agent_session", Kind::CHAIN),
            ("*_node", Kind::CHAIN),
        ],
    },
    Rule::Name {
        scope: "gcp.vertex.agent",
        words: &[
            ("call_llm", Kind::LLM),
            ("execute_tool*", Kind::TOOL),
            ("agent_run*", Kind::AGENT),
            ("invocation", Kind::CHAIN),
        ],
    },
    Rule::Name {
        scope: "pydantic-ai",
        words: &[("agent run", Kind::AGENT), ("running tool", Kind::TOOL), ("running tool:*", Kind::TOOL)],
    },
    Rule::Name { scope: "strands.telemetry.tracer", words: &[("cycle *", Kind::CHAIN)] },
    // What OpenLIT leaves of a failed call: the name that the conventions give it, and the exception.
    Rule::Name {
        scope: "openlit.otel.tracing",
        words: &[("chat *", Kind::LLM), ("embeddings *", Kind::EMBEDDING), ("embedding *", Kind::EMBEDDING)],
    },
    Rule::Hint(
        Field::SpringKind,
        &[
            ("chat_client", Kind::CHAIN),
            ("advisor", Kind::CHAIN),
            ("tool_call", Kind::TOOL),
            ("vector_store", Kind::RETRIEVER),
        ],
    ),
    Rule::Hint(
        Field::GenkitType,
        &[
            ("model", Kind::LLM),
            ("tool", Kind::TOOL),
            ("flow", Kind::CHAIN),
            ("retriever", Kind::RETRIEVER),
            ("embedder", Kind::EMBEDDING),
        ],
    ),
    Rule::Hint(
        Field::RequestType,
        &[("chat", Kind::LLM), ("completion", Kind::LLM), ("embedding", Kind::EMBEDDING), ("rerank", Kind::RETRIEVER)],
    ),
    Rule::Presence,
    Rule::Name {
        scope: "",
        words: &[("ai.inference", Kind::LLM), ("ai.toolcall", Kind::TOOL), ("ai.stream", Kind::EVENT)],
    },
];

/// The event per document that a look-up found.
pub(super) const QUERY_RESULT: &str = "db.query.result";

const VECTOR_DATABASES: &[&str] = &["pinecone", "qdrant", "weaviate", "milvus", "chroma", "marqo", "lancedb"];

/// The kind of a span, given whether it reports tokens and names a model.
pub(super) fn kind(source: &Source<'_, '_>, has_usage: bool, has_model: bool) -> Kind {
    let mut unknown = None;
    for rule in RULES {
        let found = match rule {
            Rule::Word(field, words) => {
                let said = source.view.values(*field).find_map(value::short);
                said.map(lower_case).and_then(|word| {
                    known(words, &word).or_else(|| {
                        // OpenInference and MLflow say "unknown" where they mean "look elsewhere".
                        unknown = unknown.take().or(Some(word.into_owned()).filter(|word| word != "unknown"));
                        None
                    })
                })
            }
            Rule::Hint(field, words) => {
                let mut said = source.view.values(*field).filter_map(value::text);
                said.find_map(|word| known(words, first_word(&word).to_lowercase().as_str()))
            }
            Rule::Name { scope, words } if scope.is_empty() || *scope == source.scope => {
                known(words, &source.span.name.to_lowercase())
            }
            Rule::Scoped { scope, field, words } if *scope == source.scope => {
                source.text(*field).and_then(|word| known(words, &word.to_lowercase()))
            }
            Rule::Name { .. } | Rule::Scoped { .. } => None,
            Rule::Presence => presence(source, has_usage && has_model),
        };
        if let Some(kind) = found {
            return Kind::of(kind);
        }
    }
    match unknown {
        Some(word) => Kind::new(word),
        None if is_log(source) => Kind::of(Kind::EVENT),
        None => Kind::of(Kind::SPAN),
    }
}

/// As it is when there is nothing to do, as nearly always.
fn lower_case(word: Cow<'_, str>) -> Cow<'_, str> {
    let is_lower = word.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
    if is_lower { word } else { Cow::Owned(word.to_lowercase()) }
}

/// Logfire's log lines are spans of no length.
fn is_log(source: &Source<'_, '_>) -> bool {
    let (start, end) = (source.span.start_nanos, source.span.end_nanos);
    end <= start && source.text(Field::LogfireSpanType).as_deref() == Some("log")
}

/// Vercel writes `ai.toolCall weather-agent`: the operation and its function.
fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

fn known(words: Words, word: &str) -> Option<&'static str> {
    words.iter().find(|(pattern, _)| matches(pattern, word)).map(|(_, kind)| *kind)
}

/// Whether `word` is `pattern`, in which each `*` stands for anything.
fn matches(pattern: &str, word: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == word };
    let Some(rest) = word.strip_prefix(head) else { return false };
    tail.is_empty() || (0..=rest.len()).any(|at| rest.is_char_boundary(at) && matches(tail, &rest[at..]))
}

fn presence(source: &Source<'_, '_>, is_call: bool) -> Option<&'static str> {
    let view = source.view;
    if view.first(Field::ToolSign).is_some() {
        return Some(Kind::TOOL);
    }
    let is_vector_database = source.text(Field::Database).is_some_and(|name| {
        let name = name.to_lowercase();
        VECTOR_DATABASES.contains(&name.as_str())
    });
    let has_documents =
        [Family::Documents, Family::Retrieval].iter().any(|family| view.family(*family).next().is_some());
    if has_documents || is_vector_database || source.span.events.iter().any(|event| event.name == QUERY_RESULT) {
        return Some(Kind::RETRIEVER);
    }
    is_call.then_some(Kind::LLM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, word, expected) in [
            ("chat", "chat", true),
            ("chat", "chats", false),
            ("workflow_*", "workflow_step", true),
            ("*_memory", "update_memory", true),
            ("*_memory", "memory", false),
            ("*", "", true),
            ("ai.embed*.doembed*", "ai.embedmany.doembed", true),
            ("*_node", "é_node", true),
        ] {
            assert_eq!(matches(pattern, word), expected, "{pattern} {word}");
        }
    }
}
