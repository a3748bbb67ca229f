//! What every scalar kernel shares: arguments as typed sides, and a flat column to write the result to.
//!
//! Invariants  the validity of a result is written before its values, so that a kernel can leave out rows under nulls.

use millstream_kernels::level::Level;
use millstream_kernels::{Number, bitmap};

use crate::batch::{Argument, Column, Fixed, Flat, Values};
use crate::error::Result;

/// One argument: a value per row, or one for all rows.
#[derive(Clone, Copy)]
pub(super) enum Side<'a, T> {
    Column(&'a [T]),
    Constant(T),
}

/// The values of a fixed-width argument.
pub(super) fn side<'a, T: Fixed>(argument: &Argument<'a>, rows: usize) -> Result<Side<'a, T>> {
    let values = argument.values::<T>()?;
    Ok(if argument.is_constant() { Side::Constant(values[0]) } else { Side::Column(&values[..rows]) })
}

/// The bits of a boolean argument; a constant is a word of equal bits, zeros when null.
pub(super) fn bits<'a>(argument: &Argument<'a>, rows: usize) -> Result<Side<'a, u64>> {
    if argument.is_constant() {
        return Ok(Side::Constant(if argument.constant_bool() == Some(true) { u64::MAX } else { 0 }));
    }
    Ok(Side::Column(&argument.bits()?[..bitmap::words(rows)]))
}

/// The validity of an argument in the form of [`bits`].
pub(super) fn validity<'a>(argument: &Argument<'a>, rows: usize) -> Side<'a, u64> {
    match argument.validity() {
        _ if argument.constant_is_null() => Side::Constant(0),
        Some(words) if !argument.is_constant() => Side::Column(&words[..bitmap::words(rows)]),
        _ => Side::Constant(u64::MAX),
    }
}

impl Side<'_, u64> {
    /// Word `index` of a bitmap.
    #[inline(always)]
    pub(super) fn word(self, index: usize) -> u64 {
        match self {
            Side::Column(words) => words[index],
            Side::Constant(word) => word,
        }
    }
}

/// Makes `out` a flat column of `rows` values, null where an argument is null, and lets `fill` write them.
///
/// Shapes: `fill` gets `rows` values of any content and the result's validity.
pub(super) fn values<T: Fixed>(
    level: Level,
    args: &[Argument<'_>],
    rows: usize,
    out: &mut Column,
    fill: impl FnOnce(&mut Vec<T>, Option<&[u64]>) -> Result<()>,
) -> Result<()> {
    let flat = out.flat_mut(|v| T::of_values(v).is_some(), || T::into_values(Vec::new()));
    combine_validity(level, args, rows, flat);
    flat.rows = rows;
    // The values leave the column while they are written, because its validity is read meanwhile.
    let mut values = std::mem::take(T::of_values_mut(&mut flat.values).expect("made of this type above"));
    values.resize(rows, T::default());
    let result = fill(&mut values, flat.validity());
    *T::of_values_mut(&mut flat.values).expect("made of this type above") = values;
    result
}

/// The same for booleans: `fill` gets the words of `rows` bits and must leave those past the last row zero.
pub(super) fn booleans(
    level: Level,
    args: &[Argument<'_>],
    rows: usize,
    out: &mut Column,
    fill: impl FnOnce(&mut [u64]) -> Result<()>,
) -> Result<()> {
    let flat = boolean_column(rows, out);
    combine_validity(level, args, rows, flat);
    fill(words(flat))
}

/// Makes `out` a flat column of `rows` booleans of any content, whose validity is still to be set.
pub(super) fn boolean_column(rows: usize, out: &mut Column) -> &mut Flat {
    let flat = out.flat_mut(|v| matches!(v, Values::Bool(_)), || Values::Bool(Vec::new()));
    flat.rows = rows;
    if let Values::Bool(words) = &mut flat.values {
        words.resize(bitmap::words(rows), 0);
    }
    flat
}

/// The words of a boolean column.
pub(super) fn words(flat: &mut Flat) -> &mut [u64] {
    match &mut flat.values {
        Values::Bool(words) => words,
        _ => unreachable!("made boolean by its caller"),
    }
}

/// Sets the validity of `out` to the AND of the arguments'.
pub(super) fn combine_validity(level: Level, args: &[Argument<'_>], rows: usize, out: &mut Flat) {
    if args.iter().any(Argument::constant_is_null) {
        out.validity_mut(rows).fill(0);
        return;
    }
    let mut known = args.iter().filter(|arg| !arg.is_constant()).filter_map(|arg| arg.validity());
    let Some(first) = known.next() else { return out.set_all_valid() };
    let count = bitmap::words(rows);
    let validity = out.validity_mut(rows);
    validity.copy_from_slice(&first[..count]);
    for other in known {
        bitmap::and_with(level, validity, &other[..count]);
    }
}

/// Makes `words` the rows where no argument is null, and says whether there are others; without any, `words` is of no use.
pub(in crate::function) fn and_validity<'a>(
    level: Level,
    args: impl Iterator<Item = &'a Argument<'a>> + Clone,
    rows: usize,
    words: &mut Vec<u64>,
) -> bool {
    if args.clone().any(Argument::constant_is_null) {
        bitmap::fill(words, rows, false);
        return true;
    }
    let mut known = args.filter(|arg| !arg.is_constant()).filter_map(Argument::validity);
    let Some(first) = known.next() else { return false };
    let count = bitmap::words(rows);
    words.clear();
    words.extend_from_slice(&first[..count]);
    known.for_each(|other| bitmap::and_with(level, words, &other[..count]));
    bitmap::trim(words, rows);
    true
}

/// Writes `value(row)` as bit `row` of `out`, for the first `rows` rows, and zero behind them.
#[inline(always)]
pub(super) fn bits_of(rows: usize, out: &mut [u64], value: impl Fn(usize) -> bool) {
    for (index, word) in out.iter_mut().enumerate() {
        let first = index * 64;
        let count = rows.saturating_sub(first).min(64);
        *word = (0..count).fold(0, |word, bit| word | u64::from(value(first + bit)) << bit);
    }
}

/// Makes `out` `rows` equal bits, and zeros behind them.
pub(super) fn fill_bits(rows: usize, out: &mut [u64], bit: bool) {
    out.fill(if bit { u64::MAX } else { 0 });
    bitmap::trim(out, rows);
}

/// A machine type that columns hold and kernels know.
pub(super) trait Machine: Fixed + Number {}
impl<T: Fixed + Number> Machine for T {}
