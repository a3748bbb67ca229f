//! `ROLLUP`, `CUBE`, `GROUPING SETS`: every row once per set, then one aggregate.
//!
//! The plan has the distinct keys first, then `__grouping_id`, then the aggregates. A key that is not in a set is NULL
//! in its rows. A bit of the id is set for each such key, the last key's the lowest; above these bits stands how often
//! the same set came before. So the id tells a key's own NULL from one that its set does not have, and equal sets apart.
//!
//! ```text
//! Aggregate: by k0, k1, id      a column of the window among the keys is blanked above, for no batch has it yet
//!   Expand: (a, b, 0, n) (a, NULL, 1, n) (NULL, NULL, 3, n)
//! ```

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion_common::{Column, DFSchema, ScalarValue};
use datafusion_expr::expr::Case;
use datafusion_expr::{Aggregate, Expr, GroupingSet as LogicalSets};

use super::aggregate::Grouped;
use super::call::Call;
use super::columns::{Columns, Slot, refuse};
use super::covered;
use super::expression::Expressions;
use super::place::place_of;
use super::types::engine_value;
use super::window::Windowed;
use super::{Compiler, Result};
use crate::pipeline::{
    AggregateCall, AggregateSpec, ChangeMode, EmitMode, ExpandSpec, GroupingSet, Node, NodeId, SetsSpec, Spec,
};
use crate::sql::bridge::foreign;
use crate::sql::logical::expanded;

/// One grouping set.
struct Set<'a> {
    keys: Vec<&'a Expr>,
    id: ScalarValue,
}

impl Set<'_> {
    fn has(&self, key: &Expr) -> bool {
        self.keys.contains(&key)
    }
}

impl Compiler {
    pub(super) fn grouping_sets(
        &mut self,
        sets: &LogicalSets,
        aggregate: &Aggregate,
        schema: SchemaRef,
        is_outermost: bool,
    ) -> Result<NodeId> {
        let keys = sets.distinct_expr();
        let sets = numbered(expanded(sets).map_err(foreign)?, &keys, schema.field(keys.len()).data_type())?;
        let grouped = self.grouped(&aggregate.input, &keys, &aggregate.aggr_expr, is_outermost, true)?;
        refuse_windowless(&grouped, &sets, &keys)?;
        if let Some(node) = self.sets_of_groups(&grouped, &sets, &keys, &aggregate.aggr_expr, &schema, is_outermost)? {
            return Ok(node);
        }
        let (grouped, expanded) = self.expand(grouped, &sets, &keys, &aggregate.aggr_expr, &schema)?;
        let expanded: Vec<&Expr> = expanded.iter().collect();
        let node = self.add_aggregate(&grouped, &expanded, &aggregate.aggr_expr, schema.clone(), is_outermost)?;
        self.blank_windows(node, &grouped.columns, &sets, &keys, schema)
    }

