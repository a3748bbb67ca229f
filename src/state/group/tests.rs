//! Every mode against a map of rows, over random batches.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::batch::{Dictionary, DictionaryValues};

/// A batch's key columns, as a table is given them.
fn owned(columns: &[ArrayRef]) -> Vec<KernelColumn> {
    let load = |array: &ArrayRef| match array.data_type() {
        DataType::Boolean => {
            let bools = array.as_boolean();
            let mut flat = Flat::new(Values::Bool(Vec::new()));
            let mut words = vec![0u64; bools.len().div_ceil(64)];
            let mut validity = words.clone();
            for row in 0..bools.len() {
                words[row / 64] |= (bools.is_valid(row) && bools.value(row)) as u64 * (1 << (row % 64));
                validity[row / 64] |= bools.is_valid(row) as u64 * (1 << (row % 64));
            }
            flat.values = Values::Bool(words);
            flat.rows = bools.len();
            flat.set_validity((bools.null_count() > 0).then_some(&validity));
            KernelColumn::new(Column::Flat(flat))
        }
        _ => KernelColumn::new(Column::Array(array.clone())),
    };
    columns.iter().map(load).collect()
}

fn text(columns: &[ArrayRef], row: usize) -> String {
    let options = FormatOptions::new().with_null("NULL");
    let cell = |array: &ArrayRef| {
        let formatter = ArrayFormatter::try_new(array.as_ref(), &options).expect("printable");
        let text = formatter.value(row).to_string();
        // 0.0 and -0.0 are one key.
        if text == "-0.0" { "0.0".to_string() } else { text }
    };
    columns.iter().map(|array| format!("[{}]", cell(array))).collect()
}

/// Some string columns as codes into a dictionary, in an order of its own.
fn encoded(columns: &[ArrayRef], random: &mut StdRng) -> Vec<KernelColumn> {
    let mut columns_owned = owned(columns);
    for (column, array) in columns_owned.iter_mut().zip(columns) {
        let Some(strings) = array.as_string_view_opt().filter(|_| random.random_bool(0.5)) else { continue };
        let mut values: Vec<&str> = strings.iter().flatten().collect();
        values.sort_unstable_by(|a, b| b.cmp(a));
        values.dedup();
        let code = |value: &str| values.iter().position(|known| *known == value).expect("collected above") as u32;
        let codes: UInt32Array = strings.iter().map(|value| value.map(code)).collect();
        let values: ArrayRef = Arc::new(values.iter().map(Some).collect::<StringViewArray>());
        let dictionary = Dictionary::new(codes, Arc::new(DictionaryValues(values)));
        *column = KernelColumn::new(Column::Dictionary(dictionary));
    }
    columns_owned
}

/// Feeds random batches made by `make` and checks groups and keys against a map: a table that chooses its mode, then
/// one that begins in each mode there is, at every level of this machine, with and without dictionaries.
fn check(types: &[DataType], modes: &[&str], make: impl Fn(&mut StdRng, usize) -> Vec<ArrayRef>) {
    let detected = millstream_kernels::level::detect();
    check_from(types, modes, false, |seed| Some(GroupIndex::new(types.to_vec(), seed, detected)), &make);
    for level in millstream_kernels::level::available() {
        for dictionaries in [false, true] {
            check_from(types, &[], dictionaries, |seed| Some(GroupIndex::new(types.to_vec(), seed, level)), &make);
            for mode in force::MODES {
                check_from(types, &[], dictionaries, |seed| force::table(types, seed, level, mode), &make);
            }
        }
    }
}

