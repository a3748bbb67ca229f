//! `JOIN`: rows of two inputs side by side.

use arrow::datatypes::DataType;
use datafusion_common::{JoinType, NullEquality};
use datafusion_expr::binary::comparison_coercion;
use datafusion_expr::utils::conjunction;
use datafusion_expr::{Expr, Join};

use super::columns::{Columns, Slot, refuse};
use super::expression::Expressions;
use super::join_way::Wanted;
use super::place::place_of;
use super::types::engine_schema;
use super::{Compiler, Result};
use crate::error::Error;
use crate::pipeline::{JoinKind, JoinSpec, Node, NodeId, Spec};
use crate::sql::bridge::foreign;

impl Compiler {
    pub(super) fn join(&mut self, join: &Join) -> Result<NodeId> {
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
        let way = self.join_way(&Wanted {
            kind,
            inputs: [left, right],
            columns: &columns,
            on: &join.on,
            filter: join.filter.as_ref(),
            null_aware: join.null_aware,
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
            strategy: way.strategy.clone(),
        };
        let bounded = self.nodes[left].bounded && self.nodes[right].bounded;
        let (spec, inputs, schema) = (Spec::Join(spec), vec![left, right], engine_schema(&join.schema));
        let node = self.add(Node { spec, inputs, schema, changes: way.changes, time: None, bounded, place });
        self.set_join_time(node, [left, right], kind, &way.strategy);
        Ok(node)
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
fn side_by_side([left, right]: &[Columns; 2]) -> Result<Columns> {
    let schema = left.schema.join(&right.schema).map_err(foreign)?;
    let offset = left.slots.len();
    let moved = right.slots.iter().map(|slot| match slot {
        Slot::Input { index, data_type } => Slot::Input { index: index + offset, data_type: data_type.clone() },
        window => window.clone(),
    });
    Ok(Columns { schema, slots: left.slots.iter().cloned().chain(moved).collect() })
}
