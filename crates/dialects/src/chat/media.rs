//! Pictures, sounds and documents: an address, or the hash and the size of what was sent along.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::node::{Node, Object};

/// Something that is not text. What was sent along is in the span's content, as sent; here stands which it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Media {
    /// Kept elsewhere.
    Uri {
        /// Such as `image/png`, when it was said.
        #[serde(skip_serializing_if = "Option::is_none")]
        mime_type: Option<String>,
        /// `image`, `audio`, `video` or `file`.
        modality: String,
        /// Where, or the provider's id of it.
        uri: String,
    },
    /// Sent along.
    Blob {
        /// Such as `image/png`, when it was said.
        #[serde(skip_serializing_if = "Option::is_none")]
        mime_type: Option<String>,
        /// `image`, `audio`, `video` or `file`.
        modality: String,
        /// The hash of its bytes, in hex.
        sha256: String,
        /// How many bytes it has.
        size: u64,
    },
}

/// A part with a type.
pub(super) fn of_part(kind: &str, object: &Object<'_>) -> Option<Media> {
    let modality = modality_of_kind(kind)?;
    let mime = object.word(&["mime_type", "mimeType", "mediaType", "media_type"]);
    if let (Some(sha256), Some(size)) = (object.word(&["sha256"]), object.get("size")) {
        let modality = object.word(&["modality"]).unwrap_or_else(|| modality_of_mime(mime.as_deref(), modality));
        return Some(Media::Blob { mime_type: mime, modality, sha256, size: size.json().as_str().parse().ok()? });
    }
    // `{"type":"image_url","image_url":{"url":…}}`, `{"type":"image","source":{…}}`, `{"type":"file","file":{…}}` …
    let keys = ["image_url", "image", "source", "file", "input_audio", "audio", "input_file", "document", "video"];
    let held = object.first(&keys);
    let inner = held.and_then(Node::object);
    // OpenInference wraps once more: `image.image.url`.
    let inner = inner.map(|inner| inner.first(&["image", "source"]).and_then(Node::object).unwrap_or(inner));
    let said = object.word(&["modality"]).unwrap_or_else(|| modality.to_owned());
    if let Some(address) = held.and_then(Node::word) {
        // Vercel puts either there.
        let is_address = address.contains("://") || address.starts_with("data:");
        return Some(if is_address { of_address(&address, mime, &said) } else { blob(&address, mime, &said) });
    }
    [inner.as_ref(), Some(object)].into_iter().flatten().find_map(|place| of_place(place, mime.clone(), &said))
}

/// A part that Gemini or Bedrock sends.
pub(super) fn of_untyped(object: &Object<'_>) -> Option<Media> {
    let place = object.first(&["inlineData", "inline_data", "fileData", "file_data"]).and_then(Node::object);
    if let Some(place) = place {
        return of_place(&place, None, "file");
    }
    let (modality, image) =
        ["image", "document", "video"].iter().find_map(|key| Some((*key, object.get(key)?.object()?)))?;
    let mime = image.word(&["format"]).map(|format| format!("{modality}/{format}"));
    of_place(&image.get("source")?.object()?, mime, modality)
}

fn of_place(place: &Object<'_>, mime: Option<String>, modality: &str) -> Option<Media> {
    let mime = place.word(&["mime_type", "mimeType", "media_type", "mediaType"]).or(mime);
    let mime = mime.or_else(|| place.word(&["format"]).map(|format| format!("{modality}/{format}")));
    if let Some(address) = place.word(&["url", "uri", "fileUri", "file_uri", "file_url", "image_url"]) {
        return Some(of_address(&address, mime, modality));
    }
    if let Some(data) = place.word(&["data", "file_data", "bytes", "blob", "content"]) {
        return Some(if data.starts_with("data:") {
            of_address(&data, mime, modality)
        } else {
            blob(&data, mime, modality)
        });
    }
    let id = place.word(&["file_id", "fileId", "id"])?;
    Some(Media::Uri { modality: modality_of_mime(mime.as_deref(), modality), mime_type: mime, uri: id })
}

/// An address, or what a `data:` address holds.
fn of_address(address: &str, mime: Option<String>, modality: &str) -> Media {
    if let Some((head, data)) = address.strip_prefix("data:").and_then(|rest| rest.split_once(',')) {
        let said = head.split(';').next().filter(|said| !said.is_empty()).map(str::to_owned);
        return blob(data, said.or(mime), modality);
    }
    Media::Uri { modality: modality_of_mime(mime.as_deref(), modality), mime_type: mime, uri: address.to_owned() }
}

/// Of base64; of anything else, its own bytes.
fn blob(data: &str, mime_type: Option<String>, modality: &str) -> Media {
    let decoded = STANDARD.decode(data);
    let bytes = decoded.as_deref().unwrap_or(data.as_bytes());
    let sha256 = hex::encode(Sha256::digest(bytes));
    Media::Blob {
        modality: modality_of_mime(mime_type.as_deref(), modality),
        mime_type,
        sha256,
        size: bytes.len() as u64,
    }
}

fn modality_of_kind(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "image" | "image_url" | "input_image" | "image-url" => "image",
        "audio" | "input_audio" | "audio-url" => "audio",
        "video" | "video_url" | "video-url" => "video",
        "file" | "input_file" | "document" | "document-url" | "binary" | "blob" | "uri" | "media" => "file",
        _ => return None,
    })
}

/// What the type of the bytes says is more than what the part is called.
fn modality_of_mime(mime: Option<&str>, otherwise: &str) -> String {
    let family = mime.and_then(|mime| mime.split('/').next()).unwrap_or_default();
    let known = ["image", "audio", "video"].into_iter().find(|known| *known == family);
    known.unwrap_or(if otherwise == "document" { "file" } else { otherwise }).to_owned()
}
