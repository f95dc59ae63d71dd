//! Which attribute keys each field is read from, in order of belief: this table is where a dialect is added.
//!
//! The order inside a field: keys the user set for a vendor, OpenInference, current OpenTelemetry GenAI conventions, the
//! framework's own keys, deprecated conventions, bare words.

macro_rules! fields {
    ($($(#[$doc:meta])* $field:ident: $($key:literal)>+;)+) => {
        /// What is read from attributes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Field { $($(#[$doc])* $field,)+ }
        /// The keys of each field, first the one to believe first.
        pub(super) const TABLE: &[&[&str]] = &[$(&[$($key),+],)+];
    };
}

fields! {
    // The resource.
    AgentOfResource: "agentos.agent_id";
    ServiceName: "service.name";
    SdkName: "telemetry.sdk.name";

    // Kind; the words of each are in `kind.rs`.
    LangfuseType: "langfuse.observation.type";
    AgentmarkKind: "agentmark.span.kind";
    LaminarType: "lmnr.span.type";
    LangsmithKind: "langsmith.span.kind";
    OpeninferenceKind: "openinference.span.kind";
    MlflowType: "mlflow.spanType";
    MastraType: "mastra.span.type";
    AgentosKind: "agentos.kind";
    Operation: "gen_ai.operation.name";
    TraceloopKind: "traceloop.span.kind";
    VercelOperation: "ai.operationId" > "operation.name";
    ClaudeCodeType: "span.type";
    SpringKind: "spring.ai.kind";
    GenkitType: "genkit:metadata:subtype" > "genkit:type";
    RequestType: "llm.request.type";
    ToolSign: "gen_ai.tool.name" > "gen_ai.tool.call.id";
    RetrievalSign: "gen_ai.retrieval.documents" > "gen_ai.retrieval.query.text";
    Database: "db.system.name" > "db.system";
    LogfireSpanType: "logfire.span_type";
    PendingParent: "logfire.pending_parent_id";

    // Model.
    Model: "langfuse.observation.model.name" > "gen_ai.response.model" > "ai.response.model" > "llm.response.model_name"
        > "llm.response.model" > "gen_ai.request.model" > "llm.model_name" > "embedding.model_name" > "reranker.model_name"
        > "ai.model.id" > "mlflow.llm.model" > "langsmith.metadata.ls_model_name" > "aisdk.model.id";
    /// Only a model when there is usage too.
    BareModel: "model";
    RequestModel: "gen_ai.request.model" > "llm.request.model_name" > "ai.model.id" > "llm.request.model";
    Provider: "gen_ai.provider.name" > "gen_ai.system" > "llm.provider" > "llm.system" > "ai.model.provider"
        > "mlflow.llm.provider" > "langsmith.metadata.ls_provider";
    ResponseId: "gen_ai.response.id" > "ai.response.id" > "llm.response.id";

    // Tokens.
    UsageObject: "langfuse.observation.usage_details" > "mlflow.chat.tokenUsage";
    UsageObjectLast: "langsmith.metadata.usage_metadata" > "gen_ai.usage.raw";
    AdkResponse: "gcp.vertex.agent.llm_response";
    InputTokens: "llm.token_count.prompt" > "gen_ai.usage.input_tokens" > "gen_ai.usage.prompt_tokens"
        > "ai.usage.inputTokens" > "ai.usage.promptTokens" > "ai.usage.tokens" > "llm.usage.prompt_tokens"
        > "input_tokens" > "input_token_count";
    OutputTokens: "llm.token_count.completion" > "gen_ai.usage.output_tokens" > "gen_ai.usage.completion_tokens"
        > "ai.usage.outputTokens" > "ai.usage.completionTokens" > "llm.usage.completion_tokens" > "output_tokens"
        > "output_token_count";
    TotalTokens: "llm.token_count.total" > "gen_ai.usage.total_tokens" > "llm.usage.total_tokens" > "ai.usage.totalTokens";
    CacheReadTokens: "gen_ai.usage.cache_read.input_tokens" > "gen_ai.usage.cache_read_input_tokens"
        > "gen_ai.usage.cache_read_tokens" > "gen_ai.usage.details.cache_read_tokens"
        > "gen_ai.usage.details.cache_read_input_tokens" > "gen_ai.usage.prompt_details.cache_read"
        > "gen_ai.usage.input_cached_tokens" > "gen_ai.usage.cached_tokens" > "llm.token_count.prompt_details.cache_read"
        > "ai.usage.cachedInputTokens" > "ai.usage.inputTokenDetails.cacheReadTokens" > "cache_read_tokens"
        > "cached_token_count";
    CacheWriteTokens: "gen_ai.usage.cache_write.input_tokens" > "gen_ai.usage.cache_creation.input_tokens"
        > "gen_ai.usage.cache_creation_input_tokens" > "gen_ai.usage.cache_write_input_tokens"
        > "gen_ai.usage.cache_write_tokens" > "gen_ai.usage.details.cache_write_tokens"
        > "gen_ai.usage.details.cache_creation_input_tokens" > "gen_ai.usage.prompt_details.cache_write"
        > "llm.token_count.prompt_details.cache_write" > "ai.usage.inputTokenDetails.cacheWriteTokens"
        > "cache_creation_tokens";
    ReasoningTokens: "gen_ai.usage.reasoning.output_tokens" > "gen_ai.usage.reasoning_tokens"
        > "gen_ai.usage.details.reasoning_tokens" > "gen_ai.usage.completion_details.reasoning"
        > "llm.token_count.completion_details.reasoning" > "ai.usage.reasoningTokens"
        > "ai.usage.outputTokenDetails.reasoningTokens" > "reasoning_token_count";
    InputTokenDetails: "gen_ai.usage.input_token_details";
    OutputTokenDetails: "gen_ai.usage.output_token_details";

    // Cost.
    CostObject: "langfuse.observation.cost_details";
    CostTotal: "agentmark.usage.cost_usd" > "llm.cost.total" > "gen_ai.usage.cost" > "gen_ai.usage.total_cost"
        > "gen_ai.cost.total_cost";
    CostInput: "llm.cost.prompt" > "gen_ai.usage.input_cost" > "gen_ai.cost.input_cost";
    CostOutput: "llm.cost.completion" > "gen_ai.usage.output_cost" > "gen_ai.cost.output_cost";
    CostTotalLast: "operation.cost" > "cost_usd";
    CostObjectLast: "mlflow.llm.cost" > "hidden_params";

    // Who and where.
    Session: "langfuse.session.id" > "agentmark.session_id" > "session.id" > "gen_ai.conversation.id"
        > "lmnr.association.properties.session_id" > "traceloop.association.properties.session_id"
        > "traceloop.association.properties.thread_id" > "traceloop.association.properties.conversation_id"
        > "langsmith.metadata.session_id" > "langsmith.metadata.thread_id" > "langsmith.metadata.conversation_id"
        > "mastra.metadata.sessionId" > "mastra.metadata.threadId" > "ai.telemetry.metadata.sessionId"
        > "ai.settings.context.sessionId" > "mlflow.trace.session" > "livekit.session_id" > "lk.session_id"
        > "gcp.vertex.agent.session_id" > "conversation.id" > "spring.ai.chat.client.conversation.id";
    User: "langfuse.user.id" > "agentmark.user_id" > "user.id" > "lmnr.association.properties.user_id"
        > "traceloop.association.properties.user_id" > "langsmith.metadata.user_id" > "mastra.metadata.userId"
        > "ai.telemetry.metadata.userId" > "ai.settings.context.userId" > "mlflow.trace.user" > "gen_ai.request.user"
        > "gen_ai.user" > "llm.user" > "enduser.id";
    Tags: "langfuse.trace.tags" > "langfuse.tags" > "agentmark.tags" > "tag.tags" > "lmnr.association.properties.tags"
        > "lmnr.association.properties.labels" > "traceloop.association.properties.tags" > "langsmith.span.tags"
        > "mastra.tags" > "logfire.tags" > "ai.telemetry.metadata.tags" > "ai.settings.context.tags";
    /// JSON objects whose entries are metadata.
    MetadataObject: "langfuse.trace.metadata" > "langfuse.observation.metadata" > "metadata";
    Environment: "langfuse.environment" > "deployment.environment.name" > "deployment.environment"
        > "agentmark.metadata.environment";
    Release: "langfuse.release";
    Version: "langfuse.version" > "service.version";
    PromptName: "langfuse.observation.prompt.name" > "langfuse.prompt.name" > "agentmark.prompt_name"
        > "gen_ai.prompt.name" > "llm.prompt_template.name" > "prompt.id" > "traceloop.prompt.key";
    PromptVersion: "langfuse.observation.prompt.version" > "langfuse.prompt.version" > "gen_ai.prompt.version"
        > "llm.prompt_template.version" > "traceloop.prompt.version";
    TraceName: "langfuse.trace.name" > "agentmark.trace_name" > "mlflow.traceName" > "langsmith.trace.name";
    /// Names the trace on its root only.
    TraceNameOfRoot: "ai.telemetry.functionId";
    TraceNameLast: "traceloop.workflow.name";
    ToolName: "gen_ai.tool.name" > "tool.name" > "ai.toolCall.name" > "lk.function_tool.name" > "mcp.tool.name";
    /// The tool's name on spans of kind tool only.
    EntityName: "traceloop.entity.name" > "tool_name" > "mlflow.spanFunctionName" > "genkit:name";

    // How it ended.
    LangfuseLevel: "langfuse.observation.level";
    LangfuseStatusMessage: "langfuse.observation.status_message";
    ErrorType: "error.type";
    ErrorMessage: "error.message" > "exception.message" > "error";
    ClaudeCodeSuccess: "success";
    FirstTokenTime: "langfuse.observation.completion_start_time" > "mastra.completion_start_time";
    FirstTokenSeconds: "gen_ai.response.time_to_first_chunk" > "gen_ai.client.operation.time_to_first_chunk";
    FirstTokenMillis: "ai.response.msToFirstChunk" > "ai.stream.msToFirstChunk";
    /// Seconds from OpenLIT, as a double; milliseconds from Strands, as an integer.
    FirstTokenEither: "gen_ai.server.time_to_first_token";
    FirstTokenSecondsLast: "lk.response.ttft";
    FirstTokenMillisLast: "ttft_ms";

    // Content; the order among these is in `content.rs`.
    LangfuseInput: "langfuse.observation.input" > "langfuse.trace.input";
    LangfuseOutput: "langfuse.observation.output" > "langfuse.trace.output";
    AgentmarkInput: "agentmark.request.input" > "agentmark.input" > "gen_ai.request.input" > "agentmark.props";
    AgentmarkOutput: "agentmark.response.output" > "agentmark.output" > "gen_ai.response.output";
    LaminarInput: "lmnr.span.input";
    LaminarOutput: "lmnr.span.output";
    VendorInput: "mlflow.spanInputs" > "mastra.agent_run.input" > "mastra.model_generation.input" > "mastra.model_step.input"
        > "mastra.model_inference.input" > "mastra.tool_call.input" > "mastra.mcp_tool_call.input"
        > "mastra.workflow_run.input" > "mastra.workflow_step.input" > "mastra.generic.input";
    VendorOutput: "mlflow.spanOutputs" > "mastra.agent_run.output" > "mastra.model_generation.output"
        > "mastra.model_step.output" > "mastra.model_inference.output" > "mastra.tool_call.output"
        > "mastra.mcp_tool_call.output" > "mastra.workflow_run.output" > "mastra.workflow_step.output"
        > "mastra.generic.output";
    InputValue: "input.value";
    OutputValue: "output.value";
    RerankerQuery: "reranker.query";
    RetrievalQuery: "gen_ai.retrieval.query.text" > "db.query.text";
    RetrievalDocuments: "gen_ai.retrieval.documents";
    SystemInstructions: "gen_ai.system_instructions";
    InputMessages: "gen_ai.input.messages";
    OutputMessages: "gen_ai.output.messages";
    ToolArguments: "gen_ai.tool.call.arguments" > "tool_arguments" > "ai.toolCall.args" > "ai.toolCall.input"
        > "lk.function_tool.arguments" > "gen_ai.tool.input" > "tool.parameters";
    ToolResult: "gen_ai.tool.call.result" > "tool_response" > "ai.toolCall.result" > "ai.toolCall.output"
        > "lk.function_tool.output" > "gen_ai.tool.output";
    VercelInput: "ai.prompt.messages" > "ai.prompt" > "ai.value" > "ai.values";
    VercelText: "ai.response.text" > "ai.result.text";
    VercelToolCalls: "ai.response.toolCalls" > "ai.result.toolCalls";
    VercelReasoning: "ai.response.reasoning";
    VercelOutput: "ai.response.object" > "ai.result.object" > "ai.embedding" > "ai.embeddings";
    LastInput: "genkit:input" > "haystack.component.input" > "traceloop.entity.input";
    LastOutput: "genkit:output" > "haystack.component.output" > "traceloop.entity.output";
    AdkInput: "gcp.vertex.agent.tool_call_args" > "gcp.vertex.agent.llm_request" > "gcp.vertex.agent.data";
    AdkOutput: "gcp.vertex.agent.tool_response" > "gcp.vertex.agent.llm_response";
    PlainPrompt: "gen_ai.prompt";
    PlainCompletion: "gen_ai.completion";
    PydanticEvents: "events" > "all_messages_events";
    PydanticMessages: "pydantic_ai.all_messages" > "all_messages";
    PydanticResult: "final_result";
    LivekitInput: "lk.pii.chat_ctx" > "lk.pii.user_input" > "lk.chat_ctx" > "lk.user_input" > "lk.pii.input_text"
        > "lk.input_text";
    LivekitOutput: "lk.pii.response.text" > "lk.response.text";
    BareInput: "copilot_chat.user_request" > "user_prompt" > "new_context" > "request_data" > "llm.openai.messages"
        > "input" > "prompt";
    BareOutput: "response.model_output" > "response_data" > "llm.openai.choices" > "output";
}

macro_rules! families {
    ($($(#[$doc:meta])* $family:ident: $prefix:literal;)+) => {
        /// Keys with a common prefix.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Family { $($(#[$doc])* $family,)+ }
        /// The prefix of each.
        pub(super) const FAMILIES: &[&str] = &[$($prefix,)+];
    };
}

families! {
    InputMessages: "llm.input_messages.";
    OutputMessages: "llm.output_messages.";
    Prompts: "llm.prompts.";
    Choices: "llm.choices.";
    Embeddings: "embedding.embeddings.";
    Documents: "retrieval.documents.";
    RerankerOutput: "reranker.output_documents.";
    IndexedPrompt: "gen_ai.prompt.";
    IndexedCompletion: "gen_ai.completion.";
    // Metadata, first the one to believe first.
    LangfuseTraceMetadata: "langfuse.trace.metadata.";
    LangfuseMetadata: "langfuse.observation.metadata.";
    AgentmarkMetadata: "agentmark.metadata.";
    LaminarMetadata: "lmnr.association.properties.metadata.";
    TraceloopMetadata: "traceloop.association.properties.";
    LangsmithMetadata: "langsmith.metadata.";
    MastraMetadata: "mastra.metadata.";
    VercelMetadata: "ai.telemetry.metadata.";
    VercelContext: "ai.settings.context.";
    MlflowTags: "mlflow.traceTag.";
    BareMetadata: "metadata.";
}
