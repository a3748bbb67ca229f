//! Where in the SQL text an expression stands.

use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, Span};
use datafusion_expr::Expr;

use crate::error::Place;

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
