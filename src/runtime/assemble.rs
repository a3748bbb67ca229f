//! From a pipeline to what each worker runs: operators in stages, rings between them.
//!
//! Every worker runs every stage on its share of the rows; an exchange is put before an aggregate (rows go to the owner
//! of their key) and before what needs all rows in one place (sorting, limits, the sink). With one partition there is
//! none: the whole pipeline is one stage, and rows go from the source to the sink by plain calls.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arrow::datatypes::DataType;

use super::Options;
use super::event_time::{PartitionWatermarks, WatermarkTracker};
use super::metrics::Registry;
use super::parts::{End, Part, Parts};
use super::recursion::RecursiveTable;
use super::scan::{Computed, ScanTask};
use super::worker::{Input, Stage, Worker};
use crate::batch::Batch;
use crate::config::{Config, KeyMode};
use crate::error::{Error, Result};
use crate::expression::{Operand, Program};
use crate::function::KernelContext;
use crate::pipeline::parting::{self, Parting};
use crate::pipeline::*;
use crate::stream::exchange::{Route, Waker};
use crate::stream::operator::*;

/// What [`assemble`] makes.
pub(super) struct Assembled {
    pub(super) workers: Vec<Worker>,
    pub(super) metrics: Registry,
    pub(super) wakers: Vec<Arc<Waker>>,
}

/// Makes the workers of a query.
pub(super) fn assemble(
    pipeline: &Pipeline,
    sink: Box<dyn Sink>,
    config: &Config,
    budget: Arc<Budget>,
    options: &Options,
    in_flight: Arc<AtomicI64>,
) -> Result<Assembled> {
    let pipeline = &super::names::named(pipeline);
    let partitions = if pipeline.needs_input_order { 1 } else { config.partitions.max(1) };
    let context = super::context(options);
    let wakers = (0..partitions).map(|_| Arc::new(Waker::default())).collect();
    let mut assembly = Assembly {
        pipeline,
        config,
        options,
        context,
        partitions,
        seed: query_seed(config),
        metrics: Registry { operators: Vec::new(), scans: Vec::new(), budget },
        done: (0..partitions).map(|_| Vec::new()).collect(),
        wakers,
        in_flight,
        key_routes: key_routes(pipeline),
        key_filters: HashMap::new(),
        first_routes: first_routes(pipeline),
        cutoffs: HashMap::new(),
        forked: HashMap::new(),
        parted_by: HashMap::new(),
    };
    let root = assembly.node(pipeline.nodes.len() - 1)?;
    let mut parts = assembly.gather(root)?;
    let part = parts[0].as_mut().expect("gathered to the first worker");
    // Rows of an upsert table are no changes yet: a tombstone does not cancel the row before it out.
    let is_raw = matches!(&pipeline.output().spec, Spec::Scan(scan) if scan.table.changelog() == Changelog::Upsert);
    let output = Output::new(sink, pipeline.schema().clone(), !is_raw);
    assembly.append(part, "output", None, Box::new(output));
    for (worker, part) in parts.into_iter().enumerate() {
        if let Some(part) = part {
            assembly.done[worker].push(part.stage);
        }
    }
    let wakers = assembly.wakers;
    let workers = assembly.done.into_iter().zip(wakers.iter().cloned()).enumerate();
    let workers = workers
        .map(|(number, (stages, waker))| Worker::new(number, stages, waker, config.idle_sleep, options.clock.clone()));
    Ok(Assembled { workers: workers.collect(), metrics: assembly.metrics, wakers })
}

/// A seed that other queries do not share, so that keys chosen to collide in one do not in the next.
fn query_seed(config: &Config) -> u64 {
    use std::hash::{BuildHasher, Hasher};
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
    crate::state::seed(random, config.key_mode.map(KeyMode::name))
}

/// Pipeline nodes on their way into stages.
pub(super) struct Assembly<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) config: &'a Config,
    pub(super) options: &'a Options,
    pub(super) context: KernelContext,
    pub(super) partitions: usize,
    pub(super) seed: u64,
    pub(super) metrics: Registry,
    /// Finished stages of each worker, in the order of the data's way.
    pub(super) done: Vec<Vec<Stage>>,
    pub(super) wakers: Vec<Arc<Waker>>,
    pub(super) in_flight: Arc<AtomicI64>,
    /// Which scans ask for the keys of which joins' tables, and the filters that have been made for it, by join and key.
    pub(super) key_routes: Vec<KeyRoute>,
    pub(super) key_filters: HashMap<(NodeId, usize), Arc<KeyFilter>>,
    /// Which scans may leave out what comes behind the first rows of which sorts and ranks, and how far these reach.
    pub(super) first_routes: Vec<FirstRoute>,
    pub(super) cutoffs: HashMap<NodeId, Arc<Cutoff>>,
    /// Of nodes that several read, the parts of readers that have not asked yet.
    pub(super) forked: HashMap<NodeId, Vec<Parts>>,
    /// By which columns exchanges have parted the rows of nodes.
    pub(super) parted_by: HashMap<NodeId, Parting>,
}

