//! The loop of an owner thread: take input, run it through, until all of it has ended.
//!
//! ```text
//! for each stage, the last one first:   send what waits in outboxes; if all went, take one input and push it
//! the time has come for an operator:    tell it
//! nothing to do anywhere, or no room:   show what was written; sleep until woken, at most `idle_sleep`
//! ```
//! An input is fed while the operators behind it want it: the side of a join that passes by its table waits for the table.
//!
//! Stages nearer the end go first, so that what is on its way gets through before new rows come in; and since an
//! exchange never blocks, workers cannot wait for each other in a circle.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::cut::{Parts, Phase};
use super::scan::{ScanTask, Step};
use super::snapshot::OperatorPart;
use super::{Clock, Control};
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::stream::exchange::{Message, Receiver, Waker};
use crate::stream::operator::{Ending, Graph, Target};

/// Messages taken from one ring before others get their turn.
const MESSAGES_PER_TURN: usize = 4;

/// The operators between two exchanges, and what feeds them.
#[derive(Default)]
pub(super) struct Stage {
    pub(super) graph: Graph,
    pub(super) inputs: Vec<Input>,
}

/// Something that feeds a stage.
pub(super) enum Input {
    Scan(Box<ScanTask>),
    /// Constant rows, pushed once.
    Values {
        batch: Option<Batch>,
        target: Target,
        ended: bool,
        node: usize,
    },
    /// The receiving ends of an exchange, one per sending worker; each is a port of the target slot.
    Exchange {
        receivers: Vec<Receiver>,
        slot: usize,
    },
}

/// One owner thread's work.
pub(super) struct Worker {
    number: usize,
    stages: Vec<Stage>,
    waker: Arc<Waker>,
    idle_sleep: Duration,
    clock: Clock,
    /// The last cut it has seen, and how far it is in that.
    cut: u64,
    phase: Phase,
}

/// What a worker's turn has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Worked,
    /// There is nothing to do for now.
    Idle,
    /// There will never be anything to do again.
    Ended,
}

impl Worker {
    pub(super) fn new(
        number: usize,
        stages: Vec<Stage>,
        waker: Arc<Waker>,
        idle_sleep: Duration,
        clock: Clock,
    ) -> Self {
        Worker { number, stages, waker, idle_sleep, clock, cut: 0, phase: Phase::default() }
    }

    pub(super) fn number(&self) -> usize {
        self.number
    }

    pub(super) fn stages_mut(&mut self) -> &mut [Stage] {
        &mut self.stages
    }

