//! The shake: random queries over random rows, for as long as `MILLSTREAM_SHAKE_SECONDS` says (a moment without it), from the
//! seed `MILLSTREAM_SHAKE_SEED` on. Whatever may not matter is shaken: where batches are cut, how many partitions there are,
//! in which order rows arrive within the lateness, the SIMD level, the mode of the keys, and snapshots in between.
//!
//! Windows and groups are held against the model, and their rows counted: in = on time + late + filtered + in no window.
//! Joins, frames, ranks and sessions over streams are held against the same SQL over a table that holds the same rows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use millstream::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use millstream::config::{Config, KeyMode};
use millstream::engine::{Engine, Snapshot};
use millstream::query::Query;
use millstream::stream::source::push::PushHandle;
use millstream_kernels::level;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

use super::answer::{Answer, fold};
use super::run::{self, Setting};
use super::spec::{Function, Spec};
use super::world::World;
use super::{check, naive, number};

/// What is done in a moment where nobody asks for more.
const CASES_MIN: u64 = 20;

/// Runs cases, one seed after the other, until the time is over; how many there were.
fn shake(name: &str, salt: u64, case: impl Fn(u64, &mut StdRng) -> Result<(), String>) {
    let (seconds, first) = (number("MILLSTREAM_SHAKE_SECONDS", 0), number("MILLSTREAM_SHAKE_SEED", 1));
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut seed = first;
    while Instant::now() < until || seed - first < CASES_MIN {
        let mut random = StdRng::seed_from_u64(seed.wrapping_mul(1_000_003) ^ salt);
        case(seed, &mut random).unwrap_or_else(|failure| panic!("MILLSTREAM_SHAKE_SEED={seed}: {failure}"));
        seed += 1;
    }
    println!("{name}: {} cases from seed {first} on, no difference", seed - first);
}

fn setting(random: &mut StdRng) -> Setting {
    let key_mode = random.random_bool(0.7).then(|| *KeyMode::ALL.choose(random).unwrap());
    Setting { keep_open: false, key_mode, ..*run::grid().choose(random).unwrap() }
}

#[test]
fn windows_and_groups_do_not_depend_on_what_is_shaken() {
    shake("windows and groups", 0x5ea, |seed, random| {
        let world = World::random(random.random());
        let spec = Spec::random(random, seed % 4 != 0, world.partitions.len() == 1);
        let settings =
            [setting(random), setting(random), Setting { keep_open: spec.window.is_some(), ..setting(random) }];
        check(&world, &spec, &settings)?;
        // Within the lateness the order of arrival is nobody's business, unless the query asks for the first or the last.
        let orders = [world.arriving(random), world.arriving(random)];
        let ordered = |aggregate: &_| matches!(aggregate, Function::FirstV | Function::LastS);
        let answers = orders.each_ref().map(|world| naive::answer(&[world], &spec, false));
        if answers.iter().any(|answer| answer.late > 0) {
            return Err("rows within the lateness are late in the model".to_string());
        }
        if !spec.aggregates.iter().any(|aggregate| ordered(&aggregate.function)) && answers[0].lines != answers[1].lines
        {
            return Err(format!("the model depends on the order of arrival: {}", spec.sql()));
        }
        orders.iter().try_for_each(|world| check(world, &spec, &[setting(random)]))
    });
}

/// Times between rows, the lateness, and spans of conditions, in milliseconds.
const STEP_MS: i64 = 700;
const LATENESS_MS: i64 = 2_000;

const TABLES: [&str; 2] = ["t", "u"];

/// Rows of a table in the order of their ids: key, number, time.
type Rows3 = Vec<(Option<i64>, Option<i64>, i64)>;

fn rows(random: &mut StdRng) -> Rows3 {
    let count = *[0, 1, 20, 60, 120].choose(random).unwrap();
    let keys = *[1, 3, 40].choose(random).unwrap();
    let mut at = 0;
    let row = |_| {
        at += random.random_range(0..STEP_MS);
        let key = random.random_bool(0.9).then(|| random.random_range(0..keys));
        (key, random.random_bool(0.9).then(|| random.random_range(-20..20)), at)
    };
    (0..count).map(row).collect()
}

