//! The next lines of a block, and where their special bytes are: what shapes are compared with.
//!
//! Invariants  the bytes between two neighbouring positions are none that ends or breaks a string; a line's positions are
//!             consecutive, the last one is its newline; blank lines are none.

use millstream_kernels::bitmap;
use millstream_kernels::level::Level;
use millstream_kernels::scan;

/// Positions per table at most, but for a line that has more: so that they stay in the cache.
const POSITIONS_MAX: usize = 1 << 13;
/// Words of 64 bytes that are looked at at once.
const WORDS: usize = 32;

/// The marks of a block: a bit per byte.
#[derive(Debug, Default)]
pub struct Marks {
    /// What ends or breaks a string: quotes, backslashes, control characters.
    pub special: Vec<u64>,
    pub newlines: Vec<u64>,
}

impl Marks {
    /// Marks the bytes of a block.
    pub fn scan(&mut self, level: Level, bytes: &[u8]) {
        scan::json_marks(level, bytes, &mut self.special, &mut self.newlines);
    }
}

/// A line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// Its first byte.
    pub start: u32,
    /// Where its positions begin.
    pub base: u32,
    /// How many they are.
    pub count: u32,
}

/// Some lines that follow one another.
#[derive(Debug, Default)]
pub struct Lines {
    pub list: Vec<Line>,
    pub positions: Vec<u32>,
    /// Which positions are newlines.
    ends: Vec<u32>,
}

impl Lines {
    /// Takes the next lines from byte `next` on, up to `lines_max`, and returns where the one behind them begins. `text` ends
    /// with a newline.
    pub fn take(&mut self, level: Level, text: &[u8], marks: &Marks, next: usize, lines_max: usize) -> usize {
        self.list.clear();
        self.positions.clear();
        let words = text.len().div_ceil(64);
        let (mut start, mut base) = (next as u32, 0);
        let mut index = next / 64;
        // What lies before the first line is another one's.
        let mut mask = !0 << (next % 64);
        while index < words && (self.positions.len() < POSITIONS_MAX || self.list.is_empty()) {
            // The first word apart, if some of it is to be left out.
            let end = if mask == !0 { (index + WORDS).min(words) } else { index + 1 };
            self.ends.clear();
            let place = (index as u32 * 64, self.positions.len() as u32);
            if mask == !0 {
                let (special, newlines) = (&marks.special[index..end], &marks.newlines[index..end]);
                bitmap::ranks(level, special, newlines, place.1, &mut self.ends);
                bitmap::positions(level, special, place.0, &mut self.positions);
            } else {
                let (special, newlines) = ([marks.special[index] & mask], [marks.newlines[index] & mask]);
                bitmap::ranks(level, &special, &newlines, place.1, &mut self.ends);
                bitmap::positions(level, &special, place.0, &mut self.positions);
            }
            for &end in &self.ends {
                if !is_blank(text, start as usize) {
                    self.list.push(Line { start, base, count: end + 1 - base });
                }
                (start, base) = (self.positions[end as usize] + 1, end + 1);
                if self.list.len() == lines_max {
                    return start as usize;
                }
            }
            (index, mask) = (end, !0);
        }
        start as usize
    }
}

/// Whether the line that begins at `start` is no row.
#[inline(always)]
fn is_blank(text: &[u8], start: usize) -> bool {
    // Most begin with a brace.
    let blanks = |text: &[u8]| text.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r')).count();
    text[start] <= b' ' && text[start + blanks(&text[start..])] == b'\n'
}
