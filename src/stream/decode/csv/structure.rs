//! Where fields and rows end: the bits of the delimiters and newlines become a table of positions, rows by fields.
//!
//! Invariants  the table is a rectangle: each row has the place before its first byte and then the end of each field.
//!             Rows of another shape never enter it.

use millstream_kernels::level::{self, Level};

use super::quotes::{self, Dialect, Masks};
use crate::stream::decode::fault::{Fault, Reason};

/// The structure of one block, read front to back.
#[derive(Debug)]
pub struct Structure {
    level: Level,
    delimiter: u8,
    masks: Masks,
    /// Delimiters and newlines outside of quotes.
    words: Vec<u64>,
    /// Opening quotes that are never closed, ascending.
    open: Vec<usize>,
    /// The byte the next row begins with.
    next: usize,
    /// The table: `fields + 1` positions per row.
    pub positions: Vec<u32>,
}

impl Structure {
    pub fn new() -> Self {
        Structure {
            level: level::detect(),
            delimiter: b',',
            masks: Masks::default(),
            words: Vec::new(),
            open: Vec::new(),
            next: 0,
            positions: Vec::new(),
        }
    }

    /// Scans a block.
    pub fn begin(&mut self, text: &[u8], dialect: Dialect) {
        quotes::structure(self.level, text, dialect, &mut self.masks, &mut self.words, &mut self.open);
        self.delimiter = dialect.delimiter;
        self.next = 0;
    }

    /// Whether all rows were taken.
    pub fn is_done(&self, text: &[u8]) -> bool {
        self.next >= text.len()
    }

    /// Fills the table with up to `rows_max` rows of `fields` fields and returns how many they are. Rows of another
    /// shape go to `bad`, which says whether to go on; after a no, the table holds the rows before.
    pub fn take(&mut self, text: &[u8], fields: usize, rows_max: usize, mut bad: impl FnMut(Fault) -> bool) -> usize {
        self.positions.clear();
        self.positions.reserve((fields + 1) * rows_max);
        let mut rows = 0;
        let mut start = self.next;
        let mut delimiters = 0;
        if start >= text.len() || rows_max == 0 {
            return 0;
        }
        self.positions.push((start as u32).wrapping_sub(1));
        let mut index = start / 64;
        let mut word = self.words[index] & (!0 << (start % 64));
        loop {
            while word == 0 {
                index += 1;
                match self.words.get(index) {
                    Some(&next) => word = next,
                    None => {
                        // Only a text that does not end with a newline gets here; a block always does.
                        self.next = text.len();
                        self.positions.truncate(rows * (fields + 1));
                        return rows;
                    }
                }
            }
            let at = index * 64 + word.trailing_zeros() as usize;
            word &= word - 1;
            if text[at] != b'\n' {
                if delimiters < fields {
                    self.positions.push(at as u32);
                }
                delimiters += 1;
                continue;
            }
            let mut goes_on = true;
            if delimiters + 1 == fields && self.is_plain(text, start, at, fields) {
                self.positions.push(at as u32);
                rows += 1;
            } else if delimiters == fields && self.open.is_empty() && ends_empty(text, at, self.delimiter) {
                rows += 1;
            } else {
                self.positions.truncate(rows * (fields + 1));
                if let Some(fault) = self.fault(text, start, at, delimiters + 1, fields) {
                    goes_on = bad(fault);
                }
            }
            start = at + 1;
            delimiters = 0;
            if rows == rows_max || start >= text.len() || !goes_on {
                break;
            }
            self.positions.push(at as u32);
        }
        self.next = start;
        self.positions.truncate(rows * (fields + 1));
        rows
    }

    #[inline(always)]
    fn is_plain(&self, text: &[u8], start: usize, end: usize, fields: usize) -> bool {
        self.open.is_empty() || self.fault(text, start, end, fields, fields).is_none()
    }

    /// What is wrong with a row of another shape; nothing, when it is an empty line.
    #[cold]
    fn fault(&self, text: &[u8], start: usize, end: usize, found: usize, wanted: usize) -> Option<Fault> {
        let line_end = end - (end > start && text[end - 1] == b'\r') as usize;
        if line_end == start && wanted > 1 {
            return None;
        }
        let fault =
            Fault { row: start, start, end: line_end, column: None, reason: Reason::FieldCount { found, wanted } };
        let open = self.open.partition_point(|&at| at < start);
        match self.open.get(open).filter(|&&at| at < end) {
            Some(&at) => Some(Fault { start: at, reason: Reason::OpenQuote, ..fault }),
            None => (found != wanted).then_some(fault),
        }
    }
}

/// Whether the last field of the line that ends at `end` is empty.
fn ends_empty(text: &[u8], end: usize, delimiter: u8) -> bool {
    let line = text[..end].strip_suffix(b"\r").unwrap_or(&text[..end]);
    line.last() == Some(&delimiter)
}
