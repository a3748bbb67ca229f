//! Table functions and operators of the users' own.

use std::sync::Arc;

use millstream::arrow::array::{Array, AsArray, Int64Array, RecordBatch};
use millstream::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use millstream::batch::{Argument, Batch, KernelColumn};
use millstream::engine::Engine;
use millstream::error::{Error, Result};
use millstream::state::{Section, SectionRoute};
use millstream::stream::operator::{Ending, Next, Operator, OperatorPlan};
use millstream::stream::source::memory::MemoryTable;

use super::{engine_of, error, rows};

/// Puts out, for each row, how many rows with its key came before it and with it.
#[derive(Default)]
struct Count {
    column: usize,
    seen: std::collections::BTreeMap<i64, i64>,
}

impl Operator for Count {
    fn push(&mut self, _: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        let rows = batch.selected_rows();
        let selected: Vec<usize> = match batch.selection.as_slice() {
            Some(selected) => selected.iter().map(|&row| row as usize).collect(),
            None => (0..rows).collect(),
        };
        let column = std::mem::take(&mut batch.columns[self.column]);
        let ready = KernelColumn::new(column);
        let keys: Argument<'_> = ready.argument(batch.rows);
        let values = keys.values::<i64>()?;
        let key = |row: usize| if keys.is_constant() { values[0] } else { values[row] };
        let mut counts = Vec::new();
        let keys: Vec<i64> = selected.iter().map(|&row| key(row)).collect();
        for key in &keys {
            let seen = self.seen.entry(*key).or_insert(0);
            *seen += 1;
            counts.push(*seen);
        }
        let mut out =
            Batch::from_arrays(vec![Arc::new(Int64Array::from(keys)), Arc::new(Int64Array::from(counts))], rows);
        next.push(&mut out)
    }

    fn finish(&mut self, _: Ending, _: &mut Next<'_>) -> Result<()> {
        Ok(())
    }

    fn snapshot(&mut self) -> Result<Vec<Section>> {
        let keys: Int64Array = self.seen.keys().copied().map(Some).collect();
        let counts: Int64Array = self.seen.values().copied().map(Some).collect();
        let rows = RecordBatch::try_from_iter([("key", Arc::new(keys) as _), ("count", Arc::new(counts) as _)])?;
        Ok(vec![Section { name: "counts".into(), rows, route: SectionRoute::Key { key_count: 1 } }])
    }

    fn restore(&mut self, sections: Vec<Section>) -> Result<()> {
        for section in sections {
            let keys = section.rows.column(0).as_primitive::<Int64Type>();
            let counts = section.rows.column(1).as_primitive::<Int64Type>();
            self.seen.extend(keys.values().iter().copied().zip(counts.values().iter().copied()));
        }
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.seen.len() * 48
    }
}

fn bind(input: &SchemaRef, args: &[millstream::arrow::array::ArrayRef]) -> Result<OperatorPlan> {
    let [name] = args else { return Err(Error::user("it takes a column")) };
    let name = name.as_string_opt::<i32>().map(|name| name.value(0).to_string());
    let name = name.ok_or_else(|| Error::user("it takes the name of a column"))?;
    let column = input.index_of(&name).map_err(|_| Error::user(format!("no such column: {name}")))?;
    if *input.field(column).data_type() != DataType::Int64 {
        return Err(Error::user(format!("the column must be BIGINT: {name}")));
    }
    let fields = vec![Field::new(&name, DataType::Int64, true), Field::new("nth", DataType::Int64, false)];
    let make = move |_| Box::new(Count { column, ..Count::default() }) as Box<dyn Operator>;
    Ok(OperatorPlan::new(Arc::new(Schema::new(fields)), make).by_key(vec![column]))
}

fn engines() -> Vec<Engine> {
    [(1, 1), (7, 3), (8192, 2)].map(|(batch_rows, partitions)| engine_of(batch_rows, partitions)).into()
}

