//! Kernels over whole columns.

use millstream::arrow::datatypes::DataType;
use millstream::error::{Error, Result};
use millstream::function::custom::{Vector, VectorCall, with_scratch};

use super::{engine, error, rows};

fn add_up(call: &mut VectorCall<'_, '_>) -> Result<()> {
    let (a, b) = (call.arg(0), call.arg(1));
    let (left, right) = (a.values::<i64>()?, b.values::<i64>()?);
    let at = |constant: bool, row: usize| if constant { 0 } else { row };
    let sums = with_scratch::<i64, _>(|sums| {
        sums.clear();
        sums.extend(
            (0..call.rows()).map(|row| left[at(a.is_constant(), row)].wrapping_add(right[at(b.is_constant(), row)])),
        );
        std::mem::take(sums)
    });
    call.output::<i64>()?.copy_from_slice(&sums);
    call.nulls_of_args();
    Ok(())
}

#[test]
fn they_see_columns_and_write_into_what_is_there() {
    let engine = engine();
    let types = [DataType::Int64, DataType::Int64];
    engine.register(Vector::new("add_up", &types, DataType::Int64, add_up).infallible()).unwrap();
    let table = "(VALUES (1, 10), (2, NULL), (3, 30)) AS t(a, b)";
    assert_eq!(rows(&engine, &format!("SELECT add_up(a, b) FROM {table}")), ["11", "NULL", "33"]);
    assert_eq!(rows(&engine, &format!("SELECT add_up(a, 5) FROM {table} WHERE a <> 2")), ["6", "8"]);
}

#[test]
fn another_length_or_type_than_promised_is_refused() {
    let engine = engine();
    let register = |name: &str, kernel: fn(&mut VectorCall<'_, '_>) -> Result<()>| {
        engine.register(Vector::new(name, &[DataType::Int64], DataType::Int64, kernel)).unwrap();
    };
    register("short", |call| {
        call.output_array(std::sync::Arc::new(millstream::arrow::array::Int64Array::from(vec![1])));
        Ok(())
    });
    register("typed", |call| {
        let rows = call.rows();
        call.output_array(millstream::arrow::array::new_null_array(&DataType::Float64, rows));
        Ok(())
    });
    register("idle", |_| Ok(()));
    register("cross", |call| call.output::<f64>().map(|_| ()));
    register("past", |call| {
        let rows = call.rows();
        call.output::<i64>()?[rows] = 1;
        Ok(())
    });
    register("failing", |_| Err(Error::user("no luck")));
    let table = "(VALUES (1), (2)) AS t(a)";
    let message = |call: &str| error(&engine, &format!("SELECT {call}(a) FROM {table}"));
    assert!(message("short").contains("the function short made 1 rows of 2"), "{}", message("short"));
    assert!(
        message("typed").contains("the function typed made a column of another type: Float64"),
        "{}",
        message("typed")
    );
    assert!(message("idle").contains("the function idle made no output"), "{}", message("idle"));
    assert!(message("cross").contains("function cross: the output is Int64"), "{}", message("cross"));
    assert!(message("past").contains("the function past panicked: index out of bounds"), "{}", message("past"));
    assert!(message("failing").contains("function failing: no luck"), "{}", message("failing"));
    assert_eq!(rows(&engine, "SELECT 1"), ["1"]);
}
