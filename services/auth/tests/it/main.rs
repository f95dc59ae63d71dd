//! The auth service over its real routes and the real catalog (SQLite), with a clock that tests move.
#![expect(clippy::unwrap_used, reason = "all of this is test code; clippy sees it only inside the test functions")]

mod apps_and_agents;
mod house;
mod keys;
mod members;
mod people;
mod prices;
mod retention;
mod rotation;
mod sessions;
mod strangers;
