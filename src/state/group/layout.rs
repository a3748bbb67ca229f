//! How several key columns share the bits of one word.
//!
//! Each column has a field of its own width; a column that has shown nulls has one bit more, set for NULL. Where full
//! integers would need more than 64 bits, a field is as narrow as the values allow: what they are above a base. Strings of
//! up to seven bytes take 64 bits: the bytes, and their count in the highest byte. Floats are normalised, so that all
//! NaN are one key and 0.0 is -0.0.

use arrow::array::{ArrayRef, BinaryViewBuilder};
use arrow::datatypes::DataType;
use millstream_kernels::bitmap;
use millstream_kernels::level::Level;

use super::dense::{Dense, Ordered};
use super::direct;
use super::{DoesNotFit, write_integers, write_validity};
use crate::batch::{Argument, Column, Fixed, Kind, Values};
use crate::error::Result;

/// Bits to spare that each integer should have, so that words stay at 32 bits for a while.
const SPARE_MIN: u32 = 4;
/// Zero of a signed type, as ordered bits.
const ZERO: u64 = 1 << 63;
/// The longest string that fits a field.
const STRING_BYTES_MAX: usize = 7;

/// A machine word that keys are packed into.
pub(super) trait Word: Copy + Eq + Default + std::fmt::Debug + Send + 'static {
    fn from_bits(bits: u128) -> Self;
    fn bits(self) -> u128;
    fn or_shifted(self, bits: u64, shift: u32) -> Self;
    fn field(self, shift: u32) -> u64;
    fn hash(level: Level, seed: u64, words: &[Self], out: &mut Vec<u64>);
    /// Whether there is a hash that tells all words below 2^32 apart by its high half.
    const HASHES_EXACTLY: bool;
    fn hash_exactly(level: Level, seed: u64, words: &[Self], out: &mut Vec<u64>);
}

impl Word for u64 {
    #[inline(always)]
    fn from_bits(bits: u128) -> Self {
        bits as u64
    }
    #[inline(always)]
    fn bits(self) -> u128 {
        self as u128
    }
    #[inline(always)]
    fn or_shifted(self, bits: u64, shift: u32) -> Self {
        self | bits << shift
    }
    #[inline(always)]
    fn field(self, shift: u32) -> u64 {
        self >> shift
    }
    fn hash(level: Level, seed: u64, words: &[Self], out: &mut Vec<u64>) {
        millstream_kernels::hash::fixed(level, seed, words, out);
    }
    const HASHES_EXACTLY: bool = true;
    fn hash_exactly(level: Level, seed: u64, words: &[Self], out: &mut Vec<u64>) {
        millstream_kernels::hash::exact(level, seed, words, out);
    }
}

impl Word for u128 {
    #[inline(always)]
    fn from_bits(bits: u128) -> Self {
        bits
    }
    #[inline(always)]
    fn bits(self) -> u128 {
        self
    }
    #[inline(always)]
    fn or_shifted(self, bits: u64, shift: u32) -> Self {
        self | (bits as u128) << shift
    }
    #[inline(always)]
    fn field(self, shift: u32) -> u64 {
        (self >> shift) as u64
    }
    fn hash(level: Level, seed: u64, words: &[Self], out: &mut Vec<u64>) {
        millstream_kernels::hash::u128s(level, seed, words, out);
    }
    const HASHES_EXACTLY: bool = false;
    fn hash_exactly(_: Level, _: u64, _: &[Self], _: &mut Vec<u64>) {
        unreachable!("words of 128 bits are not all apart in 32");
    }
}

#[derive(Debug, Clone)]
struct Field {
    kind: Kind,
    data_type: DataType,
    shift: u32,
    /// The bit that says NULL, for columns that have shown nulls.
    null_shift: Option<u32>,
    narrow: Option<Narrow>,
}

