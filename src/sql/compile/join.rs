//! `JOIN`: rows of two inputs side by side.

use arrow::datatypes::DataType;
use datafusion_common::{JoinType, NullEquality};
use datafusion_expr::binary::comparison_coercion;
use datafusion_expr::{Expr, Join};

use super::columns::{Columns, Slot, refuse};
use super::expression::Expressions;
use super::place::place_of;
use super::types::engine_schema;
use super::{Compiler, Result};
use crate::error::{Error, Place};
use crate::pipeline::{ChangeMode, JoinKind, JoinSide, JoinSpec, JoinStrategy, Node, NodeId, Spec};
use crate::sql::bridge::foreign;

impl Compiler {
    pub(super) fn join(&mut self, join: &Join) -> Result<NodeId> {
        let left = self.plan(&join.left)?;
        let right = self.plan(&join.right)?;
        let condition = join.on.first().map(|(left, _)| left).or(join.filter.as_ref());
        let place = condition.and_then(place_of);
        for input in [left, right] {
            self.refuse_endless(input, place)?;
        }
        let columns = [self.columns(left, &join.left), self.columns(right, &join.right)];
        let mut keys = [Expressions::new(&columns[0]), Expressions::new(&columns[1])];
        for (left, right) in &join.on {
            let data_type = common_type(&keys, left, right)?;
            keys[0].output_as(left, &data_type)?;
            keys[1].output_as(right, &data_type)?;
        }
        let residual = match &join.filter {
            None => None,
            Some(filter) => {
                let both = side_by_side(&columns)?;
                Some(Expressions::program(&both, [filter])?)
            }
        };
        let kind = kind(join.join_type);
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
            strategy: JoinStrategy::Hash { build: build_side(kind) },
        };
        let (spec, inputs, schema) = (Spec::Join(spec), vec![left, right], engine_schema(&join.schema));
        Ok(self.add(Node { spec, inputs, schema, changes: ChangeMode::Append, time: None, bounded: true, place }))
    }

    /// Refuses an input that does not end, or whose rows may be taken back.
    fn refuse_endless(&self, input: NodeId, place: Option<Place>) -> Result<()> {
        let node = &self.nodes[input];
        let why = match (node.bounded, node.changes) {
            (true, ChangeMode::Append) => return Ok(()),
            (false, _) => "a join of an input that does not end is not supported yet; join tables that end",
            (true, ChangeMode::Updating) => {
                "a join of rows that may be taken back is not supported yet; leave EMIT CHANGES out of its inputs"
            }
        };
        Err(Error::user(why).at(place))
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

/// The side to read first.
fn build_side(kind: JoinKind) -> JoinSide {
    match kind {
        JoinKind::RightSemi | JoinKind::RightAnti | JoinKind::RightMark => JoinSide::Left,
        _ => JoinSide::Right,
    }
}

/// The type in which the keys of both sides are compared.
fn common_type(keys: &[Expressions<'_>; 2], left: &Expr, right: &Expr) -> Result<DataType> {
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
