//! Made-up rows are the same wherever they are cut, and options that mean nothing are refused.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{cast, concat_batches, max_array, min_array, min_string_view};
use arrow::datatypes::*;
use arrow::util::display::array_value_to_string;

use super::*;
use crate::batch::Batch;
use crate::pipeline::{ScanRequest, Take};

fn open(columns: &[(&str, DataType)], options: &[(&str, &str)]) -> Result<Arc<dyn Table>> {
    let fields: Vec<Field> = columns.iter().map(|(name, of)| Field::new(*name, of.clone(), true)).collect();
    let options = options.iter().map(|(key, value)| (key.to_string(), value.to_string()));
    let options: BTreeMap<String, String> = options.collect();
    table(&TableDefinition {
        name: "t".to_string(),
        schema: Some(Arc::new(Schema::new(fields))),
        options,
        primary_key: Vec::new(),
    })
}

/// The first `rows` rows, all columns.
fn read(table: &dyn Table, rows: usize, batch_rows: usize) -> RecordBatch {
    let schema = table.schema();
    let projection = (0..schema.fields().len()).collect();
    let request = ScanRequest {
        system: Vec::new(),
        projection,
        predicates: vec![],
        batch_rows,
        partitions: 1,
        ordered: true,
        event_time: None,
        fetch: Some(rows),
        dictionaries: false,
        counts_rows: false,
        pushed: Default::default(),
    };
    let scan = table.open(&request).unwrap();
    let (mut records, mut batch) = (vec![RecordBatch::new_empty(schema.clone())], Batch::default());
    while let Take::Morsel(mut morsel) = scan.take().unwrap() {
        while morsel.reader.read(&mut batch).unwrap() {
            records.push(batch.to_record(&schema).unwrap());
            batch.clear();
        }
    }
    let all = concat_batches(&schema, &records).unwrap();
    assert_eq!(scan.progress().rows.load(Ordering::Relaxed), all.num_rows() as u64);
    all
}

/// The first rows of one column as text, nulls as empty.
fn texts(data_type: DataType, options: &[(&str, &str)], rows: usize) -> Vec<String> {
    let table = open(&[("x", data_type)], options).unwrap();
    let record = read(&*table, rows, 3);
    (0..record.num_rows()).map(|row| array_value_to_string(record.column(0), row).unwrap()).collect()
}

fn refusal(data_type: DataType, options: &[(&str, &str)]) -> String {
    open(&[("x", data_type)], options).unwrap_err().to_string()
}

fn every_type() -> Vec<(&'static str, DataType)> {
    let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let parts = vec![Field::new("a", DataType::Int64, true), Field::new("t", time.clone(), true)];
    vec![
        ("boolean", DataType::Boolean),
        ("i8", DataType::Int8),
        ("i16", DataType::Int16),
        ("i32", DataType::Int32),
        ("i64", DataType::Int64),
        ("u8", DataType::UInt8),
        ("u16", DataType::UInt16),
        ("u32", DataType::UInt32),
        ("u64", DataType::UInt64),
        ("f32", DataType::Float32),
        ("f64", DataType::Float64),
        ("small", DataType::Decimal128(4, 2)),
        ("wide", DataType::Decimal128(38, 37)),
        ("text", DataType::Utf8),
        ("bytes", DataType::Binary),
        ("date", DataType::Date32),
        ("second", DataType::Time32(TimeUnit::Second)),
        ("micro", DataType::Time64(TimeUnit::Microsecond)),
        ("at", time),
        ("nano", DataType::Timestamp(TimeUnit::Nanosecond, None)),
        ("took", DataType::Duration(TimeUnit::Millisecond)),
        ("months", DataType::Interval(IntervalUnit::YearMonth)),
        ("span", DataType::Interval(IntervalUnit::MonthDayNano)),
        ("list", DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)))),
        ("struct", DataType::Struct(parts.into())),
    ]
}

#[test]
fn every_type_has_a_default_that_batches_do_not_change() {
    let table = open(&every_type(), &[("seed", "5"), ("fields.text.null_rate", "0.3")]).unwrap();
    let whole = read(&*table, 500, 500);
    assert_eq!(whole.num_rows(), 500);
    assert_eq!(whole, read(&*table, 500, 7));
    assert_eq!(whole.slice(0, 20), read(&*table, 20, 64));
    for (field, column) in whole.schema().fields().iter().zip(whole.columns()) {
        let shown = |row| array_value_to_string(column, row).unwrap();
        assert!((1..500).any(|row| shown(row) != shown(0)), "{} varies", field.name());
    }
    let other = open(&every_type(), &[("seed", "6"), ("fields.text.null_rate", "0.3")]).unwrap();
    assert_ne!(whole, read(&*other, 500, 500));
}

