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
    AgentopsKind: "agentops.span.kind";
    Operation: "gen_ai.operation.name";
    TraceloopKind: "traceloop.span.kind";
    VercelOperation: "ai.operationId" > "operation.name";
    ClaudeCodeType: "span.type";
    SpringKind: "spring.ai.kind";
    GenkitType: "genkit:metadata:subtype" > "genkit:type";
    RequestType: "llm.request.type" > "gen_ai.request.type";
    ToolSign: "gen_ai.tool.name" > "gen_ai.tool.call.id" > "tool.name";
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
        > "mlflow.llm.provider" > "langsmith.metadata.ls_provider" > "traceloop.association.properties.ls_provider";
    /// A provider and the API used of it, behind the first dot.
    ProviderAndApi: "ai.model.provider";
    ResponseId: "gen_ai.response.id" > "ai.response.id" > "llm.response.id";
    /// JSON objects of parameters; more come by [`Family`].
    Parameters: "langfuse.observation.model.parameters" > "llm.invocation_parameters";
    /// One parameter each.
    BareParameters: "llm.temperature" > "llm.top_p" > "llm.top_k" > "llm.max_tokens" > "llm.max_completion_tokens"
        > "llm.seed" > "llm.frequency_penalty" > "llm.presence_penalty" > "llm.stop_sequences" > "llm.chat.stop_sequences"
        > "llm.reasoning_effort";
    IsStream: "gen_ai.request.stream" > "gen_ai.request.streaming" > "gen_ai.is_streaming" > "llm.is_streaming" > "spring.ai.chat.client.stream";
    FinishReasons: "gen_ai.response.finish_reasons";
    /// After those that messages give.
    FinishReasonLast: "ai.response.finishReason" > "ai.finishReason" > "llm.finish_reason" > "llm.response.finish_reason"
        > "llm.response.stop_reason";
    /// After those of the indexed completions.
    BareFinishReason: "anthropic.message.stop_reason" > "stop_reason";

    // Tokens.
    UsageObject: "langfuse.observation.usage_details" > "mlflow.chat.tokenUsage";
    UsageObjectLast: "langsmith.metadata.usage_metadata" > "gen_ai.usage.raw" > "metadata.usage_object";
    /// What the provider counted, by provider.
    VercelProviderMetadata: "ai.response.providerMetadata" > "ai.result.providerMetadata";
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
        > "cached_token_count" > "metadata.usage.cached_prompt_tokens";
    CacheWriteTokens: "gen_ai.usage.cache_write.input_tokens" > "gen_ai.usage.cache_creation.input_tokens"
        > "gen_ai.usage.cache_creation_input_tokens" > "gen_ai.usage.cache_write_input_tokens"
        > "gen_ai.usage.cache_write_tokens" > "gen_ai.usage.details.cache_write_tokens"
        > "gen_ai.usage.details.cache_creation_input_tokens" > "gen_ai.usage.prompt_details.cache_write"
        > "llm.token_count.prompt_details.cache_write" > "ai.usage.inputTokenDetails.cacheWriteTokens"
        > "cache_creation_tokens" > "metadata.usage.cached_creation_tokens";
    ReasoningTokens: "gen_ai.usage.reasoning.output_tokens" > "gen_ai.usage.reasoning_tokens"
        > "gen_ai.usage.details.reasoning_tokens" > "gen_ai.usage.completion_details.reasoning"
        > "llm.token_count.completion_details.reasoning" > "ai.usage.reasoningTokens"
        > "ai.usage.outputTokenDetails.reasoningTokens" > "reasoning_token_count";
    // Other tokens; each is a bucket of `Span::usage_details`, named in `usage.rs`.
    InputTextTokens: "gen_ai.usage.text.input_tokens";
    InputImageTokens: "gen_ai.usage.image.input_tokens";
    InputAudioTokens: "gen_ai.usage.audio.input_tokens" > "gen_ai.usage.details.input_audio_tokens"
        > "gen_ai.usage.prompt_details.audio" > "llm.token_count.prompt_details.audio";
    InputVideoTokens: "gen_ai.usage.video.input_tokens";
    OutputTextTokens: "gen_ai.usage.text.output_tokens";
    OutputImageTokens: "gen_ai.usage.image.output_tokens";
    OutputAudioTokens: "gen_ai.usage.audio.output_tokens" > "gen_ai.usage.details.output_audio_tokens"
        > "gen_ai.usage.completion_details.audio" > "llm.token_count.completion_details.audio";
    OutputVideoTokens: "gen_ai.usage.video.output_tokens";
    InputTokenDetails: "gen_ai.usage.input_token_details";
    OutputTokenDetails: "gen_ai.usage.output_token_details";

    // Cost.
    CostObject: "langfuse.observation.cost_details";
    CostTotal: "agentmark.usage.cost_usd" > "llm.cost.total" > "gen_ai.usage.cost" > "gen_ai.usage.total_cost"
        > "gen_ai.cost.total_cost";
    CostInput: "llm.cost.prompt" > "gen_ai.usage.input_cost" > "gen_ai.cost.input_cost";
    CostOutput: "llm.cost.completion" > "gen_ai.usage.output_cost" > "gen_ai.cost.output_cost";
    CostTotalOfOperation: "operation.cost";
    CostObjectLast: "mlflow.llm.cost" > "hidden_params";
    CostTotalLast: "hidden_params.response_cost" > "cost_usd";

    // Who and where.
    Session: "langfuse.session.id" > "agentmark.session_id" > "session.id" > "gen_ai.conversation.id"
        > "lmnr.association.properties.session_id" > "traceloop.association.properties.session_id"
        > "traceloop.association.properties.thread_id" > "traceloop.association.properties.conversation_id"
        > "langsmith.metadata.session_id" > "langsmith.metadata.thread_id" > "langsmith.metadata.conversation_id"
        > "mastra.metadata.sessionId" > "mastra.metadata.threadId" > "ai.telemetry.metadata.sessionId"
        > "ai.settings.context.sessionId" > "mlflow.trace.session" > "livekit.session_id" > "lk.session_id"
        > "gcp.vertex.agent.session_id" > "conversation.id" > "spring.ai.chat.client.conversation.id";
    SessionName: "agentmark.session_name";
    /// After what [`Self::MetadataObject`] says.
    SessionInMetadata: "metadata.session_id" > "metadata.thread_id" > "metadata.langfuse_session_id";
    User: "langfuse.user.id" > "agentmark.user_id" > "user.id" > "lmnr.association.properties.user_id"
        > "traceloop.association.properties.user_id" > "langsmith.metadata.user_id" > "mastra.metadata.userId"
        > "ai.telemetry.metadata.userId" > "ai.settings.context.userId" > "mlflow.trace.user" > "gen_ai.request.user"
        > "gen_ai.user" > "llm.user" > "enduser.id";
    UserInMetadata: "metadata.user_id" > "metadata.langfuse_user_id";
    Tags: "langfuse.trace.tags" > "langfuse.tags" > "agentmark.tags" > "tag.tags" > "lmnr.association.properties.tags"
        > "lmnr.association.properties.labels" > "traceloop.association.properties.tags" > "langsmith.span.tags"
        > "mastra.tags" > "logfire.tags" > "ai.telemetry.metadata.tags" > "ai.settings.context.tags";
    /// JSON objects whose entries are metadata.
    MetadataObject: "langfuse.trace.metadata" > "langfuse.observation.metadata" > "metadata";
    Environment: "langfuse.environment" > "deployment.environment.name" > "deployment.environment";
    EnvironmentLast: "agentmark.metadata.environment";
    Release: "langfuse.release" > "agentmark.metadata.commit_sha" > "vcs.ref.head.revision";
    Version: "langfuse.version" > "service.version";
    PromptName: "langfuse.observation.prompt.name" > "langfuse.prompt.name" > "agentmark.prompt_name"
        > "agentmark.prompt_path";
    /// Of Gemini's CLI it is the id of what the user typed.
    GenaiPromptName: "gen_ai.prompt.name";
    PromptNameLast: "llm.prompt_template.name" > "prompt.id" > "traceloop.prompt.key";
    /// A name and a version in one JSON object, or a list of such.
    PromptObject: "ai.telemetry.metadata.langfusePrompt" > "mlflow.linkedPrompts";
    PromptVersion: "langfuse.observation.prompt.version" > "langfuse.prompt.version" > "gen_ai.prompt.version"
        > "llm.prompt_template.version" > "traceloop.prompt.version";
    TraceName: "langfuse.trace.name" > "agentmark.trace_name" > "mlflow.traceName" > "langsmith.trace.name";
    /// Names the trace on its root only.
    TraceNameOfRoot: "ai.telemetry.functionId";
    TraceNameLast: "traceloop.workflow.name" > "gen_ai.workflow.name";
    /// Whether it counts as a root though it has a parent.
    IsRoot: "langfuse.internal.as_root" > "langfuse.internal.is_app_root";
    ToolName: "gen_ai.tool.name" > "tool.name" > "ai.toolCall.name";
    /// The tool's name on spans of kind tool only.
    ToolNameOfTool: "traceloop.entity.name" > "lk.function_tool.name" > "tool_name" > "mcp.tool.name"
        > "mlflow.spanFunctionName" > "genkit:name";
    /// The tool's name on other spans.
    ToolNameElsewhere: "lk.function_tool.name" > "mcp.tool.name";
    AgentName: "gen_ai.agent.name" > "gen_ai.agent.id" > "agent.name";
    /// The agent's name on spans of kind agent only.
    AgentNameOfAgent: "graph.node.id" > "lk.agent_label" > "traceloop.entity.name" > "agent_name";
    AgentNameElsewhere: "lk.agent_label" > "agent_name";

    // How it ended.
    LangfuseLevel: "langfuse.observation.level";
    LogfireLevel: "logfire.level_num";
    LangfuseStatusMessage: "langfuse.observation.status_message";
    ErrorType: "error.type";
    ErrorMessage: "error.message" > "exception.message" > "error";
    ClaudeCodeSuccess: "success";
    FirstTokenTime: "langfuse.observation.completion_start_time";
    FirstTokenSeconds: "gen_ai.response.time_to_first_chunk" > "gen_ai.client.operation.time_to_first_chunk";
    FirstTokenMillis: "ai.response.msToFirstChunk" > "ai.stream.msToFirstChunk";
    /// Seconds from OpenLIT, as a double; milliseconds from Strands, as an integer.
    FirstTokenEither: "gen_ai.server.time_to_first_token";
    FirstTokenSecondsLast: "lk.response.ttft";
    FirstTokenMillisLast: "ttft_ms";
    FirstTokenTimeLast: "mastra.completion_start_time";
    TokensPerSecond: "ai.response.avgOutputTokensPerSecond" > "ai.response.avgCompletionTokensPerSecond";
    SecondsPerToken: "gen_ai.server.time_per_output_token" > "gen_ai.client.operation.time_per_output_chunk";

    // Content; the order among these is in `content.rs`.
    LangfuseInput: "langfuse.observation.input";
    LangfuseOutput: "langfuse.observation.output";
    /// Of the trace, which a root without any of its own shows.
    TraceInput: "langfuse.trace.input" > "mlflow.traceInputs";
    TraceOutput: "langfuse.trace.output" > "mlflow.traceOutputs";
    AgentmarkInput: "agentmark.request.input" > "agentmark.input" > "gen_ai.request.input";
    /// What a prompt is filled with: the input of a span that has no other.
    AgentmarkProps: "agentmark.props";
    AgentmarkOutput: "agentmark.response.output" > "agentmark.output" > "gen_ai.response.output";
    LaminarInput: "lmnr.span.input";
    LaminarOutput: "lmnr.span.output";
    MlflowInput: "mlflow.spanInputs";
    MlflowOutput: "mlflow.spanOutputs";
    InputValue: "input.value";
    OutputValue: "output.value";
    RerankerQuery: "reranker.query";
    RetrievalQuery: "gen_ai.retrieval.query.text" > "db.query.text";
    RetrievalDocuments: "gen_ai.retrieval.documents";
    SystemInstructions: "gen_ai.system_instructions";
    InputMessages: "gen_ai.input.messages";
    OutputMessages: "gen_ai.output.messages";
    ToolArguments: "gen_ai.tool.call.arguments" > "tool_arguments" > "ai.toolCall.args" > "ai.toolCall.input"
        > "lk.function_tool.arguments" > "gen_ai.tool.input" > "tool.parameters" > "tool_input";
    ToolResult: "gen_ai.tool.call.result" > "tool_response" > "ai.toolCall.result" > "ai.toolCall.output"
        > "lk.function_tool.output" > "gen_ai.tool.output";
    VercelInput: "ai.prompt.messages" > "ai.prompt" > "ai.value" > "ai.values" > "ai.documents";
    VercelText: "ai.response.text" > "ai.result.text";
    VercelToolCalls: "ai.response.toolCalls" > "ai.result.toolCalls";
    VercelReasoning: "ai.response.reasoning";
    VercelOutput: "ai.response.object" > "ai.result.object" > "ai.embedding" > "ai.embeddings" > "ai.ranking";
    LastInput: "genkit:input" > "haystack.component.input" > "traceloop.entity.input" > "gen_ai.task.input"
        > "agentops.entity.input" > "agentops.tool.input";
    LastOutput: "genkit:output" > "haystack.component.output" > "traceloop.entity.output" > "gen_ai.task.output"
        > "agentops.entity.output" > "agentops.tool.output";
    AdkInput: "gcp.vertex.agent.tool_call_args" > "gcp.vertex.agent.llm_request" > "gcp.vertex.agent.data";
    AdkOutput: "gcp.vertex.agent.tool_response" > "gcp.vertex.agent.llm_response";
    PlainPrompt: "gen_ai.prompt";
    PlainCompletion: "gen_ai.completion";
    PydanticEvents: "events" > "all_messages_events";
    PydanticMessages: "pydantic_ai.all_messages" > "all_messages";
    PydanticResult: "final_result";
    LivekitInput: "lk.pii.chat_ctx" > "lk.pii.user_input" > "lk.chat_ctx" > "lk.user_input" > "lk.pii.input_text"
        > "lk.input_text";
    LivekitOutput: "lk.pii.response.text" > "lk.response.text" > "lk.pii.response.function_calls"
        > "lk.response.function_calls";
    CopilotInput: "copilot_chat.user_request";
    BareInput: "user_prompt" > "new_context" > "request_data" > "llm.openai.messages"
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
    RerankerInput: "reranker.input_documents.";
    RerankerOutput: "reranker.output_documents.";
    /// The type of a span stands between this and `.input` or `.output`.
    Mastra: "mastra.";
    Retrieval: "gen_ai.retrieval.";
    // Parameters of a model, first the one to believe first.
    GenaiRequest: "gen_ai.request.";
    VercelSettings: "ai.settings.";
    LlmRequest: "llm.request.";
    /// Counts of tokens by a name of the sender's.
    UsageDetails: "gen_ai.usage.details.";
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
