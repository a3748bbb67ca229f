//! The kit for kernels finds what is wrong with them, and nothing wrong with those that are right.
#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use millstream::arrow::array::{Array, AsArray, Int64Array, StringViewArray};
use millstream::arrow::datatypes::DataType;
use millstream::batch::Column;
use millstream::error::Result;
use millstream::function::custom::{Scalar, StringWriter, Timestamp, Vector, VectorCall};
use millstream::testing::{bench_kernel, check_kernel};

millstream::testing::kernel!(a_product_is_right, Scalar::new("fma", |a: f64, b: f64| a * b + 1.0), |a: f64, b: f64| a
    * b
    + 1.0);
millstream::testing::kernel!(
    texts_are_right,
    Scalar::new("initials", |text: &str, out: &mut StringWriter| out.push_str(text.get(..1).unwrap_or("?"))),
    |text: &str| text.get(..1).unwrap_or("?").to_string()
);
millstream::testing::kernel!(
    nulls_are_right,
    Scalar::new("later", |at: Timestamp, by: Option<i64>| by.map(|by| Timestamp(at.0.wrapping_add(by)))),
    |at: Timestamp, by: Option<i64>| by.map(|by| Timestamp(at.0.wrapping_add(by)))
);
millstream::testing::kernel!(
    failures_are_right,
    Scalar::new("root", |x: f64| if x < 0.0 { Err("negative") } else { Ok(x.sqrt()) }),
    |x: f64| if x < 0.0 { Err("negative") } else { Ok(x.sqrt()) }
);
millstream::testing::kernel!(
    booleans_are_right,
    Scalar::new("both", |a: bool, b: bool, n: i8| a && b && n > 0),
    |a: bool, b: bool, n: i8| a & b & (n > 0)
);

type Kernel = fn(&mut VectorCall<'_, '_>) -> Result<()>;

/// The sum of two numbers that wraps, written by hand.
fn sum(call: &mut VectorCall<'_, '_>, rows: usize, at: impl Fn(i64, i64, usize) -> i64) -> Result<()> {
    let (a, b) = (call.arg(0), call.arg(1));
    let (left, right) = (a.values::<i64>()?, b.values::<i64>()?);
    let (step, stride) = (usize::from(!a.is_constant()), usize::from(!b.is_constant()));
    let out = call.output::<i64>()?;
    for (row, out) in out.iter_mut().enumerate().take(rows) {
        *out = at(left[row * step], right[row * stride], row);
    }
    Ok(())
}

fn check(kernel: Kernel) -> std::result::Result<(), String> {
    let types = [DataType::Int64, DataType::Int64];
    check_kernel(Vector::new("sum", &types, DataType::Int64, kernel), |a: i64, b: i64| a.wrapping_add(b))
}

#[test]
fn a_kernel_written_by_hand_is_right() {
    check(|call| {
        sum(call, call.rows(), |a, b, _| a.wrapping_add(b))?;
        call.nulls_of_args();
        Ok(())
    })
    .unwrap();
}

