//! `UNNEST`: a row for each element of a list, several lists side by side.
//!
//! Invariants  a row gives as many as the longest of its lists has; where another list ends before, it gives NULL. Rows
//!             leave in the order they came in, each with the changes and watermarks of the row it was made of.

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeListArray, GenericListArray, OffsetSizeTrait, UInt64Array};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, SchemaRef};

use super::{Next, Operator};
use crate::batch::{Batch, Column, ROWS_MAX, Selection};
use crate::error::{Error, Result};
use crate::pipeline::{UnnestOutput, UnnestSpec};

/// A running UNNEST.
pub struct Unnest {
    spec: UnnestSpec,
    input: SchemaRef,
    schema: SchemaRef,
    /// For each row that leaves, the physical row it is made of.
    rows: Vec<u16>,
    /// For each list, the element of each row that leaves; `None`: it has ended before.
    elements: Vec<Vec<Option<u64>>>,
    out: Batch,
}

impl Unnest {
    /// `input` and `schema` are what comes in and what leaves.
    pub fn new(spec: &UnnestSpec, input: SchemaRef, schema: SchemaRef) -> Unnest {
        let mut out = Batch::default();
        out.columns.resize_with(spec.outputs.len(), Column::default);
        Unnest { spec: spec.clone(), input, schema, rows: Vec::new(), elements: Vec::new(), out }
    }

    /// The lists of a batch, each over all physical rows.
    fn lists(&self, batch: &mut Batch) -> Result<Vec<Lists>> {
        let mut lists = Vec::new();
        for column in self.spec.outputs.iter().filter_map(UnnestOutput::list) {
            let data_type = self.input.field(column).data_type();
            let array = batch.columns[column].clone().to_array(data_type, batch.rows, &Selection::default())?;
            lists.push(Lists::of(array)?);
        }
        Ok(lists)
    }

    /// Lists the rows that leave.
    fn expand(&mut self, batch: &Batch, lists: &[Lists]) {
        self.rows.clear();
        self.elements.resize_with(lists.len(), Vec::new);
        self.elements.iter_mut().for_each(Vec::clear);
        let count = batch.selected_rows();
        for at in 0..count {
            let row = batch.selection.as_slice().map_or(at as u16, |rows| rows[at]);
            let spans = lists.iter().map(|list| list.span(row as usize));
            let longest = spans.clone().map(|span| span.end - span.start).max().unwrap_or(0);
            let leaving = if self.spec.keeps_empty { longest.max(1) } else { longest };
            self.rows.resize(self.rows.len() + leaving as usize, row);
            for (elements, span) in self.elements.iter_mut().zip(spans) {
                let missing = leaving - (span.end - span.start);
                elements.extend(span.map(Some));
                elements.resize(elements.len() + missing as usize, None);
            }
        }
    }

    /// Pushes the listed rows from `from` to `to`.
    fn push_range(
        &mut self,
        batch: &Batch,
        lists: &[Lists],
        (from, to): (usize, usize),
        next: &mut Next<'_>,
    ) -> Result<()> {
        let rows = &self.rows[from..to];
        let mut which = lists.iter().zip(&self.elements);
        let outputs = self.spec.outputs.iter().zip(self.schema.fields());
        for ((output, field), into) in outputs.zip(&mut self.out.columns) {
            match output {
                UnnestOutput::Column(column) => batch.columns[*column].gather_into(rows, into)?,
                UnnestOutput::List(_) => {
                    let (list, elements) = which.next().expect("a list for each such output");
                    let elements = UInt64Array::from(elements[from..to].to_vec());
                    let values = take(list.values().as_ref(), &elements, None)?;
                    *into = Column::Array(match values.data_type() == field.data_type() {
                        true => values,
                        false => cast(&values, field.data_type())?,
                    });
                }
            }
        }
        self.out.rows = to - from;
        self.out.selection.clear();
        let of_rows = |row: &u16| *row as usize;
        self.out.changes = batch.changes.as_ref().map(|all| rows.iter().map(of_rows).map(|row| all[row]).collect());
        self.out.watermarks.take_rows(&batch.watermarks, rows.iter().map(of_rows));
        self.out.now = batch.now;
        next.push(&mut self.out)
    }
}

impl Operator for Unnest {
    fn push(&mut self, _port: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        let lists = self.lists(batch)?;
        self.expand(batch, &lists);
        let mut from = 0;
        while from < self.rows.len() {
            let to = (from + ROWS_MAX).min(self.rows.len());
            self.push_range(batch, &lists, (from, to), next)?;
            from = to;
        }
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        let elements: usize = self.elements.iter().map(Vec::capacity).sum();
        self.rows.capacity() * size_of::<u16>() + elements * size_of::<Option<u64>>()
    }
}

/// A column of lists.
enum Lists {
    Short(GenericListArray<i32>),
    Long(GenericListArray<i64>),
    Fixed(FixedSizeListArray),
    /// NULL in every row.
    Nothing(ArrayRef),
}

impl Lists {
    fn of(array: ArrayRef) -> Result<Lists> {
        match array.data_type() {
            DataType::List(_) => Ok(Lists::Short(array.as_list().clone())),
            DataType::LargeList(_) => Ok(Lists::Long(array.as_list().clone())),
            DataType::FixedSizeList(..) => Ok(Lists::Fixed(array.as_fixed_size_list().clone())),
            DataType::Null => Ok(Lists::Nothing(array)),
            other => Err(Error::bug(format!("UNNEST takes lists, not {other}"))),
        }
    }

    /// Which elements are a row's.
    fn span(&self, row: usize) -> std::ops::Range<u64> {
        fn of<O: OffsetSizeTrait>(lists: &GenericListArray<O>, row: usize) -> std::ops::Range<u64> {
            let offsets = lists.value_offsets();
            offsets[row].as_usize() as u64..offsets[row + 1].as_usize() as u64
        }
        match self {
            Lists::Short(lists) if lists.is_valid(row) => of(lists, row),
            Lists::Long(lists) if lists.is_valid(row) => of(lists, row),
            Lists::Fixed(lists) if lists.is_valid(row) => {
                let start = lists.value_offset(row) as u64;
                start..start + lists.value_length() as u64
            }
            _ => 0..0,
        }
    }

    fn values(&self) -> &ArrayRef {
        match self {
            Lists::Short(lists) => lists.values(),
            Lists::Long(lists) => lists.values(),
            Lists::Fixed(lists) => lists.values(),
            Lists::Nothing(array) => array,
        }
    }
}