fn check_from(
    types: &[DataType],
    modes: &[&str],
    dictionaries: bool,
    start: impl Fn(u64) -> Option<GroupIndex>,
    make: &impl Fn(&mut StdRng, usize) -> Vec<ArrayRef>,
) {
    for seed in 0..if modes.is_empty() { 2 } else { 6 } {
        let mut random = StdRng::seed_from_u64(seed);
        let Some(mut table) = start(seed) else { return };
        let mut seen = Vec::new();
        for _ in 0..2 {
            let mut model: HashMap<String, u32> = HashMap::new();
            let mut groups = Vec::new();
            for batch in 0..8 {
                let rows = [1, 7, 64, 100, 1000, 3000, 3, 500][batch];
                let columns = make(&mut random, rows);
                let columns_owned = if dictionaries { encoded(&columns, &mut random) } else { owned(&columns) };
                let keys: Vec<Argument<'_>> = columns_owned.iter().map(|column| column.argument(rows)).collect();
                table.lookup(&keys, rows, &mut groups).expect("lookup");
                for (row, &group) in groups.iter().enumerate() {
                    let next = model.len() as u32;
                    let expected = *model.entry(text(&columns, row)).or_insert(next);
                    assert_eq!(group, expected, "seed {seed} batch {batch} row {row} in mode {}", table.mode());
                }
                seen.push(table.mode());
            }
            assert_eq!(table.len(), model.len());
            let all: Vec<u32> = (0..table.len() as u32).collect();
            let keys: Vec<ArrayRef> = (0..types.len())
                .map(|key| {
                    let mut column = Column::default();
                    table.keys(key, &all, &mut column).expect("keys");
                    column.to_array(&types[key], all.len(), &crate::batch::Selection::default()).expect("array")
                })
                .collect();
            for (key, group) in &model {
                assert_eq!(&text(&keys, *group as usize), key, "seed {seed} in mode {}", table.mode());
            }
            table.clear();
            assert!(table.is_empty());
        }
        seen.dedup();
        for mode in modes {
            assert!(seen.contains(mode), "seed {seed}: mode {mode} was not reached, only {seen:?}");
        }
    }
}

fn ints(random: &mut StdRng, rows: usize, range: i64, nulls: f64) -> ArrayRef {
    let value = |random: &mut StdRng| (!random.random_bool(nulls)).then(|| random.random_range(-range..=range));
    Arc::new((0..rows).map(|_| value(random)).collect::<Int64Array>())
}

fn strings(random: &mut StdRng, rows: usize, length: usize, nulls: f64) -> ArrayRef {
    let value = |random: &mut StdRng| {
        let length = random.random_range(0..=length);
        (!random.random_bool(nulls)).then(|| (0..length).map(|_| random.random_range('a'..='c')).collect::<String>())
    };
    Arc::new((0..rows).map(|_| value(random)).collect::<StringViewArray>())
}

#[test]
fn dense_integers_with_nulls() {
    check(&[DataType::Int64], &["dense"], |random, rows| vec![ints(random, rows, 300, 0.1)]);
}

#[test]
fn wide_integers_leave_dense_for_packed() {
    check(&[DataType::Int64], &["packed 64"], |random, rows| {
        let range = if rows < 100 { 50 } else { i64::MAX / 2 };
        vec![ints(random, rows, range, 0.05)]
    });
}

#[test]
fn unsigned_extremes() {
    check(&[DataType::UInt64], &["packed 64"], |random, rows| {
        let pick = [0, 1, u64::MAX, u64::MAX - 1, 1 << 63];
        vec![Arc::new((0..rows).map(|_| Some(pick[random.random_range(0..5)])).collect::<UInt64Array>())]
    });
}

#[test]
fn floats_normalise() {
    check(&[DataType::Float64], &["packed 64"], |random, rows| {
        let pick = [0.0, -0.0, f64::NAN, -f64::NAN, f64::INFINITY, 1.5];
        let value = |random: &mut StdRng| random.random_bool(0.9).then(|| pick[random.random_range(0..6)]);
        vec![Arc::new((0..rows).map(|_| value(random)).collect::<Float64Array>())]
    });
}

#[test]
fn two_integers_then_wider_ones_then_nulls() {
    check(&[DataType::Int64, DataType::Int64], &["packed 64", "packed 128", "rows"], |random, rows| {
        let range = if rows < 100 { rows as i64 * 50 } else { i64::MAX / 2 };
        let nulls = if rows >= 1000 { 0.1 } else { 0.0 };
        vec![ints(random, rows, range, nulls), ints(random, rows, 20, nulls)]
    });
}

