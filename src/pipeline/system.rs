//! System columns: what a source knows about each row beside its columns.
//!
//! Place       a table says which of them it has, a request says which are wanted, readers make them. In SQL they are
//!             columns that `SELECT *` does not show.

use std::sync::Arc;

use arrow::array::{Int64Array, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};

use crate::batch::Column;

/// One of the columns that a source may have beside those of its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SystemColumn {
    /// The number of the source partition that the row came from.
    Partition,
    /// Where the row stands in its partition; grows from row to row.
    Offset,
    /// When the source got the row, in milliseconds since 1970.
    Timestamp,
    /// The key that a broker has the row under.
    Key,
    /// What a broker has been given along with the row.
    Headers,
}

impl SystemColumn {
    pub const ALL: [SystemColumn; 5] = [
        SystemColumn::Partition,
        SystemColumn::Offset,
        SystemColumn::Timestamp,
        SystemColumn::Key,
        SystemColumn::Headers,
    ];

    /// Its name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            SystemColumn::Partition => "_partition",
            SystemColumn::Offset => "_offset",
            SystemColumn::Timestamp => "_timestamp",
            SystemColumn::Key => "_key",
            SystemColumn::Headers => "_headers",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|column| column.name() == name)
    }

    pub fn data_type(self) -> DataType {
        match self {
            SystemColumn::Partition => DataType::Int32,
            SystemColumn::Offset => DataType::Int64,
            SystemColumn::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, None),
            SystemColumn::Key => DataType::BinaryView,
            SystemColumn::Headers => headers(),
        }
    }

    /// As a column of a table. A source may not know it of every row, but every row has its place.
    pub fn field(self) -> FieldRef {
        let known = matches!(self, SystemColumn::Partition | SystemColumn::Offset);
        Arc::new(Field::new(self.name(), self.data_type(), !known))
    }
}

/// A map of names to bytes.
fn headers() -> DataType {
    let entry = vec![Field::new("key", DataType::Utf8View, false), Field::new("value", DataType::BinaryView, true)];
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entry.into()), false)), false)
}

/// Where the rows of the last batch stand in their partition, and when it was written.
#[derive(Debug, Clone)]
pub struct RowPlace {
    /// Behind them.
    pub next: u64,
    /// How many they are.
    pub rows: usize,
    /// In milliseconds since 1970.
    pub time: Option<i64>,
}

impl RowPlace {
    /// Notes the rows of another batch.
    pub fn pass(&mut self, rows: usize) {
        self.next += rows as u64;
        self.rows = rows;
    }

    /// What [`Reader::system`](super::Reader::system) is asked for, of sources whose rows follow one another.
    pub fn column(&self, column: SystemColumn) -> Option<Column> {
        match column {
            SystemColumn::Offset => {
                let first = self.next - self.rows as u64;
                let offsets = (first..self.next).map(|offset| offset as i64);
                Some(Column::Array(Arc::new(Int64Array::from_iter_values(offsets))))
            }
            SystemColumn::Timestamp => {
                Some(Column::Constant(Arc::new(TimestampMillisecondArray::from_iter([self.time]))))
            }
            _ => None,
        }
    }
}
