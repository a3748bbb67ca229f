//! Pieces of texts by regular expressions and by separators, as lists.

use arrow::array::{Array, ArrayBuilder, ArrayRef, AsArray, ListBuilder, StringViewArray, StringViewBuilder};
use arrow::datatypes::DataType;
use regex::{Captures, Regex, RegexBuilder};

use crate::error::{Error, Result};
use crate::function::custom::{Vector, VectorCall};

type Lists = ListBuilder<StringViewBuilder>;
type ListsOfLists = ListBuilder<Lists>;

pub(super) fn functions() -> Vec<Vector> {
    let list = DataType::new_list(DataType::Utf8View, true);
    let of = |name: &str, args: usize, example: &str, doc: &str, write: fn(&Regex, &str, &mut Lists)| {
        let types = vec![DataType::Utf8View; args];
        let kernel = move |call: &mut VectorCall<'_, '_>| lists(call, args, write);
        Vector::new(name, &types, list.clone(), kernel).doc(doc).example(example).cost(300.0)
    };
    let found = "What the groups of a pattern, or all of it where it has none, match first in a text: a list, with NULL for a \
                 group that is not part of the match; NULL where nothing matches. Flags: i for any case.";
    let split = "The pieces of a text between matches of a pattern. Flags: i for any case.";
    let (match_two, match_three) = ("regexp_match('foobarbeque', 'ba(r)(x)?')", "regexp_match('Köln', 'K(Ö)', 'i')");
    let (split_two, split_three) =
        ("regexp_split_to_array('a1b22c', '[0-9]+')", "regexp_split_to_array('axbXc', 'x', 'i')");
    vec![
        of("regexp_match", 2, match_two, found, groups),
        of("regexp_match", 3, match_three, found, groups),
        of("regexp_split_to_array", 2, split_two, split, pieces),
        of("regexp_split_to_array", 3, split_three, split, pieces),
        all_matches(2, "regexp_match_all('foobarbeque', 'b(..)')"),
        all_matches(3, "regexp_match_all('foobarbeque', 'B(..)', 'gi')"),
        Vector::new("split", &[DataType::Utf8View, DataType::Utf8View], list, split_by)
            .doc("The pieces of a text between separators; without a separator its characters.")
            .example("split('a/b', '/')"),
    ]
}

/// What `regexp_matches` makes rows of: a list for each match with the flag g, else for the first.
fn all_matches(args: usize, example: &str) -> Vector {
    let types = vec![DataType::Utf8View; args];
    let list = DataType::new_list(DataType::new_list(DataType::Utf8View, true), true);
    let kernel = move |call: &mut VectorCall<'_, '_>| {
        let write = |regex: &Regex, text: &str, flags: &str, out: &mut ListsOfLists| {
            let most = if flags.contains('g') { usize::MAX } else { 1 };
            for found in regex.captures_iter(text).take(most) {
                groups_of(&found, out.values());
            }
            out.append(true);
        };
        let out = ListBuilder::new(ListBuilder::new(StringViewBuilder::new()));
        written(call, args, out, ListsOfLists::append_null, write)
    };
    let doc = "What the groups of a pattern, or all of it where it has none, match in a text: a list of lists, one for each match with \
               the flag g, else for the first. Flags: i for any case.";
    Vector::new("regexp_match_all", &types, list, kernel).doc(doc).example(example).cost(300.0)
}

/// The pieces of texts between separators.
fn split_by(call: &mut VectorCall<'_, '_>) -> Result<()> {
    let args = [call.arg(0).to_array(&DataType::Utf8View)?, call.arg(1).to_array(&DataType::Utf8View)?];
    let [texts, separators] = args.each_ref().map(|array| array.as_string_view());
    // What a constant gives is one value.
    let at = |array: &StringViewArray, row: usize| if array.len() == 1 { 0 } else { row };
    let mut out = ListBuilder::new(StringViewBuilder::new());
    for row in 0..call.rows() {
        let (text, separator) = (at(texts, row), at(separators, row));
        if texts.is_null(text) || separators.is_null(separator) {
            out.append_null();
            continue;
        }
        match (texts.value(text), separators.value(separator)) {
            (text, "") => {
                text.char_indices().for_each(|(at, c)| out.values().append_value(&text[at..at + c.len_utf8()]))
            }
            (text, separator) => text.split(separator).for_each(|piece| out.values().append_value(piece)),
        }
        out.append(true);
    }
    call.output_array(std::sync::Arc::new(out.finish()));
    Ok(())
}

