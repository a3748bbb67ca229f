//! One field of many rows becomes one column: a bare loop per type, and a second look at what it does not take.
//!
//! Place       below the decoders, which say where the fields are. Compiled for the CPU level that they dispatch to.

use millstream_kernels::view::ViewBuilder;

use super::column::{ColumnBuilder, Data, Reading, date64, set_bit, time_of_day, timestamp};
use super::value::{Field, boolean::boolean, decimal::decimal, float, integer, time, word};
use crate::batch::{Fixed, Values};

/// Fields that are parsed at once, where that is possible.
pub const LANES: usize = 8;

/// The row of a column, and where the field for it begins and ends.
pub type Place = (usize, usize, usize);

/// A faster way to parse some fields at once, where all of them are plain.
pub trait Many<V> {
    /// The values of `LANES` fields, `None` where one of them is not plain.
    fn parse(&self, text: &[u8], place: impl Fn(usize) -> Place) -> Option<[V; LANES]>;
}

/// There is none.
pub struct OneByOne;

impl<V> Many<V> for OneByOne {
    #[inline(always)]
    fn parse(&self, _text: &[u8], _place: impl Fn(usize) -> Place) -> Option<[V; LANES]> {
        None
    }
}

/// Fields of up to eight digits each, and nothing else.
pub struct Digits {
    /// Whether leading zeros are plain.
    pub zeros: bool,
}

impl Many<i64> for Digits {
    #[inline(always)]
    fn parse(&self, text: &[u8], place: impl Fn(usize) -> Place) -> Option<[i64; LANES]> {
        let (mut words, mut lengths) = ([0; LANES], [0; LANES]);
        for lane in 0..LANES {
            let (_, start, end) = place(lane);
            words[lane] = u64::from_le_bytes(*text.get(start..)?.first_chunk()?);
            lengths[lane] = (end - start) as u64;
        }
        let has_zero = |lane: usize| words[lane] as u8 == b'0' && lengths[lane] > 1;
        if !self.zeros && (0..LANES).fold(false, |any, lane| any | has_zero(lane)) {
            return None;
        }
        word::many_digits(words, lengths).map(|numbers| numbers.map(|number| number as i64))
    }
}

/// Fields of up to eight digits and a point each, behind a minus that some have.
pub struct Decimals {
    /// Whether the grammar is that of JSON.
    pub strict: bool,
}

impl Many<f64> for Decimals {
    #[inline(always)]
    fn parse(&self, text: &[u8], place: impl Fn(usize) -> Place) -> Option<[f64; LANES]> {
        let (mut words, mut lengths, mut negative) = ([0; LANES], [0; LANES], [false; LANES]);
        for lane in 0..LANES {
            let (_, start, end) = place(lane);
            let ahead: &[u8; 9] = text.get(start..)?.first_chunk()?;
            negative[lane] = ahead[0] == b'-' && end > start;
            let [first, middle @ .., last] = *ahead;
            let behind =
                u64::from_le_bytes([middle[0], middle[1], middle[2], middle[3], middle[4], middle[5], middle[6], last]);
            words[lane] = if negative[lane] { behind } else { behind << 8 | first as u64 };
            lengths[lane] = (end - start) as u64 - negative[lane] as u64;
        }
        float::many(words, lengths, negative, self.strict)
    }
}

/// The field of some rows that one column is filled from.
pub trait Fields<'a> {
    /// The text; it goes on for 16 bytes behind any field's start.
    fn text(&self) -> &'a [u8];

    /// How many they are.
    fn count(&self) -> usize;

    /// The row of the column that each field is for, where it begins and where it ends. Holds copies of what it needs, so
    /// that a loop over it keeps them in registers.
    fn places(&self) -> impl Fn(usize) -> Place + use<'a, Self>;

    /// Whether there are fields that stand for something else than their text says.
    fn has_special(&self) -> bool;

    /// Whether a field stands for something else than its text says.
    fn is_special(&self) -> impl Fn(&[u8]) -> bool + use<'a, Self>;

    /// A second look at a field that is no value as it stands: the value after all, or what to do about it is done.
    fn look<V>(
        &mut self,
        builder: &mut ColumnBuilder,
        row: usize,
        place: (usize, usize),
        parse: &impl Fn(Field<'_>) -> Option<V>,
    ) -> Option<V>;

    /// The same of a field that is no string as it stands.
    fn look_at_text(&mut self, builder: &mut ColumnBuilder, views: &mut ViewBuilder, row: usize, place: (usize, usize));
}

