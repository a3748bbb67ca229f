//! `ORDER BY`: of all rows, so of input that ends.

use arrow::compute::SortOptions;
use datafusion_expr::Sort;

use super::expression::Expressions;
use super::place::place_of;
use super::{Compiler, Result};
use crate::error::Error;
use crate::pipeline::{NodeId, SortSpec, Spec};

impl Compiler {
    pub(super) fn sort(&mut self, sort: &Sort) -> Result<NodeId> {
        let input = self.plan(&sort.input)?;
        if self.is_continuous && sort.fetch.is_none() {
            // What is kept has no order; whoever reads it gives one.
            return Ok(input);
        }
        let place = sort.expr.iter().find_map(|key| place_of(&key.expr));
        let instead = "leave ORDER BY away, or use EMIT FINAL";
        let input = self.folded(input, "ORDER BY", instead).map_err(|e| e.at(place))?;
        if !self.nodes[input].bounded {
            let message = "ORDER BY needs all rows, and this input does not end; leave ORDER BY away";
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
}
