//! Logical plan → pipeline: a plan node per file.
//!
//! Place       after the optimizer, before the runtime.
//! Invariants  a node of the pipeline has the columns of its plan node, in order, strings as views. What the engine
//!             cannot answer rightly is refused here, with the construct and its place; nothing is left to fail later.

mod aggregate; //  groups, windows of groups, DISTINCT
mod call; //       one aggregate call: its function, arguments, order and filter
mod closed; //     windows that have closed, grouped again
mod columns; //    what the columns of a plan node are in the pipeline
mod custom; //     users' operators
mod expression; // expressions into programs
mod filter;
mod grouping; //   ROLLUP, CUBE, GROUPING SETS: every row once per set
mod join; //       rows of two inputs side by side
mod join_time; // how far apart in time the rows of a pair are
mod join_way; // one side into a table, or both kept
mod as_of; //     joins by the nearest
mod limit;
mod over; //       functions of the rows around each row
mod per_key; //    sessions and windows of rows under an aggregate
mod place; //      where in the SQL an expression stands
mod project;
mod rank; //       the first ranks of a window function
mod recursion; //  WITH RECURSIVE
mod scan;
mod sort;
mod truncated; //  date_trunc and date_bin as windows
mod types; //      types and schemas as the engine holds them
mod union;
mod values;
mod window; //     windows, by rows or under an aggregate

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use arrow::datatypes::SchemaRef;
use datafusion_expr::{Distinct, LogicalPlan};

use crate::error::{Error, Result};
use crate::pipeline::{ChangeMode, EmitMode, EventTime, Node, NodeId, Pipeline, Spec};
use crate::sql::plan::{LogicalQuery, SetOperationNode, SingleRowNode, WorkTable};
use crate::sql::stack::with_deep_stack;
use closed::Closed;
use columns::Columns;
use rank::RankLimit;
use truncated::Truncated;

/// Compiles an optimized query.
///
/// Failure: what the engine cannot answer rightly, with the construct and its place.
pub fn compile(query: &LogicalQuery) -> Result<Pipeline> {
    with_deep_stack(|| compile_plan(&query.plan, query.emit, query.is_continuous))
}

/// Compiles an optimized plan; `emit` is what the query's EMIT clause says, `None` without one.
fn compile_plan(plan: &LogicalPlan, emit: Option<EmitMode>, is_continuous: bool) -> Result<Pipeline> {
    let mut compiler = Compiler::new(emit);
    compiler.is_continuous = is_continuous;
    let output = compiler.plan(plan)?;
    compiler.answer(output);
    Ok(Pipeline { nodes: compiler.nodes, needs_input_order: compiler.needs_input_order })
}

/// The pipeline in the making.
struct Compiler {
    nodes: Vec<Node>,
    needs_input_order: bool,
    emit: Option<EmitMode>,
    /// Whether the answer is kept up to date: every step gives changes, unless EMIT says otherwise.
    is_continuous: bool,
    /// Whether an aggregate stands above what is being compiled: EMIT speaks of the outermost one.
    below_aggregate: bool,
    /// What the columns of some nodes tell of windows that have closed.
    closed: HashMap<NodeId, Closed>,
    /// The ranks that a filter keeps of the window node being compiled.
    rank_limit: Option<RankLimit>,
    /// Whether the projection above the filter being compiled leaves its rank away.
    rank_is_unread: bool,
    /// Rows that OFFSET skips of the sorted rows being compiled.
    skip: usize,
    /// Which columns of some nodes were cut out of the event time.
    truncated: HashMap<NodeId, Truncated>,
    /// Columns of some nodes that would do as their event time too.
    other_times: HashMap<NodeId, Vec<usize>>,
}

impl Compiler {
    fn new(emit: Option<EmitMode>) -> Compiler {
        Compiler {
            nodes: Vec::new(),
            needs_input_order: false,
            emit,
            is_continuous: false,
            below_aggregate: false,
            closed: HashMap::new(),
            truncated: HashMap::new(),
            other_times: HashMap::new(),
            rank_limit: None,
            rank_is_unread: false,
            skip: 0,
        }
    }

    /// Compiles a plan node and everything below; the pipeline's node has the columns of `plan`.
    fn plan(&mut self, plan: &LogicalPlan) -> Result<NodeId> {
        match plan {
            LogicalPlan::TableScan(scan) if scan.source.downcast_ref::<WorkTable>().is_some() => {
                Ok(self.work_table(scan))
            }
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::Filter(filter) => self.filter(filter),
            LogicalPlan::Projection(projection) => self.projection(projection),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Distinct(Distinct::All(input)) => self.distinct(input),
            LogicalPlan::Union(union) => self.union(union),
            LogicalPlan::Sort(sort) => self.sort(sort),
            LogicalPlan::Limit(limit) => self.limit(limit),
            LogicalPlan::Window(window) => self.over(window),
            LogicalPlan::SubqueryAlias(alias) => self.plan(&alias.input),
            // LATERAL without a look at what stands before it.
            LogicalPlan::Subquery(subquery) if subquery.outer_ref_columns.is_empty() => self.plan(&subquery.subquery),
            LogicalPlan::Repartition(repartition) => self.plan(&repartition.input),
            LogicalPlan::Values(values) => self.values(values),
            LogicalPlan::EmptyRelation(empty) => self.empty(empty),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::RecursiveQuery(query) => self.recursion(query),
            LogicalPlan::Extension(extension) => match extension.node.as_any() {
                node if node.is::<SingleRowNode>() => self.single_row(extension.node.inputs()[0]),
                node => match node.downcast_ref::<SetOperationNode>() {
                    Some(node) => self.set_operation(node),
                    None => self.extension(extension),
                },
            },
            other => Err(refused(other)),
        }
    }

    /// Folds the rows of the output up where they are asked for once: input that ends, or EMIT FINAL.
    fn answer(&mut self, output: NodeId) {
        let Node { changes, bounded, .. } = self.nodes[output];
        let is_final = match self.emit {
            Some(emit) => emit == EmitMode::Final,
            None => bounded && !self.is_continuous,
        };
        if changes == ChangeMode::Updating && is_final {
            self.add_fold(output);
        }
    }

    /// Adds a node and gives its number.
    fn add(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// Adds a node that changes rows one by one: what its input is, it is too.
    fn add_above(&mut self, input: NodeId, spec: Spec, schema: SchemaRef, time: Option<EventTime>) -> NodeId {
        let Node { changes, bounded, place, .. } = self.nodes[input];
        self.add(Node { spec, inputs: vec![input], schema, changes, time, bounded, place })
    }

    /// The columns of `plan`, which `node` is the pipeline's form of.
    fn columns(&self, node: NodeId, plan: &LogicalPlan) -> Columns {
        Columns::whole(plan.schema(), &self.nodes[node].schema)
    }
}

/// Says which construct it is that has no operator.
fn refused(plan: &LogicalPlan) -> Error {
    let (what, place) = match plan {
        LogicalPlan::Subquery(_) => (
            "a subquery that depends on its surroundings in this way cannot be joined to them; join the tables instead",
            None,
        ),
        LogicalPlan::Unnest(_) => ("UNNEST is not supported yet", None),
        LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) => ("EXPLAIN cannot stand inside a query", None),
        _ => return Error::user(format!("this statement is not a query: {}", plan.display())),
    };
    Error::user(what).at(place)
}
