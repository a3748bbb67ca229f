//! How a join is run: one side into a table, when it ends; else both kept, bounded in time where the conditions say so.

use datafusion_expr::Expr;

use super::closed::Closed;
use super::columns::Columns;
use super::join::{EVERYWHERE_ROWS_MAX, strategy};
use super::join_time::Bounded;
use super::{Compiler, Result};
use crate::error::{Error, Place};
use crate::pipeline::{
    ChangeMode, EmitMode, EventTime, JoinKind, JoinSide, JoinSpec, JoinStrategy, Node, NodeId, Spec, SymmetricSpec,
    TimeBound, WindowColumn, time_unit,
};

/// A join to be run.
pub(super) struct Wanted<'a> {
    pub kind: JoinKind,
    pub inputs: [NodeId; 2],
    pub columns: &'a [Columns; 2],
    pub on: &'a [(Expr, Expr)],
    pub filter: Option<&'a Expr>,
    pub null_aware: bool,
    /// How many rows each side is thought to have.
    pub rows: [f64; 2],
    /// Whether EMIT speaks of this join.
    pub is_outermost: bool,
    pub place: Option<Place>,
}

/// How it is run.
pub(super) struct Way {
    pub strategy: JoinStrategy,
    /// What is left of the filter.
    pub rest: Vec<Expr>,
    pub changes: ChangeMode,
}

impl Compiler {
    /// Chooses how a join is run.
    pub(super) fn join_way(&self, wanted: &Wanted<'_>) -> Result<Way> {
        let rest: Vec<Expr> = wanted.filter.iter().map(|filter| (*filter).clone()).collect();
        let changes_asked = self.emit == Some(EmitMode::Changes) && wanted.is_outermost;
        // NOT IN has no other way: where the subquery ends, no row that it lets pass is taken back.
        if let Some(strategy) = self.hash(wanted).filter(|_| !changes_asked || wanted.null_aware) {
            return Ok(Way { strategy, rest, changes: ChangeMode::Append });
        }
        if wanted.null_aware {
            let message = "NOT IN needs a subquery that ends and whose rows stay; write NOT EXISTS (... WHERE a = b), which \
                           passes over NULL";
            return Err(Error::user(message).at(wanted.place));
        }
        let updating = wanted.inputs.map(|input| self.nodes[input].changes == ChangeMode::Updating);
        let stays = updating == [false, false];
        let bounded = match stays {
            true => self.time_bound(wanted.inputs, wanted.columns, wanted.on, &rest),
            false => None,
        };
        let (bound, rest) = match bounded {
            Some(Bounded { bound, rest }) => (Some(bound), rest),
            None => (None, rest),
        };
        let [left_alone, right_alone] = leave_without_match(wanted.kind);
        let ends = |end: fn(&TimeBound) -> Option<i64>| bound.as_ref().is_some_and(|bound| end(bound).is_some());
        let can_wait = (!left_alone || ends(|bound| bound.upper)) && (!right_alone || ends(|bound| bound.lower));
        let waits = stays && !changes_asked && (can_wait || self.emit == Some(EmitMode::Final));
        let has_alone = left_alone || right_alone;
        let changes = if stays && (waits || !has_alone) { ChangeMode::Append } else { ChangeMode::Updating };
        let time = bound.map(|bound| TimeBound { hold: hold(&bound, wanted.kind), ..bound });
        let ttl = match &time {
            Some(_) => [None; 2],
            None => wanted.inputs.map(|input| self.state_ttl_over(input)),
        };
        let spec = SymmetricSpec { updating, time, at_once: !waits, lookup: false, ttl };
        Ok(Way { strategy: JoinStrategy::Symmetric(spec), rest, changes })
    }

    /// One side into a table, where one ends, no row is taken back, and no row of it need leave before the end.
    fn hash(&self, wanted: &Wanted<'_>) -> Option<JoinStrategy> {
        let [left, right] = wanted.inputs.map(|input| &self.nodes[input]);
        if left.changes == ChangeMode::Updating || right.changes == ChangeMode::Updating {
            return None;
        }
        let [left_alone, right_alone] = leave_alone(wanted.kind);
        let [left_rows, right_rows] = wanted.rows;
        match (left.bounded, right.bounded) {
            (true, true) => Some(strategy(wanted.kind, wanted.null_aware, wanted.rows)),
            (false, true) => (!right_alone).then_some(table(JoinSide::Right, right_rows)),
            (true, false) => (!left_alone).then_some(table(JoinSide::Left, left_rows)),
            (false, false) => None,
        }
    }

    /// Where columns are left out of a node and the others are moved together: `used` are those that stay.
    pub(super) fn narrow_time(&mut self, node: NodeId, used: &[usize]) {
        let position = |column: &usize| used.iter().position(|used| used == column);
        if let Some(closed) = self.closed.get_mut(&node) {
            closed.columns = used.iter().map(|&column| closed.columns[column]).collect();
        }
        let own = self.nodes[node].time.take().map(|time| time.column);
        let others = self.other_times.remove(&node).unwrap_or_default();
        let times = own.iter().chain(&others).filter_map(position).collect();
        self.set_times(node, times);
    }

