//! Pieces of texts by regular expressions, as lists.

use arrow::array::{Array, ArrayRef, AsArray, ListBuilder, StringViewBuilder};
use arrow::datatypes::DataType;
use regex::{Regex, RegexBuilder};

use crate::error::{Error, Result};
use crate::function::custom::{Vector, VectorCall};

type Lists = ListBuilder<StringViewBuilder>;

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
    ]
}

/// A list per row; an argument that is NULL makes NULL.
fn lists(call: &mut VectorCall<'_, '_>, count: usize, write: fn(&Regex, &str, &mut Lists)) -> Result<()> {
    let args = (0..count).map(|at| call.arg(at).to_array(&DataType::Utf8View)).collect::<Result<Vec<ArrayRef>>>()?;
    let texts: Vec<_> = args.iter().map(|array| array.as_string_view()).collect();
    // What a constant gives is one value.
    let value = |at: usize, row: usize| {
        let row = if texts[at].len() == 1 { 0 } else { row };
        (!texts[at].is_null(row)).then(|| texts[at].value(row))
    };
    let mut out = ListBuilder::new(StringViewBuilder::new());
    let mut known: Option<(String, String, Regex)> = None;
    for row in 0..call.rows() {
        let flags = if count == 3 { value(2, row) } else { Some("") };
        let (Some(text), Some(pattern), Some(flags)) = (value(0, row), value(1, row), flags) else {
            out.append_null();
            continue;
        };
        if known.as_ref().is_none_or(|known| known.0 != pattern || known.1 != flags) {
            known = Some((pattern.to_string(), flags.to_string(), regex(pattern, flags)?));
        }
        if let Some((.., regex)) = &known {
            write(regex, text, &mut out);
        }
    }
    call.output_array(std::sync::Arc::new(out.finish()));
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
            other => {
                let message = format!("not a flag of a pattern: {other}; there are i (any case), c, s, m and x");
                return Err(Error::user(message));
            }
        };
    }
    builder.build().map_err(|e| Error::user(format!("not a pattern: {pattern}")).caused_by(e))
}

fn groups(regex: &Regex, text: &str, out: &mut Lists) {
    let Some(found) = regex.captures(text) else { return out.append_null() };
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
