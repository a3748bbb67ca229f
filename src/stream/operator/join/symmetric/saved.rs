//! Both sides as sections of a snapshot, and back.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, sort_to_indices, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema};

use super::{SECTION_ROWS, SymmetricJoin, index};
use crate::batch::{Argument, Column, KernelColumn, Selection};
use crate::error::{Error, Result};
use crate::pipeline::JoinSide;
use crate::state::{Section, SectionRoute};

impl SymmetricJoin {
    pub(super) fn sections(&mut self, side: JoinSide, out: &mut Vec<Section>) -> Result<()> {
        let held = &self.sides[index(side)];
        let shape = held.map.shape();
        let columns: Vec<usize> = held.key_places.iter().copied().chain(0..shape.types.len()).collect();
        let mut fields: Vec<Field> =
            columns.iter().map(|&column| Field::new(format!("c{column}"), shape.types[column].clone(), true)).collect();
        fields.push(Field::new("matches", DataType::UInt32, false));
        if held.ttl.is_some() {
            fields.push(Field::new("came", DataType::Int64, false));
        }
        let schema = Arc::new(Schema::new(fields));
        let key_count = held.key_places.len();
        let route = if key_count == 0 { SectionRoute::First } else { SectionRoute::Key { key_count } };
        for ids in held.map.ids(SECTION_ROWS) {
            let mut arrays: Vec<ArrayRef> = Vec::with_capacity(columns.len() + 1);
            for &column in &columns {
                let mut gathered = Column::default();
                held.map.gather(column, &ids, &mut gathered)?;
                arrays.push(gathered.to_array(&shape.types[column], ids.len(), &Selection::default())?);
            }
            let count = |id: &u32| if shape.counted { held.map.count(*id) } else { 0 };
            arrays.push(Arc::new(UInt32Array::from_iter_values(ids.iter().map(count))));
            if held.ttl.is_some() {
                arrays.push(Arc::new(Int64Array::from_iter_values(ids.iter().map(|id| held.map.stamp(*id)))));
            }
            let rows = RecordBatch::try_new(schema.clone(), arrays)?;
            out.push(Section { name: section_name(side).to_string(), rows, route });
        }
        Ok(())
    }

    /// Takes sections of a side over, in the order in which their rows came where that counts.
    pub(super) fn restore_side(&mut self, side: JoinSide, sections: Vec<Section>) -> Result<()> {
        let Some(first) = sections.first().filter(|_| self.sides[index(side)].ttl.is_some()) else {
            return sections.iter().try_for_each(|section| self.restore_section(side, section));
        };
        let all = concat_batches(&first.rows.schema(), sections.iter().map(|section| &section.rows))?;
        let came = sort_to_indices(all.column(all.num_columns() - 1), None, None)?;
        let all = take_record_batch(&all, &came)?;
        for from in (0..all.num_rows()).step_by(SECTION_ROWS) {
            let rows = all.slice(from, SECTION_ROWS.min(all.num_rows() - from));
            self.restore_section(side, &Section { rows, ..first.clone() })?;
        }
        Ok(())
    }

    fn restore_section(&mut self, side: JoinSide, section: &Section) -> Result<()> {
        let held = &mut self.sides[index(side)];
        let (key_count, count) = (held.key_places.len(), held.map.shape().types.len());
        let (rows, columns) = (section.rows.num_rows(), section.rows.columns());
        if columns.len() != key_count + count + 1 + usize::from(held.ttl.is_some()) {
            return Err(Error::bug(format!("a snapshot's rows of a join have {} columns", columns.len())));
        }
        let loaded: Vec<KernelColumn> =
            columns.iter().map(|array| KernelColumn::new(Column::Array(array.clone()))).collect();
        let arguments: Vec<Argument<'_>> = loaded.iter().map(|column| column.argument(rows)).collect();
        let matches = arguments[key_count + count].values::<u32>()?;
        let all: Vec<u32> = (0..rows as u32).collect();
        let (mut scratch, mut hashes) = (Vec::new(), Vec::new());
        let types: Vec<DataType> = held.key_types().to_vec();
        let seed = held.seed();
        let keys = &arguments[..key_count];
        crate::state::hash_keys(self.context.level, seed, keys, &types, rows, &mut scratch, &mut hashes)?;
        for all in all.chunks(SECTION_ROWS) {
            let positions: Vec<u16> = all.iter().map(|&row| row as u16).collect();
            let counts = if held.map.shape().counted { matches } else { &[] };
            let stamps = match held.ttl {
                Some(_) => arguments[key_count + count + 1].values::<i64>()?,
                None => &[],
            };
            held.map.append_stamped(&arguments[key_count..key_count + count], &hashes, &positions, counts, stamps)?;
        }
        Ok(())
    }
}

pub(super) fn section_name(side: JoinSide) -> &'static str {
    match side {
        JoinSide::Left => "join left 1",
        JoinSide::Right => "join right 1",
    }
}
