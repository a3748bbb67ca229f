//! Logical plan → pipeline: a plan node per file.
//!
//! Place       after the optimizer, before the runtime.
//! Invariants  a node of the pipeline has the columns of its plan node, in order, strings as views. What the engine
//!             cannot answer rightly is refused here, with the construct and its place; nothing is left to fail later.

mod aggregate; //  groups, windows of groups, DISTINCT
mod call; //       one aggregate call: its function, arguments, order and filter
mod closed; //     windows that have closed, grouped again
mod covered; //    aggregates read from the states of others
mod columns; //    what the columns of a plan node are in the pipeline
mod custom; //     users' operators
mod expression; // expressions into programs
mod filter;
mod firing; //     EMIT by the clock, late rows
mod grouping; //   ROLLUP, CUBE, GROUPING SETS: every row once per set
mod join; //       rows of two inputs side by side
mod join_time; // how far apart in time the rows of a pair are
mod join_way; // one side into a table, or both kept
mod as_of; //     joins by the nearest
mod limit;
mod lookup; //    joins with tables that are asked by key
mod over; //       functions of the rows around each row
mod per_key; //    sessions and windows of rows under an aggregate
mod place; //      where in the SQL an expression stands
mod project;
mod rank; //       the first ranks of a window function
mod recursion; //  WITH RECURSIVE
mod scan;
mod shared; //   groups that are asked for more than once
mod sort;
mod stretches; //  users' functions that never fall as windows
mod truncated; //  date_trunc and date_bin as windows
mod types; //      types and schemas as the engine holds them
mod union;
mod unnest; //   lists into rows
mod values;
mod window; //     windows, by rows or under an aggregate

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use arrow::datatypes::SchemaRef;
use datafusion_expr::{Distinct, LogicalPlan};

use crate::error::{Error, Place, Result};
use crate::pipeline::{ChangeMode, EmitMode, EventTime, JoinSpec, JoinStrategy, Node, NodeId, Pipeline, Spec};
use crate::sql::parse::StateTtl;
use crate::sql::plan::{Firing, LogicalQuery, SetOperationNode, SingleRowNode, WorkTable};
use crate::sql::stack::with_deep_stack;
use closed::Closed;
use columns::Columns;
use rank::RankLimit;
use shared::Repeated;
use truncated::Truncated;

/// Compiles an optimized query.
///
/// Failure: what the engine cannot answer rightly, with the construct and its place.
pub fn compile(query: &LogicalQuery) -> Result<Pipeline> {
    with_deep_stack(|| compile_plan(query))
}

fn compile_plan(query: &LogicalQuery) -> Result<Pipeline> {
    let mut compiler = Compiler {
        emit_place: query.emit_place,
        is_continuous: query.is_continuous,
        firing: query.firing.clone(),
        state_ttl: query.state_ttl.clone(),
        ..Compiler::new(query.emit)
    };
    if query.shares_groups() {
        compiler.repeated = shared::repeated(&query.plan).map_err(crate::sql::bridge::foreign)?;
    }
    let root = compiler.plan(&query.plan).map_err(|error| place::by_words(error, query))?;
    compiler.finish_firing(root)?;
    compiler.check_state_ttl()?;
    compiler.answer();
    let pipeline = Pipeline { nodes: compiler.nodes, needs_input_order: compiler.needs_input_order };
    Ok(pipeline.without_unread())
}

/// The pipeline in the making.
struct Compiler {
    nodes: Vec<Node>,
    needs_input_order: bool,
    emit: Option<EmitMode>,
    emit_place: Option<Place>,
    firing: Firing,
    state_ttl: StateTtl,
    /// The lateness that windows allow, once one has been found.
    lateness_ticks: i64,
    /// Whether late rows have been given their way out.
    diverts: bool,
    /// Whether what decides when results leave stands above an aggregate.
    is_fired_already: bool,
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
    /// What else nodes are called than their tables are.
    aliases: HashMap<NodeId, Vec<String>>,
    /// Aggregates that are computed once for several places.
    repeated: Repeated,
}

