//! Maps a batch of keys to dense group numbers, by the cheapest mode that the keys allow.
//!
//! ```text
//! no key        one group
//! one integer   dense array over [min, max] ── range too wide ──▶ packed 64
//! several       integers in as few bits as their values need: direct, an array over all words
//!                 ── values further apart ──▶ packed 64 ── further still ──▶ packed 128
//! ≤ 64 bits     packed 64   ── a null, a longer string ──▶ packed 128, numbered or rows
//! ≤ 128 bits    packed 128  ── the same ──▶ numbered or rows
//! one string    views: short strings are their own key, long ones point into the table's bytes
//! with strings  numbered: each string column has a table of its own, whose numbers are keys in its place
//! the rest      rows: keys written one after the other as bytes
//!
//! A dictionary column is looked up once per value; then a code tells its group.
//! ```
//! Invariants  a table only moves downwards; moving keeps every group's number.
//! Source      crates measured in docs/internals/group-index.md.

pub mod force; // a mode that tests ask for
mod dense; //  one integer key: an array over its range
mod direct; // several of few bits together: an array over all they can make
mod layout; // how key columns share 64 or 128 bits
mod numbered; // several keys, strings among them by their numbers
mod packed; // keys of at most 128 bits, open addressing
mod rows; //   keys of any type, written as bytes
mod tags; //   slots of keys that lie elsewhere, and growing without a stall
mod views; //  one string key, and the vector of bytes that rows use too

use arrow::array::new_empty_array;
use arrow::datatypes::DataType;
use millstream_kernels::level::Level;

use crate::batch::{Argument, Column, Flat, KernelColumn, Kind, Values};
use crate::error::Result;
use dense::Dense;
use direct::Direct;
use layout::Layout;
use numbered::Numbered;
use packed::Packed;
use rows::Rows;
use views::Views;

/// The number of an empty slot, and of no group.
const EMPTY: u32 = u32::MAX;

/// The group of a key that no group has: what [`GroupIndex::find`] answers.
pub const NO_GROUP: u32 = EMPTY;

/// A growing set of keys, each with a dense group number.
#[derive(Debug)]
pub struct GroupIndex {
    key_types: Vec<DataType>,
    level: Level,
    seed: u64,
    mode: Mode,
}

#[derive(Debug)]
enum Mode {
    /// No key: one group, there from the first row on.
    One {
        seen: bool,
    },
    /// Several keys, integers among them: the first batch says how many bits they need.
    Undecided,
    Dense(Dense),
    Direct(Direct),
    Packed64(Packed<u64>),
    Packed128(Packed<u128>),
    Views(Views),
    Numbered(Numbered),
    Rows(Rows),
}

/// Says that the mode at hand cannot hold the batch; nothing of it was taken in.
#[derive(Debug)]
struct DoesNotFit;

impl GroupIndex {
    /// An empty table for keys of these types; `seed` makes the slots of this query unlike another's.
    pub fn new(key_types: Vec<DataType>, seed: u64, level: Level) -> Self {
        let forced = force::wanted(&key_types, seed, level);
        let mode = forced.unwrap_or_else(|| first_mode(&key_types, seed, level));
        GroupIndex { key_types, level, seed, mode }
    }

    /// The types of the keys.
    pub fn key_types(&self) -> &[DataType] {
        &self.key_types
    }

