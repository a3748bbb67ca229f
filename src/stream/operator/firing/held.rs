//! Rows that have changed and were not shown yet, a group at a time.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use arrow::row::{OwnedRow, Row, RowConverter, SortField};

use crate::batch::Change;
use crate::error::Result;

/// Bytes that an entry takes beside its rows, about.
const ENTRY_BYTES: usize = 96;

/// The changes held back. With keys, a group has one row; without, a row is counted for itself.
pub(super) struct Held {
    keys: RowConverter,
    rows: RowConverter,
    key_count: Option<usize>,
    window_end: Option<usize>,
    /// Entries in the order of their first change; taken ones are gone.
    entries: Vec<Entry>,
    places: HashMap<Box<[u8]>, usize>,
    bytes: usize,
}

struct Entry {
    /// The row that was shown, where one was.
    shown: Option<OwnedRow>,
    /// The row as it is now, where there is one.
    now: Option<OwnedRow>,
    /// Without keys: how many more of `now` there are than were shown.
    weight: i64,
    end: Option<i64>,
}

impl Held {
    /// `key_count`: how many of the first columns tell a group; `None`: rows stand for themselves.
    pub(super) fn new(schema: &SchemaRef, key_count: Option<usize>, window_end: Option<usize>) -> Result<Self> {
        let field = |index: usize| SortField::new(schema.field(index).data_type().clone());
        let columns = schema.fields().len();
        Ok(Held {
            keys: RowConverter::new((0..key_count.unwrap_or(0)).map(field).collect())?,
            rows: RowConverter::new((0..columns).map(field).collect())?,
            key_count,
            window_end,
            entries: Vec::new(),
            places: HashMap::new(),
            bytes: 0,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.bytes + self.entries.len() * ENTRY_BYTES
    }

    /// Folds changes in.
    pub(super) fn add(&mut self, batch: &RecordBatch, changes: Option<&[Change]>) -> Result<()> {
        let rows = self.rows.convert_columns(batch.columns())?;
        let keys = self.group_keys(batch)?;
        let ends = self.ends(batch)?;
        for row in 0..batch.num_rows() {
            let change = changes.map_or(Change::INSERT, |changes| changes[row]);
            let whole = rows.row(row);
            let key: &[u8] = match &keys {
                Some(keys) => keys.row(row).data(),
                None if self.key_count.is_some() => &[],
                None => whole.data(),
            };
            let end = ends.as_ref().filter(|ends| ends.is_valid(row)).map(|ends| ends.value(row));
            let entry = self.entry(key, end);
            let keyed = self.key_count.is_some();
            self.bytes = self.bytes.wrapping_add_signed(self.entries[entry].change(whole, change, keyed));
        }
        Ok(())
    }

    fn group_keys(&self, batch: &RecordBatch) -> Result<Option<arrow::row::Rows>> {
        match self.key_count {
            Some(count) if count > 0 => Ok(Some(self.keys.convert_columns(&batch.columns()[..count])?)),
            _ => Ok(None),
        }
    }

    fn ends(&self, batch: &RecordBatch) -> Result<Option<arrow::array::Int64Array>> {
        let Some(column) = self.window_end else { return Ok(None) };
        let ends = cast(batch.column(column), &DataType::Int64)?;
        Ok(Some(ends.as_primitive::<Int64Type>().clone()))
    }

    fn entry(&mut self, key: &[u8], end: Option<i64>) -> usize {
        if let Some(&at) = self.places.get(key) {
            return at;
        }
        self.entries.push(Entry { shown: None, now: None, weight: 0, end });
        self.bytes += key.len();
        self.places.insert(key.into(), self.entries.len() - 1);
        self.entries.len() - 1
    }

    /// Takes out what fires: columns, and what each row does.
    pub(super) fn take(&mut self, fires: impl Fn(Option<i64>) -> bool) -> Result<(Vec<ArrayRef>, Vec<Change>)> {
        let (mut fired, mut left) = (Vec::new(), Vec::new());
        if !self.entries.iter().any(|entry| fires(entry.end)) {
            return Ok((Vec::new(), Vec::new()));
        }
        let mut kept = vec![None; self.entries.len()];
        for (at, entry) in std::mem::take(&mut self.entries).into_iter().enumerate() {
            if fires(entry.end) {
                fired.push(entry);
            } else {
                kept[at] = Some(left.len());
                left.push(entry);
            }
        }
        self.entries = left;
        self.places.retain(|_, at| match kept[*at] {
            Some(now) => {
                *at = now;
                true
            }
            None => false,
        });
        self.bytes = self.places.keys().map(|key| key.len()).sum::<usize>()
            + self.entries.iter().map(Entry::row_bytes).sum::<usize>();
        fired.sort_by_key(|entry| entry.end);
        let (mut rows, mut changes): (Vec<&OwnedRow>, Vec<Change>) = (Vec::new(), Vec::new());
        for entry in &fired {
            entry.tell(self.key_count.is_some(), &mut rows, &mut changes);
        }
        let columns = self.rows.convert_rows(rows.into_iter().map(OwnedRow::row))?;
        Ok((columns, changes))
    }

    /// All rows that are held: whether each is one that was shown, or how it is now. Without keys a row stands there as
    /// often as it counts.
    pub(super) fn all(&self) -> Result<(Vec<ArrayRef>, Vec<bool>)> {
        let (mut rows, mut shown) = (Vec::new(), Vec::new());
        for entry in &self.entries {
            let times = if self.key_count.is_some() { 1 } else { entry.weight.unsigned_abs() as usize };
            for (row, was_shown) in [(&entry.shown, true), (&entry.now, false)] {
                if let Some(row) = row {
                    let was_shown = was_shown || (self.key_count.is_none() && entry.weight < 0);
                    rows.extend(std::iter::repeat_n(row.row(), times));
                    shown.extend(std::iter::repeat_n(was_shown, times));
                }
            }
        }
        Ok((self.rows.convert_rows(rows)?, shown))
    }

    /// Takes over what [`Held::all`] gave.
    pub(super) fn restore(&mut self, rows: &RecordBatch, shown: &BooleanArray) -> Result<()> {
        let change = |shown: Option<bool>| if shown == Some(true) { Change::DELETE } else { Change::INSERT };
        let changes: Vec<Change> = shown.iter().map(change).collect();
        self.add(rows, Some(&changes))
    }
}

impl Entry {
    fn row_bytes(&self) -> usize {
        [&self.shown, &self.now].into_iter().flatten().map(|row| row.as_ref().len()).sum()
    }

    /// Takes a change in; by how many bytes it has grown.
    fn change(&mut self, row: Row<'_>, change: Change, keyed: bool) -> isize {
        let before = self.row_bytes() as isize;
        if !keyed {
            self.weight += change.weight();
            self.now.get_or_insert_with(|| row.owned());
        } else if !change.is_retraction() {
            self.now = Some(row.owned());
        } else if self.now.take().is_none() {
            // Nothing of it was held: so it was shown.
            self.shown = Some(row.owned());
        }
        self.row_bytes() as isize - before
    }

    fn tell<'a>(&'a self, keyed: bool, rows: &mut Vec<&'a OwnedRow>, changes: &mut Vec<Change>) {
        let mut say = |row: &'a OwnedRow, change: Change| {
            rows.push(row);
            changes.push(change);
        };
        match (&self.shown, &self.now) {
            (_, Some(now)) if !keyed => {
                let change = if self.weight < 0 { Change::DELETE } else { Change::INSERT };
                (0..self.weight.unsigned_abs()).for_each(|_| say(now, change));
            }
            (Some(shown), Some(now)) if shown == now => {}
            (Some(shown), Some(now)) => {
                say(shown, Change::UPDATE_BEFORE);
                say(now, Change::UPDATE_AFTER);
            }
            (Some(shown), None) => say(shown, Change::DELETE),
            (None, Some(now)) => say(now, Change::INSERT),
            (None, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Int64Array;
    use arrow::datatypes::{Field, Schema};
    use std::sync::Arc;

    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![Field::new("k", DataType::Int64, true), Field::new("n", DataType::Int64, true)]))
    }