    /// Runs to the end; what goes wrong goes to `control`.
    pub(super) fn run(mut self, control: &Control) {
        self.waker.register();
        match catch_unwind(AssertUnwindSafe(|| self.work(control))) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => control.fail(error),
            Err(panic) => control.fail(Error::panicked("a worker", &*panic)),
        }
        // Operators may hold what a panic left half done; their drop must not take the process down with it.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(self)));
    }

    fn work(&mut self, control: &Control) -> Result<()> {
        let mut settled = true;
        while !control.is_aborted() {
            match self.turn(control)? {
                Turn::Ended => {
                    control.cut().end(self.number, self.part(false)?);
                    break;
                }
                Turn::Worked => settled = false,
                Turn::Idle => {
                    if let Some(cut) = control.cut().asked() {
                        self.attend(cut, control)?;
                    }
                    // Whoever waits for the rows of a stream that pauses must see them.
                    if !std::mem::replace(&mut settled, true) {
                        self.rest()?;
                    }
                    self.sleep();
                }
            }
        }
        Ok(())
    }

    /// Tells operators the time, then feeds each stage once.
    pub(super) fn turn(&mut self, control: &Control) -> Result<Turn> {
        let now = self.clock.now();
        let (mut worked, mut open) = (false, false);
        for stage in self.stages.iter_mut().rev() {
            if stage.graph.send()? {
                // A cut must find nothing on its way, so nothing sets out meanwhile.
                if control.cut().asked().is_none() {
                    worked |= stage.graph.tick(now)?;
                }
                worked |= stage.feed(control, now)?;
            }
            // What the feed has just made may wait too: a worker is done when nothing does.
            open |= !stage.graph.send()?;
            open |= stage.inputs.iter().any(|input| !input.has_ended());
        }
        Ok(match (open, worked) {
            (false, _) => Turn::Ended,
            (true, true) => Turn::Worked,
            (true, false) => Turn::Idle,
        })
    }

    /// Whether rows that were read wait for partitions that are behind.
    pub(super) fn holds_rows(&self) -> bool {
        let holds = |input: &Input| matches!(input, Input::Scan(scan) if scan.holds_rows());
        self.stages.iter().flat_map(|stage| &stage.inputs).any(holds)
    }

    /// Has operators send on what they gather for others.
    pub(super) fn settle(&mut self) -> Result<()> {
        self.stages.iter_mut().try_for_each(|stage| stage.graph.settle())
    }

    /// Makes what was written visible, since nothing more is at hand.
    pub(super) fn rest(&mut self) -> Result<()> {
        self.stages.iter_mut().try_for_each(|stage| stage.graph.rest())
    }

    /// Takes part in a cut: says when its scans rest, tells the watermark when all do, and adds its part when all is quiet.
    fn attend(&mut self, cut: u64, control: &Control) -> Result<()> {
        if std::mem::replace(&mut self.cut, cut) != cut {
            self.phase = Phase::Running;
        }
        if self.phase == Phase::Running && self.stages.iter().all(Stage::rests) {
            self.settle()?;
            self.reach(Phase::Resting, control);
        }
        if self.phase == Phase::Resting && control.cut().all_rest() {
            self.stages.iter_mut().try_for_each(Stage::tell_watermarks)?;
            self.settle()?;
            self.reach(Phase::Told, control);
        }
        if self.phase == Phase::Told && control.cut().is_quiet() {
            self.phase = Phase::Added;
            self.rest()?;
            let part = self.part(control.cut().wants_state());
            control.cut().add(self.number, cut, part);
        }
        Ok(())
    }

    fn reach(&mut self, phase: Phase, control: &Control) {
        self.phase = phase;
        control.cut().reach(self.number, self.cut, phase);
    }

    /// What its operators hold, and the constant rows it has pushed. Without `wants_state`, only how far they are.
    pub(super) fn part(&mut self, wants_state: bool) -> Result<Parts> {
        let mut part = Parts::default();
        for stage in &mut self.stages {
            for slot in &mut stage.graph.slots {
                let Some(node) = slot.node else { continue };
                let ended = slot.inputs.has_ended() || slot.has_put_out;
                let sections = if ended || !wants_state { Vec::new() } else { slot.operator.snapshot()? };
                let watermarks = slot.inputs.watermarks().to_vec();
                part.operators.push(OperatorPart { node, name: slot.name.clone(), watermarks, ended, sections });
            }
            let pushed = stage.inputs.iter().filter_map(|input| match input {
                Input::Values { ended: true, node, .. } => Some(*node),
                _ => None,
            });
            part.values.extend(pushed);
        }
        Ok(part)
    }

    fn sleep(&self) {
        self.waker.fall_asleep();
        if !self.stages.iter().any(Stage::has_work) {
            // Nobody is told the time while what was made before waits for room.
            let told = || self.stages.iter().filter(|stage| stage.graph.can_send().is_none());
            let gathering = told().flat_map(|stage| &stage.inputs).filter_map(Input::next_take);
            let due = told().filter_map(|stage| stage.graph.next_tick()).chain(gathering).min();
            let until = due.map(|due| Duration::from_micros(due.saturating_sub(self.clock.now()).max(0) as u64));
            std::thread::park_timeout(until.map_or(self.idle_sleep, |until| until.min(self.idle_sleep)));
        }
        self.waker.rise();
    }
}

impl Stage {
    /// Whether there is room for what waits to be sent, or, where nothing does, a message that would be taken.
    fn has_work(&self) -> bool {
        let has_message = || self.inputs.iter().any(|input| input.has_message() && self.graph.wants(input.target()));
        self.graph.can_send().unwrap_or_else(has_message)
    }