impl Assembly<'_> {
    /// A node's parts; of one that several read, each reader's own.
    pub(super) fn node(&mut self, id: NodeId) -> Result<Parts> {
        if let Some(parts) = self.forked.get_mut(&id).and_then(Vec::pop) {
            return Ok(parts);
        }
        let parts = self.single(id)?;
        match self.pipeline.readers(id) {
            0 | 1 => Ok(parts),
            readers => {
                let mut forked = self.fork(parts, readers);
                let first = forked.pop().expect("a reader at least");
                self.forked.insert(id, forked);
                Ok(first)
            }
        }
    }

    fn single(&mut self, id: NodeId) -> Result<Parts> {
        let node = &self.pipeline.nodes[id];
        match &node.spec {
            Spec::Scan(scan) => self.scan(id, scan, node),
            Spec::Values(values) => Ok(self.values(id, values)),
            Spec::Union => self.union(id, node),
            Spec::Join(spec) => self.join(id, node, spec),
            Spec::Recursion(spec) => {
                let table = RecursiveTable {
                    spec: spec.clone(),
                    schema: node.schema.clone(),
                    config: self.config.clone(),
                    budget: self.metrics.budget.clone(),
                    options: self.options.clone(),
                    seed: self.seed,
                };
                let scan = ScanSpec {
                    name: spec.name.clone(),
                    table: Arc::new(table),
                    projection: (0..node.schema.fields().len()).collect(),
                    predicates: Vec::new(),
                    system: Vec::new(),
                    compute: None,
                    watermark: None,
                    tuning: Tuning::default(),
                    fetch: None,
                };
                self.scan(id, &scan, node)
            }
            Spec::WorkTable => Err(Error::bug("a work table stands outside its recursion")),
            Spec::Aggregate(spec) => self.aggregate(id, node, spec),
            Spec::Sets(spec) => self.sets(id, node, spec),
            Spec::Over(spec) => self.over(id, node, spec),
            Spec::Rank(spec) => self.rank(id, node, spec),
            Spec::Sort(spec) => self.sort(id, node, spec),
            Spec::Limit(_) | Spec::SingleRow | Spec::Fold | Spec::ByKey(_) => {
                let input = self.node(node.inputs[0])?;
                let mut parts = self.gather(input)?;
                self.append_to_all(&mut parts, id)?;
                Ok(parts)
            }
            Spec::Upsert(spec) => {
                let mut parts = self.node(node.inputs[0])?;
                if self.partitions > 1 {
                    let keys = node.schema.fields().iter().take(spec.key_count);
                    let keys = keys.map(|field| field.data_type().clone()).collect();
                    parts = self.exchange(parts, Route::Hash(keys))?;
                    self.parted_by.insert(id, vec![(0..spec.key_count).collect()]);
                }
                self.append_to_all(&mut parts, id)?;
                Ok(parts)
            }
            Spec::Firing(spec) => {
                let mut parts = self.node(node.inputs[0])?;
                if spec.key_count.is_none() {
                    parts = self.gather(parts)?;
                }
                self.append_to_all(&mut parts, id)?;
                self.keep_parting(id);
                Ok(parts)
            }
            Spec::Custom(spec) => self.custom(id, node, spec),
            Spec::Window(WindowSpec { kind: WindowKind::Session { gap }, column, keys }) => {
                self.session_rows(id, *gap, *column, keys)
            }
            Spec::Filter(_)
            | Spec::Project(_)
            | Spec::Expand(_)
            | Spec::Unnest(_)
            | Spec::Lookup(_)
            | Spec::Window(_)
            | Spec::Delay(_)
            | Spec::Divert(_) => {
                let mut parts = self.node(node.inputs[0])?;
                self.append_to_all(&mut parts, id)?;
                self.keep_parting(id);
                Ok(parts)
            }
        }
    }

    /// Whether the rows of a node go through filters and projections into an aggregate, and nowhere else.
    fn feeds_aggregate(&self, id: NodeId) -> bool {
        let mut consumers = self.pipeline.nodes.iter().enumerate().filter(|(_, node)| node.inputs.contains(&id));
        match (consumers.next(), consumers.next()) {
            (Some((_, Node { spec: Spec::Aggregate(_) | Spec::Sets(_), .. })), None) => true,
            (Some((consumer, Node { spec: Spec::Filter(_) | Spec::Project(_), .. })), None) => {
                self.feeds_aggregate(consumer)
            }
            _ => false,
        }
    }

    /// What a scan may do of the work behind it: the conditions of a filter that nobody else stands beside, and the keys
    /// of joins' tables.
    fn pushed(&mut self, id: NodeId, spec: &ScanSpec) -> Pushed {
        // Rows that are left out would not move the watermark, and positions count rows.
        let counts_rows = spec.watermark.is_some() || spec.fetch.is_some() || self.options.portable;
        let mut pushed = Pushed { context: self.context, ..Pushed::default() };
        if counts_rows
            || spec.compute.is_some()
            || !spec.system.is_empty()
            || spec.table.changelog() != Changelog::Append
        {
            return pushed;
        }
        for route in self.key_routes.iter().filter(|route| route.scan == id) {
            let filter = self.key_filters.entry((route.join, route.key)).or_default().clone();
            let range = spec.table.column_range(spec.projection[route.column]);
            pushed.keys.push(KeyCheck { column: route.column, filter, range });
        }
        pushed.first = self.first_routes.iter().find(|route| route.scan == id).map(|route| FirstCheck {
            column: route.column,
            options: route.options,
            cutoff: self.cutoffs.entry(route.by).or_default().clone(),
            wanted: Some(route.wanted).filter(|_| route.is_whole),
            may_fail: route.may_fail,
        });
        let mut consumers = self.pipeline.nodes.iter().filter(|node| node.inputs.contains(&id));
        if let (Some(Node { spec: Spec::Filter(filter), .. }), None) = (consumers.next(), consumers.next()) {
            pushed.conditions = filter.conjuncts.clone();
        }
        pushed
    }

    /// The column of a scan whose latest value tells where the watermark is after a morsel, where workers share its source
    /// partitions. Rows that are too far ahead of others do not count, so all have to be looked at.
    fn time_told(&self, spec: &ScanSpec, readers: usize) -> Option<usize> {
        let told = |watermark: &&WatermarkSpec| {
            watermark.rises && watermark.rules.max_future.is_none() && watermark.rules.max_jump.is_none()
        };
        let watermark = spec.watermark.as_ref().filter(told)?;
        (readers > 1 && spec.compute.is_none()).then_some(watermark.column)
    }

    pub(super) fn scan(&mut self, id: NodeId, spec: &ScanSpec, node: &Node) -> Result<Parts> {
        // Which change came last is told by the order of the rows: one worker reads them all.
        let is_changing = spec.table.changelog() != Changelog::Append;
        let readers = if is_changing { 1 } else { self.partitions };
        let request = ScanRequest {
            projection: spec.projection.clone(),
            system: spec.system.clone(),
            // Rows that are skipped would not move the watermark: then lateness would depend on what a filter skips.
            predicates: if spec.watermark.is_some() || is_changing { Vec::new() } else { spec.predicates.clone() },
            batch_rows: self.config.batch_rows,
            partitions: readers,
            ordered: spec.watermark.is_some()
                || spec.system.contains(&SystemColumn::Offset)
                || self.pipeline.needs_input_order
                || is_changing,
            event_time: self.time_told(spec, readers),
            fetch: spec.fetch,
            dictionaries: self.feeds_aggregate(id),
            counts_rows: self.options.portable,
            pushed: self.pushed(id, spec),
        };
        let awaited: Vec<_> = request.pushed.keys.iter().map(|check| check.filter.clone()).collect();
        let scan = spec.table.open(&request).map_err(|e| e.at(node.place))?;
        let mut watermarks = PartitionWatermarks::new(scan.source_partitions(), self.config.keep_open);
        if let Some(watermark) = &spec.watermark {
            let per_second = time_unit(node.schema.field(watermark.column).data_type()).map_or(1, ticks_per_second);
            watermarks = watermarks.with_rules(&watermark.rules, per_second, spec.table.is_bounded());
        }
        let watermarks = Arc::new(watermarks);
        self.metrics.scans.push((id, spec.name.clone(), scan.clone(), watermarks.clone()));
        let workers = self.wakers.clone();
        scan.set_waker(Arc::new(move || workers.iter().for_each(|waker| waker.nudge())));
        if spec.table.is_bounded() {
            scan.progress().unfinished.store(readers, Ordering::SeqCst);
        }
        let shared = readers > 1;
        let linger = spec.tuning.linger.unwrap_or(self.config.linger.as_micros() as i64);
        let linger = if node.bounded { 0 } else { linger };
        let parts = (0..readers).map(|_| {
            let tracker = spec.watermark.as_ref().map(|watermark| {
                let time_type = node.schema.field(watermark.column).data_type().clone();
                WatermarkTracker::new(watermark, time_type, watermarks.clone(), self.context)
            });
            let target = Target { slot: 0, port: 0 };
            let compute = spec.compute.as_ref().map(|program| Computed::new(program, self.context));
            let task =
                ScanTask::new(scan.clone(), target, compute, tracker, awaited.clone(), shared, self.config.keep_open)
                    .with_system(&spec.system)
                    .with_linger(linger, self.config.batch_rows);
            Some(Part {
                stage: Stage { inputs: vec![Input::Scan(Box::new(task))], ..Stage::default() },
                end: End::Input(0),
            })
        });
        let mut parts: Parts = parts.collect();
        parts.resize_with(self.partitions, || None);
        Ok(parts)
    }

    fn values(&mut self, id: NodeId, spec: &ValuesSpec) -> Parts {
        let batch = (spec.rows > 0).then(|| Batch::from_arrays(spec.columns.clone(), spec.rows));
        let target = Target { slot: 0, port: 0 };
        let input = Input::Values { batch, target, ended: false, node: id };
        let part = Part { stage: Stage { inputs: vec![input], ..Stage::default() }, end: End::Input(0) };
        std::iter::once(Some(part)).chain((1..self.partitions).map(|_| None)).collect()
    }

    /// An operator that takes each worker's rows as they are.
    fn append_to_all(&mut self, parts: &mut Parts, id: NodeId) -> Result<()> {
        for part in parts.iter_mut().flatten() {
            let node = &self.pipeline.nodes[id];
            let input = &self.pipeline.nodes[node.inputs[0]];
            let (name, operator): (&str, Box<dyn Operator>) = match &node.spec {
                Spec::Filter(spec) => ("filter", Box::new(Filter::new(spec, self.context))),
                Spec::Project(spec) => ("project", Box::new(Project::new(&spec.program, self.context))),
                Spec::Expand(spec) => ("expand", Box::new(Expand::new(spec, self.context))),
                Spec::Lookup(spec) => ("lookup", Box::new(LookupJoin::new(spec, input.schema.clone(), self.context)?)),
                Spec::Unnest(spec) => {
                    ("unnest", Box::new(Unnest::new(spec, input.schema.clone(), node.schema.clone())))
                }
                Spec::Window(spec) => ("window", Box::new(Window::new(spec, &input.schema, self.seed, self.context)?)),
                Spec::Delay(spec) => ("delay", Box::new(Delay::new(spec))),
                Spec::Divert(spec) => {
                    let sink = self.options.late.clone();
                    ("divert", Box::new(Divert::new(spec, input.schema.clone(), sink, self.context)?))
                }
                Spec::Firing(spec) => {
                    let updating = input.changes == ChangeMode::Updating;
                    ("firing", Box::new(Firing::new(spec, node.schema.clone(), updating, self.config.batch_rows)?))
                }
                Spec::SingleRow => ("single row", Box::new(SingleRow::new(node.schema.clone()))),
                Spec::Limit(spec) => ("limit", Box::new(Limit::new(spec))),
                Spec::Upsert(spec) => ("upsert", Box::new(Upsert::new(spec, node.schema.clone())?)),
                Spec::Fold => ("fold", Box::new(Fold::new(node.schema.clone(), self.config.batch_rows)?)),
                Spec::ByKey(spec) => ("by key", Box::new(ByKey::new(spec, node.schema.clone())?)),
                _ => unreachable!("these have their own way in"),
            };
            self.append(part, name, Some(id), operator);
        }
        Ok(())
    }

    /// Whether rows reach a node as they were read: not grouped, sorted or cut off before.
    pub(super) fn is_stateless_up_to(&self, id: NodeId) -> bool {
        let node = &self.pipeline.nodes[id];
        let holds_rows = matches!(&node.spec, Spec::Window(window) if window.kind.is_per_key());
        let stays = holds_rows
            || matches!(node.spec, Spec::Upsert(_) | Spec::Fold | Spec::ByKey(_) | Spec::Custom(_) | Spec::Firing(_));
        let passes = !stays
            && !matches!(
                node.spec,
                Spec::Aggregate(_)
                    | Spec::Sets(_)
                    | Spec::Over(_)
                    | Spec::Rank(_)
                    | Spec::Sort(_)
                    | Spec::Limit(_)
                    | Spec::Join(_)
            );
        passes && node.inputs.iter().all(|input| self.is_stateless_up_to(*input))
    }

    /// A user's operator, its rows brought to where it wants them.
    fn custom(&mut self, id: NodeId, node: &Node, spec: &CustomSpec) -> Result<Parts> {
        let input = self.node(node.inputs[0])?;
        let mut parts = match &spec.operator.placement {
            Placement::Together => self.gather(input)?,
            Placement::ByKey(keys) if input.iter().flatten().count() > 1 => {
                let schema = &self.pipeline.nodes[node.inputs[0]].schema;
                let keys: Vec<(usize, DataType)> =
                    keys.iter().map(|&key| (key, schema.field(key).data_type().clone())).collect();
                self.exchange(input, Route::Keys(Arc::new(Program::columns(&keys))))?
            }
            Placement::Anywhere | Placement::ByKey(_) => input,
        };
        for part in parts.iter_mut().flatten() {
            let operator = custom(spec, self.context)?;
            self.append(part, "operator", Some(id), operator);
        }
        Ok(parts)
    }

    /// Sessions as rows: those of a key come together in one worker, their keys in front.
    fn session_rows(&mut self, id: NodeId, gap: i64, time: usize, keys: &[usize]) -> Result<Parts> {
        let input = self.pipeline.nodes[id].inputs[0];
        let schema = &self.pipeline.nodes[input].schema;
        let order: Vec<usize> = keys.iter().copied().chain(0..schema.fields().len()).collect();
        let columns: Vec<(usize, DataType)> =
            order.iter().map(|&column| (column, schema.field(column).data_type().clone())).collect();
        let program = Arc::new(Program::columns(&columns));
        let schema = Arc::new(schema.project(&order)?);
        let mut parts = self.node(input)?;
        for part in parts.iter_mut().flatten() {
            self.append(part, "project", Some(id), Box::new(Project::new(&program, self.context)));
        }
        if parts.iter().flatten().count() > 1 {
            let types = program.output_types[..keys.len()].to_vec();
            parts = self.exchange(parts, if keys.is_empty() { Route::First } else { Route::Hash(types) })?;
        }
        let rows = self.config.batch_rows;
        for part in parts.iter_mut().flatten() {
            let time = keys.len() + time;
            let operator = SessionRows::new(gap, &schema, keys.len(), time, self.seed, self.context, rows);
            self.append(part, "session", Some(id), Box::new(operator));
        }
        Ok(parts)
    }

    fn aggregate(&mut self, id: NodeId, node: &Node, spec: &AggregateSpec) -> Result<Parts> {
        let input_node = &self.pipeline.nodes[node.inputs[0]];
        let takes_back = input_node.changes == ChangeMode::Updating;
        let mut parts = self.node(node.inputs[0])?;
        let mut spec = spec.clone();
        let first = parts.iter().position(Option::is_some).unwrap_or(0);
        let mut owners = vec![first; spec.standing_groups.len()];
        let is_spread = parts.iter().flatten().count() > 1;
        let parted = match spec.standing_groups.is_empty() {
            true => parting::through(&self.parting(node.inputs[0]), &spec.program, spec.key_count),
            false => Parting::new(),
        };
        let parted = parting::fitting(&parted, spec.key_count, self.options.portable).cloned();
        if is_spread && spec.key_count > 0 {
            self.parted_by.insert(id, vec![parted.clone().unwrap_or((0..spec.key_count).collect())]);
        }
        if is_spread && parted.is_none() {
            let (program, mut shuffled) = shuffled(&spec);
            let local = may_be_local(&spec, takes_back).then(|| shuffled.clone());
            let local = local.or_else(|| different_rows(&shuffled, takes_back));
            for part in parts.iter_mut().flatten() {
                self.append(part, "project", Some(id), Box::new(Project::new(&program, self.context)));
                if let Some(local) = &local {
                    let operator = self.local_aggregate(local)?;
                    self.append(part, "local aggregate", Some(id), operator);
                }
            }
            if counts_distinct_alone(&spec, takes_back) && !self.options.portable {
                (parts, shuffled) = self.distinct_by_value(id, parts, &program, shuffled)?;
            }
            let keys = program.output_types[..spec.key_count].to_vec();
            let route = if keys.is_empty() { Route::First } else { Route::Hash(keys) };
            for (owner, group) in owners.iter_mut().zip(&spec.standing_groups) {
                *owner = route.owner(self.context, group, self.partitions)?;
            }
            parts = self.exchange(parts, route)?;
            spec = shuffled;
        }
        let rows = self.config.batch_rows;
        let groups = std::mem::take(&mut spec.standing_groups);
        for (worker, part) in parts.iter_mut().enumerate() {
            let Some(part) = part else { continue };
            let own = groups.iter().zip(&owners).filter(|(_, owner)| **owner == worker);
            spec.standing_groups = own.map(|(group, _)| group.clone()).collect();
            let operator: Box<dyn Operator> = match &spec.window {
                Some(window) => match window.kind {
                    WindowKind::Session { gap } => {
                        Box::new(SessionAggregate::new(&spec, window, gap, self.seed, self.context, rows))
                    }
                    WindowKind::Rows { size, slide } => {
                        Box::new(RowCountAggregate::new(&spec, window, (size, slide), self.seed, self.context, rows))
                    }
                    _ => Box::new(WindowedAggregate::new(&spec, window, self.seed, self.context, takes_back, rows)?),
                },
                None => Box::new(Aggregate::new(&spec, self.seed, self.context, takes_back, rows)),
            };
            self.append(part, "aggregate", Some(id), operator);
        }
        Ok(parts)
    }
}

