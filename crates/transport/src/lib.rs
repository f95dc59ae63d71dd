//! Process plumbing: configuration, telemetry, listeners, shutdown, error responses.
//!
//! ```text
//!   config::load ──► telemetry::init ──► Listener::bind ──► listener::serve ◄── Shutdown (signals, drain, deadline)
//!                                                               │
//!   request ──► layers::public (id, span, deadline, panics, 404/405, headers)
//!                    └──► extract::{Path, Query, Body} ──► handler ──► response::{Data, Page, …} or ErrorResponse
//! ```
//!
//! Invariants
//! - Every body is read through [`body::read`], whose cap holds on the decompressed bytes while they are decoded.
//! - Every answer of a public listener carries `X-Request-Id`; every error is the one envelope of [`response`],
//!   unless a handler writes another protocol's own error body.
//! - Every connection, header block, body and drain has a bound; each module says what happens at it.
//! - Every route of an [`Api`] says who may use it: [`Routes::to`] is the only way to add one.
//! - Payloads and credentials are never logged; a [`config::Secret`] prints as `***`.
//!
//! Deliberately absent: credentials and limits (`access`), TLS to the public (a proxy's work), and any route of our own but health.
//!
//! ```
//! use std::sync::Arc;
//! use axum::routing::get;
//! use spanlake_model::{SystemClock, SystemEntropy};
//! use spanlake_transport::{layers, response::Data};
//!
//! let routes = axum::Router::new().route("/hello", get(|| async { Data("hello") }));
//! let app = layers::public(routes, layers::Config::default(), Arc::new(SystemClock), Arc::new(SystemEntropy));
//! # let _: axum::Router = app;
//! ```

mod api;
pub mod body;
pub mod config;
pub mod extract;
pub mod health;
pub mod layers;
pub mod listener;
pub mod metrics;
pub mod openapi;
pub mod peer;
pub mod response;
pub mod shutdown;
pub mod telemetry;

pub use api::{Api, Permission, Routes};
