//! The pages of a column of a row group, one after the other; those of which no row is wanted are not unpacked.
//!
//! Invariants  columns are flat: a row is a value or a null. A page's values are there only while it is loaded.

use std::fs::File;
use std::sync::Arc;

use arrow::buffer::Buffer;
use millstream_kernels::{Level, bitmap};
use parquet::basic::{Encoding, Type};
use parquet::errors::Result;
use parquet::file::metadata::RowGroupMetaData;

use super::chunk::{Chunk, Content, Levels, Next};
use super::codes::{Codes, damaged};

/// Reads the pages of a column.
pub(super) struct Pages {
    chunk: Chunk,
    /// Whether rows may be null: pages then begin with levels.
    is_nullable: bool,
    level: Level,
    /// Rows of the pages behind the one at hand.
    behind: usize,
    /// Rows of the page at hand that have not been passed.
    left: usize,
    /// Rows of the page at hand that were passed before it was loaded.
    passed: usize,
    page: Option<Loaded>,
    /// Whether the page at hand has been told of, and not taken.
    is_ahead: bool,
    codes: Vec<u32>,
}

/// A page whose values can be read.
pub(super) struct Loaded {
    pub(super) values: PageValues,
    /// Which rows are not null; `None`: none is.
    present: Option<Vec<u64>>,
    /// Rows of the page that were read.
    row: usize,
}

/// The values of a page that are not null.
pub(super) enum PageValues {
    /// As they are, from byte `at` on.
    Plain { bytes: Buffer, at: usize },
    /// Codes into the column's dictionary.
    Codes(Codes),
}

/// What a column makes of its dictionary page.
pub(super) trait TakesDictionary {
    fn take_dictionary(&mut self, bytes: Buffer, count: usize) -> Result<()>;
}

impl Pages {
    /// The pages of column `leaf` of a row group; strings hold on to them.
    pub(super) fn new(file: Arc<File>, group: &RowGroupMetaData, leaf: usize, level: Level) -> Result<Self> {
        let is_copied = group.column(leaf).column_type() != Type::BYTE_ARRAY;
        let rows = group.num_rows().max(0) as usize;
        let is_nullable = group.column(leaf).column_descr().max_def_level() > 0;
        Ok(Pages {
            chunk: Chunk::new(file, group, leaf, is_copied)?,
            is_nullable,
            level,
            behind: rows,
            left: 0,
            passed: 0,
            page: None,
            is_ahead: false,
            codes: Vec::new(),
        })
    }

    pub(super) fn level(&self) -> Level {
        self.level
    }

    /// How many rows of the page at hand are left; where there are none, the next page is at hand.
    pub(super) fn left(&mut self, column: &mut impl TakesDictionary) -> Result<usize> {
        while self.left == 0 {
            let rows = match self.chunk.peek()? {
                None => return Err(damaged("its pages end before its rows do")),
                Some(Next::Dictionary) => {
                    if let Some(Content::Dictionary { bytes, values }) = self.chunk.take()? {
                        column.take_dictionary(bytes, values)?;
                    }
                    continue;
                }
                Some(Next::Rows(rows)) => rows,
            };
            self.behind =
                self.behind.checked_sub(rows).ok_or_else(|| damaged("its pages hold more rows than it does"))?;
            self.left = rows;
            (self.passed, self.page, self.is_ahead) = (0, None, true);
            if self.left == 0 {
                self.chunk.skip()?;
                self.is_ahead = false;
            }
        }
        Ok(self.left)
    }

    /// Passes over rows of the page at hand. What is left over of a plain page's values is the column's to pass.
    ///
    /// Returns how many values that were not null have been passed on a loaded page.
    pub(super) fn pass(&mut self, rows: usize) -> Result<usize> {
        self.left -= rows;
        let mut values = 0;
        match &mut self.page {
            Some(page) => {
                values = page.pass(rows);
                if let PageValues::Codes(codes) = &mut page.values {
                    codes.skip(values)?;
                }
            }
            None => self.passed += rows,
        }
        if self.left == 0 && self.is_ahead {
            self.chunk.skip()?;
            self.is_ahead = false;
        }
        Ok(values)
    }

