//! Regular expressions that the query gives: made once, when it is planned, and matched by what the pattern allows.
//!
//! ```text
//! ^https?://(?:www\.)?([^/]+)/.*$  replaced by \1     a walk over literals and one run: no automaton, no copy
//! all others                                          the regex library, with its prefilters
//! ```
//! Invariants  both give what the library gives. Patterns that are no more than a literal have become LIKE before.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, AsArray, StringViewArray, StringViewBuilder};
use arrow::datatypes::DataType;
use memchr::memchr;
use millstream_kernels::view::ViewChooser;
use regex::Regex;

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
    let array = match arg.column() {
        Column::Array(array) | Column::Constant(array) => array.as_string_view_opt(),
        _ => None,
    };
    array.ok_or_else(|| Error::bug("a pattern met a column that is not of strings"))
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
        let array = Arc::new(replaced.finish());
        *out = if args[0].is_constant() { Column::Constant(array) } else { Column::Array(array) };
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

/// A pattern that matches all of a text or nothing, replaced by its group: the text becomes a part of itself.
#[derive(Debug)]
struct Extract {
    walk: Walk,
    shown: String,
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
        let array = match args[0].column() {
            Column::Array(array) | Column::Constant(array) => array,
            _ => return Err(Error::bug("strings are arrays")),
        };
        let source = parts.source(array).ok_or_else(|| Error::bug("strings are strings"))?;
        for row in (0..texts.len()).filter(|row| texts.is_valid(*row)) {
            let text = texts.value(row);
            let (start, end) = self.walk.group(text.as_bytes()).unwrap_or((0, text.len()));
            parts.part(source, row, start, end);
        }
        let array = parts.finish(texts.nulls().cloned());
        *out = if args[0].is_constant() { Column::Constant(array) } else { Column::Array(array) };
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
struct Walk(Vec<Part>);

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
    fn of(pattern: &str) -> Option<Walk> {
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
fn character(pattern: &str) -> Option<(u8, &str)> {
    let (&byte, behind) = pattern.as_bytes().split_first()?;
    match byte {
        b'\\' => {
            let (&escaped, _) = behind.split_first()?;
            // Before letters and digits it means something else.
            escaped.is_ascii_punctuation().then(|| (escaped, &pattern[2..]))
        }
        _ if byte.is_ascii_alphanumeric() || b"/:_=,;@%\"'<>! ".contains(&byte) => Some((byte, &pattern[1..])),
        _ => None,
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
