//! Members become columns: many lines at once where they have a shape in common, else a line at a time, as its keys come.

use arrow::datatypes::FieldRef;
use fearless_simd::dispatch;
use millstream_kernels::level::{self, Level};
use millstream_kernels::view::Text;

use super::cursor::{Cursor, Expected};
use super::escape::unescape;
use super::keys::Keys;
use super::lines::{Lines, Marks};
use super::member::{Bad, broken, read, skip};
use super::nested;
use super::shapes::Shapes;
use crate::batch::{Batch, Column};
use crate::error::Result;
use crate::stream::decode::column::{ColumnBuilder, Data, set_bit};
use crate::stream::decode::fault::{Fault, Reason};
use crate::stream::decode::{Block, OnError};

/// Decodes blocks of NDJSON.
#[derive(Debug)]
pub struct JsonDecoder {
    level: Level,
    on_error: OnError,
    keys: Keys,
    builders: Vec<ColumnBuilder>,
    block: Block,
    text: Option<Text>,
    marks: Marks,
    lines: Lines,
    shapes: Shapes,
    /// The byte the next row begins with.
    next: usize,
    /// Rows there are still at most.
    lines_left: usize,
    scratch: Scratch,
}

/// What reading a row needs beside its columns.
#[derive(Debug, Default)]
struct Scratch {
    seen: Seen,
    copy: Vec<u8>,
}

/// A bit per projected column: whether the row has a value for it. The first 64 are apart: most tables have no more, and
/// emptying a vector is a call.
#[derive(Debug, Default)]
struct Seen {
    first: u64,
    more: Vec<u64>,
}

impl Seen {
    #[inline(always)]
    fn clear(&mut self) {
        self.first = 0;
        if !self.more.is_empty() {
            self.more.fill(0);
        }
    }

    #[inline(always)]
    fn set(&mut self, column: usize, is_value: bool) {
        if column < 64 {
            self.first = self.first & !(1 << column) | (is_value as u64) << column;
        } else {
            set_bit(&mut self.more, column - 64, is_value);
        }
    }

    fn word(&self, index: usize) -> u64 {
        if index == 0 { self.first } else { self.more[index - 1] }
    }
}

impl JsonDecoder {
    /// A decoder of the projected columns `fields`. Failure: a type that JSON cannot hold.
    pub fn new(fields: &[FieldRef], on_error: OnError) -> Result<Self> {
        let builders =
            fields.iter().map(|field| ColumnBuilder::new(field.clone(), "json")).collect::<Result<Vec<_>>>()?;
        Ok(JsonDecoder {
            level: level::detect(),
            on_error,
            keys: Keys::new(fields),
            scratch: Scratch {
                seen: Seen { first: 0, more: vec![0; builders.len().saturating_sub(64).div_ceil(64)] },
                copy: Vec::new(),
            },
            builders,
            block: Block::empty(),
            text: None,
            marks: Marks::default(),
            lines: Lines::default(),
            shapes: Shapes::default(),
            next: 0,
            lines_left: 0,
        })
    }

    /// Starts with a block.
    pub fn begin(&mut self, block: Block) {
        self.text = block.checked();
        self.marks.scan(self.level, block.padded());
        self.next = 0;
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
        if self.next >= self.block.text().len() {
            return Ok((0, 0));
        }
        let rows_max = rows_max.min(self.lines_left);
        batch.columns.resize_with(self.builders.len(), Column::default);
        let start = self.next;
        let mut refused = Vec::new(); // rows whose nested values turned out to be bad, ascending
        loop {
            for (builder, column) in self.builders.iter_mut().zip(&mut batch.columns) {
                builder.begin(column, &self.block, self.text.as_ref(), rows_max);
            }
            self.next = start;
            let (rows, left_out) = dispatch!(self.level, _simd => self.rows(rows_max, &refused))?;
            match self.finish(batch, rows) {
                Ok(()) => {
                    self.lines_left -= rows;
                    batch.rows = rows;
                    return Ok((rows, left_out));
                }
                Err(fault) if self.on_error == OnError::Fail => return Err(fault),
                Err(fault) => {
                    refused.push(fault.row);
                    refused.sort_unstable();
                }
            }
        }
    }

    /// Inlined, so that it is compiled for the CPU level it is dispatched to.
    #[inline(always)]
    fn rows(&mut self, rows_max: usize, refused: &[usize]) -> Result<(usize, usize), Fault> {
        let block = self.block.clone();
        let length = block.text().len();
        let (mut rows, mut left_out) = (0, 0);
        while rows < rows_max && self.next < length {
            let by_shape = self.text.is_some() && refused.is_empty() && self.shapes.are_worth_it();
            let (found, bad) =
                if by_shape { self.alike(&block, rows, rows_max)? } else { self.any(&block, rows, rows_max, refused)? };
            rows += found;
            left_out += bad;
        }
        Ok((rows, left_out))
    }