    /// Whether a snapshot may be taken as far as its inputs are concerned.
    fn rests(&self) -> bool {
        self.inputs.iter().all(|input| input.rests() || !self.graph.wants(input.target()))
    }

    /// Tells its operators how far its scans have come together with those of other workers.
    fn tell_watermarks(&mut self) -> Result<()> {
        for input in &mut self.inputs {
            if let Input::Scan(scan) = input
                && self.graph.wants(scan.target)
            {
                scan.tell_watermark(&mut self.graph)?;
            }
        }
        Ok(())
    }

    /// Feeds each input that is wanted once; whether any had something. A snapshot holds nothing that is on its way, so
    /// before one that is taken in whether it is wanted or not.
    fn feed(&mut self, control: &Control, now: i64) -> Result<bool> {
        let mut worked = false;
        let is_cut = control.cut().asked().is_some();
        for input in &mut self.inputs {
            let arrives = is_cut && matches!(input, Input::Exchange { .. });
            if !arrives && !self.graph.wants(input.target()) {
                continue;
            }
            worked |= match input {
                Input::Scan(scan) if !scan.has_ended() => scan.step(&mut self.graph, control, now)? != Step::Waiting,
                Input::Values { batch, target, ended, .. } if !*ended => {
                    if let Some(batch) = batch {
                        self.graph.push(*target, batch)?;
                    }
                    *ended = true;
                    self.graph.end(*target, Ending::Flush)?;
                    true
                }
                Input::Exchange { receivers, slot } => receive(&mut self.graph, receivers, *slot, is_cut)?,
                _ => false,
            };
        }
        Ok(worked)
    }
}

/// Takes some messages from each ring and pushes them on. `settles`: whether a snapshot is about to be taken, so that
/// nothing may stay gathered for others.
fn receive(graph: &mut Graph, receivers: &mut [Receiver], slot: usize, settles: bool) -> Result<bool> {
    let mut worked = false;
    for (port, receiver) in receivers.iter_mut().enumerate() {
        let target = Target { slot, port };
        for _ in 0..MESSAGES_PER_TURN {
            match receiver.take() {
                None => break,
                Some(Message::Batch(mut batch)) => {
                    graph.push(target, &mut batch)?;
                    receiver.give_back(batch);
                }
                Some(Message::Watermark(watermark)) => graph.watermark(target, watermark)?,
                Some(Message::End(ending)) => graph.end(target, ending)?,
            }
            if settles {
                graph.settle()?;
            }
            receiver.work_off();
            worked = true;
        }
        if receiver.is_orphaned() {
            // Its sender has failed and says so itself.
            return Err(Error::cancelled());
        }
    }
    Ok(worked)
}

impl Input {
    fn has_ended(&self) -> bool {
        match self {
            Input::Scan(scan) => scan.has_ended(),
            Input::Values { ended, .. } => *ended,
            Input::Exchange { receivers, .. } => receivers.iter().all(Receiver::has_ended),
        }
    }

    /// Whether a snapshot may be taken as far as this input is concerned.
    fn rests(&self) -> bool {
        match self {
            Input::Scan(scan) => scan.rests(),
            Input::Values { ended, .. } => *ended,
            Input::Exchange { .. } => true,
        }
    }

    /// Where its rows go; an exchange has a port per sender there, all of them alike.
    fn target(&self) -> Target {
        match self {
            Input::Scan(scan) => scan.target,
            Input::Values { target, .. } => *target,
            Input::Exchange { slot, .. } => Target { slot: *slot, port: 0 },
        }
    }

    /// When rows may be taken that gather now.
    fn next_take(&self) -> Option<i64> {
        match self {
            Input::Scan(scan) if !scan.has_ended() => scan.next_take(),
            _ => None,
        }
    }

    fn has_message(&self) -> bool {
        match self {
            Input::Exchange { receivers, .. } => receivers.iter().any(Receiver::has_message),
            _ => false,
        }
    }
}
