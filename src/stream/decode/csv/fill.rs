//! One field of many rows becomes one column: a bare loop per type, and a second look at what it does not take.

use millstream_kernels::view::ViewBuilder;

use super::field::{Unquoted, unquote};
use super::quotes::Dialect;
use crate::batch::{Fixed, Values};
use crate::stream::decode::column::{ColumnBuilder, Data, Reading, date64, set_bit, time_of_day, timestamp};
use crate::stream::decode::fault::{Fault, Reason};
use crate::stream::decode::value::{Field, boolean::boolean, decimal::decimal, float, integer, time};

/// Which fields without quotes are null.
#[derive(Debug)]
pub struct Nulls {
    /// Whether the empty one is, in string columns.
    pub empty: bool,
    /// Other words.
    pub words: Vec<Vec<u8>>,
}

impl Nulls {
    #[inline(always)]
    /// Whether a field is one of the other words.
    pub fn is_word(&self, field: &[u8]) -> bool {
        !self.words.is_empty() && self.words.iter().any(|word| word == field)
    }
}

/// One column of the rows of a table.
pub struct Job<'a> {
    pub text: &'a [u8],
    pub positions: &'a [u32],
    pub stride: usize,
    pub field: usize,
    /// Whether the field is the line's last one, that a `\r` may end.
    pub is_last: bool,
    pub index: usize,
    pub base: usize,
    pub rows: usize,
    pub rows_max: usize,
    pub dialect: Dialect,
    pub nulls: &'a Nulls,
    pub faults: &'a mut Vec<Fault>,
    pub copy: &'a mut Vec<u8>,
}

/// What a second look at a field found.
enum Look<V> {
    Value(V),
    Null,
    Bad(Reason),
}

impl<'a> Job<'a> {
    /// Fills the column. Inlined, so that it is compiled for the CPU level it is dispatched to.
    #[inline(always)]
    pub fn column(&mut self, builder: &mut ColumnBuilder) {
        // Each parser is written out in the loop of its type: a call per value costs as much as the parsing.
        macro_rules! numbers {
            ($text:ident => $parse:expr) => {
                self.numbers(
                    builder,
                    #[inline(always)]
                    |$text: Field<'_>| $parse,
                )
            };
        }
        match builder.reading.clone() {
            Reading::Bool => self.fixed(builder, words_of, |text: Field<'_>| boolean(text.bytes), set_bit),
            Reading::I8 => numbers!(text => i8::try_from(integer::signed_field(text)?).ok()),
            Reading::I16 => numbers!(text => i16::try_from(integer::signed_field(text)?).ok()),
            Reading::I32 => numbers!(text => i32::try_from(integer::signed_field(text)?).ok()),
            Reading::I64 => numbers!(text => integer::signed_field(text)),
            Reading::U8 => numbers!(text => u8::try_from(integer::positive_field(text)?).ok()),
            Reading::U16 => numbers!(text => u16::try_from(integer::positive_field(text)?).ok()),
            Reading::U32 => numbers!(text => u32::try_from(integer::positive_field(text)?).ok()),
            Reading::U64 => numbers!(text => integer::positive_field(text)),
            Reading::F32 => numbers!(text => float::single_field(text)),
            Reading::F64 => numbers!(text => float::double_field(text)),
            Reading::Decimal { precision, scale } => numbers!(text => decimal(text.bytes, precision, scale)),
            Reading::Date32 => numbers!(text => time::date_of(text.bytes)),
            Reading::Date64 => numbers!(text => date64(text.bytes)),
            Reading::Time32(ticks) => numbers!(text => i32::try_from(time_of_day(text.bytes, ticks)?).ok()),
            Reading::Time64(ticks) => numbers!(text => time_of_day(text.bytes, ticks)),
            Reading::Timestamp { per_second, zone } => numbers!(text => timestamp(text.bytes, per_second, zone)),
            Reading::Text | Reading::Bytes => self.views(builder),
            Reading::Nested => unreachable!("a decoder of csv refuses nested columns"),
        }
    }

    /// Where the field of each row is. Holds copies of what it needs, so that a loop over it keeps them in registers.
    #[inline(always)]
    fn ranges(&self) -> impl Iterator<Item = (usize, usize, usize)> + use<'a> {
        let (text, is_last, stride) = (self.text, self.is_last, self.stride);
        let positions = if self.rows == 0 { &[][..] } else { &self.positions[self.field..] };
        (0..self.rows).map(move |row| {
            let at = row * stride;
            let (start, end) = (positions[at].wrapping_add(1) as usize, positions[at + 1] as usize);
            let cut = is_last && end > start && text[end - 1] == b'\r';
            (row, start, end - cut as usize)
        })
    }

