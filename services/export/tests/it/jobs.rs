//! Exports into files: a real catalog and worker, rows from a model of what query answers, and a store that fails when told.

mod bench;
mod doors;
mod failures;
mod faulty;
mod files;
mod history;
mod model;
mod stories;
