//! `PIVOT` and `UNPIVOT`: values of a column as columns, and columns as rows.
//!
//! ```text
//! t PIVOT (sum(x) FOR k IN (1 AS a, 2 AS b))       Projection: rest, sum AS a, sum AS b
//!                                                    Aggregate: by rest, sum(x) FILTER (k = 1), sum(x) FILTER (k = 2)
//!
//! t UNPIVOT (v FOR n IN (a, b))                    Filter: v IS NOT NULL
//!                                                    Unnest: n, v           side by side
//!                                                      Projection: rest, ['a', 'b'] AS n, [a, b] AS v
//! ```

use std::collections::HashSet;

use datafusion_common::{Column, DFSchema, NullHandling, UnnestOptions};
use datafusion_expr::planner::RelationPlannerContext;
use datafusion_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use sqlparser::ast::{
    self, BinaryOperator, ExprWithAlias, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, NullInclusion,
    PivotValueSource, Spanned, TableFactor,
};

use super::define::normalize;
use super::functions::FUNCTIONS;
use crate::error::{Error, Result};
use crate::sql::error::from_datafusion;
use crate::sql::parse::{UNPIVOT, place};
use crate::sql::tree::binary;

/// What stands in the parentheses of a PIVOT.
pub(super) struct Pivot {
    pub(super) aggregates: Vec<ExprWithAlias>,
    pub(super) keys: Vec<ast::Expr>,
    pub(super) values: PivotValueSource,
    pub(super) default: Option<ast::Expr>,
}

/// Groups by the columns that neither an aggregate nor FOR names.
pub(super) fn plan(table: TableFactor, pivot: Pivot, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
    let PivotValueSource::List(values) = &pivot.values else {
        return Err(Error::user(
            "PIVOT takes its values written out: IN ('a', 'b'); a query tells none before it is run",
        ));
    };
    let input = context.plan(table).map_err(from_datafusion)?;
    let schema = input.schema().clone();
    let mut used: HashSet<Column> = HashSet::new();
    for key in &pivot.keys {
        let planned =
            context.sql_to_expr(key.clone(), &schema).map_err(|e| from_datafusion(e).at(place(key.span())))?;
        used.extend(planned.column_refs().into_iter().cloned());
    }
    let mut columns: Vec<(Expr, String)> = Vec::new();
    for value in values {
        let condition = condition(&pivot.keys, &value.expr)?;
        for aggregate in &pivot.aggregates {
            let call = filtered(&aggregate.expr, &condition)?;
            let planned = context.sql_to_expr(call, &schema);
            // COUNT(*) comes with its name.
            let planned = planned.map_err(|e| from_datafusion(e).at(place(aggregate.expr.span())))?.unalias();
            if !matches!(planned, Expr::AggregateFunction(_)) {
                let message = format!("PIVOT takes aggregates, found: {}", aggregate.expr);
                return Err(Error::user(message).at(place(aggregate.expr.span())));
            }
            used.extend(planned.column_refs().into_iter().cloned());
            let name = column_name(value, aggregate, pivot.aggregates.len());
            columns.push((planned, unlike(name, &columns)));
        }
    }
    let default = pivot.default.map(|default| context.sql_to_expr(default, &DFSchema::empty()));
    let default = default.transpose().map_err(from_datafusion)?;
    let rest: Vec<Expr> =
        schema.columns().into_iter().filter(|column| !used.contains(column)).map(Expr::Column).collect();
    build(input, rest, columns, default).map_err(from_datafusion)
}

fn build(
    input: LogicalPlan,
    rest: Vec<Expr>,
    columns: Vec<(Expr, String)>,
    default: Option<Expr>,
) -> datafusion_common::Result<LogicalPlan> {
    let mut aggregates: Vec<Expr> = Vec::new();
    let mut outputs = rest.clone();
    for (aggregate, name) in columns {
        let found = Expr::Column(Column::new_unqualified(aggregate.schema_name().to_string()));
        outputs.push(match &default {
            Some(default) => FUNCTIONS.scalars["coalesce"].call(vec![found, default.clone()]).alias(name),
            None => found.alias(name),
        });
        if !aggregates.contains(&aggregate) {
            aggregates.push(aggregate);
        }
    }
    LogicalPlanBuilder::from(input).aggregate(rest, aggregates)?.project(outputs)?.build()
}

