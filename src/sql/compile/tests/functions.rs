//! Users' functions: our traits behind DataFusion's names.

use std::sync::Arc;

use arrow::datatypes::DataType;

use super::run::answer_in;
use super::world::{catalog, compiled_in};
use crate::batch::{Argument, Column, Flat, Values};
use crate::error::{Error, Result};
use crate::function::{AggregateFunction, KernelContext, ScalarKernel, aggregate};
use crate::pipeline::explain;
use crate::sql::Catalog;
use crate::sql::bridge::function::{AggregateOverload, ScalarOverload, aggregate_udf, scalar_udf};

/// Three times an integer, and an error for 21.
#[derive(Debug)]
struct Thrice;

impl ScalarKernel for Thrice {
    fn name(&self) -> &str {
        "thrice"
    }

    fn result_type(&self) -> DataType {
        DataType::Int64
    }

    fn evaluate(&self, _: &KernelContext, args: &[Argument<'_>], rows: usize, out: &mut Column) -> Result<()> {
        let values = args[0].values::<i64>()?;
        let value = |row: usize| 3 * values[if args[0].is_constant() { 0 } else { row }];
        let values: Vec<i64> = (0..rows).map(value).collect();
        if values.contains(&21) {
            return Err(Error::user("thrice seven"));
        }
        let mut flat = Flat::new(Values::I64(values));
        flat.rows = rows;
        flat.set_validity(args[0].validity());
        *out = Column::Flat(flat);
        Ok(())
    }
}

fn with_functions() -> Catalog {
    let mut catalog = catalog();
    let scalar = scalar_udf("thrice", vec![ScalarOverload::Exact(vec![DataType::Int64], Arc::new(Thrice))]);
    catalog.functions_mut().add_udf(Arc::new(scalar));
    let bind =
        |types: &[DataType]| -> Option<Arc<dyn AggregateFunction>> { aggregate::resolve("max", types, &types[0]) };
    let aggregate = aggregate_udf("greatest_of", vec![AggregateOverload::Any(Arc::new(bind))]);
    catalog.functions_mut().add_udaf(Arc::new(aggregate));
    catalog
}

#[test]
fn run_as_kernels_of_our_own() {
    let sql = "SELECT thrice(j) AS x FROM t WHERE j <> 7 ORDER BY ts";
    let pipeline = compiled_in(with_functions(), sql).unwrap();
    assert!(!explain(&pipeline).contains("foreign"), "{}", explain(&pipeline));
    assert_eq!(answer_in(with_functions(), sql).unwrap(), "30\n0\n-9\n0\n15");
    assert!(answer_in(with_functions(), "SELECT thrice(j) FROM t").unwrap_err().message().contains("thrice seven"));
}

#[test]
fn run_inside_branches_that_only_datafusion_evaluates() {
    let sql = "SELECT CASE WHEN j <> 7 THEN thrice(j) END AS x FROM t ORDER BY ts";
    assert_eq!(answer_in(with_functions(), sql).unwrap(), "30\n0\n-9\nNULL\n0\n15");
}

#[test]
fn aggregates_run_their_own_states() {
    assert_eq!(answer_in(with_functions(), "SELECT greatest_of(j), greatest_of(k) FROM t").unwrap(), "10 | b");
    let wrong = compiled_in(with_functions(), "SELECT greatest_of(ARRAY[1]) FROM t").unwrap_err();
    assert!(wrong.message().contains("does not take arguments of these types"), "{wrong}");
}
