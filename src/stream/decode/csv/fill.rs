//! The fields of a CSV column: where they are, and a second look at those that are no value as they stand.

use millstream_kernels::view::ViewBuilder;

use super::field::{Unquoted, unquote};
use super::quotes::Dialect;
use crate::stream::decode::column::{ColumnBuilder, Reading};
use crate::stream::decode::fault::{Fault, Reason};
use crate::stream::decode::fill::{self, Fields};
use crate::stream::decode::value::Field;

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

impl<'a> Fields<'a> for Job<'a> {
    #[inline(always)]
    fn text(&self) -> &'a [u8] {
        self.text
    }

    #[inline(always)]
    fn count(&self) -> usize {
        self.rows
    }

    #[inline(always)]
    fn places(&self) -> impl Fn(usize) -> fill::Place + use<'a> {
        let (text, is_last, stride, base) = (self.text, self.is_last, self.stride, self.base);
        let positions = if self.rows == 0 { &[][..] } else { &self.positions[self.field..] };
        move |row| {
            let at = row * stride;
            let (start, end) = (positions[at].wrapping_add(1) as usize, positions[at + 1] as usize);
            let cut = is_last && end > start && text[end - 1] == b'\r';
            (base + row, start, end - cut as usize)
        }
    }

    fn has_special(&self) -> bool {
        !self.nulls.words.is_empty()
    }

    #[inline(always)]
    fn is_special(&self) -> impl Fn(&[u8]) -> bool + use<'a> {
        let nulls = self.nulls;
        move |field| nulls.is_word(field)
    }

    fn look<V>(
        &mut self,
        builder: &mut ColumnBuilder,
        row: usize,
        (start, end): (usize, usize),
        parse: &impl Fn(Field<'_>) -> Option<V>,
    ) -> Option<V> {
        match self.look_again(start, end, parse) {
            Look::Value(value) => return Some(value),
            Look::Null => self.settle(builder, row, (start, end), Ok(())),
            Look::Bad(reason) => self.settle(builder, row, (start, end), Err(reason)),
        }
        None
    }

    fn look_at_text(
        &mut self,
        builder: &mut ColumnBuilder,
        views: &mut ViewBuilder,
        row: usize,
        (start, end): (usize, usize),
    ) {
        match self.look_again_at_text(views, row, start, end, matches!(builder.reading, Reading::Text)) {
            Look::Value(()) => {}
            Look::Null => {
                views.set_empty(row);
                self.settle(builder, row, (start, end), Ok(()));
            }
            Look::Bad(reason) => self.settle(builder, row, (start, end), Err(reason)),
        }
    }
}

impl<'a> Job<'a> {
    /// Fills the column. Inlined, so that it is compiled for the CPU level it is dispatched to.
    #[inline(always)]
    pub fn column(&mut self, builder: &mut ColumnBuilder) {
        if matches!(builder.reading, Reading::Text | Reading::Bytes) {
            let quote = self.dialect.quote;
            return fill::views(self, builder, |field| !field.is_empty() && field.first().copied() != quote);
        }
        fill::parsed(self, builder);
    }

    /// A second look at a field that is no value as it stands.
    #[inline(never)]
    fn look_again<V>(&mut self, start: usize, end: usize, parse: &impl Fn(Field<'_>) -> Option<V>) -> Look<V> {
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

    /// A second look at a string that is not in the block as it is.
    fn look_again_at_text(
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
                builder.mark_null(row, self.rows_max);
                if builder.field.is_nullable() {
                    return;
                }
                Reason::Null
            }
        };
        let begin = self.positions[(row - self.base) * self.stride].wrapping_add(1) as usize;
        self.faults.push(Fault { row: begin, start, end, column: Some(self.index), reason });
    }
}