    /// Reads some of the next lines into rows from `base` on, those at once that are of a shape.
    #[inline(always)]
    fn alike(&mut self, block: &Block, base: usize, rows_max: usize) -> Result<(usize, usize), Fault> {
        let (mut lines, mut shapes) = (std::mem::take(&mut self.lines), std::mem::take(&mut self.shapes));
        let lines_max = (rows_max - base).min(shapes.lines_max());
        self.next = lines.take(self.level, block.text(), &self.marks, self.next, lines_max);
        let mut left_out = 0;
        let outcome = loop {
            shapes.fill(block.padded(), &lines, &mut self.builders, base, rows_max);
            match self.odd_lines(block, &mut lines, &mut shapes, base, rows_max) {
                Ok(0) => break Ok((lines.list.len(), left_out)),
                // Rows move up: once more, without the bad lines.
                Ok(bad) => left_out += bad,
                Err(fault) => break Err(fault),
            }
            self.builders.iter_mut().for_each(|builder| builder.rewind(base));
        };
        (self.lines, self.shapes) = (lines, shapes);
        outcome
    }

    /// Reads the lines of no shape, and takes away those that are bad: how many.
    #[inline(always)]
    fn odd_lines(
        &mut self,
        block: &Block,
        lines: &mut Lines,
        shapes: &mut Shapes,
        base: usize,
        rows_max: usize,
    ) -> Result<usize, Fault> {
        let mut bad = Vec::new();
        let marks = std::mem::take(&mut self.marks);
        let mut cursor = Cursor::new(block.padded(), &marks.special, 0);
        let mut failed = None;
        let mut from = 0;
        while let Some(at) = shapes.next_odd(from) {
            from = at + 1;
            let line = lines.list[at];
            cursor.at = line.start as usize;
            cursor.skip_blanks();
            let start = cursor.at;
            self.builders.iter_mut().for_each(|builder| builder.mark_valid(base + at));
            match (self.row(&mut cursor, base + at, rows_max), self.on_error) {
                (Ok(()), _) => shapes.learn(block.padded(), lines, line, &self.keys, self.builders.len()),
                (Err(_), OnError::Skip) => bad.push(line),
                (Err(bad), OnError::Fail) => {
                    failed = Some(fault_of(start, bad));
                    break;
                }
            }
        }
        self.marks = marks;
        lines.list.retain(|line| bad.binary_search_by_key(&line.start, |bad| bad.start).is_err());
        failed.map_or(Ok(bad.len()), Err)
    }

    /// Reads the next lines into rows from `base` on, one by one.
    #[inline(always)]
    fn any(&mut self, block: &Block, base: usize, rows_max: usize, refused: &[usize]) -> Result<(usize, usize), Fault> {
        let length = block.text().len();
        let marks = std::mem::take(&mut self.marks);
        let mut cursor = Cursor::new(block.padded(), &marks.special, self.next);
        let (mut rows, mut left_out) = (0, 0);
        let mut failed = None;
        let rows_max_here = (rows_max - base).min(self.shapes.pause());
        while rows < rows_max_here {
            cursor.skip_blanks();
            if cursor.at >= length {
                break;
            }
            if cursor.accept(b'\n') {
                continue;
            }
            let start = cursor.at;
            let outcome = self.row(&mut cursor, base + rows, rows_max);
            if outcome.is_ok() && (refused.is_empty() || refused.binary_search(&start).is_err()) {
                rows += 1;
                continue;
            }
            left_out += 1;
            let end = memchr::memchr(b'\n', &block.text()[cursor.at.min(length)..]);
            cursor.at = if outcome.is_ok() { cursor.at } else { end.map_or(length, |end| cursor.at + end + 1) };
            if let (Err(bad), OnError::Fail) = (outcome, self.on_error) {
                failed = Some(fault_of(start, bad));
                break;
            }
        }
        self.next = cursor.at;
        self.marks = marks;
        self.shapes.pass(rows);
        failed.map_or(Ok((rows, left_out)), Err)
    }

    /// Reads one line into row `row`, and steps behind it when it is good.
    #[inline(always)]
    fn row(&mut self, cursor: &mut Cursor<'_>, row: usize, rows_max: usize) -> Result<(), (Bad, Option<usize>)> {
        let start = cursor.at;
        self.scratch.seen.clear();
        self.members(cursor, row)?;
        cursor.skip_blanks();
        if cursor.byte() != b'\n' {
            return Err((broken(cursor, "the end of the line"), None));
        }
        if self.text.is_none() && std::str::from_utf8(&cursor.bytes[start..cursor.at]).is_err() {
            return Err((Bad { reason: Reason::Utf8, start, end: cursor.at }, None));
        }
        self.fill_missing(row, rows_max)
            .map_err(|column| (Bad { reason: Reason::Null, start, end: start }, Some(column)))?;
        cursor.at += 1;
        Ok(())
    }

