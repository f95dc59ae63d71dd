//! The command against servers that behave as badly as servers do, and the words it shows. Against a real one it is told
//! among the stories of `services/server`.

#![expect(clippy::unwrap_used, reason = "all of this is test code; clippy sees it only inside the test functions")]

mod broken;
mod buckets;
mod desk;
mod help;
mod logins;
mod serve;
mod waiting;
