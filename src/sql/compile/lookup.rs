//! Joins with tables that are asked by key.

use std::sync::Arc;

use datafusion_common::{DFSchema, JoinType};
use datafusion_expr::utils::split_conjunction;
use datafusion_expr::{Expr, Join, LogicalPlan};

use super::columns::{Columns, Slot, refuse};
use super::expression::Expressions;
use super::place::place_of;
use super::types::engine_schema;
use super::{Compiler, Result};
use crate::error::Error;
use crate::expression::Program;
use crate::pipeline::{ChangeMode, JoinKind, Lookup, LookupSpec, Node, NodeId, Spec};
use crate::sql::bridge::foreign;
use crate::sql::catalog::CatalogTable;
use crate::sql::plan::AsOfNode;

/// A join of which one side is asked by key.
pub(super) struct LookupJoin<'a> {
    /// The other side.
    pub(super) left: &'a LogicalPlan,
    /// The side that is asked.
    pub(super) right: &'a LogicalPlan,
    /// Pairs of expressions over left and right that are equal.
    pub(super) on: Vec<(&'a Expr, &'a Expr)>,
    pub(super) filter: Vec<&'a Expr>,
    pub(super) outer: bool,
    /// The join's columns: left ++ right, or right ++ left.
    pub(super) schema: &'a DFSchema,
    pub(super) right_first: bool,
}

/// What a plan makes of a lookup table.
struct Side<'a> {
    name: String,
    lookup: Arc<Lookup>,
    /// For each column of the plan, the table's.
    columns: Vec<usize>,
    /// Conditions on its rows, with the columns that they see.
    conditions: Vec<(&'a Expr, &'a DFSchema, Vec<usize>)>,
}

/// The lookup join that a join is, if one of its sides is asked by key.
pub(super) fn lookup_join(join: &Join) -> Result<Option<LookupJoin<'_>>> {
    let asked = [&join.left, &join.right].map(|side| side_of(side).is_some());
    let right_first = match asked {
        [_, true] => false,
        [true, false] => true,
        [false, false] => return Ok(None),
    };
    let outer = match (join.join_type, right_first) {
        (JoinType::Inner, _) => false,
        (JoinType::Left, false) | (JoinType::Right, true) => true,
        _ => {
            let message = "a table that is asked by key can be joined by JOIN and LEFT JOIN alone: what it has besides the \
                           keys asked for, nobody knows";
            return Err(Error::user(message).at(join.on.first().and_then(|(left, _)| place_of(left))));
        }
    };
    let on = join.on.iter().map(|(a, b)| if right_first { (b, a) } else { (a, b) }).collect();
    let (left, right) = if right_first { (&join.right, &join.left) } else { (&join.left, &join.right) };
    Ok(Some(LookupJoin {
        left,
        right,
        on,
        filter: join.filter.iter().collect(),
        outer,
        schema: &join.schema,
        right_first,
    }))
}

/// The lookup join that a join as of now is, if its right side is asked by key.
pub(super) fn lookup_as_of(as_of: &AsOfNode) -> Option<LookupJoin<'_>> {
    side_of(&as_of.right)?;
    let on = as_of.on.iter().map(|(left, right)| (left, right)).collect();
    let (left, right, schema) = (&as_of.left, &as_of.right, &as_of.schema);
    Some(LookupJoin {
        left,
        right,
        on,
        filter: as_of.filter.iter().collect(),
        outer: as_of.outer,
        schema,
        right_first: false,
    })
}

/// Whether a plan is a lookup table, its columns and conditions on them.
fn side_of(plan: &LogicalPlan) -> Option<Side<'_>> {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let table = scan.source.downcast_ref::<CatalogTable>()?;
            let lookup = table.table.lookup()?.clone();
            let all = (0..lookup.schema.fields().len()).collect();
            let columns = scan.projection.clone().unwrap_or(all);
            let conditions =
                scan.filters.iter().map(|filter| (filter, scan.projected_schema.as_ref(), columns.clone()));
            let conditions = conditions.collect();
            Some(Side { name: table.name.clone(), lookup, columns, conditions })
        }
        LogicalPlan::SubqueryAlias(alias) => side_of(&alias.input),
        LogicalPlan::Filter(filter) => {
            let mut side = side_of(&filter.input)?;
            let seen = (filter.input.schema().as_ref(), side.columns.clone());
            let conditions = split_conjunction(&filter.predicate).into_iter();
            side.conditions.extend(conditions.map(|condition| (condition, seen.0, seen.1.clone())));
            Some(side)
        }
        LogicalPlan::Projection(projection) => {
            let mut side = side_of(&projection.input)?;
            let place = |expr: &Expr| match expr.clone().unalias() {
                Expr::Column(column) => projection.input.schema().maybe_index_of_column(&column),
                _ => None,
            };
            let places = projection.expr.iter().map(place).collect::<Option<Vec<_>>>()?;
            side.columns = places.into_iter().map(|place| side.columns[place]).collect();
            Some(side)
        }
        _ => None,
    }
}

