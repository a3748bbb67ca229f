//! A mode that tables of groups begin in whatever their keys would choose: for tests, since no answer depends on it.
//! A seed carries it, because that reaches every table of a query.

use arrow::datatypes::DataType;
use millstream_kernels::level::Level;

use super::dense::Dense;
use super::layout::Layout;
use super::numbered::{self, Numbered};
use super::packed::Packed;
use super::rows::Rows;
use super::views::Views;
use super::{Kind, Mode};

/// The names of the modes that can be asked for.
pub const MODES: [&str; 7] = ["dense", "direct", "packed 64", "packed 128", "string", "numbered", "rows"];

/// Bits of a seed that hash; those above say which mode is asked for: one more than its place in [`MODES`], 0: none.
const HASH_BITS: u32 = 61;

/// A seed whose tables begin in a mode where their keys allow it; `None`: as the keys would have it.
///
/// Panics: a name that is not one of `MODES`.
pub fn seed(random: u64, mode: Option<&str>) -> u64 {
    let place = |mode| MODES.iter().position(|known| *known == mode).expect("one of the modes");
    let asked = mode.map_or(0, |mode| place(mode) as u64 + 1);
    random << (u64::BITS - HASH_BITS) >> (u64::BITS - HASH_BITS) | asked << HASH_BITS
}

/// The mode that a seed asks for, if keys of these types can be in it.
pub(super) fn wanted(types: &[DataType], seed: u64, level: Level) -> Option<Mode> {
    match (seed >> HASH_BITS) as usize {
        0 => None,
        _ if types.is_empty() => None,
        at => begin(types, seed, level, MODES.get(at - 1)?),
    }
}

/// A mode by its name, if keys of these types can be in it.
fn begin(types: &[DataType], seed: u64, level: Level, mode: &str) -> Option<Mode> {
    let layout = Layout::narrowest(types);
    Some(match (mode, types) {
        ("dense", [one]) if Dense::takes(Kind::of(one)) => Mode::Dense(Dense::new()),
        // Its layout is what the first batch needs.
        ("direct", [_, _, ..]) if types.iter().any(super::is_integer) => Mode::Undecided,
        ("string", [one]) if Kind::of(one) == Kind::View => Mode::Views(Views::new(seed)),
        ("packed 64", _) => Mode::Packed64(Packed::new(layout.filter(|layout| layout.bits() <= 64)?, seed)),
        ("packed 128", _) => Mode::Packed128(Packed::new(layout.filter(|layout| layout.bits() <= 128)?, seed)),
        ("numbered", _) if numbered::takes(types) => Mode::Numbered(Numbered::new(types, seed, level)),
        ("rows", _) => Mode::Rows(Rows::new(types, seed)),
        _ => return None,
    })
}

/// A table that begins in a mode, if keys of these types can be in it.
#[cfg(test)]
pub(super) fn table(types: &[DataType], seed: u64, level: Level, mode: &str) -> Option<super::GroupIndex> {
    let mode = begin(types, seed, level, mode)?;
    Some(super::GroupIndex { key_types: types.to_vec(), level, seed, mode })
}
