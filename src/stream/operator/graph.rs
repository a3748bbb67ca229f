//! Operators wired together: a push travels down the wires by plain calls.
//!
//! ```text
//! input ─▶ slot 0 filter ─▶ slot 1 project ─▶ slot 2 aggregate ─▶ slot 3 output    targets always lie further down
//! ```
//! A slot keeps what every operator needs and none should write itself: watermarks per input, counters, the budget.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::Operator;
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::time::{END, Inputs, START};

/// How the input of a query ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The input is complete: every open window closes, every group leaves.
    Flush,
    /// The query is stopped, or was told to keep windows open: only what was complete before leaves.
    Hold,
}

/// Where a slot pushes to: a slot further down, and which of its inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    pub slot: usize,
    pub port: usize,
}

/// Counters of one operator instance; its owner writes them, anyone reads them.
#[derive(Debug, Default)]
pub struct Counters {
    pub rows_in: AtomicU64,
    pub batches_in: AtomicU64,
    pub rows_out: AtomicU64,
    pub late_rows: AtomicU64,
    pub unplaced_rows: AtomicU64,
    pub state_bytes: AtomicU64,
    /// Nanoseconds in the operator and everything below it; only measured for EXPLAIN ANALYZE.
    pub nanoseconds: AtomicU64,
    /// What the operator had to say when it ended.
    pub remarks: OnceLock<String>,
}

/// The memory that all operators of an engine share.
#[derive(Debug)]
pub struct Budget {
    limit_bytes: Option<u64>,
    used_bytes: AtomicU64,
    peak_bytes: AtomicU64,
}

impl Budget {
    pub fn new(limit_bytes: Option<usize>) -> Self {
        let limit_bytes = limit_bytes.map(|limit| limit as u64);
        Budget { limit_bytes, used_bytes: AtomicU64::new(0), peak_bytes: AtomicU64::new(0) }
    }

    /// The most bytes held at once so far.
    pub fn peak_bytes(&self) -> u64 {
        self.peak_bytes.load(Ordering::Relaxed)
    }

    /// Notes that an operator's state went from `old` to `new` bytes.
    ///
    /// Failure: more than the limit is held; what was noted stays noted.
    pub fn change(&self, operator: &str, old: u64, new: u64) -> Result<()> {
        if old == new {
            return Ok(());
        }
        let before = self.used_bytes.fetch_add(new.wrapping_sub(old), Ordering::Relaxed);
        let used = before.wrapping_add(new).wrapping_sub(old);
        self.peak_bytes.fetch_max(used, Ordering::Relaxed);
        match self.limit_bytes {
            Some(limit) if used > limit && new > old => Err(Error::user(format!(
                "out of memory: {operator} holds {new} bytes, all operators together {used} of {limit}; raise the \
                 memory limit, or bound the state with a window or a filter"
            ))),
            _ => Ok(()),
        }
    }
}

/// An operator in its place.
pub struct Slot {
    pub name: String,
    /// The pipeline node it runs, for EXPLAIN ANALYZE; `None` for what the runtime adds.
    pub node: Option<usize>,
    pub operator: Box<dyn Operator>,
    pub target: Option<Target>,
    pub inputs: Inputs,
    pub counters: Arc<Counters>,
    pub budget: Arc<Budget>,
    pub timed: bool,
    /// Whether it had put out everything before a snapshot: its input ends once more, and it says nothing.
    pub has_put_out: bool,
    state_bytes: u64,
    /// Whether one of its inputs has ended with [`Ending::Hold`].
    held: bool,
}

impl Slot {
    /// A slot for `operator` with `input_count` inputs.
    pub fn new(name: String, operator: Box<dyn Operator>, input_count: usize, budget: Arc<Budget>) -> Self {
        Slot {
            name,
            node: None,
            operator,
            target: None,
            inputs: Inputs::new(input_count),
            counters: Arc::default(),
            budget,
            timed: false,
            has_put_out: false,
            state_bytes: 0,
            held: false,
        }
    }