#[test]
fn columns_do_not_depend_on_one_another() {
    let columns = every_type();
    let (all, first) = (open(&columns, &[]).unwrap(), open(&columns[..5], &[]).unwrap());
    assert_eq!(read(&*all, 50, 50).project(&[0, 1, 2, 3, 4]).unwrap(), read(&*first, 50, 50));
}

#[test]
fn sequences() {
    let int = DataType::Int32;
    assert_eq!(texts(int.clone(), &[("fields.x.kind", "sequence")], 4), ["0", "1", "2", "3"]);
    let down = [("fields.x.start", "5"), ("fields.x.end", "0"), ("fields.x.step", "-2")];
    assert_eq!(texts(int, &down, 5), ["5", "3", "1", "5", "3"]);
    let bytes = texts(DataType::UInt8, &[("fields.x.start", "254")], 4);
    assert_eq!(bytes, ["254", "255", "254", "255"]);
    assert_eq!(texts(DataType::Utf8, &[("fields.x.start", "7")], 2), ["7", "8"]);
    let halves = [("fields.x.start", "1"), ("fields.x.step", "0.5"), ("fields.x.end", "2")];
    assert_eq!(texts(DataType::Float64, &halves, 4), ["1.0", "1.5", "2.0", "1.0"]);
    let cents = [("fields.x.start", "0.99"), ("fields.x.step", "1")];
    assert_eq!(texts(DataType::Decimal128(10, 2), &cents, 3), ["0.99", "1.00", "1.01"]);
    let large = [("fields.x.start", "18446744073709551614")];
    assert_eq!(
        texts(DataType::UInt64, &large, 3),
        ["18446744073709551614", "18446744073709551615", "18446744073709551614"]
    );
}

#[test]
fn timestamps_follow_the_rate() {
    let at = |unit| DataType::Timestamp(unit, None);
    let thirds = texts(at(TimeUnit::Millisecond), &[("rate", "3")], 5);
    let expected = ["00", "00.333", "00.666", "01", "01.333"].map(|second| format!("2024-01-01T00:00:{second}"));
    assert_eq!(thirds, expected);
    let later = [("rate", "1"), ("fields.x.start", "2030-05-06 07:08:09")];
    assert_eq!(texts(at(TimeUnit::Second), &later, 2), ["2030-05-06T07:08:09", "2030-05-06T07:08:10"]);
}

#[test]
fn values_are_picked_in_turn_or_at_random() {
    let values = ("fields.x.values", "a, b,c");
    assert_eq!(texts(DataType::Utf8, &[values], 4), ["a", "b", "c", "a"]);
    let random = texts(DataType::Utf8, &[values, ("fields.x.kind", "random")], 3000);
    for value in ["a", "b", "c"] {
        let count = random.iter().filter(|text| *text == value).count();
        assert!((900..1100).contains(&count), "{value} comes {count} times of 3,000");
    }
    let constant = [("fields.x.kind", "constant"), ("fields.x.values", "one, two")];
    assert_eq!(texts(DataType::Utf8, &constant, 2), ["one, two", "one, two"]);
    let dates = [("fields.x.values", "2024-02-29,1999-12-31")];
    assert_eq!(texts(DataType::Date32, &dates, 2), ["2024-02-29", "1999-12-31"]);
}

#[test]
fn random_values_keep_their_bounds_and_reach_them() {
    let columns = [("i", DataType::Int64), ("f", DataType::Float64), ("s", DataType::Utf8), ("u", DataType::UInt64)];
    let options = [
        ("fields.i.min", "-3"),
        ("fields.i.max", "3"),
        ("fields.f.min", "10"),
        ("fields.f.max", "11"),
        ("fields.s.length", "20"),
        ("fields.u.max", "18446744073709551615"),
    ];
    let record = read(&*open(&columns, &options).unwrap(), 10_000, 1000);
    let integers = record.column(0).as_primitive::<Int64Type>();
    let (least, most) = (min_array::<Int64Type, _>(integers), max_array::<Int64Type, _>(integers));
    assert_eq!((least, most), (Some(-3), Some(3)));
    let floats = record.column(1).as_primitive::<Float64Type>();
    assert!(floats.values().iter().all(|float| (10.0..=11.0).contains(float)));
    let mean = floats.values().iter().sum::<f64>() / 10_000.0;
    assert!((10.49..10.51).contains(&mean), "mean {mean}");
    assert_eq!(min_string_view(record.column(2).as_string_view()).unwrap().len(), 20);
    let unsigned = record.column(3).as_primitive::<UInt64Type>();
    assert!(unsigned.values().iter().any(|&value| value > u64::MAX / 4 * 3));
}

