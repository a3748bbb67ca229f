//! Tells programs what their inputs are called, so that errors name the expression as people know it.

use std::sync::Arc;

use crate::expression::Program;
use crate::pipeline::{Pipeline, Spec};

/// The pipeline, each of its programs with the names of its inputs.
pub(super) fn named(pipeline: &Pipeline) -> Pipeline {
    let mut named = pipeline.clone();
    for node in &mut named.nodes {
        let schema = node.inputs.first().map_or(&node.schema, |input| &pipeline.nodes[*input].schema);
        let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let name = |program: &mut Arc<Program>| Arc::make_mut(program).names.clone_from(&names);
        match &mut node.spec {
            Spec::Scan(scan) => {
                scan.watermark.iter_mut().for_each(|watermark| name(&mut watermark.program));
                if let Some(compute) = &mut scan.compute {
                    let table = scan.table.schema();
                    let read = scan.projection.iter().map(|&column| table.field(column).name().clone());
                    Arc::make_mut(compute).names = read.collect();
                }
            }
            Spec::Filter(filter) => filter.conjuncts.iter_mut().for_each(name),
            Spec::Project(project) => name(&mut project.program),
            Spec::Lookup(lookup) => {
                name(&mut lookup.keys);
                let table = lookup.lookup.schema.fields().iter().map(|field| field.name().clone());
                let both: Vec<String> = names.iter().cloned().chain(table).collect();
                lookup.conditions.iter_mut().for_each(|program| Arc::make_mut(program).names.clone_from(&both));
            }
            Spec::Expand(expand) => expand.programs.iter_mut().for_each(name),
            Spec::Aggregate(aggregate) => name(&mut aggregate.program),
            Spec::Sets(sets) => name(&mut sets.aggregate.program),
            Spec::Over(over) => name(&mut over.program),
            Spec::Rank(rank) => name(&mut rank.program),
            Spec::Sort(sort) => name(&mut sort.program),
            Spec::Join(join) => {
                let right = pipeline.nodes[node.inputs[1]].schema.fields().iter().map(|field| field.name().clone());
                let right: Vec<String> = right.collect();
                name(&mut join.left_keys);
                Arc::make_mut(&mut join.right_keys).names.clone_from(&right);
                let both: Vec<String> = names.iter().cloned().chain(right).collect();
                join.residual.iter_mut().for_each(|residual| Arc::make_mut(residual).names.clone_from(&both));
            }
            Spec::Values(_)
            | Spec::Unnest(_)
            | Spec::Window(_)
            | Spec::Union
            | Spec::Limit(_)
            | Spec::SingleRow
            | Spec::Recursion(_)
            | Spec::WorkTable => {}
            Spec::Upsert(_) | Spec::Fold | Spec::ByKey(_) | Spec::Custom(_) => {}
            Spec::Delay(_) | Spec::Divert(_) | Spec::Firing(_) => {}
        }
    }
    named
}
