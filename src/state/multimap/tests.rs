//! The map against a list of rows that is searched from end to end.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, ListArray, StringViewArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Int32Type, TimeUnit};
use millstream_kernels::level;

use super::*;
use crate::batch::Selection;

/// Numbers that look random.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % limit
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Row {
    key: Option<i64>,
    text: Option<String>,
    time: i64,
}

fn shape(removable: bool, counted: bool) -> MultimapShape {
    let list = DataType::new_list(DataType::Int32, true);
    let types = vec![DataType::Int64, DataType::Utf8View, DataType::Timestamp(TimeUnit::Millisecond, None), list];
    MultimapShape { types, keys: vec![0], time: Some(2), counted, removable }
}

fn columns(rows: &[Row]) -> Vec<KernelColumn> {
    let keys = Int64Array::from_iter(rows.iter().map(|row| row.key));
    let texts = StringViewArray::from_iter(rows.iter().map(|row| row.text.as_deref()));
    let times = TimestampMillisecondArray::from_iter_values(rows.iter().map(|row| row.time));
    let lists = rows.iter().map(|row| Some(vec![Some(row.time as i32), None]));
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(lists);
    let arrays: Vec<ArrayRef> = vec![Arc::new(keys), Arc::new(texts), Arc::new(times), Arc::new(lists)];
    arrays.into_iter().map(|array| KernelColumn::new(Column::Array(array))).collect()
}

