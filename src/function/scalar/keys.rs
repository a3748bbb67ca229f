//! Values that the query gives, found again among the values of a column: the ground of `IN` and of `CASE` as a table.
//!
//! ```text
//! whole numbers    close together: a place for each number between the least and the greatest
//!                  far apart: a small hash table
//! strings          up to 12 bytes: a small hash table of views; longer ones by their bytes
//! ```

use std::collections::HashMap;
use std::fmt::Debug;

use arrow::array::{Array, ArrayRef};
use millstream_kernels::hash::Hash;

use super::for_kind;
use crate::batch::{Argument, Fixed, Kind, Strings};
use crate::error::Result;

/// The place of a value that is none of those given.
pub(super) const NOWHERE: u32 = u32::MAX;

/// Values of one type, each at its place among those given; of equal ones the first counts.
pub(super) trait Keys: Debug + Send + Sync {
    /// Writes the places of `out.len()` rows of an argument, from row `first` on, or [`NOWHERE`].
    ///
    /// Shapes: `first` is 0 where the argument is constant. What nulls have is anybody's guess.
    fn find(&self, arg: &Argument<'_>, first: usize, out: &mut [u32]) -> Result<()>;
}

/// The values of an array without nulls; `None` for types other than whole numbers and strings.
pub(super) fn keys(values: &ArrayRef) -> Option<Box<dyn Keys>> {
    if values.null_count() > 0 {
        return None;
    }
    let kind = Kind::of(values.data_type());
    if kind == Kind::View {
        return Some(Box::new(Texts::new(Strings::of(values).ok()?)));
    }
    type Make = fn(&ArrayRef) -> Option<Box<dyn Keys>>;
    let make = for_kind!(kind, numbers as Make: I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64);
    make?(values)
}

/// Numbers up to this far apart have a place each.
const RANGE_MAX: i128 = 1 << 16;

fn numbers<T: Fixed + Ord + Hash + Into<i128>>(values: &ArrayRef) -> Option<Box<dyn Keys>> {
    let values = T::of_array(values.as_ref())?;
    let (least, greatest): (i128, i128) = ((*values.iter().min()?).into(), (*values.iter().max()?).into());
    if greatest - least >= RANGE_MAX {
        return Some(Box::new(Table::new(values.iter().copied().zip(0..).collect())));
    }
    let mut places = vec![NOWHERE; (greatest - least) as usize + 1];
    for (place, &value) in values.iter().enumerate().rev() {
        places[(value.into() - least) as usize] = place as u32;
    }
    Some(Box::new(Near { least: *values.iter().min()?, places }))
}

/// Numbers that are close together.
#[derive(Debug)]
struct Near<T> {
    least: T,
    places: Vec<u32>,
}

impl<T: Fixed + Ord + Into<i128>> Keys for Near<T> {
    fn find(&self, arg: &Argument<'_>, first: usize, out: &mut [u32]) -> Result<()> {
        let values = &arg.values::<T>()?[first..first + out.len()];
        let least: i128 = self.least.into();
        for (out, &value) in out.iter_mut().zip(values) {
            // Below the least, it is above all as a number without sign; 64 bits are enough to tell.
            let at = (value.into() as u64).wrapping_sub(least as u64);
            let fits = value >= self.least && at < self.places.len() as u64;
            *out = if fits { self.places[at as usize] } else { NOWHERE };
        }
        Ok(())
    }
}

/// Up to so many values are compared with one after the other: loops that become vectors.
const FEW: usize = 8;

/// Values far apart: a few of them, or a hash table that is made once, with open addressing and at most half full.
#[derive(Debug)]
struct Table<T> {
    /// All values and their places, where there are few.
    few: Vec<(T, u32)>,
    slots: Vec<(T, u32)>,
    shift: u32,
}

impl<T: Hash> Table<T> {
    /// The values with their places; of equal ones the first counts.
    fn new(values: Vec<(T, u32)>) -> Self {
        let size = (2 * values.len()).next_power_of_two().max(4);
        let mut table =
            Table { few: Vec::new(), slots: vec![(T::default(), NOWHERE); size], shift: 64 - size.trailing_zeros() };
        for (value, place) in values {
            let at = table.slot(value);
            if table.slots[at].1 == NOWHERE {
                table.slots[at] = (value, place);
                table.few.push((value, place));
            }
        }
        if table.few.len() > FEW {
            table.few = Vec::new();
        }
        table
    }

    /// Where the value is, or would be.
    #[inline(always)]
    fn slot(&self, value: T) -> usize {
        let (low, high) = value.bits();
        let product = u128::from(low ^ high.rotate_left(32)) * 0x9E37_79B9_7F4A_7C15;
        let mut at = ((product ^ product >> 64) as u64 >> self.shift) as usize;
        while self.slots[at].1 != NOWHERE && self.slots[at].0 != value {
            at = (at + 1) & (self.slots.len() - 1);
        }
        at
    }

    fn find(&self, values: &[T], out: &mut [u32]) {
        if self.few.is_empty() {
            return out.iter_mut().zip(values).for_each(|(out, &value)| *out = self.slots[self.slot(value)].1);
        }
        out.fill(NOWHERE);
        for &(known, place) in &self.few {
            for (out, &value) in out.iter_mut().zip(values) {
                *out = if value == known { place } else { *out };
            }
        }
    }
}

impl<T: Fixed + Hash> Keys for Table<T> {
    fn find(&self, arg: &Argument<'_>, first: usize, out: &mut [u32]) -> Result<()> {
        Table::find(self, &arg.values::<T>()?[first..first + out.len()], out);
        Ok(())
    }
}

#[derive(Debug)]
struct Texts {
    /// By their views.
    short: Table<u128>,
    long: HashMap<Vec<u8>, u32>,
}

impl Texts {
    fn new(values: Strings<'_>) -> Self {
        let is_short = |row: &usize| values.views[*row] as u32 <= 12;
        let short: Vec<(u128, u32)> =
            (0..values.views.len()).filter(is_short).map(|row| (values.views[row], row as u32)).collect();
        let mut long = HashMap::new();
        for row in (0..values.views.len()).filter(|row| !is_short(row)) {
            long.entry(values.bytes(row).to_vec()).or_insert(row as u32);
        }
        Texts { short: Table::new(short), long }
    }
}

impl Keys for Texts {
    fn find(&self, arg: &Argument<'_>, first: usize, out: &mut [u32]) -> Result<()> {
        let strings = arg.strings()?;
        let views = &strings.views[first..first + out.len()];
        // A long string has no short one's view: their lengths differ.
        self.short.find(views, out);
        if !self.long.is_empty() {
            for (row, (out, &view)) in out.iter_mut().zip(views).enumerate() {
                if view as u32 > 12 {
                    *out = self.long.get(strings.bytes(first + row)).copied().unwrap_or(NOWHERE);
                }
            }
        }
        Ok(())
    }
}
