//! One value of many lines of a shape becomes one column. A line whose value is not what most are is marked as odd: then
//! it is read again, key by key.

use millstream_kernels::bitmap;
use millstream_kernels::view::ViewBuilder;

use super::shape::{Place, Written};
use crate::stream::decode::column::{ColumnBuilder, Reading};
use crate::stream::decode::fill::{self, Decimals, Digits, Fields};
use crate::stream::decode::value::{Field, strict};

/// A line of a shape, and the row it becomes.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its number among the lines at hand.
    pub row: u32,
    /// Where its positions begin.
    pub base: u32,
}

/// One value of the lines of a shape.
pub struct Job<'a> {
    pub text: &'a [u8],
    pub positions: &'a [u32],
    pub rows: &'a [Row],
    pub start: Place,
    pub end: Place,
    pub written: Written,
    /// The row of the column that line 0 becomes, and how many there may be.
    pub base: usize,
    pub rows_max: usize,
    /// A bit for each of the lines at hand.
    pub odd: &'a mut [u64],
}

impl Job<'_> {
    /// Fills the column. Inlined, so that it is compiled for the CPU level it is dispatched to.
    #[inline(always)]
    pub fn column(&mut self, builder: &mut ColumnBuilder) {
        match (self.written, &builder.reading) {
            (Written::String, Reading::Text) => fill::views(self, builder, |_| true),
            (Written::Scalar, Reading::Text) => {
                fill::views(self, builder, |text| !matches!(text, [b'n', ..]) && strict::is_scalar(Field::of(text)));
            }
            (_, Reading::Bytes | Reading::Nested) => self.all_odd(),
            (Written::String, _) => fill::parsed(self, builder),
            (Written::Scalar, _) => scalars(self, builder),
        }
    }

    /// Looks whether a value that goes nowhere is right.
    #[inline(always)]
    pub fn check(&mut self) {
        if self.written == Written::String {
            return;
        }
        let text = self.text;
        for (row, start, end) in (0..self.count()).map(self.places()) {
            if !strict::is_scalar(Field::new(text, start, end)) {
                bitmap::set(self.odd, row - self.base);
            }
        }
    }

    fn all_odd(&mut self) {
        for row in self.rows {
            bitmap::set(self.odd, row.row as usize);
        }
    }

    /// Marks a null, or an odd line.
    fn settle(&mut self, builder: &mut ColumnBuilder, row: usize, (start, end): (usize, usize)) {
        let is_null = self.written == Written::Scalar && &self.text[start..end] == b"null";
        if is_null && builder.field.is_nullable() {
            builder.mark_null(row, self.rows_max);
        } else {
            bitmap::set(self.odd, row - self.base);
        }
    }
}

/// Fills the column with numbers and words.
#[inline(always)]
fn scalars(job: &mut Job<'_>, builder: &mut ColumnBuilder) {
    macro_rules! numbers {
        ($text:ident => $parse:expr) => {
            fill::numbers(
                job,
                builder,
                #[inline(always)]
                |$text: Field<'_>| $parse,
            )
        };
    }
    match builder.reading.clone() {
        Reading::Bool => fill::bits(job, builder, strict::boolean),
        Reading::I8 => numbers!(text => i8::try_from(strict::signed(text)?).ok()),
        Reading::I16 => numbers!(text => i16::try_from(strict::signed(text)?).ok()),
        Reading::I32 | Reading::Date32 | Reading::Time32(_) => {
            numbers!(text => i32::try_from(strict::signed(text)?).ok());
        }
        Reading::I64 | Reading::Date64 | Reading::Time64(_) | Reading::Timestamp { .. } => {
            fill::numbers_many(job, builder, strict::signed, Digits { zeros: false });
        }
        Reading::U8 => numbers!(text => u8::try_from(strict::positive(text)?).ok()),
        Reading::U16 => numbers!(text => u16::try_from(strict::positive(text)?).ok()),
        Reading::U32 => numbers!(text => u32::try_from(strict::positive(text)?).ok()),
        Reading::U64 => numbers!(text => strict::positive(text)),
        Reading::F32 => numbers!(text => strict::single(text)),
        Reading::F64 => fill::numbers_many(job, builder, strict::double, Decimals { strict: true }),
        Reading::Decimal { precision, scale } => numbers!(text => strict::decimal(text.bytes, precision, scale)),
        Reading::Text | Reading::Bytes | Reading::Nested => unreachable!("strings and nested values are not parsed"),
    }
}

impl<'a> Fields<'a> for Job<'a> {
    #[inline(always)]
    fn text(&self) -> &'a [u8] {
        self.text
    }

    #[inline(always)]
    fn count(&self) -> usize {
        self.rows.len()
    }

    #[inline(always)]
    fn places(&self) -> impl Fn(usize) -> fill::Place + use<'a> {
        let (positions, rows, base, from, to) = (self.positions, self.rows, self.base, self.start, self.end);
        move |index| {
            let row = rows[index];
            let at = |place: Place| positions[(row.base + place.special) as usize].wrapping_add(place.shift) as usize;
            let (start, end) = (at(from), at(to));
            // Literals that overlap leave no room for a value.
            (base + row.row as usize, start, end.max(start))
        }
    }

    fn has_special(&self) -> bool {
        false
    }

    #[inline(always)]
    fn is_special(&self) -> impl Fn(&[u8]) -> bool + use<'a> {
        |_| false
    }

    #[inline(never)]
    fn look<V>(
        &mut self,
        builder: &mut ColumnBuilder,
        row: usize,
        place: (usize, usize),
        _parse: &impl Fn(Field<'_>) -> Option<V>,
    ) -> Option<V> {
        self.settle(builder, row, place);
        None
    }

    #[inline(never)]
    fn look_at_text(
        &mut self,
        builder: &mut ColumnBuilder,
        views: &mut ViewBuilder,
        row: usize,
        place: (usize, usize),
    ) {
        views.set_empty(row);
        self.settle(builder, row, place);
    }
}
