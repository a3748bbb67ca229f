//! Ranks over every sequence of changes are those of the rows that are there; snapshots lose nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::compute::SortOptions;
use arrow::datatypes::DataType;

use super::{Rank, RankShape};
use crate::batch::Change;
use crate::expression::Program;
use crate::function::KernelContext;
use crate::pipeline::{Completion, RankFunction, RankSpec};
use crate::stream::operator::Operator;
use crate::stream::operator::testing::{Told, check_snapshots, outputs};

/// Orders of 64 bits, and their column.
type Keyed = (i64, Option<i64>);

/// Rows of key, order, number; the first `last` of each key.
fn shape(function: RankFunction, first: u64, last: u64, takes_back: bool, completion: Completion) -> RankShape {
    let columns: Vec<(usize, DataType)> = vec![(0, DataType::Int64), (1, DataType::Int64)];
    let order = vec![SortOptions { descending: true, nulls_first: false }];
    let program = Arc::new(Program::columns(&columns));
    let shows_rank = true;
    let spec =
        RankSpec { program, key_count: 1, order, function, first, last, shows_rank, takes_back, completion, ttl: None };
    let (seed, context) = (3, KernelContext::default());
    RankShape {
        spec,
        types: vec![DataType::Int64; 5],
        rank_type: DataType::UInt64,
        seed,
        context,
        batch_rows: 4,
        cutoff: None,
    }
}

fn rows(rows: &[[i64; 3]]) -> Vec<ArrayRef> {
    let column = |at: usize| -> ArrayRef { Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row[at]))) };
    vec![column(0), column(1), column(0), column(1), column(2)]
}

/// What is shown of these rows, by definition.
fn naive(rows: &[[i64; 3]], function: RankFunction, first: u64, last: u64) -> Vec<String> {
    let mut lines = Vec::new();
    let mut keys: BTreeMap<i64, Vec<[i64; 3]>> = BTreeMap::new();
    rows.iter().for_each(|row| keys.entry(row[0]).or_default().push(*row));
    for mut of_key in keys.into_values() {
        of_key.sort_by_key(|row| (-row[1], row[2]));
        for (at, row) in of_key.iter().enumerate() {
            let better: Vec<i64> = of_key.iter().filter(|other| other[1] > row[1]).map(|other| other[1]).collect();
            let rank = match function {
                RankFunction::RowNumber => at as u64 + 1,
                RankFunction::Rank => better.len() as u64 + 1,
                RankFunction::DenseRank => better.iter().collect::<std::collections::BTreeSet<_>>().len() as u64 + 1,
            };
            if (first..=last).contains(&rank) {
                lines.push(format!("{} {} {} {rank}", row[0], row[1], row[2]));
            }
        }
    }
    lines.sort();
    lines
}

/// What is left of changes.
fn folded(lines: &[String]) -> Vec<String> {
    let mut left: BTreeMap<String, i64> = BTreeMap::new();
    for line in lines {
        let (word, row) = line.split_once(' ').expect("a word and a row");
        let count = left.entry(row.to_string()).or_insert(0);
        *count += if word.starts_with('+') { 1 } else { -1 };
        assert!(*count >= 0, "taken back before it was given: {line}");
    }
    left.into_iter().flat_map(|(row, count)| std::iter::repeat_n(row, count as usize)).collect()
}

/// Inserts, and some of them taken back later.
fn changes(takes_back: bool) -> (Vec<Told>, Vec<[i64; 3]>) {
    let (mut there, mut told): (Vec<[i64; 3]>, Vec<Told>) = (Vec::new(), Vec::new());
    let mut state = 5u64;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for step in 0..30 {
        let (mut batch, mut what) = (Vec::new(), Vec::new());
        for row in 0..6 {
            match takes_back && !there.is_empty() && next(3) == 0 {
                true => {
                    batch.push(there.swap_remove(next(there.len() as u64) as usize));
                    what.push(Change::DELETE);
                }
                false => {
                    let new = [next(4) as i64, next(5) as i64, step * 10 + row];
                    there.push(new);
                    batch.push(new);
                    what.push(Change::INSERT);
                }
            }
        }
        told.push(Told::Rows(rows(&batch), what));
    }
    told.push(Told::End);
    (told, there)
}

#[test]
fn changes_fold_up_to_the_ranks_of_what_is_there() {
    for function in [RankFunction::RowNumber, RankFunction::Rank, RankFunction::DenseRank] {
        for (first, last) in [(1, 1), (1, 3), (2, 12)] {
            for takes_back in [false, true] {
                let (told, there) = changes(takes_back);
                let expected = naive(&there, function, first, last);
                for completion in [Completion::Changes, Completion::End] {
                    if completion == Completion::End && takes_back {
                        continue;
                    }
                    let make = || -> Box<dyn Operator> {
                        let shape = shape(function, first, last, takes_back, completion);
                        Box::new(Rank::new(shape).expect("columns that can be written"))
                    };
                    let lines = outputs(make, &told);
                    assert_eq!(folded(&lines), expected, "{function:?} {first}..={last} {completion:?}");
                    assert!(!lines.is_empty(), "nothing: {function:?} {first}..={last} {completion:?} {takes_back}");
                    check_snapshots(make, &told);
                }
            }
        }
    }
}

