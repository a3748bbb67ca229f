//! Regular expressions that the query gives: made once, when it is planned, and matched by what the pattern allows.
//!
//! ```text
//! ^https?://(?:www\.)?([^/]+)/.*$  replaced by \1     a walk over literals and one run: no automaton, no copy
//! (&|^)id=([^&]*)  and one of its groups               a search for the literal, and one for the end
//! all others                                          the regex library, with its prefilters
//! ```
//! Invariants  all give what the library gives. Patterns that are no more than a literal have become LIKE before.

mod extract; // a match, or one of its groups
mod walk; //    patterns of literals around one group

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray, StringViewBuilder};
use arrow::datatypes::DataType;
use regex::Regex;

pub use extract::regexp_extract;
use walk::{Extract, Walk};

use super::write;
use crate::batch::{Argument, Column};
use crate::error::{Error, Result};
use crate::function::{KernelContext, ScalarKernel};

/// The kernel of `x ~ pattern`; `None` for other types than strings, and for patterns that are none.
pub fn regexp_like(data_type: &DataType, pattern: &str, negated: bool) -> Option<Arc<dyn ScalarKernel>> {
    if *data_type != DataType::Utf8View {
        return None;
    }
    Some(Arc::new(Matches { regex: Regex::new(pattern).ok()?, negated }))
}

/// The kernel of `regexp_replace(x, pattern, replacement)`, of the first match or of all; `None` as in [`regexp_like`].
pub fn regexp_replace(
    data_type: &DataType,
    pattern: &str,
    replacement: &str,
    all: bool,
) -> Option<Arc<dyn ScalarKernel>> {
    if *data_type != DataType::Utf8View {
        return None;
    }
    let shown = format!("'{}', '{}'{}", quoted(pattern), quoted(replacement), if all { ", 'g'" } else { "" });
    let regex = Regex::new(pattern).ok()?;
    if let Some(walk) = Walk::of(pattern).filter(|_| !all && replacement == "\\1") {
        return Some(Arc::new(Extract { walk, shown }));
    }
    // Groups are written `\1`, in the library `${1}`.
    let groups = Regex::new(r"\\{1,2}(\d+)").ok()?;
    let replacement = groups.replace_all(replacement, "$${$1}").into_owned();
    Some(Arc::new(Replace { regex, replacement, all, shown }))
}

fn quoted(text: &str) -> String {
    text.replace('\'', "''")
}

/// What a row costs in the library, in nanoseconds.
const COST: f64 = 50.0;

fn texts<'a>(arg: &Argument<'a>) -> Result<&'a StringViewArray> {
    array(arg)?.as_string_view_opt().ok_or_else(no_texts)
}

fn array<'a>(arg: &Argument<'a>) -> Result<&'a ArrayRef> {
    match arg.column() {
        Column::Array(array) | Column::Constant(array) => Ok(array),
        _ => Err(no_texts()),
    }
}

fn no_texts() -> Error {
    Error::bug("a pattern met a column that is not of strings")
}

/// A column made from another, row by row: of one value where that one is.
fn column_like(arg: &Argument<'_>, array: ArrayRef) -> Column {
    if arg.is_constant() { Column::Constant(array) } else { Column::Array(array) }
}

#[derive(Debug)]
struct Matches {
    regex: Regex,
    negated: bool,
}

impl ScalarKernel for Matches {
    fn name(&self) -> &str {
        if self.negated { "!~" } else { "~" }
    }

    fn result_type(&self) -> DataType {
        DataType::Boolean
    }

    fn evaluate(&self, context: &KernelContext, args: &[Argument<'_>], rows: usize, out: &mut Column) -> Result<()> {
        let texts = texts(&args[0])?;
        let holds = |row: usize| self.regex.is_match(texts.value(row)) != self.negated;
        write::booleans(context.level, args, rows, out, |out| {
            match args[0].is_constant() {
                true => write::fill_bits(rows, out, holds(0)),
                false => write::bits_of(rows, out, |row| texts.is_valid(row) && holds(row)),
            }
            Ok(())
        })
    }

    fn can_fail(&self) -> bool {
        false
    }

    fn cost(&self) -> f64 {
        COST
    }

    fn show(&self, args: &[String]) -> String {
        format!("({} {} '{}')", args.join(", "), self.name(), quoted(self.regex.as_str()))
    }
}

struct Replace {
    regex: Regex,
    replacement: String,
    all: bool,
    shown: String,
}

impl ScalarKernel for Replace {
    fn name(&self) -> &str {
        "regexp_replace"
    }

    fn result_type(&self) -> DataType {
        DataType::Utf8View
    }

    fn evaluate(&self, _: &KernelContext, args: &[Argument<'_>], _: usize, out: &mut Column) -> Result<()> {
        let texts = texts(&args[0])?;
        let limit = if self.all { 0 } else { 1 };
        let mut replaced = StringViewBuilder::with_capacity(texts.len());
        for text in texts.iter() {
            match text {
                Some(text) => {
                    replaced.try_append_value(self.regex.replacen(text, limit, self.replacement.as_str()))?;
                }
                None => replaced.append_null(),
            }
        }
        *out = column_like(&args[0], Arc::new(replaced.finish()));
        Ok(())
    }

    fn can_fail(&self) -> bool {
        false
    }

    fn cost(&self) -> f64 {
        2.0 * COST
    }

    fn show(&self, args: &[String]) -> String {
        format!("regexp_replace({}, {})", args.join(", "), self.shown)
    }
}

impl fmt::Debug for Replace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Replace({})", self.shown)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::ArrayRef;

