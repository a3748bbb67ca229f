//! `(a, b) IN (query of two columns)`: rows compared value by value.
//!
//! It is true where a row of the query has equal values, unknown where a NULL decides whether one has:
//!
//! ```text
//! (a, b) IN (q)         a condition           EXISTS (q AS r WHERE r.1 = a AND r.2 = b)
//! (a, b) NOT IN (q)     a condition           NOT EXISTS (q AS r WHERE (r.1 = a AND r.2 = b) IS NOT FALSE)
//! (a, b) [NOT] IN (q)   elsewhere             CASE WHEN EXISTS (equal) THEN true WHEN EXISTS (unknown) THEN NULL ELSE false END
//! ```
//! Conditions are those that AND connects in WHERE and HAVING: there unknown is as good as false.

use std::ops::ControlFlow;

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    BinaryOperator, CaseWhen, Expr, Ident, Query, Select, SetExpr, TableAlias, TableAliasColumnDef, TableFactor, Value,
    VisitMut, VisitorMut,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

use crate::error::{Error, Result};
use crate::sql::tree::binary;

/// What the query's rows and columns are called.
const NAME: &str = "__in";

/// Spells out what compares rows with those of a query.
pub(super) fn spell_out(query: &mut Query) -> Result<()> {
    match query.visit(&mut Speller) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Speller;

impl VisitorMut for Speller {
    type Break = Error;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        let mut conditions = [&mut select.selection, &mut select.having].into_iter().flatten();
        match conditions.try_for_each(condition) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        let Some(compared) = Compared::of(expr) else { return ControlFlow::Continue(()) };
        match compared.value() {
            Ok(value) => {
                *expr = value;
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn condition(expr: &mut Expr) -> Result<()> {
    match expr {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            condition(left)?;
            condition(right)
        }
        Expr::Nested(inner) => condition(inner),
        other => {
            let Some(compared) = Compared::of(other) else { return Ok(()) };
            *other = match compared.negated {
                false => compared.exists(compared.equal(), false)?,
                true => compared.exists(Expr::IsNotFalse(Box::new(Expr::Nested(Box::new(compared.equal())))), true)?,
            };
            Ok(())
        }
    }
}

/// A row beside IN.
struct Compared {
    values: Vec<Expr>,
    query: Query,
    negated: bool,
}

impl Compared {
    fn of(expr: &Expr) -> Option<Compared> {
        let Expr::InSubquery { expr, subquery, negated } = expr else { return None };
        let Expr::Tuple(values) = expr.as_ref() else { return None };
        Some(Compared { values: values.clone(), query: subquery.as_ref().clone(), negated: *negated })
    }

    fn column(number: usize) -> String {
        format!("{NAME}_{number}")
    }

    fn equal(&self) -> Expr {
        let pairs = self.values.iter().enumerate().map(|(number, value)| {
            let column = Expr::CompoundIdentifier(vec![Ident::new(NAME), Ident::new(Self::column(number))]);
            binary(column, BinaryOperator::Eq, Expr::Nested(Box::new(value.clone())))
        });
        pairs.reduce(|all, pair| binary(all, BinaryOperator::And, pair)).expect("a row has values")
    }

    /// `[NOT] EXISTS (SELECT 1 FROM (query) AS __in (__in_0, ..) WHERE condition)`.
    fn exists(&self, condition: Expr, negated: bool) -> Result<Expr> {
        let text = format!("(SELECT 1 FROM (SELECT 1) AS {NAME} WHERE TRUE)");
        let parsed = Parser::new(&GenericDialect {}).try_with_sql(&text).and_then(|mut parser| parser.parse_expr());
        let Ok(Expr::Subquery(mut subquery)) = parsed else {
            return Err(Error::bug(format!("a query was written: {text}")));
        };
        let SetExpr::Select(select) = subquery.body.as_mut() else { return Err(Error::bug("a block was written")) };
        if let TableFactor::Derived { subquery, alias: Some(TableAlias { columns, .. }), .. } =
            &mut select.from[0].relation
        {
            **subquery = self.query.clone();
            let names = (0..self.values.len()).map(Self::column);
            *columns = names.map(TableAliasColumnDef::from_name).collect();
        }
        select.selection = Some(condition);
        Ok(Expr::Exists { subquery, negated })
    }

    /// True, false or NULL.
    fn value(&self) -> Result<Expr> {
        let answer = |value: Value| Expr::Value(value.into());
        let found = self.exists(self.equal(), false)?;
        let unknown = self.exists(Expr::IsNull(Box::new(Expr::Nested(Box::new(self.equal())))), false)?;
        let conditions = vec![
            CaseWhen { condition: found, result: answer(Value::Boolean(!self.negated)) },
            CaseWhen { condition: unknown, result: answer(Value::Null) },
        ];
        Ok(Expr::Case {
            case_token: AttachedToken::empty(),
            end_token: AttachedToken::empty(),
            operand: None,
            conditions,
            else_result: Some(Box::new(answer(Value::Boolean(self.negated)))),
        })
    }
}
