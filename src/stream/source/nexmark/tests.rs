//! Nexmark's columns against the checksums of their definition.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{cast, concat_batches, filter, is_not_null};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, TimeUnit};

use super::*;
use crate::batch::Batch;
use crate::pipeline::{Scan, ScanRequest, Take};

/// Sums of columns as an independent generator in Python and numpy computes them, that other engines are measured
/// with: event count, rate, entity, field, rows, and the sum of (row + 1) * value modulo 2^64, where the value of a
/// string is its FNV-1a hash.
const SUMS: [(u64, u64, &str, &str, usize, u64); 37] = [
    (100000, 10000, "person", "id", 2000, 0x0000_0001_1636_EE50),
    (100000, 10000, "person", "name", 2000, 0xBA89_B098_972D_5E67),
    (100000, 10000, "person", "emailAddress", 2000, 0xBE52_C6CE_72FD_520F),
    (100000, 10000, "person", "creditCard", 2000, 0xF609_251D_8E94_6F72),
    (100000, 10000, "person", "city", 2000, 0x72A6_A2C4_7179_8688),
    (100000, 10000, "person", "state", 2000, 0xE625_AF09_04B3_8CAA),
    (100000, 10000, "person", "dateTime", 2000, 0x2F35_4423_9F2C_B850),
    (100000, 10000, "person", "extra", 2000, 0xEA75_4DDD_F1DE_CFAC),
    (100000, 10000, "auction", "id", 6000, 0x0000_0014_F498_C2F0),
    (100000, 10000, "auction", "itemName", 6000, 0x223F_FAF1_E41A_8A7B),
    (100000, 10000, "auction", "description", 6000, 0xC7D4_3B41_5E9B_D829),
    (100000, 10000, "auction", "initialBid", 6000, 0x0000_77DF_20E3_00BF),
    (100000, 10000, "auction", "reserve", 6000, 0x0000_ECE4_27D0_4EDC),
    (100000, 10000, "auction", "dateTime", 6000, 0xA8BB_2868_0613_71E8),
    (100000, 10000, "auction", "expires", 6000, 0xA8BB_2868_BA1B_0423),
    (100000, 10000, "auction", "seller", 6000, 0x0000_0009_241A_EC94),
    (100000, 10000, "auction", "category", 6000, 0x0000_0000_0CDE_4C19),
    (100000, 10000, "auction", "extra", 6000, 0xAA32_AB58_7D19_FCE5),
    (100000, 10000, "bid", "auction", 92000, 0x0000_1310_7552_ED99),
    (100000, 10000, "bid", "bidder", 92000, 0x0000_0866_C2DD_EC50),
    (100000, 10000, "bid", "price", 92000, 0x006D_6956_CE37_C11E),
    (100000, 10000, "bid", "channel", 92000, 0x6E86_E112_7F19_CBB5),
    (100000, 10000, "bid", "url", 92000, 0xD754_E213_C009_7EBC),
    (100000, 10000, "bid", "dateTime", 92000, 0x0371_3694_64E7_4138),
    (100000, 10000, "bid", "extra", 92000, 0x173F_364F_815B_4CD8),
    (3000, 7, "person", "dateTime", 60, 0x000B_0D70_408A_9F67),
    (3000, 7, "auction", "dateTime", 180, 0x0062_62A4_1597_04A8),
    (3000, 7, "auction", "expires", 180, 0x0062_62A4_FB3E_77E8),
    (3000, 7, "bid", "dateTime", 2760, 0x59E4_047A_C0D0_BB8C),
    (333, 3, "person", "dateTime", 7, 0x0000_2B4A_BD33_DBA3),
    (333, 3, "auction", "dateTime", 21, 0x0001_6528_98F3_96EE),
    (333, 3, "auction", "expires", 21, 0x0001_6528_9FFC_6D83),
    (333, 3, "bid", "dateTime", 305, 0x0119_D6AC_2E86_A651),
    (200003, 1000000, "person", "dateTime", 4001, 0xBCE1_2656_5151_0EC0),
    (200003, 1000000, "auction", "dateTime", 12002, 0xA359_5C5F_B96C_3900),
    (200003, 1000000, "auction", "expires", 12002, 0xA359_5C5F_BFE1_C576),
    (200003, 1000000, "bid", "dateTime", 184000, 0x0B98_D0C1_CEFD_3450),
];

fn open(options: &[(&str, &str)], schema: Option<SchemaRef>) -> Result<Arc<dyn Table>> {
    let options = options.iter().map(|(key, value)| (key.to_string(), value.to_string()));
    let mut options: BTreeMap<String, String> = options.collect();
    options.insert("connector".to_string(), "nexmark".to_string());
    table(&TableDefinition { name: "t".to_string(), schema, options, primary_key: Vec::new() })
}