    fn account(&mut self) -> Result<()> {
        let bytes = self.operator.size_bytes() as u64;
        if bytes != self.state_bytes {
            let old = std::mem::replace(&mut self.state_bytes, bytes);
            self.counters.state_bytes.store(bytes, Ordering::Relaxed);
            self.budget.change(&self.name, old, bytes)?;
        }
        self.counters.late_rows.store(self.operator.late_rows(), Ordering::Relaxed);
        self.counters.unplaced_rows.store(self.operator.unplaced_rows(), Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // Giving bytes back cannot exceed a limit.
        let _ = self.budget.change(&self.name, self.state_bytes, 0);
    }
}

/// The operators of one worker between two exchanges.
#[derive(Default)]
pub struct Graph {
    pub slots: Vec<Slot>,
    /// The clock when its worker last looked, in microseconds since 1970.
    pub now: i64,
}

impl Graph {
    /// Pushes a batch into `target`.
    pub fn push(&mut self, target: Target, batch: &mut Batch) -> Result<()> {
        self.next(target).push(batch)
    }

    /// Tells `target` its input's watermark.
    pub fn watermark(&mut self, target: Target, watermark: i64) -> Result<()> {
        self.next(target).watermark(watermark)
    }

    /// Tells `target` that its input has ended.
    pub fn end(&mut self, target: Target, ending: Ending) -> Result<()> {
        self.next(target).end(ending)
    }

    /// Tells the time to every operator that waits for it; whether any did.
    pub fn tick(&mut self, now: i64) -> Result<bool> {
        self.now = now;
        let mut told = false;
        for slot in 0..self.slots.len() {
            if self.slots[slot].operator.next_tick().is_some_and(|due| due <= now) {
                self.next(Target { slot, port: 0 }).visit(|slot, _, next| slot.operator.tick(now, next))?;
                told = true;
            }
        }
        Ok(told)
    }

    /// When the first of its operators wants to be told the time.
    pub fn next_tick(&self) -> Option<i64> {
        self.slots.iter().filter_map(|slot| slot.operator.next_tick()).min()
    }

    /// Sends what waits in outboxes; `false` while some still waits.
    pub fn send(&mut self) -> Result<bool> {
        let mut all = true;
        for slot in &mut self.slots {
            all &= slot.operator.send()?;
        }
        Ok(all)
    }

    /// Whether something of what waits in outboxes can be sent by now; `None`: nothing waits.
    pub fn can_send(&self) -> Option<bool> {
        self.slots.iter().filter_map(|slot| slot.operator.can_send()).reduce(|any, can| any | can)
    }

    /// Tells every operator that nothing more is at hand for now.
    pub fn rest(&mut self) -> Result<()> {
        self.slots.iter_mut().try_for_each(|slot| slot.operator.rest())
    }

    /// Has operators send on what they gather for others, since a snapshot is about to be taken.
    pub fn settle(&mut self) -> Result<()> {
        for slot in 0..self.slots.len() {
            self.next(Target { slot, port: 0 }).visit(|slot, _, next| slot.operator.settle(next))?;
        }
        Ok(())
    }

    /// Whether rows for `target` are wanted now, there and by all that lies behind it.
    pub fn wants(&self, target: Target) -> bool {
        let mut at = Some(target);
        while let Some(target) = at {
            let slot = &self.slots[target.slot];
            if !slot.operator.wants(target.port) {
                return false;
            }
            at = slot.target;
        }
        true
    }

    /// Whether what is pushed into `target` cannot change the output any more.
    pub fn is_satisfied(&self, target: Target) -> bool {
        let mut at = Some(target);
        while let Some(target) = at {
            let slot = &self.slots[target.slot];
            if slot.operator.is_satisfied() {
                return true;
            }
            at = slot.target;
        }
        false
    }

    fn next(&mut self, target: Target) -> Next<'_> {
        Next { slots: &mut self.slots, base: 0, target: Some(target), counters: None, now: self.now }
    }
}

/// What lies behind an operator: where its rows, watermarks and end go.
pub struct Next<'a> {
    slots: &'a mut [Slot],
    /// Number of the first of `slots`.
    base: usize,
    target: Option<Target>,
    counters: Option<&'a Counters>,
    now: i64,
}

