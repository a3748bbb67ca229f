//! Patterns of literals around one group, of which nothing but the group is wanted: matched by walking along the text.

use arrow::array::Array;
use arrow::datatypes::DataType;
use memchr::memchr;
use millstream_kernels::view::ViewChooser;

use super::{COST, array, column_like, no_texts, texts};
use crate::batch::{Argument, Column};
use crate::error::Result;
use crate::function::{KernelContext, ScalarKernel};

/// A pattern that matches all of a text or nothing, replaced by its group: the text becomes a part of itself.
#[derive(Debug)]
pub(super) struct Extract {
    pub(super) walk: Walk,
    pub(super) shown: String,
}

impl ScalarKernel for Extract {
    fn name(&self) -> &str {
        "regexp_replace"
    }

    fn result_type(&self) -> DataType {
        DataType::Utf8View
    }

    fn evaluate(&self, _: &KernelContext, args: &[Argument<'_>], _: usize, out: &mut Column) -> Result<()> {
        let texts = texts(&args[0])?;
        let mut parts = ViewChooser::new(true, texts.len());
        let source = parts.source(array(&args[0])?).ok_or_else(no_texts)?;
        for row in (0..texts.len()).filter(|row| texts.is_valid(*row)) {
            let text = texts.value(row);
            let (start, end) = self.walk.group(text.as_bytes()).unwrap_or((0, text.len()));
            parts.part(source, row, start, end);
        }
        *out = column_like(&args[0], parts.finish(texts.nulls().cloned()));
        Ok(())
    }

    fn can_fail(&self) -> bool {
        false
    }

    fn cost(&self) -> f64 {
        COST / 2.0
    }

    fn show(&self, args: &[String]) -> String {
        format!("regexp_replace({}, {})", args.join(", "), self.shown)
    }
}

/// A pattern of ASCII literals, some of them optional, around one group of all but one character: `^a(?:b)?c?([^d]+)d.*$`.
#[derive(Debug, PartialEq)]
pub(super) struct Walk(Vec<Part>);

#[derive(Debug, PartialEq)]
enum Part {
    Literal(Vec<u8>),
    /// Taken where it stands there, and left out where the rest does not match behind it.
    Optional(Vec<u8>),
    /// At least one character other than this one. The literal behind begins with it, so that there is one way to match.
    Group(u8),
}

impl Walk {
    /// The pattern as a walk; `None` for all that is not known to mean the same.
    pub(super) fn of(pattern: &str) -> Option<Walk> {
        let mut rest = pattern.strip_prefix('^')?.strip_suffix(".*$")?;
        let mut parts: Vec<Part> = Vec::new();
        while !rest.is_empty() {
            if let Some(group) = rest.strip_prefix("([^") {
                let (except, behind) = character(group)?;
                rest = behind.strip_prefix("]+)")?;
                parts.push(Part::Group(except));
                continue;
            }
            let literal = if let Some(group) = rest.strip_prefix("(?:") {
                let (mut literal, mut behind) = (Vec::new(), group);
                while !behind.starts_with(')') {
                    let (byte, more) = character(behind)?;
                    literal.push(byte);
                    behind = more;
                }
                rest = &behind[1..];
                literal
            } else {
                let (byte, behind) = character(rest)?;
                rest = behind;
                vec![byte]
            };
            if let Some(behind) = rest.strip_prefix('?') {
                rest = behind;
                parts.push(Part::Optional(literal));
            } else if let Some(Part::Literal(before)) = parts.last_mut() {
                before.extend(literal);
            } else {
                parts.push(Part::Literal(literal));
            }
            // Repeated, or optional and lazy: another meaning.
            if rest.starts_with(['*', '+', '{', '?']) {
                return None;
            }
        }
        let is_group = |part: &Part| matches!(part, Part::Group(_));
        let ends_group = |pair: &[Part]| match pair {
            [Part::Group(except), Part::Literal(literal)] => literal.first() == Some(except),
            [Part::Group(_), _] => false,
            _ => true,
        };
        let is_known = parts.iter().filter(|part| is_group(part)).count() == 1
            && parts.windows(2).all(ends_group)
            && !parts.last().is_some_and(is_group);
        is_known.then_some(Walk(parts))
    }

    /// Where the group is, if the pattern matches.
    fn group(&self, text: &[u8]) -> Option<(usize, usize)> {
        walk(&self.0, text, 0, (0, 0))
    }
}

/// Matches the parts from byte `at` on, and then what is left of the line and the text.
fn walk(parts: &[Part], text: &[u8], at: usize, group: (usize, usize)) -> Option<(usize, usize)> {
    let rest = &text[at..];
    let Some((part, parts)) = parts.split_first() else {
        return memchr(b'\n', rest).is_none().then_some(group);
    };
    match part {
        Part::Literal(literal) if rest.starts_with(literal) => walk(parts, text, at + literal.len(), group),
        Part::Literal(_) => None,
        Part::Optional(literal) => {
            let with = rest.starts_with(literal).then(|| walk(parts, text, at + literal.len(), group)).flatten();
            with.or_else(|| walk(parts, text, at, group))
        }
        Part::Group(except) => {
            let length = memchr(*except, rest).filter(|length| *length > 0)?;
            walk(parts, text, at + length, (at, at + length))
        }
    }
}

/// The character that a pattern begins with, where it stands for itself, and what is behind.
pub(super) fn character(pattern: &str) -> Option<(u8, &str)> {
    let (&byte, behind) = pattern.as_bytes().split_first()?;
    match byte {
        b'\\' => {
            let (&escaped, _) = behind.split_first()?;
            // Before letters and digits it means something else.
            escaped.is_ascii_punctuation().then(|| (escaped, &pattern[2..]))
        }
        _ if byte.is_ascii_alphanumeric() || b"/:_=,;@%\"'<>!&#~- ".contains(&byte) => Some((byte, &pattern[1..])),
        _ => None,
    }
}
