//! `(x).*`: a struct spread over columns that are called like its fields.
//!
//! The planner's library names them by their path, `t.x.a`. Where a query in FROM or in WITH spreads a struct, names around it
//! are resolved while it is planned; so it stands inside of an UNPIVOT without columns, and is planned there.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;

use arrow::datatypes::DataType;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, Result as PlanResult};
use datafusion_expr::planner::RelationPlannerContext;
use datafusion_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use sqlparser::ast::{self, ExprWithAlias, Ident, Query, SelectItem, SetExpr, TableFactor, VisitMut, VisitorMut};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

use crate::error::{Error, Result};
use crate::sql::error::from_datafusion;
use crate::sql::parse::ALL_FIELDS;

/// The name and the value of an UNPIVOT that holds such a query.
const MARKER: &str = "__spread";

/// Puts the queries of FROM and WITH that spread structs into markers.
pub(super) fn mark(query: &mut Query) -> Result<()> {
    match query.visit(&mut Marker) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Marker;

impl VisitorMut for Marker {
    type Break = Error;

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        if let TableFactor::Derived { lateral: false, subquery, alias, sample: None } = factor
            && spreads(&subquery.body)
        {
            let alias = alias.take();
            let table = Box::new(factor.clone());
            let value = ast::Expr::Identifier(Ident::new(MARKER));
            let (name, columns) = (Ident::new(MARKER), Vec::new());
            *factor = TableFactor::Unpivot { table, value, name, columns, null_inclusion: None, alias };
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        for table in query.with.iter_mut().filter(|with| !with.recursive).flat_map(|with| &mut with.cte_tables) {
            if spreads(&table.query.body) {
                match around(&table.query) {
                    Ok(marked) => table.query = marked,
                    Err(error) => return ControlFlow::Break(error),
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// `SELECT * FROM (query)`, the query in a marker.
fn around(query: &Query) -> Result<Box<Query>> {
    let text = format!("SELECT * FROM (SELECT 1) AS {MARKER}");
    let parsed = Parser::new(&GenericDialect {}).try_with_sql(&text).and_then(|mut parser| parser.parse_query());
    let mut around = parsed.map_err(|_| Error::bug(format!("a query was written: {text}")))?;
    if let SetExpr::Select(select) = around.body.as_mut()
        && let TableFactor::Derived { subquery, .. } = &mut select.from[0].relation
    {
        **subquery = query.clone();
    }
    mark(&mut around)?;
    Ok(around)
}

/// Whether the columns of a query are those of a struct.
pub(super) fn spreads(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => select
            .projection
            .iter()
            .any(|item| matches!(item, SelectItem::ExprWithAlias { alias, .. } if alias.value.starts_with(ALL_FIELDS))),
        SetExpr::Query(query) => spreads(&query.body),
        SetExpr::SetOperation { left, .. } => spreads(left),
        _ => false,
    }
}

/// Whether an UNPIVOT is such a marker.
pub(super) fn is_marker(name: &Ident, columns: &[ExprWithAlias]) -> bool {
    name.value == MARKER && columns.is_empty()
}

/// Plans the query inside of a marker.
pub(super) fn plan(table: TableFactor, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
    context.plan(table).and_then(called_like_fields).map_err(from_datafusion)
}

/// The plan with its columns that are fields called like them, where no other column is called so.
pub(super) fn called_like_fields(plan: LogicalPlan) -> PlanResult<LogicalPlan> {
    let fields = fields_in(&plan)?;
    let columns = plan.schema().columns();
    let field = |name: &str| fields.get(name);
    let mut taken: HashSet<&str> =
        columns.iter().map(|column| column.name.as_str()).filter(|name| field(name).is_none()).collect();
    let mut exprs = Vec::with_capacity(columns.len());
    for column in &columns {
        exprs.push(match field(&column.name) {
            Some(name) if taken.insert(name) => Expr::Column(column.clone()).alias(name),
            _ => Expr::Column(column.clone()),
        });
    }
    LogicalPlanBuilder::from(plan).project(exprs)?.build()
}

/// The names of columns that a struct has been spread over, and their fields.
fn fields_in(plan: &LogicalPlan) -> PlanResult<BTreeMap<String, String>> {
    let (mut spread, mut fields) = (BTreeMap::new(), BTreeMap::new());
    let mut look_at = |node: &LogicalPlan| match node {
        LogicalPlan::Unnest(unnest) => {
            for at in &unnest.struct_type_columns {
                let column = unnest.input.schema().field(*at);
                if let DataType::Struct(of) = column.data_type() {
                    spread.extend(
                        of.iter().map(|field| (format!("{}.{}", column.name(), field.name()), field.name().clone())),
                    );
                }
            }
        }
        LogicalPlan::Projection(projection) => {
            for expr in &projection.expr {
                let Expr::Alias(alias) = expr else { continue };
                if let Some(field) = column_of(&alias.expr).and_then(|column| spread.get(&column.name)) {
                    fields.insert(alias.name.clone(), field.clone());
                }
            }
        }
        _ => {}
    };
    plan.apply(|node| {
        node.inputs().into_iter().for_each(&mut look_at);
        look_at(node);
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(fields)
}

/// The column that an expression is by whatever names.
fn column_of(expr: &Expr) -> Option<&Column> {
    match expr {
        Expr::Alias(alias) => column_of(&alias.expr),
        Expr::Column(column) => Some(column),
        _ => None,
    }
}