fn request(table: &dyn Table, batch_rows: usize) -> ScanRequest {
    let projection = (0..table.schema().fields().len()).collect();
    ScanRequest {
        system: Vec::new(),
        projection,
        predicates: Vec::new(),
        batch_rows,
        partitions: 2,
        ordered: false,
        event_time: None,
        fetch: None,
        dictionaries: false,
        counts_rows: false,
        pushed: Default::default(),
    }
}

/// All rows of a bounded scan, with what every morsel must keep checked on the way.
fn read(table: &dyn Table, request: &ScanRequest) -> RecordBatch {
    let schema = Arc::new(table.schema().project(&request.projection).unwrap());
    let scan = table.open(request).unwrap();
    let (mut records, mut batch, mut sequence, mut ended) = (Vec::new(), Batch::default(), 0, false);
    while let Take::Morsel(mut morsel) = scan.take().unwrap() {
        assert!(!ended, "nothing comes after the last morsel");
        assert_eq!((morsel.partition, morsel.sequence), (0, sequence));
        sequence += 1;
        ended = morsel.is_last;
        while morsel.reader.read(&mut batch).unwrap() {
            assert!(batch.rows <= request.batch_rows);
            records.push(batch.to_record(&schema).unwrap());
            batch.clear();
        }
    }
    assert!(ended, "the last morsel says so");
    let rows = concat_batches(&schema, &records).unwrap();
    assert_eq!(scan.progress().rows.load(Ordering::Relaxed), rows.num_rows() as u64);
    rows
}

fn sum(column: &ArrayRef) -> u64 {
    let values: Vec<u64> = match column.data_type() {
        DataType::Utf8View => column.as_string_view().iter().map(|text| fnv(text.unwrap())).collect(),
        _ => {
            let integers = cast(column, &DataType::Int64).unwrap();
            integers.as_primitive::<Int64Type>().values().iter().map(|&value| value as u64).collect()
        }
    };
    (1u64..).zip(values).fold(0, |sum, (weight, value)| sum.wrapping_add(weight.wrapping_mul(value)))
}

fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ byte as u64).wrapping_mul(0x100_0000_01B3))
}

#[test]
fn makes_the_same_events_as_its_twin() {
    for (events, rate, entity, name, rows, expected) in SUMS {
        let (events, rate) = (events.to_string(), rate.to_string());
        let table = open(&[("type", entity), ("events", &events), ("rate", &rate)], None).unwrap();
        let mut request = request(&*table, 1000);
        request.projection = vec![table.schema().index_of(name).unwrap()];
        let record = read(&*table, &request);
        assert_eq!(record.num_rows(), rows, "rows of {entity}");
        assert_eq!(table.row_count(), Some(rows as u64));
        assert_eq!(sum(record.column(0)), expected, "{entity}.{name} of {events} events at {rate}/s");
    }
}

#[test]
fn the_combined_table_holds_the_same_events() {
    let table = open(&[("events", "100_000")], None).unwrap();
    let record = read(&*table, &request(&*table, 777));
    assert_eq!(record.num_rows(), 100_000);
    let times = cast(record.column_by_name("dateTime").unwrap(), &DataType::Int64).unwrap();
    let times = times.as_primitive::<Int64Type>();
    assert!(times.values().iter().enumerate().all(|(n, &time)| time == 1_700_000_000_000 + n as i64 / 10));
    for (events, rate, entity, name, rows, expected) in SUMS {
        if (events, rate) != (100_000, 10_000) {
            continue;
        }
        let structs = record.column_by_name(entity).unwrap().as_struct();
        let child = structs.column_by_name(name).unwrap();
        assert_eq!(child.nulls(), structs.nulls(), "children carry the struct's nulls");
        let told = filter(child, &is_not_null(child).unwrap()).unwrap();
        assert_eq!(told.len(), rows);
        assert_eq!(sum(&told), expected, "{entity}.{name}");
    }
}

#[test]
fn rows_do_not_depend_on_batches_or_seeds_of_others() {
    let whole = |seed: &str, batch_rows| {
        let table = open(&[("type", "bid"), ("events", "5003"), ("seed", seed)], None).unwrap();
        read(&*table, &request(&*table, batch_rows))
    };
    assert_eq!(whole("42", 1), whole("42", 8192));
    assert_eq!(whole("42", 45), whole("42", 47));
    assert_ne!(whole("42", 64), whole("43", 64));
}

#[test]
fn every_level_makes_the_same_events() {
    let best = Events::new(10_000, 7);
    for level in millstream_kernels::level::available() {
        let events = best.at_level(level);
        for entity in Entity::ALL {
            for (number, field) in entity.fields().iter().enumerate() {
                let segments = Segments::of_entity(entity, 3..1003);
                let (mut expected, mut picks_expected) = ([0; 1000], [0; 1000]);
                let (mut values, mut picks) = ([0; 1000], [0; 1000]);
                if field.shape == Shape::Text {
                    field::picks(&best, entity, number, segments.clone(), &mut picks_expected);
                    field::picks(&events, entity, number, segments, &mut picks);
                } else {
                    field::integers(&best, entity, number, segments.clone(), &mut expected);
                    field::integers(&events, entity, number, segments, &mut values);
                }
                assert_eq!((values, picks), (expected, picks_expected), "{} at {level:?}", field.name);
            }
        }
    }
}

