//! Rows as one Parquet file in memory, of a size its maker bounds.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::file::Error;

/// Rows in a row group at most.
const ROW_GROUP_ROWS: usize = 122_880;
/// Bytes in a row group at most, before compression: what is held beside the file itself.
const ROW_GROUP_BYTES: usize = 32 << 20;

/// A Parquet file that grows: zstd, with statistics, and without notes that only Arrow understands.
pub struct Columnar {
    writer: ArrowWriter<Vec<u8>>,
}

impl Columnar {
    /// A file of these columns, with no rows yet.
    ///
    /// # Errors
    /// When a column is of a type that Parquet does not have.
    pub fn new(schema: SchemaRef) -> Result<Self, Error> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).unwrap_or_default()))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
            .set_created_by(format!("spanlake {}", env!("CARGO_PKG_VERSION")))
            .build();
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        Ok(Self { writer: ArrowWriter::try_new_with_options(Vec::new(), schema, options)? })
    }

    /// Appends rows. Takes a while: keep it off the async threads.
    ///
    /// # Errors
    /// When the batch does not have the file's columns.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        Ok(self.writer.write(batch)?)
    }

    /// About how large the file would be if it ended here.
    pub fn bytes(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }

    /// The whole file.
    ///
    /// # Errors
    /// When its last row group cannot be encoded.
    pub fn finish(self) -> Result<Vec<u8>, Error> {
        Ok(self.writer.into_inner()?)
    }
}