#[test]
fn narrow_integers_of_several_types_with_nulls() {
    check(&[DataType::Int64, DataType::UInt64, DataType::Int32], &["direct", "packed 64"], |random, rows| {
        let nulls = if rows >= 64 { 0.1 } else { 0.0 };
        let far = (0..rows).map(|_| random.random_bool(0.9).then(|| u64::MAX - random.random_range(0..40)));
        let far: ArrayRef = Arc::new(far.collect::<UInt64Array>());
        let near = (0..rows).map(|_| Some(random.random_range(-9..9))).collect::<Int32Array>();
        vec![ints(random, rows, 1 << (rows % 23), nulls), far, Arc::new(near)]
    });
}

/// Ranges that grow from batch to batch, so that words get one layout after the other: with hashes that are exact and not.
#[test]
fn fields_grow_wider_again_and_again() {
    let bits = |rows: usize| match rows {
        ..=7 => rows as u32,
        64 => 9,
        100 => 12,
        1000 => 16,
        3000 => 21,
        _ => 26,
    };
    check(&[DataType::Int64, DataType::Int32], &["direct", "packed 64"], |random, rows| {
        let nulls = if rows >= 1000 { 0.1 } else { 0.0 };
        let near = (0..rows).map(|_| Some(random.random_range(-1 << (bits(rows) / 3)..3)));
        let near: ArrayRef = Arc::new(near.collect::<Int32Array>());
        vec![ints(random, rows, 1 << bits(rows), nulls), near]
    });
    check(&[DataType::UInt32, DataType::Int64], &["direct", "packed 64"], |random, rows| {
        let low: ArrayRef = Arc::new((0..rows).map(|row| Some(row as u32 / 3)).collect::<UInt32Array>());
        let high = (0..rows).map(|_| Some(1000 + random.random_range(0..1i64 << (2 * bits(rows)))));
        vec![low, Arc::new(high.collect::<Int64Array>())]
    });
    check(&[DataType::Int64], &["dense", "packed 64"], |random, rows| {
        vec![ints(random, rows, 1 << (bits(rows) * 2), 0.1)]
    });
}

#[test]
fn short_strings_pack_with_others() {
    let types = [DataType::Utf8View, DataType::Int32, DataType::Boolean];
    check(&types, &["packed 128", "numbered"], |random, rows| {
        let length = if rows >= 1000 { 20 } else { 7 };
        let bools = (0..rows).map(|_| random.random_bool(0.9).then(|| random.random_bool(0.5)));
        let bools: ArrayRef = Arc::new(bools.collect::<BooleanArray>());
        let numbers = (0..rows).map(|_| random.random_bool(0.9).then(|| random.random_range(-3..3)));
        let numbers: ArrayRef = Arc::new(numbers.collect::<Int32Array>());
        vec![strings(random, rows, length, 0.1), numbers, bools]
    });
}

#[test]
fn one_string_short_and_long() {
    check(&[DataType::Utf8View], &["string"], |random, rows| vec![strings(random, rows, 30, 0.1)]);
}

#[test]
fn lists_and_decimals_as_rows() {
    let list = DataType::new_list(DataType::Int64, true);
    let types = [list, DataType::Decimal128(38, 2), DataType::Float32];
    check(&types, &["rows"], |random, rows| {
        let mut lists = ListBuilder::new(Int64Builder::new());
        for _ in 0..rows {
            for _ in 0..random.random_range(0..3) {
                lists.values().append_value(random.random_range(0..2));
            }
            lists.append(random.random_bool(0.9));
        }
        let decimals = (0..rows).map(|_| random.random_bool(0.9).then(|| random.random_range(-2i128..2) << 80));
        let decimals: Decimal128Array = decimals.collect();
        let decimals = decimals.with_precision_and_scale(38, 2).expect("valid");
        let floats: Float32Array = (0..rows).map(|_| Some(random.random_range(0..2) as f32)).collect();
        vec![Arc::new(lists.finish()), Arc::new(decimals), Arc::new(floats)]
    });
}