    /// Groups by the largest sets, and groups what they give by the others: where the answer leaves once, at the end, and
    /// groups can be put together. `None`: this cannot.
    fn sets_of_groups(
        &mut self,
        grouped: &Grouped,
        sets: &[Set<'_>],
        keys: &[&Expr],
        calls: &[Expr],
        schema: &SchemaRef,
        is_outermost: bool,
    ) -> Result<Option<NodeId>> {
        let Node { bounded, changes, place, .. } = self.nodes[grouped.node];
        let leaves_once = bounded && self.emit_mode(grouped, is_outermost) == EmitMode::Final;
        if grouped.window.is_some() || changes == ChangeMode::Updating || !leaves_once {
            return Ok(None);
        }
        let mut expressions = Expressions::new(&grouped.columns);
        for (key, field) in keys.iter().zip(schema.fields()) {
            expressions.output_as(key, field.data_type())?;
        }
        let (aggregates, nullable) = self.bound_calls(calls, &schema.fields()[keys.len() + 1..], &mut expressions)?;
        let mut aggregate = AggregateSpec {
            program: expressions.finish(),
            key_count: keys.len(),
            aggregates,
            standing_groups: Vec::new(),
            window: None,
            emit: EmitMode::Final,
            ttl: None,
        };
        if !aggregate.merges() {
            return Ok(None);
        }
        let mut program = Arc::unwrap_or_clone(aggregate.program);
        covered::share(&mut program, keys.len(), &mut aggregate.aggregates, &nullable);
        aggregate.program = Arc::new(program);
        let mut of_groups = Vec::with_capacity(sets.len());
        for set in sets {
            let id = engine_value(&set.id)?;
            if set.keys.is_empty() {
                let nulls = schema.fields()[..keys.len()].iter().map(|field| new_null_array(field.data_type(), 1));
                aggregate.standing_groups.push(nulls.chain([id.clone()]).collect());
            }
            let keys = keys.iter().enumerate().filter(|(_, key)| set.has(key)).map(|(index, _)| index);
            of_groups.push(GroupingSet { keys: keys.collect(), id });
        }
        let place = keys.iter().copied().chain(calls).find_map(place_of).or(place);
        Ok(Some(self.add(Node {
            spec: Spec::Sets(SetsSpec { aggregate, sets: of_groups }),
            inputs: vec![grouped.node],
            schema: schema.clone(),
            changes: ChangeMode::Append,
            time: None,
            bounded,
            place,
        })))
    }

    /// The calls of an aggregate whose results leave once, and whether each has an argument that may be NULL.
    fn bound_calls(
        &self,
        calls: &[Expr],
        fields: &[Arc<Field>],
        expressions: &mut Expressions<'_>,
    ) -> Result<(Vec<AggregateCall>, Vec<bool>)> {
        let mut bound = Vec::with_capacity(calls.len());
        let mut nullable = Vec::with_capacity(calls.len());
        for (expr, field) in calls.iter().zip(fields) {
            let call = Call::new(expr, field.data_type())?;
            nullable.push(call.takes_nulls(expressions)?);
            bound.push(call.bind(expressions, false, false)?);
        }
        Ok((bound, nullable))
    }

    /// Puts every row out once per set: what the calls read, then the keys, then the id. Also gives the keys to group by
    /// above: the columns made here, and the window's own.
    fn expand(
        &mut self,
        grouped: Grouped,
        sets: &[Set<'_>],
        keys: &[&Expr],
        calls: &[Expr],
        schema: &SchemaRef,
    ) -> Result<(Grouped, Vec<Expr>)> {
        let from = self.nodes[grouped.node].schema.clone();
        let mut passed = Passed::new(&grouped.columns, calls);
        let time = grouped.window.as_ref().map(|windowed| windowed.time.map(|time| passed.position(time)));
        let mut fields: Vec<Field> = passed.inputs.iter().map(|&input| from.field(input).clone()).collect();
        let mut sources: Vec<Option<usize>> = passed.inputs.iter().copied().map(Some).collect();
        let mut made = Vec::with_capacity(keys.len() + 1);
        let mut computed = Vec::new();
        for (index, key) in keys.iter().enumerate() {
            if grouped.columns.plain_window(key).is_some() {
                made.push((*key).clone());
                continue;
            }
            let field = schema.field(index).clone().with_name(format!("__grouping_key_{index}")).with_nullable(true);
            made.push(passed.add(&field, fields.len()));
            fields.push(field);
            sources.push(grouped.columns.plain(key).filter(|_| sets.iter().all(|set| set.has(key))));
            computed.push(*key);
        }
        let id = schema.field(keys.len()).clone();
        made.push(passed.add(&id, fields.len()));
        fields.push(id);
        sources.push(None);

        let key_fields = &fields[passed.inputs.len()..fields.len() - 1];
        let mut programs = Vec::with_capacity(sets.len());
        let mut standing = Vec::new();
        for set in sets {
            let mut expressions = Expressions::new(&grouped.columns);
            for &input in &passed.inputs {
                expressions.output_input(input, from.field(input).data_type().clone());
            }
            for (key, field) in computed.iter().zip(key_fields) {
                match set.has(key) {
                    true => expressions.output_as(key, field.data_type())?,
                    false => expressions.output_constant(new_null_array(field.data_type(), 1)),
                }
            }
            let id = engine_value(&set.id)?;
            expressions.output_constant(id.clone());
            programs.push(expressions.finish());
            if set.keys.is_empty() {
                let nulls = key_fields.iter().map(|field| new_null_array(field.data_type(), 1));
                standing.push(nulls.chain([id]).collect::<Vec<ArrayRef>>());
            }
        }
        let event_time = self.time_after(grouped.node, &sources);
        let spec = Spec::Expand(ExpandSpec { programs });
        let node = self.add_above(grouped.node, spec, Arc::new(Schema::new(fields)), event_time);
        let columns = passed.columns()?;
        let window = grouped.window.zip(time).map(|(windowed, time)| {
            let closed = windowed.closed.map(|mut closed| {
                let column = |source: &Option<usize>| source.and_then(|source| *closed.columns.get(source)?);
                closed.columns = sources.iter().map(column).collect();
                closed
            });
            Windowed { node, columns: columns.clone(), time, closed, ..windowed }
        });
        Ok((Grouped { node, columns, window, standing }, made))
    }

    /// Makes the window's columns NULL in the rows of sets that do not have them.
    fn blank_windows(
        &mut self,
        node: NodeId,
        grouped: &Columns,
        sets: &[Set<'_>],
        keys: &[&Expr],
        schema: SchemaRef,
    ) -> Result<NodeId> {
        let lacking = |key: &Expr| {
            let is_window = grouped.plain_window(key).is_some();
            sets.iter().filter(|set| is_window && !set.has(key)).map(|set| set.id.clone()).collect::<Vec<_>>()
        };
        let lacking: Vec<Vec<ScalarValue>> = keys.iter().map(|key| lacking(key)).collect();
        if lacking.iter().all(Vec::is_empty) {
            return Ok(node);
        }
        let (columns, exprs) = numbered_columns(&self.nodes[node].schema)?;
        let exprs = exprs.iter().enumerate().map(|(index, column)| match lacking.get(index) {
            Some(ids) if !ids.is_empty() => {
                let null = ScalarValue::try_from(schema.field(index).data_type()).map_err(foreign)?;
                let null = Box::new(Expr::Literal(null, None));
                let when = |id: &ScalarValue| (Box::new(Expr::Literal(id.clone(), None)), null.clone());
                let operand = Some(Box::new(exprs[keys.len()].clone()));
                let otherwise = Some(Box::new(column.clone()));
                Ok(Expr::Case(Case::new(operand, ids.iter().map(when).collect(), otherwise)))
            }
            _ => Ok(column.clone()),
        });
        let exprs = exprs.collect::<Result<Vec<Expr>>>()?;
        self.add_project(node, &columns, &exprs.iter().collect::<Vec<_>>(), schema)
    }
}

/// The columns of an expansion, as the aggregate above reads them: by the names that its calls have for them.
struct Passed {
    /// The input's columns that are passed on, in order.
    inputs: Vec<usize>,
    fields: Vec<(Option<datafusion_common::TableReference>, Arc<Field>)>,
    slots: Vec<Slot>,
}

impl Passed {
    /// What `calls` read of `columns`; the columns of a window keep their names.
    fn new(columns: &Columns, calls: &[Expr]) -> Self {
        let mut passed = Passed { inputs: Vec::new(), fields: Vec::new(), slots: Vec::new() };
        let read = calls.iter().flat_map(|call| call.column_refs());
        let read: HashSet<usize> = read.filter_map(|column| columns.schema.maybe_index_of_column(column)).collect();
        for (index, slot) in columns.slots.iter().enumerate() {
            let slot = match slot {
                Slot::Input { .. } if !read.contains(&index) => continue,
                Slot::Input { index, data_type } => {
                    Slot::Input { index: passed.position(*index), data_type: data_type.clone() }
                }
                window => window.clone(),
            };
            let (qualifier, field) = columns.schema.qualified_field(index);
            passed.fields.push((qualifier.cloned(), field.clone()));
            passed.slots.push(slot);
        }
        passed
    }

    /// Where the input's column `input` comes out.
    fn position(&mut self, input: usize) -> usize {
        self.inputs.iter().position(|known| *known == input).unwrap_or_else(|| {
            self.inputs.push(input);
            self.inputs.len() - 1
        })
    }

    /// Names column `index` of the expansion.
    fn add(&mut self, field: &Field, index: usize) -> Expr {
        let data_type = field.data_type().clone();
        self.fields.push((None, Arc::new(field.clone())));
        self.slots.push(Slot::Input { index, data_type });
        Expr::Column(Column::new_unqualified(field.name()))
    }

    fn columns(self) -> Result<Columns> {
        let schema = DFSchema::new_with_metadata(self.fields, HashMap::new()).map_err(foreign)?;
        Ok(Columns { schema, slots: self.slots, time: None })
    }
}

/// The columns of a node under their numbers, and an expression for each.
fn numbered_columns(schema: &Schema) -> Result<(Columns, Vec<Expr>)> {
    let fields = schema.fields().iter().enumerate();
    let fields: Vec<Field> =
        fields.map(|(index, field)| field.as_ref().clone().with_name(format!("{index}"))).collect();
    let names = DFSchema::try_from(Schema::new(fields)).map_err(foreign)?;
    let exprs = names.columns().into_iter().map(Expr::Column).collect();
    Ok((Columns::whole(&names, schema), exprs))
}

/// Fails where a windowed aggregate has a set that says nothing of the window: its groups would never close.
fn refuse_windowless(grouped: &Grouped, sets: &[Set<'_>], keys: &[&Expr]) -> Result<()> {
    let Some(windowed) = &grouped.window else { return Ok(()) };
    let of_closed = |key: &&Expr| {
        let column = grouped.columns.plain(key);
        windowed.closed.as_ref().zip(column).is_some_and(|(closed, column)| closed.columns[column].is_some())
    };
    let has_window = |set: &Set<'_>| set.keys.iter().any(|key| grouped.columns.reads_window(key) || of_closed(key));
    match sets.iter().all(has_window) {
        true => Ok(()),
        false => Err(refuse(keys[0], "every grouping set of a windowed aggregate needs window_start or window_end")),
    }
}

/// The sets with their ids, which have the type `id`.
fn numbered<'a>(sets: Vec<Vec<&'a Expr>>, keys: &[&Expr], id: &DataType) -> Result<Vec<Set<'a>>> {
    if keys.len() >= u64::BITS as usize {
        return Err(refuse(keys[0], "grouping sets over more than 63 keys are not supported"));
    }
    // A set is what it lacks: CUBE(a, b), ROLLUP(a, b) makes (a, a, b) of (a, b) as well.
    let lacking = |set: &Vec<&Expr>| -> u64 {
        let bit = |(index, key): (usize, &&Expr)| u64::from(!set.contains(key)) << (keys.len() - 1 - index);
        keys.iter().enumerate().map(bit).sum()
    };
    let lacking: Vec<u64> = sets.iter().map(lacking).collect();
    let number = |index: usize| {
        let repeats = lacking[..index].iter().filter(|earlier| **earlier == lacking[index]).count();
        let number = ScalarValue::UInt64(Some((repeats as u64) << keys.len() | lacking[index]));
        number.cast_to(id).map_err(foreign)
    };
    let ids = (0..sets.len()).map(number).collect::<Result<Vec<_>>>()?;
    Ok(sets.into_iter().zip(ids).map(|(keys, id)| Set { keys, id }).collect())
}
