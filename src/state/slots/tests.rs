//! Places hold what was put there last, through every order of puts and returns.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{BooleanArray, Float64Array, Int64Array, ListArray, StringViewArray};
use arrow::datatypes::Int32Type;

use super::*;

type Values = (Option<i64>, Option<String>, Option<bool>, Option<Vec<Option<i32>>>, f64);

/// Values by a number: null by chance, strings short and long.
fn values(number: u64) -> Values {
    let some = |salt: u64| !(number * 31 + salt).is_multiple_of(7);
    let text = if number.is_multiple_of(2) { format!("s{number}") } else { format!("{}{number}", "long ".repeat(9)) };
    (
        some(1).then_some(number as i64 - 50),
        some(2).then_some(text),
        some(3).then_some(number.is_multiple_of(3)),
        some(4).then(|| vec![Some(number as i32), None]),
        if number.is_multiple_of(11) { f64::NAN } else { -(number as f64) },
    )
}

fn columns(rows: &[Values]) -> Vec<ArrayRef> {
    vec![
        Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.1.clone()).collect::<StringViewArray>()),
        Arc::new(rows.iter().map(|row| row.2).collect::<BooleanArray>()),
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(rows.iter().map(|row| row.3.clone()))),
        Arc::new(rows.iter().map(|row| row.4).collect::<Float64Array>()),
    ]
}

fn ready(columns: &[ArrayRef]) -> Vec<KernelColumn> {
    columns.iter().map(|column| KernelColumn::new(Column::Array(column.clone()))).collect()
}

fn types(options: SortOptions) -> Vec<(DataType, SortOptions)> {
    columns(&[values(1)]).iter().map(|column| (column.data_type().clone(), options)).collect()
}

fn next(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % below
}

#[test]
fn places_hold_what_was_put_last() {
    let mut slots = Slots::new(&types(SortOptions::default())).expect("types with a row format");
    let (mut model, mut state): (BTreeMap<u32, Values>, u64) = (BTreeMap::new(), 7);
    for _ in 0..300 {
        let count = next(&mut state, 20) as usize;
        let rows: Vec<Values> = (0..count).map(|_| values(next(&mut state, 100_000))).collect();
        let arrays = columns(&rows);
        let kernel = ready(&arrays);
        let new = slots.incoming(&kernel, count).expect("columns of these types");
        let mut places = Vec::new();
        // Half of them over what is there.
        places.extend(model.keys().copied().skip(3).take(count / 2));
        slots.take(count - places.len(), &mut places).expect("few rows");
        slots.put(&new, &(0..count as u32).collect::<Vec<_>>(), &places);
        for (place, row) in places.iter().zip(rows) {
            model.insert(*place, row);
        }
        let gone: Vec<u32> = model.keys().copied().filter(|_| next(&mut state, 3) == 0).collect();
        for place in gone {
            model.remove(&place);
            slots.give_back(place);
        }
        assert_eq!(slots.used(), model.len());
        check(&slots, &model);
    }
    assert!(slots.free() > 0, "places were given back");
    let mut copy = Slots::new(&types(SortOptions::default())).expect("types with a row format");
    let old: Vec<u32> = model.keys().copied().collect();
    let places = slots.copy_into(&mut copy, &old).expect("the same columns");
    let moved = places.into_iter().zip(model.into_values()).collect();
    check(&copy, &moved);
    assert!(copy.size_bytes() < slots.size_bytes(), "{} of {}", copy.size_bytes(), slots.size_bytes());
}

fn check(slots: &Slots, model: &BTreeMap<u32, Values>) {
    let places: Vec<u32> = model.keys().copied().collect();
    let expected = columns(&model.values().cloned().collect::<Vec<_>>());
    for (column, expected) in expected.iter().enumerate() {
        let found = slots.array(column, &places).expect("places that are used");
        assert_eq!(format!("{found:?}"), format!("{expected:?}"), "column {column}");
    }
}

/// Kept rows and those of a batch compare as Arrow's row format does.
#[test]
fn rows_compare_as_written_ones() {
    use arrow::row::{RowConverter, SortField};
    let rows: Vec<Values> = (0..60).map(|number| values(number * number % 41)).collect();
    let (arrays, count) = (columns(&rows), rows.len() as u32);
    let kernel = ready(&arrays);
    for (descending, nulls_first) in [(false, true), (false, false), (true, true), (true, false)] {
        let options = SortOptions { descending, nulls_first };
        let mut slots = Slots::new(&types(options)).expect("types with a row format");
        let mut places = Vec::new();
        slots.take(rows.len(), &mut places).expect("few rows");
        let new = slots.incoming(&kernel, rows.len()).expect("columns of these types");
        slots.put(&new, &(0..count).collect::<Vec<_>>(), &places);
        for (column, array) in arrays.iter().enumerate() {
            let field = SortField::new_with_options(array.data_type().clone(), options);
            let converter = RowConverter::new(vec![field]).expect("a type with a row format");
            let written = converter.convert_columns(std::slice::from_ref(array)).expect("of this type");
            for (a, b) in (0..count).flat_map(|a| (0..count).map(move |b| (a, b))) {
                let expected = written.row(a as usize).cmp(&written.row(b as usize));
                let kept = |row: u32| SlotRow::at(places[row as usize]);
                for (one, other) in [(kept(a), SlotRow::new(b)), (SlotRow::new(a), kept(b)), (kept(a), kept(b))] {
                    let found = slots.compare(column, one, other, Some(&new), options);
                    assert_eq!(found, expected, "column {column}, rows {a} and {b}, {options:?}");
                }
            }
        }
    }
}
