//! `millstream bench latency`: how long an event takes from the moment it was due to the moment its result leaves.
//!
//! ```text
//! producer: event i is due at start + i / rate ─▶ pushed table ─▶ query ─▶ sink: now - due, into a histogram
//! ```
//! The producer keeps to its schedule whatever the engine does, and each event is timed from when it was due: what
//! waits because the engine or the producer was held up counts in full (no coordinated omission). The rate that a query
//! sustains is found first, by pushing full batches as fast as they are taken.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use millstream::batch::Change;
use millstream::config::Config;
use millstream::engine::{Engine, Running, Statement};
use millstream::error::{Error, Result};
use millstream::pipeline::Sink;
use millstream::stream::source::push::PushHandle;

use super::super::{Stop, show};
use super::histogram::Histogram;
use super::machine::Machine;
use super::{BenchArguments, plot, report, write};

/// Gathering of input, unless `--linger` says otherwise.
const LINGER: Duration = Duration::from_millis(1);
/// How long the rate is looked for, how long each load is kept up, and how much of it is not counted.
const PROBE: Duration = Duration::from_secs(3);
const RUN: Duration = Duration::from_secs(6);
const WARMUP: Duration = Duration::from_secs(1);
const LOADS: [u32; 3] = [10, 50, 90];
const BATCH_ROWS: i64 = 8192;
/// Between two looks of the producer at its schedule.
const PACE: Duration = Duration::from_micros(100);
const KEYS: i64 = 10_000;

/// The queries: each gives a row with `due` for every event, or for the newest event of a group.
const CASES: [(&str, &str, &str); 3] = [
    ("filter", "rows that pass a filter, each at once", "SELECT k, v * 2 AS v, due FROM events WHERE v >= 0"),
    (
        "running",
        "a running sum per key, a row for each event",
        "SELECT k, SUM(v) OVER (PARTITION BY k ORDER BY PROCTIME() ROWS BETWEEN 9 PRECEDING AND CURRENT ROW) AS s, due FROM events",
    ),
    (
        "changes",
        "sums per key, each change of a group; its newest event is timed",
        "SELECT k, SUM(v) AS s, MAX(due) AS due FROM events GROUP BY k EMIT CHANGES",
    ),
];

/// One query at one load.
struct Measured {
    query: &'static str,
    partitions: usize,
    sustained: f64,
    load: u32,
    rate: f64,
    latency: Histogram,
}

pub fn run(arguments: &BenchArguments) -> std::result::Result<(), Stop> {
    check(arguments)?;
    let machine = Machine::look();
    let linger = arguments.linger.unwrap_or(LINGER);
    let mut out = std::io::stdout();
    writeln!(out, "latency, {} on {} cores, linger {linger:?}", machine.processor, machine.cores)?;
    writeln!(
        out,
        "{:<8} {:>7} {:>11} {:>5} {:>11} {:>9} {:>9} {:>9} {:>9}",
        "query", "threads", "sustained/s", "load", "rate/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms"
    )?;
    let wanted = |name: &str| arguments.query.is_empty() || arguments.query.iter().any(|query| query == name);
    let mut measured = Vec::new();
    for (name, _, sql) in CASES.iter().filter(|(name, ..)| wanted(name)) {
        for &partitions in &arguments.partitions {
            let config = Config { partitions: partitions as usize, linger, ..Config::default() };
            let sustained = sustained(&config, sql)?;
            for load in LOADS {
                let rate = sustained * f64::from(load) / 100.0;
                let latency = at_rate(&config, sql, rate)?;
                let result = Measured { query: name, partitions: partitions as usize, sustained, load, rate, latency };
                writeln!(out, "{}", line(&result))?;
                out.flush()?;
                measured.push(result);
            }
        }
    }
    if let Some(path) = &arguments.json {
        write(path, &format!("{:#}\n", json(&measured, &machine, linger)))?;
    }
    if let Some(path) = &arguments.report {
        write(path, &page(&measured, &machine, linger))?;
    }
    Ok(())
}

