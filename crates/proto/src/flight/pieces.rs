//! Record batches cut into messages.
//!
//! A string view array shares its text buffers with the batch it was sliced or filtered from, and Arrow IPC writes each
//! buffer whole: one row of a large batch would travel with all of its neighbours' texts. So pieces are measured by the
//! rows in them, and each gets buffers of its own.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch, RecordBatchOptions, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;

/// Small enough to encode without holding up the runtime, large enough that the framing does not count.
const PIECE_BYTES: usize = 1 << 20;

/// The batch in slices of about a megabyte; a row that is larger stands alone. Copies nothing. No rows give no pieces.
pub(super) fn split(batch: &RecordBatch) -> Vec<RecordBatch> {
    let mut pieces = Vec::new();
    let mut rest = if batch.num_rows() == 0 { vec![] } else { vec![batch.clone()] };
    while let Some(slice) = rest.pop() {
        let rows = slice.num_rows();
        if rows == 1 || batch_bytes(&slice) <= PIECE_BYTES {
            pieces.push(slice);
            continue;
        }
        let half = rows / 2;
        rest.push(slice.slice(half, rows - half));
        rest.push(slice.slice(0, half));
    }
    pieces
}

/// The same rows in buffers that hold nothing else.
pub(super) fn compact(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().map(compact_array).collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(batch.schema(), columns, &options)
}

fn batch_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(array_bytes).sum()
}

/// About what the rows of a slice take, whatever it was sliced from.
fn array_bytes(array: &ArrayRef) -> usize {
    match array.data_type() {
        DataType::Utf8View => array.len() * 16 + array.as_string_view().total_buffer_bytes_used(),
        DataType::BinaryView => array.len() * 16 + array.as_binary_view().total_buffer_bytes_used(),
        DataType::List(_) => (array.len() + 1) * 4 + array_bytes(&list_values(array.as_list())),
        DataType::Struct(_) => array.as_struct().columns().iter().map(array_bytes).sum(),
        _ => array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size()),
    }
}

fn compact_array(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    Ok(match array.data_type() {
        DataType::Utf8View => Arc::new(array.as_string_view().gc()),
        DataType::BinaryView => Arc::new(array.as_binary_view().gc()),
        DataType::List(field) if holds_views(field) => Arc::new(compact_list(Arc::clone(field), array.as_list())?),
        DataType::Struct(fields) if fields.iter().any(|field| holds_views(field)) => {
            let structs = array.as_struct();
            let columns = structs.columns().iter().map(compact_array).collect::<Result<_, _>>()?;
            Arc::new(StructArray::try_new_with_length(fields.clone(), columns, structs.nulls().cloned(), array.len())?)
        }
        _ => Arc::clone(array),
    })
}

fn holds_views(field: &Field) -> bool {
    match field.data_type() {
        DataType::Utf8View | DataType::BinaryView => true,
        DataType::List(inner) => holds_views(inner),
        DataType::Struct(fields) => fields.iter().any(|field| holds_views(field)),
        _ => false,
    }
}

/// The items of the lists in this slice and of no other.
fn list_values(list: &ListArray) -> ArrayRef {
    let offsets = list.value_offsets();
    let (first, last) = (offsets[0].unsigned_abs() as usize, offsets[list.len()].unsigned_abs() as usize);
    list.values().slice(first, last - first)
}

fn compact_list(field: Arc<Field>, list: &ListArray) -> Result<ListArray, ArrowError> {
    let first = list.value_offsets()[0];
    let offsets = OffsetBuffer::new(list.value_offsets().iter().map(|offset| offset - first).collect());
    ListArray::try_new(field, offsets, compact_array(&list_values(list))?, list.nulls().cloned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ListBuilder, StringViewArray, StringViewBuilder};
    use arrow::compute::concat_batches;
    use arrow::ipc::writer::StreamWriter;

    fn rows(count: usize, text_bytes: usize) -> RecordBatch {
        let text = |row: usize| format!("{row:09}-{}", "x".repeat(text_bytes));
        let texts: StringViewArray = (0..count).map(|row| (row % 3 > 0).then(|| text(row))).collect();
        let mut tags = ListBuilder::new(StringViewBuilder::new());
        for row in 0..count {
            tags.append_option((row % 5 > 0).then(|| [Some(text(row)), None]));
        }
        let columns: [(_, ArrayRef, _); 2] = [("text", Arc::new(texts), true), ("tags", Arc::new(tags.finish()), true)];
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    }

    fn on_the_wire(batch: &RecordBatch) -> usize {
        let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
        writer.write(batch).unwrap();
        writer.into_inner().unwrap().len()
    }

    #[test]
    fn pieces_are_small_and_together_the_batch() {
        let batch = rows(2_000, 4_000);
        let pieces: Vec<_> = split(&batch).iter().map(|piece| compact(piece).unwrap()).collect();
        for piece in &pieces {
            assert!(
                on_the_wire(piece) <= PIECE_BYTES * 5 / 4,
                "{} rows, {} bytes",
                piece.num_rows(),
                on_the_wire(piece)
            );
        }
        assert!(pieces.len() > 10);
        assert_eq!(concat_batches(&batch.schema(), &pieces).unwrap(), batch);
    }

    #[test]
    fn a_row_larger_than_a_piece_stands_alone() {
        let batch = rows(3, 3 << 20);
        assert_eq!(split(&batch).iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [1, 1, 1]);
    }

    #[test]
    fn a_slice_leaves_its_neighbours_behind() {
        let slice = rows(1_000, 4_000).slice(501, 1);
        assert!(on_the_wire(&slice) > 4 << 20, "as it is, all texts would travel");
        let compacted = compact(&slice).unwrap();
        assert!(on_the_wire(&compacted) < 16 << 10, "{}", on_the_wire(&compacted));
        assert_eq!(compacted, slice);
    }

    #[test]
    fn no_rows_make_no_piece() {
        assert!(split(&rows(0, 1)).is_empty());
    }
}
