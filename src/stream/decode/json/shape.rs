//! Shapes of lines: what lines of one writer have in common, so that a line is compared instead of parsed.
//!
//! A line whose grammar is right is cut at its values: strings between their quotes, numbers and words. What is between is
//! the same in most lines, byte for byte: keys, colons, commas, braces, blanks. A line of as many special bytes with the
//! same bytes between is of that shape. Its values then lie between known positions, and it is right where its values are.
//!
//! ```text
//!  {"auction":7,"channel":"Apple"}\n         literals  {"auction":   ,"channel":"   "}\n
//!   ^       ^   ^       ^ ^     ^  ^          values    7 (scalar)  Apple (string)
//! ```
//!
//! Invariants  shapes have no escapes, and no literal without a special byte: so each value has a place. A string without
//!             special bytes, in text that is UTF-8, is right whatever it holds.
//! Source      speculative parsing: Li et al. 2017 (Mison), Langdale and Lemire 2019 (simdjson).

use super::keys::Keys;
use super::lines::Line;

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    String,
    /// A number, `true`, `false` or `null`.
    Scalar,
}

/// A value of each line of a shape: it lies behind literal number `literal`, and before the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value {
    pub literal: usize,
    pub written: Written,
    pub column: Option<usize>,
}

/// A place in a line: so many bytes behind one of its positions, or before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Which of the line's positions.
    pub special: u32,
    /// To be added to it; negative numbers wrap.
    pub shift: u32,
}

/// Text that is the same in each line of a shape.
#[derive(Debug)]
struct Literal {
    start: Place,
    /// The first bytes and the last ones, up to 16 of each, and which of the bytes of a word they are.
    first: (u128, u128),
    last: (u128, u128),
    /// Where the last ones begin.
    last_at: usize,
    text: Vec<u8>,
}

/// What the lines of a shape have in common.
#[derive(Debug)]
pub struct Shape {
    /// Special bytes of a line.
    count: u32,
    literals: Vec<Literal>,
    pub values: Vec<Value>,
    /// The projected columns that no value goes to.
    pub missing: Vec<usize>,
}

impl Shape {
    /// The shape of a line whose grammar is right and that has no escapes; `None` for one whose values have no such places.
    pub fn of(text: &[u8], positions: &[u32], line: Line, keys: &Keys, columns: usize) -> Option<Shape> {
        let positions = &positions[line.base as usize..][..line.count as usize];
        if positions.iter().any(|&at| text[at as usize] == b'\\') {
            return None;
        }
        let walk = Walk::of(text, line.start as usize, keys)?;
        let mut literals = Vec::new();
        let mut special = 0;
        for range in walk.literals {
            let literal = Literal::new(&text[range.0..range.1], special)?;
            special += literal.text.iter().filter(|&&byte| is_special(byte)).count() as u32;
            literals.push(literal);
        }
        let mut missing: Vec<usize> = (0..columns).collect();
        for value in &walk.values {
            if let Some(column) = value.column {
                // A key that occurs twice needs a look at which is the last.
                missing.remove(missing.binary_search(&column).ok()?);
            }
        }
        (special == line.count).then_some(Shape { count: line.count, literals, values: walk.values, missing })
    }

    /// Whether a line is of this shape.
    #[inline(always)]
    pub fn is_of(&self, padded: &[u8], positions: &[u32], line: Line) -> bool {
        if line.count != self.count {
            return false;
        }
        let positions = &positions[line.base as usize..][..line.count as usize];
        let first = self.literals[0].start;
        positions[0].wrapping_add(first.shift) == line.start
            && self.literals.iter().all(
                #[inline(always)]
                |literal| literal.is_at(padded, positions),
            )
    }

    /// Where a value begins and ends.
    pub fn places(&self, value: Value) -> (Place, Place) {
        let before = &self.literals[value.literal];
        let start = Place { shift: before.start.shift.wrapping_add(before.text.len() as u32), ..before.start };
        (start, self.literals[value.literal + 1].start)
    }
}

impl Literal {
    /// A literal whose first special byte is that of number `special` in its line; `None` when it has none.
    fn new(text: &[u8], special: u32) -> Option<Self> {
        let before = text.iter().position(|&byte| is_special(byte))?;
        let word = |from: usize| {
            let length = text.len().min(16);
            let mut bytes = [0; 16];
            bytes[..length].copy_from_slice(&text[from..from + length]);
            let mask = if length == 16 { !0 } else { (1 << (8 * length)) - 1 };
            (u128::from_le_bytes(bytes), mask)
        };
        let last_at = text.len().saturating_sub(16);
        Some(Literal {
            start: Place { special, shift: (before as u32).wrapping_neg() },
            first: word(0),
            last: word(last_at),
            last_at,
            text: text.to_vec(),
        })
    }

    /// Whether a line has it.
    #[inline(always)]
    fn is_at(&self, padded: &[u8], positions: &[u32]) -> bool {
        let start = positions[self.start.special as usize].wrapping_add(self.start.shift) as usize;
        let differs = |at: usize, (word, mask): (u128, u128)| match padded.get(at..).and_then(<[u8]>::first_chunk) {
            Some(bytes) => (u128::from_le_bytes(*bytes) ^ word) & mask != 0,
            None => true,
        };
        if differs(start, self.first) {
            return false;
        }
        match self.text.len() {
            0..=16 => true,
            17..=32 => !differs(start + self.last_at, self.last),
            length => padded.get(start..start + length) == Some(&self.text),
        }
    }
}

fn is_special(byte: u8) -> bool {
    byte == b'"' || byte == b'\\' || byte < 0x20
}

/// A line cut at its values.
#[derive(Default)]
struct Walk {
    /// One more than values.
    literals: Vec<(usize, usize)>,
    values: Vec<Value>,
}

impl Walk {
    fn of(text: &[u8], start: usize, keys: &Keys) -> Option<Walk> {
        let mut walk = Walk::default();
        let (mut literal, mut at, mut depth) = (start, start, 0u32);
        // The key of the member of the outermost object, whose value is next.
        let mut key: Option<&[u8]> = None;
        loop {
            let byte = *text.get(at)?;
            match byte {
                b'\n' => {
                    walk.literals.push((literal, at + 1));
                    return Some(walk);
                }
                b'{' | b'[' => {
                    let column = key.take().and_then(|key| keys.column(key));
                    if column.is_some() {
                        return None;
                    }
                    depth += 1;
                }
                b'}' | b']' => depth = depth.checked_sub(1)?,
                b'"' => {
                    let end = at + 1 + memchr::memchr(b'"', &text[at + 1..])?;
                    let inner = &text[at + 1..end];
                    let behind = text[end + 1..].iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\r'))?;
                    if text[end + 1 + behind] == b':' {
                        if depth == 1 {
                            key = Some(inner);
                        }
                    } else {
                        let column = key.take().and_then(|key| keys.column(key));
                        walk.values.push(Value { literal: walk.values.len(), written: Written::String, column });
                        walk.literals.push((literal, at + 1));
                        literal = end;
                    }
                    at = end;
                }
                b',' | b':' | b' ' | b'\t' | b'\r' => {}
                _ => {
                    let length = text[at..].iter().position(|byte| !is_of_scalar(*byte))?;
                    if length == 0 {
                        return None;
                    }
                    let column = key.take().and_then(|key| keys.column(key));
                    walk.values.push(Value { literal: walk.values.len(), written: Written::Scalar, column });
                    walk.literals.push((literal, at));
                    literal = at + length;
                    at = literal;
                    continue;
                }
            }
            at += 1;
        }
    }
}

fn is_of_scalar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')
}
