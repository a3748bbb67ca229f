//! Rows in order against Arrow's comparison, over every kind of key.

use std::sync::Arc;

use arrow::array::*;
use arrow::compute::{SortColumn, SortOptions, lexsort_to_indices};

use super::*;

fn options() -> [SortOptions; 4] {
    [(false, false), (false, true), (true, false), (true, true)]
        .map(|(descending, nulls_first)| SortOptions { descending, nulls_first })
}

/// Rows ordered by `keys` are those that Arrow's comparison puts there; equal ones stay as they were.
fn check(keys: &[Key]) {
    let rows = keys[0].0.len();
    let number: ArrayRef = Arc::new(UInt32Array::from_iter_values(0..rows as u32));
    let mut columns: Vec<SortColumn> =
        keys.iter().map(|(array, options)| SortColumn { values: array.clone(), options: Some(*options) }).collect();
    columns.push(SortColumn { values: number, options: None });
    let expected = lexsort_to_indices(&columns, None).expect("Arrow sorts");
    let ordered = order_all(rows, keys, &[]).expect("ordered");
    assert_eq!(ordered, expected.values().to_vec(), "by {keys:?}");
}

/// Numbers that repeat and spread.
fn numbers(count: usize, seed: u64, spread: u64) -> impl Iterator<Item = Option<i64>> {
    let mut state = seed;
    (0..count).map(move |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 60 != 0).then(|| (state >> 33) as i64 % spread as i64 - (spread / 2) as i64)
    })
}

#[test]
fn orders_as_arrow_does() {
    let columns = |seed: u64| -> Vec<ArrayRef> {
        let strings = ["", "a", "ab", "abcdefgh", "abcdefghi", "abcdefghij", "b", "\u{0}", "a\u{0}"];
        vec![
            Arc::new(Int64Array::from_iter(numbers(300, seed, 10))),
            Arc::new(Int64Array::from(vec![i64::MIN, i64::MAX, 0, -1])),
            Arc::new(Int64Array::from(vec![Some(i64::MIN), Some(i64::MAX), None, Some(-1), Some(i64::MAX - 1)])),
            Arc::new(UInt64Array::from(vec![u64::MAX, 0, 1 << 63, 5])),
            Arc::new(Int8Array::from_iter(numbers(300, seed, 200).map(|v| v.map(|v| v as i8)))),
            Arc::new(Float64Array::from_iter(numbers(300, seed, 50).map(|v| v.map(|v| v as f64 / 7.0)))),
            Arc::new(Float32Array::from(vec![f32::NAN, -1.5, f32::INFINITY, 0.0, f32::NEG_INFINITY])),
            Arc::new(BooleanArray::from(vec![Some(true), None, Some(false), Some(true)])),
            Arc::new(
                Decimal128Array::from(vec![Some(i128::MAX / 2), Some(i128::MIN / 2), None, Some(0), Some(1)])
                    .with_precision_and_scale(38, 2)
                    .expect("a decimal"),
            ),
            Arc::new(Decimal128Array::from_iter(numbers(300, seed, 9).map(|v| v.map(i128::from)))),
            Arc::new(StringViewArray::from_iter(
                numbers(300, seed, 18).map(|v| v.map(|v| strings[v.unsigned_abs() as usize % 9])),
            )),
            Arc::new(StringViewArray::from_iter(numbers(300, seed, 18).map(|v| v.map(|v| format!("shared {v}"))))),
        ]
    };
    for first in columns(1) {
        for options in options() {
            check(&[(first.clone(), options)]);
        }
        for second in columns(2).into_iter().filter(|second| second.len() == first.len()) {
            let [a, b, c, d] = options();
            for (one, two) in [(a, b), (b, d), (c, a), (d, c)] {
                check(&[(first.clone(), one), (second.clone(), two)]);
            }
        }
    }
}

#[test]
fn zeros_are_one_value_and_so_are_nans() {
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN, 0.0, -f64::NAN, -0.0, 0.0]));
    let ordered = order_all(5, &[(floats, SortOptions::default())], &[]).expect("ordered");
    assert_eq!(ordered, [1, 3, 4, 0, 2]);
}

#[test]
fn ties_and_runs() {
    let keys: ArrayRef = Arc::new(Int64Array::from(vec![2, 1, 2, 1, 0]));
    let ties: ArrayRef = Arc::new(StringViewArray::from(vec![Some("b"), None, Some("a"), Some("z"), Some("q")]));
    let keys = [(keys, SortOptions::default())];
    let ordered = order_all(5, &keys, std::slice::from_ref(&ties)).expect("ordered");
    assert_eq!(ordered, [4, 3, 1, 2, 0]);
    let ordered = order(vec![4, 0, 3, 2, 1], vec![0..2, 2..5], &keys, &[ties]).expect("ordered");
    assert_eq!(ordered, [4, 0, 3, 1, 2]);
}

#[test]
fn first_keys_never_contradict_the_order() {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter(numbers(200, 3, 1000))),
        Arc::new(Float64Array::from_iter(numbers(200, 4, 50).map(|v| v.map(|v| v as f64 / 3.0)))),
        Arc::new(StringViewArray::from_iter(numbers(200, 5, 500).map(|v| v.map(|v| format!("a long start {v}"))))),
        Arc::new(Decimal128Array::from_iter(numbers(200, 6, 50).map(|v| v.map(i128::from)))),
    ];
    for array in columns {
        for options in options() {
            let key = (array.clone(), options);
            let mut numbers = Vec::new();
            assert!(crate::batch::first_keys_of(&array, options, &mut numbers).expect("numbers"));
            let ordered = order_all(200, &[key], &[]).expect("ordered");
            assert!(ordered.windows(2).all(|pair| numbers[pair[0] as usize] <= numbers[pair[1] as usize]));
        }
    }
}
