//! `LIKE` with a pattern that the query gives, and `IN` with values that it gives: matchers made when it is planned.
//!
//! ```text
//! 'abc%'  a prefix, told by the view where it is short      '%abc%'  one search
//! '%abc'  a suffix                                          'a%b%c'  a prefix, searches between, a suffix
//! ```
//! Patterns with `_`, and ILIKE, are left to the function library.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use memchr::memmem::Finder;
use millstream_kernels::bitmap;

use super::keys::{Keys, NOWHERE, keys};
use super::write;
use crate::batch::{Argument, Column};
use crate::error::Result;
use crate::function::{KernelContext, ScalarKernel};

/// The kernel of `x LIKE pattern`; `None` for other types than strings, and for patterns with `_`.
pub fn like(data_type: &DataType, pattern: &str, escape: char, negated: bool) -> Option<Arc<dyn ScalarKernel>> {
    if *data_type != DataType::Utf8View {
        return None;
    }
    let shown = pattern.replace('\'', "''");
    Some(Arc::new(Like { matcher: Matcher::new(pattern, escape)?, shown, negated }))
}

/// The kernel of `x IN (values)`; `None` for types that have none, and where a value is null.
pub fn in_list(data_type: &DataType, values: &ArrayRef, negated: bool) -> Option<Arc<dyn ScalarKernel>> {
    if values.data_type() != data_type || values.null_count() > 0 || values.is_empty() {
        return None;
    }
    Some(Arc::new(Within { keys: keys(values)?, count: values.len(), negated }))
}

/// How a string is compared with a pattern.
#[derive(Debug)]
struct Matcher {
    prefix: Vec<u8>,
    /// What lies between wildcards, in order.
    inner: Vec<Finder<'static>>,
    suffix: Vec<u8>,
    /// Whether there is no wildcard: then the prefix is all of it.
    exact: bool,
    /// Bytes that a match has at least.
    length_min: usize,
}

impl Matcher {
    fn new(pattern: &str, escape: char) -> Option<Self> {
        let mut segments = vec![String::new()];
        let mut characters = pattern.chars();
        while let Some(character) = characters.next() {
            match character {
                _ if character == escape => match characters.next() {
                    // Before other characters, or at the end, libraries do not agree.
                    Some(next) if next == '%' || next == '_' || next == escape => segments.last_mut()?.push(next),
                    _ => return None,
                },
                '%' => segments.push(String::new()),
                '_' => return None,
                _ => segments.last_mut()?.push(character),
            }
        }
        let exact = segments.len() == 1;
        let length_min = segments.iter().map(String::len).sum();
        let suffix = if exact { String::new() } else { segments.pop()? };
        let prefix = segments.remove(0);
        let inner = segments.iter().filter(|segment| !segment.is_empty());
        let inner = inner.map(|segment| Finder::new(segment.as_bytes()).into_owned()).collect();
        Some(Matcher { prefix: prefix.into_bytes(), inner, suffix: suffix.into_bytes(), exact, length_min })
    }

    #[inline(always)]
    fn matches(&self, bytes: &[u8]) -> bool {
        if self.exact {
            return bytes == self.prefix;
        }
        if bytes.len() < self.length_min || !self.fits_ends(bytes) {
            return false;
        }
        let mut rest = &bytes[self.prefix.len()..bytes.len() - self.suffix.len()];
        for finder in &self.inner {
            match finder.find(rest) {
                Some(at) => rest = &rest[at + finder.needle().len()..],
                None => return false,
            }
        }
        true
    }

    /// Whether bytes begin and end as they must. Nothing is compared with nothing: `memcmp` looks at the address all the same,
    /// and an empty vector's is no memory's. That was two fifths of TPC-H's q13.
    #[inline(always)]
    fn fits_ends(&self, bytes: &[u8]) -> bool {
        (self.prefix.is_empty() || bytes.starts_with(&self.prefix))
            && (self.suffix.is_empty() || bytes.ends_with(&self.suffix))
    }

    /// What the first bytes of a view must be, if that rules most strings out: a mask and the bytes under it.
    fn view_start(&self) -> (u128, u128) {
        let mut bytes = [0; 16];
        let mut mask = [0; 16];
        for (at, &byte) in self.prefix.iter().take(4).enumerate() {
            (bytes[4 + at], mask[4 + at]) = (byte, u8::MAX);
        }
        (u128::from_le_bytes(mask), u128::from_le_bytes(bytes))
    }
}

#[derive(Debug)]
struct Like {
    matcher: Matcher,
    shown: String,
    negated: bool,
}

impl ScalarKernel for Like {
    fn name(&self) -> &str {
        if self.negated { "NOT LIKE" } else { "LIKE" }
    }

    fn result_type(&self) -> DataType {
        DataType::Boolean
    }

