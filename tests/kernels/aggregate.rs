//! Aggregates of the users' own: plain, in windows, over changes, with FILTER and DISTINCT, across partitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream::arrow::array::{AsArray, Int64Array, RecordBatch};
use millstream::arrow::datatypes::{DataType, Field, Float64Type, Schema};
use millstream::engine::Engine;
use millstream::function::custom::{Aggregate, AggregateDefinition, Fold, Inputs, State, Timestamp};

use super::{engine_of, error, rows};

/// The average of a value over time, where older values weigh less: half as much after each second.
struct Decayed;

#[derive(Clone, Default)]
struct DecayedState {
    sum: f64,
    weight: f64,
    last: Option<i64>,
}

impl DecayedState {
    /// Lets the weights fade to what they are at `micros`.
    fn advance(&mut self, micros: i64) {
        if let Some(last) = self.last.filter(|last| *last < micros) {
            let fade = 0.5_f64.powf((micros - last) as f64 / 1e6);
            self.sum *= fade;
            self.weight *= fade;
        }
        self.last = self.last.max(Some(micros));
    }
}

impl State for DecayedState {
    type Saved = (f64, f64, Option<i64>);

    fn save(&self) -> Self::Saved {
        (self.sum, self.weight, self.last)
    }

    fn load((sum, weight, last): Self::Saved) -> Self {
        DecayedState { sum, weight, last }
    }
}

impl Aggregate for Decayed {
    type Input = (f64, Timestamp);
    type State = DecayedState;
    type Output = Option<f64>;

    fn init(&self) -> DecayedState {
        DecayedState::default()
    }

    fn update(&self, state: &mut DecayedState, (value, at): <Self::Input as Inputs>::Items<'_>) {
        let other = DecayedState { sum: value, weight: 1.0, last: Some(at.0) };
        self.merge(state, &other);
    }

    fn merge(&self, state: &mut DecayedState, other: &DecayedState) {
        let mut other = other.clone();
        let last = state.last.max(other.last).unwrap_or_default();
        state.advance(last);
        other.advance(last);
        state.sum += other.sum;
        state.weight += other.weight;
    }

    fn finish(&self, state: &DecayedState) -> Option<f64> {
        (state.weight > 0.0).then(|| state.sum / state.weight)
    }
}

fn register(engine: &Engine) {
    let squares = Fold::new(|| 0.0, |sum: &mut f64, x: f64| *sum += x * x, |sum, other| *sum += other, |sum| *sum);
    engine.aggregate("squares", squares.retract(|sum: &mut f64, x: f64| *sum -= x * x)).unwrap();
    engine.aggregate("decayed", Decayed).unwrap();
    // A state of any size: the texts, counted.
    let favourite = Fold::new(
        Vec::new,
        |seen: &mut Vec<(String, i64)>, text: &str| match seen.iter_mut().find(|(known, _)| known == text) {
            Some((_, count)) => *count += 1,
            None => seen.push((text.to_string(), 1)),
        },
        |seen, other: &Vec<(String, i64)>| {
            for (text, more) in other {
                match seen.iter_mut().find(|(known, _)| known == text) {
                    Some((_, count)) => *count += more,
                    None => seen.push((text.clone(), *more)),
                }
            }
        },
        |seen| seen.iter().max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(&a.0))).map(|(text, _)| text.clone()),
    );
    engine.register(AggregateDefinition::new("favourite", favourite).doc("The text that came most often.")).unwrap();
    let nulls =
        Fold::new(|| 0, |n: &mut i64, x: Option<i64>, _: &str| *n += i64::from(x.is_none()), |n, o| *n += o, |n| *n);
    engine.aggregate("nulls_with_text", nulls).unwrap();
}

/// Group, value, text, seconds.
type Row = (i64, Option<i64>, String, i64);

fn data() -> Vec<Row> {
    let row = |i: i64| (i * 7 % 13, (i % 5 != 0).then_some(i % 17), format!("text number {}", i * i % 7), i / 3);
    (0..1000).map(row).collect()
}

fn with_data(batch_rows: usize, partitions: usize) -> Engine {
    let engine = engine_of(batch_rows, partitions);
    register(&engine);
    let values: Vec<String> = data()
        .iter()
        .map(|(k, x, s, at)| {
            let x = x.map_or("NULL".to_string(), |x| x.to_string());
            format!("({k}, {x}, '{s}', TIMESTAMP '2020-01-01 00:00:00' + INTERVAL '{at}' SECOND)")
        })
        .collect();
    engine
        .execute(&format!(
            "CREATE TABLE data AS SELECT k, CAST(x AS BIGINT) AS x, s, CAST(at AS TIMESTAMP) AS at
             FROM (VALUES {}) AS t(k, x, s, at)",
            values.join(", ")
        ))
        .unwrap();
    engine
}

/// The sum of squares of a row's value for each key.
fn by_key<K: Ord>(key: impl Fn(&Row) -> Vec<K>) -> BTreeMap<K, f64> {
    let mut sums = BTreeMap::new();
    for row in data() {
        for key in key(&row) {
            *sums.entry(key).or_insert(0.0) += row.1.map_or(0.0, |x| (x * x) as f64);
        }
    }
    sums
}

fn sorted(engine: &Engine, sql: &str) -> Vec<String> {
    let mut rows = rows(engine, sql);
    rows.sort();
    rows
}