fn with_arguments<R>(rows: &[Row], act: impl FnOnce(&[Argument<'_>], &[u64]) -> R) -> R {
    let columns = columns(rows);
    let arguments: Vec<Argument<'_>> = columns.iter().map(|column| column.argument(rows.len())).collect();
    let (mut scratch, mut hashes) = (Vec::new(), Vec::new());
    hash_keys(level::detect(), 7, &arguments[..1], &[DataType::Int64], rows.len(), &mut scratch, &mut hashes).unwrap();
    act(&arguments, &hashes)
}

fn append(map: &mut Multimap, rows: &[Row]) {
    with_arguments(rows, |arguments, hashes| {
        let all: Vec<u16> = (0..rows.len() as u16).collect();
        let counts = if map.shape().counted { vec![0; rows.len()] } else { Vec::new() };
        map.append(arguments, hashes, &all, &counts).unwrap();
    });
}

fn read(map: &Multimap, ids: &[u32]) -> Vec<Row> {
    let array = |column: usize| {
        let mut out = Column::default();
        map.gather(column, ids, &mut out).unwrap();
        out.to_array(&map.shape().types[column], ids.len(), &Selection::default()).unwrap()
    };
    let (keys, texts, times) = (array(0), array(1), array(2));
    let keys = keys.as_any().downcast_ref::<Int64Array>().unwrap();
    let texts = texts.as_any().downcast_ref::<StringViewArray>().unwrap();
    let times = times.as_any().downcast_ref::<TimestampMillisecondArray>().unwrap();
    let row = |at: usize| Row {
        key: keys.iter().nth(at).unwrap(),
        text: texts.iter().nth(at).unwrap().map(str::to_string),
        time: times.value(at),
    };
    (0..ids.len()).map(row).collect()
}

fn find(map: &mut Multimap, asked: &[Row], span: Option<i64>, limit: usize) -> Vec<(u16, Row)> {
    let low: Vec<i64> = asked.iter().map(|row| row.time - span.unwrap_or(0)).collect();
    let high: Vec<i64> = asked.iter().map(|row| row.time + span.unwrap_or(0)).collect();
    let mut pairs = Pairs::default();
    with_arguments(asked, |arguments, hashes| {
        let rows: Vec<u16> = (0..asked.len() as u16).collect();
        let range = span.map(|_| TimeRange { low: &low, high: &high });
        let asked = Asked { keys: &arguments[..1], hashes, rows: &rows, range };
        let mut walk = Walk::default();
        while !map.find(&asked, &mut walk, pairs.held.len() + limit, &mut pairs).unwrap() {}
    });
    let held = read(map, &pairs.held);
    pairs.asked.into_iter().zip(held).collect()
}

fn random_row(random: &mut Random, keys: u64, time: i64) -> Row {
    let key = random.below(keys);
    let text = match random.below(4) {
        0 => None,
        1 => Some("short".to_string()),
        n => Some(format!("a text that is longer than a view {}", n + key)),
    };
    Row { key: (key > 0).then_some(key as i64), text, time: time + random.below(50) as i64 }
}

fn sorted(mut rows: Vec<(u16, Row)>) -> Vec<(u16, Row)> {
    rows.sort_by_key(|row| format!("{row:?}"));
    rows
}

#[test]
fn finds_what_a_list_finds_while_rows_come_and_go() {
    for seed in 0..4 {
        let mut random = Random(seed);
        let mut map = Multimap::new(shape(true, false), 7, level::detect()).unwrap();
        let mut list: Vec<Row> = Vec::new();
        for step in 0..120 {
            let rows: Vec<Row> = (0..random.below(400)).map(|_| random_row(&mut random, 60, step)).collect();
            append(&mut map, &rows);
            list.extend(rows);
            let mut taken = Vec::new();
            while !list.is_empty() && random.below(1 + 300 / 2) > 0 {
                taken.push(list.swap_remove(random.below(list.len() as u64) as usize));
            }
            if step % 40 == 39 {
                taken.append(&mut list);
            }
            let mut ids = Vec::new();
            for taken in taken.chunks(1000) {
                with_arguments(taken, |arguments, _| {
                    let all: Vec<u16> = (0..taken.len() as u16).collect();
                    map.remove(arguments, taken.len(), &all, &mut ids).unwrap();
                });
                assert_eq!(read(&map, &ids), taken);
            }
            map.release().unwrap();
            assert_eq!(map.len(), list.len());
            let asked: Vec<Row> = (0..3).map(|_| random_row(&mut random, 60, step)).collect();
            let span = (random.below(2) == 0).then_some(20);
            let found = find(&mut map, &asked, span, 1 + random.below(100) as usize);
            let mut expected = Vec::new();
            for (at, asked) in asked.iter().enumerate() {
                let near = |row: &Row| span.is_none_or(|span| (row.time - asked.time).abs() <= span);
                let equal = list.iter().filter(|row| row.key == asked.key && near(row));
                expected.extend(equal.map(|row| (at as u16, row.clone())));
            }
            assert_eq!(sorted(found), sorted(expected), "seed {seed} step {step}");
        }
    }
}

#[test]
fn a_row_that_is_not_there_cannot_be_taken_back() {
    let mut map = Multimap::new(shape(true, false), 7, level::detect()).unwrap();
    let row = Row { key: Some(1), text: None, time: 1 };
    append(&mut map, std::slice::from_ref(&row));
    let mut ids = Vec::new();
    let mut remove = |row: Row| {
        with_arguments(&[row], |arguments, _| map.remove(arguments, 1, &[0], &mut ids).map_err(|e| e.to_string()))
    };
    assert!(remove(Row { time: 2, ..row.clone() }).is_err());
    assert!(remove(row.clone()).is_ok());
    assert!(remove(row).is_err());
}

#[test]
fn rows_expire_by_time_and_their_memory_with_them() {
    let mut random = Random(3);
    let mut map = Multimap::new(shape(false, true), 7, level::detect()).unwrap();
    let (mut list, mut peak) = (Vec::new(), 0);
    for step in 0..400 {
        // Every now and then a row from the far future, which must not keep the others.
        let mut rows: Vec<Row> = (0..500).map(|_| random_row(&mut random, 1 << 30, step * 10)).collect();
        rows[0].time += 1_000_000;
        append(&mut map, &rows);
        list.extend(rows);
        let mut unmatched = Vec::new();
        let threshold = step * 10 - 300;
        map.expire(threshold, Some(&mut unmatched));
        let (mut gone, left): (Vec<Row>, Vec<Row>) = list.into_iter().partition(|row: &Row| row.time < threshold);
        list = left;
        let mut told = read(&map, &unmatched);
        told.sort_by_key(|row| (row.time, row.key));
        gone.sort_by_key(|row| (row.time, row.key));
        assert_eq!(told, gone, "step {step}");
        map.release().unwrap();
        assert_eq!(map.len(), list.len());
        peak = peak.max(map.size_bytes());
    }
    assert!(peak < 8_000_000, "{peak} bytes for about {} rows", list.len());
    map.expire(i64::MAX, Some(&mut Vec::new()));
    map.release().unwrap();
    assert!(map.is_empty());
    assert!(map.size_bytes() < 100_000, "{} bytes for no row", map.size_bytes());
}

#[test]
fn what_is_not_asked_for_expires_lazily_but_does_expire() {
    let mut random = Random(5);
    let mut map = Multimap::new(shape(false, false), 7, level::detect()).unwrap();
    for step in 0..2_000 {
        let mut rows: Vec<Row> = (0..100).map(|_| random_row(&mut random, 1 << 30, step * 10)).collect();
        rows[0].time += (step % 7 == 0) as i64 * 1_000_000;
        append(&mut map, &rows);
        map.expire(step * 10 - 300, None);
        map.release().unwrap();
        assert!(map.len() < 2_000 + 4 * BLOCK_ROWS, "{} rows in step {step}", map.len());
    }
}

#[test]
fn a_row_of_four_numbers_costs_less_than_a_hundred_bytes() {
    let types = vec![DataType::Int64; 4];
    let shape = MultimapShape { types, keys: vec![0], time: Some(1), counted: true, removable: false };
    let mut map = Multimap::new(shape, 7, level::detect()).unwrap();
    let rows = 300_000;
    for start in (0..rows).step_by(8192) {
        let values: ArrayRef = Arc::new(Int64Array::from_iter_values(start..(start + 8192).min(rows)));
        let column = KernelColumn::new(Column::Array(values.clone()));
        let argument = column.argument(values.len());
        let (mut scratch, mut hashes) = (Vec::new(), Vec::new());
        let keys = [argument];
        hash_keys(level::detect(), 7, &keys, &[DataType::Int64], values.len(), &mut scratch, &mut hashes).unwrap();
        let all: Vec<u16> = (0..values.len() as u16).collect();
        map.append(&[argument; 4], &hashes, &all, &vec![0; values.len()]).unwrap();
    }
    let bytes = map.size_bytes() / rows as usize;
    assert!(bytes <= 56, "{bytes} bytes per row");
}
