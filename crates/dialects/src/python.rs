//! Python literals, as `repr` writes them, in JSON's spelling. Nothing is evaluated: what is no literal is no JSON either,
//! and whoever parses the result finds that out.

use crate::json;

/// `{'a': None, 'b': (1, True)}` as JSON. `None` when a string has no end.
pub(crate) fn to_json(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len() + 8);
    // A comma waits to see whether something follows it: Python allows one before the end of a list.
    let mut comma = false;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first.is_whitespace() {
            // So that `1 2` does not become a number.
            if out.ends_with(|c: char| c.is_ascii_alphanumeric()) {
                out.push(' ');
            }
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let is_end = matches!(first, ')' | ']' | '}');
        if std::mem::take(&mut comma) && !is_end {
            out.push(',');
        }
        if first == '\'' || first == '"' {
            let (content, after) = string(&rest[1..], first)?;
            json::write_string(&mut out, &content);
            rest = after;
            continue;
        }
        let word = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (token, after) = rest.split_at(word.max(first.len_utf8()));
        match token {
            "None" => out.push_str("null"),
            "True" => out.push_str("true"),
            "False" => out.push_str("false"),
            "(" => out.push('['),
            ")" => out.push(']'),
            "," => comma = true,
            other => out.push_str(other),
        }
        rest = after;
    }
    Some(out)
}

fn string(text: &str, quote: char) -> Option<(String, &str)> {
    let mut content = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Some((content, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => content.push('\n'),
                't' => content.push('\t'),
                'r' => content.push('\r'),
                'x' => content.push(code_point(&mut chars, 2)?),
                'u' => content.push(code_point(&mut chars, 4)?),
                'U' => content.push(code_point(&mut chars, 8)?),
                '\n' => {}
                other @ ('\\' | '\'' | '"') => content.push(other),
                other => content.extend(['\\', other]),
            },
            c => content.push(c),
        }
    }
    None
}

/// Half a surrogate pair, which no text holds, becomes U+FFFD.
fn code_point(chars: &mut std::str::CharIndices<'_>, digits: usize) -> Option<char> {
    let mut code = 0_u32;
    for _ in 0..digits {
        code = code << 4 | chars.next()?.1.to_digit(16)?;
    }
    Some(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<serde_json::Value> {
        serde_json::from_str(&to_json(text)?).ok()
    }

    #[test]
    fn literals_become_json() {
        let text =
            r#"{'a': None, "b": (1, 2.5,), 'c': [True, False,], 'd': 'it\'s "so" \x41\u00e9\n', 'e': {}, 'f': 'a\d'}"#;
        let json = serde_json::json!({"a": null, "b": [1, 2.5], "c": [true, false], "d": "it's \"so\" Aé\n", "e": {}, "f": "a\\d"});
        assert_eq!(read(text), Some(json));
        assert_eq!(to_json("[123456789012345678901234567890]").unwrap(), "[123456789012345678901234567890]");
    }

    #[test]
    fn what_is_no_literal_is_no_json() {
        for text in
            ["{'a': __import__('os')}", "{'a", "{1, 2}", "f(1)", "1 2", "'\\x4", "'\\ud8'", "{'a': datetime(1, 2)}"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn half_a_pair_is_replaced() {
        assert_eq!(read(r"'\ud83d'"), Some(serde_json::json!("\u{FFFD}")));
    }
}
