//! Messages in OpenAI's spelling, held to the rules of its chats.

use std::collections::{HashMap, VecDeque};

use serde::de::IgnoredAny;

use spanlake_dialects::chat::{self, Media, Part, ToolCall, ToolResult};

use super::{Address, Call, Content, Function, Message, Piece, Role, Skip};

/// Of the API: longer names, and other characters, are refused.
const TOOL_NAME_BYTES_MAX: usize = 64;

/// The messages as a file for fine-tuning has them.
///
/// # Errors
/// Which rule they break.
pub(super) fn write(turns: &[chat::Message]) -> Result<Vec<Message>, Skip> {
    let mut transcript = Transcript::default();
    for turn in turns {
        transcript.take(turn)?;
    }
    transcript.end()
}

#[derive(Default)]
struct Transcript {
    messages: Vec<Message>,
    /// Calls of the last message that are still to be answered, in order.
    open: VecDeque<Open>,
    /// How many ids were made up.
    made_ids: usize,
}

struct Open {
    id: String,
    /// By us, since the sender gave none.
    is_made: bool,
}

impl Transcript {
    fn take(&mut self, turn: &chat::Message) -> Result<(), Skip> {
        let role = role(&turn.role)?;
        // Anthropic's users answer calls and go on talking, in either order; an answer comes first.
        let results_first = role == Role::User;
        if results_first {
            self.results(&turn.parts)?;
        }
        let mut said = Vec::new();
        for part in &turn.parts {
            match part {
                Part::ToolResult(_) if results_first => {}
                Part::ToolResult(result) => {
                    self.say(role, std::mem::take(&mut said))?;
                    self.answer(result.id.as_deref(), text_of(result))?;
                }
                Part::Reasoning { .. } => {}
                part => said.push(part),
            }
        }
        self.say(role, said)
    }

    fn results(&mut self, parts: &[Part]) -> Result<(), Skip> {
        for part in parts {
            if let Part::ToolResult(result) = part {
                self.answer(result.id.as_deref(), text_of(result))?;
            }
        }
        Ok(())
    }

    /// Text, media and calls of one who speaks; nothing, when there is none.
    fn say(&mut self, role: Role, parts: Vec<&Part>) -> Result<(), Skip> {
        let content = content(role, &parts)?;
        let calls: Vec<&ToolCall> = chat_calls(&parts).collect();
        if role == Role::Tool {
            let text = match content {
                Some(Content::Text(text)) => text,
                Some(Content::Pieces(_)) => return Err(Skip::Media),
                None => return Ok(()),
            };
            return self.answer(None, text);
        }
        if content.is_none() && calls.is_empty() {
            return Ok(());
        }
        if role != Role::Assistant && !calls.is_empty() {
            return Err(Skip::UnpairedToolCall);
        }
        // Calls made together, which some senders list message by message.
        if content.is_none() && !self.open.is_empty() && self.last_calls() == self.open.len() {
            return self.call(&calls);
        }
        if !self.open.is_empty() {
            return Err(Skip::UnpairedToolCall);
        }
        self.messages.push(Message { role, content, tool_calls: Vec::new(), tool_call_id: None });
        self.call(&calls)
    }

    /// How many calls the last message makes.
    fn last_calls(&self) -> usize {
        self.messages.last().map_or(0, |last| last.tool_calls.len())
    }

