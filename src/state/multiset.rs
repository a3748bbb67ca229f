//! Rows with how often each is there.
//!
//! Owns        each row once, as bytes that are equal where rows are; a row that is not there any more costs nothing.
//! Invariants  rows are listed in the order in which they came to be there; a count may be below zero for a while, when
//!             a row is taken back on one way before it was given on another.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, RowParser, SortField};

use super::bytes::BytesHash;
use crate::error::{Error, Result};

/// A row as bytes.
type Row = Box<[u8]>;

/// A growing and shrinking bag of rows.
pub struct Multiset {
    converter: RowConverter,
    rows: HashMap<Box<[u8]>, Held, BytesHash>,
    /// The number of the next row that comes to be there.
    next: u64,
    row_bytes: usize,
    /// How many rows there are, each as often as it is there.
    count: i64,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    count: i64,
    since: u64,
}

/// A converter for rows of these types.
///
/// Failure: a type that rows cannot be compared by.
pub fn row_converter(types: &[DataType]) -> Result<RowConverter> {
    let fields = types.iter().map(|data_type| SortField::new(data_type.clone())).collect();
    RowConverter::new(fields).map_err(|e| {
        let types: Vec<_> = types.iter().map(DataType::to_string).collect();
        Error::user(format!("rows of these columns cannot be told from one another: {}", types.join(", "))).caused_by(e)
    })
}

impl Multiset {
    /// An empty bag for rows of these types. Failure: as [`row_converter`].
    pub fn new(types: &[DataType]) -> Result<Self> {
        let converter = row_converter(types)?;
        Ok(Multiset { converter, rows: HashMap::default(), next: 0, row_bytes: 0, count: 0 })
    }

    /// Adds each row as often as `weight` says; what is negative is taken out.
    pub fn add(&mut self, columns: &[ArrayRef], rows: usize, weight: impl Fn(usize) -> i64) -> Result<()> {
        if columns.is_empty() {
            return self.add_row(&[], (0..rows).map(weight).sum());
        }
        let converted = self.converter.convert_columns(columns)?;
        (0..rows).try_for_each(|row| self.add_row(converted.row(row).as_ref(), weight(row)))
    }

    fn add_row(&mut self, row: &[u8], weight: i64) -> Result<()> {
        self.count += weight;
        if let Some(held) = self.rows.get_mut(row) {
            held.count += weight;
            if held.count == 0 {
                self.rows.remove(row);
                self.row_bytes -= row.len();
            }
            return Ok(());
        }
        if weight != 0 {
            self.rows.insert(row.into(), Held { count: weight, since: self.next });
            self.row_bytes += row.len();
            self.next += 1;
        }
        Ok(())
    }

    /// How many rows there are, each as often as it is there.
    pub fn len(&self) -> usize {
        self.count.max(0) as usize
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows and how often each is there, in the order in which they came.
    ///
    /// Failure: more rows were taken back than given.
    pub fn rows(&self) -> Result<(Vec<ArrayRef>, Vec<i64>)> {
        let mut held: Vec<(&[u8], Held)> = self.rows.iter().map(|(row, held)| (&row[..], *held)).collect();
        held.sort_unstable_by_key(|(_, held)| held.since);
        if held.iter().any(|(_, held)| held.count < 0) {
            return Err(Error::user("more rows were taken back than given; the table's changes do not add up"));
        }
        let parser = self.converter.parser();
        let columns = self.converter.convert_rows(held.iter().map(|(row, _)| parser.parse(row)))?;
        Ok((columns, held.iter().map(|(_, held)| held.count).collect()))
    }

    pub fn size_bytes(&self) -> usize {
        self.row_bytes + self.rows.capacity() * (size_of::<(Box<[u8]>, Held)>() + 1)
    }
}

/// The last row of each key.
pub struct KeyedRows {
    keys: RowConverter,
    rows: RowConverter,
    table: HashMap<Box<[u8]>, Box<[u8]>, BytesHash>,
    row_bytes: usize,
}

impl KeyedRows {
    /// An empty table of rows of these types, the first `key_count` of which are the key. Failure: as [`row_converter`].
    pub fn new(types: &[DataType], key_count: usize) -> Result<Self> {
        let (keys, rows) = (row_converter(&types[..key_count])?, row_converter(types)?);
        Ok(KeyedRows { keys, rows, table: HashMap::default(), row_bytes: 0 })
    }

    /// The keys and the rows as bytes.
    pub fn convert(&self, columns: &[ArrayRef], key_count: usize) -> Result<(arrow::row::Rows, arrow::row::Rows)> {
        Ok((self.keys.convert_columns(&columns[..key_count])?, self.rows.convert_columns(columns)?))
    }

    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.table.get(key).map(|row| &row[..])
    }