fn expected<K: std::fmt::Display>(sums: BTreeMap<K, f64>) -> Vec<String> {
    let mut rows: Vec<String> = sums.iter().map(|(key, sum)| format!("{key} {sum:?}")).collect();
    rows.sort();
    rows
}

#[test]
fn they_answer_as_a_plain_loop_does() {
    for (batch_rows, partitions) in [(1, 1), (7, 3), (64, 2), (8192, 1)] {
        let engine = with_data(batch_rows, partitions);
        assert_eq!(sorted(&engine, "SELECT k, squares(x) FROM data GROUP BY k"), expected(by_key(|row| vec![row.0])));
        let all: f64 = by_key(|_| vec![()])[&()];
        assert_eq!(sorted(&engine, "SELECT squares(x) FROM data"), [format!("{all:?}")]);
        let odd = by_key(|row| if row.0 % 2 == 1 { vec![()] } else { vec![] })[&()];
        assert_eq!(sorted(&engine, "SELECT squares(x) FILTER (WHERE k % 2 = 1) FROM data"), [format!("{odd:?}")]);
        let distinct: i64 = (0..17).map(|x| x * x).sum();
        assert_eq!(sorted(&engine, "SELECT squares(DISTINCT x) FROM data"), [format!("{:?}", distinct as f64)]);
        let start = |seconds: i64, size: i64| seconds.div_euclid(size) * size;
        let tumbled = by_key(|row| vec![start(row.3, 60)]);
        let sql = "SELECT CAST(EXTRACT(EPOCH FROM window_start) AS BIGINT) - 1577836800, squares(x)
                   FROM TABLE(TUMBLE(TABLE data, DESCRIPTOR(at), INTERVAL '60' SECOND)) GROUP BY window_start";
        assert_eq!(sorted(&engine, sql), expected(tumbled));
        let hopped = by_key(|row| (0..6).map(|pane| start(row.3, 10) - 10 * pane).collect());
        let sql = "SELECT CAST(EXTRACT(EPOCH FROM window_start) AS BIGINT) - 1577836800, squares(x)
                   FROM TABLE(HOP(TABLE data, DESCRIPTOR(at), INTERVAL '10' SECOND, INTERVAL '60' SECOND))
                   GROUP BY window_start";
        assert_eq!(sorted(&engine, sql), expected(hopped));
        assert_eq!(sorted(&engine, "SELECT squares(x) FROM data WHERE k > 100"), ["0.0"]);
        let nulls = data().iter().filter(|row| row.1.is_none()).count();
        assert_eq!(sorted(&engine, "SELECT nulls_with_text(x, s) FROM data"), [nulls.to_string()]);
        assert_eq!(
            sorted(&engine, "SELECT nulls_with_text(x, CASE WHEN k <> 3 THEN s END) FILTER (WHERE k < 4) FROM data"),
            [data().iter().filter(|row| row.1.is_none() && row.0 < 3).count().to_string()]
        );
        let mut counts = BTreeMap::new();
        data().iter().for_each(|row| *counts.entry(row.2.clone()).or_insert(0) += 1);
        let most = counts.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0))).unwrap().0.clone();
        assert_eq!(sorted(&engine, "SELECT favourite(s) FROM data"), [most]);
    }
}

#[test]
fn an_average_over_time_is_that_of_its_definition() {
    let engine = with_data(64, 2);
    let last = data().iter().map(|row| row.3).max().unwrap();
    let (mut sum, mut weight) = (0.0, 0.0);
    for row in data() {
        let Some(x) = row.1 else { continue };
        let fade = 0.5_f64.powi((last - row.3) as i32);
        sum += x as f64 * fade;
        weight += fade;
    }
    let found: f64 = rows(&engine, "SELECT decayed(x, at) FROM data")[0].parse().unwrap();
    assert!((found - sum / weight).abs() < 1e-9, "{found} and {}", sum / weight);
    assert_eq!(rows(&engine, "SELECT decayed(x, at) FROM data WHERE k > 100"), ["NULL"]);
}

#[test]
fn changes_are_taken_back_by_those_that_can() {
    let engine = engine_of(64, 2);
    register(&engine);
    let schema = Arc::new(Schema::new(vec![Field::new("k", DataType::Int64, false)]));
    // The inner counts change while rows come; the outer sum follows them.
    let sql = "SELECT squares(n) FROM (SELECT k, COUNT(*) AS n FROM keys GROUP BY k)";
    let handle = engine.register_push("keys", schema.clone()).unwrap();
    let query = engine.sql(sql).unwrap();
    for rows in data().chunks(100) {
        let keys: Int64Array = rows.iter().map(|row| Some(row.0)).collect();
        handle.push(RecordBatch::try_new(schema.clone(), vec![Arc::new(keys)]).unwrap()).unwrap();
    }
    handle.close();
    let last = query.collect().unwrap().into_iter().rfind(|batch| batch.num_rows() > 0).unwrap();
    let found = last.column(last.num_columns() - 1).as_primitive::<Float64Type>();
    let wanted: f64 = by_count().values().map(|n| (n * n) as f64).sum();
    assert_eq!(found.value(found.len() - 1), wanted);
    engine.register_push("keys", schema).unwrap();
    let message = error(&engine, &sql.replace("squares(n)", "favourite(CAST(n AS VARCHAR))"));
    assert!(message.contains("favourite cannot take rows back"), "{message}");
}

fn by_count() -> BTreeMap<i64, i64> {
    let mut counts = BTreeMap::new();
    data().iter().for_each(|row| *counts.entry(row.0).or_insert(0) += 1);
    counts
}
