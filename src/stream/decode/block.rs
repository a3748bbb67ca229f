//! The text a decoder works on: whole records, in memory that string columns may share.
//!
//! Invariants  the text is empty or ends with a newline; `PADDING` zero bytes follow it, so that a decoder may read ahead.

use arrow::buffer::Buffer;
use millstream_kernels::view::Text;
use millstream_kernels::{level, scan};

/// Zero bytes behind the text.
pub const PADDING: usize = 64;

/// Some whole records of one source partition.
#[derive(Debug, Clone)]
pub struct Block {
    /// The memory, in which something may lie behind the padding.
    memory: Buffer,
    /// The records and the padding.
    bytes: Buffer,
    lines: u64,
    /// The number of its first line in the source, from 1.
    pub first_line: u64,
}

impl Block {
    /// The first `length` bytes of `memory` as a block; adds a last newline where it is missing, and the padding.
    pub fn new(mut memory: Vec<u8>, mut length: usize, first_line: u64) -> Self {
        if memory.len() < length + 1 + PADDING {
            memory.resize(length + 1 + PADDING, 0);
        }
        if length > 0 && memory[length - 1] != b'\n' {
            memory[length] = b'\n';
            length += 1;
        }
        memory[length..length + PADDING].fill(0);
        let lines = count_lines(&memory[..length]);
        let memory = Buffer::from_vec(memory);
        Block { bytes: memory.slice_with_length(0, length + PADDING), memory, lines, first_line }
    }

    /// A block of a text in memory.
    pub fn of(text: &[u8]) -> Self {
        Block::new(text.to_vec(), text.len(), 1)
    }

    /// A block without rows.
    pub fn empty() -> Self {
        Block::new(Vec::new(), 0, 1)
    }

    /// The records.
    pub fn text(&self) -> &[u8] {
        &self.bytes[..self.bytes.len() - PADDING]
    }

    /// The records and the padding.
    pub fn padded(&self) -> &[u8] {
        &self.bytes
    }

    /// The records and the padding, to be shared.
    pub fn buffer(&self) -> &Buffer {
        &self.bytes
    }

    /// The same as checked text, `None` when it is not UTF-8.
    pub fn checked(&self) -> Option<Text> {
        Text::new(self.bytes.clone()).ok()
    }

    /// Gives the memory up, to be reused when nobody else holds it.
    pub fn into_memory(self) -> Buffer {
        self.memory
    }

    /// How many lines there are.
    pub fn lines(&self) -> usize {
        self.lines as usize
    }

    /// The line of the source that byte `at` lies in, from 1.
    pub fn line_of(&self, at: usize) -> u64 {
        self.first_line + count_lines(&self.text()[..at.min(self.text().len())])
    }
}

/// How many lines end in `text`.
pub fn count_lines(text: &[u8]) -> u64 {
    scan::count_byte(level::detect(), text, b'\n') as u64
}
