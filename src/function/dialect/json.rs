//! Members and elements of JSON that stands in texts, and texts checked to be JSON.
//!
//! Place       `->`, `->>`, `#>` and `#>>` become calls of these (`sql/parse/spelling/json.rs`).
//! Invariants  what is JSON comes out in one form, as PostgreSQL's JSONB has it: blanks behind commas and colons, members
//!             ordered by their names, of equal ones the last, numbers with all of their digits.

use std::sync::Arc;

use arrow::array::{Array, AsArray, ListBuilder, StringViewBuilder};
use arrow::datatypes::DataType;

use super::json_tree::{Json, parsed};
use super::scalar;
use crate::error::{Error, Result};
use crate::function::custom::{Scalar, StringWriter, Vector, VectorCall};

pub(super) fn functions() -> Vec<Scalar> {
    let member = "A member of a JSON object by its name, or an element of an array counted from 0, or from the end by -1: JSON; \
                  NULL where there is none.";
    let member_text =
        "The same as a text, without the quotes of a JSON text; NULL where there is none, and for a JSON null.";
    let step = "A member by its name, or an element by its number in digits: a step of a path into JSON.";
    vec![
        scalar("jsonb", jsonb, "A JSON text, checked and in its usual form.", "jsonb('{\"b\":[1,2],\"a\":null}')"),
        scalar("json", json, "A JSON text, checked and as it is.", "json('{\"b\":[1,2],\"a\":null}')"),
        scalar(
            "json_name",
            name,
            "A text as the name of a member of a JSON object, in quotes; NULL is an error.",
            "json_name('a')",
        ),
        scalar(
            "json_get",
            |json: &str, name: &str, out: &mut StringWriter| found(json, member_of(name), false, out),
            member,
            "json_get('{\"a\": [1]}', 'a')",
        ),
        scalar(
            "json_get",
            |json: &str, at: i64, out: &mut StringWriter| found(json, element_at(at), false, out),
            member,
            "json_get('[1, 2]', -1)",
        ),
        scalar(
            "json_get_text",
            |json: &str, name: &str, out: &mut StringWriter| found(json, member_of(name), true, out),
            member_text,
            "json_get_text('{\"a\": \"x\"}', 'a')",
        ),
        scalar(
            "json_get_text",
            |json: &str, at: i64, out: &mut StringWriter| found(json, element_at(at), true, out),
            member_text,
            "json_get_text('[\"x\"]', 0)",
        ),
        scalar(
            "json_step",
            |json: &str, step: &str, out: &mut StringWriter| found(json, step_of(step), false, out),
            step,
            "json_step('[{\"a\": 1}]', '0')",
        ),
        scalar(
            "json_step_text",
            |json: &str, step: &str, out: &mut StringWriter| found(json, step_of(step), true, out),
            "The same as a text.",
            "json_step_text('[\"x\"]', '0')",
        ),
        scalar(
            "json_typeof",
            type_of,
            "What a JSON text is: object, array, string, number, boolean or null.",
            "json_typeof('[1]')",
        ),
        scalar("json_array_length", array_length, "How many elements a JSON array has.", "json_array_length('[7, 2]')"),
        scalar(
            "json_strip_nulls",
            strip_nulls,
            "JSON without members of objects that are null.",
            "json_strip_nulls('{\"a\": null, \"b\": 1}')",
        ),
        scalar(
            "json_contains",
            contains,
            "Whether JSON has another in it: members with their values, elements in any order.",
            "json_contains('{\"a\": 1, \"b\": 2}', '{\"a\": 1}')",
        ),
        scalar(
            "json_exists",
            exists,
            "Whether a text is the name of a member of a JSON object, or an element of an array.",
            "json_exists('{\"a\": 1}', 'a')",
        ),
    ]
}

/// Those that make lists of a JSON text.
pub(super) fn lists() -> Vec<Vector> {
    let list = |name: &str, write: fn(&Json) -> std::result::Result<Vec<Option<String>>, String>| {
        let of = DataType::new_list(DataType::Utf8View, true);
        Vector::new(name, &[DataType::Utf8View], of, move |call: &mut VectorCall<'_, '_>| texts(call, write))
    };
    vec![
        list("json_elements", |json| Ok(elements(json)?.iter().map(|element| Some(element.spaced())).collect()))
            .doc("The elements of a JSON array as a list of JSON texts.")
            .example("json_elements('[1, [2]]')"),
        list("json_elements_text", |json| Ok(elements(json)?.iter().map(plain).collect()))
            .doc("The elements of a JSON array as a list of texts, without the quotes of JSON texts.")
            .example("json_elements_text('[\"x\", 1]')"),
        list("json_keys", |json| match json {
            Json::Object(members) => Ok(members.keys().cloned().map(Some).collect()),
            other => Err(format!("a JSON object is expected, not {}: {}", other.kind(), other.spaced())),
        })
        .doc("The names of the members of a JSON object as a list.")
        .example("json_keys('{\"a\": 1, \"b\": 2}')"),
    ]
}

fn jsonb(json: &str, out: &mut StringWriter) -> std::result::Result<(), String> {
    out.push_str(&parsed(json)?.spaced());
    Ok(())
}

fn json(json: &str, out: &mut StringWriter) -> std::result::Result<(), String> {
    parsed(json)?;
    out.push_str(json);
    Ok(())
}

