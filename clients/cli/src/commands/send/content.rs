//! What a file of OTLP holds: one request in protobuf, or any number in JSON.

use std::io::{self, Read};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Json,
    Protobuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Logs,
}

/// One request of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request<'a> {
    pub(super) encoding: Encoding,
    pub(super) signal: Signal,
    pub(super) body: &'a [u8],
}

/// What a request of JSON is called by.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kinds {
    #[serde(alias = "resource_spans")]
    resource_spans: Option<IgnoredAny>,
    #[serde(alias = "resource_logs")]
    resource_logs: Option<IgnoredAny>,
}

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Without its compression, if it has one; a byte more than `bytes_max` at most.
pub(super) fn unpacked(bytes: Vec<u8>, bytes_max: u64) -> io::Result<Vec<u8>> {
    let reader: Box<dyn Read + '_> = match () {
        () if bytes.starts_with(GZIP) => Box::new(flate2::read::MultiGzDecoder::new(&bytes[..])),
        () if bytes.starts_with(ZSTD) => Box::new(zstd::Decoder::new(&bytes[..])?),
        () => return Ok(bytes),
    };
    let mut unpacked = Vec::new();
    reader.take(bytes_max + 1).read_to_end(&mut unpacked)?;
    Ok(unpacked)
}

/// All requests of a file. JSON may be one document, a document a line, or documents one after the other. Whatever does not
/// begin as JSON is protobuf; it does not tell spans from logs, so `is_logs` does.
pub(super) fn requests(bytes: &[u8], is_logs: bool) -> Result<Vec<Request<'_>>, String> {
    let begins = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    match begins {
        None => Err("is empty".to_owned()),
        Some(b'{') => match documents(bytes) {
            // A message of protobuf may begin with a line break and a brace; hardly ever, but then it is no JSON.
            Err(_) if bytes[0] == b'\n' && !is_text(bytes) => Ok(vec![protobuf(bytes, is_logs)]),
            documents => documents,
        },
        Some(_) if bytes[0] == b'[' => Err("is a list; OTLP is an object with resourceSpans".to_owned()),
        Some(_) => Ok(vec![protobuf(bytes, is_logs)]),
    }
}

fn is_text(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes)
        .is_ok_and(|text| !text.contains(|character: char| character.is_control() && !character.is_whitespace()))
}

fn protobuf(body: &[u8], is_logs: bool) -> Request<'_> {
    let signal = if is_logs { Signal::Logs } else { Signal::Traces };
    Request { encoding: Encoding::Protobuf, signal, body }
}

fn documents(bytes: &[u8]) -> Result<Vec<Request<'_>>, String> {
    let mut requests = Vec::new();
    for (number, document) in (1..).zip(serde_json::Deserializer::from_slice(bytes).into_iter::<&RawValue>()) {
        let document = document.map_err(|error| format!("is neither protobuf nor JSON: {error}"))?.get();
        let kinds: Kinds = serde_json::from_str(document).map_err(|error| format!("document {number}: {error}"))?;
        let signal = match kinds {
            Kinds { resource_spans: Some(_), .. } => Signal::Traces,
            Kinds { resource_logs: Some(_), .. } => Signal::Logs,
            Kinds { .. } => return Err(format!("document {number} has neither resourceSpans nor resourceLogs")),
        };
        requests.push(Request { encoding: Encoding::Json, signal, body: document.as_bytes() });
    }
    Ok(requests)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const SPANS: &str = "{\"resourceSpans\": [\n {}]}";
    const LOGS: &str = "{\"resource_logs\":[]}";

    #[test]
    fn documents_are_told_apart_however_they_follow_each_other() {
        for between in ["", "\n", "\r\n\n", "  "] {
            let text = format!(" {SPANS}{between}{LOGS}{between}{SPANS}\n");
            let requests = requests(text.as_bytes(), false).unwrap();
            let seen: Vec<_> = requests.iter().map(|request| (request.signal, request.body)).collect();
            let (spans, logs) = ((Signal::Traces, SPANS.as_bytes()), (Signal::Logs, LOGS.as_bytes()));
            assert_eq!(seen, [spans, logs, spans]);
        }
    }

    #[test]
    fn what_does_not_begin_as_json_is_protobuf() {
        let one = |bytes, is_logs| requests(bytes, is_logs).unwrap()[0];
        assert_eq!(one(b"\x0a\x02ab", false).encoding, Encoding::Protobuf);
        assert_eq!(one(b"\x0a\x02ab", true).signal, Signal::Logs);
        // A field of 123 bytes begins with a line break and a brace.
        let mut sly = b"\n{\n\x04\x08\x01\x12\x00".to_vec();
        sly.resize(125, 0);
        assert_eq!(one(&sly, false).encoding, Encoding::Protobuf);
    }

    #[test]
    fn what_is_no_otlp_says_so() {
        for (text, why) in [
            ("", "empty"),
            (" \n", "empty"),
            ("{\"resourceMetrics\":[]}", "document 1 has neither"),
            ("{\"resourceSpans\":[]}\n{\"a\":", "neither protobuf nor JSON"),
            ("[{\"resourceSpans\":[]}]", "is a list"),
        ] {
            assert!(requests(text.as_bytes(), false).unwrap_err().contains(why), "{text}");
        }
    }

    #[test]
    fn packed_files_are_unpacked_and_bounded() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(SPANS.as_bytes()).unwrap();
        for packed in [gzip.finish().unwrap(), zstd::encode_all(SPANS.as_bytes(), 0).unwrap(), SPANS.into()] {
            assert_eq!(unpacked(packed, 1 << 20).unwrap(), SPANS.as_bytes());
        }
        let bomb = zstd::encode_all(&vec![b'{'; 1 << 20][..], 0).unwrap();
        assert_eq!(unpacked(bomb, 1000).unwrap().len(), 1001);
    }
}
