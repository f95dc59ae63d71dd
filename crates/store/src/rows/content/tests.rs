use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const QUESTION: &str = "Could you tell me why the parcel to \"Lisbon\" was sent back to the warehouse?\nIt is late.";

fn both<'a>(input: &'a str, output: &'a str) -> Content<'a> {
    Content { input: Some(input), output: Some(output) }
}

/// What is stored for the attributes; checks that they come back.
fn stored(attributes: &Value, content: Content<'_>) -> String {
    let attributes = attributes.to_string();
    let stored = refer(&attributes, content);
    assert_eq!(resolve(&stored, content).unwrap(), attributes);
    stored.into_owned()
}

#[test]
fn a_text_that_is_the_input_is_stored_once() {
    let stored = stored(&json!({"gen_ai.tool.name": "search", "input.value": QUESTION}), both(QUESTION, "done"));
    assert_eq!(stored, r#" {"gen_ai.tool.name":"search","input.value":{"$text":[["input",0,null]]}}"#);
    serde_json::from_str::<Value>(&stored).unwrap();
}

#[test]
fn messages_and_the_instructions_put_before_them_are_stored_once() {
    let message = |role| json!({"role": role, "parts": [{"type": "text", "content": QUESTION}]});
    let system = json!([{"type": "text", "content": QUESTION}]).to_string();
    let messages = json!([message("user"), message("assistant"), message("user")]).to_string();
    let input = format!(r#"[{{"role":"system","parts":{system}}},{}"#, &messages[1..]);
    let output = json!([message("assistant")]).to_string();
    let attributes = json!({
        "gen_ai.input.messages": messages, "gen_ai.output.messages": output, "gen_ai.system_instructions": system,
    });
    let stored = stored(&attributes, both(&input, &output));
    assert!(stored.len() < 250, "{stored}");
}

#[test]
fn a_text_within_json_content_and_a_value_that_is_json_are_stored_once() {
    let documents = json!([{"content": QUESTION, "score": 0.5}, {"content": "no"}]);
    let attributes = json!({"documents": documents, "retrieval.documents.0.document.content": QUESTION});
    let stored = stored(&attributes, both("{\"query\":1}", &documents.to_string()));
    assert_eq!(stored.matches("{\"$json\":[[\"output\",").count(), 2, "{stored}");
}

#[test]
fn without_content_or_with_short_values_nothing_changes() {
    let attributes = json!({"input.value": "short", "long": QUESTION});
    for content in [both("short", "other"), Content { input: None, output: None }] {
        assert_eq!(stored(&attributes, content), attributes.to_string());
    }
}

#[test]
fn attributes_that_look_like_references_come_back() {
    for token in [TEXT, JSON] {
        let looks_alike = format!(r#"{{"input.value":"{}","x":{token}[["input",0,null]]}}}}"#, "y".repeat(80));
        let content = "y".repeat(80);
        let content = both(&content, "");
        assert_eq!(resolve(&refer(&looks_alike, content), content).unwrap(), looks_alike);
        let in_text = json!({"a": content.input, "b": format!("{token}[[\"input\",0,null]]}}")});
        assert!(has_references(&stored(&in_text, content)));
    }
}

#[test]
fn a_reference_to_nothing_is_an_error_and_not_other_content() {
    for slice in [r#"["input",3,9]"#, r#"["output",0,null]"#, r#"["input",1,null]"#, r#"["name",0,null]"#, "7"] {
        let stored = format!(r#" {{"a":{{"$text":[{slice}]}}}}"#);
        assert_eq!(resolve(&stored, Content { input: Some("é12"), output: None }), Err(Dangling), "{slice}");
    }
    for cut in [r#" {"a":{"$text":"#, r#" {"a":{"$text":[["input",0,null]]"#] {
        assert_eq!(resolve(cut, Content { input: Some("é12"), output: None }), Err(Dangling), "{cut}");
    }
}

#[test]
fn what_is_no_json_is_left_alone() {
    for broken in ["{\"a\"", "{\"a\":", "{\"a\":\"\\", "{:}", "[1,2]", "{\"a\":[[[", "{\"a\":1]"] {
        let padded = format!("{broken}{}", " ".repeat(80));
        let content = both(&padded, "");
        assert_eq!(resolve(&refer(&padded, content), content).unwrap(), padded, "{broken}");
    }
}

/// Text with much to escape, and words that repeat, so that searches find wrong places first.
fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(prop_oneof!["[a-c\"\\\\\n\u{1}é😀]{0,12}", Just("the parcel \"".to_owned())], 0..16)
        .prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn attributes_come_back_to_the_byte(
        (texts, own) in (proptest::collection::vec(text(), 4), text()),
        (cut, picks) in (0..200_usize, proptest::collection::vec(0..8_usize, 0..8)),
    ) {
        let nested = json!({"parts": texts, "role": own}).to_string();
        let list = json!([texts[0], texts[1]]).to_string();
        let joined = texts.concat();
        let part = joined.get(joined.floor_char_boundary(cut)..).unwrap_or_default();
        let values = [
            json!(nested), json!(list), json!(joined), json!(part), json!(texts), json!(own), json!(7), json!(texts[0]),
        ];
        let attributes: serde_json::Map<_, _> =
            picks.iter().enumerate().map(|(place, pick)| (format!("{place}\""), values[*pick].clone())).collect();
        for (input, output) in [(&nested, &joined), (&joined, &list), (&list, &own)] {
            stored(&Value::Object(attributes.clone()), both(input, output));
        }
    }
}
