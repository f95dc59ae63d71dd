//! How much memory it takes to read a row group from front to back.

use parquet::basic::Type;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::page_index::offset_index::OffsetIndexMetaData;

/// What a value takes in a batch beside its bytes.
const VALUE_BYTES: u64 = 16;

/// Bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Need {
    /// The largest page of each column, decoded, twice: a batch may begin in one and end in the next.
    pub(super) pages: u64,
    /// A row, where rows are largest.
    pub(super) row: u64,
}

impl Need {
    /// From the sizes in the page index, which are those before encoding; without them, from those of whole columns.
    pub(super) fn of(metadata: &ParquetMetaData, group: usize) -> Self {
        let index = metadata.offset_index().and_then(|index| index.get(group));
        let group = metadata.row_group(group);
        let rows = u64::try_from(group.num_rows()).unwrap_or(0).max(1);
        let columns = group.columns().iter().enumerate();
        columns.fold(Self::default(), |sum, (number, column)| {
            let need = of_column(column, rows, index.and_then(|index| index.get(number)));
            Self { pages: sum.pages + need.pages, row: sum.row + need.row }
        })
    }
}

fn of_column(column: &ColumnChunkMetaData, rows: u64, index: Option<&OffsetIndexMetaData>) -> Need {
    let whole = u64::try_from(column.uncompressed_size()).unwrap_or(0);
    let count = index.map_or(1, |index| index.page_locations().len().max(1)) as u64;
    let known = index.filter(|_| column.column_type() == Type::BYTE_ARRAY);
    let largest = known.and_then(|index| Some(largest(index, index.unencoded_byte_array_data_bytes()?, rows)));
    // Values of one width fill pages alike.
    let (page, row) = largest.unwrap_or_else(|| match column.column_type() {
        Type::BYTE_ARRAY => (whole, whole.div_ceil(rows)),
        _ => (whole.div_ceil(count), whole.div_ceil(rows)),
    });
    Need { pages: 2 * page, row: row + VALUE_BYTES }
}

/// The bytes of the largest page, and of a row in the page with the largest rows.
fn largest(index: &OffsetIndexMetaData, sizes: &[i64], rows: u64) -> (u64, u64) {
    let firsts = index.page_locations().iter().map(|page| u64::try_from(page.first_row_index).unwrap_or(0));
    let ends = firsts.clone().skip(1).chain([rows]);
    let (mut page, mut row) = (0, 0);
    for ((first, end), size) in firsts.zip(ends).zip(sizes) {
        let size = u64::try_from(*size).unwrap_or(0);
        page = page.max(size);
        row = row.max(size.div_ceil(end.saturating_sub(first).max(1)));
    }
    (page, row)
}