    /// Adds calls to the last message.
    fn call(&mut self, calls: &[&ToolCall]) -> Result<(), Skip> {
        for call in calls {
            if !is_tool_name(&call.name) {
                return Err(Skip::ToolName);
            }
            let is_made = call.id.is_none();
            let id = call.id.clone().unwrap_or_else(|| {
                self.made_ids += 1;
                format!("call_{}", self.made_ids)
            });
            if self.open.iter().any(|open| open.id == id) {
                return Err(Skip::UnpairedToolCall);
            }
            let function = Function { name: call.name.clone(), arguments: arguments(call.arguments.as_str())? };
            let last = self.messages.last_mut().ok_or(Skip::UnpairedToolCall)?;
            last.tool_calls.push(Call { id: id.clone(), r#type: "function", function });
            self.open.push_back(Open { id, is_made });
        }
        Ok(())
    }

    /// What a tool says to the open call with this id; to the first one, where either side gave none.
    fn answer(&mut self, id: Option<&str>, text: String) -> Result<(), Skip> {
        let named = id.and_then(|id| self.open.iter().position(|open| open.id == id));
        let position = match (named, id) {
            (Some(position), _) => position,
            (None, None) => 0,
            (None, Some(_)) => self.open.iter().position(|open| open.is_made).ok_or(Skip::UnpairedToolCall)?,
        };
        let open = self.open.remove(position).ok_or(Skip::UnpairedToolCall)?;
        let content = Some(Content::Text(text));
        self.messages.push(Message { role: Role::Tool, content, tool_calls: Vec::new(), tool_call_id: Some(open.id) });
        Ok(())
    }

    fn end(self) -> Result<Vec<Message>, Skip> {
        let messages = self.messages;
        if !messages.iter().any(|message| message.role == Role::User) {
            return Err(Skip::NoUserMessage);
        }
        match messages.last() {
            Some(last) if last.role == Role::Assistant => Ok(messages),
            _ => Err(Skip::NoOutput),
        }
    }
}

fn role(word: &str) -> Result<Role, Skip> {
    Ok(match word {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        _ => return Err(Skip::UnknownRole),
    })
}

fn chat_calls<'a>(parts: &[&'a Part]) -> impl Iterator<Item = &'a ToolCall> {
    parts.iter().filter_map(|part| match part {
        Part::ToolCall(call) => Some(call),
        _ => None,
    })
}

/// One text, or pieces where a picture is among them; `None` when nothing was said.
fn content(role: Role, parts: &[&Part]) -> Result<Option<Content>, Skip> {
    let mut pieces = Vec::new();
    let mut has_media = false;
    for part in parts {
        match part {
            Part::Text { content } if !content.trim().is_empty() => pieces.push(Piece::Text { text: content.clone() }),
            Part::Media(media) => {
                has_media = true;
                pieces.push(picture(role, media)?);
            }
            _ => {}
        }
    }
    if has_media {
        return Ok(Some(Content::Pieces(pieces)));
    }
    let texts: Vec<String> = pieces
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Text { text } => Some(text),
            Piece::ImageUrl { .. } => None,
        })
        .collect();
    Ok(if texts.is_empty() { None } else { Some(Content::Text(texts.join("\n"))) })
}

fn picture(role: Role, media: &Media) -> Result<Piece, Skip> {
    match media {
        Media::Uri { modality, uri, .. }
            if role == Role::User
                && modality == "image"
                && (uri.starts_with("https://") || uri.starts_with("http://")) =>
        {
            Ok(Piece::ImageUrl { image_url: Address { url: uri.clone() } })
        }
        _ => Err(Skip::Media),
    }
}

/// What a tool says: text, also where it stands in pieces; other JSON as it is.
fn text_of(result: &ToolResult) -> String {
    #[derive(serde::Deserialize)]
    #[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
    enum Piece {
        Text { text: String },
    }
    let json = result.content.as_str();
    match serde_json::from_str::<Vec<Piece>>(json) {
        Ok(pieces) if !pieces.is_empty() => {
            let texts: Vec<_> = pieces.into_iter().map(|Piece::Text { text }| text).collect();
            texts.join("\n")
        }
        _ => plain(json),
    }
}

/// Of a JSON string what it says, of other JSON itself.
fn plain(json: &str) -> String {
    serde_json::from_str::<String>(json).unwrap_or_else(|_| json.to_owned())
}

/// A JSON object in a string; nothing at all is one without fields.
fn arguments(json: &str) -> Result<String, Skip> {
    let text = plain(json);
    if matches!(text.trim(), "" | "null") {
        return Ok("{}".to_owned());
    }
    let is_object = serde_json::from_str::<HashMap<String, IgnoredAny>>(&text).is_ok();
    if is_object { Ok(text) } else { Err(Skip::ToolArguments) }
}

fn is_tool_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=TOOL_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_allowed)
}
