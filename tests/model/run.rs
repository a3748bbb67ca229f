//! Runs a query on the engine under one setting, and holds what comes out against what may.

use std::collections::HashMap;
use std::sync::Arc;

use millstream::batch::Change;
use millstream::config::{Config, KeyMode};
use millstream::engine::Engine;
use millstream::runtime::Metrics;
use millstream::stream::source::memory::MemoryTable;
use millstream_kernels::level::{self, Level};

use super::cell::{Cell, Line, lines, show};
use super::world::{World, schema};

/// One point of the grid.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    pub batch_rows: usize,
    pub partitions: usize,
    pub level: Level,
    pub keep_open: bool,
    /// How tables of groups begin to find their keys.
    pub key_mode: Option<KeyMode>,
}

impl Setting {
    pub fn show(&self) -> String {
        let level = level::name(self.level);
        let open = if self.keep_open { ", windows kept open" } else { "" };
        let keys = self.key_mode.map_or(String::new(), |mode| format!(", keys {}", mode.name()));
        format!("{} rows a batch, {} partitions, {level}{open}{keys}", self.batch_rows, self.partitions)
    }

    pub fn config(&self) -> Config {
        Config {
            batch_rows: self.batch_rows,
            partitions: self.partitions,
            level: Some(self.level),
            keep_open: self.keep_open,
            key_mode: self.key_mode,
            local_groups_max: if self.batch_rows < 50 { 3 } else { 16_384 },
            ..Config::default()
        }
    }
}

/// All settings, in an order in which neighbours differ in everything.
pub fn grid() -> Vec<Setting> {
    let levels = level::available();
    let mut all = Vec::new();
    for batch_rows in [1, 7, 64, 8192, 65_536] {
        for partitions in [1, 2, 5] {
            let points =
                levels.iter().map(|&level| Setting { batch_rows, partitions, level, keep_open: false, key_mode: None });
            all.extend(points);
        }
    }
    // Steps of a number without a common divisor visit every point.
    let step = (all.len() / 3..).find(|step| gcd(*step, all.len()) == 1).expect("there are coprime numbers");
    (0..all.len()).map(|at| all[at * step % all.len()]).collect()
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// What a query gave.
pub struct Given {
    /// Folded up and sorted.
    pub lines: Vec<Line>,
    /// As they came: the batch each row came in, and what it did.
    pub emitted: Vec<(usize, Change, Line)>,
    pub metrics: Metrics,
}

/// An engine that knows `world` as table `t`.
pub fn engine(world: &World, setting: &Setting) -> Engine {
    let engine = Engine::new(setting.config());
    register(&engine, "t", world);
    engine
}

/// Makes `world` known as a table in memory.
pub fn register(engine: &Engine, name: &str, world: &World) {
    engine.execute(&format!("CREATE TABLE {name} ({})", world.columns())).expect("a declaration");
    let table = MemoryTable::with_partitions(schema(), world.batches()).expect("batches of the schema");
    engine.register_table(name, Arc::new(table)).expect("a table");
}

/// Runs `sql`, whose first `keys` columns tell a group, and checks what holds for every changelog.
pub fn run(engine: &Engine, sql: &str, keys: usize) -> Result<Given, String> {
    let mut query = engine.sql(sql).map_err(|e| e.to_string())?;
    let mut emitted = Vec::new();
    let mut batch = 0;
    while let Some(rows) = query.next_rows().map_err(|e| e.to_string())? {
        if rows.changes.is_some() && !query.is_updating() {
            return Err("an answer that is never taken back has changes".to_string());
        }
        let changes = rows.changes.unwrap_or_else(|| vec![Change::INSERT; rows.batch.num_rows()]);
        emitted.extend(lines(&rows.batch).into_iter().zip(changes).map(|(line, change)| (batch, change, line)));
        batch += 1;
    }
    let lines = fold(&emitted, keys)?;
    Ok(Given { lines, emitted, metrics: query.metrics() })
}

/// Folds changes up. Every row taken back must be there, no batch may give and take the same row, and the halves of a
/// group's update stand side by side.
fn fold(emitted: &[(usize, Change, Line)], keys: usize) -> Result<Vec<Line>, String> {
    let mut there: HashMap<&Line, i64> = HashMap::new();
    let mut in_batch: HashMap<&Line, i64> = HashMap::new();
    let mut current = 0;
    for (at, (batch, change, line)) in emitted.iter().enumerate() {
        if *batch != current {
            current = *batch;
            in_batch.clear();
        }
        let weight = change.weight();
        let count = there.entry(line).or_default();
        *count += weight;
        if *count < 0 {
            return Err(format!("a row is taken back that is not there: {}", show(line)));
        }
        let before = in_batch.insert(line, weight);
        if before.is_some_and(|before| before != weight) {
            return Err(format!("a batch gives and takes the same row: {}", show(line)));
        }
        let neighbour = |at: usize, change| {
            let same_group = |other: &Line| other[..keys] == line[..keys];
            emitted.get(at).is_some_and(|other| other.0 == *batch && other.1 == change && same_group(&other.2))
        };
        let alone = match *change {
            Change::UPDATE_BEFORE => !neighbour(at + 1, Change::UPDATE_AFTER),
            Change::UPDATE_AFTER => at == 0 || !neighbour(at - 1, Change::UPDATE_BEFORE),
            _ => false,
        };
        if alone {
            return Err(format!("half an update stands alone: {} {}", change.word(), show(line)));
        }
    }
    let left = there.into_iter().flat_map(|(line, count)| std::iter::repeat_n(line.clone(), count as usize));
    let mut left: Vec<Line> = left.collect();
    left.sort();
    Ok(left)
}

/// Whether the cells of a column never go back.
pub fn is_rising(emitted: &[(usize, Change, Line)], column: usize) -> bool {
    let cells: Vec<&Cell> = emitted.iter().map(|(_, _, line)| &line[column]).collect();
    cells.is_sorted()
}