impl Next<'_> {
    /// Pushes rows on. Empty batches stop here.
    pub fn push(&mut self, batch: &mut Batch) -> Result<()> {
        let rows = batch.selected_rows() as u64;
        if rows == 0 {
            return Ok(());
        }
        batch.now = self.now;
        if let Some(counters) = self.counters {
            counters.rows_out.fetch_add(rows, Ordering::Relaxed);
        }
        self.visit(|slot, port, next| {
            slot.counters.rows_in.fetch_add(rows, Ordering::Relaxed);
            slot.counters.batches_in.fetch_add(1, Ordering::Relaxed);
            batch.watermark = Some(slot.inputs.minimum()).filter(|minimum| *minimum != START && *minimum != END);
            slot.operator.push(port, batch, next)
        })
    }

    /// Counts rows that leave for the outside.
    pub fn count_out(&self, rows: usize) {
        if let Some(counters) = self.counters {
            counters.rows_out.fetch_add(rows as u64, Ordering::Relaxed);
        }
    }

    /// Passes a watermark on.
    pub fn watermark(&mut self, watermark: i64) -> Result<()> {
        self.visit(|slot, port, next| match slot.inputs.advance(port, watermark) {
            Some(minimum) if minimum != END => slot.operator.watermark(minimum, next),
            _ => Ok(()),
        })
    }

    /// Passes the end on. An input that was held keeps its watermark, and holds all that lies behind it.
    pub fn end(&mut self, ending: Ending) -> Result<()> {
        self.visit(|slot, port, next| {
            let minimum = match ending {
                Ending::Flush => slot.inputs.advance(port, END),
                Ending::Hold => None,
            };
            slot.held |= ending == Ending::Hold;
            let ending = if slot.held { Ending::Hold } else { Ending::Flush };
            if let Some(minimum) = minimum.filter(|minimum| *minimum != END && !slot.has_put_out) {
                slot.operator.watermark(minimum, next)?;
            }
            slot.operator.end_input(port, ending, next)?;
            if slot.inputs.end() {
                if !slot.has_put_out {
                    slot.operator.finish(ending, next)?;
                }
                let _ = slot.counters.remarks.set(slot.operator.remarks());
                return next.end(ending);
            }
            Ok(())
        })
    }

    fn visit(&mut self, act: impl FnOnce(&mut Slot, usize, &mut Next<'_>) -> Result<()>) -> Result<()> {
        let Some(target) = self.target else { return Ok(()) };
        let (slot, rest) = self.slots[target.slot - self.base..].split_first_mut().expect("targets lie further down");
        let counters = slot.counters.clone();
        let started = slot.timed.then(Instant::now);
        let mut next =
            Next { slots: rest, base: target.slot + 1, target: slot.target, counters: Some(&counters), now: self.now };
        act(slot, target.port, &mut next)?;
        if let Some(started) = started {
            counters.nanoseconds.fetch_add(started.elapsed().as_nanos() as u64, Ordering::Relaxed);
        }
        slot.account()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Writes down what it is told.
    struct Witness(Arc<Mutex<Vec<String>>>);

    impl Operator for Witness {
        fn push(&mut self, _port: usize, _batch: &mut Batch, _next: &mut Next<'_>) -> Result<()> {
            Ok(())
        }

        fn watermark(&mut self, watermark: i64, _next: &mut Next<'_>) -> Result<()> {
            self.0.lock().unwrap().push(format!("watermark {watermark}"));
            Ok(())
        }

        fn finish(&mut self, ending: Ending, _next: &mut Next<'_>) -> Result<()> {
            self.0.lock().unwrap().push(format!("{ending:?}"));
            Ok(())
        }
    }

    fn graph(inputs: usize) -> (Graph, Arc<Mutex<Vec<String>>>) {
        let told = Arc::new(Mutex::new(Vec::new()));
        let budget = Arc::new(Budget::new(None));
        let slot = Slot::new("witness".to_string(), Box::new(Witness(told.clone())), inputs, budget);
        (Graph { slots: vec![slot], now: 0 }, told)
    }

    fn port(port: usize) -> Target {
        Target { slot: 0, port }
    }

    #[test]
    fn one_held_input_holds_all_and_keeps_its_watermark() {
        let (mut graph, told) = graph(3);
        graph.watermark(port(0), 10).unwrap();
        graph.end(port(0), Ending::Hold).unwrap();
        graph.watermark(port(1), 20).unwrap();
        graph.end(port(1), Ending::Flush).unwrap();
        assert!(told.lock().unwrap().is_empty(), "the third input has said nothing");
        graph.end(port(2), Ending::Flush).unwrap();
        assert_eq!(*told.lock().unwrap(), ["watermark 10", "Hold"]);
    }

    #[test]
    fn flushed_inputs_hold_nothing_back() {
        let (mut graph, told) = graph(2);
        graph.watermark(port(0), 10).unwrap();
        graph.end(port(1), Ending::Flush).unwrap();
        graph.end(port(0), Ending::Flush).unwrap();
        assert_eq!(*told.lock().unwrap(), ["watermark 10", "Flush"]);
    }
}