/// `a = 1 AND b = 2` for the keys and a value of each.
fn condition(keys: &[ast::Expr], value: &ast::Expr) -> Result<ast::Expr> {
    let values = parts(value);
    if values.len() != keys.len() {
        let message = format!("a value of PIVOT has as many parts as FOR has columns, {}: {value}", keys.len());
        return Err(Error::user(message).at(place(value.span())));
    }
    let equal = keys.iter().zip(values).map(|(key, value)| binary(key.clone(), BinaryOperator::Eq, value));
    equal
        .reduce(|both, next| binary(both, BinaryOperator::And, next))
        .ok_or_else(|| Error::user("PIVOT needs a column behind FOR"))
}

/// The parts of `(a, b)`, or the one of `a` and `(a)`.
fn parts(expr: &ast::Expr) -> Vec<ast::Expr> {
    match expr {
        ast::Expr::Tuple(parts) => parts.clone(),
        ast::Expr::Nested(inner) => vec![inner.as_ref().clone()],
        other => vec![other.clone()],
    }
}

/// An aggregate over the rows of a condition alone.
fn filtered(aggregate: &ast::Expr, condition: &ast::Expr) -> Result<ast::Expr> {
    let ast::Expr::Function(call) = aggregate else {
        return Err(Error::user(format!("PIVOT takes aggregates, found: {aggregate}")).at(place(aggregate.span())));
    };
    let mut call = call.clone();
    let filter = match call.filter.take() {
        Some(filter) => binary(ast::Expr::Nested(filter), BinaryOperator::And, condition.clone()),
        None => condition.clone(),
    };
    call.filter = Some(Box::new(filter));
    Ok(ast::Expr::Function(call))
}

/// The value's own name, with that of the aggregate behind it where it has one or is one of several.
fn column_name(value: &ExprWithAlias, aggregate: &ExprWithAlias, count: usize) -> String {
    let texts = || parts(&value.expr).iter().map(shown).collect::<Vec<_>>().join("_");
    let name = value.alias.as_ref().map_or_else(texts, normalize);
    match &aggregate.alias {
        Some(alias) => format!("{name}_{}", normalize(alias)),
        None if count > 1 => format!("{name}_{}", aggregate.expr.to_string().to_lowercase()),
        None => name,
    }
}

fn shown(value: &ast::Expr) -> String {
    match value {
        ast::Expr::Value(value) => value.value.clone().into_string().unwrap_or_else(|| value.value.to_string()),
        ast::Expr::Identifier(ident) => normalize(ident),
        other => other.to_string(),
    }
}

/// A name that no column has yet.
fn unlike(name: String, columns: &[(Expr, String)]) -> String {
    let is_taken = |name: &str| columns.iter().any(|(_, other)| other == name);
    let mut names = std::iter::once(name.clone()).chain((1..).map(|number| format!("{name}_{number}")));
    names.find(|name| !is_taken(name)).unwrap_or(name)
}

