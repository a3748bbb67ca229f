//! Functions that other engines' SQL has by these names: plain Rust functions, registered like users' own.
//!
//! Place       beside the function library of the planner, before it where both have a name.

mod bytes; //       bytes bit by bit
mod date_format; // times as text, by patterns of letters
mod interval; //    intervals by their fields
mod json; //        members and elements of JSON in texts
mod json_tree; //   JSON as a tree, its numbers as digits
mod lists; //       places in lists
mod numbers; //     functions of angles, and whether a float is infinite
mod parse; //       texts as times by patterns of %, and as UUIDs
mod patterns; //    pieces of texts by regular expressions, as lists
mod parts; //       year(t), hour(t) and their kin
mod span; //        stretches of time in whole units
mod text; //        pieces of texts

use super::custom::{Function, Interval, Scalar};

/// All of them, each signature apart.
pub fn functions() -> Vec<Function> {
    date_format::functions()
        .into_iter()
        .chain(parts::functions())
        .chain(span::functions())
        .chain(text::functions())
        .chain(bytes::functions())
        .chain(bytes::casts())
        .chain(interval::functions())
        .chain(numbers::functions())
        .chain(lists::functions())
        .chain(parse::functions())
        .chain(json::functions())
        .map(Function::from)
        .chain(patterns::functions().into_iter().map(Function::from))
        .chain(json::lists().into_iter().map(Function::from))
        .collect()
}

/// Functions of bytes by the names that the planner's library has for texts alone.
pub fn functions_of_bytes() -> Vec<Function> {
    bytes::like_texts().into_iter().map(Function::from).collect()
}

/// The interval that a text is, by its fields: `1-2` of `YEAR TO MONTH`.
pub fn interval_of(text: &str, fields: &str) -> Result<Interval, String> {
    interval::parse(text, fields)
}

/// A text as an interval of numbers with a unit each, where it is written otherwise: `1-2` as `1 year 2 month`.
pub fn interval_in_units(text: &str) -> Option<String> {
    interval::in_units(text)
}

/// An interval as PostgreSQL writes it.
pub fn interval_text(interval: Interval) -> String {
    span::spelled(interval)
}

/// A function with what is told of it.
fn scalar<M: 'static>(name: &str, function: impl super::custom::ScalarFn<M>, doc: &str, example: &str) -> Scalar {
    Scalar::new(name, function).doc(doc).example(example)
}