    fn batch(rows: &[(i64, i64)]) -> RecordBatch {
        let column = |pick: fn(&(i64, i64)) -> i64| Arc::new(Int64Array::from_iter_values(rows.iter().map(pick))) as _;
        RecordBatch::try_new(schema(), vec![column(|row| row.0), column(|row| row.1)]).expect("two columns")
    }

    fn told(held: &mut Held) -> Vec<String> {
        let (columns, changes) = held.take(|_| true).expect("rows can be read");
        let value = |column: usize, row: usize| columns[column].as_primitive::<Int64Type>().value(row);
        changes.iter().enumerate().map(|(row, c)| format!("{} {} {}", c.word(), value(0, row), value(1, row))).collect()
    }

    const UPDATE: [Change; 2] = [Change::UPDATE_BEFORE, Change::UPDATE_AFTER];

    #[test]
    fn changes_of_a_group_fold_into_one() {
        let mut held = Held::new(&schema(), Some(1), None).expect("comparable columns");
        held.add(&batch(&[(1, 1), (2, 1)]), None).expect("rows");
        held.add(&batch(&[(1, 1), (1, 2)]), Some(&UPDATE)).expect("rows");
        assert_eq!(told(&mut held), ["+I 1 2", "+I 2 1"]);
        held.add(&batch(&[(1, 2), (1, 3), (1, 3), (1, 4)]), Some(&[UPDATE, UPDATE].concat())).expect("rows");
        held.add(&batch(&[(2, 1), (3, 9), (3, 9)]), Some(&[Change::DELETE, Change::INSERT, Change::DELETE]))
            .expect("rows");
        assert_eq!(told(&mut held), ["-U 1 2", "+U 1 4", "-D 2 1"]);
        held.add(&batch(&[(1, 4), (1, 5), (1, 5), (1, 4)]), Some(&[UPDATE, UPDATE].concat())).expect("rows");
        assert!(told(&mut held).is_empty(), "as it was shown");
        assert_eq!(held.size_bytes(), 0);
    }

    #[test]
    fn rows_without_keys_are_counted() {
        let mut held = Held::new(&schema(), None, None).expect("comparable columns");
        held.add(&batch(&[(1, 1), (1, 1), (2, 2)]), None).expect("rows");
        held.add(&batch(&[(2, 2), (3, 3)]), Some(&[Change::DELETE, Change::DELETE])).expect("rows");
        assert_eq!(told(&mut held), ["+I 1 1", "+I 1 1", "-D 3 3"]);
    }

    #[test]
    fn what_is_held_survives_a_snapshot() {
        for key_count in [Some(1), None] {
            let fill = |held: &mut Held| {
                held.add(&batch(&[(1, 1), (2, 2), (2, 2)]), None).expect("rows");
                held.add(&batch(&[(3, 7), (3, 8)]), Some(&UPDATE)).expect("rows");
            };
            let mut held = Held::new(&schema(), key_count, None).expect("comparable columns");
            fill(&mut held);
            let (columns, shown) = held.all().expect("rows can be read");
            let mut fresh = Held::new(&schema(), key_count, None).expect("comparable columns");
            let rows = RecordBatch::try_new(schema(), columns).expect("the same columns");
            fresh.restore(&rows, &BooleanArray::from(shown)).expect("what was saved");
            assert_eq!(told(&mut fresh), told(&mut held));
        }
    }
}
