//! Window functions written for DataFusion, unmodified: a user's own, and DataFusion's under other names, which say what
//! the engine's say.

use std::ops::Range;
use std::sync::Arc;

use datafusion_common::{Result, ScalarValue};
use datafusion_expr::function::{ExpressionArgs, PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion_expr::registry::FunctionRegistry;
use datafusion_expr::{PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl};
use datafusion_physical_expr::PhysicalExpr;
use millstream::arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, UInt64Array};
use millstream::arrow::compute;
use millstream::arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use millstream::engine::{Engine, Outcome};

use super::{engine, engine_of, error, rows, try_rows};

/// What an evaluator of the tests does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Way {
    /// The mean of the values in the frame.
    Frame,
    /// How many rows have a greater rank.
    Peers,
    /// The row's number from the end of its partition.
    All,
    /// A row too few.
    Short,
    Panic,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Mine {
    name: &'static str,
    way: Way,
    signature: Signature,
}

fn mine(name: &'static str, way: Way) -> WindowUDF {
    let signature = match way {
        Way::Frame => Signature::exact(vec![DataType::Float64], Volatility::Immutable),
        _ => Signature::nullary(Volatility::Immutable),
    };
    WindowUDF::from(Mine { name, way, signature })
}

impl WindowUDFImpl for Mine {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn partition_evaluator(&self, _: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(Evaluator(self.way)))
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        let data_type = if self.way == Way::Frame { DataType::Float64 } else { DataType::UInt64 };
        Ok(Arc::new(Field::new(args.name(), data_type, true)))
    }
}

#[derive(Debug)]
struct Evaluator(Way);

impl PartitionEvaluator for Evaluator {
    fn uses_window_frame(&self) -> bool {
        self.0 == Way::Frame
    }

    fn include_rank(&self) -> bool {
        self.0 == Way::Peers
    }

    fn evaluate(&mut self, values: &[ArrayRef], range: &Range<usize>) -> Result<ScalarValue> {
        assert!(values.len() > 1, "the columns of ORDER BY stand behind the arguments");
        let frame = values[0].slice(range.start, range.len());
        let sum = compute::sum(frame.as_primitive::<Float64Type>());
        let count = frame.len() - frame.null_count();
        Ok(ScalarValue::Float64(sum.map(|sum| sum / count as f64)))
    }

    fn evaluate_all_with_rank(&self, rows: usize, peers: &[Range<usize>]) -> Result<ArrayRef> {
        assert_eq!(peers.last().map(|last| last.end), Some(rows));
        Ok(Arc::new(
            peers
                .iter()
                .flat_map(|range| range.clone().map(move |_| (rows - range.end) as u64))
                .collect::<UInt64Array>(),
        ))
    }

    fn evaluate_all(&mut self, _: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        match self.0 {
            Way::Short => Ok(Arc::new((1..rows as u64).collect::<UInt64Array>())),
            Way::Panic => panic!("no luck"),
            _ => Ok(Arc::new((1..=rows as u64).rev().collect::<UInt64Array>())),
        }
    }
}

/// A function of DataFusion under another name.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Renamed {
    name: String,
    function: WindowUDF,
}

impl WindowUDFImpl for Renamed {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn expressions(&self, args: ExpressionArgs) -> Vec<Arc<dyn PhysicalExpr>> {
        self.function.expressions(args)
    }

