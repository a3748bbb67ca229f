//! Joins that keep rows against a model that holds all rows and joins them anew after each step.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, Int64Array, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::{AsOfJoin, SymmetricJoin};
use crate::batch::{Batch, Change};
use crate::error::Result;
use crate::expression::{Builder, Operand, Program};
use crate::function::{KernelContext, scalar};
use crate::pipeline::*;
use crate::state::Section;
use crate::stream::operator::{Budget, Ending, Graph, Next, Operator, Slot, Target};

const KINDS: [JoinKind; 10] = [
    JoinKind::Inner,
    JoinKind::Left,
    JoinKind::Right,
    JoinKind::Full,
    JoinKind::LeftSemi,
    JoinKind::RightSemi,
    JoinKind::LeftAnti,
    JoinKind::RightAnti,
    JoinKind::LeftMark,
    JoinKind::RightMark,
];

/// Numbers that look random.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % limit
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    key: Option<i64>,
    value: i64,
    time: Option<i64>,
}

/// What has come out: weights by row.
type Folded = Arc<Mutex<BTreeMap<String, Vec<i64>>>>;

/// Notes the weights of rows, call by call.
struct Witness(Folded, SchemaRef);

impl Operator for Witness {
    fn push(&mut self, _port: usize, batch: &mut Batch, _next: &mut Next<'_>) -> Result<()> {
        let changes = batch.selected_changes();
        let rows = batch.to_record(&self.1)?;
        let options = FormatOptions::new().with_null("NULL");
        let columns: Vec<ArrayFormatter<'_>> =
            rows.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        let mut folded = self.0.lock().unwrap();
        for row in 0..rows.num_rows() {
            let cells: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
            let weight = changes.as_ref().map_or(1, |changes| changes[row].weight());
            folded.entry(cells.join(" ")).or_default().push(weight);
        }
        Ok(())
    }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("k", DataType::Int64, true),
        Field::new("v", DataType::Int64, true),
        Field::new("t", DataType::Timestamp(TimeUnit::Millisecond, None), true),
    ]))
}

fn batch(rows: &[(Row, Change)]) -> Batch {
    let keys = Int64Array::from_iter(rows.iter().map(|(row, _)| row.key));
    let values = Int64Array::from_iter_values(rows.iter().map(|(row, _)| row.value));
    let times = TimestampMillisecondArray::from_iter(rows.iter().map(|(row, _)| row.time));
    let columns: Vec<ArrayRef> = vec![Arc::new(keys), Arc::new(values), Arc::new(times)];
    let mut batch = Batch::from_arrays(columns, rows.len());
    if rows.iter().any(|(_, change)| *change != Change::INSERT) {
        batch.changes = Some(rows.iter().map(|(_, change)| *change).collect());
    }
    batch
}

/// `l.v < r.v`
fn less() -> Arc<Program> {
    let kernel = scalar::binary(scalar::BinaryOp::Lt, &DataType::Int64, &DataType::Int64).unwrap();
    let mut builder = Builder::default();
    let output = builder.step("<".to_string(), kernel, vec![Operand::Input(1), Operand::Input(4)]);
    builder.output(output, DataType::Boolean);
    Arc::new(builder.finish())
}

fn spec(kind: JoinKind, nulls_match: bool, residual: bool, strategy: JoinStrategy) -> JoinSpec {
    let keys = Arc::new(Program::columns(&[(0, DataType::Int64)]));
    JoinSpec {
        kind,
        left_keys: keys.clone(),
        right_keys: keys,
        nulls_match,
        null_aware: false,
        each_once: false,
        residual: residual.then(less),
        outputs: JoinSpec::all_outputs(kind, 3, 3),
        strategy,
    }
}

fn output_schema(spec: &JoinSpec) -> SchemaRef {
    let field = |(at, column): (usize, &usize)| {
        let data_type = match column {
            6 => DataType::Boolean,
            column => schema().field(column % 3).data_type().clone(),
        };
        Field::new(format!("c{at}"), data_type, true)
    };
    Arc::new(Schema::new(spec.outputs.iter().enumerate().map(field).collect::<Vec<_>>()))
}

/// Some instances of a join, each for its keys, and what comes out of them.
struct Instances {
    graphs: Vec<Graph>,
    folded: Folded,
}