#[test]
fn an_operator_runs_where_its_rows_are() {
    for engine in engines() {
        engine.operator("numbered", bind);
        let values: Vec<String> = (0..500).map(|i| format!("({i}, {})", i % 7)).collect();
        engine
            .execute(&format!("CREATE TABLE data AS SELECT * FROM (VALUES {}) AS t(i, k)", values.join(", ")))
            .unwrap();
        let sql = "SELECT k, MAX(nth), COUNT(*) FROM numbered(TABLE data, k) GROUP BY k ORDER BY k";
        let wanted: Vec<String> = (0..7)
            .map(|k| (0..500).filter(|i| i % 7 == k).count())
            .enumerate()
            .map(|(k, n)| format!("{k} {n} {n}"))
            .collect();
        assert_eq!(rows(&engine, sql), wanted);
        let sql = "SELECT n.k FROM numbered((SELECT * FROM data WHERE i < 100), 'k') AS n WHERE n.nth = 15 ORDER BY k";
        assert_eq!(rows(&engine, sql), ["0", "1"]);
        let message = error(&engine, "SELECT * FROM numbered(TABLE data, x)");
        assert!(message.contains("function numbered: no such column: x"), "{message}");
        let message = error(&engine, "SELECT * FROM numbered(1)");
        assert!(message.contains("expected a table"), "{message}");
        let shown = match engine.execute("EXPLAIN SELECT nth FROM numbered(TABLE data, k)").unwrap() {
            millstream::engine::Outcome::Text(text) => text,
            _ => String::new(),
        };
        assert!(shown.contains("Operator: numbered"), "{shown}");
    }
}

#[test]
fn an_operator_is_taken_down_and_set_up_again() {
    let mut first = Count { seen: [(1, 5), (2, 7)].into(), ..Count::default() };
    let mut second = Count::default();
    second.restore(first.snapshot().unwrap()).unwrap();
    assert_eq!(first.seen, second.seen);
}

/// Its state travels with the snapshot of a query, whose rest runs elsewhere, in other partitions.
#[test]
fn an_operator_goes_on_from_a_snapshot() {
    let schema = Arc::new(Schema::new(vec![Field::new("k", DataType::Int64, false)]));
    let keys = |range: std::ops::Range<i64>| {
        let keys = Int64Array::from_iter_values(range.map(|row| row * row % 7));
        RecordBatch::try_new(schema.clone(), vec![Arc::new(keys)]).unwrap()
    };
    let start = |partitions: usize| {
        let engine = engine_of(16, partitions);
        engine.operator("numbered", bind);
        let handle = engine.register_push("data", schema.clone()).unwrap();
        (engine, handle)
    };
    let sql = "SELECT k, nth FROM numbered(TABLE data, k)";
    let take = |batch: RecordBatch, found: &mut Vec<(i64, i64)>| {
        let column = |at: usize| batch.column(at).as_primitive::<Int64Type>().values().to_vec();
        found.extend(column(0).into_iter().zip(column(1)));
    };
    let mut found = Vec::new();
    let (engine, handle) = start(2);
    let mut query = engine.sql(sql).unwrap();
    handle.push(keys(0..90)).unwrap();
    while found.len() < 90 {
        let rows = query.next_rows().unwrap().expect("what was pushed comes out");
        take(rows.batch, &mut found);
    }
    let snapshot = query.snapshot().unwrap();
    drop(query);
    let (engine, handle) = start(3);
    let query = engine.resume(sql, &snapshot).unwrap();
    handle.push(keys(90..200)).unwrap();
    handle.close();
    for rows in query {
        take(rows.unwrap().batch, &mut found);
    }
    found.sort_unstable();
    let mut wanted = Vec::new();
    for key in 0..7 {
        let count = (0..200).filter(|row| row * row % 7 == key).count() as i64;
        wanted.extend((1..=count).map(|nth| (key, nth)));
    }
    assert_eq!(found, wanted);
}

#[test]
fn a_table_function_is_a_source() {
    for engine in engines() {
        engine.table_function("series", |args| {
            let bounds: Option<Vec<i64>> = args
                .iter()
                .map(|arg| arg.as_primitive_opt::<Int64Type>().filter(|arg| arg.is_valid(0)).map(|arg| arg.value(0)))
                .collect();
            let Some([from, to]) = bounds.as_deref() else { return Err(Error::user("it takes two whole numbers")) };
            let values: Int64Array = (*from..=*to).map(Some).collect();
            let batch = RecordBatch::try_from_iter([("value", Arc::new(values) as _)])?;
            Ok(Arc::new(MemoryTable::new(batch.schema(), vec![batch])?))
        });
        assert_eq!(rows(&engine, "SELECT SUM(value) FROM series(1, 50 * 2)"), ["5050"]);
        assert_eq!(rows(&engine, "SELECT s.value FROM series(3, 4) AS s ORDER BY s.value"), ["3", "4"]);
        let message = error(&engine, "SELECT * FROM series('a')");
        assert!(message.contains("function series: it takes two whole numbers"), "{message}");
    }
}
