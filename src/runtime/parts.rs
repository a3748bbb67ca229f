//! Parts of stages, put together: an operator behind one, several into one, an exchange between two.

use super::assemble::Assembly;
use super::metrics::Registered;
use super::worker::{Input, Stage};
use crate::error::Result;
use crate::pipeline::{Node, NodeId};
use crate::stream::exchange::{Exchange, Receiver, Route, Sender, ring};
use crate::stream::operator::{Operator, Slot, Target, Union};
use crate::time::END;

/// A stage in the making, in one worker, and the place its rows come out of.
pub(super) struct Part {
    pub(super) stage: Stage,
    pub(super) end: End,
}

/// The place where the rows of a part come out.
#[derive(Clone, Copy)]
pub(super) enum End {
    Slot(usize),
    Input(usize),
}

/// The same stage in all workers; `None` where a worker has no share in it.
pub(super) type Parts = Vec<Option<Part>>;

impl Assembly<'_> {
    pub(super) fn append(&mut self, part: &mut Part, name: &str, node: Option<NodeId>, operator: Box<dyn Operator>) {
        let port_count = match part.end {
            End::Slot(_) => 1,
            End::Input(input) => match &part.stage.inputs[input] {
                Input::Exchange { receivers, .. } => receivers.len(),
                _ => 1,
            },
        };
        let slot = self.slot(&mut part.stage, name, node, operator, port_count);
        connect(part, Target { slot, port: 0 });
        part.end = End::Slot(slot);
    }

    pub(super) fn slot(
        &mut self,
        stage: &mut Stage,
        name: &str,
        node: Option<NodeId>,
        operator: Box<dyn Operator>,
        port_count: usize,
    ) -> usize {
        let mut slot = Slot::new(name.to_string(), operator, port_count, self.metrics.budget.clone());
        slot.node = node;
        slot.timed = self.options.timed;
        let counters = slot.counters.clone();
        let takes_away = name == "filter" && node.is_some_and(|node| self.is_stateless_up_to(node));
        self.metrics.operators.push(Registered { name: name.to_string(), node, takes_away, counters });
        stage.graph.slots.push(slot);
        stage.graph.slots.len() - 1
    }

    pub(super) fn union(&mut self, id: NodeId, node: &Node) -> Result<Parts> {
        let mut by_worker: Vec<Vec<Part>> = (0..self.partitions).map(|_| Vec::new()).collect();
        for &input in &node.inputs {
            for (worker, part) in self.node(input)?.into_iter().enumerate() {
                by_worker[worker].extend(part);
            }
        }
        let mut parts = Vec::with_capacity(self.partitions);
        for inputs in by_worker {
            if inputs.is_empty() {
                parts.push(None);
                continue;
            }
            let count: usize = inputs.len();
            let mut stage = Stage::default();
            let ends: Vec<End> = inputs.into_iter().map(|part| merge(&mut stage, part)).collect();
            // An exchange that ends here brings a port per sender; an operator in between makes it one.
            let ends = ends.into_iter().map(|end| self.single_port(&mut stage, end)).collect::<Vec<_>>();
            let slot = self.slot(&mut stage, "union", Some(id), Box::new(Union), count);
            let mut part = Part { stage, end: End::Slot(slot) };
            for (port, end) in ends.into_iter().enumerate() {
                part.end = end;
                connect(&mut part, Target { slot, port });
            }
            part.end = End::Slot(slot);
            parts.push(Some(part));
        }
        Ok(parts)
    }

    /// An operator with two ports behind two parts of one worker.
    pub(super) fn two_inputs(
        &mut self,
        inputs: [Part; 2],
        name: &str,
        node: NodeId,
        operator: Box<dyn Operator>,
    ) -> Part {
        let mut stage = Stage::default();
        let ends = inputs.map(|part| merge(&mut stage, part));
        let ends = ends.map(|end| self.single_port(&mut stage, end));
        let slot = self.slot(&mut stage, name, Some(node), operator, 2);
        let mut part = Part { stage, end: End::Slot(slot) };
        for (port, end) in ends.into_iter().enumerate() {
            part.end = end;
            connect(&mut part, Target { slot, port });
        }
        part.end = End::Slot(slot);
        part
    }

    /// Has the watermark of an operator of two inputs follow the left one alone: what comes on the right has no event time.
    pub(super) fn follow_left(part: &mut Part) {
        if let End::Slot(slot) = part.end {
            part.stage.graph.slots[slot].inputs.advance(1, END);
        }
    }

    fn single_port(&mut self, stage: &mut Stage, end: End) -> End {
        let End::Input(input) = end else { return end };
        let Input::Exchange { receivers, .. } = &stage.inputs[input] else { return end };
        let ports = receivers.len();
        let slot = self.slot(stage, "receive", None, Box::new(Union), ports);
        if let Input::Exchange { slot: target, .. } = &mut stage.inputs[input] {
            *target = slot;
        }
        End::Slot(slot)
    }

    /// Brings all rows to the first worker.
    pub(super) fn gather(&mut self, parts: Parts) -> Result<Parts> {
        if parts.iter().skip(1).all(Option::is_none) { Ok(parts) } else { self.exchange(parts, Route::First) }
    }

    /// Ends the stage of each worker, and begins one for each of several readers behind it: all get all of its rows.
    ///
    /// Whoever is forked must put its rows out when its input has ended: what a reader that waits does not take yet is
    /// held back in an outbox, and holds up nobody.
    pub(super) fn fork(&mut self, parts: Parts, readers: usize) -> Vec<Parts> {
        let mut forked: Vec<Parts> = (0..readers).map(|_| Parts::with_capacity(parts.len())).collect();
        for (worker, part) in parts.into_iter().enumerate() {
            let Some(mut part) = part else {
                forked.iter_mut().for_each(|parts| parts.push(None));
                continue;
            };
            let mut senders = Vec::with_capacity(readers);
            for parts in &mut forked {
                let (sender, receiver) = self.ring(worker, worker);
                senders.push(sender);
                let inputs = vec![Input::Exchange { receivers: vec![receiver], slot: 0 }];
                parts.push(Some(Part { stage: Stage { inputs, ..Stage::default() }, end: End::Input(0) }));
            }
            let operator = Exchange::new(Route::All, senders, self.context);
            self.append(&mut part, "fork", None, Box::new(operator));
            self.done[worker].push(part.stage);
        }
        forked
    }

    /// A ring between two workers.
    fn ring(&self, from: usize, to: usize) -> (Sender, Receiver) {
        let (sending, receiving) = (self.wakers[from].clone(), self.wakers[to].clone());
        ring(self.config.ring_capacity, sending, receiving, self.in_flight.clone())
    }

    /// Ends the stage of each worker with an exchange and begins the next one behind it.
    pub(super) fn exchange(&mut self, parts: Parts, route: Route) -> Result<Parts> {
        let receiving = if matches!(route, Route::First) { 1 } else { self.partitions };
        let mut receivers: Vec<Vec<_>> = (0..receiving).map(|_| Vec::new()).collect();
        for (worker, part) in parts.into_iter().enumerate() {
            let Some(mut part) = part else { continue };
            let mut senders = Vec::with_capacity(receiving);
            for (to, ends) in receivers.iter_mut().enumerate() {
                let (sender, receiver) = self.ring(worker, to);
                senders.push(sender);
                ends.push(receiver);
            }
            let operator = Exchange::new(route.clone(), senders, self.context);
            self.append(&mut part, "exchange", None, Box::new(operator));
            self.done[worker].push(part.stage);
        }
        let mut next: Parts = receivers
            .into_iter()
            .map(|receivers| {
                let input = Input::Exchange { receivers, slot: 0 };
                Some(Part { stage: Stage { inputs: vec![input], ..Stage::default() }, end: End::Input(0) })
            })
            .collect();
        next.resize_with(self.partitions, || None);
        Ok(next)
    }
}

/// Sends the rows of a part to `target`.
fn connect(part: &mut Part, target: Target) {
    match part.end {
        End::Slot(slot) => part.stage.graph.slots[slot].target = Some(target),
        End::Input(input) => match &mut part.stage.inputs[input] {
            Input::Scan(task) => task.target = target,
            Input::Values { target: at, .. } => *at = target,
            Input::Exchange { slot, .. } => *slot = target.slot,
        },
    }
}

/// Puts a part's slots and inputs behind those of `stage`; the part's end as it is numbered there.
fn merge(stage: &mut Stage, part: Part) -> End {
    let (slots, inputs) = (stage.graph.slots.len(), stage.inputs.len());
    for mut slot in part.stage.graph.slots {
        if let Some(target) = &mut slot.target {
            target.slot += slots;
        }
        stage.graph.slots.push(slot);
    }
    for mut input in part.stage.inputs {
        match &mut input {
            Input::Scan(task) => task.target.slot += slots,
            Input::Values { target, .. } => target.slot += slots,
            Input::Exchange { slot, .. } => *slot += slots,
        }
        stage.inputs.push(input);
    }
    match part.end {
        End::Slot(slot) => End::Slot(slot + slots),
        End::Input(input) => End::Input(input + inputs),
    }
}