#[test]
fn nulls_come_as_often_as_told() {
    for (name, data_type) in every_type() {
        let rate = format!("fields.{name}.null_rate");
        let half = read(&*open(&[(name, data_type.clone())], &[(&rate, "0.25")]).unwrap(), 2000, 512);
        let nulls = half.column(0).null_count();
        assert!((400..600).contains(&nulls), "{name} has {nulls} nulls of 2,000");
        let all = read(&*open(&[(name, data_type.clone())], &[(&rate, "1")]).unwrap(), 10, 10);
        assert_eq!(all.column(0).null_count(), 10);
    }
}

#[test]
fn bounded_tables_end() {
    let table = open(&[("x", DataType::Int64)], &[("rows", "10")]).unwrap();
    assert_eq!((table.is_bounded(), table.row_count()), (true, Some(10)));
    assert_eq!(read(&*table, 100, 4).num_rows(), 10);
    assert!(!open(&[("x", DataType::Int64)], &[]).unwrap().is_bounded());
}

#[test]
fn finds_columns_whatever_their_case() {
    let table = open(&[("dateTime", DataType::Int64)], &[("fields.datetime.start", "4")]).unwrap();
    let record = read(&*table, 1, 1);
    assert_eq!(cast(record.column(0), &DataType::Utf8).unwrap().as_string::<i32>().value(0), "4");
}

#[test]
fn refuses_what_does_not_fit() {
    let int = DataType::Int32;
    assert_eq!(
        refusal(int.clone(), &[("row", "5")]),
        "unknown option of connector 'datagen': 'row'; known are connector, rows, rate, seed, pace, \
         fields.<column>.<option>"
    );
    assert_eq!(
        refusal(int.clone(), &[("fields.y.min", "5")]),
        "option of an unknown column: 'fields.y.min'; columns are x"
    );
    assert_eq!(
        refusal(int.clone(), &[("fields.x.mim", "5")]),
        "unknown option of a datagen column: 'fields.x.mim'; known are \
         kind, start, end, step, min, max, length, values, null_rate"
    );
    assert_eq!(
        refusal(int.clone(), &[("fields.x.kind", "sequence"), ("fields.x.min", "5")]),
        "option 'fields.x.min' does not go with kind 'sequence', which takes start, end, step"
    );
    assert_eq!(
        refusal(int.clone(), &[("fields.x.length", "5")]),
        "option 'fields.x.length' does not go with type Int32"
    );
    assert_eq!(refusal(int.clone(), &[("fields.x.min", "five")]), "option 'fields.x.min' is no Int32: 'five'");
    assert_eq!(
        refusal(int.clone(), &[("fields.x.min", "5"), ("fields.x.max", "4")]),
        "option 'fields.x.min' lies above 'fields.x.max'"
    );
    assert_eq!(
        refusal(int.clone(), &[("fields.x.start", "5"), ("fields.x.end", "4")]),
        "a sequence does not get from its start to its end: 'fields.x.step' is 1"
    );
    assert_eq!(
        refusal(int, &[("fields.x.kind", "cycle")]),
        "option 'fields.x.values' is needed here: values, parted by commas"
    );
    assert_eq!(
        refusal(DataType::Float64, &[("fields.x.min", "nan")]),
        "option 'fields.x.min' must be a finite number: 'nan'"
    );
    assert_eq!(
        refusal(DataType::Boolean, &[("fields.x.start", "0")]),
        "datagen makes no sequence of this type: x Boolean"
    );
    let message = table(&TableDefinition {
        name: "t".to_string(),
        schema: None,
        options: BTreeMap::new(),
        primary_key: Vec::new(),
    });
    assert_eq!(message.unwrap_err().to_string(), "datagen needs declared columns: t");
}
