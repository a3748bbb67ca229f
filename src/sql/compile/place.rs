//! Where in the SQL text an expression stands, or a construct.

use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, Span};
use datafusion_expr::Expr;

use crate::error::{Error, Place};
use crate::sql::parse::place_of_words;
use crate::sql::plan::LogicalQuery;

/// What errors begin with that know no place: the words that stand there in the SQL text.
const CONSTRUCTS: [[&str; 2]; 2] = [["INTERSECT", "ALL"], ["EXCEPT", "ALL"]];

/// Gives an error that names a construct the place where the construct first stands in the query.
pub(super) fn by_words(error: Error, query: &LogicalQuery) -> Error {
    let Some(words) = CONSTRUCTS.iter().find(|words| error.message().starts_with(&words.join(" "))) else {
        return error;
    };
    let place = place_of_words(&query.text, words).map(|place| {
        let column = if place.line == 1 { place.column + query.place.column - 1 } else { place.column };
        Place { line: place.line + query.place.line - 1, column, ..place }
    });
    error.at(place)
}

/// The place of the first column an expression names.
pub fn place_of(expr: &Expr) -> Option<Place> {
    let mut found = None;
    let walked = expr.apply(|node| {
        if let Expr::Column(column) = node {
            found = place_of_column(column);
        }
        Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    debug_assert!(walked.is_ok(), "looking at an expression does not fail");
    found
}

/// The place of a column's name.
pub fn place_of_column(column: &Column) -> Option<Place> {
    column.spans.first().map(place_of_span)
}

fn place_of_span(span: Span) -> Place {
    let one_line = span.start.line == span.end.line && span.end.column > span.start.column;
    let width = if one_line { span.end.column - span.start.column } else { 1 };
    Place { line: span.start.line, column: span.start.column, width }
}
