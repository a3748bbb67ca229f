//! Lists, structs and maps: their text goes through Arrow's own decoder, a batch at a time.

use std::sync::Arc;

use arrow::array::{ArrayRef, new_empty_array};
use arrow::datatypes::{Field, FieldRef};
use arrow::json::ReaderBuilder;

use crate::stream::decode::Block;

/// The array of the values that lie at `ranges` of the block; an empty range is null.
///
/// Failure: the first row whose value does not fit.
pub fn build(field: &FieldRef, block: &Block, ranges: &[(u32, u32)]) -> Result<ArrayRef, usize> {
    if ranges.is_empty() {
        return Ok(new_empty_array(field.data_type()));
    }
    // Nulls were judged before; Arrow must be free to put them in.
    let free = Arc::new(Field::new(field.name(), field.data_type().clone(), true));
    if let Some(array) = decode(&free, block, ranges) {
        return Ok(array);
    }
    let bad = (0..ranges.len()).find(|&row| decode(&free, block, &ranges[row..=row]).is_none());
    Err(bad.unwrap_or(0))
}

fn decode(field: &FieldRef, block: &Block, ranges: &[(u32, u32)]) -> Option<ArrayRef> {
    let mut text = Vec::with_capacity(ranges.iter().map(|&(start, end)| (end - start) as usize + 5).sum());
    for &(start, end) in ranges {
        let value = &block.text()[start as usize..end as usize];
        text.extend_from_slice(if value.is_empty() { b"null" } else { value });
        text.push(b'\n');
    }
    let builder =
        ReaderBuilder::new_with_field(field.clone()).with_batch_size(ranges.len()).with_coerce_primitive(true);
    let mut decoder = builder.build_decoder().ok()?;
    let read = decoder.decode(&text).ok()?;
    let record = decoder.flush().ok()??;
    let whole = read == text.len() || text[read..].iter().all(u8::is_ascii_whitespace);
    (whole && record.num_rows() == ranges.len()).then(|| record.column(0).clone())
}