    fn partition_evaluator(&self, args: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        self.function.partition_evaluator_factory(args)
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        self.function.field(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce_types(types)
    }
}

/// As packages of functions do it.
fn register_all(registry: &mut dyn FunctionRegistry) -> Result<()> {
    for function in datafusion_functions_window::all_default_window_functions() {
        let renamed = Renamed { name: format!("df_{}", function.name()), function: function.as_ref().clone() };
        registry.register_udwf(Arc::new(WindowUDF::from(renamed)))?;
    }
    for (name, way) in [("smooth", Way::Frame), ("above", Way::Peers), ("from_end", Way::All)] {
        registry.register_udwf(Arc::new(mine(name, way)))?;
    }
    Ok(())
}

const ROWS: i64 = 300;

fn with_data(batch_rows: usize, partitions: usize) -> Engine {
    let engine = engine_of(batch_rows, partitions);
    register_all(&mut engine.function_registry()).unwrap();
    let mix = |row: i64| (row.wrapping_mul(2_654_435_761) >> 4).rem_euclid(997);
    let keys: Int64Array = (0..ROWS).map(|row| (mix(row) % 7 != 0).then_some(mix(row) % 4)).collect();
    let values: Float64Array = (0..ROWS).map(|row| (mix(row + 5) % 5 != 0).then_some((mix(row) % 40) as f64)).collect();
    let order: Int64Array = (0..ROWS).map(|row| (mix(row + 9) % 11 != 0).then_some(mix(row + 2) % 60)).collect();
    let texts = compute::cast(&order, &DataType::Utf8).unwrap();
    let ids = Int64Array::from_iter_values(0..ROWS);
    let columns: [(&str, ArrayRef); 5] =
        [("k", Arc::new(keys)), ("x", Arc::new(values)), ("o", Arc::new(order)), ("s", texts), ("id", Arc::new(ids))];
    engine.register_batches("t", vec![RecordBatch::try_from_iter(columns).unwrap()]).unwrap();
    engine
}

fn sorted(engine: &Engine, sql: &str) -> Vec<String> {
    let mut rows = rows(engine, sql);
    rows.sort();
    rows
}

const OVERS: [&str; 8] = [
    "PARTITION BY k ORDER BY o, id",
    "ORDER BY o DESC NULLS LAST, id",
    "PARTITION BY k ORDER BY o ROWS BETWEEN 3 PRECEDING AND 1 FOLLOWING",
    "PARTITION BY k ORDER BY o RANGE BETWEEN 5 PRECEDING AND 2 FOLLOWING",
    "PARTITION BY k ORDER BY s DESC GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW",
    "PARTITION BY k ORDER BY o ROWS BETWEEN 9 PRECEDING AND 5 PRECEDING",
    "PARTITION BY id % 50 ORDER BY o, s ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
    "PARTITION BY id ORDER BY o",
];

/// The first query says what the second says, however rows are cut and spread.
fn check(mine: &str, wanted: &str) {
    let wanted = sorted(&with_data(8192, 1), wanted);
    assert_eq!(wanted.len(), ROWS as usize);
    for (batch_rows, partitions) in [(1, 1), (17, 3), (8192, 1)] {
        let found = sorted(&with_data(batch_rows, partitions), mine);
        let place = found.iter().zip(&wanted).find(|(a, b)| a != b);
        assert!(found == wanted, "{mine} by {batch_rows}, {partitions}: {place:?}");
    }
}

#[test]
fn a_users_own_says_what_its_definition_says() {
    for over in OVERS {
        check(
            &format!("SELECT id, smooth(x) OVER ({over}) FROM t"),
            &format!("SELECT id, AVG(x) OVER ({over}) FROM t"),
        );
    }
    let over = "PARTITION BY k ORDER BY o";
    check(
        &format!("SELECT id, above() OVER ({over}) FROM t"),
        &format!("SELECT id, COUNT(*) OVER (PARTITION BY k) - COUNT(*) OVER ({over}) FROM t"),
    );
    let over = "PARTITION BY k ORDER BY o, id";
    check(
        &format!("SELECT id, from_end() OVER ({over}) FROM t"),
        &format!("SELECT id, COUNT(*) OVER (PARTITION BY k) + 1 - ROW_NUMBER() OVER ({over}) FROM t"),
    );
    let cast = "SELECT id, smooth(CAST(x AS BIGINT)) OVER (ORDER BY id) FROM t";
    check(cast, "SELECT id, AVG(x) OVER (ORDER BY id) FROM t");
}

#[test]
fn datafusions_own_under_other_names_say_what_the_engines_say() {
    let ranks = ["row_number()", "rank()", "dense_rank()", "percent_rank()", "cume_dist()", "ntile(7)"];
    let values = [
        "lag(x)",
        "lag(x, 2, -1)",
        "lead(s, 3)",
        "lead(x, 1, 0.5)",
        "first_value(x)",
        "last_value(s)",
        "nth_value(x, 2)",
        "nth_value(s, -2)",
    ];
    let nulls = values.map(|call| format!("{call} IGNORE NULLS"));
    let calls = ranks.iter().chain(&values).map(ToString::to_string).chain(nulls);
    for call in calls {
        for over in OVERS {
            check(
                &format!("SELECT id, df_{call} OVER ({over}) FROM t"),
                &format!("SELECT id, {call} OVER ({over}) FROM t"),
            );
        }
    }
}

#[test]
fn they_stand_beside_the_engines_own_and_in_qualify() {
    let engine = with_data(64, 2);
    let sql = "SELECT id FROM t QUALIFY df_row_number() OVER (PARTITION BY k ORDER BY id) = 1 ORDER BY id";
    assert_eq!(rows(&engine, sql), rows(&engine, &sql.replace("df_", "")));
    let sql = "SELECT SUM(id) OVER w, df_rank() OVER w, smooth(x) OVER w FROM t WHERE id < 3 WINDOW w AS (ORDER BY id)";
    assert_eq!(sorted(&engine, sql).len(), 3);
    let Outcome::Text(shown) = engine.execute(&format!("EXPLAIN {sql}")).unwrap() else { panic!("text") };
    assert!(shown.contains("foreign: df_rank, smooth"), "{shown}");
    assert_eq!(rows(&engine, "SELECT df_rank() OVER (ORDER BY id) FROM t WHERE id < 0"), Vec::<String>::new());
    let message = error(&engine, "SELECT df_rank() FILTER (WHERE id > 1) OVER (ORDER BY id) FROM t");
    assert!(message.contains("FILTER"), "{message}");
}

#[test]
fn one_with_the_name_of_a_built_in_is_not_taken_for_it() {
    let engine = engine();
    let call = "SELECT row_number() OVER (ORDER BY x) AS n FROM (VALUES (1), (2)) AS t(x)";
    let first = format!("SELECT n FROM ({call}) AS r WHERE n <= 1");
    assert_eq!((rows(&engine, call), rows(&engine, &first)), (vec!["1".into(), "2".into()], vec!["1".into()]));
    engine.register_udwf(mine("row_number", Way::All));
    assert_eq!((rows(&engine, call), rows(&engine, &first)), (vec!["2".into(), "1".into()], vec!["1".into()]));
}

#[test]
fn what_they_do_wrong_is_told_with_their_name() {
    let engine = engine();
    engine.register_udwf(mine("short", Way::Short));
    engine.register_udwf(mine("picky", Way::Panic));
    let message = error(&engine, "SELECT short() OVER (ORDER BY x) FROM (VALUES (1), (2)) AS t(x)");
    assert!(message.contains("the function short made 1 rows of 2"), "{message}");
    let message = error(&engine, "SELECT picky() OVER (ORDER BY x) FROM (VALUES (1), (2)) AS t(x)");
    assert!(message.contains("the function picky panicked: no luck"), "{message}");
    register_all(&mut engine.function_registry()).unwrap();
    let message = error(&engine, "SELECT df_nth_value(x, x) OVER (ORDER BY x) FROM (VALUES (1), (2)) AS t(x)");
    assert!(message.contains("df_nth_value"), "{message}");
    assert_eq!(rows(&engine, "SELECT 1"), ["1"]);
}

/// Rows of two seconds each, pushed; the query's rows, folded.
fn of_stream(sql: &str) -> millstream::Result<Vec<String>> {
    let engine = engine_of(16, 2);
    register_all(&mut engine.function_registry()).unwrap();
    engine.execute("CREATE TABLE t (at TIMESTAMP(3), x DOUBLE, WATERMARK FOR at AS at)")?;
    let times = millstream::arrow::array::TimestampMillisecondArray::from_iter_values((0..40).map(|row| row * 500));
    let values = Float64Array::from_iter_values((0..40).map(|row| f64::from(row * 7 % 11)));
    let columns: [(&str, ArrayRef, bool); 2] = [("at", Arc::new(times), true), ("x", Arc::new(values), true)];
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let handle = engine.register_push("t", batch.schema())?;
    let pushing = std::thread::spawn(move || {
        // Where the query is refused nobody reads.
        let _ = (0..8).try_for_each(|part| handle.push(batch.slice(part * 5, 5)));
        handle.close();
    });
    let answer = try_rows(&engine, sql);
    pushing.join().unwrap();
    let mut answer = answer?;
    answer.sort();
    Ok(answer)
}

#[test]
fn on_a_stream_they_run_where_partitions_end_and_are_refused_elsewhere() {
    let windowed = "FROM TUMBLE(TABLE t, DESCRIPTOR(at), INTERVAL '5' SECOND)";
    for sql in [
        format!(
            "SELECT x, df_rank() OVER (PARTITION BY window_start ORDER BY x), smooth(x) OVER (PARTITION BY window_start ORDER BY x ROWS 2 PRECEDING) {windowed}"
        ),
        "SELECT x, df_ntile(3) OVER (ORDER BY x, at), smooth(x) OVER (ORDER BY x, at) FROM t EMIT CHANGES".to_string(),
    ] {
        let own = sql.replace("df_", "").replace("smooth", "AVG");
        assert_eq!(of_stream(&sql).unwrap_or_else(|e| panic!("{sql}: {e}")), of_stream(&own).unwrap(), "{sql}");
    }
    let refused = of_stream("SELECT smooth(x) OVER (ORDER BY at ROWS 2 PRECEDING) FROM t").unwrap_err().to_string();
    assert!(refused.contains("smooth, written for DataFusion, needs whole partitions"), "{refused}");
}
