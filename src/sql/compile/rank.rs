//! `ROW_NUMBER() OVER (...) <= n` and its kin: only the rows that rank well enough are kept.
//!
//! ```text
//! Filter: rn <= 3 AND ...        with aliases and projections that pass rn on between the two
//!   Window: row_number() ...
//! ```
//! The filter's other conditions stay behind it. Where a projection above the filter does not read the rank, nobody does,
//! and rows that move from one rank to another need not be told.

use arrow::compute::SortOptions;
use datafusion_common::{Column, ScalarValue};
use datafusion_expr::expr::WindowFunction;
use datafusion_expr::utils::{conjunction, split_conjunction};
use datafusion_expr::{BinaryExpr, Expr, Filter, LogicalPlan, Operator, Projection, Window, WindowFunctionDefinition};

use super::expression::Expressions;
use super::over::{check_key, group_of, is_built_in};
use super::place::place_of;
use super::types::engine_schema;
use super::{Compiler, Result};
use crate::pipeline::{ChangeMode, Completion, NodeId, RankFunction, RankSpec, Spec};

/// More rows per key than this are sorted instead of kept in order one by one.
const LAST_MAX: u64 = 1 << 16;

/// Ranks that a filter keeps.
#[derive(Debug, Clone, Copy)]
pub(super) struct RankLimit {
    first: u64,
    last: u64,
    shows_rank: bool,
}

/// What a filter says of a rank.
struct Limited {
    limit: RankLimit,
    /// The rank among the columns that the filter sees.
    column: usize,
    /// The filter's other conditions.
    others: Vec<Expr>,
}

impl Compiler {
    /// A filter that keeps the first ranks of a window function below it; `None` for other filters.
    pub(super) fn ranked_filter(&mut self, filter: &Filter) -> Result<Option<NodeId>> {
        let is_unread = std::mem::take(&mut self.rank_is_unread);
        let Some(mut limited) = limited(filter) else { return Ok(None) };
        limited.limit.shows_rank = !is_unread;
        let outer = self.rank_limit.replace(limited.limit);
        let input = self.plan(&filter.input);
        let is_taken = std::mem::replace(&mut self.rank_limit, outer).is_none();
        let input = input?;
        let columns = self.columns(input, &filter.input);
        let rest = if is_taken { conjunction(limited.others) } else { Some(filter.predicate.clone()) };
        match rest {
            Some(rest) => self.add_filter(input, &columns, &rest).map(Some),
            None => Ok(Some(input)),
        }
    }

    /// Notes whether a projection leaves the rank away that the filter below it looks at.
    pub(super) fn note_unread_rank(&mut self, projection: &Projection) {
        self.rank_is_unread = false;
        let mut input = projection.input.as_ref();
        while let LogicalPlan::SubqueryAlias(alias) = input {
            input = &alias.input;
        }
        let LogicalPlan::Filter(filter) = input else { return };
        let Some(limited) = limited(filter) else { return };
        let schema = projection.input.schema();
        let reads = |column: &&Column| schema.maybe_index_of_column(column) == Some(limited.column);
        let is_read = projection.expr.iter().flat_map(Expr::column_refs).any(|column| reads(&column));
        let in_filter = |expr: &Expr| {
            let index = |column: &Column| filter.input.schema().maybe_index_of_column(column);
            expr.column_refs().into_iter().any(|column| index(column) == Some(limited.column))
        };
        self.rank_is_unread = !is_read && !limited.others.iter().any(in_filter);
    }

    /// The window's node as one that keeps only the ranks that a filter above asks for, where that can be.
    pub(super) fn ranked(&mut self, window: &Window) -> Result<Option<NodeId>> {
        let Some(limit) = self.rank_limit.take() else { return Ok(None) };
        let Some((function, call)) = ranking(window) else {
            self.rank_limit = Some(limit);
            return Ok(None);
        };
        let input = self.over_rows(&window.input)?;
        let columns = self.columns(input, &window.input);
        let place = place_of(&window.window_expr[0]);
        let group = group_of(&window.window_expr[0], call);
        let completion = match self.completion(input, &columns, &group) {
            // Rows come in the order of their rank: numbering them is enough.
            Ok(Completion::Time { .. } | Completion::Arrival) => {
                self.rank_limit = Some(limit);
                return self.over_input(input, &columns, window).map(Some);
            }
            Ok(Completion::Window { column, to_end }) => {
                Completion::Window { column: group.key_of(&columns, column), to_end }
            }
            Ok(completion) => completion,
            Err(_) => Completion::Changes,
        };
        let mut expressions = Expressions::new(&columns);
        for key in &call.params.partition_by {
            let data_type = expressions.output(key)?;
            check_key(key, &data_type, "PARTITION BY")?;
        }
        let mut order = Vec::new();
        for key in &call.params.order_by {
            let data_type = expressions.output(&key.expr)?;
            check_key(&key.expr, &data_type, "ORDER BY")?;
            order.push(SortOptions { descending: !key.asc, nulls_first: key.nulls_first });
        }
        let takes_back = self.nodes[input].changes == ChangeMode::Updating;
        let forgets = completion == Completion::Changes && !call.params.partition_by.is_empty();
        let ttl = if forgets { self.state_ttl_over(input) } else { None };
        let spec = RankSpec {
            program: expressions.finish(),
            key_count: call.params.partition_by.len(),
            order,
            function,
            first: limit.first,
            last: limit.last,
            shows_rank: limit.shows_rank,
            takes_back,
            completion,
            ttl,
        };
        let node = self.add_rank(input, spec, engine_schema(&window.schema));
        self.nodes[node].place = place;
        Ok(Some(node))
    }