/// Gives a row for each entry of IN, unless all its values are NULL and NULLs are not wanted.
pub(super) fn plan_unpivot(
    table: TableFactor,
    value: &ast::Expr,
    columns: &[ExprWithAlias],
    nulls: Option<&NullInclusion>,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let input = context.plan(table).map_err(from_datafusion)?;
    let schema = input.schema().clone();
    let head = call_parts(value)?;
    let [values, names] = head.as_slice() else { return Err(Error::bug("an UNPIVOT holds values and names")) };
    let (value_names, name_names) = (names_of(values)?, names_of(names)?);
    let mut used: HashSet<Column> = HashSet::new();
    let mut lists: Vec<Vec<Expr>> = vec![Vec::new(); name_names.len() + value_names.len()];
    for column in columns {
        let entry = call_parts(&column.expr)?;
        let sources = parts(entry.first().ok_or_else(|| Error::bug("an entry of UNPIVOT holds columns"))?);
        let at = || place(column.expr.span());
        if sources.len() != value_names.len() {
            let message = format!("an entry of UNPIVOT has as many columns as it has values: {}", value_names.len());
            return Err(Error::user(message).at(at()));
        }
        let mut own = Vec::new();
        for (index, source) in sources.iter().enumerate() {
            let planned = context.sql_to_expr(source.clone(), &schema).map_err(|e| from_datafusion(e).at(at()))?;
            let Expr::Column(name) = &planned else {
                return Err(Error::user(format!("UNPIVOT takes columns, found: {source}")).at(at()));
            };
            own.push(name.name.clone());
            used.insert(name.clone());
            lists[name_names.len() + index].push(planned);
        }
        match entry.get(1) {
            None => (0..name_names.len()).for_each(|index| lists[index].push(lit(own.join("_")))),
            Some(given) => {
                let given = parts(given);
                if given.len() != name_names.len() {
                    let message =
                        format!("an entry of UNPIVOT has as many names as stand behind FOR: {}", name_names.len());
                    return Err(Error::user(message).at(at()));
                }
                for (index, name) in given.into_iter().enumerate() {
                    let planned = match &name {
                        ast::Expr::Identifier(ident) => lit(normalize(ident)),
                        _ => context.sql_to_expr(name, &DFSchema::empty()).map_err(|e| from_datafusion(e).at(at()))?,
                    };
                    lists[index].push(planned);
                }
            }
        }
    }
    let rest: Vec<Expr> =
        schema.columns().into_iter().filter(|column| !used.contains(column)).map(Expr::Column).collect();
    let names: Vec<String> = name_names.iter().chain(&value_names).cloned().collect();
    let keeps_nulls = nulls == Some(&NullInclusion::IncludeNulls);
    build_unpivot(input, rest, lists, &names, if keeps_nulls { &[] } else { &value_names }).map_err(from_datafusion)
}

fn build_unpivot(
    input: LogicalPlan,
    rest: Vec<Expr>,
    lists: Vec<Vec<Expr>>,
    names: &[String],
    not_all_null: &[String],
) -> datafusion_common::Result<LogicalPlan> {
    let placeholder = |at: usize| Column::new_unqualified(format!("__unpivot_{at}"));
    let make_array = &FUNCTIONS.scalars["make_array"];
    let columns = lists.into_iter().enumerate();
    let columns = columns.map(|(at, list)| make_array.call(list).alias(placeholder(at).name));
    let taken = (0..names.len()).map(placeholder).collect();
    let options = UnnestOptions::new().with_null_handling(NullHandling::Drop);
    let unnested = LogicalPlanBuilder::from(input)
        .project(rest.iter().cloned().chain(columns))?
        .unnest_columns_with_options(taken, options)?;
    let outputs = names.iter().enumerate().map(|(at, name)| Expr::Column(placeholder(at)).alias(name));
    let made = unnested.project(rest.into_iter().chain(outputs))?;
    let there = not_all_null.iter().map(|name| Expr::Column(Column::new_unqualified(name)).is_not_null());
    match there.reduce(Expr::or) {
        Some(condition) => made.filter(condition)?.build(),
        None => made.build(),
    }
}

/// What a call of the marker holds.
fn call_parts(expr: &ast::Expr) -> Result<Vec<ast::Expr>> {
    let usage = || Error::user("expected UNPIVOT (value FOR name IN (column, ...))").at(place(expr.span()));
    let ast::Expr::Function(call) = expr else { return Err(usage()) };
    let (true, FunctionArguments::List(list)) = (call.name.to_string() == UNPIVOT, &call.args) else {
        return Err(usage());
    };
    let part = |arg: &FunctionArg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr.clone()),
        _ => Err(usage()),
    };
    list.args.iter().map(part).collect()
}

fn names_of(expr: &ast::Expr) -> Result<Vec<String>> {
    let name = |part: ast::Expr| match part {
        ast::Expr::Identifier(Ident { .. }) => Ok(shown(&part)),
        other => Err(Error::user(format!("expected the name of a column, found: {other}")).at(place(other.span()))),
    };
    parts(expr).into_iter().map(name).collect()
}
