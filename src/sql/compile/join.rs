//! `JOIN`: rows of two inputs side by side.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion_common::{JoinType, NullEquality};
use datafusion_expr::binary::comparison_coercion;
use datafusion_expr::utils::conjunction;
use datafusion_expr::{Expr, Join, LogicalPlan};

use super::columns::{Columns, Slot, refuse};
use super::expression::Expressions;
use super::join_way::Wanted;
use super::lookup::lookup_join;
use super::place::place_of;
use super::types::engine_schema;
use super::{Compiler, Result};
use crate::error::Error;
use crate::pipeline::{ChangeMode, JoinKind, JoinSide, JoinSpec, JoinStrategy, Node, NodeId, Spec};
use crate::sql::bridge::foreign;
use crate::sql::optimize::Statistics;
use crate::sql::plan::SetOperationNode;

/// A side of more rows is never read by every worker.
pub(super) const EVERYWHERE_ROWS_MAX: f64 = 4_000_000.0;

impl Compiler {
    pub(super) fn join(&mut self, join: &Join) -> Result<NodeId> {
        if let Some(lookup) = lookup_join(join)? {
            return self.lookup(&lookup);
        }
        let is_outermost = !std::mem::replace(&mut self.below_aggregate, true);
        let left = self.plan(&join.left)?;
        let right = self.plan(&join.right)?;
        self.below_aggregate = !is_outermost;
        let condition = join.on.first().map(|(left, _)| left).or(join.filter.as_ref());
        let place = condition.and_then(place_of);
        let columns = [self.columns(left, &join.left), self.columns(right, &join.right)];
        let mut keys = [Expressions::new(&columns[0]), Expressions::new(&columns[1])];
        for (left, right) in &join.on {
            let data_type = common_type(&keys, left, right)?;
            keys[0].output_as(left, &data_type)?;
            keys[1].output_as(right, &data_type)?;
        }
        let kind = kind(join.join_type);
        let rows = [&join.left, &join.right].map(|side| Statistics::of(side).rows);
        let way = self.join_way(&Wanted {
            kind,
            inputs: [left, right],
            columns: &columns,
            on: &join.on,
            filter: join.filter.as_ref(),
            null_aware: join.null_aware,
            rows,
            is_outermost,
            place,
        })?;
        let residual = match conjunction(way.rest) {
            None => None,
            Some(filter) => {
                let both = side_by_side(&columns)?;
                Some(Expressions::program(&both, [&filter])?)
            }
        };
        if join.null_aware && (kind != JoinKind::LeftAnti || join.on.len() != 1 || residual.is_some()) {
            return Err(Error::bug("NOT IN is a left anti join by one key").at(place));
        }
        let [left_keys, right_keys] = keys.map(Expressions::finish);
        let count = |side: usize| columns[side].slots.len();
        let spec = JoinSpec {
            kind,
            left_keys,
            right_keys,
            nulls_match: join.null_equality == NullEquality::NullEqualsNull,
            null_aware: join.null_aware,
            residual,
            outputs: JoinSpec::all_outputs(kind, count(0), count(1)),
            each_once: false,
            strategy: way.strategy.clone(),
        };
        let bounded = self.nodes[left].bounded && self.nodes[right].bounded;
        let (spec, inputs, schema) = (Spec::Join(spec), vec![left, right], engine_schema(&join.schema));
        let node = self.add(Node { spec, inputs, schema, changes: way.changes, time: None, bounded, place });
        self.set_join_time(node, [left, right], kind, &way.strategy);
        Ok(node)
    }

    /// `INTERSECT ALL` and `EXCEPT ALL`: all columns are keys, NULL equals NULL.
    pub(super) fn set_operation(&mut self, node: &SetOperationNode) -> Result<NodeId> {
        let inputs = [self.plan(&node.left)?, self.plan(&node.right)?];
        let what = if node.except { "EXCEPT ALL" } else { "INTERSECT ALL" };
        let instead = format!("write {} without ALL, which keeps each row once", what.trim_end_matches(" ALL"));
        for input in inputs {
            self.refuse_endless(input, what, &instead)?;
        }
        let columns = [self.columns(inputs[0], &node.left), self.columns(inputs[1], &node.right)];
        let mut keys = [Expressions::new(&columns[0]), Expressions::new(&columns[1])];
        for (left, right) in node.left.schema().columns().into_iter().zip(node.right.schema().columns()) {
            let (left, right) = (Expr::Column(left), Expr::Column(right));
            let data_type = common_type(&keys, &left, &right)?;
            keys[0].output_as(&left, &data_type)?;
            keys[1].output_as(&right, &data_type)?;
        }
        let [left_keys, right_keys] = keys.map(Expressions::finish);
        let kind = if node.except { JoinKind::LeftAnti } else { JoinKind::LeftSemi };
        let schema = self.nodes[inputs[0]].schema.clone();
        let spec = JoinSpec {
            kind,
            left_keys,
            right_keys,
            nulls_match: true,
            null_aware: false,
            each_once: true,
            residual: None,
            outputs: (0..schema.fields().len()).collect(),
            strategy: JoinStrategy::Hash { build: JoinSide::Right, everywhere: 1 },
        };
        let (spec, inputs, changes) = (Spec::Join(spec), inputs.to_vec(), ChangeMode::Append);
        Ok(self.add(Node { spec, inputs, schema, changes, time: None, bounded: true, place: None }))
    }