    use super::super::testing::{Loaded, Random, evaluate};
    use super::*;

    const PATTERNS: [&str; 10] = [
        r"^https?://(?:www\.)?([^/]+)/.*$",
        r"^a?b?([^c]+)c.*$",
        r"^(?:ab)?a?([^/]+)/b?.*$",
        r"^([^a]+)ab?c.*$",
        r"^a(?:bc)([^\.]+)\.c?.*$",
        r"^/?/?([^b]+)b(?:b)?a.*$",
        r"^ab(?:c)?(?:c)?([^a]+)a.*$",
        r"^([^/]+)//.*$",
        r"^h?([^t]+)ttp.*$",
        r"^x:([^,]+),y.*$",
    ];

    fn text(random: &mut Random) -> String {
        let pieces =
            ["a", "b", "c", "ab", ",y", "/", "//", ".", "www.", "http", "s", "://", "\n", "ü", "x:", ",", "y", ""];
        let start = ["", "", "http://", "https://www.", "ab", "abc", "x:"][random.below(7)];
        (0..random.below(9)).fold(start.to_string(), |text, _| text + pieces[random.below(pieces.len())])
    }

    fn random_texts(random: &mut Random, rows: usize) -> StringViewArray {
        (0..rows).map(|_| Some(text(random)).filter(|_| !random.one_in(9))).collect()
    }

    #[test]
    fn walks_give_what_the_library_gives() {
        let random = &mut Random(3);
        for pattern in PATTERNS {
            assert!(Walk::of(pattern).is_some(), "{pattern}");
            let regex = Regex::new(pattern).unwrap();
            let texts = random_texts(random, 3000);
            let wanted: StringViewArray =
                texts.iter().map(|text| text.map(|text| regex.replace(text, "$1").into_owned())).collect();
            let changed = texts.iter().flatten().filter(|text| regex.is_match(text)).count();
            assert!(changed > 20, "{pattern} matches {changed} texts");
            let kernel = regexp_replace(&DataType::Utf8View, pattern, "\\1", false).unwrap();
            let found = evaluate(kernel.as_ref(), &[Loaded::array(&(Arc::new(texts) as ArrayRef))], 3000).unwrap();
            found.to_data().validate_full().unwrap();
            assert_eq!(found.as_string_view(), &wanted, "{pattern}");
        }
    }

    #[test]
    fn patterns_that_mean_more_are_no_walks() {
        for pattern in [
            r"^a([^b]+)c.*$",
            r"^a([^b]+)b?.*$",
            r"^a+([^b]+)b.*$",
            r"^a??([^b]+)b.*$",
            r"^a|([^b]+)b.*$",
            r"^\d([^b]+)b.*$",
            r"^.([^b]+)b.*$",
            r"^([^b]*)b.*$",
            r"^([^b]+)b.*",
            r"^([^b]+)b\.*$",
            r"^([^b]+)b([^c]+)c.*$",
            r"^ü([^b]+)b.*$",
            r"^([^bc]+)b.*$",
            r"^(?:a|b)([^b]+)b.*$",
            r"^([^\d]+)d.*$",
        ] {
            assert_eq!(Walk::of(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn the_library_is_asked_for_all_others() {
        let random = &mut Random(4);
        let texts = random_texts(random, 500);
        let array: ArrayRef = Arc::new(texts.clone());
        for pattern in ["a|b+", "", "^h.*s", "[^a-c]", r"\bab\b", "(?i)WWW", "a(b)?c", "foo|bar|http"] {
            let regex = Regex::new(pattern).unwrap();
            for negated in [false, true] {
                let kernel = regexp_like(&DataType::Utf8View, pattern, negated).unwrap();
                let found = evaluate(kernel.as_ref(), &[Loaded::array(&array)], 500).unwrap();
                for row in 0..500 {
                    let wanted = texts.is_valid(row).then(|| regex.is_match(texts.value(row)) != negated);
                    let found = found.as_boolean();
                    assert_eq!(found.is_valid(row).then(|| found.value(row)), wanted, "{pattern}, row {row}");
                }
            }
            for (replacement, library, all) in
                [("[\\1]", "[${1}]", false), ("-", "-", true), ("\\0\\0", "${0}${0}", true)]
            {
                let kernel = regexp_replace(&DataType::Utf8View, pattern, replacement, all).unwrap();
                let found = evaluate(kernel.as_ref(), &[Loaded::array(&array)], 500).unwrap();
                let limit = if all { 0 } else { 1 };
                let replaced = |text: &str| regex.replacen(text, limit, library).into_owned();
                let wanted: StringViewArray = texts.iter().map(|text| text.map(replaced)).collect();
                assert_eq!(found.as_string_view(), &wanted, "{pattern} by {replacement}");
            }
        }
        assert!(regexp_like(&DataType::Utf8View, "(", false).is_none());
        assert!(regexp_replace(&DataType::Int64, "a", "b", false).is_none());
    }
}
