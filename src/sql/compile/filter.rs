//! `WHERE` and `HAVING`: keeps rows, condition by condition.

use datafusion_expr::utils::split_conjunction;
use datafusion_expr::{Expr, Filter};

use super::columns::Columns;
use super::expression::Expressions;
use super::place::place_of;
use super::{Compiler, Result};
use crate::expression::Program;
use crate::pipeline::{FilterSpec, NodeId, Spec};

/// What a row costs in a program, in nanoseconds.
fn cost(program: &Program) -> f64 {
    program.steps.iter().map(|step| step.kernel.cost()).sum()
}

impl Compiler {
    pub(super) fn filter(&mut self, filter: &Filter) -> Result<NodeId> {
        if let Some(ranked) = self.ranked_filter(filter)? {
            return Ok(ranked);
        }
        let input = self.plan(&filter.input)?;
        let mut columns = self.columns(input, &filter.input);
        columns.time = self.nodes[input].time.as_ref().map(|time| time.column);
        self.add_filter(input, &columns, &filter.predicate)
    }

    /// Keeps the rows of `input` for which `predicate` over `columns` is true.
    pub(super) fn add_filter(&mut self, input: NodeId, columns: &Columns, predicate: &Expr) -> Result<NodeId> {
        let mut first = Vec::new();
        let mut then = Vec::new();
        for conjunct in split_conjunction(predicate) {
            let mut expressions = Expressions::new(columns);
            // Cheap conditions that cannot fail take rows away before the others look at them.
            let list = if expressions.is_cheap_and_safe(conjunct)? { &mut first } else { &mut then };
            expressions.output(conjunct)?;
            list.push(expressions.finish());
        }
        first.sort_by(|a, b| cost(a).total_cmp(&cost(b)));
        first.append(&mut then);
        let (schema, time) = (self.nodes[input].schema.clone(), self.nodes[input].time.clone());
        let node = self.add_above(input, Spec::Filter(FilterSpec { conjuncts: first }), schema, time);
        self.nodes[node].place = place_of(predicate);
        let columns: Vec<Option<usize>> = (0..self.nodes[node].schema.fields().len()).map(Some).collect();
        self.closed_after(input, node, &columns);
        Ok(node)
    }
}
