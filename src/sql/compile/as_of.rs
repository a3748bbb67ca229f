//! `ASOF JOIN` and `FOR SYSTEM_TIME AS OF`: for each left row the nearest right one.

use arrow::datatypes::DataType;
use datafusion_expr::Expr;
use datafusion_expr::utils::conjunction;

use super::columns::{Columns, refuse};
use super::expression::Expressions;
use super::join::{common_type, side_by_side};
use super::join_way::table;
use super::lookup::lookup_as_of;
use super::place::place_of;
use super::types::engine_schema;
use super::{Compiler, Result};
use crate::batch::Kind;
use crate::error::Error;
use crate::pipeline::{
    AsOfSpec, ChangeMode, JoinKind, JoinSide, JoinSpec, JoinStrategy, Nearest, Node, NodeId, Spec, SymmetricSpec,
};
use crate::sql::optimize::Statistics;
use crate::sql::plan::{AsOf, AsOfNode};

impl Compiler {
    pub(super) fn as_of(&mut self, as_of: &AsOfNode) -> Result<NodeId> {
        if let (AsOf::Current, Some(lookup)) = (&as_of.as_of, lookup_as_of(as_of)) {
            return self.lookup(&lookup);
        }
        let is_outermost = !std::mem::replace(&mut self.below_aggregate, true);
        let left = self.plan(&as_of.left)?;
        let mut right = self.plan(&as_of.right)?;
        match &as_of.as_of {
            // All versions count, not only the last of each key.
            AsOf::Version { .. } => right = self.all_versions(right)?,
            // What such a table holds is known when it has ended.
            AsOf::Current if self.nodes[right].bounded => right = self.folded(right, "a lookup", "")?,
            AsOf::Current | AsOf::Nearest { .. } => {}
        }
        self.below_aggregate = !is_outermost;
        let columns = [self.columns(left, &as_of.left), self.columns(right, &as_of.right)];
        let place = as_of.on.first().and_then(|(left, _)| place_of(left));
        let mut keys = [Expressions::new(&columns[0]), Expressions::new(&columns[1])];
        for (left, right) in &as_of.on {
            let data_type = common_type(&keys, left, right)?;
            keys[0].output_as(left, &data_type)?;
            keys[1].output_as(right, &data_type)?;
        }
        let [left_keys, right_keys] = keys.map(Expressions::finish);
        let comes_and_goes = self.nodes[left].changes == ChangeMode::Updating;
        if comes_and_goes && matches!(as_of.as_of, AsOf::Version { .. }) {
            let message = "a join with the version of a table at an event time needs left rows that stay, and these may be taken \
                           back; FOR SYSTEM_TIME AS OF PROCTIME() takes them";
            return Err(Error::user(message).at(place));
        }
        let recalls = comes_and_goes && as_of.as_of == AsOf::Current;
        if recalls && as_of.on.is_empty() {
            let message =
                "a join of rows that may be taken back with what a table holds needs equal keys, one of each side";
            return Err(Error::user(message).at(place));
        }
        let residual = match conjunction(as_of.filter.iter().cloned()) {
            None => None,
            Some(filter) => Some(Expressions::program(&side_by_side(&columns)?, [&filter])?),
        };
        let kind = if as_of.outer { JoinKind::Left } else { JoinKind::Inner };
        let strategy = match &as_of.as_of {
            AsOf::Current => self.current([left, right], Statistics::of(&as_of.right).rows),
            AsOf::Version { left: at, right: from } => {
                self.nearest([left, right], &columns, [at, from], Nearest::AtOrBefore, true, &[])?
            }
            AsOf::Nearest { left: a, right: b, nearest } => {
                self.nearest([left, right], &columns, [a, b], (*nearest).into(), false, &as_of.ties)?
            }
        };
        let outputs = JoinSpec::all_outputs(kind, columns[0].slots.len(), columns[1].slots.len());
        let spec = JoinSpec {
            kind,
            left_keys,
            right_keys,
            nulls_match: false,
            null_aware: false,
            each_once: false,
            residual,
            outputs,
            strategy: strategy.clone(),
        };
        // Left rows come out in the left columns, which stay where they are.
        let time = match strategy {
            JoinStrategy::AsOf(AsOfSpec { on_watermark: false, .. }) | JoinStrategy::Hash { .. } => {
                self.nodes[left].time.clone().filter(|_| !self.nodes[left].bounded)
            }
            _ => self.nodes[left].time.clone(),
        };
        let is_corrected = recalls || matches!(&spec.strategy, JoinStrategy::AsOf(AsOfSpec { changes: true, .. }));
        let (changes, time) = if is_corrected { (ChangeMode::Updating, None) } else { (ChangeMode::Append, time) };
        let bounded = self.nodes[left].bounded && self.nodes[right].bounded;
        let (spec, inputs, schema) = (Spec::Join(spec), vec![left, right], engine_schema(&as_of.schema));
        Ok(self.add(Node { spec, inputs, schema, changes, time, bounded, place }))
    }

