//! The auth service over its real routes and the real catalog (SQLite), with a clock that tests move.

mod apps_and_agents;
mod house;
mod keys;
mod people;
mod sessions;
mod strangers;
