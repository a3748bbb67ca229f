//! The grammar of JSON over a block: one place that moves forward, and never past the end of its line.
//!
//! Invariants  no step crosses a newline: it is no white space here, and a control character within strings. The special
//!             bytes of strings (quotes, backslashes, control characters) are found for the whole block at once.

use crate::stream::decode::value::word::leading_digits;

/// Objects and arrays within one another, at most.
pub const DEPTH_MAX: usize = 512;

/// What was expected where the grammar is broken.
pub type Expected = &'static str;

/// A place in a block of JSON lines.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    /// The block with its padding.
    pub bytes: &'a [u8],
    /// A bit for each byte that ends or breaks a string.
    special: &'a [u64],
    pub at: usize,
}

/// A string between its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quoted {
    pub start: usize,
    pub end: usize,
    pub has_escapes: bool,
}

/// A number as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    pub start: usize,
    pub end: usize,
    /// Whether it has no point and no exponent.
    pub is_integer: bool,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8], special: &'a [u64], at: usize) -> Self {
        Cursor { bytes, special, at }
    }

    /// The byte here; zero behind the block.
    #[inline(always)]
    pub fn byte(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    /// Steps over blanks.
    #[inline(always)]
    pub fn skip_blanks(&mut self) {
        if self.byte() <= b' ' {
            self.skip_more_blanks();
        }
    }

    fn skip_more_blanks(&mut self) {
        while matches!(self.byte(), b' ' | b'\t' | b'\r') {
            self.at += 1;
        }
    }

    /// Steps over `byte`, if it is here.
    #[inline(always)]
    pub fn accept(&mut self, byte: u8) -> bool {
        let found = self.byte() == byte;
        self.at += found as usize;
        found
    }

    /// Steps over a string.
    #[inline(always)]
    pub fn string(&mut self) -> Result<Quoted, Expected> {
        if !self.accept(b'"') {
            return Err("a string");
        }
        let start = self.at;
        self.at = self.next_special(start);
        if self.byte() == b'"' {
            self.at += 1;
            return Ok(Quoted { start, end: self.at - 1, has_escapes: false });
        }
        self.escaped(start)
    }

    #[cold]
    fn escaped(&mut self, start: usize) -> Result<Quoted, Expected> {
        loop {
            match self.byte() {
                b'"' => {
                    self.at += 1;
                    return Ok(Quoted { start, end: self.at - 1, has_escapes: true });
                }
                b'\\' => self.escape()?,
                _ => return Err("a closing quote"),
            }
            self.at = self.next_special(self.at);
        }
    }

    /// Steps over one escape; whether surrogates are paired is looked at where the string is read.
    fn escape(&mut self) -> Result<(), Expected> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let digits = self.bytes.get(self.at + 2..self.at + 6).unwrap_or_default();
                if digits.len() < 4 || !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err("four hexadecimal digits after \\u");
                }
                self.at += 6;
            }
            _ => return Err("an escape of JSON"),
        }
        Ok(())
    }

    /// The first special byte from `at` on; the end of the block when there is none.
    #[inline(always)]
    fn next_special(&self, at: usize) -> usize {
        let mut index = at / 64;
        let Some(&word) = self.special.get(index) else { return self.bytes.len() };
        let mut word = word & (!0 << (at % 64));
        while word == 0 {
            index += 1;
            match self.special.get(index) {
                Some(&next) => word = next,
                None => return self.bytes.len(),
            }
        }
        index * 64 + word.trailing_zeros() as usize
    }

    /// Steps over a number.
    #[inline(always)]
    pub fn number(&mut self) -> Result<Number, Expected> {
        let start = self.at;
        self.accept(b'-');
        let first = self.byte();
        self.digits()?;
        if first == b'0' && self.at - start > 1 + (self.bytes[start] == b'-') as usize {
            self.at = start;
            return Err("a number without leading zeros");
        }
        let mut is_integer = true;
        if self.byte() == b'.' {
            self.at += 1;
            self.digits()?;
            is_integer = false;
        }
        if matches!(self.byte(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.byte(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
            is_integer = false;
        }
        Ok(Number { start, end: self.at, is_integer })
    }

    #[inline(always)]
    fn digits(&mut self) -> Result<(), Expected> {
        let start = self.at;
        while let Some(word) = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
            let count = leading_digits(u64::from_le_bytes(*word));
            self.at += count;
            if count < 8 {
                break;
            }
        }
        if self.at == start { Err("a digit") } else { Ok(()) }
    }

    /// Steps over `word`, one of the three there are.
    #[inline]
    pub fn word(&mut self, word: &'static str) -> Result<(), Expected> {
        if self.bytes[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(());
        }
        Err(match word {
            "null" => "null",
            "true" => "true",
            _ => "false",
        })
    }

    /// Steps over a value that is no object and no list, or says that it is one.
    #[inline(always)]
    pub fn skip_simple(&mut self) -> Result<bool, Expected> {
        match self.byte() {
            b'"' => {
                let start = self.at;
                if self.string()?.has_escapes {
                    self.at = start;
                    return Ok(false);
                }
            }
            b'-' | b'0'..=b'9' => drop(self.number()?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Steps over any value; `check` is shown each string that has escapes.
    pub fn skip(&mut self, check: &mut impl FnMut(Quoted) -> Result<(), Expected>) -> Result<(), Expected> {
        // One bit per level: whether it is an object.
        let mut levels = [0u64; DEPTH_MAX / 64];
        let mut depth = 0;
        loop {
            // A value begins here.
            let opens = self.byte();
            match opens {
                b'{' | b'[' => {
                    self.at += 1;
                    self.skip_blanks();
                    if self.accept(if opens == b'{' { b'}' } else { b']' }) {
                        // Empty: a whole value.
                    } else if depth == DEPTH_MAX {
                        return Err("at most 512 values within one another");
                    } else {
                        let (word, bit) = (&mut levels[depth / 64], 1 << (depth % 64));
                        depth += 1;
                        if opens == b'{' {
                            *word |= bit;
                            self.key(check)?;
                        } else {
                            *word &= !bit;
                        }
                        continue;
                    }
                }
                _ => self.scalar(check)?,
            }
            // A value ends here.
            loop {
                if depth == 0 {
                    return Ok(());
                }
                self.skip_blanks();
                let in_object = levels[(depth - 1) / 64] >> ((depth - 1) % 64) & 1 == 1;
                if self.accept(b',') {
                    self.skip_blanks();
                    if in_object {
                        self.key(check)?;
                    }
                    break;
                }
                if !self.accept(if in_object { b'}' } else { b']' }) {
                    return Err(if in_object { "',' or '}'" } else { "',' or ']'" });
                }
                depth -= 1;
            }
        }
    }

    fn scalar(&mut self, check: &mut impl FnMut(Quoted) -> Result<(), Expected>) -> Result<(), Expected> {
        match self.byte() {
            b'"' => {
                let string = self.string()?;
                if string.has_escapes { check(string) } else { Ok(()) }
            }
            b'-' | b'0'..=b'9' => self.number().map(|_| ()),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => Err("a value"),
        }
    }

    fn key(&mut self, check: &mut impl FnMut(Quoted) -> Result<(), Expected>) -> Result<(), Expected> {
        let key = self.string().map_err(|_| "a key in quotes")?;
        if key.has_escapes {
            check(key)?;
        }
        self.colon()
    }

    /// Steps over a colon and the blanks around it.
    #[inline(always)]
    pub fn colon(&mut self) -> Result<(), Expected> {
        self.skip_blanks();
        if !self.accept(b':') {
            return Err("':'");
        }
        self.skip_blanks();
        Ok(())
    }
}
