//! Names as instrumentations send them, and the entry they find.

use spanlake_prices::Book;

fn found(provider: Option<&str>, model: &str) -> Option<&'static str> {
    Book::standard().find(provider, model).map(spanlake_prices::Entry::id)
}

#[test]
fn real_names_find_their_price() {
    for (model, entry) in [
        ("gpt-4o", "openai/gpt-4o"),
        ("GPT-4o", "openai/gpt-4o"),
        ("gpt-4o-2024-08-06", "openai/gpt-4o"),
        ("gpt-4o-2024-05-13", "openai/gpt-4o-2024-05-13"),
        ("gpt-4o-mini", "openai/gpt-4o-mini"),
        ("gpt-4o-mini-2024-07-18", "openai/gpt-4o-mini"),
        ("gpt-4.1-nano-2025-04-14", "openai/gpt-4.1-nano"),
        ("gpt-4o-audio-preview-2025-06-03", "openai/gpt-4o-audio-preview"),
        ("gpt-4o-audio-preview-2024-10-01", "openai/gpt-4o-audio-preview-2024-10-01"),
        ("gpt-4o-mini-audio-preview-2024-12-17", "openai/gpt-4o-mini-audio-preview"),
        ("gpt-audio-2025-08-28", "openai/gpt-audio"),
        ("gpt-realtime-2.1-mini", "openai/gpt-realtime-2.1-mini"),
        ("models/gemini-3.8-flash-tts", "google/gemini-3.8-flash-tts"),
        ("gpt-4-0613", "openai/gpt-4"),
        ("gpt-4-1106-preview", "openai/gpt-4-turbo"),
        ("gpt-35-turbo", "openai/gpt-3.5-turbo"),
        ("gpt-5-2025-08-07", "openai/gpt-5"),
        ("gpt-5.2-2025-12-11", "openai/gpt-5.2"),
        ("o3-2025-04-16", "openai/o3"),
        ("o4-mini-2025-04-16", "openai/o4-mini"),
        ("openai/gpt-4o", "openai/gpt-4o"),
        ("openai:gpt-4o", "openai/gpt-4o"),
        ("azure/gpt-4o", "openai/gpt-4o"),
        ("openrouter/openai/gpt-4o-mini", "openai/gpt-4o-mini"),
        ("ft:gpt-4o-mini-2024-07-18:org::id", "openai/ft:gpt-4o-mini"),
        ("ft:gpt-3.5-turbo-0125:org:name:id", "openai/ft:gpt-3.5-turbo"),
        ("text-embedding-3-small", "openai/text-embedding-3-small"),
        ("text-embedding-ada-002-v2", "openai/text-embedding-ada-002"),
        ("claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
        ("claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4-5"),
        ("claude-sonnet-4-5-20250929[1m]", "anthropic/claude-sonnet-4-5"),
        ("claude-opus-4-1-20250805", "anthropic/claude-opus-4-1"),
        ("claude-opus-4-20250514", "anthropic/claude-opus-4"),
        ("claude-3-5-haiku-latest", "anthropic/claude-3-5-haiku"),
        ("anthropic/claude-3.5-sonnet", "anthropic/claude-3-5-sonnet"),
        ("anthropic/claude-sonnet-4.5", "anthropic/claude-sonnet-4-5"),
        ("claude-3-5-sonnet-v2@20241022", "anthropic/claude-3-5-sonnet"),
        ("claude-sonnet-4@20250514", "anthropic/claude-sonnet-4"),
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", "anthropic/claude-sonnet-4"),
        ("anthropic.claude-3-5-haiku-20241022-v1:0", "anthropic/claude-3-5-haiku"),
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", "bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0"),
        ("global.anthropic.claude-opus-5-5", "anthropic/claude-opus-5-5"),
        ("bedrock/eu.anthropic.claude-haiku-4-5-20251001-v1:0", "anthropic/claude-haiku-4-5"),
        (
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-20250514-v1:0",
            "anthropic/claude-sonnet-4",
        ),
        ("models/gemini-2.0-flash", "google/gemini-2.0-flash"),
        ("publishers/google/models/gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("projects/p/locations/l/publishers/google/models/gemini-2.5-flash", "google/gemini-2.5-flash"),
        ("google-gla:gemini-2.5-flash", "google/gemini-2.5-flash"),
        ("gemini-2.5-pro-preview-06-05", "google/gemini-2.5-pro"),
        ("gemini-2.5-flash-preview-09-2025", "google/gemini-2.5-flash"),
        ("gemini-1.5-pro-002", "google/gemini-1.5-pro"),
        ("gemini-2.0-flash-001", "google/gemini-2.0-flash"),
        ("mistral-large-latest", "mistral/mistral-large-latest"),
        ("mistral-large-2411", "mistral/mistral-large-2411"),
        ("codestral-latest", "mistral/codestral"),
        ("deepseek-chat", "deepseek/deepseek-chat"),
        ("deepseek/deepseek-reasoner", "deepseek/deepseek-reasoner"),
        ("xai/grok-4-latest", "xai/grok-4"),
        ("grok-4.1-fast", "xai/grok-4-1-fast"),
        ("amazon.nova-lite-v1:0", "bedrock/amazon.nova-lite"),
        ("us.amazon.nova-pro-v1:0:300k", "bedrock/amazon.nova-pro"),
        ("amazon.titan-embed-text-v2:0", "bedrock/amazon.titan-embed-text-v2:0"),
        ("us.meta.llama3-3-70b-instruct-v1:0", "bedrock/meta.llama3-3-70b-instruct"),
        ("us.deepseek.r1-v1:0", "bedrock/deepseek.r1"),
        ("llama-3.3-70b-versatile", "groq/llama-3.3-70b-versatile"),
        ("groq/openai/gpt-oss-120b", "groq/gpt-oss-120b"),
        (
            "accounts/fireworks/models/llama-v3p1-70b-instruct",
            "fireworks/accounts/fireworks/models/llama-v3p1-70b-instruct",
        ),
        ("together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo", "together/meta-llama/llama-3.3-70b-instruct-turbo"),
        ("command-r-plus-08-2024", "cohere/command-r-plus-08-2024"),
        ("voyage-3.5-lite", "voyage/voyage-3.5-lite"),
    ] {
        assert_eq!(found(None, model), Some(entry), "{model}");
    }
}

#[test]
fn other_names_find_none() {
    for model in [
        "",
        " ",
        "gpt",
        "gpt-",
        "my-model",
        "llama3.2:latest",
        "llama3.1:8b",
        "mistral:7b",
        "deepseek-r1:14b",
        "gpt-oss:20b",
        "gpt-oss-120b",
        "gpt-4o-unheard-of",
        "gpt-4o-minimal",
        "gpt-5-superlarge",
        "gpt-5.9",
        "gpt-audio-mini",
        "gpt-realtime-mini",
        "gpt-4.1-micro",
        "o3-max",
        "o9",
        "claude",
        "claude-opus-4-9",
        "claude-sonnet-6",
        "claude-haiku-5",
        "gemini-9-pro",
        "gemini-2.5-flash-image",
        "gemini-2.5-flash-preview-05-20",
        "mistral-large-2703",
        "grok-4-heavy",
        "amazon.nova-pro-v2:0",
        "text-embedding-3",
        "ft:gpt-4.1:org::id",
        "openai/",
        "/",
        "meta-llama/Llama-3.3-70B-Instruct",
        "mistralai/Mistral-7B-Instruct-v0.3",
        "anthropic/claude-3.7-sonnet:free",
        "google/gemma-3-27b-it",
        "ollama/gpt-4o",
    ] {
        assert_eq!(found(None, model), None, "{model:?}");
    }
}

#[test]
fn who_runs_the_model_decides_for_shared_names() {
    for (provider, model, entry) in [
        ("groq", "openai/gpt-oss-20b", Some("groq/gpt-oss-20b")),
        ("Together AI", "gpt-oss-20b", None),
        ("together_ai", "openai/gpt-oss-20b", Some("together/gpt-oss-20b")),
        ("openai", "openai/gpt-oss-20b", None),
        ("cerebras", "gpt-oss-120b", None),
        ("aws.bedrock", "google.gemma-3-27b-it", Some("bedrock/gemma-3-27b")),
        ("aws.bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0", Some("anthropic/claude-sonnet-4-5")),
        (
            "aws.bedrock",
            "anthropic.claude-3-5-sonnet-20240620-v1:0",
            Some("bedrock/anthropic.claude-3-5-sonnet-20240620-v1:0"),
        ),
        ("azure.ai.openai", "gpt-4o", Some("openai/gpt-4o")),
        ("gcp.vertex_ai", "claude-sonnet-4-5@20250929", Some("anthropic/claude-sonnet-4-5")),
        ("openai.chat", "gpt-4o", Some("openai/gpt-4o")),
        ("google.generative-ai", "gemini-2.5-pro", Some("google/gemini-2.5-pro")),
        ("openrouter", "anthropic/claude-sonnet-4.5", Some("anthropic/claude-sonnet-4-5")),
        ("openrouter", "deepseek/deepseek-chat", None),
        ("openrouter", "mistralai/mistral-nemo", None),
        ("openai", "openrouter/deepseek/deepseek-chat", None),
        ("bedrock", "mistral.mistral-large-2407-v1:0", Some("mistral/mistral-large-2411")),
        ("ollama", "mistral-nemo", None),
        ("hosted_vllm", "gpt-4o", None),
        ("langchain", "gpt-4o", Some("openai/gpt-4o")),
        ("api.example.com:443", "gpt-4o", Some("openai/gpt-4o")),
        ("strands-agents", "us.anthropic.claude-sonnet-4-20250514-v1:0", Some("anthropic/claude-sonnet-4")),
    ] {
        assert_eq!(found(Some(provider), model), entry, "{provider}: {model}");
    }
}