#[test]
fn constants_are_keys_for_all_rows() {
    let mut table = GroupIndex::new(vec![DataType::Int64], 1, millstream_kernels::level::detect());
    let mut groups = Vec::new();
    for (value, expected) in [(Some(5i64), 0), (None, 1), (Some(5), 0)] {
        let column = Column::Constant(Arc::new(Int64Array::from(vec![value])));
        table.lookup(&[Argument::new(&column, None, 3)], 3, &mut groups).expect("lookup");
        assert_eq!(groups, [expected; 3]);
    }
}

#[test]
fn a_large_table_grows_by_and_by() {
    let mut table = GroupIndex::new(vec![DataType::Int64], 1, millstream_kernels::level::detect());
    let key = |number: i64| number.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as i64);
    let mut groups = Vec::new();
    // Over a million slots at half their load, and far into the next size, old keys asked for in between.
    for batch in 0..160i64 {
        let new = (0..8192).map(|row| key(batch * 8192 + row));
        let old = (0..1000).map(|row| key((row * 7919) % (batch * 8192 + 1)));
        let column = Column::Array(Arc::new(new.chain(old).map(Some).collect::<Int64Array>()));
        table.lookup(&[Argument::new(&column, None, 9192)], 9192, &mut groups).expect("lookup");
        let expected = (0..8192).map(|row| batch * 8192 + row);
        let expected = expected.chain((0..1000).map(|row| (row * 7919) % (batch * 8192 + 1)));
        assert!(groups.iter().map(|group| i64::from(*group)).eq(expected), "batch {batch}");
    }
    assert_eq!(table.mode(), "packed 64");
    assert_eq!(table.len(), 160 * 8192);
}

/// Twenty dictionaries by turns, more than are remembered, some of them dropped on the way, against plain strings.
#[test]
fn dictionaries_that_come_by_turns() {
    let types = [DataType::Utf8View];
    let level = millstream_kernels::level::detect();
    let (mut by_code, mut plain) =
        (GroupIndex::new(types.to_vec(), 1, level), GroupIndex::new(types.to_vec(), 1, level));
    let mut random = StdRng::seed_from_u64(7);
    let dictionary = |random: &mut StdRng| {
        let mut values: Vec<String> = (0..50).map(|value| format!("a value of some length {value}")).collect();
        values.rotate_left(random.random_range(0..50));
        values.truncate(random.random_range(1..50));
        Arc::new(DictionaryValues(Arc::new(values.iter().map(Some).collect::<StringViewArray>())))
    };
    let mut dictionaries: Vec<_> = (0..20).map(|_| dictionary(&mut random)).collect();
    let (mut groups, mut expected) = (Vec::new(), Vec::new());
    for turn in 0..400 {
        let few = if turn < 200 { 3 } else { 20 };
        let at = random.random_range(0..few);
        if random.random_bool(0.1) {
            dictionaries[at] = dictionary(&mut random);
        }
        let values = dictionaries[at].clone();
        let code = |random: &mut StdRng| random.random_bool(0.9).then(|| random.random_range(0..values.0.len() as u32));
        let codes: UInt32Array = (0..30).map(|_| code(&mut random)).collect();
        let column = Dictionary::new(codes, values);
        let strings = owned(&[column.flatten().expect("strings")]);
        let column = KernelColumn::new(Column::Dictionary(column));
        by_code.lookup(&[column.argument(30)], 30, &mut groups).expect("lookup");
        plain.lookup(&[strings[0].argument(30)], 30, &mut expected).expect("lookup");
        assert_eq!(groups, expected, "turn {turn}");
        if turn % 150 == 149 {
            by_code.clear();
            plain.clear();
        }
    }
}
