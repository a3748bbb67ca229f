//! The naive runner: every node over all rows at once, in one thread.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array};
use arrow::compute::{SortColumn, concat_batches, filter_record_batch, lexsort_to_indices, take, take_record_batch};
use arrow::row::{RowConverter, SortField};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::world::{catalog, compiled_in};
use crate::batch::{Argument, Batch, Column};
use crate::error::Result;
use crate::expression::{Evaluator, Operand, Program};
use crate::function::{KernelContext, Update};
use crate::pipeline::{AggregateSpec, GroupingSet, NodeId, Pipeline, Spec, WindowKind};
use crate::sql::Catalog;

/// The answer of a query as text, a line per row; unsorted answers are sorted as text.
pub fn answer(sql: &str) -> String {
    answer_in(catalog(), sql).unwrap_or_else(|e| panic!("{sql}: {e}"))
}

/// The same over a catalog, or why there is none.
pub fn answer_in(catalog: Catalog, sql: &str) -> Result<String> {
    let pipeline = compiled_in(catalog, sql)?;
    let rows = run(&pipeline, pipeline.nodes.len() - 1)?;
    let mut lines = shown(&rows);
    let sorted = pipeline.nodes.iter().any(|node| matches!(node.spec, Spec::Sort(_) | Spec::Limit(_)));
    if !sorted {
        lines.sort();
    }
    Ok(lines.join("\n"))
}

/// Runs a query that fails and gives its error.
pub fn failure(sql: &str) -> String {
    answer_in(catalog(), sql).expect_err("fails").to_string()
}

fn shown(rows: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::new().with_null("NULL");
    let columns: Vec<ArrayFormatter<'_>> =
        rows.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    let line = |row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(" | ");
    (0..rows.num_rows()).map(line).collect()
}

fn run(pipeline: &Pipeline, id: NodeId) -> Result<RecordBatch> {
    let node = &pipeline.nodes[id];
    let inputs = node.inputs.iter().map(|&input| run(pipeline, input)).collect::<Result<Vec<_>>>()?;
    let record = |columns: Vec<ArrayRef>, rows: usize| {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let loose = node.schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
        let schema = Arc::new(arrow::datatypes::Schema::new(loose.collect::<Vec<_>>()));
        RecordBatch::try_new_with_options(schema, columns, &options).unwrap()
    };
    Ok(match &node.spec {
        Spec::Scan(scan) => {
            let rows = super::world::rows();
            rows.project(&scan.projection)?
        }
        Spec::Values(values) => record(values.columns.clone(), values.rows),
        Spec::Filter(filter) => {
            let mut rows = inputs[0].clone();
            for conjunct in &filter.conjuncts {
                let keep = evaluate(conjunct, &rows)?.remove(0);
                let keep: BooleanArray = keep.as_boolean().iter().map(|keep| Some(keep == Some(true))).collect();
                rows = filter_record_batch(&rows, &keep)?;
            }
            rows
        }
        Spec::Project(project) => record(evaluate(&project.program, &inputs[0])?, inputs[0].num_rows()),
        Spec::Expand(expand) => {
            let branch = |program| Ok(record(evaluate(program, &inputs[0])?, inputs[0].num_rows()));
            let parts = expand.programs.iter().map(branch).collect::<Result<Vec<RecordBatch>>>()?;
            concat_batches(&parts[0].schema(), &parts)?
        }
        Spec::Union => {
            let parts: Vec<RecordBatch> =
                inputs.iter().map(|input| record(input.columns().to_vec(), input.num_rows())).collect();
            concat_batches(&parts[0].schema(), &parts)?
        }
        Spec::Sort(sort) => {
            let keys = evaluate(&sort.program, &inputs[0])?.into_iter().zip(&sort.options);
            let keys: Vec<SortColumn> =
                keys.map(|(values, options)| SortColumn { values, options: Some(*options) }).collect();
            take_record_batch(&inputs[0], &lexsort_to_indices(&keys, sort.fetch)?)?
        }
        Spec::Limit(limit) => {
            let from = limit.skip.min(inputs[0].num_rows());
            let rest = inputs[0].num_rows() - from;
            inputs[0].slice(from, limit.fetch.map_or(rest, |fetch| fetch.min(rest)))
        }
        Spec::Fold | Spec::ByKey(_) | Spec::Delay(_) | Spec::Divert(_) | Spec::Firing(_) => inputs[0].clone(),
        Spec::Custom(_) => panic!("users' operators are for the real runner"),
        Spec::Recursion(_) | Spec::WorkTable => panic!("recursions are for the real runner"),
        Spec::Join(_)
        | Spec::SingleRow
        | Spec::Window(_)
        | Spec::Unnest(_)
        | Spec::Lookup(_)
        | Spec::Upsert(_)
        | Spec::Over(_)
        | Spec::Rank(_) => {
            panic!("these are for the real runner")
        }
        Spec::Sets(sets) => {
            // All rows once for each set, grouped by the set's keys and its number.
            let rows = inputs[0].num_rows();
            let wide = evaluate(&sets.aggregate.program, &inputs[0])?;
            let (keys, args) = wide.split_at(sets.aggregate.key_count);
            let part = |set: &GroupingSet| {
                let key = |(at, key): (usize, &ArrayRef)| match set.keys.contains(&at) {
                    true => key.clone(),
                    false => new_null_array(key.data_type(), rows),
                };
                let id = take(&set.id, &UInt32Array::from(vec![0; rows]), None).expect("one number");
                let columns = keys.iter().enumerate().map(key).chain([id]).chain(args.iter().cloned());
                let named = columns.enumerate().map(|(at, column)| (format!("c{at}"), column, true));
                RecordBatch::try_from_iter_with_nullable(named).expect("columns of as many rows")
            };
            let parts: Vec<RecordBatch> = sets.sets.iter().map(part).collect();
            let columns = grouped(&sets.merged(), &concat_batches(&parts[0].schema(), &parts)?)?;
            let rows = columns.first().map_or(1, |column| column.len());
            record(columns, rows)
        }
        Spec::Aggregate(aggregate) => {
            let columns = grouped(aggregate, &inputs[0])?;
            let rows = columns.first().map_or(1, |column| column.len());
            record(columns, rows)
        }
    })
}

