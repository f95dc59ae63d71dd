//! One span as one conversation that fine-tuning takes, or why it is none.
//!
//! ```text
//!   span ──turns──► what was asked and answered ──transcript──► messages in OpenAI's spelling, held to its rules
//! ```
//!
//! The rules are those of OpenAI's chat format: roles `system`, `user`, `assistant`, `tool`; something that a user said;
//! the assistant last; each call of a tool answered at once, by its id, except in the last message; arguments as JSON in a
//! string; names of tools that the API takes; pictures by address, and only from users. What breaks them is not bent: the
//! row is left out and counted by its reason, because a model learns whatever stands in a row.

mod transcript;
mod turns;

use serde::Serialize;

/// A line of a file for fine-tuning.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    messages: Vec<Message>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Message {
    role: Role,
    /// Only a message that calls tools may have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Content>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    System,
    User,
    Assistant,
    Tool,
}

/// Text, or pieces where some are not text.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Pieces(Vec<Piece>),
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Piece {
    Text { text: String },
    ImageUrl { image_url: Address },
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Address {
    url: String,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Call {
    id: String,
    r#type: &'static str,
    function: Function,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Function {
    name: String,
    /// JSON.
    arguments: String,
}

/// Why a span is no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Skip {
    /// A tool, a retrieval, an embedding and the like: nobody converses.
    NotAConversation,
    /// Nothing was asked.
    NoInput,
    /// Nothing was answered, by the assistant at least.
    NoOutput,
    /// No user says anything.
    NoUserMessage,
    /// It is JSON in which no messages are found.
    ParseError,
    /// Somebody speaks who has no role in a chat.
    UnknownRole,
    /// A call without its answer, or an answer without its call.
    UnpairedToolCall,
    /// A tool whose name the API refuses.
    ToolName,
    /// A tool that is called with something else than named arguments.
    ToolArguments,
    /// A sound, a document, a picture that was sent along or that a model made.
    Media,
}

impl Skip {
    /// Its name among `skip_reasons`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::NotAConversation => "not_a_conversation",
            Self::NoInput => "no_input",
            Self::NoOutput => "no_output",
            Self::NoUserMessage => "no_user_message",
            Self::ParseError => "parse_error",
            Self::UnknownRole => "unknown_role",
            Self::UnpairedToolCall => "unpaired_tool_call",
            Self::ToolName => "tool_name",
            Self::ToolArguments => "tool_arguments",
            Self::Media => "media",
        }
    }
}

/// The conversation of a span of this kind, of what went in and came out.
///
/// # Errors
/// Why there is none that could be used.
pub(crate) fn row(kind: &str, input: Option<&str>, output: Option<&str>) -> Result<Row, Skip> {
    let turns = turns::of(kind, input, output)?;
    Ok(Row { messages: transcript::write(&turns)? })
}

#[cfg(test)]
mod tests;
