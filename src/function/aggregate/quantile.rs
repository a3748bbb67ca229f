//! `median` and `percentile_cont`: exact, from all values of a group.
//!
//! Owns        the values, in blocks of one arena: a group's first block holds four, each next one twice as many as the
//!             one before, up to a bound. A block knows the one before it.
//! Invariants  of two middle values the median is the mean, cut off to the type (integers, decimals); a percentile
//!             lies at `p * (count - 1)` between its neighbours.

use std::cmp::Ordering;
use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, LargeListArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field};
use millstream_kernels::Number;

use super::table::{Native, Rows, Table};
use super::value;
use crate::batch::{Argument, Column, Fixed, Kind};
use crate::error::{Error, Result};
use crate::function::AggregateFunction;

/// `median`, `None` for arguments that are no numbers.
pub(super) fn median(arg: &DataType) -> Option<Arc<dyn AggregateFunction>> {
    macro_rules! table {
        ($($kind:ident $type:ty),+) => {
            match Kind::of(arg) {
                $(Kind::$kind => Some(Native::append_only("median", arg, Values::<$type>::new(Middle::Median, arg))),)+
                _ => None,
            }
        };
    }
    if !arg.is_numeric() {
        return None;
    }
    table!(I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64, F32 f32, F64 f64, I128 i128)
}

/// `percentile_cont(value, p)` with a constant `p`, ascending; `None` for arguments that are no floats.
pub(super) fn percentile(arg: &DataType, p: &DataType, result: &DataType) -> Option<Arc<dyn AggregateFunction>> {
    if *p != DataType::Float64 || arg != result {
        return None;
    }
    let wanted = Middle::Percentile(None);
    match arg {
        DataType::Float64 => Some(Native::append_only("percentile_cont", arg, Values::<f64>::new(wanted, arg))),
        DataType::Float32 => Some(Native::append_only("percentile_cont", arg, Values::<f32>::new(wanted, arg))),
        _ => None,
    }
}

/// Which value is wanted.
#[derive(Debug, Clone, Copy)]
enum Middle {
    Median,
    /// The share of the values before it; known from the first batch on.
    Percentile(Option<f64>),
}

/// A number with a middle between two of them.
trait Quantity: Fixed + Number {
    /// The mean of two, cut off towards zero.
    fn middle(self, other: Self) -> Self;
    /// What lies `weight` of the way to `other`.
    fn toward(self, other: Self, weight: f64) -> Self;
}

macro_rules! integers {
    ($($type:ty)*) => {$(
        impl Quantity for $type {
            fn middle(self, other: Self) -> Self {
                match self.checked_add(other) {
                    Some(sum) => sum / 2,
                    None => self / 2 + other / 2 + (self % 2 + other % 2) / 2,
                }
            }
            fn toward(self, other: Self, weight: f64) -> Self {
                (self as f64 + (other as f64 - self as f64) * weight) as $type
            }
        }
    )*};
}
integers!(i8 i16 i32 i64 i128 u8 u16 u32 u64);

macro_rules! floats {
    ($($type:ty)*) => {$(
        impl Quantity for $type {
            fn middle(self, other: Self) -> Self {
                (self + other) / 2.0
            }
            fn toward(self, other: Self, weight: f64) -> Self {
                (f64::from(self) + (f64::from(other) - f64::from(self)) * weight) as $type
            }
        }
    )*};
}
floats!(f32 f64);

/// Some values of a group.
#[derive(Debug, Clone, Copy)]
struct Block {
    /// Where in the arena it starts.
    offset: usize,
    capacity: usize,
    /// The number of the block before, or `NONE`.
    before: u32,
}

const NONE: u32 = u32::MAX;
const BLOCK_MIN: usize = 4;
const BLOCK_MAX: usize = 1024;

/// The list of one group.
#[derive(Debug, Clone, Copy)]
struct List {
    /// Where in the arena the next value goes.
    next: usize,
    /// The last block, or `NONE`.
    block: u32,
    /// How many values there is room for in it.
    room: u32,
    /// How many values there are in all blocks.
    count: u64,
}

#[derive(Debug, Clone)]
struct Values<T> {
    wanted: Middle,
    data_type: DataType,
    lists: Vec<List>,
    blocks: Vec<Block>,
    arena: Vec<T>,
    memory: Vec<T>,
    sorted: Vec<T>,
}

impl<T: Quantity> Values<T> {
    fn new(wanted: Middle, data_type: &DataType) -> Self {
        Values {
            wanted,
            data_type: data_type.clone(),
            lists: Vec::new(),
            blocks: Vec::new(),
            arena: Vec::new(),
            memory: Vec::new(),
            sorted: Vec::new(),
        }
    }

    #[inline(always)]
    fn push(&mut self, group: usize, value: T) {
        if self.lists[group].room == 0 {
            self.add_block(group);
        }
        let list = &mut self.lists[group];
        self.arena[list.next] = value;
        list.next += 1;
        list.room -= 1;
        list.count += 1;
    }

    #[cold]
    fn add_block(&mut self, group: usize) {
        let list = &mut self.lists[group];
        let capacity = self.blocks.get(list.block as usize).map_or(0, |block| block.capacity);
        let capacity = (capacity * 2).clamp(BLOCK_MIN, BLOCK_MAX);
        let offset = self.arena.len();
        value::grow(&mut self.arena, offset + capacity, T::default());
        self.blocks.push(Block { offset, capacity, before: list.block });
        (list.next, list.block, list.room) = (offset, self.blocks.len() as u32 - 1, capacity as u32);
    }

