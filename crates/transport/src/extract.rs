//! Extractors that refuse with our error envelope: [`Body`], [`Query`], [`Path`].

mod json;
mod path;
mod query;
mod values;

pub use json::Body;
pub use path::Path;
pub use query::Query;
