//! Fields become columns: a column at a time, over the rows of a table of positions.
//!
//! The bare loop per type takes the field as it is. Only where it is no value does a second look ask whether it is
//! null, quoted or has spaces around it. Rows that fail are taken out of the table, and the others are read once more.

use arrow::datatypes::FieldRef;
use millstream_kernels::view::{Text, ViewBuilder};

use super::field::{Unquoted, unquote};
use super::header::Layout;
use super::options::CsvOptions;
use super::quotes::Dialect;
use super::structure::{Found, Structure};
use crate::batch::{Batch, Column, Fixed, Values};
use crate::error::Result;
use crate::stream::decode::column::{ColumnBuilder, Data, Reading, date64, set_bit, time_of_day, timestamp};
use crate::stream::decode::fault::{Fault, Reason};
use crate::stream::decode::value::{Field, boolean::boolean, decimal::decimal, float, integer, time};
use crate::stream::decode::{Block, OnError};

/// Positions per table at most, so that it stays in the cache.
const POSITIONS_MAX: usize = 1 << 14;

/// Decodes blocks of CSV.
#[derive(Debug)]
pub struct CsvDecoder {
    dialect: Dialect,
    nulls: Nulls,
    on_error: OnError,
    layout: Layout,
    builders: Vec<ColumnBuilder>,
    structure: Structure,
    block: Block,
    text: Option<Text>,
    /// Rows there are still at most.
    lines_left: usize,
    faults: Vec<Fault>,
    copy: Vec<u8>,
}

/// Which fields without quotes are null.
#[derive(Debug)]
struct Nulls {
    /// Whether the empty one is, in string columns.
    empty: bool,
    words: Vec<Vec<u8>>,
}

impl Nulls {
    #[inline(always)]
    fn is_word(&self, field: &[u8]) -> bool {
        !self.words.is_empty() && self.words.iter().any(|word| word == field)
    }
}

impl CsvDecoder {
    /// A decoder of the projected columns `fields`. Failure: a type that CSV cannot hold.
    pub fn new(options: &CsvOptions, fields: &[FieldRef], on_error: OnError) -> Result<Self> {
        let builders =
            fields.iter().map(|field| ColumnBuilder::new(field.clone(), "csv")).collect::<Result<Vec<_>>>()?;
        Ok(CsvDecoder {
            dialect: Dialect { delimiter: options.delimiter(), quote: options.quote, escape: options.escape },
            nulls: Nulls {
                empty: options.nulls.iter().any(String::is_empty),
                words: options
                    .nulls
                    .iter()
                    .filter(|null| !null.is_empty())
                    .map(|null| null.clone().into_bytes())
                    .collect(),
            },
            on_error,
            layout: Layout { fields: 0, columns: Vec::new() },
            builders,
            structure: Structure::new(),
            block: Block::empty(),
            text: None,
            lines_left: 0,
            faults: Vec::new(),
            copy: Vec::new(),
        })
    }

    /// Starts with a block of a file of this layout.
    pub fn begin(&mut self, block: Block, layout: &Layout) {
        assert_eq!(layout.columns.len(), self.builders.len(), "a field per projected column");
        self.layout.clone_from(layout);
        let has_text = self.builders.iter().any(|builder| matches!(builder.reading, Reading::Text));
        self.text = has_text.then(|| block.checked()).flatten();
        self.structure.begin(block.text(), self.dialect);
        self.lines_left = block.lines();
        self.block = block;
    }

    /// The block in work.
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// Gives the block back.
    pub fn end(&mut self) -> Block {
        self.text = None;
        std::mem::replace(&mut self.block, Block::empty())
    }

