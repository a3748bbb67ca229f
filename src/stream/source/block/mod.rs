//! A stream of bytes becomes blocks of whole records, cut in one place and decoded in many.
//!
//! Place       below the text tables: one producer per source partition, behind a lock that is held while a block is cut.
//! Owns        the open file or stream, what was read behind the last record, and the numbers of lines and blocks.
//! Invariants  a block ends at a record's end; blocks are numbered without gaps, and the last one is marked, which may
//!             be empty; nothing waits for a stream: it is read by a thread of its own.

mod open; // files and streams, plain or compressed
mod feed; // bytes as they come: read here, or by a thread that waits
mod pool; // block memory, used again

pub use feed::Feed;
pub use open::{Counted, Input, decompressed};
pub use pool::Pool;

use crate::error::{Error, Result};
use crate::stream::decode::Block;
use crate::stream::decode::block::{PADDING, count_lines};
use crate::stream::decode::csv::{self, CsvOptions};

/// Bytes of a block: so few that it stays in the second-level cache from the reading to the last column.
pub const BLOCK_BYTES: usize = 1 << 19;
/// Bytes of a block when blocks must be taken in order, so that workers do not wait long for one another.
pub const ORDERED_BLOCK_BYTES: usize = 1 << 18;
/// Bytes a record may have; a longer one is an error, most often a quote that is never closed.
pub const RECORD_BYTES_MAX: usize = 64 << 20;

/// Where records end.
#[derive(Debug)]
pub enum Records {
    /// With their line.
    Lines,
    /// With their line, unless it ends within quotes.
    Csv { cutter: csv::Cutter, has_header: bool },
}

impl Records {
    /// The records of CSV files.
    pub fn of_csv(options: &CsvOptions) -> Self {
        Records::Csv { cutter: csv::Cutter::new(options), has_header: options.has_header() }
    }

    fn whole(&mut self, text: &[u8]) -> usize {
        match self {
            Records::Lines => memchr::memrchr(b'\n', text).map_or(0, |at| at + 1),
            Records::Csv { cutter, .. } => cutter.whole(text),
        }
    }
}

/// Makes the blocks of one source partition.
#[derive(Debug)]
pub struct BlockSource {
    feed: Feed,
    records: Records,
    block_bytes: usize,
    /// What was read behind the last block.
    carry: Vec<u8>,
    line: u64,
    sequence: u64,
    is_started: bool,
    is_ended: bool,
    /// The header line, once it was read.
    header: Option<Vec<u8>>,
    /// Bytes of the source that were cut into blocks, what stands before the first record counted in.
    position: u64,
    /// The position to begin at, where it is not the first.
    begin: u64,
}

/// The answer to [`BlockSource::next`].
#[derive(Debug)]
pub enum Next {
    Block {
        block: Block,
        sequence: u64,
        is_last: bool,
    },
    /// The stream has nothing yet.
    Pending,
    End,
}

impl BlockSource {
    pub fn new(feed: Feed, records: Records, block_bytes: usize) -> Self {
        let (carry, header) = (Vec::new(), None);
        BlockSource {
            feed,
            records,
            block_bytes,
            carry,
            line: 1,
            sequence: 0,
            is_started: false,
            is_ended: false,
            header,
            position: 0,
            begin: 0,
        }
    }

    /// Begins behind the blocks that end at `position`; comes before the first block.
    pub fn seek(&mut self, position: u64) {
        self.begin = position;
    }

    /// Where the last block ended, in bytes.
    pub fn position(&self) -> u64 {
        self.position.max(self.begin)
    }

    /// The header line of a file that has one, known from the first block on; empty when the file is.
    pub fn header(&self) -> Option<&[u8]> {
        self.header.as_deref()
    }

    /// Cuts the next block.
    ///
    /// Failure: the outside's, or a record that is too long.
    pub fn next(&mut self, pool: &Pool) -> Result<Next> {
        if self.is_ended {
            return Ok(Next::End);
        }
        let mut memory = pool.take(self.block_bytes.max(self.carry.len()) + 1 + PADDING);
        let mut filled = self.carry.len();
        memory[..filled].copy_from_slice(&self.carry);
        loop {
            let room = memory.len() - 1 - PADDING;
            let mut is_pending = false;
            let mut is_ended = false;
            while filled < room && !is_pending && !is_ended {
                match self.feed.read(&mut memory[filled..room])? {
                    Some(0) => is_ended = true,
                    Some(count) => filled += count,
                    None => is_pending = true,
                }
            }
            let cut = if is_ended { filled } else { self.records.whole(&memory[..filled]) };
            if let Some(cut) = self.start(&mut memory, &mut filled, cut, is_ended)
                && let cut = self.pass_by(&mut memory, &mut filled, cut)
                && (cut > 0 || is_ended)
            {
                self.carry.clear();
                self.carry.extend_from_slice(&memory[cut..filled]);
                self.is_ended = is_ended;
                self.position += cut as u64;
                self.sequence += 1;
                let block = Block::new(memory, cut, self.line);
                self.line += block.lines() as u64;
                return Ok(Next::Block { block, sequence: self.sequence - 1, is_last: is_ended });
            }
            if is_pending {
                self.carry.clear();
                self.carry.extend_from_slice(&memory[..filled]);
                pool.put(arrow::buffer::Buffer::from_vec(memory));
                return Ok(Next::Pending);
            }
            if filled < room {
                continue;
            }
            if room >= RECORD_BYTES_MAX {
                return Err(Error::user(format!(
                    "record is longer than {RECORD_BYTES_MAX} bytes: it begins in line {}; look for a quote that is never closed",
                    self.line
                )));
            }
            let larger = (memory.len() * 2).min(RECORD_BYTES_MAX + 1 + PADDING);
            memory.resize(larger, 0);
        }
    }

    /// Takes whole records off the front that lie before the position to begin at.
    fn pass_by(&mut self, memory: &mut [u8], filled: &mut usize, cut: usize) -> usize {
        let passed = (self.begin.saturating_sub(self.position) as usize).min(cut);
        if passed > 0 {
            self.line += count_lines(&memory[..passed]);
            memory.copy_within(passed..*filled, 0);
            self.position += passed as u64;
            *filled -= passed;
        }
        cut - passed
    }

    /// Takes a byte order mark and the header off the first block. `None`: they are not whole yet.
    fn start(&mut self, memory: &mut [u8], filled: &mut usize, mut cut: usize, is_ended: bool) -> Option<usize> {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        if self.is_started {
            return Some(cut);
        }
        if cut == 0 && !is_ended {
            return None;
        }
        let mut skipped = if memory[..cut].starts_with(MARK) { MARK.len() } else { 0 };
        if let Records::Csv { cutter, has_header: true } = &self.records {
            // The first line that is not empty, as where names are found out.
            let blank = memory[skipped..cut].iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
            self.line += count_lines(&memory[skipped..skipped + blank]);
            skipped += blank;
            let length = cutter.first(&memory[skipped..cut]).unwrap_or(cut - skipped);
            let header = memory[skipped..skipped + length].to_vec();
            self.line += count_lines(&header);
            self.header = Some(header);
            skipped += length;
        }
        memory.copy_within(skipped..*filled, 0);
        self.position = skipped as u64;
        *filled -= skipped;
        cut -= skipped;
        self.is_started = true;
        Some(cut)
    }
}

#[cfg(test)]
mod tests;
