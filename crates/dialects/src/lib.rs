//! How others spell the traces of LLM agents, turned into [`spanlake_model::Span`]s.
//!
//! ```text
//!   bytes ──otlp::decode_traces──► TracesRequest ──normalise──────► spans ┐ + reasons why some were refused
//!        └──otlp::decode_logs────► LogsRequest ────normalise_logs─► spans ┘
//!            protobuf: read in place     one pass over the attributes of each span puts every known key in a slot;
//!            JSON: lenient visitors      `normalise::fields` lists, per field, which keys to believe in which order
//!   a span's input or output ──chat──► messages, when it is a conversation
//! ```
//!
//! Invariants
//! - Pure functions on bytes: no IO, no clock, no randomness. The same bytes and [`Context`] always give the same answer,
//!   because the log keeps requests as they came and is replayed through here.
//! - Nothing panics, whatever arrives. One bad span loses only itself; one bad value loses only itself.
//! - Every attribute is kept as it was sent; what we make of it is added.
//! - Precedence is decided per field, never per dialect: real spans mix dialects.
//!
//! Not here: what needs more than one span: sums, the trace's own input and output, a log record's way to its span.
//!
//! ```
//! use spanlake_dialects::otlp::{Encoding, decode_traces};
//! let request = decode_traces(Encoding::Json, br#"{"resourceSpans": []}"#).unwrap();
//! assert_eq!(request.span_count(), 0);
//! ```

pub mod chat;
mod json;
pub mod normalise;
pub mod otlp;
mod python;
mod request;
mod sent;

pub use normalise::{Attribution, Context, Normalised, Refusals, Rejected, Taker, normalise, normalise_logs};
pub use request::Request;
