//! `/v1/me/password` and links to reset one.

pub(super) mod change;
pub(super) mod create_reset;
pub(super) mod reset;