/// The outputs of a program over all rows, as arrays.
pub fn evaluate(program: &Arc<Program>, rows: &RecordBatch) -> Result<Vec<ArrayRef>> {
    let mut evaluator = Evaluator::new(program.clone(), KernelContext::default());
    let mut batch = Batch::from_record(rows);
    evaluator.run(&batch)?;
    let columns = program.output_types.iter().enumerate().map(|(index, data_type)| {
        let mut column = Column::default();
        evaluator.take_output(&mut batch, index, &mut column);
        let array = column.to_array(data_type, rows.num_rows(), &Default::default())?;
        assert_eq!(array.data_type(), data_type, "output {index} of {program}");
        Ok(array)
    });
    columns.collect()
}

/// Groups all rows, window by window where there are any, in two halves that are merged.
fn grouped(spec: &AggregateSpec, rows: &RecordBatch) -> Result<Vec<ArrayRef>> {
    let mut inputs = evaluate(&spec.program, rows)?;
    let mut kept: Vec<u32> = (0..rows.num_rows() as u32).collect();
    let mut window_columns: Vec<ArrayRef> = Vec::new();
    if let Some(window) = &spec.window {
        let millis = arrow::compute::cast(rows.column(window.column), &arrow::datatypes::DataType::Int64)?;
        let millis = millis.as_primitive::<arrow::datatypes::Int64Type>();
        let mut starts = Vec::new();
        let (size, slide, offset) = match window.kind {
            WindowKind::Tumble { size, offset } => (size, size, offset),
            WindowKind::Hop { size, slide, offset } => (size, slide, offset),
            ref other => panic!("no such window here: {other:?}"),
        };
        kept.clear();
        for row in 0..rows.num_rows() {
            let time = millis.value(row);
            let mut start = (time - offset).div_euclid(slide) * slide;
            while start + size > time {
                kept.push(row as u32);
                starts.push(start);
                start -= slide;
            }
        }
        for output in &window.outputs {
            let value = |start: &i64| match output {
                crate::pipeline::WindowColumn::Start => *start,
                crate::pipeline::WindowColumn::End => start + size,
                crate::pipeline::WindowColumn::Time => start + size - 1,
            };
            let ticks = arrow::array::Int64Array::from_iter_values(starts.iter().map(value));
            window_columns.push(arrow::compute::cast(&ticks, &window.data_type)?);
        }
        let indices = UInt32Array::from(kept.clone());
        inputs = inputs.iter().map(|input| arrow::compute::take(input, &indices, None).unwrap()).collect();
    }
    let row_count = kept.len();
    let keys: Vec<ArrayRef> = inputs[..spec.key_count].iter().chain(&window_columns).cloned().collect();
    let (groups, group_count, out_keys) = number_groups(&keys, row_count)?;
    let mut columns = out_keys;
    let mut at = spec.key_count;
    let own = spec.aggregates.iter().map(|call| {
        let from = at;
        at += call.arg_count + usize::from(call.filtered);
        (from, call)
    });
    let own: Vec<_> = own.collect();
    for (number, call) in spec.aggregates.iter().enumerate() {
        // A call that is read from another's states sees what that one sees.
        let (at, owner) = own[call.of.unwrap_or(number)];
        let args = &inputs[at..at + owner.arg_count];
        let constants: Vec<Option<ArrayRef>> = spec.program.outputs[at..at + owner.arg_count]
            .iter()
            .map(|output| match output {
                Operand::Constant(constant) => Some(spec.program.constants[*constant].0.clone()),
                _ => None,
            })
            .collect();
        let filter = owner.filtered.then(|| inputs[at + owner.arg_count].as_boolean().clone());
        let wanted = distinct_rows(owner.distinct, args, filter.as_ref(), &groups)?;
        let half = row_count / 2;
        let mut tables = [call.function.states(), call.function.states()];
        for (table, range) in tables.iter_mut().zip([0..half, half..row_count]) {
            let args: Vec<Column> = args
                .iter()
                .zip(&constants)
                .map(|(arg, constant)| match constant {
                    Some(value) => Column::Constant(value.clone()),
                    None => Column::Array(arg.slice(range.start, range.len())),
                })
                .collect();
            let args: Vec<Argument<'_>> = args.iter().map(|column| Argument::new(column, None, range.len())).collect();
            // Validity travels beside the column, as the evaluator gives it.
            let validity: Vec<Option<Vec<u64>>> = args.iter().map(|arg| words_of_nulls(arg.column())).collect();
            let args: Vec<Argument<'_>> = args
                .iter()
                .zip(&validity)
                .map(|(arg, validity)| Argument::new(arg.column(), validity.as_deref(), range.len()))
                .collect();
            let filter = words(range.clone().map(|row| wanted[row]));
            table.update(
                &KernelContext::default(),
                &Update { groups: &groups[range], group_count, args: &args, filter: Some(&filter), changes: None },
            )?;
        }
        let [mut first, mut second] = tables;
        let all: Vec<u32> = (0..group_count as u32).collect();
        first.merge(&all, group_count, second.as_mut())?;
        let mut out = Column::default();
        first.finish(&all, &mut out)?;
        let array = out.to_array(&call.function.result_type(), group_count, &Default::default())?;
        assert_eq!(array.data_type(), &call.function.result_type());
        columns.push(array);
    }
    Ok(columns)
}

