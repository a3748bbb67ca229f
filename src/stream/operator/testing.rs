//! An operator by itself: pushed by hand, stopped mid-way and taken up by another of its kind.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use arrow::array::ArrayRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::{Budget, Ending, Graph, Next, Operator, Slot, Target};
use crate::batch::{Batch, Change};
use crate::error::Result;
use crate::state::Section;

/// What an operator is told.
#[derive(Debug, Clone)]
pub enum Told {
    /// Rows, and what each does; no changes: all are inserts.
    Rows(Vec<ArrayRef>, Vec<Change>),
    Watermark(i64),
    End,
}

/// Writes down the rows it gets, each with what it does.
struct Witness(Sender<String>);

impl Operator for Witness {
    fn push(&mut self, _port: usize, batch: &mut Batch, _next: &mut Next<'_>) -> Result<()> {
        let options = FormatOptions::new().with_null("NULL");
        let changes = batch.selected_changes();
        let columns: Vec<ArrayRef> = batch
            .columns
            .iter()
            .map(|column| match column {
                crate::batch::Column::Array(array) => array.clone(),
                other => panic!("rows leave as arrays: {other:?}"),
            })
            .collect();
        let cells: Vec<_> = columns.iter().map(|c| ArrayFormatter::try_new(c, &options).expect("shown")).collect();
        for row in 0..batch.rows {
            let word = changes.as_ref().map_or("+I", |changes| changes[row].word());
            let cells: Vec<String> = cells.iter().map(|cell| cell.value(row).to_string()).collect();
            self.0.send(format!("{word} {}", cells.join(" "))).expect("somebody looks");
        }
        Ok(())
    }
}

/// One operator and what it puts out.
pub struct Alone {
    graph: Graph,
    seen: Receiver<String>,
}

impl Alone {
    pub fn new(operator: Box<dyn Operator>) -> Self {
        let (witness, seen) = channel();
        let budget = Arc::new(Budget::new(None));
        let mut first = Slot::new("operator".to_string(), operator, 1, budget.clone());
        first.target = Some(Target { slot: 1, port: 0 });
        let last = Slot::new("witness".to_string(), Box::new(Witness(witness)), 1, budget);
        Alone { graph: Graph { slots: vec![first, last], ..Graph::default() }, seen }
    }

    pub fn tell(&mut self, told: &Told) {
        let target = Target { slot: 0, port: 0 };
        let outcome = match told {
            Told::Rows(columns, changes) => {
                let mut batch = Batch::from_arrays(columns.clone(), columns[0].len());
                batch.changes = (!changes.is_empty()).then(|| changes.clone());
                self.graph.push(target, &mut batch)
            }
            Told::Watermark(watermark) => self.graph.watermark(target, *watermark),
            Told::End => self.graph.end(target, Ending::Flush),
        };
        outcome.expect("an operator takes what it is told");
    }

    pub fn size_bytes(&self) -> usize {
        self.graph.slots[0].operator.size_bytes()
    }

    fn snapshot(&mut self) -> Vec<Section> {
        self.graph.slots[0].operator.snapshot().expect("a snapshot")
    }

    fn take(&self) -> Vec<String> {
        self.seen.try_iter().collect()
    }
}

/// All that an operator puts out, in order of its text per step.
pub fn outputs(make: impl Fn() -> Box<dyn Operator>, told: &[Told]) -> Vec<String> {
    let mut alone = Alone::new(make());
    told.iter().flat_map(|told| step(&mut alone, told)).collect()
}

fn step(alone: &mut Alone, told: &Told) -> Vec<String> {
    alone.tell(told);
    let mut lines = alone.take();
    lines.sort();
    lines
}

/// Stops at every step and lets a fresh operator go on: the same is put out.
pub fn check_snapshots(make: impl Fn() -> Box<dyn Operator>, told: &[Told]) {
    let expected = outputs(&make, told);
    assert!(!expected.is_empty(), "a test of nothing: {told:?}");
    for stop in 1..told.len() {
        let mut alone = Alone::new(make());
        let mut seen: Vec<String> = told[..stop].iter().flat_map(|told| step(&mut alone, told)).collect();
        let sections = alone.snapshot();
        // The snapshot disturbs nothing: the old operator could go on as well.
        let again = alone.snapshot();
        assert_eq!(sections.len(), again.len(), "stopped after {stop} steps");
        let mut fresh = make();
        fresh.restore(sections).expect("a fresh operator takes the snapshot");
        let mut alone = Alone::new(fresh);
        seen.extend(told[stop..].iter().flat_map(|told| step(&mut alone, told)));
        assert_eq!(seen, expected, "stopped after {stop} steps");
    }
}
