//! The auth service over its real routes and the real catalog (SQLite), with a clock that tests move.
#![expect(clippy::unwrap_used, reason = "all of this is test code; clippy sees it only inside the test functions")]

mod apps_and_agents;
mod audit;
mod closing;
mod house;
mod keys;
mod limits;
mod members;
mod passwords;
mod people;
mod prices;
mod retention;
mod rotation;
mod sessions;
mod strangers;
