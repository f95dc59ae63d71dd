//! The whole book: that it is sound, that real names find their price, and what holds for any call.

#![expect(clippy::unwrap_used, reason = "all of this is test code; clippy sees it only inside the test functions")]

mod cost;
mod entries;
mod names;