/// Of each batch one row stays to the end, so that no batch goes by itself.
#[test]
fn rows_that_stay_of_many_batches_are_written_anew() {
    let (mut there, mut told) = (Vec::new(), Vec::new());
    for step in 0..500 {
        let batch: Vec<[i64; 3]> =
            (0..64).map(|key| [if key == 0 { 100 + step } else { key }, step / 2, step]).collect();
        told.push(Told::Rows(rows(&batch), vec![Change::INSERT; batch.len()]));
        there.extend(batch);
    }
    told.push(Told::End);
    for function in [RankFunction::RowNumber, RankFunction::Rank] {
        let expected = naive(&there, function, 1, 2);
        let make = || -> Box<dyn Operator> {
            let shape = shape(function, 1, 2, false, Completion::End);
            Box::new(Rank::new(shape).expect("columns that can be written"))
        };
        assert_eq!(folded(&outputs(make, &told)), expected, "{function:?}");
    }
}

/// Rows that come one by one take no more memory than those that come together, nearly; nor do those of a snapshot.
#[test]
fn batches_of_one_row_are_put_together() {
    let all: Vec<[i64; 3]> = (0..5000).map(|key| [key, 1, key]).collect();
    let bytes = |rows_at_once: usize| {
        let shape = shape(RankFunction::RowNumber, 1, 1, false, Completion::End);
        let mut rank = Rank::new(shape).expect("columns that can be written");
        for some in all.chunks(rows_at_once) {
            let wide = rows(some);
            rank.restore_rows(super::ALL, &wide, &vec![1; some.len()]).expect("rows of these types");
        }
        assert_eq!(rank.remarks(), "keys 5000");
        rank.size_bytes()
    };
    let (together, one_by_one) = (bytes(5000), bytes(1));
    assert!(one_by_one < 2 * together, "{one_by_one} bytes one by one, {together} together");
}

/// Rows that are nothing but their key and their ORDER BY key are kept as numbers: until a null and a value have the same.
#[test]
fn rows_that_their_keys_tell_whole_come_back() {
    let narrow: Vec<Keyed> =
        (0..300).map(|row| (row % 7 + row / 70 * 10, (row % 5 > 0).then_some(row * 37 % 101 - 50))).collect();
    let wide: Vec<Keyed> = (0..300)
        .map(|row| (row % 3 + row / 70 * 10, [None, Some(i64::MAX), Some(i64::MIN), Some(row)][row as usize * 7 % 4]))
        .collect();
    for all in [narrow, wide] {
        for (descending, nulls_first) in [(false, false), (false, true), (true, false), (true, true)] {
            for (first, last) in [(1, 1), (1, 3), (2, 12), (5, 70)] {
                let options = SortOptions { descending, nulls_first };
                let make = || -> Box<dyn Operator> { Box::new(Rank::new(keyed(options, first, last)).expect("ranks")) };
                let mut told: Vec<Told> =
                    all.chunks(11).map(|some| Told::Rows(keyed_rows(some), vec![Change::INSERT; some.len()])).collect();
                told.push(Told::End);
                let mut lines = outputs(make, &told);
                lines.sort();
                assert_eq!(lines, naive_keyed(&all, options, first, last), "{options:?} {first}..={last}");
                check_snapshots(make, &told);
            }
        }
    }
}

fn keyed(options: SortOptions, first: u64, last: u64) -> RankShape {
    let mut shape = shape(RankFunction::RowNumber, first, last, false, Completion::End);
    shape.spec.order = vec![options];
    shape.types.pop();
    shape
}

fn keyed_rows(rows: &[Keyed]) -> Vec<ArrayRef> {
    let key: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)));
    let order: ArrayRef = Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.1)));
    vec![key.clone(), order.clone(), key, order]
}

fn naive_keyed(rows: &[Keyed], options: SortOptions, first: u64, last: u64) -> Vec<String> {
    let mut keys: BTreeMap<i64, Vec<Option<i64>>> = BTreeMap::new();
    rows.iter().for_each(|row| keys.entry(row.0).or_default().push(row.1));
    let mut lines = Vec::new();
    for (key, mut orders) in keys {
        orders.sort_by(|a, b| match (a, b) {
            (Some(a), Some(b)) => {
                if options.descending {
                    b.cmp(a)
                } else {
                    a.cmp(b)
                }
            }
            (None, None) => std::cmp::Ordering::Equal,
            (a, _) => {
                if a.is_none() == options.nulls_first {
                    std::cmp::Ordering::Less
                } else {
                    std::cmp::Ordering::Greater
                }
            }
        });
        for (rank, order) in (1..).zip(orders).filter(|(rank, _)| (first..=last).contains(rank)) {
            let order = order.map_or_else(|| "NULL".to_string(), |order| order.to_string());
            lines.push(format!("+I {key} {order} {rank}"));
        }
    }
    lines.sort();
    lines
}