    /// The row of a scalar subquery.
    pub(super) fn single_row(&mut self, input: &LogicalPlan) -> Result<NodeId> {
        let input = self.plan(input)?;
        self.refuse_endless(input, "a subquery in the place of a value", "join the tables")?;
        let fields = self.nodes[input].schema.fields().iter();
        let fields: Vec<_> = fields.map(|field| field.as_ref().clone().with_nullable(true)).collect();
        Ok(self.add_above(input, Spec::SingleRow, Arc::new(Schema::new(fields)), None))
    }

    /// Leaves out what nobody above a join reads: `exprs` over `columns` of it. Columns that stay are moved together.
    pub(super) fn narrow_join(&mut self, input: NodeId, columns: &mut Columns, exprs: &[&Expr]) -> Result<()> {
        let node = &mut self.nodes[input];
        let Spec::Join(spec) = &mut node.spec else { return Ok(()) };
        let mut used: Vec<usize> = Vec::new();
        for column in exprs.iter().flat_map(|expr| expr.column_refs()) {
            let (index, _) = columns.input(column)?;
            if !used.contains(&index) {
                used.push(index);
            }
        }
        spec.outputs = used.iter().map(|&index| spec.outputs[index]).collect();
        node.schema = Arc::new(node.schema.project(&used)?);
        for slot in &mut columns.slots {
            if let Slot::Input { index, .. } = slot {
                // What nobody reads has no place; the number is never asked for.
                *index = used.iter().position(|used| used == index).unwrap_or(usize::MAX);
            }
        }
        self.narrow_time(input, &used);
        Ok(())
    }

    /// Refuses an input of `what` that does not end, or whose rows may be taken back.
    fn refuse_endless(&self, input: NodeId, what: &str, instead: &str) -> Result<()> {
        let node = &self.nodes[input];
        let why = match (node.bounded, node.changes) {
            (true, ChangeMode::Append) => return Ok(()),
            (false, _) => "input that does not end",
            (true, ChangeMode::Updating) => "rows that may be taken back",
        };
        Err(Error::user(format!("{what} does not take {why}; {instead}, or read tables that end")))
    }
}

fn kind(join_type: JoinType) -> JoinKind {
    match join_type {
        JoinType::Inner => JoinKind::Inner,
        JoinType::Left => JoinKind::Left,
        JoinType::Right => JoinKind::Right,
        JoinType::Full => JoinKind::Full,
        JoinType::LeftSemi => JoinKind::LeftSemi,
        JoinType::RightSemi => JoinKind::RightSemi,
        JoinType::LeftAnti => JoinKind::LeftAnti,
        JoinType::RightAnti => JoinKind::RightAnti,
        JoinType::LeftMark => JoinKind::LeftMark,
        JoinType::RightMark => JoinKind::RightMark,
    }
}

/// Which side to read first: the smaller one, by what is known of their rows.
pub(super) fn strategy(kind: JoinKind, null_aware: bool, [left, right]: [f64; 2]) -> JoinStrategy {
    // What only asks for matches keeps no more than the keys of the other side.
    let (left_weight, right_weight) = match kind {
        JoinKind::LeftSemi | JoinKind::LeftAnti | JoinKind::LeftMark => (2.0, 1.0),
        JoinKind::RightSemi | JoinKind::RightAnti | JoinKind::RightMark => (1.0, 2.0),
        _ => (1.0, 1.0),
    };
    let build = if !null_aware && left * left_weight < right * right_weight { JoinSide::Left } else { JoinSide::Right };
    let (table, other) = if build == JoinSide::Left { (left, right) } else { (right, left) };
    JoinStrategy::Hash { build, everywhere: if table <= EVERYWHERE_ROWS_MAX { workers_max(table, other) } else { 1 } }
}

/// With up to how many workers each should read the whole table, so that the other side need not be exchanged: exchanging a
/// row is taken to cost three times what putting it into a table does, and is shared among them. A guess: TPC-H did well with it.
fn workers_max(table: f64, other: f64) -> usize {
    (1.5 * other / table.max(1.0) + 2.0) as usize
}

/// The type in which the keys of both sides are compared.
pub(super) fn common_type(keys: &[Expressions<'_>; 2], left: &Expr, right: &Expr) -> Result<DataType> {
    let (left_type, right_type) = (keys[0].type_of(left)?, keys[1].type_of(right)?);
    if left_type == right_type {
        return Ok(left_type);
    }
    let common = comparison_coercion(&left_type, &right_type);
    common.map(|data_type| super::types::engine_type(&data_type)).ok_or_else(|| {
        refuse(left, &format!("{left_type} cannot be compared with {right_type}; cast one side of the join condition"))
    })
}

/// The columns of left ++ right.
pub(super) fn side_by_side([left, right]: &[Columns; 2]) -> Result<Columns> {
    let schema = left.schema.join(&right.schema).map_err(foreign)?;
    let offset = left.slots.len();
    let moved = right.slots.iter().map(|slot| match slot {
        Slot::Input { index, data_type } => Slot::Input { index: index + offset, data_type: data_type.clone() },
        window => window.clone(),
    });
    Ok(Columns { schema, slots: left.slots.iter().cloned().chain(moved).collect(), time: None })
}