fn record(rows: &Rows3, ids: &[usize]) -> RecordBatch {
    let key = |id: &usize| rows[*id].0.map(|key| format!("key number {key}"));
    let columns: [(&str, ArrayRef); 4] = [
        ("id", Arc::new(Int64Array::from_iter_values(ids.iter().map(|id| *id as i64)))),
        ("k", Arc::new(StringArray::from_iter(ids.iter().map(key)))),
        ("n", Arc::new(Int64Array::from_iter(ids.iter().map(|id| rows[*id].1)))),
        ("at", Arc::new(TimestampMillisecondArray::from_iter_values(ids.iter().map(|id| rows[*id].2)))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
}

/// A query over t, and perhaps u, whose answer in the end has nothing to do with when rows arrive.
fn query(random: &mut StdRng) -> String {
    let mut seconds = |least: i64| random.random_range(least..6);
    let (a, b, size, gap) = (seconds(0), seconds(0), seconds(1), seconds(1));
    let span = format!("u.at BETWEEN t.at - INTERVAL '{a}' SECOND AND t.at + INTERVAL '{b}' SECOND");
    let side = *["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"].choose(random).unwrap();
    let frame = *[
        "RANGE UNBOUNDED PRECEDING",
        "RANGE BETWEEN INTERVAL '3' SECOND PRECEDING AND CURRENT ROW",
        "RANGE BETWEEN INTERVAL '1' SECOND PRECEDING AND INTERVAL '2' SECOND FOLLOWING",
        "GROUPS BETWEEN 2 PRECEDING AND 1 PRECEDING",
    ]
    .choose(random)
    .unwrap();
    let call = *["COUNT(*)", "SUM(n)", "MIN(n)", "MAX(n)", "AVG(n)", "COUNT(DISTINCT n)"].choose(random).unwrap();
    let way = *["ASC", "DESC NULLS LAST"].choose(random).unwrap();
    let rank = random.random_range(1..5);
    let counts = |table: &str| {
        format!("(SELECT window_start AS w, k, COUNT(*) AS c FROM {table} GROUP BY k WINDOW TUMBLING(at, {size}s))")
    };
    let slide = random.random_range(1..=size);
    let all = [
        format!("SELECT t.id, u.id AS other, t.n FROM t {side} u ON t.k = u.k AND {span}"),
        format!("SELECT t.id, u.id AS other FROM t {side} u ON t.k = u.k"),
        "SELECT t.k, COUNT(*), SUM(u.n) FROM t JOIN u ON t.k = u.k GROUP BY t.k".to_string(),
        format!(
            "SELECT a.w, a.k, a.c, b.c AS other FROM {} AS a JOIN {} AS b ON a.w = b.w AND a.k = b.k",
            counts("t"),
            counts("u")
        ),
        format!("SELECT id, {call} OVER (PARTITION BY k ORDER BY at {frame}) FROM t"),
        format!(
            "SELECT id, LAG(n) OVER (PARTITION BY k ORDER BY at, id), {call} OVER (ORDER BY at, id ROWS 4 PRECEDING) FROM t"
        ),
        format!(
            "SELECT id, r FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY n {way}, id) AS r FROM t) AS q WHERE r <= {rank}"
        ),
        format!("SELECT id, r FROM (SELECT *, RANK() OVER (ORDER BY n {way}) AS r FROM t) AS q WHERE r <= {rank}"),
        format!(
            "SELECT k, c, r FROM (SELECT *, ROW_NUMBER() OVER (ORDER BY c DESC, k) AS r FROM (SELECT k, COUNT(*) AS c FROM t GROUP BY k) AS p) AS q WHERE r <= {rank}"
        ),
        format!("SELECT id, n FROM t ORDER BY n {way}, id LIMIT {rank}"),
        format!(
            "SELECT k, window_start, window_end, COUNT(*), SUM(n), COUNT(DISTINCT n) FROM t GROUP BY k WINDOW SESSION(at, {gap}s)"
        ),
        format!("SELECT k, window_end, {call} FROM t GROUP BY k WINDOW HOPPING(at, {size}s, {slide}s)"),
        format!(
            "SELECT window_start, COUNT(*), SUM(c) FROM {} AS q(window_start, k, c) GROUP BY window_start",
            counts("t")
        ),
        "SELECT c, COUNT(*) FROM (SELECT k, COUNT(*) AS c FROM t GROUP BY k) AS q GROUP BY c".to_string(),
        format!("SELECT DISTINCT k, n % 3 AS r FROM t UNION ALL SELECT k, n FROM u WHERE n > {rank}"),
    ];
    all.choose(random).unwrap().clone()
}

#[test]
fn streams_say_in_the_end_what_tables_say() {
    shake("streams", 0x10a, |_, random| {
        let tables = [rows(random), rows(random)];
        let sql = query(random);
        let expected = of_tables(&tables, &sql)?;
        for _ in 0..3 {
            let (found, how) = of_streams(&tables, &sql, random)?;
            if found != expected {
                let only = |a: &Answer, b: &Answer| -> Vec<String> {
                    let other = |(row, count): &(&String, &i64)| b.get(*row) != Some(*count);
                    a.iter().filter(other).take(5).map(|(row, count)| format!("{count} x {row}")).collect()
                };
                let (found, expected) = (only(&found, &expected), only(&expected, &found));
                return Err(format!("{sql}\n{how}\nfound    {found:?}\nexpected {expected:?}"));
            }
        }
        Ok(())
    });
}

fn finish(query: Query, answer: &mut Answer) -> Result<(), String> {
    for rows in query {
        fold(answer, &rows.map_err(|e| e.to_string())?);
    }
    Ok(())
}

fn of_tables(tables: &[Rows3; 2], sql: &str) -> Result<Answer, String> {
    let level = level::available().first().copied();
    let engine = Engine::new(Config { partitions: 1, level, ..Config::default() });
    for (name, rows) in TABLES.iter().zip(tables) {
        engine.register_batches(name, vec![record(rows, &(0..rows.len()).collect::<Vec<_>>())]).unwrap();
    }
    let mut answer = Answer::new();
    finish(engine.sql(sql).map_err(|e| format!("{sql}\n{e}"))?, &mut answer)?;
    Ok(answer)
}

/// An engine with both tables as streams, and where their rows go in.
fn streams(random: &mut StdRng, tables: &[Rows3; 2]) -> (Engine, [PushHandle; 2]) {
    let setting = setting(random);
    let engine = Engine::new(setting.config());
    let handles = [0, 1].map(|at| {
        let name = TABLES[at];
        let watermark = format!("WATERMARK FOR at AS at - INTERVAL '{} milliseconds'", LATENESS_MS);
        engine
            .execute(&format!("CREATE TABLE {name} (id BIGINT, k TEXT, n BIGINT, at TIMESTAMP(3), {watermark})"))
            .unwrap();
        engine.register_push(name, record(&tables[at], &[]).schema()).unwrap()
    });
    (engine, handles)
}

/// The rows of both tables as they arrive, in batches: which table, which ids.
fn arrivals(random: &mut StdRng, tables: &[Rows3; 2]) -> Vec<(usize, Vec<usize>)> {
    let mut batches: [Vec<Vec<usize>>; 2] = [Vec::new(), Vec::new()];
    for (rows, batches) in tables.iter().zip(&mut batches) {
        let lateness = *[0, 300, LATENESS_MS].choose(random).unwrap();
        let mut ids: Vec<(i64, usize)> =
            (0..rows.len()).map(|id| (rows[id].2 + random.random_range(0..=lateness), id)).collect();
        ids.sort_unstable();
        let mut left: Vec<usize> = ids.into_iter().map(|(_, id)| id).collect();
        while !left.is_empty() {
            let rest = left.split_off(random.random_range(1..=50).min(left.len()));
            batches.push(std::mem::replace(&mut left, rest));
        }
    }
    let mut turns: Vec<usize> = (0..2).flat_map(|table| vec![table; batches[table].len()]).collect();
    turns.shuffle(random);
    let mut batches = batches.map(Vec::into_iter);
    turns.into_iter().map(|table| (table, batches[table].next().unwrap())).collect()
}

/// The folded answer over pushed rows, with a restart from a snapshot somewhere, or none.
fn of_streams(tables: &[Rows3; 2], sql: &str, random: &mut StdRng) -> Result<(Answer, String), String> {
    let arrivals = arrivals(random, tables);
    let stop = random.random_bool(0.5).then(|| random.random_range(0..=arrivals.len()));
    let told = |e: millstream::Error| format!("{sql}\n{e}");
    let (mut engine, mut handles) = streams(random, tables);
    let mut how = format!("batches {arrivals:?}, {:?}", engine.config());
    let (mut answer, mut pushed) = (Answer::new(), [0usize; 2]);
    let mut query = engine.sql(sql).map_err(told)?;
    for step in 0..=arrivals.len() {
        if stop == Some(step) {
            settle(&handles, &pushed, sql, &mut query, &mut answer)?;
            let snapshot = query.snapshot().map_err(told)?;
            query.take_waiting().iter().for_each(|rows| fold(&mut answer, rows));
            drop(query);
            let bytes = snapshot.to_bytes().map_err(told)?;
            (engine, handles) = streams(random, tables);
            how = format!("{how}\nstopped after {step} batches, then {:?}", engine.config());
            query = engine.resume(sql, &Snapshot::from_bytes(&bytes).map_err(told)?).map_err(told)?;
        }
        if let Some((table, ids)) = arrivals.get(step) {
            handles[*table].push(record(&tables[*table], ids)).map_err(|e| format!("{sql}\n{e:?}"))?;
            pushed[*table] += ids.len();
        }
    }
    settle(&handles, &pushed, sql, &mut query, &mut answer)?;
    let late = query.metrics().late_rows;
    handles.iter().for_each(PushHandle::close);
    finish(query, &mut answer)?;
    match late {
        0 => Ok((answer, how)),
        late => Err(format!("{sql}\n{late} rows within the lateness are late")),
    }
}

/// Waits until the query has taken all rows pushed into what it reads. Its rows are pulled meanwhile.
fn settle(
    handles: &[PushHandle; 2],
    pushed: &[usize; 2],
    sql: &str,
    query: &mut Query,
    answer: &mut Answer,
) -> Result<(), String> {
    let started = Instant::now();
    let reads = |table: usize| sql.split(|c: char| !c.is_alphanumeric()).any(|word| word == TABLES[table]);
    while (0..2).any(|table| reads(table) && handles[table].position() < pushed[table] as u64) {
        if started.elapsed() > Duration::from_secs(60) {
            return Err(format!("{sql}\nthe query does not take what is pushed"));
        }
        while let Some(rows) = query.try_next_rows() {
            fold(answer, &rows);
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    Ok(())
}
