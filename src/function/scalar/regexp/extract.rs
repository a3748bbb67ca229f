//! `regexp_extract` with a pattern and a group that the query gives: the result is a part of the text, which is not copied.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::Array;
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use memchr::memchr;
use memchr::memmem::Finder;
use millstream_kernels::bitmap;
use millstream_kernels::view::ViewChooser;
use regex::{CaptureLocations, Regex};

use super::walk::character;
use super::{COST, array, column_like, no_texts, quoted, texts};
use crate::batch::{Argument, Column};
use crate::error::Result;
use crate::function::{KernelContext, ScalarKernel};

/// The kernel of `regexp_extract(x, pattern, group)`; `None` for other types than strings, patterns that are none and
/// groups that they have not.
pub fn regexp_extract(data_type: &DataType, pattern: &str, group: i64) -> Option<Arc<dyn ScalarKernel>> {
    if *data_type != DataType::Utf8View {
        return None;
    }
    let regex = Regex::new(pattern).ok()?;
    let group = usize::try_from(group).ok().filter(|group| *group < regex.captures_len())?;
    Some(Arc::new(Group { tail: Tail::of(pattern), regex, group }))
}

struct Group {
    regex: Regex,
    group: usize,
    /// The pattern, where it is of this simple kind.
    tail: Option<Tail>,
}

impl Group {
    /// Where the group is in the first match, if there is one and the group takes part in it.
    fn find(&self, text: &str, places: &mut CaptureLocations) -> Option<Range<usize>> {
        match &self.tail {
            Some(tail) => tail.find(text.as_bytes(), self.group),
            None if self.group == 0 => self.regex.find(text).map(|found| found.range()),
            None => {
                self.regex.captures_read(places, text)?;
                places.get(self.group).map(|(from, to)| from..to)
            }
        }
    }
}

impl ScalarKernel for Group {
    fn name(&self) -> &str {
        "regexp_extract"
    }

    fn result_type(&self) -> DataType {
        DataType::Utf8View
    }

    fn evaluate(&self, _: &KernelContext, args: &[Argument<'_>], _: usize, out: &mut Column) -> Result<()> {
        let texts = texts(&args[0])?;
        let mut places = self.regex.capture_locations();
        let mut parts = ViewChooser::new(true, texts.len());
        let source = parts.source(array(&args[0])?).ok_or_else(no_texts)?;
        let mut found = vec![0; bitmap::words(texts.len())];
        for row in (0..texts.len()).filter(|row| texts.is_valid(*row)) {
            if let Some(Range { start, end }) = self.find(texts.value(row), &mut places) {
                parts.part(source, row, start, end);
                bitmap::set(&mut found, row);
            }
        }
        let found = NullBuffer::new(arrow::buffer::BooleanBuffer::new(found.into(), 0, texts.len()));
        *out = column_like(&args[0], parts.finish(Some(found)));
        Ok(())
    }

    fn can_fail(&self) -> bool {
        false
    }

    fn cost(&self) -> f64 {
        if self.tail.is_some() { COST / 2.0 } else { 3.0 * COST }
    }

    fn show(&self, args: &[String]) -> String {
        format!("regexp_extract({}, '{}', {})", args.join(", "), quoted(self.regex.as_str()), self.group)
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Group({}, {})", self.regex, self.group)
    }
}

/// A pattern that begins at a character or at the start of the text, goes on with a literal, and ends with a run of all but
/// one character: `(&|^)id=([^&]*)`.
#[derive(Debug)]
struct Tail {
    before: u8,
    literal: Finder<'static>,
    /// The character that ends the run.
    except: u8,
}

impl Tail {
    /// The pattern as one of this kind; `None` for all that is not known to mean the same.
    fn of(pattern: &str) -> Option<Tail> {
        let rest = pattern.strip_prefix('(')?;
        let (before, rest) = match rest.strip_prefix("^|") {
            Some(rest) => character(rest)?,
            None => {
                let (before, rest) = character(rest)?;
                (before, rest.strip_prefix("|^")?)
            }
        };
        let mut rest = rest.strip_prefix(')')?;
        let mut literal = Vec::new();
        while !rest.starts_with('(') {
            let (byte, behind) = character(rest)?;
            literal.push(byte);
            rest = behind;
        }
        let (except, rest) = character(rest.strip_prefix("([^")?)?;
        // With the character before it within the literal, a match might begin inside of another.
        let is_known = rest == "]*)" && !literal.is_empty() && !literal.contains(&before);
        is_known.then(|| Tail { before, literal: Finder::new(&literal).into_owned(), except })
    }

    /// Where a group of the first match is.
    fn find(&self, text: &[u8], group: usize) -> Option<Range<usize>> {
        let mut from = 0;
        let start = loop {
            let at = from + self.literal.find(&text[from..])?;
            if at == 0 || text[at - 1] == self.before {
                break at;
            }
            from = at + 1;
        };
        let first = start.saturating_sub(1);
        let run = start + self.literal.needle().len();
        let end = || memchr(self.except, &text[run..]).map_or(text.len(), |length| run + length);
        Some(match group {
            0 => first..end(),
            1 => first..start,
            _ => run..end(),
        })
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, AsArray, StringViewArray};

    use super::super::super::testing::{Loaded, Random, evaluate};
    use super::*;

    fn text(random: &mut Random) -> String {
        let pieces = ["&", "id=", "i", "d", "=", "x", "&id=", "?", "ü", "\n", "aid=", "12", "a"];
        (0..random.below(9)).map(|_| pieces[random.below(pieces.len())]).collect()
    }

    #[test]
    fn groups_are_what_the_library_finds() {
        let random = &mut Random(6);
        let texts: StringViewArray = (0..3000).map(|_| Some(text(random)).filter(|_| !random.one_in(9))).collect();
        let array: ArrayRef = Arc::new(texts.clone());
        let simple = [r"(&|^)id=([^&]*)", r"(^|\?)id=([^x]*)", r"(a|^)d=([^\n]*)", r"(i|^)d([^=]*)", r"(\?|^)i([^i]*)"];
        let others = [r"(&|^)id=([^&]+)", r"(&)id=([^&]*)", "(a)|(i)", "(a)?id", "id=[0-9]*", "(&|^)&i([^&]*)", ""];
        for (pattern, is_simple) in simple.map(|p| (p, true)).into_iter().chain(others.map(|p| (p, false))) {
            // A newline as a letter is written as an escape that is no punctuation.
            assert_eq!(Tail::of(pattern).is_some(), is_simple && !pattern.contains("\\n"), "{pattern}");
            let regex = Regex::new(pattern).unwrap();
            for group in 0..regex.captures_len() {
                let kernel = regexp_extract(&DataType::Utf8View, pattern, group as i64).unwrap();
                let found = evaluate(kernel.as_ref(), &[Loaded::array(&array)], 3000).unwrap();
                found.to_data().validate_full().unwrap();
                let wanted = texts.iter().map(|text| Some(regex.captures(text?)?.get(group)?.as_str()));
                assert_eq!(found.as_string_view(), &wanted.collect::<StringViewArray>(), "{pattern}, group {group}");
            }
        }
    }

    #[test]
    fn what_the_pattern_does_not_have_is_no_kernel() {
        assert!(regexp_extract(&DataType::Utf8View, "(", 0).is_none());
        assert!(regexp_extract(&DataType::Utf8View, "(a)", 2).is_none());
        assert!(regexp_extract(&DataType::Utf8View, "(a)", -1).is_none());
        assert!(regexp_extract(&DataType::Int64, "(a)", 1).is_none());
    }
}