fn number_groups(keys: &[ArrayRef], rows: usize) -> Result<(Vec<u32>, usize, Vec<ArrayRef>)> {
    if keys.is_empty() {
        return Ok((vec![0; rows], 1, Vec::new()));
    }
    let converter = RowConverter::new(keys.iter().map(|key| SortField::new(key.data_type().clone())).collect())?;
    let converted = converter.convert_columns(keys)?;
    let mut known: Vec<usize> = Vec::new();
    let mut groups = Vec::with_capacity(rows);
    for row in 0..rows {
        let group = known.iter().position(|&first| converted.row(first) == converted.row(row)).unwrap_or_else(|| {
            known.push(row);
            known.len() - 1
        });
        groups.push(group as u32);
    }
    let first = UInt32Array::from_iter_values(known.iter().map(|&row| row as u32));
    let keys = keys.iter().map(|key| arrow::compute::take(key, &first, None).unwrap()).collect();
    Ok((groups, known.len(), keys))
}

/// Which rows a call takes: those its filter lets pass, and of equal ones the first when it says DISTINCT.
fn distinct_rows(
    distinct: bool,
    args: &[ArrayRef],
    filter: Option<&BooleanArray>,
    groups: &[u32],
) -> Result<Vec<bool>> {
    use arrow::array::Array;
    let passes = |row: usize| filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
    let mut wanted: Vec<bool> = (0..groups.len()).map(passes).collect();
    if distinct {
        let (values, ..) = number_groups(args, groups.len())?;
        let mut seen = std::collections::HashSet::new();
        for row in 0..groups.len() {
            wanted[row] = wanted[row] && seen.insert((groups[row], values[row]));
        }
    }
    Ok(wanted)
}

fn words(bits: impl Iterator<Item = bool>) -> Vec<u64> {
    let mut words = Vec::new();
    for (row, bit) in bits.enumerate() {
        if row % 64 == 0 {
            words.push(0);
        }
        words[row / 64] |= u64::from(bit) << (row % 64);
    }
    words
}

fn words_of_nulls(column: &Column) -> Option<Vec<u64>> {
    use arrow::array::Array;
    let Column::Array(array) = column else { return None };
    (array.null_count() > 0).then(|| words((0..array.len()).map(|row| array.is_valid(row))))
}
