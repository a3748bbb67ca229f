//! Rows in columns at numbered places, which are given back and used again.
//!
//! Owns        its rows; a place that is free keeps its memory. A row costs its values and nothing else.
//! Invariants  a place is used or free; values at free places mean nothing.

use std::cmp::Ordering;

use arrow::array::ArrayRef;
use arrow::compute::SortOptions;
use arrow::datatypes::DataType;

use super::column::{self, ColumnType, Incoming, Place, Stored};
use crate::batch::{Column, KernelColumn, Selection, held_bytes};
use crate::error::{Error, Result};

/// Rows at places.
#[derive(Debug)]
pub struct Slots {
    types: Vec<ColumnType>,
    columns: Vec<Stored>,
    rows: usize,
    free: Vec<u32>,
}

/// Rows of a batch, ready to be put at places or compared with what is there.
pub struct NewRows<'a> {
    columns: Vec<Incoming<'a>>,
}

/// A row at a place, or one of a batch: compared with others by [`Slots::compare`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotRow(Place);

impl SlotRow {
    /// The row at a place.
    pub fn at(place: u32) -> Self {
        SlotRow(Place::Kept(place))
    }

    /// A row of the batch.
    pub fn new(row: u32) -> Self {
        SlotRow(Place::Row(row))
    }
}

impl Slots {
    /// Most places there are.
    pub const MOST: usize = 1 << 31;

    /// No rows yet, with columns of these types. The order is that of values without a machine form, as nested ones.
    ///
    /// Failure: a type that has no row format.
    pub fn new(types: &[(DataType, SortOptions)]) -> Result<Self> {
        let types = types.iter().map(|(data_type, options)| ColumnType::ordered(data_type.clone(), *options));
        let types = types.collect::<Result<Vec<_>>>()?;
        let columns = types.iter().map(ColumnType::empty).collect();
        Ok(Slots { types, columns, rows: 0, free: Vec::new() })
    }

    /// How many places are used.
    pub fn used(&self) -> usize {
        self.rows - self.free.len()
    }

    /// How many places are free.
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// The rows of a batch, whose columns are ready for kernels.
    ///
    /// Shapes: a column of `rows` rows per type.
    pub fn incoming<'a>(&self, columns: &'a [KernelColumn], rows: usize) -> Result<NewRows<'a>> {
        assert_eq!(columns.len(), self.types.len(), "a column per type");
        let columns = columns.iter().zip(&self.types).map(|(column, of)| of.incoming(&column.argument(rows)));
        Ok(NewRows { columns: columns.collect::<Result<_>>()? })
    }

    /// Finds a place for each of `count` more rows, and adds them to `places`; they are used from now on.
    ///
    /// Failure: more rows than have numbers.
    pub fn take(&mut self, count: usize, places: &mut Vec<u32>) -> Result<()> {
        let again = count.min(self.free.len());
        places.extend(self.free.drain(self.free.len() - again..));
        let (first, rows) = (self.rows, self.rows + count - again);
        if rows > Self::MOST {
            return Err(Error::user("a table of rows holds at most 2 billion of them; filter or aggregate them first"));
        }
        if rows > first {
            places.extend(first as u32..rows as u32);
            self.rows = rows;
            self.columns.iter_mut().for_each(|column| column.grow(rows));
        }
        Ok(())
    }

    /// Gives a place back.
    pub fn give_back(&mut self, place: u32) {
        self.columns.iter_mut().for_each(|column| column.give_up(place));
        self.free.push(place);
    }

    /// Puts rows of a batch at places that are used, over what was there.
    ///
    /// Shapes: a place per row.
    pub fn put(&mut self, new: &NewRows<'_>, rows: &[u32], places: &[u32]) {
        for (column, incoming) in self.columns.iter_mut().zip(&new.columns) {
            column.put(incoming, rows, places);
        }
    }

    /// Compares the values of a column. Those without a machine form have the order that the column was made with.
    pub fn compare(
        &self,
        column: usize,
        a: SlotRow,
        b: SlotRow,
        new: Option<&NewRows<'_>>,
        options: SortOptions,
    ) -> Ordering {
        let stored = &self.columns[column];
        let incoming = new.map(|new| &new.columns[column]);
        if stored.is_null_at(a.0, incoming) || stored.is_null_at(b.0, incoming) {
            let ordering = stored.compare(a.0, b.0, incoming);
            return if options.nulls_first { ordering } else { ordering.reverse() };
        }
        let ordering = stored.compare(a.0, b.0, incoming);
        if options.descending && !self.types[column].is_written() { ordering.reverse() } else { ordering }
    }

    /// Writes column `column` of the rows at `places` into `out`, one each.
    pub fn gather(&self, column: usize, places: &[u32], out: &mut Column) -> Result<()> {
        let stored = &self.columns[column];
        column::gather(&self.types[column], places, |place| (stored, place as usize), out)
    }

    /// Says that nothing more is put: strings that are read share their bytes from here on.
    pub fn seal(&mut self) {
        self.columns.iter_mut().for_each(Stored::seal);
    }

    /// Column `column` of the rows at `places`, which shares the bytes of strings that were sealed.
    pub fn shared(&self, column: usize, places: &[u32]) -> Result<ArrayRef> {
        let written = self.types[column].is_written();
        let shared = if written { None } else { self.columns[column].shared(places) };
        shared.map_or_else(|| self.array(column, places), Ok)
    }

    /// The same with bytes of its own.
    pub fn array(&self, column: usize, places: &[u32]) -> Result<ArrayRef> {
        let mut out = Column::default();
        self.gather(column, places, &mut out)?;
        out.to_array(&self.types[column].data_type, places.len(), &Selection::default())
    }

    /// Copies rows to places of `to`, which has the same columns: where they are there.
    pub fn copy_into(&self, to: &mut Slots, places: &[u32]) -> Result<Vec<u32>> {
        let column = |column| Ok(KernelColumn::new(Column::Array(self.array(column, places)?)));
        let columns = (0..self.columns.len()).map(column).collect::<Result<Vec<_>>>()?;
        let mut new_places = Vec::with_capacity(places.len());
        to.take(places.len(), &mut new_places)?;
        let rows: Vec<u32> = (0..places.len() as u32).collect();
        let new = to.incoming(&columns, places.len())?;
        to.put(&new, &rows, &new_places);
        Ok(new_places)
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        self.columns.iter().map(Stored::size_bytes).sum::<usize>() + held_bytes(&self.free)
    }
}

#[cfg(test)]
mod tests;