    fn evaluate(&self, context: &KernelContext, args: &[Argument<'_>], rows: usize, out: &mut Column) -> Result<()> {
        let strings = args[0].strings()?;
        let (mask, start) = self.matcher.view_start();
        let matches = |row: usize| strings.views[row] & mask == start && self.matcher.matches(strings.bytes(row));
        let differs = |row: usize| !matches(row);
        write::booleans(context.level, args, rows, out, |out| {
            match (args[0].is_constant(), self.negated) {
                (true, _) => write::fill_bits(rows, out, if self.negated { differs(0) } else { matches(0) }),
                (false, false) => write::bits_of(rows, out, matches),
                (false, true) => write::bits_of(rows, out, differs),
            }
            Ok(())
        })
    }

    fn can_fail(&self) -> bool {
        false
    }

    fn show(&self, args: &[String]) -> String {
        format!("({} {} '{}')", args.join(", "), self.name(), self.shown)
    }
}

#[derive(Debug)]
struct Within {
    keys: Box<dyn Keys>,
    count: usize,
    negated: bool,
}

impl ScalarKernel for Within {
    fn name(&self) -> &str {
        if self.negated { "NOT IN" } else { "IN" }
    }

    fn result_type(&self) -> DataType {
        DataType::Boolean
    }

    fn evaluate(&self, context: &KernelContext, args: &[Argument<'_>], rows: usize, out: &mut Column) -> Result<()> {
        write::booleans(context.level, args, rows, out, |out| {
            let mut places = [NOWHERE; 64];
            if args[0].is_constant() {
                self.keys.find(&args[0], 0, &mut places[..1])?;
                write::fill_bits(rows, out, (places[0] != NOWHERE) != self.negated);
                return Ok(());
            }
            for (index, word) in out.iter_mut().enumerate() {
                let places = &mut places[..64.min(rows - 64 * index)];
                self.keys.find(&args[0], 64 * index, places)?;
                *word = places.iter().rev().fold(0, |word, &place| word << 1 | u64::from(place != NOWHERE));
            }
            if self.negated {
                out.iter_mut().for_each(|word| *word = !*word);
                bitmap::trim(out, rows);
            }
            Ok(())
        })
    }

    fn can_fail(&self) -> bool {
        false
    }

    fn show(&self, args: &[String]) -> String {
        format!("({} {} of {})", args.join(", "), self.name(), self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::KernelColumn;
    use arrow::array::{BooleanArray, Int64Array, StringViewArray};

    fn run(kernel: &dyn ScalarKernel, array: ArrayRef) -> BooleanArray {
        let rows = array.len();
        let column = KernelColumn::new(Column::Array(array));
        let mut out = Column::default();
        kernel.evaluate(&KernelContext::default(), &[column.argument(rows)], rows, &mut out).unwrap();
        let array = out.to_array(&DataType::Boolean, rows, &crate::batch::Selection::default()).unwrap();
        array.as_any().downcast_ref::<BooleanArray>().unwrap().clone()
    }

    #[test]
    fn patterns_match_what_arrow_says() {
        let words: Vec<Option<String>> = ["", "a", "ab", "abc", "abcabc", "xabcx", "abab", "a%c", "übung", "aüb"]
            .iter()
            .flat_map(|word| [Some(word.to_string()), Some(format!("{word} and a longer tail {word}")), None])
            .collect();
        let array: ArrayRef = Arc::new(words.iter().map(|word| word.as_deref()).collect::<StringViewArray>());
        for pattern in ["", "%", "%%", "a%", "%c", "ab%ab", "%b%b%", "a%b%c", "%ü%", "abc", "a\\%c", "%\\%%", "abca%bc"]
        {
            let wanted = arrow::compute::kernels::comparison::like(
                &arrow::compute::cast(&array, &DataType::Utf8).unwrap(),
                &arrow::array::Scalar::new(arrow::array::StringArray::from(vec![pattern])),
            )
            .unwrap();
            for negated in [false, true] {
                let kernel = like(&DataType::Utf8View, pattern, '\\', negated).unwrap();
                let wanted = if negated { arrow::compute::not(&wanted).unwrap() } else { wanted.clone() };
                assert_eq!(run(&*kernel, array.clone()), wanted, "{pattern} negated {negated}");
            }
        }
        assert!(like(&DataType::Utf8View, "a_", '\\', false).is_none());
        assert!(like(&DataType::Utf8View, "a\\", '\\', false).is_none());
    }

    #[test]
    fn lists_hold_what_is_in_them() {
        let values = [0i64, 1, -5, 70, i64::MAX, i64::MIN, 65_000, 12];
        for list in [vec![1, 70, -5], vec![i64::MIN, 0, i64::MAX], vec![12; 3]] {
            let array: ArrayRef = Arc::new(values.iter().map(|&v| (v != 0).then_some(v)).collect::<Int64Array>());
            for negated in [false, true] {
                let kernel =
                    in_list(&DataType::Int64, &(Arc::new(Int64Array::from(list.clone())) as _), negated).unwrap();
                let wanted: BooleanArray =
                    values.iter().map(|v| (*v != 0).then_some(list.contains(v) != negated)).collect();
                assert_eq!(run(&*kernel, array.clone()), wanted, "{list:?} {negated}");
            }
        }
        let words = ["a", "a string of more than twelve bytes", "another string of more than twelve", "b"];
        let array: ArrayRef = Arc::new(StringViewArray::from(words.to_vec()));
        let list: ArrayRef = Arc::new(StringViewArray::from(vec!["b", words[1]]));
        let kernel = in_list(&DataType::Utf8View, &list, false).unwrap();
        assert_eq!(run(&*kernel, array), BooleanArray::from(vec![false, true, false, true]));
    }
}
