//! Functions that give the argument of another row: lag, lead, first_value, last_value, nth_value.

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::{concat, take};

use super::frame::Frames;
use super::sorted::Sorted;
use crate::error::Result;

/// The value `offset` rows before each row of its partition, behind it where negative; `default` where there is none.
pub(super) fn lag(
    sorted: &Sorted,
    values: &ArrayRef,
    offset: i64,
    default: Option<&ArrayRef>,
    ignores_nulls: bool,
) -> Result<ArrayRef> {
    let there = ignores_nulls.then(|| Positions::new(values));
    let mut rows: Vec<Option<u32>> = Vec::with_capacity(sorted.rows);
    sorted.each_partition(|_, start, end| match &there {
        None => rows.extend((start..end).map(|row| {
            let row = (row as i64).checked_sub(offset)?;
            (start as i64..end as i64).contains(&row).then_some(row as u32)
        })),
        Some(there) => rows.extend((start..end).map(|row| there.lag(row, offset, start, end))),
    });
    pick(values, &rows, default)
}

/// The value in the `n`-th row of each row's frame, from its end where negative; null where there is none.
pub(super) fn nth(frames: &Frames, values: &ArrayRef, n: i64, ignores_nulls: bool) -> Result<ArrayRef> {
    let there = ignores_nulls.then(|| Positions::new(values));
    let bounds = frames.starts.iter().zip(&frames.ends);
    let place = |(&start, &end): (&u32, &u32)| {
        let (start, end) = (i64::from(start), i64::from(end));
        let row = if n > 0 { start.checked_add(n - 1)? } else { end.checked_add(n)? };
        (start..end).contains(&row).then_some(row as u32)
    };
    let rows: Vec<Option<u32>> = match &there {
        None => bounds.map(place).collect(),
        Some(there) => bounds
            .map(|(&start, &end)| {
                let (start, end) = (there.before[start as usize], there.before[end as usize]);
                place((&start, &end)).map(|at| there.rows[at as usize])
            })
            .collect(),
    };
    pick(values, &rows, None)
}

/// The rows that have a value.
struct Positions {
    rows: Vec<u32>,
    /// For each row, how many rows before it have one.
    before: Vec<u32>,
}

impl Positions {
    fn new(values: &ArrayRef) -> Self {
        let nulls = values.logical_nulls();
        let is_there = |row: &u32| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*row as usize));
        let rows: Vec<u32> = (0..values.len() as u32).filter(is_there).collect();
        let mut before = Vec::with_capacity(values.len() + 1);
        for (count, &row) in rows.iter().enumerate() {
            before.resize(row as usize + 1, count as u32);
        }
        before.resize(values.len() + 1, rows.len() as u32);
        Positions { rows, before }
    }

    /// The row with the `offset`-th value before `row`, behind it where negative; the row itself for 0.
    fn lag(&self, row: usize, offset: i64, start: usize, end: usize) -> Option<u32> {
        if offset == 0 {
            return Some(row as u32);
        }
        let at = match offset > 0 {
            true => i64::from(self.before[row]).checked_sub(offset)?,
            false => i64::from(self.before[row + 1]).checked_sub(offset.checked_add(1)?)?,
        };
        let found = *self.rows.get(usize::try_from(at).ok()?)?;
        (start..end).contains(&(found as usize)).then_some(found)
    }
}

/// The values of `rows`, the default where there is no row.
fn pick(values: &ArrayRef, rows: &[Option<u32>], default: Option<&ArrayRef>) -> Result<ArrayRef> {
    match default.filter(|default| default.is_valid(0)) {
        None => Ok(take(values, &UInt32Array::from_iter(rows.iter().copied()), None)?),
        Some(default) => {
            let last = values.len() as u32;
            let all = concat(&[values.as_ref(), default.as_ref()])?;
            let rows = UInt32Array::from_iter_values(rows.iter().map(|row| row.unwrap_or(last)));
            Ok(take(&all, &rows, None)?)
        }
    }
}