impl Assembly<'_> {
    /// What the rows of a node are parted by.
    pub(super) fn parting(&self, id: NodeId) -> Parting {
        self.parted_by.get(&id).cloned().unwrap_or_default()
    }

    /// Notes that a node has left its rows where they were.
    fn keep_parting(&mut self, id: NodeId) {
        let node = &self.pipeline.nodes[id];
        let kept = parting::kept(node, &self.parting(node.inputs[0]));
        self.parted_by.insert(id, kept);
    }

    /// Parts rows by the arguments of DISTINCT, counts what each worker owns of them, and leaves adding up to the
    /// aggregate behind: its spec, without DISTINCT.
    fn distinct_by_value(
        &mut self,
        id: NodeId,
        parts: Parts,
        program: &Program,
        spec: AggregateSpec,
    ) -> Result<(Parts, AggregateSpec)> {
        let arg_count = spec.aggregates[0].arg_count;
        let mut parts = self.exchange(parts, Route::Hash(program.output_types[..arg_count].to_vec()))?;
        let own = AggregateSpec { standing_groups: Vec::new(), ..spec.clone() };
        for part in parts.iter_mut().flatten() {
            let aggregate = Aggregate::new(&own, self.seed, self.context, false, self.config.batch_rows);
            self.append(part, "local aggregate", Some(id), Box::new(aggregate.of_own_pairs()));
        }
        let mut sums = spec;
        sums.aggregates.iter_mut().for_each(|call| call.distinct = false);
        Ok((parts, sums))
    }

    /// The aggregate before an exchange, for the spec behind it.
    fn local_aggregate(&self, spec: &AggregateSpec) -> Result<Box<dyn Operator>> {
        let (rows, groups_max) = (self.config.batch_rows, self.config.local_groups_max);
        Ok(match &spec.window {
            Some(window) => {
                let windowed = WindowedAggregate::new(spec, window, self.seed, self.context, false, rows)?;
                Box::new(windowed.before_exchange(groups_max))
            }
            None => {
                let spec = AggregateSpec { standing_groups: Vec::new(), ..spec.clone() };
                Box::new(Aggregate::new(&spec, self.seed, self.context, false, rows).before_exchange(groups_max))
            }
        })
    }
}

/// An aggregate whose keys, arguments and time are computed before the exchange: the program that does it, and the
/// spec that reads its columns.
fn shuffled(spec: &AggregateSpec) -> (Arc<Program>, AggregateSpec) {
    let mut before = (*spec.program).clone();
    let mut after = spec.clone();
    let outputs = before.outputs.len();
    if let Some(window) = after.window.as_mut().filter(|window| window.kind.has_time()) {
        before.outputs.push(Operand::Input(window.column));
        before.output_types.push(window.data_type.clone());
        window.column = outputs;
    }
    let columns: Vec<(usize, DataType)> = before.output_types[..outputs].iter().cloned().enumerate().collect();
    after.program = Arc::new(Program::columns(&columns));
    (Arc::new(before), after)
}