fn name(name: Option<&str>, out: &mut StringWriter) -> std::result::Result<(), String> {
    let name = name.ok_or_else(|| "field name must not be null: a member of a JSON object has one".to_string())?;
    out.push_str(&Json::Text(name.to_string()).spaced());
    Ok(())
}

/// What a step finds, if anything.
type Step<'a> = Box<dyn Fn(&Json) -> Option<&Json> + 'a>;

fn member_of(name: &str) -> Step<'_> {
    Box::new(move |json| match json {
        Json::Object(members) => members.get(name),
        _ => None,
    })
}

fn element_at(at: i64) -> Step<'static> {
    Box::new(move |json| {
        let Json::List(list) = json else { return None };
        let at = if at < 0 { i64::try_from(list.len()).ok()?.checked_add(at)? } else { at };
        list.get(usize::try_from(at).ok()?)
    })
}

fn step_of(step: &str) -> Step<'_> {
    match step.parse() {
        Ok(at) => Box::new(move |json| element_at(at)(json).or_else(|| member_of(step)(json))),
        Err(_) => member_of(step),
    }
}

/// Writes what a step finds; `None`: there is nothing, or a null that has no text.
fn found(json: &str, step: Step<'_>, as_text: bool, out: &mut StringWriter) -> std::result::Result<Option<()>, String> {
    let json = parsed(json)?;
    let Some(value) = step(&json) else { return Ok(None) };
    let text = if as_text { plain(value) } else { Some(value.spaced()) };
    Ok(text.map(|text| out.push_str(&text)))
}

fn type_of(json: &str, out: &mut StringWriter) -> std::result::Result<(), String> {
    out.push_str(parsed(json)?.kind());
    Ok(())
}

fn array_length(json: &str) -> std::result::Result<i64, String> {
    Ok(elements(&parsed(json)?)?.len() as i64)
}

fn strip_nulls(json: &str, out: &mut StringWriter) -> std::result::Result<(), String> {
    fn strip(json: &mut Json) {
        match json {
            Json::Object(members) => {
                members.retain(|_, value| *value != Json::Null);
                members.values_mut().for_each(strip);
            }
            Json::List(list) => list.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut json = parsed(json)?;
    strip(&mut json);
    out.push_str(&json.spaced());
    Ok(())
}

fn contains(json: &str, part: &str) -> std::result::Result<bool, String> {
    fn has(json: &Json, part: &Json) -> bool {
        match (json, part) {
            (Json::Object(members), Json::Object(parts)) => {
                parts.iter().all(|(name, part)| members.get(name).is_some_and(|value| has(value, part)))
            }
            (Json::List(list), Json::List(parts)) => parts.iter().all(|part| list.iter().any(|one| has(one, part))),
            (json, part) => same(json, part),
        }
    }
    let (json, part) = (parsed(json)?, parsed(part)?);
    // An array contains what is one of its elements.
    let is_element = match (&json, &part) {
        (_, Json::List(_) | Json::Object(_)) => false,
        (Json::List(list), part) => list.iter().any(|one| same(one, part)),
        _ => false,
    };
    Ok(is_element || has(&json, &part))
}

/// Numbers are the same by value, `1` and `1.0`.
fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => significant(a) == significant(b),
        _ => a == b,
    }
}

/// Digits without zeros at their end behind the point.
fn significant(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

fn exists(json: &str, name: &str) -> std::result::Result<bool, String> {
    Ok(match parsed(json)? {
        Json::Object(members) => members.contains_key(name),
        Json::List(list) => list.contains(&Json::Text(name.to_string())),
        Json::Text(text) => text == name,
        _ => false,
    })
}

fn elements(json: &Json) -> std::result::Result<&Vec<Json>, String> {
    match json {
        Json::List(list) => Ok(list),
        other => Err(format!("a JSON array is expected, not {}: {}", other.kind(), other.spaced())),
    }
}

/// A JSON text without its quotes, and anything else as it is; `None` for null.
fn plain(json: &Json) -> Option<String> {
    match json {
        Json::Null => None,
        Json::Text(text) => Some(text.clone()),
        other => Some(other.spaced()),
    }
}

/// A list of texts for each JSON text.
fn texts(
    call: &mut VectorCall<'_, '_>,
    write: fn(&Json) -> std::result::Result<Vec<Option<String>>, String>,
) -> Result<()> {
    let array = call.arg(0).to_array(&DataType::Utf8View)?;
    let array = array.as_string_view();
    let mut out = ListBuilder::new(StringViewBuilder::new());
    for row in 0..call.rows() {
        // What a constant gives is one value.
        let row = if array.len() == 1 { 0 } else { row };
        if array.is_null(row) {
            out.append_null();
            continue;
        }
        let found = parsed(array.value(row)).and_then(|json| write(&json)).map_err(Error::user)?;
        found.iter().for_each(|text| out.values().append_option(text.as_deref()));
        out.append(true);
    }
    call.output_array(Arc::new(out.finish()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_go_by_name_and_from_both_ends() {
        let digits = |digits: &str| Json::Number(digits.to_string());
        let json = parsed("{\"a\": [10, 20, {\"1\": true}]}").expect("JSON");
        let list = member_of("a")(&json).expect("a member");
        assert_eq!(element_at(-3)(list), Some(&digits("10")));
        assert_eq!((element_at(3)(list), element_at(-4)(list), element_at(i64::MIN)(list)), (None, None, None));
        assert_eq!(step_of("1")(list), Some(&digits("20")));
        assert_eq!(step_of("1")(element_at(2)(list).expect("an object")), Some(&Json::Bool(true)));
    }
}