#[test]
fn ten_planted_faults_are_found() {
    let faults: [(&str, Kernel); 10] = [
        ("a null is taken for zero", |call| sum(call, call.rows(), |a, b, _| a.wrapping_add(b))),
        ("the last row is forgotten", |call| {
            sum(call, call.rows().saturating_sub(1), |a, b, _| a.wrapping_add(b))?;
            call.nulls_of_args();
            Ok(())
        }),
        ("one level gives another result", |call| {
            let is_wide = millstream_kernels::level::name(call.level()) != "sse2";
            sum(call, call.rows(), |a, b, row| a.wrapping_add(b).wrapping_add(i64::from(is_wide && row == 9)))?;
            call.nulls_of_args();
            Ok(())
        }),
        ("a constant is read as a column", |call| {
            let (a, b) = (call.arg(0).values::<i64>()?, call.arg(1).values::<i64>()?);
            let rows = call.rows();
            let out = call.output::<i64>()?;
            (0..rows).for_each(|row| out[row] = a[row].wrapping_add(b[row]));
            call.nulls_of_args();
            Ok(())
        }),
        ("an overflow stays at the greatest number", |call| {
            sum(call, call.rows(), |a, b, _| a.saturating_add(b))?;
            call.nulls_of_args();
            Ok(())
        }),
        ("the nulls of a slice are read from where it is cut", |call| {
            sum(call, call.rows(), |a, b, _| a.wrapping_add(b))?;
            call.nulls_of_args();
            let arrays = [call.arg(0).column(), call.arg(1).column()];
            if let [Column::Array(first), Column::Array(second)] = arrays {
                let bit = |array: &dyn Array, row: usize| {
                    array.nulls().is_none_or(|nulls| nulls.buffer()[row / 8] >> (row % 8) & 1 == 1)
                };
                let there: Vec<bool> = (0..call.rows()).map(|row| bit(first, row) && bit(second, row)).collect();
                for (word, bits) in call.validity().iter_mut().zip(there.chunks(64)) {
                    *word = bits.iter().enumerate().fold(0, |word, (at, &there)| word | u64::from(there) << at);
                }
            }
            Ok(())
        }),
        ("a null of one argument is forgotten", |call| {
            sum(call, call.rows(), |a, b, _| a.wrapping_add(b))?;
            let validity: Option<Vec<u64>> = call.arg(0).validity().map(<[u64]>::to_vec);
            let words = call.rows().div_ceil(64);
            if let Some(validity) = validity {
                call.validity().copy_from_slice(&validity[..words]);
            }
            Ok(())
        }),
        ("rows behind the first block are forgotten", |call| {
            sum(call, call.rows(), |a, b, row| if row < 256 { a.wrapping_add(b) } else { a })?;
            call.nulls_of_args();
            Ok(())
        }),
        ("a null constant is a value", |call| {
            sum(call, call.rows(), |a, b, _| a.wrapping_add(b))?;
            let is_constant = call.arg(1).is_constant();
            if !is_constant {
                call.nulls_of_args();
            }
            Ok(())
        }),
        ("it remembers what it saw before", |call| {
            static SEEN: AtomicI64 = AtomicI64::new(0);
            let seen = SEEN.fetch_add(1, Ordering::Relaxed);
            sum(call, call.rows(), |a, b, row| a.wrapping_add(b).wrapping_add(i64::from(seen > 3 && row == 0)))?;
            call.nulls_of_args();
            Ok(())
        }),
    ];
    for (fault, kernel) in faults {
        let found = check(kernel);
        assert!(found.is_err(), "not found: {fault}");
    }
}

#[test]
fn faults_with_texts_and_floats_are_found() {
    let truncated =
        Vector::new("copied", &[DataType::Utf8View], DataType::Utf8View, |call: &mut VectorCall<'_, '_>| {
            let array = call.arg(0).to_array(&DataType::Utf8View)?;
            let texts = array.as_string_view();
            let rows = call.rows();
            let at = |row: usize| if texts.len() == 1 { 0 } else { row };
            let cut =
                |row: usize| texts.is_valid(at(row)).then(|| texts.value(at(row)).chars().take(12).collect::<String>());
            call.output_array(Arc::new((0..rows).map(cut).collect::<StringViewArray>()));
            Ok(())
        });
    let found = check_kernel(truncated, |text: &str| text.to_string()).unwrap_err();
    assert!(found.contains("copied("), "{found}");
    let least = Scalar::new("least", |a: f64, b: f64| if a < b { a } else { b });
    let found = check_kernel(least, |a: f64, b: f64| a.min(b)).unwrap_err();
    assert!(found.contains("NaN"), "{found}");
    let typed = Vector::new("typed", &[DataType::Int64], DataType::Int64, |call: &mut VectorCall<'_, '_>| {
        call.output_array(Arc::new(Int64Array::from(vec![1; call.rows()])));
        Ok(())
    });
    assert!(check_kernel(typed, |_: f64| 1_i64).unwrap_err().contains("takes"), "signatures differ");
}

#[test]
fn a_bench_tells_each_level() {
    let table = bench_kernel(Scalar::new("fma", |a: f64, b: f64| a * b + 1.0)).unwrap();
    for word in ["fma", "ns/row", "GB/s", "sse2"] {
        assert!(table.contains(word), "{word}: {table}");
    }
}