/// Fills the column with the values that its fields spell.
#[inline(always)]
pub fn parsed<'a>(fields: &mut impl Fields<'a>, builder: &mut ColumnBuilder) {
    // Each parser is written out in the loop of its type: a call per value costs as much as the parsing.
    macro_rules! numbers {
        ($text:ident => $parse:expr) => {
            numbers(
                fields,
                builder,
                #[inline(always)]
                |$text: Field<'_>| $parse,
            )
        };
    }
    match builder.reading.clone() {
        Reading::Bool => bits(fields, builder, |text: Field<'_>| boolean(text.bytes)),
        Reading::I8 => numbers!(text => i8::try_from(integer::signed_field(text)?).ok()),
        Reading::I16 => numbers!(text => i16::try_from(integer::signed_field(text)?).ok()),
        Reading::I32 => numbers!(text => i32::try_from(integer::signed_field(text)?).ok()),
        Reading::I64 => numbers_many(fields, builder, integer::signed_field, Digits { zeros: true }),
        Reading::U8 => numbers!(text => u8::try_from(integer::positive_field(text)?).ok()),
        Reading::U16 => numbers!(text => u16::try_from(integer::positive_field(text)?).ok()),
        Reading::U32 => numbers!(text => u32::try_from(integer::positive_field(text)?).ok()),
        Reading::U64 => numbers!(text => integer::positive_field(text)),
        Reading::F32 => numbers!(text => float::single_field(text)),
        Reading::F64 => numbers_many(fields, builder, float::double_field, Decimals { strict: false }),
        Reading::Decimal { precision, scale } => numbers!(text => decimal(text.bytes, precision, scale)),
        Reading::Date32 => numbers!(text => time::date_of(text.bytes)),
        Reading::Date64 => numbers!(text => date64(text.bytes)),
        Reading::Time32(ticks) => numbers!(text => i32::try_from(time_of_day(text.bytes, ticks)?).ok()),
        Reading::Time64(ticks) => numbers!(text => time_of_day(text.bytes, ticks)),
        Reading::Timestamp { per_second, zone } => numbers!(text => timestamp(text.bytes, per_second, zone)),
        Reading::Text | Reading::Bytes | Reading::Nested => unreachable!("strings and nested values are not parsed"),
    }
}

/// Fills a column of numbers.
#[inline(always)]
pub fn numbers<'a, T: Fixed>(
    fields: &mut impl Fields<'a>,
    builder: &mut ColumnBuilder,
    parse: impl Fn(Field<'_>) -> Option<T>,
) {
    numbers_many(fields, builder, parse, OneByOne);
}

/// Fills a column of numbers, of which `many` may know a faster way for some at once.
#[inline(always)]
pub fn numbers_many<'a, T: Fixed>(
    fields: &mut impl Fields<'a>,
    builder: &mut ColumnBuilder,
    parse: impl Fn(Field<'_>) -> Option<T>,
    many: impl Many<T>,
) {
    fixed(fields, builder, numbers_of, parse, many, |values: &mut [T], row, value| values[row] = value);
}

/// Fills a column of booleans.
#[inline(always)]
pub fn bits<'a>(fields: &mut impl Fields<'a>, builder: &mut ColumnBuilder, parse: impl Fn(Field<'_>) -> Option<bool>) {
    fixed(fields, builder, words_of, parse, OneByOne, set_bit);
}

/// Fills a column of fixed-width values, which are held in items of type `T`.
#[inline(always)]
fn fixed<'a, T, V>(
    fields: &mut impl Fields<'a>,
    builder: &mut ColumnBuilder,
    slice: impl Fn(&mut Values) -> Option<&mut [T]>,
    parse: impl Fn(Field<'_>) -> Option<V>,
    many: impl Many<V>,
    set: impl Fn(&mut [T], usize, V),
) {
    let mut data = builder.lend_data();
    let values = match &mut data {
        Data::Fixed(values) => slice(values),
        _ => None,
    };
    let values = values.expect("a column is read into values of its kind");
    let (text, is_special) = (fields.text(), fields.is_special());
    let (place, count, may_many) = (fields.places(), fields.count(), !fields.has_special());
    let mut at = 0;
    while at < count {
        // Some at once where all of them are plain.
        if may_many
            && at + LANES <= count
            && let Some(parsed) = many.parse(
                text,
                #[inline(always)]
                |lane| place(at + lane),
            )
        {
            parsed.into_iter().enumerate().for_each(|(lane, value)| set(values, place(at + lane).0, value));
            at += LANES;
            continue;
        }
        let next = (at + LANES).min(count);
        for (row, start, end) in (at..next).map(&place) {
            let field = Field::new(text, start, end);
            if !is_special(field.bytes)
                && let Some(value) = parse(field)
            {
                set(values, row, value);
            } else if let Some(value) = fields.look(builder, row, (start, end), &parse) {
                set(values, row, value);
            }
        }
        at = next;
    }
    builder.return_data(data);
}

/// Fills a column of strings or bytes with its fields as they are; `is_plain` says where they are that.
#[inline(always)]
pub fn views<'a>(fields: &mut impl Fields<'a>, builder: &mut ColumnBuilder, is_plain: impl Fn(&[u8]) -> bool) {
    let mut data = builder.lend_data();
    let Data::Views(views) = &mut data else { unreachable!("strings are read into views") };
    let (text, is_special) = (fields.text(), fields.is_special());
    for (row, start, end) in (0..fields.count()).map(fields.places()) {
        let field = &text[start..end];
        if !(is_plain(field) && !is_special(field) && views.set_range(row, start, end)) {
            fields.look_at_text(builder, views, row, (start, end));
        }
    }
    builder.return_data(data);
}

fn numbers_of<T: Fixed>(values: &mut Values) -> Option<&mut [T]> {
    T::of_values_mut(values).map(|values| &mut values[..])
}

fn words_of(values: &mut Values) -> Option<&mut [u64]> {
    match values {
        Values::Bool(words) => Some(words),
        _ => None,
    }
}
