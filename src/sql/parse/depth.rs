//! How deep a statement may be: what comes after walks trees by recursion, down to dropping them.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Select, Statement, Visit, Visitor};

use super::tokens::place;
use crate::error::{Error, Result};

/// Terms of a chain such as `a OR b OR ...`, each one level deeper.
const EXPRESSION_DEPTH_MAX: usize = 1_000;
/// Query blocks, `UNION`s and subqueries taken together.
const SELECT_COUNT_MAX: usize = 500;

/// Refuses a statement that is too deep to be walked safely.
pub(super) fn check(statement: &Statement) -> Result<()> {
    match statement.visit(&mut Depth::default()) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

#[derive(Default)]
struct Depth {
    expressions: usize,
    selects: usize,
}

impl Visitor for Depth {
    type Break = Error;

    fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<Error> {
        self.expressions += 1;
        if self.expressions > EXPRESSION_DEPTH_MAX {
            let message = format!(
                "an expression is nested deeper than {EXPRESSION_DEPTH_MAX} levels; use IN (...) or a join with a table"
            );
            return ControlFlow::Break(Error::user(message));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<Error> {
        self.expressions -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Error> {
        self.selects += 1;
        if self.selects > SELECT_COUNT_MAX {
            let message = format!("a statement has more than {SELECT_COUNT_MAX} SELECTs");
            return ControlFlow::Break(Error::user(message).at(place(select.select_token.0.span)));
        }
        ControlFlow::Continue(())
    }
}
