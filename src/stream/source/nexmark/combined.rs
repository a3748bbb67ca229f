//! All events in one table: a struct column per kind, null where the event tells of another.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StructArray, TimestampMillisecondArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};

use super::event::{EPOCH, Entity, Events, Segments};
use super::field::{self, Shape};
use super::schema::struct_fields;
use crate::batch::Column;
use crate::error::{Error, Result};
use crate::stream::source::datagen::rows::Scratch;

/// Makes the struct column of `entity` for the events `rows`.
///
/// The children carry the struct's nulls as well: readers that look at a child alone see the right rows.
pub fn structs(
    events: &Events,
    entity: Entity,
    rows: Range<u64>,
    scratch: &mut Scratch,
    out: &mut Column,
) -> Result<()> {
    let row_count = (rows.end - rows.start) as usize;
    let offsets = entity.offsets();
    let first = rows.start;
    let told = BooleanBuffer::collect_bool(row_count, |row| offsets.contains(&((first + row as u64) % EPOCH)));
    let nulls = NullBuffer::new(told);
    let mut children: Vec<ArrayRef> = Vec::with_capacity(entity.fields().len());
    for (number, field) in entity.fields().iter().enumerate() {
        let segments = Segments::among_all(entity, rows.clone());
        if field.shape == Shape::Text {
            let mut child = Column::default();
            let pool = field::pool(entity, number);
            scratch.pick(pool, row_count, Some(nulls.clone()), &mut child, |picks| {
                // What stands under nulls is looked up too, so it must be an entry of this pool.
                picks.fill(0);
                field::picks(events, entity, number, segments, picks);
            })?;
            if let Column::Array(array) = child {
                children.push(array);
            }
            continue;
        }
        let mut values = vec![0i64; row_count];
        field::integers(events, entity, number, segments, &mut values);
        children.push(match field.shape {
            Shape::Time => Arc::new(TimestampMillisecondArray::new(values.into(), Some(nulls.clone()))),
            _ => Arc::new(Int64Array::new(values.into(), Some(nulls.clone()))),
        });
    }
    let structs = StructArray::try_new(struct_fields(entity), children, Some(nulls))
        .map_err(|e| Error::bug(format!("nexmark made a struct that does not fit: {e}")))?;
    *out = Column::Array(Arc::new(structs));
    Ok(())
}
