//! `ORDER BY`: of all rows, so of input that ends; with LIMIT the first rows, which may change.

use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion_expr::Sort;

use super::expression::Expressions;
use super::over::check_key;
use super::place::place_of;
use super::{Compiler, Result};
use crate::error::Error;
use crate::expression::Program;
use crate::pipeline::{ChangeMode, Completion, NodeId, RankFunction, RankSpec, SortSpec, Spec};

impl Compiler {
    pub(super) fn sort(&mut self, sort: &Sort) -> Result<NodeId> {
        let skip = std::mem::take(&mut self.skip);
        let input = self.plan(&sort.input)?;
        if self.is_continuous && sort.fetch.is_none() {
            // What is kept has no order; whoever reads it gives one.
            return Ok(input);
        }
        let place = sort.expr.iter().find_map(|key| place_of(&key.expr));
        if let (false, Some(fetch)) = (self.nodes[input].bounded, sort.fetch) {
            return self.first_rows(sort, input, skip, fetch);
        }
        let instead = "leave ORDER BY away, add LIMIT, or use EMIT FINAL";
        let input = self.folded(input, "ORDER BY", instead).map_err(|e| e.at(place))?;
        if !self.nodes[input].bounded {
            let message = "ORDER BY needs all rows, and this input does not end; leave ORDER BY away, or add LIMIT to follow the first rows";
            return Err(Error::user(message).at(place));
        }
        let columns = self.columns(input, &sort.input);
        let program = Expressions::program(&columns, sort.expr.iter().map(|key| &key.expr))?;
        let options = sort.expr.iter().map(|key| SortOptions { descending: !key.asc, nulls_first: key.nulls_first });
        let spec = SortSpec { program, options: options.collect(), fetch: sort.fetch };
        let schema = self.nodes[input].schema.clone();
        // Sorted rows are no longer in the order of their time.
        let node = self.add_above(input, Spec::Sort(spec), schema, None);
        self.nodes[node].place = place;
        Ok(node)
    }

    /// The first rows of input that changes or does not end: as changes. Their order does not show.
    fn first_rows(&mut self, sort: &Sort, input: NodeId, skip: usize, fetch: usize) -> Result<NodeId> {
        let columns = self.columns(input, &sort.input);
        let mut expressions = Expressions::new(&columns);
        let mut order = Vec::new();
        for key in &sort.expr {
            let data_type = expressions.output(&key.expr)?;
            check_key(&key.expr, &data_type, "ORDER BY")?;
            order.push(SortOptions { descending: !key.asc, nulls_first: key.nulls_first });
        }
        let node = self.first_by(input, expressions.finish(), order, skip, fetch);
        self.nodes[node].place = sort.expr.iter().find_map(|key| place_of(&key.expr));
        Ok(node)
    }

    /// The first rows by all their columns.
    pub(super) fn first_of_any(&mut self, input: NodeId, skip: usize, last: usize) -> NodeId {
        self.first_by(input, Arc::default(), Vec::new(), skip, last)
    }

    /// The rows from `skip` to `last` by what `program` computes, ties broken by all columns.
    fn first_by(
        &mut self,
        input: NodeId,
        program: Arc<Program>,
        order: Vec<SortOptions>,
        skip: usize,
        last: usize,
    ) -> NodeId {
        let spec = RankSpec {
            program,
            key_count: 0,
            order,
            function: RankFunction::RowNumber,
            first: skip as u64 + 1,
            last: last as u64,
            shows_rank: false,
            takes_back: self.nodes[input].changes == ChangeMode::Updating,
            completion: Completion::Changes,
            ttl: None,
        };
        let schema = self.nodes[input].schema.clone();
        let rank = Arc::new(Field::new("rank", DataType::UInt64, true));
        let ranked = Arc::new(Schema::new(schema.fields().iter().cloned().chain([rank]).collect::<Vec<_>>()));
        let node = self.add_rank(input, spec, ranked);
        let all: Vec<usize> = (0..schema.fields().len()).collect();
        self.add_selection(node, &all, schema)
    }
}