/// Refuses what latency knows nothing of.
fn check(arguments: &BenchArguments) -> Result<()> {
    let others = [
        (!arguments.against.is_empty(), "--against: other engines are not timed by their events"),
        (arguments.scale.is_some(), "--scale: events come for a fixed time"),
        (arguments.queries.is_some(), "--queries: it has queries of its own, see --query"),
        (arguments.from.is_some(), "--from: events are pushed"),
        (arguments.emit.is_some(), "--emit: its queries say when their rows leave"),
        (arguments.data.is_some(), "--data: it has no tables"),
    ];
    if let Some((_, what)) = others.iter().find(|(is_given, _)| *is_given) {
        return Err(Error::user(format!("bench latency does not take {what}")));
    }
    let names: Vec<&str> = CASES.iter().map(|(name, ..)| *name).collect();
    match arguments.query.iter().find(|query| !names.contains(&query.as_str())) {
        Some(unknown) => {
            Err(Error::user(format!("unknown query of latency: {unknown}; there are: {}", names.join(", "))))
        }
        None => Ok(()),
    }
}

/// A query at work, and what its sink notes.
struct Work {
    handle: PushHandle,
    running: Running,
    seen: Arc<Seen>,
    schema: SchemaRef,
    /// Times are nanoseconds from here.
    start: Instant,
}

/// What has come out.
#[derive(Default)]
struct Seen {
    rows: AtomicU64,
    latency: Mutex<Histogram>,
}

fn begin(config: &Config, sql: &str) -> Result<Work> {
    let engine = Engine::new(config.clone());
    let column = |name: &str| Field::new(name, DataType::Int64, false);
    let schema = Arc::new(Schema::new(vec![column("k"), column("v"), column("due")]));
    let handle = engine.register_push("events", schema.clone())?;
    let parsed = engine.parse(sql)?;
    let parsed = parsed.first().ok_or_else(|| Error::bug("a case has a query"))?;
    let Statement::Query(prepared) = engine.prepare(parsed)? else {
        return Err(Error::bug("a case has a query"));
    };
    let due = prepared.schema().index_of("due")?;
    let (seen, start) = (Arc::new(Seen::default()), Instant::now());
    let sink = Stopwatch { due, start, seen: seen.clone() };
    let running = engine.start_into(&prepared, Box::new(sink))?;
    Ok(Work { handle, running, seen, schema, start })
}

impl Work {
    /// Pushes events by their numbers; event `i` was due at `due(i)`.
    fn push(&self, events: std::ops::Range<i64>, due: impl Fn(i64) -> i64) -> Result<()> {
        let numbers =
            |value: &dyn Fn(i64) -> i64| Arc::new(Int64Array::from_iter_values(events.clone().map(value))) as ArrayRef;
        let columns = vec![numbers(&|i| (i * 7919) % KEYS), numbers(&|i| i % 1000), numbers(&due)];
        let batch = RecordBatch::try_new(self.schema.clone(), columns)?;
        // A query that has failed says so when it is waited for.
        let _ = self.handle.push(batch);
        Ok(())
    }

    fn end(mut self) -> Result<Arc<Seen>> {
        self.handle.close();
        self.running.wait()?;
        Ok(self.seen)
    }
}

/// Events per second that the query takes when there are always more.
fn sustained(config: &Config, sql: &str) -> Result<f64> {
    let work = begin(config, sql)?;
    let mut event = 0;
    while work.start.elapsed() < PROBE {
        let now = work.start.elapsed().as_nanos() as i64;
        work.push(event..event + BATCH_ROWS, |_| now)?;
        event += BATCH_ROWS;
    }
    let start = work.start;
    work.end()?;
    Ok(event as f64 / start.elapsed().as_secs_f64())
}

/// The latencies at so many events per second.
fn at_rate(config: &Config, sql: &str, rate: f64) -> Result<Histogram> {
    let work = begin(config, sql)?;
    let due = |event: i64| (event as f64 / rate * 1e9) as i64;
    let mut event = 0;
    while work.start.elapsed() < RUN {
        let now = work.start.elapsed().as_nanos() as f64;
        let end = (now * rate / 1e9) as i64;
        while event < end {
            let next = end.min(event + BATCH_ROWS);
            work.push(event..next, due)?;
            event = next;
        }
        std::thread::sleep(PACE);
    }
    let seen = work.end()?;
    let latency = seen.latency.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(latency)
}

/// A sink that notes how long ago each row was due.
struct Stopwatch {
    due: usize,
    start: Instant,
    seen: Arc<Seen>,
}