    /// Whether the page at hand has been unpacked.
    pub(super) fn is_loaded(&self) -> bool {
        self.page.is_some()
    }

    /// Counts rows of the loaded page as read.
    pub(super) fn read(&mut self, rows: usize) {
        self.left -= rows;
    }

    /// Unpacks the page at hand; the number of values that were passed before where it has just been.
    pub(super) fn load(&mut self) -> Result<(&mut Loaded, usize)> {
        let mut passed = 0;
        if self.page.is_none() {
            let Some(page) = self.chunk.take()? else {
                return Err(damaged("its pages end before its rows do"));
            };
            self.is_ahead = false;
            let mut page = self.loaded(page, self.passed + self.left)?;
            passed = page.pass(self.passed);
            if let PageValues::Codes(codes) = &mut page.values {
                codes.skip(passed)?;
            }
            self.page = Some(page);
        }
        Ok((self.page.as_mut().expect("loaded above"), passed))
    }

    fn loaded(&mut self, page: Content, wanted: usize) -> Result<Loaded> {
        let Content::Data { bytes, rows, encoding, levels } = page else {
            return Err(damaged("a dictionary stands behind the values"));
        };
        let (levels, at) = match levels {
            Levels::Counted { .. } if !self.is_nullable => (None, 0),
            Levels::Counted { are_runs } => {
                let length = bytes.first_chunk::<4>().map(|length| u32::from_le_bytes(*length) as usize);
                let length = length.filter(|length| *length + 4 <= bytes.len());
                let (Some(length), true) = (length, are_runs) else {
                    return Err(damaged("the levels of a page cannot be read"));
                };
                (Some(bytes.slice_with_length(4, length)), 4 + length)
            }
            Levels::Sized { before, length } => {
                if before + length > bytes.len() {
                    return Err(damaged("the levels of a page cannot be read"));
                }
                (self.is_nullable.then(|| bytes.slice_with_length(before, length)), before + length)
            }
        };
        if rows != wanted {
            return Err(damaged("a page holds other rows than it says"));
        }
        let present = match levels {
            Some(levels) => self.present(levels, rows)?,
            None => None,
        };
        let values = match encoding {
            Encoding::PLAIN => PageValues::Plain { bytes, at },
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => match bytes.get(at) {
                Some(&bits) => PageValues::Codes(Codes::new(bytes, at + 1, bits as u32)?),
                // A page of nulls alone has no codes at all.
                None => PageValues::Codes(Codes::new(bytes, at, 0)?),
            },
            other => return Err(damaged(&format!("its pages are encoded otherwise than it says: {other}"))),
        };
        Ok(Loaded { values, present, row: 0 })
    }

    /// Which rows of a page are there; `None` when all are.
    fn present(&mut self, levels: Buffer, rows: usize) -> Result<Option<Vec<u64>>> {
        let mut levels = Codes::new(levels, 0, 1)?;
        if levels.is_one_run(1, rows)? {
            return Ok(None);
        }
        self.codes.clear();
        levels.read(self.level, rows, &mut self.codes)?;
        let word = |levels: &[u32]| levels.iter().rev().fold(0, |word, level| word << 1 | u64::from(*level & 1));
        let words: Vec<u64> = self.codes.chunks(64).map(word).collect();
        Ok((!bitmap::all_set(&words, rows)).then_some(words))
    }
}

impl Loaded {
    /// Passes over rows; how many of them are values.
    fn pass(&mut self, rows: usize) -> usize {
        let values = match &self.present {
            None => rows,
            Some(present) => (self.row..self.row + rows).filter(|&row| bitmap::get(present, row)).count(),
        };
        self.row += rows;
        values
    }

    /// Goes on by `rows`, which are about to be read: how many of them are values, and which are where some are not.
    pub(super) fn advance(&mut self, rows: usize) -> (usize, Option<Vec<bool>>) {
        let from = self.row;
        let values = self.pass(rows);
        let present = self.present.as_ref().filter(|_| values < rows);
        (values, present.map(|present| (from..from + rows).map(|row| bitmap::get(present, row)).collect()))
    }
}
