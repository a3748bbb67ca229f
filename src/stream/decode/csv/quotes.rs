//! Which bytes of a CSV text are quoted, and where it may be cut.
//!
//! Most texts have no quotes at all, or only proper ones: each opens at a field's start. Then the quoted bytes are those
//! behind an odd number of quotes, 64 of them at a time. Anything else goes through a walk from field to field.
//!
//! Source      Langdale and Lemire 2019 (quote masks by prefix xor).

use millstream_kernels::level::{self, Level};
use millstream_kernels::scan;

/// The characters that shape a CSV text.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    pub delimiter: u8,
    pub quote: Option<u8>,
    pub escape: Option<u8>,
}

/// The bitmaps of a text: quotes, delimiters, newlines.
#[derive(Debug, Default)]
pub struct Masks {
    words: [Vec<u64>; 3],
}

impl Masks {
    /// Scans `text` and calls `found` with each word's delimiters and newlines outside of quotes. What it found is the
    /// truth unless a quote stands within a field; it says whether one does, and whether the text ends within quotes.
    fn scan(
        &mut self,
        level: Level,
        text: &[u8],
        quote: u8,
        delimiter: u8,
        mut found: impl FnMut(usize, u64, u64),
    ) -> (bool, bool) {
        scan::each(level, text, [quote, delimiter, b'\n'], &mut self.words);
        let [quotes, delimiters, newlines] = &self.words;
        let mut quoted = 0u64; // all ones while the text before is within quotes
        let mut may_open = 1u64; // whether the byte before lets a quote open a field, or open again after closing
        let mut stray = 0u64;
        for (at, ((&quote, &delimiter), &newline)) in quotes.iter().zip(delimiters).zip(newlines).enumerate() {
            let inside = prefix_xor(quote) ^ quoted;
            let before = (delimiter | newline | quote) << 1 | may_open;
            stray |= quote & inside & !before;
            may_open = (delimiter | newline | quote) >> 63;
            quoted = 0u64.wrapping_sub(inside >> 63);
            found(at, delimiter & !inside, newline & !inside);
        }
        (stray != 0, quoted != 0)
    }
}

/// Bit `i` is the exclusive or of bits `0..=i`: set from each opening quote up to before its closing one.
#[inline(always)]
fn prefix_xor(mut word: u64) -> u64 {
    word ^= word << 1;
    word ^= word << 2;
    word ^= word << 4;
    word ^= word << 8;
    word ^= word << 16;
    word ^ word << 32
}

/// Makes `out` the bitmap of the delimiters and newlines of `text` that are outside of quotes, and that of these newlines
/// alone. Where a quote is never closed, it is taken as the end of its line and its place is added to `open`.
pub fn structure(
    level: Level,
    text: &[u8],
    dialect: Dialect,
    masks: &mut Masks,
    (out, lines): (&mut Vec<u64>, &mut Vec<u64>),
    open: &mut Vec<usize>,
) {
    open.clear();
    let quote = dialect.quote.unwrap_or(b'\n');
    let has_quote = scan::csv_marks(level, text, [dialect.delimiter, quote], out, lines);
    let Some(quote) = dialect.quote.filter(|_| has_quote) else { return };
    if dialect.escape.is_none() {
        let keep = |at: usize, delimiters, newlines| (out[at], lines[at]) = (delimiters | newlines, newlines);
        if masks.scan(level, text, quote, dialect.delimiter, keep) == (false, false) {
            return;
        }
    }
    out.fill(0);
    lines.fill(0);
    let mut from = 0;
    let mut found = |at: usize| {
        let bit = 1 << (at % 64);
        out[at / 64] |= bit;
        lines[at / 64] |= if text[at] == b'\n' { bit } else { 0 };
    };
    while let Some(at) = walk(text, from, quote, dialect, &mut found) {
        open.push(at);
        from = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |newline| at + newline);
    }
}

/// Walks from field to field, starting at the end or the start of one, and calls `found` for each delimiter and newline
/// outside of quotes. Returns where the quote stands that the text ends within.
fn walk(text: &[u8], from: usize, quote: u8, dialect: Dialect, mut found: impl FnMut(usize)) -> Option<usize> {
    let mut at = from;
    while at < text.len() {
        if text[at] == quote {
            match closing(text, at, quote, dialect.escape) {
                Some(close) => at = close + 1,
                None => return Some(at),
            }
        }
        match memchr::memchr2(dialect.delimiter, b'\n', text.get(at..).unwrap_or_default()) {
            Some(end) => {
                found(at + end);
                at += end + 1;
            }
            None => break,
        }
    }
    None
}

/// Where the quote stands that closes the one at `open`.
pub fn closing(text: &[u8], open: usize, quote: u8, escape: Option<u8>) -> Option<usize> {
    let mut at = open + 1;
    loop {
        at += memchr::memchr2(quote, escape.unwrap_or(quote), text.get(at..)?)?;
        if text[at] != quote || text.get(at + 1) == Some(&quote) {
            at += 2;
        } else {
            return Some(at);
        }
    }
}

/// Finds where a CSV text may be cut.
#[derive(Debug)]
pub struct Cutter {
    dialect: Dialect,
    level: Level,
    masks: Masks,
}

impl Cutter {
    pub fn new(options: &super::CsvOptions) -> Self {
        let dialect = Dialect { delimiter: options.delimiter(), quote: options.quote, escape: options.escape };
        Cutter { dialect, level: level::detect(), masks: Masks::default() }
    }

    /// The length of the whole records that `text` begins with, 0 when it holds none. It begins at a record's start.
    pub fn whole(&mut self, text: &[u8]) -> usize {
        let Some(quote) = self.dialect.quote.filter(|&quote| memchr::memchr(quote, text).is_some()) else {
            return memchr::memrchr(b'\n', text).map_or(0, |at| at + 1);
        };
        if self.dialect.escape.is_none() {
            let mut end = 0;
            let keep = |at: usize, _, newlines: u64| {
                if newlines != 0 {
                    end = at * 64 + 64 - newlines.leading_zeros() as usize;
                }
            };
            let (stray, _) = self.masks.scan(self.level, text, quote, self.dialect.delimiter, keep);
            if !stray {
                return end;
            }
        }
        let mut end = 0;
        walk(text, 0, quote, self.dialect, |at| {
            if text[at] == b'\n' {
                end = at + 1;
            }
        });
        end
    }

    /// The length of the first record of `text`, newline included; `None` when it does not end.
    pub fn first(&self, text: &[u8]) -> Option<usize> {
        let mut end = None;
        let Some(quote) = self.dialect.quote else { return memchr::memchr(b'\n', text).map(|at| at + 1) };
        let mut from = 0;
        while end.is_none() && from < text.len() {
            // Field by field, so that a long text is not walked to its end.
            let mut next = text.len();
            if text[from] == quote {
                from = closing(text, from, quote, self.dialect.escape)? + 1;
            }
            if let Some(at) = memchr::memchr2(self.dialect.delimiter, b'\n', text.get(from..)?) {
                next = from + at + 1;
                end = (text[from + at] == b'\n').then_some(next);
            }
            from = next;
        }
        end
    }
}