    /// Tells what is known of time behind a join: its event time, other columns that would do, windows that have closed.
    ///
    /// `outputs` are the node's columns as numbers over left ++ right.
    pub(super) fn set_join_time(&mut self, node: NodeId, inputs: [NodeId; 2], kind: JoinKind, strategy: &JoinStrategy) {
        let left_count = self.nodes[inputs[0]].schema.fields().len();
        let Spec::Join(JoinSpec { outputs, .. }) = &self.nodes[node].spec else { return };
        let outputs = outputs.clone();
        let position = |side: usize, column: usize| {
            let column = column + if side == 0 { 0 } else { left_count };
            outputs.iter().position(|&output| output == column)
        };
        if self.nodes[node].changes == ChangeMode::Updating {
            return;
        }
        let (mut times, mut closed) = (Vec::new(), None::<Closed>);
        for (side, input) in inputs.into_iter().enumerate().filter(|(side, _)| never_null(kind)[*side]) {
            let (passing, windows_pass) = self.passing(side, input, strategy);
            times.extend(passing.into_iter().filter_map(|column| position(side, column)));
            let Some(known) = self.closed.get(&input).filter(|_| windows_pass) else { continue };
            let mut columns: Vec<Option<WindowColumn>> = vec![None; outputs.len()];
            for (column, which) in known.columns.iter().enumerate().filter(|(_, which)| which.is_some()) {
                if let Some(at) = position(side, column) {
                    columns[at] = *which;
                }
            }
            closed = Some(match closed {
                Some(first) if first.kind == known.kind => {
                    let both = first.columns.iter().zip(&columns).map(|(first, second)| first.or(*second));
                    Closed { columns: both.collect(), ..first }
                }
                Some(first) => first,
                None => Closed { columns, ..known.clone() },
            });
        }
        if let Some(closed) = closed {
            self.closed.insert(node, closed);
        }
        self.set_times(node, times);
    }

    /// The columns of a join's input for which its output's watermark holds, and whether it does for windows that have
    /// closed.
    fn passing(&self, side: usize, input: NodeId, strategy: &JoinStrategy) -> (Vec<usize>, bool) {
        match strategy {
            // The table has come before: the other side's time goes on as it is.
            JoinStrategy::Hash { build, .. }
                if (*build == JoinSide::Left) == (side == 1) && !self.nodes[input].bounded =>
            {
                let own = self.nodes[input].time.iter().map(|time| time.column);
                (own.chain(self.other_times.get(&input).into_iter().flatten().copied()).collect(), true)
            }
            JoinStrategy::Symmetric(SymmetricSpec { time: Some(bound), .. }) => {
                let (of, column) = match side {
                    0 => (JoinSide::Left, bound.left),
                    _ => (JoinSide::Right, bound.right),
                };
                if bound.hold_of(of).is_none() {
                    return (Vec::new(), false);
                }
                let tells_window = |closed: &Closed| closed.columns[column.column].is_some();
                let own = if column.shift == 0 { vec![column.column] } else { Vec::new() };
                (own, self.closed.get(&input).is_some_and(tells_window))
            }
            _ => (Vec::new(), false),
        }
    }

    /// Makes the first of `times` the event time of a node, and remembers the others.
    pub(super) fn set_times(&mut self, node: NodeId, times: Vec<usize>) {
        let Some((&first, others)) = times.split_first() else { return };
        let schema = &self.nodes[node].schema;
        let unit = time_unit(schema.field(first).data_type());
        self.nodes[node].time = unit.map(|unit| EventTime { column: first, unit });
        if !others.is_empty() {
            self.other_times.insert(node, others.to_vec());
        }
    }

    /// Makes `column` the event time of a node, if it would do as well.
    pub(super) fn prefer_time(&mut self, node: NodeId, column: usize) {
        let Some(others) = self.other_times.get_mut(&node) else { return };
        let Some(at) = others.iter().position(|other| *other == column) else { return };
        if let Node { time: Some(time), .. } = &mut self.nodes[node] {
            others[at] = std::mem::replace(&mut time.column, column);
        }
    }
}

/// A table of the side that ends: everywhere, if it is small, so that the other side need not be exchanged.
pub(super) fn table(build: JoinSide, rows: f64) -> JoinStrategy {
    JoinStrategy::Hash { build, everywhere: if rows <= EVERYWHERE_ROWS_MAX { usize::MAX } else { 1 } }
}

/// Whether rows of the left and of the right side leave when they have no match.
fn leave_without_match(kind: JoinKind) -> [bool; 2] {
    use JoinKind::{Full, Left, LeftAnti, LeftMark, Right, RightAnti, RightMark};
    [matches!(kind, Left | Full | LeftAnti | LeftMark), matches!(kind, Right | Full | RightAnti | RightMark)]
}

/// Whether rows of the left and of the right side leave other than in pairs.
fn leave_alone(kind: JoinKind) -> [bool; 2] {
    let [left, right] = leave_without_match(kind);
    [left || kind == JoinKind::LeftSemi, right || kind == JoinKind::RightSemi]
}

/// Whether the columns of the left and of the right side always have their rows' values.
fn never_null(kind: JoinKind) -> [bool; 2] {
    let (left, right) = kind.sides();
    let [left_alone, right_alone] = leave_without_match(kind);
    [left && !right_alone, right && !left_alone]
}

/// How far behind its inputs' watermark a join's is, so that it holds for the columns of both sides.
fn hold(bound: &TimeBound, kind: JoinKind) -> i64 {
    let [left, right] = never_null(kind);
    let sides = [(JoinSide::Left, left), (JoinSide::Right, right)];
    let holds = sides.into_iter().filter(|(_, counts)| *counts).filter_map(|(side, _)| bound.hold_of(side));
    holds.max().unwrap_or(0)
}
