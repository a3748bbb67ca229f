//! A query's syntax tree to its logical plan, not yet optimized.

use datafusion_expr::LogicalPlan;
use sqlparser::ast::{Query, Statement};

use super::context::Context;
use super::{
    as_of, cast, group, optional, outer_aggregate, outputs, refuse, row_in, same_cast, set_keys, spread, sql_function,
    system, user_type, using,
};
use crate::error::Result;
use crate::sql::error::from_datafusion;

/// Plans a query; windows in GROUP BY become nodes of their own.
pub(super) fn plan(context: &Context<'_>, query: &Query) -> Result<LogicalPlan> {
    let mut query = query.clone();
    sql_function::expand(context, &mut query)?;
    system::rewrite(context, &mut query)?;
    as_of::rewrite(&mut query)?;
    using::rewrite(&mut query)?;
    refuse::check(&query)?;
    group::rewrite(&mut query, context.catalog.window_functions())?;
    set_keys::resolve(&mut query)?;
    outputs::name(&mut query);
    row_in::spell_out(&mut query)?;
    same_cast::tell_apart(context, &mut query);
    cast::spell_out(&mut query);
    user_type::construct(context, &mut query);
    let is_spread = spread::spreads(&query.body);
    spread::mark(&mut query)?;
    let plan = context.planner().sql_statement_to_plan(Statement::Query(Box::new(query))).map_err(from_datafusion)?;
    let plan = if is_spread { spread::called_like_fields(plan).map_err(from_datafusion)? } else { plan };
    outer_aggregate::give_out(plan).and_then(optional::spell_out).map_err(from_datafusion)
}
