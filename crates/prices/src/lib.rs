//! What a call of a model costs.
//!
//! List prices are data: a file for each provider under `book/`, with the source and the day beside each price. A tenant's own
//! prices lie over them. Everything here is pure: names and numbers in, dollars out; who calls may remember the answers.
//!
//! ```text
//!   book/*.toml ──► List ─┐ by name (name.rs: prefixes, versions)
//!                         ├──► Entry ──► prices of that day ──► tiers ──┐
//!   OwnPrices ────────────┘                                             ├──► cost ──► Priced ──► settle ◄── sent cost
//!   Usage ──► disjoint classes of tokens ───────────────────────────────┘
//! ```
//!
//! Invariants
//! - A model that is not known has no cost. It is never zero, and never the price of another model with a similar name.
//! - Each token is of exactly one [`Class`] and is paid for once: caches are taken out of the input, sound and pictures as well,
//!   and thinking stays in the output unless it has a price of its own.
//! - Money is decimal. A price is a whole number of 10⁻¹⁵ dollars a token; each side of a call is rounded once, to 10⁻¹²
//!   dollars, half up; the total is the sum of the sides.
//! - Nothing is stored: the same span read under another book costs what that book says. [`Priced::version`] tells which.
//!
//! Absent on purpose: currencies, prices per request, per second or per stored hour, taxes and discounts of a contract (set own
//! prices for those), and counting tokens of text.
//!
//! ```
//! use spanlake_model::{Timestamp, Usage};
//! use spanlake_prices::{Book, Call};
//!
//! let usage = Usage { input: Some(1_000), output: Some(200), cache_read: Some(400), ..Usage::default() };
//! let start = Timestamp::parse("2026-11-01").unwrap();
//! let call = Call { provider: Some("openai"), model: Some("gpt-4o-2024-08-06"), start, usage, ..Call::default() };
//! let priced = Book::standard().cost(&call).unwrap();
//! // 600 at $2.50, 400 at $1.25 and 200 at $10 for a million.
//! assert_eq!(priced.cost.total.unwrap().to_string(), "0.004000000000");
//! assert_eq!(priced.entry, "openai/gpt-4o");
//! ```

mod book;
mod class;
mod cost;
mod entry;
mod file;
mod list;
mod name;
mod own;
mod rate;
mod sent;
mod settle;
mod tier;

pub use book::{Book, Call, Priced};
pub use class::{Class, Prices};
pub use cost::Extra;
pub use entry::Entry;
pub use own::{OwnError, OwnPrice, OwnPrices};
pub use rate::{Rate, RateError};
pub use settle::{Desk, Spent, settle};