impl Sink for Stopwatch {
    fn write(&mut self, rows: &RecordBatch, changes: Option<&[Change]>) -> Result<()> {
        let now = self.start.elapsed().as_nanos() as i64;
        let due = rows.column(self.due).as_primitive::<Int64Type>();
        let mut latency = self.seen.latency.lock().unwrap_or_else(PoisonError::into_inner);
        for row in 0..due.len() {
            let is_taken_back = changes.is_some_and(|changes| changes[row].is_retraction());
            let due = due.value(row);
            if !is_taken_back && due >= WARMUP.as_nanos() as i64 {
                latency.add((now - due).max(0) as u64);
            }
        }
        self.seen.rows.fetch_add(rows.num_rows() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

const QUANTILES: [f64; 3] = [0.5, 0.99, 0.999];

fn line(measured: &Measured) -> String {
    let ms = |nanoseconds: u64| nanoseconds as f64 / 1e6;
    let [p50, p99, p999] = QUANTILES.map(|share| ms(measured.latency.quantile(share)));
    format!(
        "{:<8} {:>7} {:>11} {:>4}% {:>11} {p50:>9.3} {p99:>9.3} {p999:>9.3} {:>9.3}",
        measured.query,
        measured.partitions,
        show::count(measured.sustained),
        measured.load,
        show::count(measured.rate),
        ms(measured.latency.most())
    )
}

fn json(measured: &[Measured], machine: &Machine, linger: Duration) -> serde_json::Value {
    let one = |measured: &Measured| {
        let [p50, p99, p999] = QUANTILES.map(|share| measured.latency.quantile(share));
        serde_json::json!({
            "query": measured.query, "partitions": measured.partitions, "sustained_per_second": measured.sustained,
            "load_percent": measured.load, "rate_per_second": measured.rate, "events": measured.latency.count(),
            "p50_ns": p50, "p99_ns": p99, "p999_ns": p999, "max_ns": measured.latency.most(),
        })
    };
    serde_json::json!({
        "suite": "latency", "processor": machine.processor, "cores": machine.cores,
        "linger_ns": linger.as_nanos() as u64, "results": measured.iter().map(one).collect::<Vec<_>>(),
    })
}

fn page(measured: &[Measured], machine: &Machine, linger: Duration) -> String {
    let mut body = format!(
        "<h1>latency</h1><p>{}, {} cores, linger {linger:?}. From the moment an event was due to the moment its result \
         left.</p>",
        report::escape(&machine.processor),
        machine.cores
    );
    for (name, what, _) in CASES {
        let own: Vec<&Measured> = measured.iter().filter(|measured| measured.query == name).collect();
        if own.is_empty() {
            continue;
        }
        let named = |measured: &&Measured| {
            let threads = if measured.partitions == 1 { "thread" } else { "threads" };
            let name = format!("{}% of {} {threads}", measured.load, measured.partitions);
            (name, measured.latency.distribution().into_iter().map(|(ns, share)| (ns as f64 / 1e6, share)).collect())
        };
        let lines: Vec<(String, Vec<(f64, f64)>)> = own.iter().map(named).collect();
        let rows: String = own.iter().map(|measured| table_row(measured)).collect();
        body += &format!("<h2>{name}: {what}</h2>{}<table>{HEADS}{rows}</table>", plot::distribution(&lines));
    }
    report::document("latency", &body)
}

const HEADS: &str = "<tr><th>threads</th><th>sustained/s</th><th>load</th><th>rate/s</th><th>p50 ms</th><th>p99 ms</th>\
                     <th>p99.9 ms</th><th>max ms</th></tr>";

fn table_row(measured: &Measured) -> String {
    let ms = |nanoseconds: u64| format!("{:.3}", nanoseconds as f64 / 1e6);
    let [p50, p99, p999] = QUANTILES.map(|share| ms(measured.latency.quantile(share)));
    let cells = [
        measured.partitions.to_string(),
        show::count(measured.sustained),
        format!("{}%", measured.load),
        show::count(measured.rate),
        p50,
        p99,
        p999,
        ms(measured.latency.most()),
    ];
    format!("<tr><td>{}</td></tr>", cells.join("</td><td>"))
}
