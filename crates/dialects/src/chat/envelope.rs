//! Where the messages are: a list of them, one alone, or somewhere inside a request or an answer.

use super::Side;
use super::message::{self, Message};
use super::node::{Node, Object};
use super::part;

/// Envelopes in envelopes are opened this deep.
const DEPTH_MAX: usize = 8;

/// Members that hold messages, first the one to believe first: requests and answers of the providers, LangChain, MLflow,
/// LiveKit, and calls of functions as OpenLLMetry writes them.
const HOLDERS: &[&str] = &[
    "messages",
    "choices",
    "generations",
    "candidates",
    "contents",
    "items",
    "output",
    "outputs",
    "chat_history",
    "inputs",
    "input",
    "update",
    "kwargs",
    "args",
    "message",
    "response",
    "data",
    "result",
];

/// The `type` of what LiveKit notes down between messages; nobody says it.
const NOTES: &[&str] = &["agent_config_update", "agent_handoff"];

/// Members in which a request says how the model shall behave.
const INSTRUCTIONS: &[&str] = &["system", "instructions", "system_instruction", "systemInstruction"];

/// The messages in whatever this is.
pub(super) fn messages(node: Node<'_>, side: Side, depth: usize) -> Option<Vec<Message>> {
    if depth > DEPTH_MAX {
        return None;
    }
    match node.list() {
        Some(list) => of_list(&list, side, depth),
        None => of_object(&node.object()?, side, depth),
    }
}

fn of_list(list: &[Node<'_>], side: Side, depth: usize) -> Option<Vec<Message>> {
    let objects: Vec<Option<Object<'_>>> = list.iter().map(|node| node.object()).collect();
    if let Some(pairs) = pairs(list) {
        return Some(pairs);
    }
    if !list.is_empty() && objects.iter().flatten().all(part::is_part) && objects.iter().all(Option::is_some) {
        let parts = list.iter().flat_map(|node| part::parts(*node)).collect();
        return Some(vec![Message { role: side.role().to_owned(), parts, finish_reason: None }]);
    }
    let mut found: Vec<Message> = Vec::new();
    let (mut is_chat, mut is_enveloped, mut was_item) = (false, false, false);
    for (node, object) in list.iter().zip(&objects) {
        if object.as_ref().and_then(|object| object.word(&["type"])).is_some_and(|kind| NOTES.contains(&kind.as_str()))
        {
            continue;
        }
        let is_item = object.as_ref().is_some_and(message::is_item);
        let mut read = object.as_ref().and_then(|object| message::of_object(object, side));
        if read.is_none() {
            read = match object {
                Some(object) => of_object(object, side, depth + 1),
                None => node.list().and_then(|_| messages(*node, side, depth + 1)),
            };
            // Beside a whole request stand the options of the call.
            if read.is_none() && is_enveloped {
                continue;
            }
            is_enveloped |= object.is_some() && read.is_some();
        }
        is_chat |= read.is_some();
        for next in read.unwrap_or_else(|| vec![message::unknown(*node, object.as_ref(), side)]) {
            match found.last_mut() {
                // Thoughts, calls and words of one answer, which OpenAI's Responses list one by one.
                Some(last) if is_item && was_item && last.role == "assistant" && next.role == "assistant" => {
                    last.parts.extend(next.parts);
                }
                _ => found.push(next),
            }
        }
        was_item = is_item;
    }
    is_chat.then_some(found)
}

/// `[["human", "Hi"], …]`, which LangChain takes for messages.
fn pairs(list: &[Node<'_>]) -> Option<Vec<Message>> {
    let pair = |node: &Node<'_>| {
        let [role, content] = <[Node<'_>; 2]>::try_from(node.list()?).ok()?;
        // A tool's answer says which call it is to, for which there is no room here.
        let role = message::known_role(&role.text()?).filter(|role| role != "tool")?;
        content.text().map(|_| message::of_content(&role, content))
    };
    if list.is_empty() { None } else { list.iter().map(pair).collect() }
}

fn of_object(object: &Object<'_>, side: Side, depth: usize) -> Option<Vec<Message>> {
    if depth > DEPTH_MAX {
        return None;
    }
    if let Some(messages) = message::of_object(object, side) {
        return Some(messages);
    }
    let system = || {
        let config = object.get("config").and_then(Node::object);
        let sent = object.first(INSTRUCTIONS).or_else(|| config.as_ref()?.first(INSTRUCTIONS))?;
        Some(message::of_content("system", sent)).filter(|message| !message.parts.is_empty())
    };
    let held = HOLDERS.iter().find_map(|key| messages(object.get(key)?, side, depth + 1));
    let said = held.or_else(|| prompt(object)).or_else(|| answer(object))?;
    // An answer repeats what it was told; that is no part of what it says.
    let has_system = side == Side::Output || said.iter().any(|message| message.role == "system");
    let system = if has_system { None } else { system() };
    Some(system.into_iter().chain(said).collect())
}

/// A request whose only message is text, known by what stands beside it.
fn prompt(object: &Object<'_>) -> Option<Vec<Message>> {
    let is_request = object.has("model") || INSTRUCTIONS.iter().any(|key| object.has(key));
    let content = object.first(&["prompt", "input", "contents"]).filter(|_| is_request)?;
    content.text().map(|_| vec![message::of_content("user", content)])
}

/// Vercel's answer: text, calls and thoughts side by side.
fn answer(object: &Object<'_>) -> Option<Vec<Message>> {
    let is_answer = object.has("toolCalls") || (object.has("text") && object.has("reasoning"));
    is_answer.then(|| vec![message::of_body("assistant", object)])
}
