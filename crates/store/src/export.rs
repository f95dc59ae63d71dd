//! Files for others: where exports are written, and Parquet that is made for any reader.
//!
//! Nothing here is read by us again but the manifest. A file is there whole and durable, or not at all.

mod bucket;
mod columnar;
mod outlet;
mod trouble;

pub use bucket::{Bucket, Refusal, is_public};
pub use columnar::Columnar;
pub use outlet::{Outlet, PathError};
pub use trouble::Trouble;
