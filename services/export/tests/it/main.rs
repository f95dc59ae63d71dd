//! The export over its routes, with a source of spans that is a list.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod formats;
mod jobs;
mod pages;
mod refusals;
mod rows;
mod world;