    /// Calls `take` with the values of a group, a block at a time, the last block first.
    fn each_block(&self, group: usize, mut take: impl FnMut(&[T])) {
        let list = self.lists[group];
        let (mut number, mut room) = (list.block, list.room as usize);
        while let Some(block) = self.blocks.get(number as usize) {
            take(&self.arena[block.offset..][..block.capacity - room]);
            (number, room) = (block.before, 0);
        }
    }

    fn result(&self, group: usize, sorted: &mut Vec<T>) -> Option<T> {
        sorted.clear();
        self.each_block(group, |values| sorted.extend_from_slice(values));
        let last = sorted.len().checked_sub(1)?;
        match self.wanted {
            Middle::Median => {
                let (before, &mut at, _) = sorted.select_nth_unstable_by(last.div_ceil(2), order);
                if !last.is_multiple_of(2) {
                    return before.iter().copied().max_by(order).map(|before| before.middle(at));
                }
                Some(at)
            }
            Middle::Percentile(p) => Some(percentile_of(sorted, p?)),
        }
    }
}

#[inline(always)]
fn order<T: Number>(a: &T, b: &T) -> Ordering {
    if a.less(*b) {
        Ordering::Less
    } else if b.less(*a) {
        Ordering::Greater
    } else {
        Ordering::Equal
    }
}

/// The value at share `p` of at least one value.
fn percentile_of<T: Quantity>(values: &mut [T], p: f64) -> T {
    let place = p * (values.len() - 1) as f64;
    let lower = place.floor() as usize;
    let (_, &mut value, after) = values.select_nth_unstable_by(lower, order);
    let next = after.iter().copied().min_by(order);
    let weight = place - lower as f64;
    match next {
        Some(next) if weight > 0.0 => value.toward(next, weight),
        _ => value,
    }
}

impl<T: Quantity> Table for Values<T> {
    fn grow(&mut self, group_count: usize) {
        value::grow(&mut self.lists, group_count, List { next: 0, block: NONE, room: 0, count: 0 });
    }

    fn update(&mut self, rows: &Rows<'_>, args: &[Argument<'_>]) -> Result<()> {
        if let (Middle::Percentile(known), Some(p), true) = (self.wanted, args.get(1), rows.count() > 0)
            && (known.is_none() || !p.is_constant())
        {
            // Kept rows bring it along, the same in each.
            let shares = p.values::<f64>()?;
            let share = known.unwrap_or(shares[0]);
            if !(0.0..=1.0).contains(&share) || shares.iter().any(|other| *other != share) {
                return Err(Error::user("percentile_cont wants a constant share between 0 and 1"));
            }
            self.wanted = Middle::Percentile(Some(share));
        }
        let mut memory = std::mem::take(&mut self.memory);
        let values = value::values::<T>(&args[0], rows.count(), &mut memory)?;
        rows.each(|group, row| self.push(group, values[row]));
        self.memory = memory;
        Ok(())
    }

    fn merge(&mut self, groups: &[u32], other: &Self) -> Result<()> {
        if let Middle::Percentile(None) = self.wanted {
            self.wanted = other.wanted;
        }
        for (from, &group) in groups.iter().enumerate() {
            other.each_block(from, |values| values.iter().for_each(|&value| self.push(group as usize, value)));
        }
        Ok(())
    }

    fn finish(&mut self, groups: &[u32], out: &mut Column) -> Result<()> {
        let mut sorted = std::mem::take(&mut self.sorted);
        let result = value::write(groups, out, |group| Ok(self.result(group, &mut sorted)));
        self.sorted = sorted;
        result
    }

    fn state_types(&self) -> Vec<DataType> {
        let item = Field::new_list_field(self.data_type.clone(), false);
        vec![DataType::LargeList(Arc::new(item)), DataType::Float64]
    }

    fn save(&self, group_count: usize) -> Result<Vec<ArrayRef>> {
        let mut values = Vec::new();
        for group in 0..group_count {
            self.each_block(group, |block| values.extend_from_slice(block));
        }
        let counts = self.lists[..group_count].iter().map(|list| list.count as usize);
        let offsets = OffsetBuffer::from_lengths(counts);
        let values = value::saved(&self.data_type, values.len(), |row| Some(values[row]))?;
        let item = Arc::new(Field::new_list_field(self.data_type.clone(), false));
        let lists = LargeListArray::try_new(item, offsets, values, None::<NullBuffer>)?;
        let share = match self.wanted {
            Middle::Median => None,
            Middle::Percentile(share) => share,
        };
        Ok(vec![Arc::new(lists), Arc::new(Float64Array::from(vec![share; group_count]))])
    }

    fn load(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let (lists, shares) = (columns[0].as_list::<i64>(), value::loaded::<f64>(&columns[1])?);
        self.grow(lists.len());
        if let (Middle::Percentile(_), Some(group)) = (self.wanted, (0..lists.len()).find(|&i| columns[1].is_valid(i)))
        {
            self.wanted = Middle::Percentile(Some(shares[group]));
        }
        for group in 0..lists.len() {
            let values = lists.value(group);
            value::loaded::<T>(&values)?.iter().for_each(|&value| self.push(group, value));
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.lists.clear();
        self.blocks.clear();
        self.arena.clear();
    }

    fn size_bytes(&self) -> usize {
        let values = value::bytes(&self.arena) + value::bytes(&self.memory) + value::bytes(&self.sorted);
        value::bytes(&self.lists) + value::bytes(&self.blocks) + values
    }
}