    /// The rows of an upsert table as they come, where `node` is made of nothing else.
    fn all_versions(&mut self, node: NodeId) -> Result<NodeId> {
        let mut above = Vec::new();
        let mut at = node;
        while matches!(self.nodes[at].spec, Spec::Project(_)) {
            above.push(at);
            at = self.nodes[at].inputs[0];
        }
        if !matches!(self.nodes[at].spec, Spec::Upsert(_)) {
            return Ok(node);
        }
        let scan = self.nodes[at].inputs[0];
        // A row that is taken back ends its key's last version: the join knows, and takes none back.
        self.nodes[scan].changes = ChangeMode::Append;
        above.iter().for_each(|&node| self.nodes[node].changes = ChangeMode::Append);
        match above.last() {
            None => return Ok(scan),
            Some(&last) => self.nodes[last].inputs[0] = scan,
        }
        Ok(node)
    }

    /// What the right side holds now: all of it, when it ends; else what has come.
    fn current(&self, inputs: [NodeId; 2], right_rows: f64) -> JoinStrategy {
        let [left, right] = inputs.map(|input| &self.nodes[input]);
        if right.bounded && right.changes == ChangeMode::Append && left.changes == ChangeMode::Append {
            return table(JoinSide::Right, right_rows);
        }
        let updating = [left.changes == ChangeMode::Updating, right.changes == ChangeMode::Updating];
        let of_left = self.state_ttl_over(inputs[0]).filter(|_| updating[0]);
        let ttl = [of_left, self.state_ttl_over(inputs[1])];
        JoinStrategy::Symmetric(SymmetricSpec { updating, time: None, at_once: true, lookup: true, ttl })
    }

    fn nearest(
        &self,
        [left, right]: [NodeId; 2],
        columns: &[Columns; 2],
        [left_order, right_order]: [&Expr; 2],
        nearest: Nearest,
        versions: bool,
        ties: &[Expr],
    ) -> Result<JoinStrategy> {
        let plain = |columns: &Columns, expr: &Expr| {
            let why = "the order of a join by the nearest is a column of each side; compute it in a subquery";
            columns.plain(expr).ok_or_else(|| refuse(expr, why))
        };
        let at = [plain(&columns[0], left_order)?, plain(&columns[1], right_order)?];
        let nodes = [&self.nodes[left], &self.nodes[right]];
        let types = [0, 1].map(|side: usize| nodes[side].schema.field(at[side]).data_type().clone());
        if !comparable(&types[0], &types[1]) {
            let why = format!(
                "{} and {} are no common order for a join by the nearest; cast one of them",
                types[0], types[1]
            );
            return Err(refuse(left_order, &why));
        }
        if versions && nodes[1].changes == ChangeMode::Updating {
            let why = "a join with a table as of a time needs right rows that stay, and these may be taken back";
            return Err(refuse(right_order, why));
        }
        let is_time = |side: usize| nodes[side].time.as_ref().is_some_and(|time| time.column == at[side]);
        let by_time = is_time(0) && is_time(1) && types[0] == types[1];
        if versions && !nodes[1].bounded && !by_time {
            let why = "a join with a table as of a time, whose right side does not end, goes by the event times of both: \
                       columns of one type with a WATERMARK";
            return Err(refuse(left_order, why));
        }
        // What comes later may be nearer: then what was told is corrected.
        let looks_ahead = matches!(nearest, Nearest::AtOrAfter | Nearest::After);
        let changes = nodes.iter().any(|node| node.changes == ChangeMode::Updating)
            || (!nodes[1].bounded && (!by_time || looks_ahead));
        let on_watermark = !nodes[1].bounded && !changes;
        // Between two streams by event time, whose rows stay, it does not matter.
        let counts = !on_watermark;
        let ties = ties.iter().filter(|_| counts).map(|tie| plain(&columns[1], tie)).collect::<Result<_>>()?;
        let spec = AsOfSpec { left: at[0], right: at[1], nearest, versions, on_watermark, changes, ties };
        Ok(JoinStrategy::AsOf(spec))
    }
}

/// Whether values of both types have one order as integers.
fn comparable(a: &DataType, b: &DataType) -> bool {
    let integers = [Kind::I8, Kind::I16, Kind::I32, Kind::I64, Kind::U8, Kind::U16, Kind::U32];
    let floats = [Kind::F32, Kind::F64];
    let of = |data_type: &DataType| Kind::of(data_type);
    match (a, b) {
        _ if a == b => integers.contains(&of(a)) || floats.contains(&of(a)) || of(a) == Kind::U64,
        (a, b) if a.is_integer() && b.is_integer() => integers.contains(&of(a)) && integers.contains(&of(b)),
        (a, b) => floats.contains(&of(a)) && floats.contains(&of(b)),
    }
}