    #[inline(always)]
    fn members(&mut self, cursor: &mut Cursor<'_>, row: usize) -> Result<(), (Bad, Option<usize>)> {
        let no_column = |bad| (bad, None);
        if !cursor.accept(b'{') {
            return Err(no_column(broken(cursor, "'{'")));
        }
        cursor.skip_blanks();
        if cursor.accept(b'}') {
            return Ok(());
        }
        let mut step = 0;
        loop {
            let column = match self.keys.expected(step, cursor.bytes, cursor.at) {
                Some((column, length)) => {
                    cursor.at += length;
                    cursor.skip_blanks();
                    step += 1;
                    column
                }
                None => {
                    let (column, next) =
                        self.unexpected(cursor, step).map_err(|expected| no_column(broken(cursor, expected)))?;
                    step = next;
                    column
                }
            };
            match column {
                Some(column) => {
                    let builder = &mut self.builders[column];
                    let is_value =
                        read(builder, cursor, row, &mut self.scratch.copy).map_err(|bad| (bad, Some(column)))?;
                    self.scratch.seen.set(column, is_value);
                }
                None => skip(cursor, &mut self.scratch.copy).map_err(|expected| no_column(broken(cursor, expected)))?,
            }
            cursor.skip_blanks();
            if !cursor.accept(b',') {
                if cursor.accept(b'}') {
                    return Ok(());
                }
                return Err(no_column(broken(cursor, "',' or '}'")));
            }
            cursor.skip_blanks();
        }
    }

    /// Reads a key that is not the one expected.
    #[cold]
    fn unexpected(&mut self, cursor: &mut Cursor<'_>, step: usize) -> Result<(Option<usize>, usize), Expected> {
        let start = cursor.at;
        let key = cursor.string().map_err(|_| "a key in quotes")?;
        let is_plain = !key.has_escapes && cursor.byte() == b':';
        let text = is_plain.then(|| &cursor.bytes[start..=cursor.at]);
        cursor.colon()?;
        let mut name = &cursor.bytes[key.start..key.end];
        if key.has_escapes {
            self.scratch.copy.clear();
            unescape(name, &mut self.scratch.copy)?;
            name = &self.scratch.copy;
        }
        Ok(self.keys.look_up(step, text, name))
    }

    /// Marks the columns that the row has no value for as null. Failure: a column that may not be.
    #[inline(always)]
    fn fill_missing(&mut self, row: usize, rows_max: usize) -> Result<(), usize> {
        let count = self.builders.len();
        for index in 0..count.div_ceil(64) {
            let wanted = if count - index * 64 >= 64 { !0 } else { (1 << (count - index * 64)) - 1 };
            let missing = wanted & !self.scratch.seen.word(index);
            if missing != 0 {
                self.fill_missing_of(index, missing, row, rows_max)?;
            }
        }
        Ok(())
    }

    fn fill_missing_of(&mut self, index: usize, missing: u64, row: usize, rows_max: usize) -> Result<(), usize> {
        let columns = (0..64).filter(|bit| missing >> bit & 1 == 1).map(|bit| index * 64 + bit);
        if let Some(column) = columns.clone().find(|&column| !self.builders[column].field.is_nullable()) {
            return Err(column);
        }
        columns.for_each(|column| self.builders[column].set_null(row, rows_max));
        Ok(())
    }

    /// Hands the columns over. Failure: the first row with a nested value that does not fit its column.
    fn finish(&mut self, batch: &mut Batch, rows: usize) -> Result<(), Fault> {
        for (index, builder) in self.builders.iter().enumerate() {
            if let Data::Ranges(ranges) = &builder.data {
                match nested::build(&builder.field, &self.block, &ranges[..rows]) {
                    Ok(array) => batch.columns[index] = Column::Array(array),
                    Err(row) => {
                        let (start, end) = (ranges[row].0 as usize, ranges[row].1 as usize);
                        let line = memchr::memrchr(b'\n', &self.block.text()[..start]).map_or(0, |at| at + 1);
                        let blanks =
                            self.block.text()[line..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
                        return Err(Fault {
                            row: line + blanks,
                            start,
                            end,
                            column: Some(index),
                            reason: Reason::Value,
                        });
                    }
                }
            }
        }
        for (builder, column) in self.builders.iter_mut().zip(&mut batch.columns) {
            if !matches!(builder.data, Data::Ranges(_)) {
                builder.finish(column, rows);
            }
        }
        Ok(())
    }
}

fn fault_of(row: usize, (bad, column): (Bad, Option<usize>)) -> Fault {
    Fault { row, start: bad.start, end: bad.end, column, reason: bad.reason }
}