/// A list per row; an argument that is NULL makes NULL.
fn lists(call: &mut VectorCall<'_, '_>, count: usize, write: fn(&Regex, &str, &mut Lists)) -> Result<()> {
    let write = |regex: &Regex, text: &str, _: &str, out: &mut Lists| write(regex, text, out);
    written(call, count, ListBuilder::new(StringViewBuilder::new()), Lists::append_null, write)
}

/// What `write` makes of each row, from its pattern, text and flags; `null` where one of them is NULL.
fn written<B: ArrayBuilder>(
    call: &mut VectorCall<'_, '_>,
    count: usize,
    mut out: B,
    null: fn(&mut B),
    write: impl Fn(&Regex, &str, &str, &mut B),
) -> Result<()> {
    let args = (0..count).map(|at| call.arg(at).to_array(&DataType::Utf8View)).collect::<Result<Vec<ArrayRef>>>()?;
    let texts: Vec<_> = args.iter().map(|array| array.as_string_view()).collect();
    // What a constant gives is one value.
    let value = |at: usize, row: usize| {
        let row = if texts[at].len() == 1 { 0 } else { row };
        (!texts[at].is_null(row)).then(|| texts[at].value(row))
    };
    let mut known: Option<(String, String, Regex)> = None;
    for row in 0..call.rows() {
        let flags = if count == 3 { value(2, row) } else { Some("") };
        let (Some(text), Some(pattern), Some(flags)) = (value(0, row), value(1, row), flags) else {
            null(&mut out);
            continue;
        };
        if known.as_ref().is_none_or(|known| known.0 != pattern || known.1 != flags) {
            known = Some((pattern.to_string(), flags.to_string(), regex(pattern, flags)?));
        }
        if let Some((.., regex)) = &known {
            write(regex, text, flags, &mut out);
        }
    }
    call.output_array(out.finish());
    Ok(())
}

/// Of several flags for one thing the last counts, as in PostgreSQL.
fn regex(pattern: &str, flags: &str) -> Result<Regex> {
    let mut builder = RegexBuilder::new(pattern);
    for flag in flags.chars() {
        match flag {
            'i' => builder.case_insensitive(true),
            'c' => builder.case_insensitive(false),
            's' => builder.dot_matches_new_line(true),
            'n' | 'm' => builder.multi_line(true),
            'x' => builder.ignore_whitespace(true),
            'g' => continue,
            other => {
                let message = format!("not a flag of a pattern: {other}; there are i (any case), c, s, m and x");
                return Err(Error::user(message));
            }
        };
    }
    builder.build().map_err(|e| Error::user(format!("not a pattern: {pattern}")).caused_by(e))
}

fn groups(regex: &Regex, text: &str, out: &mut Lists) {
    match regex.captures(text) {
        None => out.append_null(),
        Some(found) => groups_of(&found, out),
    }
}

fn groups_of(found: &Captures<'_>, out: &mut Lists) {
    let first = usize::from(found.len() > 1);
    for group in first..found.len() {
        out.values().append_option(found.get(group).map(|group| group.as_str()));
    }
    out.append(true);
}

/// A match of nothing splits between characters, and neither at the beginning nor at the end.
fn pieces(regex: &Regex, text: &str, out: &mut Lists) {
    let mut from = 0;
    for found in regex.find_iter(text) {
        if found.is_empty() && (found.start() == 0 || found.start() == text.len()) {
            continue;
        }
        out.values().append_value(&text[from..found.start()]);
        from = found.end();
    }
    out.values().append_value(&text[from..]);
    out.append(true);
}