#[test]
fn strings_are_shared_and_flat_memory_is_reused() {
    let table = open(&[("type", "bid")], None).unwrap();
    assert!(!table.is_bounded());
    let scan = table.open(&request(&*table, 512)).unwrap();
    let Take::Morsel(mut morsel) = scan.take().unwrap() else { panic!("there is always a morsel") };
    assert!(!morsel.is_last);
    let mut batch = Batch::default();
    let address = |batch: &Batch| match &batch.columns[0] {
        batch::Column::Flat(flat) => match &flat.values {
            Values::I64(values) => values.as_ptr(),
            other => panic!("auction is flat i64: {other:?}"),
        },
        other => panic!("auction is flat: {other:?}"),
    };
    assert!(morsel.reader.read(&mut batch).unwrap());
    let first = address(&batch);
    batch.clear();
    assert!(morsel.reader.read(&mut batch).unwrap());
    assert_eq!(address(&batch), first);
    let batch::Column::Array(urls) = &batch.columns[4] else { panic!("url is an array") };
    assert!(urls.as_string_view().data_buffers()[0].ptr_eq(&pool::URL.data_buffers()[0]));
}

#[test]
fn ends_where_the_query_needs_no_more() {
    let table = open(&[("type", "auction")], None).unwrap();
    let request = ScanRequest { fetch: Some(10), ..request(&*table, 4) };
    assert_eq!(read(&*table, &request).num_rows(), 10);
    let none = open(&[("type", "auction"), ("events", "1")], None).unwrap();
    let scan = none.open(&request).unwrap();
    let Take::Morsel(mut morsel) = scan.take().unwrap() else { panic!("an empty table has one morsel") };
    assert!(morsel.is_last && !morsel.reader.read(&mut Batch::default()).unwrap());
    assert!(matches!(scan.take().unwrap(), Take::End));
}

#[test]
fn stops_when_told() {
    let table = open(&[("type", "bid")], None).unwrap();
    let scan: Arc<dyn Scan> = table.open(&request(&*table, 16)).unwrap();
    let Take::Morsel(mut morsel) = scan.take().unwrap() else { panic!("there is always a morsel") };
    scan.progress().stopped.store(true, Ordering::Relaxed);
    assert!(!morsel.reader.read(&mut Batch::default()).unwrap());
    assert!(matches!(scan.take().unwrap(), Take::End));
}

#[test]
fn real_time_hands_out_what_is_due() {
    let table = open(&[("rate", "1"), ("pace", "realtime"), ("events", "3")], None).unwrap();
    let scan = table.open(&request(&*table, 16)).unwrap();
    let Take::Morsel(mut morsel) = scan.take().unwrap() else { panic!("the first event is due at once") };
    let mut batch = Batch::default();
    assert!(morsel.reader.read(&mut batch).unwrap());
    assert_eq!((batch.rows, morsel.is_last), (1, false));
    assert!(matches!(scan.take().unwrap(), Take::Pending));
}

#[test]
fn takes_declared_columns() {
    let nanoseconds = DataType::Timestamp(TimeUnit::Nanosecond, None);
    let fields = [Field::new("datetime", nanoseconds, true), Field::new("URL", DataType::Utf8, true)];
    let table = open(&[("type", "bid"), ("events", "60")], Some(Arc::new(Schema::new(fields.to_vec())))).unwrap();
    assert_eq!(table.schema().field(1).data_type(), &DataType::Utf8View);
    let record = read(&*table, &request(&*table, 100));
    let times = cast(record.column_by_name("datetime").unwrap(), &DataType::Int64).unwrap();
    assert_eq!(times.as_primitive::<Int64Type>().value(51), 1_700_000_000_005_000_000);
}

#[test]
fn refuses_what_it_does_not_know() {
    let message = |options: &[(&str, &str)], schema| open(options, schema).unwrap_err().to_string();
    assert_eq!(
        message(&[("event", "5")], None),
        "unknown option of connector 'nexmark': 'event'; known are connector, type, events, rate, seed, pace"
    );
    assert_eq!(message(&[("rate", "0")], None), "option 'rate' must be a number from 1 to 1000000000: '0'");
    assert_eq!(message(&[("type", "bids")], None), "option 'type' must be 'bid', 'auction', 'person' or 'all': 'bids'");
    let declare = |name, data_type| Some(Arc::new(Schema::new(vec![Field::new(name, data_type, true)])));
    assert_eq!(
        message(&[("type", "person")], declare("age", DataType::Int64)),
        "no such column in nexmark: age; there are \
         id, name, emailAddress, creditCard, city, state, dateTime, extra"
    );
    assert_eq!(
        message(&[("type", "bid")], declare("price", DataType::Float64)),
        "nexmark column of another type: price is Int64, declared Float64"
    );
}
