//! Functions that other engines' SQL has by these names: plain Rust functions, registered like users' own.
//!
//! Place       beside the function library of the planner, before it where both have a name.

mod bytes; //       bytes bit by bit
mod date_format; // times as text, by patterns of letters
mod numbers; //     functions of angles, and whether a float is infinite
mod parse; //       texts as times by patterns of %, and as UUIDs
mod patterns; //    pieces of texts by regular expressions, as lists
mod parts; //       year(t), hour(t) and their kin
mod span; //        stretches of time in whole units
mod text; //        pieces of texts

use super::custom::{Function, Scalar};

/// All of them, each signature apart.
pub fn functions() -> Vec<Function> {
    date_format::functions()
        .into_iter()
        .chain(parts::functions())
        .chain(span::functions())
        .chain(text::functions())
        .chain(bytes::functions())
        .chain(numbers::functions())
        .chain(parse::functions())
        .map(Function::from)
        .chain(patterns::functions().into_iter().map(Function::from))
        .collect()
}

/// A function with what is told of it.
fn scalar<M: 'static>(name: &str, function: impl super::custom::ScalarFn<M>, doc: &str, example: &str) -> Scalar {
    Scalar::new(name, function).doc(doc).example(example)
}