impl Instances {
    fn new(spec: &JoinSpec, count: usize, batch_rows: usize, sections: Vec<Section>, folded: Folded) -> Self {
        let make = |_| {
            let schemas = [&schema(), &schema()];
            let context = KernelContext::default();
            let mut operator: Box<dyn Operator> = match &spec.strategy {
                JoinStrategy::Symmetric(symmetric) => {
                    Box::new(SymmetricJoin::new(spec, symmetric, schemas, 5, context, batch_rows).unwrap())
                }
                JoinStrategy::AsOf(as_of) => {
                    Box::new(AsOfJoin::new(spec, as_of, schemas, 5, context, batch_rows).unwrap())
                }
                JoinStrategy::Hash { .. } => unreachable!("tested by its results"),
            };
            if count == 1 {
                operator.restore(sections.clone()).unwrap();
            }
            let budget = Arc::new(Budget::new(None));
            let mut slot = Slot::new("join".to_string(), operator, 2, budget.clone());
            slot.target = Some(Target { slot: 1, port: 0 });
            let witness = Box::new(Witness(folded.clone(), output_schema(spec)));
            Graph { slots: vec![slot, Slot::new("witness".to_string(), witness, 1, budget)], now: 0 }
        };
        Instances { graphs: (0..count).map(make).collect(), folded: folded.clone() }
    }

    fn push(&mut self, port: usize, rows: &[(Row, Change)]) {
        let count = self.graphs.len();
        for (owner, graph) in self.graphs.iter_mut().enumerate() {
            let own = rows.iter().filter(|(row, _)| row.key.unwrap_or(0) as usize % count == owner);
            let own: Vec<(Row, Change)> = own.copied().collect();
            if !own.is_empty() {
                graph.push(Target { slot: 0, port }, &mut batch(&own)).unwrap();
            }
        }
    }

    fn watermark(&mut self, port: usize, watermark: i64) {
        self.graphs.iter_mut().for_each(|graph| graph.watermark(Target { slot: 0, port }, watermark).unwrap());
    }

    fn end(&mut self, port: usize) {
        self.graphs.iter_mut().for_each(|graph| graph.end(Target { slot: 0, port }, Ending::Flush).unwrap());
    }

    fn snapshot(&mut self) -> Vec<Section> {
        self.graphs.iter_mut().flat_map(|graph| graph.slots[0].operator.snapshot().unwrap()).collect()
    }

    fn state_bytes(&self) -> usize {
        self.graphs.iter().map(|graph| graph.slots[0].operator.size_bytes()).sum()
    }

    /// The rows there are, each as often as it is.
    fn answer(&self) -> Vec<String> {
        let folded = self.folded.lock().unwrap();
        let times = |(row, weights): (&String, &Vec<i64>)| {
            let weight: i64 = weights.iter().sum();
            assert!(weight >= 0, "{row} was taken back more often than given");
            vec![row.clone(); weight as usize]
        };
        folded.iter().flat_map(times).collect()
    }
}

fn cells(row: Option<&Row>) -> String {
    let show = |value: Option<i64>| value.map_or("NULL".to_string(), |value| value.to_string());
    let time = |value: Option<i64>| {
        let array = TimestampMillisecondArray::from(vec![value]);
        let options = FormatOptions::new().with_null("NULL");
        ArrayFormatter::try_new(&array, &options).unwrap().value(0).to_string()
    };
    match row {
        None => "NULL NULL NULL".to_string(),
        Some(row) => format!("{} {} {}", show(row.key), row.value, time(row.time)),
    }
}

/// The join of all rows, by definition.
fn model(kind: JoinKind, left: &[Row], right: &[Row], matches: impl Fn(&Row, &Row) -> bool) -> Vec<String> {
    let mut out = Vec::new();
    let (of_left, of_right) = kind.sides();
    for l in left {
        let mates: Vec<&Row> = right.iter().filter(|r| matches(l, r)).collect();
        match kind {
            JoinKind::LeftSemi if !mates.is_empty() => out.push(cells(Some(l))),
            JoinKind::LeftAnti if mates.is_empty() => out.push(cells(Some(l))),
            JoinKind::LeftMark => out.push(format!("{} {}", cells(Some(l)), !mates.is_empty())),
            JoinKind::Left | JoinKind::Full if mates.is_empty() => {
                out.push(format!("{} {}", cells(Some(l)), cells(None)));
            }
            _ if of_left && of_right => {
                out.extend(mates.iter().map(|r| format!("{} {}", cells(Some(l)), cells(Some(r)))));
            }
            _ => {}
        }
    }
    for r in right {
        let is_met = left.iter().any(|l| matches(l, r));
        match kind {
            JoinKind::RightSemi if is_met => out.push(cells(Some(r))),
            JoinKind::RightAnti if !is_met => out.push(cells(Some(r))),
            JoinKind::RightMark => out.push(format!("{} {is_met}", cells(Some(r)))),
            JoinKind::Right | JoinKind::Full if !is_met => {
                out.push(format!("{} {}", cells(None), cells(Some(r))));
            }
            _ => {}
        }
    }
    out.sort();
    out
}