    /// Makes a row its key's; the one before.
    pub fn insert(&mut self, key: &[u8], row: &[u8]) -> Option<Box<[u8]>> {
        self.row_bytes += row.len();
        if let Some(held) = self.table.get_mut(key) {
            self.row_bytes -= held.len();
            return Some(std::mem::replace(held, row.into()));
        }
        self.row_bytes += key.len();
        self.table.insert(key.into(), row.into())
    }

    /// Forgets a key; its row.
    pub fn remove(&mut self, key: &[u8]) -> Option<Box<[u8]>> {
        let row = self.table.remove(key)?;
        self.row_bytes -= key.len() + row.len();
        Some(row)
    }

    /// Gives memory back that was for many more rows.
    pub fn shrink(&mut self) {
        if self.table.capacity() > 4 * self.table.len().max(64) {
            self.table.shrink_to(2 * self.table.len());
        }
    }

    /// Rows as columns.
    pub fn columns<'a>(&self, rows: impl Iterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>> {
        let parser: RowParser = self.rows.parser();
        Ok(self.rows.convert_rows(rows.map(|row| parser.parse(row)))?)
    }

    /// All rows as columns, ordered by key.
    pub fn all(&self) -> Result<Vec<ArrayRef>> {
        let mut all: Vec<(&[u8], &[u8])> = self.table.iter().map(|(key, row)| (&key[..], &row[..])).collect();
        all.sort_unstable();
        self.columns(all.into_iter().map(|(_, row)| row))
    }

    pub fn len(&self) -> usize {
        self.table.len()
    }

    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    pub fn size_bytes(&self) -> usize {
        self.row_bytes + self.table.capacity() * (2 * size_of::<Box<[u8]>>() + 1)
    }
}

/// Keys with several rows each, in the order in which they came: the last one is the key's.
pub struct KeyedLists {
    rows: HashMap<Row, Vec<Row>, BytesHash>,
    row_bytes: usize,
}

impl KeyedLists {
    pub fn new() -> Self {
        KeyedLists { rows: HashMap::default(), row_bytes: 0 }
    }

    /// The last row of a key.
    pub fn last(&self, key: &[u8]) -> Option<&[u8]> {
        self.rows.get(key)?.last().map(|row| &row[..])
    }

    pub fn push(&mut self, key: &[u8], row: &[u8]) {
        self.row_bytes += row.len();
        match self.rows.get_mut(key) {
            Some(rows) => rows.push(row.into()),
            None => {
                self.row_bytes += key.len();
                self.rows.insert(key.into(), vec![row.into()]);
            }
        }
    }

    /// Takes a row of a key out, the last one that is equal; whether there was one.
    pub fn take(&mut self, key: &[u8], row: &[u8]) -> bool {
        let Entry::Occupied(mut entry) = self.rows.entry(key.into()) else { return false };
        let Some(at) = entry.get().iter().rposition(|held| &held[..] == row) else { return false };
        entry.get_mut().remove(at);
        self.row_bytes -= row.len();
        if entry.get().is_empty() {
            entry.remove();
            self.row_bytes -= key.len();
        }
        true
    }

    /// All rows, those of a key in their order.
    pub fn all(&self) -> Vec<&[u8]> {
        let mut all: Vec<(&Row, &Vec<Row>)> = self.rows.iter().collect();
        all.sort_unstable();
        all.into_iter().flat_map(|(_, rows)| rows.iter().map(|row| &row[..])).collect()
    }

    pub fn size_bytes(&self) -> usize {
        self.row_bytes + self.rows.capacity() * (size_of::<(Row, Vec<Row>)>() + 1)
    }
}

impl Default for KeyedLists {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::Int64Type;
    use std::sync::Arc;

    #[test]
    fn a_bag_keeps_what_was_given_and_not_taken() {
        let mut bag = Multiset::new(&[DataType::Int64]).expect("numbers can be compared");
        let column = |values: &[i64]| vec![Arc::new(Int64Array::from(values.to_vec())) as ArrayRef];
        bag.add(&column(&[3, 1, 3, 2]), 4, |_| 1).expect("rows fit");
        bag.add(&column(&[1, 3]), 2, |_| -1).expect("rows fit");
        let (columns, counts) = bag.rows().expect("nothing is missing");
        assert_eq!(columns[0].as_primitive::<Int64Type>().values(), &[3, 2]);
        assert_eq!((counts, bag.len()), (vec![1, 1], 2));
        bag.add(&column(&[9]), 1, |_| -1).expect("rows fit");
        assert!(bag.rows().is_err());
    }

    #[test]
    fn the_last_row_of_a_key_comes_back_when_later_ones_go() {
        let mut lists = KeyedLists::new();
        lists.push(b"k", b"first");
        lists.push(b"k", b"second");
        assert_eq!(lists.last(b"k"), Some(&b"second"[..]));
        assert!(lists.take(b"k", b"second") && !lists.take(b"k", b"third"));
        assert_eq!(lists.last(b"k"), Some(&b"first"[..]));
        assert!(lists.take(b"k", b"first"));
        assert_eq!((lists.last(b"k"), lists.all().len()), (None, 0));
    }
}
