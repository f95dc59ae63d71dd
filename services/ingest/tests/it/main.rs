//! The whole service over a real catalog, and a machine that fails.

#![expect(clippy::unwrap_used, reason = "all of this is test code; clippy sees it only inside the test functions")]

mod bounds;
mod broken_files;
mod clock;
mod closing;
mod logs;
mod machine;
mod power_loss;
mod receipts;
mod scores;
