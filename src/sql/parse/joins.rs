//! Joins in other words: `SEMI JOIN` is `LEFT SEMI JOIN`, `ANTI JOIN` is `LEFT ANTI JOIN`, `CROSS APPLY` is
//! `CROSS JOIN LATERAL`, and `OUTER APPLY` is `LEFT JOIN LATERAL ... ON true`.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Join, JoinConstraint, JoinOperator, Select, Statement, TableFactor, TableWithJoins, Value, VisitMut,
    VisitorMut,
};

/// Rewrites them.
pub(super) fn rewrite(statement: &mut Statement) {
    let _ = statement.visit(&mut Joins);
}

struct Joins;

impl VisitorMut for Joins {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        select.from.iter_mut().for_each(respell);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::NestedJoin { table_with_joins, .. } = factor {
            respell(table_with_joins);
        }
        ControlFlow::Continue(())
    }
}

fn respell(table: &mut TableWithJoins) {
    for Join { relation, join_operator, .. } in &mut table.joins {
        let respelled = match join_operator {
            JoinOperator::Semi(constraint) => JoinOperator::LeftSemi(constraint.clone()),
            JoinOperator::Anti(constraint) => JoinOperator::LeftAnti(constraint.clone()),
            JoinOperator::CrossApply => JoinOperator::CrossJoin(JoinConstraint::None),
            JoinOperator::OuterApply => JoinOperator::LeftOuter(JoinConstraint::On(Expr::value(Value::Boolean(true)))),
            _ => continue,
        };
        let is_apply = matches!(join_operator, JoinOperator::CrossApply | JoinOperator::OuterApply);
        if let (true, TableFactor::Derived { lateral, .. }) = (is_apply, relation) {
            *lateral = true;
        }
        *join_operator = respelled;
    }
}