/// An integer field of fewer bits than its type: values from `base` on, as ordered bits.
#[derive(Debug, Clone, Copy)]
struct Narrow {
    base: u64,
    bits: u32,
    /// The least and greatest value packed so far; `None` while all were null.
    used: Option<(u64, u64)>,
}

impl Narrow {
    #[inline(always)]
    fn mask(self) -> u64 {
        u64::MAX >> (64 - self.bits)
    }

    fn holds(self, (min, max): (u64, u64)) -> bool {
        min >= self.base && max.wrapping_sub(self.base) <= self.mask() && max >= self.base
    }
}

/// The fields of a packed key.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    fields: Vec<Field>,
    bits: u32,
}

fn width(kind: Kind) -> Option<u32> {
    Some(match kind {
        Kind::Bool => 1,
        Kind::I8 | Kind::U8 => 8,
        Kind::I16 | Kind::U16 => 16,
        Kind::I32 | Kind::U32 | Kind::F32 => 32,
        Kind::I64 | Kind::U64 | Kind::F64 | Kind::View => 64,
        Kind::I128 => 128,
        Kind::Other => return None,
    })
}

fn is_signed(kind: Kind) -> bool {
    matches!(kind, Kind::I8 | Kind::I16 | Kind::I32 | Kind::I64)
}

impl Layout {
    /// The layout without room for nulls; `None` when the keys are too wide or of types without a packed form.
    pub(super) fn narrowest(key_types: &[DataType]) -> Option<Layout> {
        Self::with_nulls(key_types, |_| false)
    }