    /// Decodes the next rows, `rows_max` at most, and says how many they are and how many bad ones were left out.
    /// Failure: the first bad row, when none may be left out.
    pub fn read(&mut self, batch: &mut Batch, rows_max: usize) -> Result<(usize, usize), Fault> {
        if self.structure.is_done(self.block.text()) {
            return Ok((0, 0));
        }
        let rows_max = rows_max.min(self.lines_left);
        batch.columns.resize_with(self.builders.len(), Column::default);
        for (builder, column) in self.builders.iter_mut().zip(&mut batch.columns) {
            builder.begin(column, &self.block, self.text.as_ref(), rows_max);
        }
        let chunk = (POSITIONS_MAX / (self.layout.fields + 1)).max(16);
        let (mut rows, mut left_out) = (0, 0);
        while rows < rows_max {
            match self.structure.take(self.block.text(), self.layout.fields, chunk.min(rows_max - rows)) {
                Found::Rows(found) => {
                    let kept = self.decode(rows, found, rows_max)?;
                    left_out += found - kept;
                    rows += kept;
                }
                Found::Bad(fault) if self.on_error == OnError::Fail => return Err(fault),
                Found::Bad(_) => left_out += 1,
                Found::End => break,
            }
        }
        self.lines_left -= rows;
        for (builder, column) in self.builders.iter_mut().zip(&mut batch.columns) {
            builder.finish(column, rows);
        }
        batch.rows = rows;
        Ok((rows, left_out))
    }

    /// Decodes the `found` rows of the table to rows `base..`, and returns how many were good.
    fn decode(&mut self, base: usize, found: usize, rows_max: usize) -> Result<usize, Fault> {
        self.decode_columns(base, 0, found, rows_max);
        if self.faults.is_empty() {
            return Ok(found);
        }
        if self.on_error == OnError::Fail {
            return Err(self.faults.iter().copied().min_by_key(|fault| (fault.row, fault.start)).expect("not empty"));
        }
        let mut bad: Vec<usize> = self.faults.iter().map(|fault| fault.row).collect();
        bad.sort_unstable();
        bad.dedup();
        self.builders.iter_mut().for_each(|builder| builder.rewind(base));
        // Once more, from one bad row to the next.
        let stride = self.structure.stride;
        let (mut kept, mut first) = (0, 0);
        for row in 0..=found {
            let start = self.structure.positions[row * stride].wrapping_add(1) as usize;
            if row == found || bad.binary_search(&start).is_ok() {
                self.decode_columns(base + kept, first, row - first, rows_max);
                debug_assert!(self.faults.is_empty(), "bad rows were taken out");
                kept += row - first;
                first = row + 1;
            }
        }
        Ok(kept)
    }

    /// Decodes `count` rows of the table, from `first` on, to rows `base..`.
    fn decode_columns(&mut self, base: usize, first: usize, count: usize, rows_max: usize) {
        self.faults.clear();
        let stride = self.structure.stride;
        for (index, builder) in self.builders.iter_mut().enumerate() {
            let field = self.layout.columns[index];
            let mut job = Job {
                text: self.block.padded(),
                positions: &self.structure.positions[first * stride..=(first + count) * stride],
                stride,
                field,
                is_last: field + 1 == stride,
                index,
                base,
                rows: count,
                rows_max,
                dialect: self.dialect,
                nulls: &self.nulls,
                faults: &mut self.faults,
                copy: &mut self.copy,
            };
            job.column(builder);
        }
    }
}

/// One column of the rows of a table.
struct Job<'a> {
    text: &'a [u8],
    positions: &'a [u32],
    stride: usize,
    field: usize,
    /// Whether the field is the line's last one, that a `\r` may end.
    is_last: bool,
    index: usize,
    base: usize,
    rows: usize,
    rows_max: usize,
    dialect: Dialect,
    nulls: &'a Nulls,
    faults: &'a mut Vec<Fault>,
    copy: &'a mut Vec<u8>,
}

/// What a second look at a field found.
enum Look<V> {
    Value(V),
    Null,
    Bad(Reason),
}

impl<'a> Job<'a> {
    fn column(&mut self, builder: &mut ColumnBuilder) {
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
