//! How data files are encoded.

use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::Name;
use crate::schema;

/// Settings of data files. The defaults are for flushes, which are written while clients wait for room.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Rows in a row group at most.
    pub row_group_rows_max: usize,
    /// Bytes in a row group at most, before compression.
    pub row_group_bytes_max: usize,
    /// Bytes in a page, before compression.
    pub page_bytes: usize,
    /// Bytes in a page of long texts, before compression: what repeats within it is stored once.
    pub text_page_bytes: usize,
    /// zstd level; 0 for LZ4, which is less work than level 1 and makes files half as large again.
    pub zstd_level: i32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            row_group_rows_max: 131_072,
            row_group_bytes_max: 128 << 20,
            page_bytes: 256 << 10,
            text_page_bytes: 256 << 10,
            zstd_level: 1,
        }
    }
}

impl Config {
    /// For merged files, which are written in the background, and again when they have grown.
    pub fn merged() -> Self {
        Self { text_page_bytes: 1 << 20, zstd_level: 3, ..Self::default() }
    }

    /// For files that will hardly be written again: three times the work of [`Self::merged`], a tenth smaller.
    pub fn settled() -> Self {
        Self { zstd_level: 7, ..Self::merged() }
    }

    fn compression(&self) -> Compression {
        match self.zstd_level {
            0 => Compression::LZ4_RAW,
            level => Compression::ZSTD(ZstdLevel::try_new(level).unwrap_or_default()),
        }
    }
}

/// Hardly ever twice the same.
const TEXTS: [&str; 3] = ["attributes", "input", "output"];
/// Long; of one sender often the same, so that a dictionary holds them.
const LONG: [&str; 4] = ["metadata", "resource", "events", "links"];
/// Looked up one by one: a bloom filter each.
const LOOKED_UP: [&str; 5] = ["trace_id", "span_id", "session_id", "user_id", "key_high"];

pub(super) fn properties(name: &Name, rows: usize, config: &Config) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(config.compression())
        .set_max_row_group_row_count(Some(config.row_group_rows_max))
        .set_max_row_group_bytes(Some(config.row_group_bytes_max))
        .set_data_page_size_limit(config.page_bytes)
        .set_data_page_row_count_limit(8_192)
        .set_created_by(format!("spanlake {}", env!("CARGO_PKG_VERSION")))
        .set_key_value_metadata(Some(vec![
            KeyValue::new("spanlake.format_version".into(), schema::format_version(name.table).to_string()),
            KeyValue::new("spanlake.tenant".into(), name.tenant.to_string()),
            KeyValue::new("spanlake.table".into(), name.table.as_str().to_string()),
            KeyValue::new("spanlake.day".into(), name.day.to_string()),
        ]));
    for column in TEXTS.map(ColumnPath::from) {
        properties = properties
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_data_page_size_limit(column, config.text_page_bytes);
    }
    for column in TEXTS.into_iter().chain(LONG).map(ColumnPath::from) {
        properties = properties.set_column_statistics_enabled(column, EnabledStatistics::None);
    }
    for column in ["trace_id", "span_id", "parent_span_id", "key_high", "key_low", "score_id"].map(ColumnPath::from) {
        properties = properties.set_column_dictionary_enabled(column, false);
    }
    for column in LOOKED_UP.map(ColumnPath::from) {
        properties = properties
            .set_column_bloom_filter_enabled(column.clone(), true)
            .set_column_bloom_filter_fpp(column.clone(), 0.01)
            .set_column_bloom_filter_max_ndv(column, rows.clamp(1, config.row_group_rows_max) as u64);
    }
    properties.build()
}