    /// The layout with room for the nulls that `keys` show.
    pub(super) fn for_keys(key_types: &[DataType], keys: &[Argument<'_>]) -> Option<Layout> {
        // A single key keeps its null apart: see `Packed`.
        Self::with_nulls(key_types, |key| key_types.len() > 1 && shows_nulls(&keys[key]))
    }

    fn with_nulls(key_types: &[DataType], nullable: impl Fn(usize) -> bool) -> Option<Layout> {
        let mut fields = Vec::with_capacity(key_types.len());
        let mut bits = 0;
        for (key, data_type) in key_types.iter().enumerate() {
            let kind = Kind::of(data_type);
            let shift = bits;
            bits += width(kind)?;
            let null_shift = nullable(key).then_some(bits);
            bits += null_shift.is_some() as u32;
            fields.push(Field { kind, data_type: data_type.clone(), shift, null_shift, narrow: None });
        }
        let wide_alone = fields.iter().all(|field| field.kind != Kind::I128) || fields.len() == 1;
        (bits <= 128 && wide_alone).then_some(Layout { fields, bits })
    }

    /// The layout of at most 64 bits that holds these keys and what `known` has held, its integers narrow; `None` when
    /// there is none. It has as many bits as an array can be over, or a hash of 32 tells apart, if that will do; those to
    /// spare go to the integers, so that keys which grow do not soon need another.
    pub(super) fn narrow(
        level: Level,
        key_types: &[DataType],
        keys: &[Argument<'_>],
        known: Option<&Layout>,
    ) -> Result<Option<Layout>> {
        let mut fields = Vec::with_capacity(key_types.len());
        let (mut bits, mut integers) = (0, 0);
        for (key, data_type) in key_types.iter().enumerate() {
            let kind = Kind::of(data_type);
            let old = known.map(|known| &known.fields[key]);
            // A single key keeps its null apart: see `Packed`.
            let nullable =
                key_types.len() > 1 && (shows_nulls(&keys[key]) || old.is_some_and(|field| field.null_shift.is_some()));
            let narrow = if Dense::takes(kind) {
                let held = old.and_then(|field| field.narrow).and_then(|narrow| narrow.used);
                let used = joined(ordered_range(level, kind, &keys[key])?, held);
                let (min, max) = used.unwrap_or((0, 0));
                integers += 1;
                Some(Narrow { base: min, bits: (64 - (max - min).leading_zeros()).max(1), used })
            } else {
                None
            };
            let Some(wide) = width(kind).filter(|_| kind != Kind::I128) else { return Ok(None) };
            bits += narrow.map_or(wide, |narrow| narrow.bits) + u32::from(nullable);
            let null_shift = nullable.then_some(0);
            fields.push(Field { kind, data_type: data_type.clone(), shift: 0, null_shift, narrow });
        }
        if bits > 64 || integers == 0 {
            return Ok(None);
        }
        let budget = match bits {
            // An array over few keys stays small.
            ..=direct::BITS_MAX if key_types.len() > 1 => direct::BITS_MAX.min(bits + SPARE_MIN / 2 * integers),
            _ if bits + SPARE_MIN * integers <= u32::BITS => u32::BITS,
            _ => 64,
        };
        let spare = (budget - bits) / integers;
        bits = 0;
        for field in &mut fields {
            field.shift = bits;
            if let Some(narrow) = &mut field.narrow {
                narrow.bits = (narrow.bits + spare).min(64);
                // Room on both sides, more of it above.
                let (min, max) = narrow.used.unwrap_or((0, 0));
                let room = narrow.mask() - (max - min);
                // Numbers that begin at zero or above do not soon fall below.
                let least = if min >= ZERO && is_signed(field.kind) { ZERO } else { 0 };
                narrow.base = min.saturating_sub(room / 4).max(least).min(u64::MAX - narrow.mask());
            }
            bits += field.narrow.map_or_else(|| width(field.kind).expect("checked above"), |narrow| narrow.bits);
            if let Some(shift) = &mut field.null_shift {
                *shift = bits;
                bits += 1;
            }
        }
        Ok(Some(Layout { fields, bits }))
    }

    /// How the fields of a word go to another layout of the same keys, where all that were packed fit.
    pub(super) fn moves_to(&self, other: &Layout) -> Vec<FieldMove> {
        self.fields.iter().zip(&other.fields).map(|(from, to)| FieldMove::new(from, to)).collect()
    }

    pub(super) fn is_narrow(&self) -> bool {
        self.fields.iter().any(|field| field.narrow.is_some())
    }

    /// The next layout that may hold `keys`: with room for the nulls they show. `None` when a string is too long, or
    /// when the fields would be too wide: then keys must be written as rows.
    pub(super) fn widened(&self, keys: &[Argument<'_>]) -> Result<Option<Layout>> {
        for (field, key) in self.fields.iter().zip(keys) {
            if field.kind == Kind::View && has_long_string(key)? {
                return Ok(None);
            }
        }
        let types: Vec<DataType> = self.fields.iter().map(|field| field.data_type.clone()).collect();
        Ok(Self::with_nulls(&types, |key| self.fields[key].null_shift.is_some() || shows_nulls(&keys[key])))
    }

    pub(super) fn bits(&self) -> u32 {
        self.bits
    }

    pub(super) fn is_single(&self) -> bool {
        self.fields.len() == 1
    }

    /// Packs the keys of each row.
    pub(super) fn pack<W: Word>(
        &mut self,
        level: Level,
        keys: &[Argument<'_>],
        rows: usize,
        words: &mut Vec<W>,
    ) -> Result<Result<(), DoesNotFit>> {
        words.clear();
        words.resize(rows, W::default());
        let is_single = self.is_single();
        for (field, key) in self.fields.iter_mut().zip(keys) {
            if shows_nulls(key) && field.null_shift.is_none() && !is_single {
                return Ok(Err(DoesNotFit));
            }
            if let Some(narrow) = &mut field.narrow
                && let Some(range) = ordered_range(level, field.kind, key)?
            {
                if !narrow.holds(range) {
                    return Ok(Err(DoesNotFit));
                }
                narrow.used = joined(narrow.used, Some(range));
            }
        }
        for (field, key) in self.fields.iter().zip(keys) {
            if field.pack(key, words)?.is_err() {
                return Ok(Err(DoesNotFit));
            }
        }
        Ok(Ok(()))
    }

    /// Writes column `key` of the packed words that `word` gives for each group; `None` is a null, if it is `nullable`.
    pub(super) fn unpack<W: Word>(
        &self,
        key: usize,
        groups: &[u32],
        nullable: bool,
        word: impl Fn(u32) -> Option<W>,
        out: &mut Column,
    ) -> Result<()> {
        let field = &self.fields[key];
        if !nullable && field.null_shift.is_none() {
            return field.unpack(groups, false, word, out);
        }
        let value = |group| {
            let word = word(group)?;
            match field.null_shift {
                Some(shift) if word.field(shift) & 1 == 1 => None,
                _ => Some(word),
            }
        };
        field.unpack(groups, true, value, out)
    }
}

/// One field of words on its way to another layout.
pub(super) struct FieldMove {
    from: u32,
    mask: u64,
    from_null: Option<u32>,
    /// What is added to the bits: between the bases.
    by: u64,
    to: u32,
    to_null: Option<u32>,
}

impl FieldMove {
    fn new(from: &Field, to: &Field) -> Self {
        let base = |field: &Field| field.narrow.map_or(0, |narrow| narrow.base);
        let bits = from.narrow.map_or_else(|| width(from.kind).expect("a field has a width"), |narrow| narrow.bits);
        FieldMove {
            from: from.shift,
            mask: u64::MAX >> (64 - bits),
            from_null: from.null_shift,
            by: base(from).wrapping_sub(base(to)),
            to: to.shift,
            to_null: to.null_shift,
        }
    }

    /// What the field is of another word. Under a null all bits are zero, whatever the base.
    #[inline(always)]
    pub(super) fn of(&self, word: u64) -> u64 {
        let null = self.from_null.map_or(0, |shift| word >> shift & 1);
        let bits = (word >> self.from & self.mask).wrapping_add(self.by) & null.wrapping_sub(1);
        bits << self.to | self.to_null.map_or(0, |shift| null << shift)
    }
}

/// The range that spans both.
fn joined(one: Option<(u64, u64)>, other: Option<(u64, u64)>) -> Option<(u64, u64)> {
    match (one, other) {
        (Some(one), Some(other)) => Some((one.0.min(other.0), one.1.max(other.1))),
        (one, other) => one.or(other),
    }
}

/// The least and greatest value of an integer key, as ordered bits; `None` when all are null.
fn ordered_range(level: Level, kind: Kind, key: &Argument<'_>) -> Result<Option<(u64, u64)>> {
    macro_rules! range {
        ($($kind:ident: $native:ty),+) => {
            match kind {
                $(Kind::$kind => {
                    let values = key.values::<$native>()?;
                    if values.len() == 1 && key.is_null(0) {
                        return Ok(None);
                    }
                    <$native>::min_max(level, values, key.validity()).map(|(min, max)| (min.ordered(), max.ordered()))
                })+
                _ => unreachable!("only integers have a range"),
            }
        };
    }
    if key.constant_is_null() {
        return Ok(None);
    }
    Ok(range!(I8: i8, I16: i16, I32: i32, I64: i64, U8: u8, U16: u16, U32: u32, U64: u64))
}

fn shows_nulls(key: &Argument<'_>) -> bool {
    key.validity().is_some() || key.constant_is_null()
}

fn has_long_string(key: &Argument<'_>) -> Result<bool> {
    let strings = key.strings()?;
    let long = |(row, view): (usize, &u128)| *view as u32 as usize > STRING_BYTES_MAX && !key.is_null(row);
    Ok(strings.views.iter().enumerate().any(long))
}

impl Field {
    fn pack<W: Word>(&self, key: &Argument<'_>, words: &mut [W]) -> Result<Result<(), DoesNotFit>> {
        if let Some(narrow) = self.narrow {
            macro_rules! narrow {
                ($($kind:ident: $native:ty),+) => {
                    match self.kind {
                        $(Kind::$kind => {
                            let mask = narrow.mask();
                            // Values under nulls lie anywhere.
                            let bits = |v: $native| v.ordered().wrapping_sub(narrow.base) & mask;
                            self.pack_values::<W, $native>(key, words, bits)?
                        })+
                        _ => unreachable!("only integers are narrow"),
                    }
                };
            }
            narrow!(I8: i8, I16: i16, I32: i32, I64: i64, U8: u8, U16: u16, U32: u32, U64: u64);
            return Ok(Ok(()));
        }
        macro_rules! integers {
            ($($kind:ident: $native:ty as $unsigned:ty),+) => {
                match self.kind {
                    $(Kind::$kind => self.pack_values::<W, $native>(key, words, |v| v as $unsigned as u64)?,)+
                    Kind::F32 => self.pack_values::<W, f32>(key, words, |v| normal_f32(v).to_bits() as u64)?,
                    Kind::F64 => self.pack_values::<W, f64>(key, words, |v| normal_f64(v).to_bits())?,
                    Kind::Bool => self.pack_bools(key, words)?,
                    Kind::I128 => self.pack_wide(key, words)?,
                    Kind::View => return self.pack_strings(key, words),
                    Kind::Other => unreachable!("such keys have no layout"),
                }
            };
        }
        integers!(I8: i8 as u8, I16: i16 as u16, I32: i32 as u32, I64: i64 as u64, U8: u8 as u8, U16: u16 as u16,
                  U32: u32 as u32, U64: u64 as u64);
        Ok(Ok(()))
    }

    fn pack_values<W: Word, T: Fixed>(
        &self,
        key: &Argument<'_>,
        words: &mut [W],
        bits: impl Fn(T) -> u64,
    ) -> Result<()> {
        let values = key.values::<T>()?;
        let shift = self.shift;
        if key.is_constant() {
            let bits = if key.constant_is_null() { 0 } else { bits(values[0]) };
            let null = key.constant_is_null();
            words.iter_mut().for_each(|word| *word = word.or_shifted(bits, shift));
            if let (true, Some(null_shift)) = (null, self.null_shift) {
                words.iter_mut().for_each(|word| *word = word.or_shifted(1, null_shift));
            }
            return Ok(());
        }
        match (key.validity(), self.null_shift) {
            (None, _) => {
                for (word, &value) in words.iter_mut().zip(values) {
                    *word = word.or_shifted(bits(value), shift);
                }
            }
            (Some(validity), null_shift) => {
                for (row, (word, &value)) in words.iter_mut().zip(values).enumerate() {
                    let valid = validity[row / 64] >> (row % 64) & 1;
                    *word = word.or_shifted(bits(value) & 0u64.wrapping_sub(valid), shift);
                    if let Some(null_shift) = null_shift {
                        *word = word.or_shifted(1 - valid, null_shift);
                    }
                }
            }
        }
        Ok(())
    }

    fn pack_bools<W: Word>(&self, key: &Argument<'_>, words: &mut [W]) -> Result<()> {
        let constant = key.constant_bool().unwrap_or(false);
        let bits = if key.is_constant() { None } else { Some(key.bits()?) };
        for (row, word) in words.iter_mut().enumerate() {
            let null = key.is_null(row);
            let value = bits.map_or(constant, |bits| bitmap::get(bits, row));
            *word = word.or_shifted((value && !null) as u64, self.shift);
            if let Some(null_shift) = self.null_shift {
                *word = word.or_shifted(null as u64, null_shift);
            }
        }
        Ok(())
    }

    fn pack_wide<W: Word>(&self, key: &Argument<'_>, words: &mut [W]) -> Result<()> {
        let values = key.values::<i128>()?;
        for (row, word) in words.iter_mut().enumerate() {
            let value = if key.is_constant() { values[0] } else { values[row] };
            *word = W::from_bits(if key.is_null(row) { 0 } else { value as u128 });
        }
        Ok(())
    }

    fn pack_strings<W: Word>(&self, key: &Argument<'_>, words: &mut [W]) -> Result<Result<(), DoesNotFit>> {
        let views = key.strings()?.views;
        let mut longest = 0;
        for (row, word) in words.iter_mut().enumerate() {
            let null = key.is_null(row);
            let view = if key.is_constant() { views[0] } else { views[row] };
            let view = if null { 0 } else { view };
            let length = view as u32;
            longest = longest.max(length);
            // Inline bytes are zero beyond the length, so the word says all there is to say.
            let bits = (view >> 32) as u64 & 0x00FF_FFFF_FFFF_FFFF | (length as u64) << 56;
            *word = word.or_shifted(bits, self.shift);
            if let Some(null_shift) = self.null_shift {
                *word = word.or_shifted(null as u64, null_shift);
            }
        }
        Ok(if longest as usize > STRING_BYTES_MAX { Err(DoesNotFit) } else { Ok(()) })
    }

    fn unpack<W: Word>(
        &self,
        groups: &[u32],
        nullable: bool,
        word: impl Fn(u32) -> Option<W>,
        out: &mut Column,
    ) -> Result<()> {
        let shift = self.shift;
        match self.kind {
            Kind::View => *out = Column::Array(self.unpack_strings(groups, word)?),
            Kind::Bool => {
                let flat = out.flat_mut(|v| matches!(v, Values::Bool(_)), || Values::Bool(Vec::new()));
                if let Values::Bool(words) = &mut flat.values {
                    words.clear();
                    words.resize(groups.len().div_ceil(64), 0);
                    for (row, &group) in groups.iter().enumerate() {
                        let bit = word(group).map_or(0, |word| word.field(shift) & 1);
                        words[row / 64] |= bit << (row % 64);
                    }
                }
                write_validity(flat, groups, |group| word(group).is_some());
            }
            Kind::F32 => unpack_as(groups, &word, out, |word| f32::from_bits(word.field(shift) as u32)),
            Kind::F64 => unpack_as(groups, &word, out, |word| f64::from_bits(word.field(shift))),
            Kind::I128 => unpack_as(groups, &word, out, |word| word.bits() as i128),
            kind => match self.narrow {
                None => write_integers(kind, groups, out, nullable, |group| word(group).map(|word| word.field(shift))),
                Some(narrow) => {
                    let flip = if is_signed(kind) { ZERO } else { 0 };
                    let value = |word: W| narrow.base.wrapping_add(word.field(shift) & narrow.mask()) ^ flip;
                    write_integers(kind, groups, out, nullable, |group| word(group).map(value));
                }
            },
        }
        Ok(())
    }

    fn unpack_strings<W: Word>(&self, groups: &[u32], word: impl Fn(u32) -> Option<W>) -> Result<ArrayRef> {
        let mut builder = BinaryViewBuilder::with_capacity(groups.len());
        for &group in groups {
            match word(group) {
                None => builder.append_null(),
                Some(word) => {
                    let bytes = word.field(self.shift).to_le_bytes();
                    builder.append_value(&bytes[..bytes[7] as usize]);
                }
            }
        }
        super::views::as_type(builder.finish(), &self.data_type)
    }
}

fn unpack_as<W: Word, T: Fixed>(
    groups: &[u32],
    word: &impl Fn(u32) -> Option<W>,
    out: &mut Column,
    value: impl Fn(W) -> T,
) {
    let flat = out.flat_mut(|v| T::of_values(v).is_some(), || T::into_values(Vec::new()));
    let values = T::of_values_mut(&mut flat.values).expect("made of this type above");
    values.clear();
    values.extend(groups.iter().map(|&group| word(group).map_or_else(T::default, &value)));
    write_validity(flat, groups, |group| word(group).is_some());
}

fn normal_f64(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value + 0.0 }
}

fn normal_f32(value: f32) -> f32 {
    if value.is_nan() { f32::NAN } else { value + 0.0 }
}
