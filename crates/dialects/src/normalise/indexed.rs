//! Lists spelled as keys: `gen_ai.prompt.0.role`, `llm.input_messages.1.message.tool_calls.0.tool_call.id`.

use std::collections::BTreeMap;

use super::canonical;
use crate::sent::Value;

/// Higher indexes are not list positions but mischief or mistakes.
const INDEX_MAX: usize = 10_000;
/// Deeper keys keep their rest as one name.
const DEPTH_MAX: usize = 16;
/// Names that only wrap an element of a list.
const WRAPPERS: &[&str] = &["message", "message_content", "tool_call", "document", "embedding", "prompt", "completion"];

/// Names in which a message says something.
const SAID: &[&str] = &["content", "reasoning", "tool_calls", "function_call"];

/// A branch of keys; a key that is both a leaf and a branch keeps both.
#[derive(Default)]
struct Node<'a> {
    leaf: Option<&'a Value<'a>>,
    elements: BTreeMap<usize, Node<'a>>,
    members: BTreeMap<&'a str, Node<'a>>,
}

/// The list in JSON: elements in the order of their indexes, holes dropped. `None` when no key begins with an index.
pub(super) fn list<'a>(keys: impl Iterator<Item = (&'a str, &'a Value<'a>)>) -> Option<String> {
    let mut out = String::new();
    tree(keys)?.write(&mut out);
    Some(out)
}

/// As [`list`], of messages: `role` speaks in one that does not say who does.
pub(super) fn messages<'a>(keys: impl Iterator<Item = (&'a str, &'a Value<'a>)>, role: &str) -> Option<String> {
    let role = Value::Text(role.into());
    let mut root = tree(keys)?;
    for element in root.elements.values_mut() {
        let is_message = element.members.keys().any(|name| SAID.contains(name));
        if is_message && !element.members.contains_key("role") {
            element.members.insert("role", Node { leaf: Some(&role), ..Node::default() });
        }
    }
    let mut out = String::new();
    root.write(&mut out);
    Some(out)
}

fn tree<'a>(keys: impl Iterator<Item = (&'a str, &'a Value<'a>)>) -> Option<Node<'a>> {
    let mut root = Node::default();
    for (key, value) in keys {
        if !value.is_empty() && index(key.split('.').next().unwrap_or_default()).is_some() {
            root.insert(key, value, 0);
        }
    }
    (!root.elements.is_empty()).then_some(root)
}

/// All digits, and not absurd.
fn index(segment: &str) -> Option<usize> {
    let is_number = !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| segment.parse().ok()).flatten().filter(|index| *index <= INDEX_MAX)
}

impl<'a> Node<'a> {
    fn insert(&mut self, key: &'a str, value: &'a Value<'a>, depth: usize) {
        let (segment, rest) = match key.split_once('.') {
            Some((segment, rest)) if depth < DEPTH_MAX => (segment, Some(rest)),
            _ => (key, None),
        };
        let child = match index(segment) {
            Some(index) => self.elements.entry(index).or_default(),
            None => self.members.entry(segment).or_default(),
        };
        match rest {
            Some(rest) => child.insert(rest, value, depth + 1),
            None => child.leaf = Some(value),
        }
    }

    fn write(&self, out: &mut String) {
        if self.elements.is_empty() && self.members.is_empty() {
            canonical::write_value(out, self.leaf.unwrap_or(&Value::Empty));
        } else if self.members.is_empty() && self.leaf.is_none() {
            self.write_list(out);
        } else {
            self.write_object(out);
        }
    }

    fn write_list(&self, out: &mut String) {
        out.push('[');
        for (position, element) in self.elements.values().enumerate() {
            if position > 0 {
                out.push(',');
            }
            element.unwrapped().write(out);
        }
        out.push(']');
    }

    fn write_object(&self, out: &mut String) {
        out.push('{');
        let mut is_first = true;
        let mut key = |out: &mut String, name: &str| {
            if !std::mem::take(&mut is_first) {
                out.push(',');
            }
            canonical::write_string(out, name);
            out.push(':');
        };
        if let Some(leaf) = self.leaf {
            key(out, "");
            canonical::write_value(out, leaf);
        }
        for (index, element) in &self.elements {
            key(out, &index.to_string());
            element.write(out);
        }
        for (name, member) in &self.members {
            key(out, name);
            member.write(out);
        }
        out.push('}');
    }

    /// Below a wrapper that stands alone.
    fn unwrapped(&self) -> &Self {
        match self.members.iter().next() {
            Some((name, member))
                if self.members.len() == 1
                    && self.leaf.is_none()
                    && self.elements.is_empty()
                    && WRAPPERS.contains(name) =>
            {
                member
            }
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(keys: &[&str]) -> Option<String> {
        let value = Value::Int(1);
        list(keys.iter().map(|key| (*key, &value)))
    }

    #[test]
    fn ten_comes_after_nine_and_holes_are_dropped() {
        assert_eq!(of(&["10.a", "9.b", "2.c"]).unwrap(), r#"[{"c":1},{"b":1},{"a":1}]"#);
    }

    #[test]
    fn wrappers_go_and_tool_calls_nest() {
        let keys =
            ["0.message.role", "0.message.tool_calls.0.tool_call.function.name", "0.message.tool_calls.0.tool_call.id"];
        assert_eq!(of(&keys).unwrap(), r#"[{"role":1,"tool_calls":[{"function":{"name":1},"id":1}]}]"#);
    }

    #[test]
    fn a_message_without_a_role_is_given_one() {
        let value = Value::Int(1);
        let of = |keys: &[&'static str]| messages(keys.iter().map(|key| (*key, &value)), "user").unwrap();
        assert_eq!(of(&["0.content"]), r#"[{"content":1,"role":"user"}]"#);
        assert_eq!(of(&["0.content", "0.role", "1.finish_reason"]), r#"[{"content":1,"role":1},{"finish_reason":1}]"#);
    }

    #[test]
    fn hostile_keys_are_no_list_and_cost_nothing() {
        assert_eq!(of(&["999999999.role", "-1.role", "", ".", "+1.x", "18446744073709551616", "__proto__.x"]), None);
        assert_eq!(of(&["0", "0.0", "0.a"]).unwrap(), r#"[{"":1,"0":1,"a":1}]"#);
        let deep = format!("0{}", ".0".repeat(100_000));
        assert!(of(&[&deep]).unwrap().len() < deep.len() + 100);
    }
}