fn symmetric(updating: [bool; 2], time: Option<TimeBound>, at_once: bool) -> JoinStrategy {
    JoinStrategy::Symmetric(SymmetricSpec { updating, time, at_once, lookup: false, ttl: [None; 2] })
}

#[test]
fn folded_changes_are_the_join_of_what_is_there() {
    for (seed, kind) in (0..).zip(KINDS.iter().cycle().take(60)) {
        let mut random = Random(seed);
        let (nulls_match, residual) = (random.below(2) == 0, random.below(2) == 0);
        let most = [1, 7, 200][random.below(3) as usize];
        let count = [1, 2, 5][random.below(3) as usize];
        let spec = spec(*kind, nulls_match, residual, symmetric([true, true], None, true));
        let mut join = Instances::new(&spec, count, [1, 3, 8192][random.below(3) as usize], vec![], Folded::default());
        let mut sides: [Vec<Row>; 2] = Default::default();
        let steps = if most == 1 { 150 } else { 40 };
        for step in 0..steps {
            let port = random.below(2) as usize;
            let mut rows: Vec<(Row, Change)> = Vec::new();
            for _ in 0..=random.below(most) {
                if random.below(5) < 2 && !sides[port].is_empty() {
                    let at = random.below(sides[port].len() as u64) as usize;
                    rows.push((sides[port].swap_remove(at), Change::DELETE));
                } else {
                    let key = random.below(6) as i64;
                    let value = random.below(4) as i64;
                    let row = Row { key: (key > 0).then_some(key), value, time: None };
                    rows.push((row, Change::INSERT));
                    sides[port].push(row);
                }
            }
            let before: BTreeMap<String, usize> =
                join.folded.lock().unwrap().iter().map(|(row, weights)| (row.clone(), weights.len())).collect();
            join.push(port, &rows);
            // One batch for all: then it never gives a row and takes it back.
            if count == 1 {
                for (row, weights) in join.folded.lock().unwrap().iter() {
                    let new = &weights[before.get(row).copied().unwrap_or(0)..];
                    assert!(new.iter().all(|weight| *weight == new[0]), "seed {seed} step {step}: {row} {new:?}");
                }
            }
            let matches = |l: &Row, r: &Row| {
                l.key == r.key && (nulls_match || l.key.is_some()) && (!residual || l.value < r.value)
            };
            let expected = model(*kind, &sides[0], &sides[1], matches);
            let mut answer = join.answer();
            answer.sort();
            assert_eq!(answer, expected, "seed {seed} step {step} {kind:?}");
            if step == steps / 2 && count == 1 {
                let sections = join.snapshot();
                join = Instances::new(&spec, 1, 8192, sections, join.folded.clone());
            }
        }
    }
}

fn bound(lower: Option<i64>, upper: Option<i64>) -> TimeBound {
    let column = TimeColumn { column: 2, shift: 0, checks_lateness: true };
    TimeBound { left: column, right: column, lower, upper, hold: 0 }
}

#[test]
fn rows_that_have_waited_long_enough_leave_once() {
    for (seed, kind) in (0..).zip(KINDS.iter().cycle().take(60)) {
        let mut random = Random(seed);
        let (lower, upper) = (random.below(40) as i64 - 25, random.below(40) as i64 + 10);
        let count = [1, 2, 5][random.below(3) as usize];
        let residual = random.below(2) == 0;
        let spec =
            spec(*kind, false, residual, symmetric([false, false], Some(bound(Some(lower), Some(upper))), false));
        let mut join = Instances::new(&spec, count, [1, 3, 8192][random.below(3) as usize], vec![], Folded::default());
        let (mut sides, mut watermarks): ([Vec<Row>; 2], [i64; 2]) = (Default::default(), [0, 0]);
        for step in 0..200 {
            let port = random.below(2) as usize;
            let rows: Vec<(Row, Change)> = (0..=random.below(12))
                .map(|_| {
                    let key = random.below(4) as i64;
                    let time = watermarks[port] + random.below(15) as i64;
                    let time = (random.below(20) > 0).then_some(time);
                    (Row { key: (key > 0).then_some(key), value: random.below(4) as i64, time }, Change::INSERT)
                })
                .collect();
            join.push(port, &rows);
            sides[port].extend(rows.iter().map(|(row, _)| *row));
            watermarks[port] += random.below(8) as i64;
            join.watermark(port, watermarks[port]);
            if step == 100 && count == 1 {
                let sections = join.snapshot();
                join = Instances::new(&spec, 1, 8192, sections, join.folded.clone());
                join.watermark(0, watermarks[0]);
                join.watermark(1, watermarks[1]);
            }
        }
        assert!(join.state_bytes() < 5 * 30_000, "{} bytes", join.state_bytes());
        join.end((seed % 2) as usize);
        join.end(1 - (seed % 2) as usize);
        let in_time = |l: &Row, r: &Row| match (l.time, r.time) {
            (Some(l), Some(r)) => lower <= r - l && r - l <= upper,
            _ => false,
        };
        let matches =
            |l: &Row, r: &Row| l.key == r.key && l.key.is_some() && in_time(l, r) && (!residual || l.value < r.value);
        let expected = model(*kind, &sides[0], &sides[1], matches);
        let mut answer = join.answer();
        answer.sort();
        assert_eq!(answer, expected, "seed {seed} {kind:?} {lower}..{upper}");
        assert!(join.folded.lock().unwrap().values().flatten().all(|weight| *weight > 0), "nothing is taken back");
    }
}

