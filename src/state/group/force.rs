//! A mode that tables of groups begin in whatever their keys would choose: for tests, since no answer depends on it.

use std::sync::atomic::{AtomicU8, Ordering};

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
pub const MODES: [&str; 6] = ["dense", "packed 64", "packed 128", "string", "numbered", "rows"];

/// One more than the place in [`MODES`]; 0: none is asked for.
static WANTED: AtomicU8 = AtomicU8::new(0);

/// Lets tables made from now on, in the whole process, begin in a mode where their keys allow it; `None`: as the keys
/// would have it.
///
/// Panics: a name that is not one of [`MODES`].
pub fn force(mode: Option<&str>) {
    let place = |mode| MODES.iter().position(|known| *known == mode).expect("one of the modes");
    let at = mode.map(place);
    WANTED.store(at.map_or(0, |at| at as u8 + 1), Ordering::Relaxed);
}

/// The mode asked for, if keys of these types can be in it.
pub(super) fn wanted(types: &[DataType], seed: u64, level: Level) -> Option<Mode> {
    match WANTED.load(Ordering::Relaxed) {
        0 => None,
        _ if types.is_empty() => None,
        at => begin(types, seed, level, MODES[usize::from(at) - 1]),
    }
}

/// A mode by its name, if keys of these types can be in it.
fn begin(types: &[DataType], seed: u64, level: Level, mode: &str) -> Option<Mode> {
    let layout = Layout::narrowest(types);
    Some(match (mode, types) {
        ("dense", [one]) if Dense::takes(Kind::of(one)) => Mode::Dense(Dense::new()),
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
