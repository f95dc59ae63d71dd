//! One request, the whole of what is answered, and whether that says too much.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use reqwest::Method;
use serde_json::Value;
use tonic::metadata::{KeyAndValueRef, MetadataMap};

use super::party::Party;
use crate::client::{Client, PROTOBUF};

/// What is sent.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// `GET /v1/traces/{id}`.
    pub(super) operation: String,
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) credential: String,
    pub(super) body: Content,
    /// Things of others that are named in it, lower case.
    pub(super) named: Vec<String>,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    Nothing,
    Json(Value),
    Spans(Box<ExportTraceServiceRequest>),
    /// The same over gRPC.
    Grpc(Box<ExportTraceServiceRequest>),
    Bytes(Vec<u8>),
}

/// Everything that came back, as text.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) status: u16,
    /// Headers and body, lower case.
    pub(super) text: String,
    /// The body, where it is JSON.
    pub(super) json: Value,
    pub(super) headers: BTreeMap<String, String>,
}

impl Asked {
    pub(super) async fn send(&self, client: &Client) -> Heard {
        if let Content::Grpc(request) = &self.body {
            return self.call(client, request).await;
        }
        let mut request = client.at(self.method.clone(), &self.url).query(&self.query).bearer_auth(&self.credential);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let request = match &self.body {
            Content::Nothing | Content::Grpc(_) => request,
            Content::Json(body) => request.json(body),
            Content::Spans(spans) => request.header("content-type", PROTOBUF).body(spans.encode_to_vec()),
            Content::Bytes(bytes) => request.header("content-type", PROTOBUF).body(bytes.clone()),
        };
        let answer = client.send(request).await;
        let named = answer.headers.iter();
        let headers: BTreeMap<_, _> = named
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let json = serde_json::from_slice(&answer.body).unwrap_or_default();
        Heard { status: answer.status, text: format!("{headers:?} {}", answer.text()).to_lowercase(), json, headers }
    }

    async fn call(&self, client: &Client, spans: &ExportTraceServiceRequest) -> Heard {
        let mut request = tonic::Request::new(spans.clone());
        if let Ok(bearer) = format!("Bearer {}", self.credential).parse() {
            request.metadata_mut().insert("authorization", bearer);
        }
        let (status, metadata, said) = match client.grpc().await.export(request).await {
            Ok(answer) => (200, answer.metadata().clone(), format!("{:?}", answer.into_inner())),
            // Unlike any status of HTTP that the story counts.
            Err(status) => (400, status.metadata().clone(), format!("{status:?} {:?}", status.details())),
        };
        Heard { status, text: format!("{} {said}", told(&metadata)).to_lowercase(), ..Heard::default() }
    }
}

fn told(metadata: &MetadataMap) -> String {
    let pair = |pair: KeyAndValueRef<'_>| match pair {
        KeyAndValueRef::Ascii(name, value) => format!("{name}: {}", String::from_utf8_lossy(value.as_encoded_bytes())),
        KeyAndValueRef::Binary(name, value) => {
            format!("{name}: {}", String::from_utf8_lossy(&value.to_bytes().unwrap_or_default()))
        }
    };
    metadata.iter().map(pair).collect::<Vec<_>>().join("\n")
}

/// The canary of `other` that an answer holds, if it holds one. An error may say what was asked; a success knows nothing of it.
pub(super) fn leak<'a>(asked: &Asked, heard: &Heard, other: &'a Party) -> Option<&'a str> {
    let mut text = heard.text.clone();
    if heard.status >= 400 {
        // The longest first, so that none leaves the rest of another.
        let mut named = asked.named.clone();
        named.sort_by_key(|one| std::cmp::Reverse(one.len()));
        for one in &named {
            text = text.replace(one.as_str(), "");
        }
    }
    other.canaries().find(|canary| text.contains(&canary.to_lowercase()))
}
