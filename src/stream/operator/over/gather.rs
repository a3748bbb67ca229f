//! Rows gathered until their partitions are complete: when the input ends, or when the window they belong to has closed.
//!
//! Owns        the rows, wide: all of them, or those of each open window.

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;

use super::OverShape;
use super::evaluate::{Before, evaluate, partitions};
use crate::batch::Batch;
use crate::error::Result;
use crate::stream::operator::held::{Held, push_in_batches};
use crate::stream::operator::{Ending, Next, Operator};

/// A running OVER over partitions that end.
pub struct Over {
    shape: OverShape,
    held: Held,
}

impl Over {
    pub fn new(shape: OverShape) -> Self {
        let held = Held::new(shape.types.clone());
        Over { shape, held }
    }
}

/// Computes all calls over wide rows and pushes the rows on with the results behind them.
fn push_results(shape: &OverShape, wide: &[ArrayRef], rows: usize, next: &mut Next<'_>) -> Result<()> {
    if rows == 0 {
        return Ok(());
    }
    let (of_rows, count) = partitions(shape, wide, rows)?;
    let evaluated = evaluate(shape, wide, &of_rows, count, &Before::default())?;
    let order = UInt32Array::from(evaluated.rows);
    let mut columns = shape.own(wide).iter().map(|column| Ok(take(column, &order, None)?)).collect::<Result<Vec<_>>>()?;
    columns.extend(evaluated.results);
    push_in_batches(&columns, rows, shape.batch_rows, next)
}

impl Operator for Over {
    fn push(&mut self, _port: usize, batch: &mut Batch, _next: &mut Next<'_>) -> Result<()> {
        self.held.push_batch(batch)
    }

    fn finish(&mut self, ending: Ending, next: &mut Next<'_>) -> Result<()> {
        if ending == Ending::Hold {
            return Ok(());
        }
        let rows = self.held.rows();
        let wide = self.held.take()?;
        push_results(&self.shape, &wide, rows, next)
    }

    fn size_bytes(&self) -> usize {
        self.held.size_bytes()
    }
}