impl Compiler {
    /// A join with a table that is asked by key.
    pub(super) fn lookup(&mut self, join: &LookupJoin<'_>) -> Result<NodeId> {
        let Some(side) = side_of(join.right) else { return Err(Error::bug("one side is asked by key")) };
        let left = self.plan(join.left)?;
        let place = join.on.first().and_then(|(left, _)| place_of(left));
        if self.nodes[left].changes == ChangeMode::Updating {
            let message = "a table that is asked by key needs rows that stay: what it says of a row that is taken back may \
                           have changed";
            return Err(Error::user(message).at(place));
        }
        let columns = self.columns(left, join.left);
        let width = columns.slots.len();
        let behind = |schema: &DFSchema, of_table: &[usize]| Columns {
            schema: schema.clone(),
            slots: of_table.iter().map(|&column| slot(&side.lookup, width, column)).collect(),
            time: None,
        };
        let right = behind(join.right.schema(), &side.columns);
        let both = Columns {
            schema: columns.schema.join(&right.schema).map_err(foreign)?,
            slots: columns.slots.iter().chain(&right.slots).cloned().collect(),
            time: None,
        };
        let mut conditions = Vec::new();
        let keys = self.lookup_keys(join, &side, &columns, &right, |a, b| {
            conditions.push(Expressions::program(&both, [&a.clone().eq(b.clone())])?);
            Ok(())
        });
        let keys = keys.map_err(|e| e.at(place))?;
        for (condition, schema, of_table) in &side.conditions {
            conditions.push(Expressions::program(&behind(schema, of_table), [*condition])?);
        }
        for condition in join.filter.iter().flat_map(|filter| split_conjunction(filter)) {
            conditions.push(Expressions::program(&both, [condition])?);
        }
        let of_left: Vec<usize> = (0..width).collect();
        let of_right: Vec<usize> = side.columns.iter().map(|column| width + column).collect();
        let outputs = if join.right_first { [of_right, of_left] } else { [of_left, of_right] }.concat();
        let sources: Vec<Option<usize>> = outputs.iter().map(|&output| (output < width).then_some(output)).collect();
        let time = self.time_after(left, &sources);
        let kind = if join.outer { JoinKind::Left } else { JoinKind::Inner };
        let spec = LookupSpec { name: side.name, lookup: side.lookup, kind, keys, conditions, outputs };
        let Node { changes, bounded, .. } = self.nodes[left];
        let (spec, inputs, schema) = (Spec::Lookup(spec), vec![left], engine_schema(join.schema));
        let node = self.add(Node { spec, inputs, schema, changes, time, bounded, place });
        self.closed_after(left, node, &sources);
        Ok(node)
    }

    /// A program for the values of the table's keys; other equalities go to `other`.
    fn lookup_keys(
        &self,
        join: &LookupJoin<'_>,
        side: &Side<'_>,
        left: &Columns,
        right: &Columns,
        mut other: impl FnMut(&Expr, &Expr) -> Result<()>,
    ) -> Result<Arc<Program>> {
        let mut given: Vec<Option<&Expr>> = vec![None; side.lookup.keys.len()];
        for (a, b) in &join.on {
            let column = right.plain(uncast(b)).map(|at| at - left.slots.len());
            let key = column.and_then(|column| side.lookup.keys.iter().position(|&key| key == column));
            match key {
                Some(key) if given[key].is_none() => given[key] = Some(a),
                _ => other(a, b)?,
            }
        }
        let mut expressions = Expressions::new(left);
        for (expr, &key) in given.iter().zip(&side.lookup.keys) {
            let field = side.lookup.schema.field(key);
            let Some(expr) = expr else {
                return Err(Error::user(format!(
                    "the table {} is asked by {}: the join must say what {} equals, by = and AND",
                    side.name,
                    side.lookup.key_names(),
                    field.name()
                )));
            };
            let wanted = super::types::engine_type(field.data_type());
            let found = expressions.type_of(expr)?;
            if found != wanted {
                let why =
                    format!("the key {} of {} is {wanted}, and this is {found}; cast it", field.name(), side.name);
                return Err(refuse(expr, &why));
            }
            expressions.output_as(expr, &wanted)?;
        }
        Ok(expressions.finish())
    }
}

/// What is cast, where the planner has made the types of both sides of an equality agree.
fn uncast(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast(cast) if matches!(cast.expr.as_ref(), Expr::Column(_)) => &cast.expr,
        other => other,
    }
}

fn slot(lookup: &Lookup, width: usize, column: usize) -> Slot {
    let data_type = super::types::engine_type(lookup.schema.field(column).data_type());
    Slot::Input { index: width + column, data_type }
}