impl Compiler {
    fn new(emit: Option<EmitMode>) -> Compiler {
        Compiler {
            nodes: Vec::new(),
            needs_input_order: false,
            emit,
            emit_place: None,
            firing: Firing::default(),
            state_ttl: StateTtl::default(),
            lateness_ticks: 0,
            diverts: false,
            is_fired_already: false,
            is_continuous: false,
            below_aggregate: false,
            closed: HashMap::new(),
            truncated: HashMap::new(),
            other_times: HashMap::new(),
            aliases: HashMap::new(),
            repeated: Repeated::new(),
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
            LogicalPlan::Aggregate(aggregate) => self.aggregate_once(plan, aggregate),
            LogicalPlan::Distinct(Distinct::All(input)) => self.distinct(input),
            LogicalPlan::Union(union) => self.union(union),
            LogicalPlan::Unnest(unnest) => self.unnest(unnest),
            LogicalPlan::Sort(sort) => self.sort(sort),
            LogicalPlan::Limit(limit) => self.limit(limit),
            LogicalPlan::Window(window) => self.over(window),
            LogicalPlan::SubqueryAlias(alias) => {
                let node = self.plan(&alias.input)?;
                self.aliases.entry(node).or_default().push(alias.alias.table().to_string());
                self.hint_upsert(node);
                Ok(node)
            }
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
    fn answer(&mut self) {
        if self.is_fired_already {
            return;
        }
        let output = self.nodes.len() - 1;
        let Node { changes, bounded, .. } = self.nodes[output];
        let is_final = match self.emit {
            Some(emit) => emit == EmitMode::Final,
            None => bounded && !self.is_continuous,
        };
        if changes == ChangeMode::Updating && is_final {
            self.add_fold(output);
        }
    }

    /// The names of the tables below a node, and what the query calls them.
    fn tables_below(&self, node: NodeId) -> Vec<&str> {
        let aliases = self.aliases.get(&node).into_iter().flatten().map(String::as_str);
        let node = &self.nodes[node];
        let own = if let Spec::Scan(scan) = &node.spec { Some(scan.name.as_str()) } else { None };
        let below = node.inputs.iter().flat_map(|input| self.tables_below(*input));
        own.into_iter().chain(aliases).chain(below).collect()
    }

    /// How long an operator without a window keeps what it knows of the rows of a node, in microseconds; `None`: for ever.
    fn state_ttl_over(&self, node: NodeId) -> Option<i64> {
        let hinted = self.state_ttl.over(self.tables_below(node).into_iter());
        hinted.or_else(|| self.declared_ttl(node)).or(self.state_ttl.otherwise)
    }

    /// Gives an upsert table the time to live that a hint has for the name that the query calls it by.
    fn hint_upsert(&mut self, node: NodeId) {
        let mut table = node;
        while let (Spec::Project(_), [input]) = (&self.nodes[table].spec, self.nodes[table].inputs.as_slice()) {
            table = *input;
        }
        let ttl = self.state_ttl_over(node);
        if let Spec::Upsert(spec) = &mut self.nodes[table].spec {
            spec.ttl = ttl;
        }
    }

    /// The longest that the tables below a node say in their definitions.
    fn declared_ttl(&self, node: NodeId) -> Option<i64> {
        let node = &self.nodes[node];
        let own = if let Spec::Scan(scan) = &node.spec { scan.tuning.state_ttl } else { None };
        own.into_iter().chain(node.inputs.iter().filter_map(|input| self.declared_ttl(*input))).max()
    }

    /// Fails where a hint names a table that is not read, or nothing over input that does not end goes by it.
    fn check_state_ttl(&self) -> Result<()> {
        let Some(root) = self.nodes.len().checked_sub(1) else { return Ok(()) };
        let tables = self.tables_below(root);
        let unknown = self
            .state_ttl
            .of
            .iter()
            .find_map(|(name, _)| name.as_ref().filter(|name| !tables.contains(&name.as_str())));
        match unknown {
            Some(name) => {
                let message = format!(
                    "the hint STATE_TTL names a table that is not read: {name}; read are {}",
                    tables.join(", ")
                );
                Err(Error::user(message))
            }
            None => self.check_state_ttl_acts(root),
        }
    }

    fn check_state_ttl_acts(&self, root: NodeId) -> Result<()> {
        let forgets = |node: &Node| match &node.spec {
            Spec::Aggregate(spec) => spec.ttl.is_some(),
            Spec::Rank(spec) => spec.ttl.is_some(),
            Spec::Over(spec) => spec.ttl.is_some(),
            Spec::Upsert(spec) => spec.ttl.is_some(),
            Spec::Join(JoinSpec { strategy: JoinStrategy::Symmetric(symmetric), .. }) => symmetric.ttl != [None; 2],
            _ => false,
        };
        if self.state_ttl.of.is_empty() || self.nodes[root].bounded || self.nodes.iter().any(forgets) {
            return Ok(());
        }
        Err(Error::user(
            "the hint STATE_TTL has upsert tables, GROUP BY without a window, joins without a span of time, first rows per key \
             and OVER with PARTITION BY forget; this query has none of them that keeps more than its windows or frames do: take \
             the hint away",
        ))
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
        LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) => ("EXPLAIN cannot stand inside a query", None),
        _ => return Error::user(format!("this statement is not a query: {}", plan.display())),
    };
    Error::user(what).at(place)
}
