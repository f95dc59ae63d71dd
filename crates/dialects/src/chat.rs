//! What a span holds as input or output, read as a conversation.
//!
//! ```text
//!   text ──node──► JSON, unread ──envelope──► where the messages are ──message──► role, parts, why it ended
//!                                                                       part ──► text, calls, results, thoughts, media
//! ```
//!
//! Content is stored as its sender wrote it; this is how it is read. Each form is recognised by its own marks, never by the
//! dialect of the span, because forms travel: OpenAI's messages are found in every dialect. A message or a part that makes
//! no sense stays as its JSON, in a text part, and spoils nothing beside it. What is no conversation is `None`, and the caller
//! shows the value.
//!
//! Serialised, messages are spelled as OpenTelemetry's GenAI conventions spell them, and read back as themselves.
//!
//! ```
//! let messages = spanlake_dialects::chat::of_input(r#"[{"role": "human", "content": "Hi"}]"#).unwrap();
//! let json = serde_json::to_string(&messages).unwrap();
//! assert_eq!(json, r#"[{"role":"user","parts":[{"type":"text","content":"Hi"}]}]"#);
//! ```

mod envelope;
mod media;
mod message;
mod node;
mod part;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

pub use media::Media;
use node::Node;

/// What one side said in one turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// `system`, `user`, `assistant`, `tool`, or the sender's own word in lower case.
    pub role: String,
    /// What it said, in order.
    pub parts: Vec<Part>,
    /// Why the model stopped, as in [`spanlake_model::Span::finish_reason`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// Words.
    Text {
        /// The words.
        content: String,
    },
    /// What a model thought before it answered.
    Reasoning {
        /// The words.
        content: String,
    },
    /// A tool that the model asks for.
    ToolCall(ToolCall),
    /// What a tool answered.
    #[serde(rename = "tool_call_response")]
    ToolResult(ToolResult),
    /// A picture, a sound, a document.
    #[serde(untagged)]
    Media(Media),
}

/// A tool that a model asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ToolCall {
    /// Which result belongs to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The tool.
    pub name: String,
    /// Mostly an object; a string where the model wrote no JSON.
    pub arguments: Json,
}

/// What a tool answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ToolResult {
    /// Which call it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Any JSON; text is a string.
    #[serde(rename = "response")]
    pub content: Json,
}

/// A JSON value as text, without white space, its numbers to the last digit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json(String);

impl Json {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    fn string(text: &str) -> Self {
        let mut json = String::with_capacity(text.len() + 2);
        crate::json::write_string(&mut json, text);
        Self(json)
    }
    fn empty_object() -> Self {
        Self("{}".to_owned())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

/// Who speaks where a message does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Input,
    Output,
}

impl Side {
    fn role(self) -> &'static str {
        match self {
            Self::Input => "user",
            Self::Output => "assistant",
        }
    }
}

/// The conversation in a span's input; `None` when it is none.
pub fn of_input(content: &str) -> Option<Vec<Message>> {
    read(content, Side::Input)
}

/// The conversation in a span's output; `None` when it is none.
pub fn of_output(content: &str) -> Option<Vec<Message>> {
    read(content, Side::Output)
}

fn read(content: &str, side: Side) -> Option<Vec<Message>> {
    let json = node::parse(content)?;
    envelope::messages(Node::new(&json), side, 0)
}

/// The tools that these messages ask for, in order.
pub fn tool_calls(messages: &[Message]) -> impl Iterator<Item = &ToolCall> {
    messages.iter().flat_map(|message| &message.parts).filter_map(|part| match part {
        Part::ToolCall(call) => Some(call),
        _ => None,
    })
}
