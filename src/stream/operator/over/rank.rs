//! Functions of a row's place in its partition: row_number, rank, dense_rank, percent_rank, cume_dist, ntile.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, UInt64Array};

use super::sorted::Sorted;

pub(super) fn row_number(sorted: &Sorted) -> ArrayRef {
    let mut numbers = Vec::with_capacity(sorted.rows);
    sorted.each_partition(|partition, start, end| {
        let passed = sorted.passed(partition).rows;
        numbers.extend(passed + 1..=passed + (end - start) as u64);
    });
    whole(numbers)
}

pub(super) fn rank(sorted: &Sorted) -> ArrayRef {
    let mut numbers = Vec::with_capacity(sorted.rows);
    sorted.each_peers(|partition, start, end| {
        let before = start as u64 - u64::from(sorted.partitions[partition]);
        numbers.resize(end, sorted.passed(partition).rows + before + 1);
    });
    whole(numbers)
}

pub(super) fn dense_rank(sorted: &Sorted) -> ArrayRef {
    let mut numbers = Vec::with_capacity(sorted.rows);
    let (mut at, mut number) = (usize::MAX, 0);
    sorted.each_peers(|partition, _, end| {
        if partition != at {
            (at, number) = (partition, sorted.passed(partition).peers);
        }
        number += 1;
        numbers.resize(end, number);
    });
    whole(numbers)
}

/// The share of the other rows that are before a row's peers.
pub(super) fn percent_rank(sorted: &Sorted) -> ArrayRef {
    shares(sorted, |start, _, rows| if rows > 1 { start as f64 / (rows - 1) as f64 } else { 0.0 })
}

/// The share of rows that are not behind a row's peers.
pub(super) fn cume_dist(sorted: &Sorted) -> ArrayRef {
    shares(sorted, |_, end, rows| end as f64 / rows as f64)
}

/// A share per group of peers, from where in the partition it begins and ends and how many rows that has.
fn shares(sorted: &Sorted, share: impl Fn(usize, usize, usize) -> f64) -> ArrayRef {
    let mut shares = Vec::with_capacity(sorted.rows);
    sorted.each_peers(|partition, start, end| {
        let (first, last) = (sorted.partitions[partition] as usize, sorted.partitions[partition + 1] as usize);
        shares.resize(end, share(start - first, end - first, last - first));
    });
    Arc::new(Float64Array::from(shares))
}

/// Parts each partition into `buckets` pieces, the first ones a row longer where it does not come out even.
pub(super) fn ntile(sorted: &Sorted, buckets: u64) -> ArrayRef {
    let mut numbers = Vec::with_capacity(sorted.rows);
    sorted.each_partition(|_, start, end| {
        let rows = (end - start) as u64;
        let (size, longer) = (rows / buckets, rows % buckets);
        numbers.extend((0..rows).map(|row| match row < longer * (size + 1) {
            true => row / (size + 1) + 1,
            false => longer + (row - longer * (size + 1)) / size + 1,
        }));
    });
    whole(numbers)
}

fn whole(numbers: Vec<u64>) -> ArrayRef {
    Arc::new(UInt64Array::from(numbers))
}