    #[inline(always)]
    fn numbers<T: Fixed>(&mut self, builder: &mut ColumnBuilder, parse: impl Fn(Field<'_>) -> Option<T>) {
        self.fixed(builder, numbers_of, parse, |values: &mut [T], row, value| values[row] = value);
    }

    /// Fills a column of fixed-width values, which are held in items of type `T`.
    #[inline(always)]
    fn fixed<T, V>(
        &mut self,
        builder: &mut ColumnBuilder,
        slice: impl Fn(&mut Values) -> Option<&mut [T]>,
        parse: impl Fn(Field<'_>) -> Option<V>,
        set: impl Fn(&mut [T], usize, V),
    ) {
        let mut data = builder.lend_data();
        let values = match &mut data {
            Data::Fixed(values) => slice(values),
            _ => None,
        };
        let values = values.expect("a column is read into values of its kind");
        let values = &mut values[..];
        let (text, base, nulls) = (self.text, self.base, self.nulls);
        for (row, start, end) in self.ranges() {
            let field = Field::new(text, start, end);
            if !nulls.is_word(field.bytes)
                && let Some(value) = parse(field)
            {
                set(values, base + row, value);
                continue;
            }
            match self.look(start, end, &parse) {
                Look::Value(value) => set(values, self.base + row, value),
                Look::Null => self.settle(builder, row, (start, end), Ok(())),
                Look::Bad(reason) => self.settle(builder, row, (start, end), Err(reason)),
            }
        }
        builder.return_data(data);
    }

    /// A second look at a field that is no value as it stands.
    #[inline(never)]
    fn look<V>(&mut self, start: usize, end: usize, parse: &impl Fn(Field<'_>) -> Option<V>) -> Look<V> {
        let field = &self.text[start..end];
        let mut inner = field;
        if let Some(quote) = self.dialect.quote.filter(|quote| field.first() == Some(quote)) {
            inner = match unquote(field, quote, self.dialect.escape, self.copy) {
                Ok(Unquoted::Plain(from, to)) => {
                    let inner = &field[from..to];
                    if !self.nulls.is_word(inner)
                        && let Some(value) = parse(Field::new(self.text, start + from, start + to))
                    {
                        return Look::Value(value);
                    }
                    inner
                }
                Ok(Unquoted::Copied) => self.copy,
                Err(reason) => return Look::Bad(reason),
            };
        }
        let trimmed = inner.trim_ascii();
        if trimmed.is_empty() || self.nulls.is_word(trimmed) {
            return Look::Null;
        }
        parse(Field::of(trimmed)).map_or(Look::Bad(Reason::Value), Look::Value)
    }

    /// Fills a column of strings or bytes.
    #[inline(always)]
    fn views(&mut self, builder: &mut ColumnBuilder) {
        let mut data = builder.lend_data();
        let Data::Views(views) = &mut data else { unreachable!("strings are read into views") };
        let is_text = matches!(builder.reading, Reading::Text);
        let (text, base, nulls, quote) = (self.text, self.base, self.nulls, self.dialect.quote);
        for (row, start, end) in self.ranges() {
            let field = &text[start..end];
            let first = field.first().copied();
            let is_plain = first.is_some() && first != quote && !nulls.is_word(field);
            if is_plain && views.set_range(base + row, start, end) {
                continue;
            }
            match self.look_at_text(views, self.base + row, start, end, is_text) {
                Look::Value(()) => {}
                Look::Null => {
                    views.set_empty(self.base + row);
                    self.settle(builder, row, (start, end), Ok(()));
                }
                Look::Bad(reason) => self.settle(builder, row, (start, end), Err(reason)),
            }
        }
        builder.return_data(data);
    }

    /// A second look at a string that is not in the block as it is.
    fn look_at_text(
        &mut self,
        views: &mut ViewBuilder,
        row: usize,
        start: usize,
        end: usize,
        is_text: bool,
    ) -> Look<()> {
        let field = &self.text[start..end];
        let mut inner = field;
        if let Some(quote) = self.dialect.quote.filter(|quote| field.first() == Some(quote)) {
            inner = match unquote(field, quote, self.dialect.escape, self.copy) {
                Ok(Unquoted::Plain(from, to)) if views.set_range(row, start + from, start + to) => {
                    return Look::Value(());
                }
                Ok(Unquoted::Plain(from, to)) => &field[from..to],
                Ok(Unquoted::Copied) => self.copy,
                Err(reason) => return Look::Bad(reason),
            };
        } else if self.nulls.is_word(field) || field.is_empty() && self.nulls.empty {
            return Look::Null;
        }
        let fits = match std::str::from_utf8(inner) {
            Ok(text) => views.set_copy(row, text),
            Err(_) if is_text => return Look::Bad(Reason::Utf8),
            Err(_) => views.set_copy_bytes(row, inner),
        };
        if fits { Look::Value(()) } else { Look::Bad(Reason::Value) }
    }

    /// Notes what a second look found: a null, or a reason to refuse the row.
    #[cold]
    fn settle(
        &mut self,
        builder: &mut ColumnBuilder,
        row: usize,
        (start, end): (usize, usize),
        found: Result<(), Reason>,
    ) {
        let reason = match found {
            Err(reason) => reason,
            Ok(()) => {
                builder.mark_null(self.base + row, self.rows_max);
                if builder.field.is_nullable() {
                    return;
                }
                Reason::Null
            }
        };
        let begin = self.positions[row * self.stride].wrapping_add(1) as usize;
        self.faults.push(Fault { row: begin, start, end, column: Some(self.index), reason });
    }
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