#[test]
fn the_nearest_is_what_a_list_finds() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let nearest =
            [Nearest::AtOrBefore, Nearest::Before, Nearest::AtOrAfter, Nearest::After][random.below(4) as usize];
        let on_watermark = matches!(nearest, Nearest::AtOrBefore | Nearest::Before) && random.below(3) > 0;
        let as_of =
            AsOfSpec { left: 2, right: 2, nearest, versions: true, on_watermark, changes: false, ties: Vec::new() };
        let kind = if random.below(2) == 0 { JoinKind::Left } else { JoinKind::Inner };
        let count = [1, 2, 5][random.below(3) as usize];
        let spec = spec(kind, false, false, JoinStrategy::AsOf(as_of));
        let mut join = Instances::new(&spec, count, [1, 3, 8192][random.below(3) as usize], vec![], Folded::default());
        let (mut sides, mut watermarks): ([Vec<Row>; 2], [i64; 2]) = (Default::default(), [0, 0]);
        for step in 0..200 {
            // Read first where nothing waits.
            let port = if on_watermark { random.below(2) as usize } else { usize::from(step < 100) };
            if !on_watermark && step == 100 {
                join.end(1);
            }
            let rows: Vec<(Row, Change)> = (0..=random.below(12))
                .map(|_| {
                    let key = random.below(4) as i64;
                    let time = watermarks[port] + random.below(15) as i64;
                    let time = (random.below(20) > 0).then_some(time);
                    (Row { key: (key > 0).then_some(key), value: random.below(100) as i64, time }, Change::INSERT)
                })
                .collect();
            join.push(port, &rows);
            sides[port].extend(rows.iter().map(|(row, _)| *row));
            watermarks[port] += random.below(8) as i64;
            join.watermark(port, watermarks[port]);
            if step == 70 && count == 1 && on_watermark {
                let sections = join.snapshot();
                join = Instances::new(&spec, 1, 8192, sections, join.folded.clone());
                join.watermark(0, watermarks[0]);
                join.watermark(1, watermarks[1]);
            }
        }
        if on_watermark {
            assert!(join.state_bytes() < 5 * 60_000, "{} bytes", join.state_bytes());
            join.end(1);
        }
        join.end(0);
        let mut expected = Vec::new();
        for l in &sides[0] {
            let fits = |r: &&Row| match (l.time, r.time) {
                (Some(l), Some(r)) => match nearest {
                    Nearest::AtOrBefore => l >= r,
                    Nearest::Before => l > r,
                    Nearest::AtOrAfter => l <= r,
                    Nearest::After => l < r,
                },
                _ => false,
            };
            let mates = sides[1].iter().enumerate().filter(|(_, r)| l.key.is_some() && l.key == r.key && fits(r));
            let best = match nearest {
                Nearest::AtOrBefore | Nearest::Before => mates.max_by_key(|(at, r)| (r.time, *at)),
                Nearest::AtOrAfter | Nearest::After => mates.min_by_key(|(at, r)| (r.time, usize::MAX - at)),
            };
            if best.is_some() || kind == JoinKind::Left {
                expected.push(format!("{} {}", cells(Some(l)), cells(best.map(|(_, r)| r))));
            }
        }
        expected.sort();
        let mut answer = join.answer();
        answer.sort();
        assert_eq!(answer, expected, "seed {seed} {nearest:?} {kind:?}");
    }
}