    /// How many groups there are.
    pub fn len(&self) -> usize {
        match &self.mode {
            Mode::One { seen } => *seen as usize,
            Mode::Undecided => 0,
            Mode::Dense(table) => table.len(),
            Mode::Direct(table) => table.len(),
            Mode::Packed64(table) => table.len(),
            Mode::Packed128(table) => table.len(),
            Mode::Views(table) => table.len(),
            Mode::Numbered(table) => table.len(),
            Mode::Rows(table) => table.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The mode's name, as EXPLAIN ANALYZE shows it.
    pub fn mode(&self) -> &'static str {
        match &self.mode {
            Mode::One { .. } => "one",
            Mode::Undecided => "none yet",
            Mode::Dense(_) => "dense",
            Mode::Direct(_) => "direct",
            Mode::Packed64(_) => "packed 64",
            Mode::Packed128(_) => "packed 128",
            Mode::Views(_) => "string",
            Mode::Numbered(_) => "numbered",
            Mode::Rows(_) => "rows",
        }
    }

    /// The mode, and of tables with slots which share is taken and how many a lookup looks at.
    pub fn describe(&self) -> String {
        let load = match &self.mode {
            Mode::Packed64(table) => table.load(),
            Mode::Packed128(table) => table.load(),
            Mode::Views(table) => table.load(),
            _ => return self.mode().to_string(),
        };
        format!("{}, load {:.2}, {:.2} probes a row", self.mode(), load.0, load.1)
    }

    /// Writes the group of each row into `groups`; keys not seen before get the next numbers.
    ///
    /// Shapes: each key covers `rows` or is constant.
    pub fn lookup(&mut self, keys: &[Argument<'_>], rows: usize, groups: &mut Vec<u32>) -> Result<()> {
        assert_eq!(keys.len(), self.key_types.len(), "a column per key");
        groups.clear();
        if rows == 0 {
            return Ok(());
        }
        self.number_strings(keys)?;
        loop {
            let fitted = match &mut self.mode {
                Mode::One { seen } => {
                    *seen = true;
                    groups.resize(rows, 0);
                    Ok(())
                }
                Mode::Undecided => Err(DoesNotFit),
                Mode::Dense(table) => table.lookup(self.level, &keys[0], rows, groups)?,
                Mode::Direct(table) => table.lookup(self.level, keys, rows, groups)?,
                Mode::Packed64(table) => table.lookup(self.level, keys, rows, groups)?,
                Mode::Packed128(table) => table.lookup(self.level, keys, rows, groups)?,
                Mode::Views(table) => {
                    table.lookup(&keys[0], rows, groups)?;
                    Ok(())
                }
                Mode::Numbered(table) => {
                    table.lookup(keys, rows, groups)?;
                    Ok(())
                }
                Mode::Rows(table) => {
                    table.lookup(keys, rows, groups)?;
                    Ok(())
                }
            };
            match fitted {
                Ok(()) => return Ok(()),
                Err(DoesNotFit) => self.move_on(keys)?,
            }
        }
    }

    /// Writes the group of each row into `groups`, [`NO_GROUP`] where no group has its key; no group is added.
    ///
    /// Shapes: each key covers `rows` or is constant.
    pub fn find(&mut self, keys: &[Argument<'_>], rows: usize, groups: &mut Vec<u32>) -> Result<()> {
        assert_eq!(keys.len(), self.key_types.len(), "a column per key");
        groups.clear();
        if rows == 0 {
            return Ok(());
        }
        self.number_strings(keys)?;
        loop {
            let fitted = match &mut self.mode {
                Mode::One { seen } => {
                    groups.resize(rows, if *seen { 0 } else { EMPTY });
                    Ok(())
                }
                Mode::Undecided => {
                    groups.resize(rows, EMPTY);
                    Ok(())
                }
                Mode::Numbered(table) => {
                    table.find(keys, rows, groups)?;
                    Ok(())
                }
                Mode::Dense(table) => {
                    table.find(&keys[0], rows, groups)?;
                    Ok(())
                }
                Mode::Direct(table) => table.find(self.level, keys, rows, groups)?,
                Mode::Packed64(table) => table.find(self.level, keys, rows, groups)?,
                Mode::Packed128(table) => table.find(self.level, keys, rows, groups)?,
                Mode::Views(table) => {
                    table.find(&keys[0], rows, groups)?;
                    Ok(())
                }
                Mode::Rows(table) => {
                    table.find(keys, rows, groups)?;
                    Ok(())
                }
            };
            match fitted {
                Ok(()) => return Ok(()),
                // A key that the mode cannot hold is in no group, but the others of the batch may be.
                Err(DoesNotFit) => self.move_on(keys)?,
            }
        }
    }

    /// Writes key column `key` of `groups` into `out`, one row each.
    pub fn keys(&self, key: usize, groups: &[u32], out: &mut Column) -> Result<()> {
        let data_type = &self.key_types[key];
        match &self.mode {
            Mode::One { .. } => unreachable!("a table without keys has no key column"),
            Mode::Undecided => *out = Column::Array(new_empty_array(data_type)),
            Mode::Dense(table) => table.keys(Kind::of(data_type), groups, out),
            Mode::Direct(table) => table.keys(key, groups, out)?,
            Mode::Packed64(table) => table.keys(key, groups, out)?,
            Mode::Packed128(table) => table.keys(key, groups, out)?,
            Mode::Views(table) => *out = Column::Array(table.keys(data_type, groups)?),
            Mode::Numbered(table) => table.keys(key, data_type, groups, out)?,
            Mode::Rows(table) => table.keys(key, data_type, groups, out)?,
        }
        Ok(())
    }

    /// Forgets all groups and keeps the memory.
    pub fn clear(&mut self) {
        match &mut self.mode {
            Mode::One { seen } => *seen = false,
            Mode::Undecided => {}
            Mode::Dense(table) => table.clear(),
            Mode::Direct(table) => table.clear(),
            Mode::Packed64(table) => table.clear(),
            Mode::Packed128(table) => table.clear(),
            Mode::Views(table) => table.clear(),
            Mode::Numbered(table) => table.clear(),
            Mode::Rows(table) => table.clear(),
        }
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        match &self.mode {
            Mode::One { .. } | Mode::Undecided => 0,
            Mode::Dense(table) => table.size_bytes(),
            Mode::Direct(table) => table.size_bytes(),
            Mode::Packed64(table) => table.size_bytes(),
            Mode::Packed128(table) => table.size_bytes(),
            Mode::Views(table) => table.size_bytes(),
            Mode::Numbered(table) => table.size_bytes(),
            Mode::Rows(table) => table.size_bytes(),
        }
    }

    /// Moves to a mode that takes dictionaries, if there are some.
    fn number_strings(&mut self, keys: &[Argument<'_>]) -> Result<()> {
        let by_code = keys.iter().any(|key| key.dictionary().is_some());
        if by_code && !matches!(self.mode, Mode::Views(_) | Mode::Numbered(_)) {
            let numbered = Mode::Numbered(Numbered::new(&self.key_types, self.seed, self.level));
            self.move_to(numbered)?;
        }
        Ok(())
    }

    /// Moves to a mode that can hold `keys` too, with every group keeping its number.
    fn move_on(&mut self, keys: &[Argument<'_>]) -> Result<()> {
        let next = match &self.mode {
            Mode::Dense(_) | Mode::Undecided => match self.narrow(keys, None)? {
                Some(mode) => mode,
                None => packed(Layout::for_keys(&self.key_types, keys), &self.key_types, self.seed, self.level),
            },
            Mode::Direct(table) => match self.narrow(keys, Some(table.layout()))? {
                Some(mode) => mode,
                None => self.wider(table.layout(), keys)?,
            },
            Mode::Packed64(table) if table.layout().is_narrow() => {
                match Layout::narrow(self.level, &self.key_types, keys, Some(table.layout()))? {
                    Some(layout) => {
                        self.mode = Mode::Packed64(table.relaid(self.level, layout));
                        return Ok(());
                    }
                    None => self.wider(table.layout(), keys)?,
                }
            }
            Mode::Packed64(table) => self.wider(table.layout(), keys)?,
            Mode::Packed128(table) => self.wider(table.layout(), keys)?,
            Mode::One { .. } | Mode::Views(_) | Mode::Numbered(_) | Mode::Rows(_) => {
                unreachable!("these modes hold every key")
            }
        };
        self.move_to(next)
    }

    fn move_to(&mut self, next: Mode) -> Result<()> {
        let mut moved = GroupIndex { mode: next, key_types: self.key_types.clone(), ..*self };
        let mut groups = Vec::new();
        let all: Vec<u32> = (0..self.len() as u32).collect();
        // In pieces of a batch, so that validity and scratch stay small.
        for piece in all.chunks(1 << 16) {
            let mut columns = Vec::with_capacity(self.key_types.len());
            for key in 0..self.key_types.len() {
                let mut column = Column::default();
                self.keys(key, piece, &mut column)?;
                columns.push(KernelColumn::new(column));
            }
            let arguments: Vec<Argument<'_>> = columns.iter().map(|column| column.argument(piece.len())).collect();
            moved.lookup(&arguments, piece.len(), &mut groups)?;
            debug_assert_eq!(groups, piece, "moving keeps the numbers");
        }
        self.mode = moved.mode;
        Ok(())
    }

    /// The mode of the fewest bits that holds `keys` and what `known` has held.
    fn narrow(&self, keys: &[Argument<'_>], known: Option<&Layout>) -> Result<Option<Mode>> {
        let layout = Layout::narrow(self.level, &self.key_types, keys, known)?;
        let is_direct = |layout: &Layout| self.key_types.len() > 1 && layout.bits() <= direct::BITS_MAX;
        Ok(layout.map(|layout| match is_direct(&layout) {
            true => Mode::Direct(Direct::new(layout)),
            false => Mode::Packed64(Packed::new(layout, self.seed)),
        }))
    }

    fn wider(&self, layout: &Layout, keys: &[Argument<'_>]) -> Result<Mode> {
        Ok(packed(layout.widened(keys)?, &self.key_types, self.seed, self.level))
    }
}

fn first_mode(key_types: &[DataType], seed: u64, level: Level) -> Mode {
    match key_types {
        [] => Mode::One { seen: false },
        [one] if Dense::takes(Kind::of(one)) => Mode::Dense(Dense::new()),
        [one] if Kind::of(one) == Kind::View => Mode::Views(Views::new(seed)),
        several if several.len() > 1 && several.iter().any(is_integer) => Mode::Undecided,
        _ => packed(Layout::narrowest(key_types), key_types, seed, level),
    }
}

fn is_integer(data_type: &DataType) -> bool {
    Dense::takes(Kind::of(data_type))
}

fn packed(layout: Option<Layout>, key_types: &[DataType], seed: u64, level: Level) -> Mode {
    match layout {
        Some(layout) if layout.bits() <= 64 => Mode::Packed64(Packed::new(layout, seed)),
        Some(layout) if layout.bits() <= 128 => Mode::Packed128(Packed::new(layout, seed)),
        _ if numbered::takes(key_types) => Mode::Numbered(Numbered::new(key_types, seed, level)),
        _ => Mode::Rows(Rows::new(key_types, seed)),
    }
}

/// Writes integers of `kind` made by `value` for each group, with nulls where it gives none; `nullable`: where it may.
fn write_integers(kind: Kind, groups: &[u32], out: &mut Column, nullable: bool, value: impl Fn(u32) -> Option<u64>) {
    macro_rules! write {
        ($($kind:ident: $native:ty),+) => {
            match kind {
                $(Kind::$kind => {
                    let flat = out.flat_mut(|v| matches!(v, Values::$kind(_)), || Values::$kind(Vec::new()));
                    if let Values::$kind(values) = &mut flat.values {
                        values.clear();
                        values.extend(groups.iter().map(|&group| value(group).unwrap_or(0) as $native));
                    }
                    flat
                })+
                _ => unreachable!("only integers of at most 64 bits are written here"),
            }
        };
    }
    let flat = write!(I8: i8, I16: i16, I32: i32, I64: i64, U8: u8, U16: u16, U32: u32, U64: u64);
    if nullable {
        write_validity(flat, groups, |group| value(group).is_some());
    } else {
        flat.rows = groups.len();
        flat.set_all_valid();
    }
}

/// Writes the validity of `groups` where some are null.
fn write_validity(flat: &mut Flat, groups: &[u32], is_valid: impl Fn(u32) -> bool) {
    flat.rows = groups.len();
    flat.set_all_valid();
    if groups.iter().all(|&group| is_valid(group)) {
        return;
    }
    let words = flat.validity_mut(groups.len());
    words.fill(0);
    for (row, &group) in groups.iter().enumerate() {
        words[row / 64] |= (is_valid(group) as u64) << (row % 64);
    }
}

#[cfg(test)]
mod tests;