    /// Adds a node that keeps ranks; `schema` has the columns of `input`, then the rank.
    pub(super) fn add_rank(&mut self, input: NodeId, spec: RankSpec, schema: arrow::datatypes::SchemaRef) -> NodeId {
        let completion = spec.completion;
        let time = match completion {
            Completion::Window { .. } => self.closed.get(&input).and_then(super::aggregate::event_time),
            _ => None,
        };
        let width = self.nodes[input].schema.fields().len();
        let node = self.add_above(input, Spec::Rank(spec), schema, time);
        self.nodes[node].changes =
            if completion == Completion::Changes { ChangeMode::Updating } else { ChangeMode::Append };
        if matches!(completion, Completion::Window { .. }) {
            let sources: Vec<Option<usize>> = (0..width).map(Some).chain([None]).collect();
            self.closed_after(input, node, &sources);
        }
        node
    }
}

/// The one ranking function of a window node that can be cut off.
fn ranking(window: &Window) -> Option<(RankFunction, &WindowFunction)> {
    let [expr] = window.window_expr.as_slice() else { return None };
    let mut expr = expr;
    while let Expr::Alias(alias) = expr {
        expr = &alias.expr;
    }
    let Expr::WindowFunction(call) = expr else { return None };
    let WindowFunctionDefinition::WindowUDF(udf) = &call.fun else { return None };
    if !is_built_in(udf) {
        return None;
    }
    let function = match udf.name() {
        "row_number" => RankFunction::RowNumber,
        "rank" => RankFunction::Rank,
        "dense_rank" => RankFunction::DenseRank,
        _ => return None,
    };
    let is_constant = |key: &datafusion_expr::expr::Sort| matches!(key.expr, Expr::Literal(..));
    let has_order = !call.params.order_by.is_empty() && !call.params.order_by.iter().any(is_constant);
    (has_order && !window.input.schema().fields().is_empty()).then_some((function, call))
}

/// What a filter says of the rank of a window function below it.
fn limited(filter: &Filter) -> Option<Limited> {
    let column = rank_column(&filter.input)?;
    let (mut first, mut last, mut others) = (1u64, u64::MAX, Vec::new());
    for conjunct in split_conjunction(&filter.predicate) {
        match bounds(conjunct, &filter.input, column) {
            Some((least, most)) => (first, last) = (first.max(least), last.min(most)),
            None => others.push(conjunct.clone()),
        }
    }
    // An empty range is left to the filter.
    let is_limit = last <= LAST_MAX && first <= last;
    is_limit.then_some(Limited { limit: RankLimit { first, last, shows_rank: true }, column, others })
}

/// Where among the columns of a plan the rank is that a window node below computes.
fn rank_column(plan: &LogicalPlan) -> Option<usize> {
    match plan {
        LogicalPlan::Window(window) => {
            ranking(window)?;
            Some(window.input.schema().fields().len())
        }
        LogicalPlan::SubqueryAlias(alias) => rank_column(&alias.input),
        LogicalPlan::Projection(projection) => {
            let below = rank_column(&projection.input)?;
            let plain = |expr: &Expr| super::window::plain_index(expr, &projection.input);
            let reads = |expr: &&Expr| {
                let index = |column: &&Column| projection.input.schema().maybe_index_of_column(column);
                expr.column_refs().iter().any(|column| index(column) == Some(below))
            };
            // Whoever computes with the rank reads it.
            let readers: Vec<usize> = (0..projection.expr.len()).filter(|&at| reads(&&projection.expr[at])).collect();
            match readers.as_slice() {
                [one] if plain(&projection.expr[*one]) == Some(below) => Some(*one),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The ranks that a condition on a rank keeps, both ends included.
fn bounds(expr: &Expr, input: &LogicalPlan, rank: usize) -> Option<(u64, u64)> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr else { return None };
    let is_rank = |expr: &Expr| super::window::plain_index(expr, input) == Some(rank);
    let (value, op) = match (is_rank(left), is_rank(right)) {
        (true, false) => (number(right)?, *op),
        (false, true) => (number(left)?, op.swap()?),
        _ => return None,
    };
    match op {
        Operator::Eq => Some((value, value)),
        Operator::LtEq => Some((0, value)),
        Operator::Lt => Some((0, value.checked_sub(1)?)),
        Operator::GtEq => Some((value, u64::MAX)),
        Operator::Gt => Some((value.checked_add(1)?, u64::MAX)),
        _ => None,
    }
}

fn number(expr: &Expr) -> Option<u64> {
    match expr {
        Expr::Literal(ScalarValue::UInt64(Some(number)), _) => Some(*number),
        Expr::Literal(value, _) if value.data_type().is_integer() => {
            match value.cast_to(&arrow::datatypes::DataType::UInt64) {
                Ok(ScalarValue::UInt64(number)) => number,
                _ => None,
            }
        }
        _ => None,
    }
}
