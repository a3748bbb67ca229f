//! Where fields and rows end: the bits of the delimiters and newlines become a table of positions, rows by fields.
//!
//! Invariants  the table holds rows that follow one another without a gap and are all of one shape, so that a row begins
//!             behind the end of the one before: the end of field `f` of row `r` is at `r * stride + f + 1`, and its
//!             start behind what is one place before. Where a row is of another shape, the table ends.

use millstream_kernels::bitmap;
use millstream_kernels::level::{self, Level};

use super::quotes::{self, Dialect, Masks};
use crate::stream::decode::fault::{Fault, Reason};

/// The structure of one block, read front to back.
#[derive(Debug)]
pub struct Structure {
    pub level: Level,
    delimiter: u8,
    masks: Masks,
    /// Delimiters and newlines outside of quotes.
    words: Vec<u64>,
    /// The newlines among them.
    newlines: Vec<u64>,
    /// Opening quotes that are never closed, ascending.
    open: Vec<usize>,
    /// The byte the next row begins with.
    next: usize,
    /// Whether lines end with one more delimiter than the table has, as some programs write them.
    has_extra: bool,
    /// The table.
    pub positions: Vec<u32>,
    /// Positions per row.
    pub stride: usize,
    /// Which positions of the table are newlines.
    ends: Vec<u32>,
}

/// What [`Structure::take`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// So many rows, which are in the table.
    Rows(usize),
    /// A row of another shape, which was stepped over.
    Bad(Fault),
    End,
}

impl Structure {
    pub fn new() -> Self {
        Structure {
            level: level::detect(),
            delimiter: b',',
            masks: Masks::default(),
            words: Vec::new(),
            newlines: Vec::new(),
            ends: Vec::new(),
            open: Vec::new(),
            next: 0,
            has_extra: false,
            positions: Vec::new(),
            stride: 1,
        }
    }

    /// Scans a block.
    pub fn begin(&mut self, text: &[u8], dialect: Dialect) {
        let out = (&mut self.words, &mut self.newlines);
        quotes::structure(self.level, text, dialect, &mut self.masks, out, &mut self.open);
        self.delimiter = dialect.delimiter;
        self.next = 0;
    }

    /// Whether all rows were taken.
    pub fn is_done(&self, text: &[u8]) -> bool {
        self.next >= text.len()
    }

    /// Fills the table with the next rows of `fields` fields, up to `rows_max`.
    pub fn take(&mut self, text: &[u8], fields: usize, rows_max: usize) -> Found {
        while self.next < text.len() {
            self.stride = fields + self.has_extra as usize;
            self.flatten(rows_max * self.stride);
            let rows = self.conforming(text, rows_max);
            if rows > 0 {
                self.positions.truncate(rows * self.stride + 1);
                self.next = self.positions[rows * self.stride] as usize + 1;
                return Found::Rows(rows);
            }
            let start = self.next;
            let end = self.line_end(text);
            let found = self.delimiters_before(text, end) + 1;
            let is_extra = found == fields + 1 && ends_empty(text, end, self.delimiter);
            if self.open_within(start, end).is_none() && (found == fields || is_extra) {
                // Lines change between having and not having one more delimiter: look again.
                self.has_extra = is_extra;
                continue;
            }
            self.next = end + 1;
            if let Some(fault) = self.fault(text, start, end, found, fields) {
                return Found::Bad(fault);
            }
        }
        Found::End
    }

    /// Makes `positions` the place before the next row and at least `count` positions behind it, where there are so many.
    fn flatten(&mut self, count: usize) {
        /// Words looked at at once.
        const WORDS: usize = 64;
        self.positions.clear();
        self.ends.clear();
        self.positions.push((self.next as u32).wrapping_sub(1));
        let mut index = self.next / 64;
        if !self.next.is_multiple_of(64) {
            // What lies before the next row is another one's.
            let mask = !0 << (self.next % 64);
            let (word, newlines) = ([self.words[index] & mask], [self.newlines[index] & mask]);
            bitmap::ranks(self.level, &word, &newlines, 1, &mut self.ends);
            bitmap::positions(self.level, &word, index as u32 * 64, &mut self.positions);
            index += 1;
        }
        while self.positions.len() <= count && index < self.words.len() {
            let end = (index + WORDS).min(self.words.len());
            let (words, newlines) = (&self.words[index..end], &self.newlines[index..end]);
            bitmap::ranks(self.level, words, newlines, self.positions.len() as u32, &mut self.ends);
            bitmap::positions(self.level, words, index as u32 * 64, &mut self.positions);
            index = end;
        }
    }

    /// How many rows of the table have the right shape before the first one that has not.
    fn conforming(&self, text: &[u8], rows_max: usize) -> usize {
        let limit = self.open.get(self.open.partition_point(|&at| at < self.next)).map_or(u32::MAX, |&at| at as u32);
        let is_right = |row: usize, end: u32| {
            let at = self.positions[end as usize];
            end as usize == (row + 1) * self.stride
                && at < limit
                && (!self.has_extra || ends_empty(text, at as usize, self.delimiter))
        };
        let ends = &self.ends[..self.ends.len().min(rows_max)];
        ends.iter().enumerate().position(|(row, &end)| !is_right(row, end)).unwrap_or(ends.len())
    }

    /// Where the line ends that the next row begins with.
    fn line_end(&self, text: &[u8]) -> usize {
        let is_newline = |at: &&u32| text[**at as usize] == b'\n';
        match self.positions[1..].iter().find(is_newline) {
            Some(&at) => at as usize,
            None => (self.next / 64..self.words.len())
                .flat_map(|index| bits(self.words[index], index * 64))
                .find(|&at| at >= self.next && text[at] == b'\n')
                .unwrap_or(text.len() - 1),
        }
    }

    fn delimiters_before(&self, text: &[u8], end: usize) -> usize {
        let words = (self.next / 64..=end / 64).flat_map(|index| bits(self.words[index], index * 64));
        words.filter(|&at| at >= self.next && at < end && text[at] != b'\n').count()
    }

    fn open_within(&self, start: usize, end: usize) -> Option<usize> {
        let open = self.open.partition_point(|&at| at < start);
        self.open.get(open).copied().filter(|&at| at < end)
    }

    /// What is wrong with a row of another shape; nothing, when it is an empty line.
    fn fault(&self, text: &[u8], start: usize, end: usize, found: usize, wanted: usize) -> Option<Fault> {
        let line_end = end - (end > start && text[end - 1] == b'\r') as usize;
        let fault =
            Fault { row: start, start, end: line_end, column: None, reason: Reason::FieldCount { found, wanted } };
        match self.open_within(start, end) {
            Some(at) => Some(Fault { start: at, reason: Reason::OpenQuote, ..fault }),
            None => (line_end > start).then_some(fault),
        }
    }
}

/// The places of the bits of a word.
fn bits(mut word: u64, base: usize) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = word.trailing_zeros() as usize;
        word &= word.wrapping_sub(1);
        (bit < 64).then_some(base + bit)
    })
}

/// Whether the last field of the line that ends at `end` is empty.
fn ends_empty(text: &[u8], end: usize, delimiter: u8) -> bool {
    let line = text[..end].strip_suffix(b"\r").unwrap_or(&text[..end]);
    line.last() == Some(&delimiter)
}
