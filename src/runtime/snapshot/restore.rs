//! A snapshot into the operators of a fresh query, whose workers may be more or fewer than wrote it.
//!
//! Invariants  a row of a key goes to the worker that the exchange before its operator sends that key to. Where it cannot
//!             be told which of the new inputs an old one was, all get the least watermark: that only delays.

use std::collections::BTreeMap;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take_record_batch;

use super::{OperatorPart, Snapshot};
use crate::error::{Error, Result};
use crate::function::KernelContext;
use crate::runtime::assemble::Assembled;
use crate::runtime::worker::Input;
use crate::state::{Section, SectionRoute};
use crate::stream::exchange::Route;
use crate::stream::operator::Slot;

/// An operator of the pipeline, by its node and its name: all its instances, one per worker.
type Instances<'a> = BTreeMap<(usize, String), Vec<&'a mut Slot>>;

impl Snapshot {
    /// Hands everything to those who go on with it; comes before any worker starts.
    pub(in crate::runtime) fn restore(&self, assembled: &mut Assembled, context: KernelContext) -> Result<()> {
        for (node, name, scan, watermarks) in &assembled.metrics.scans {
            let part = self.sources.iter().find(|part| part.node == *node);
            let part = part.ok_or_else(|| Error::bug(format!("the snapshot knows nothing of the table {name}")))?;
            scan.seek(&part.position).map_err(|e| e.context(format!("table {name}")))?;
            watermarks.restore(&part.watermarks);
        }
        let mut instances = Instances::new();
        for stage in assembled.workers.iter_mut().flat_map(|worker| worker.stages_mut()) {
            for input in &mut stage.inputs {
                if let Input::Values { batch, node, .. } = input
                    && self.values.contains(node)
                {
                    *batch = None;
                }
            }
            for slot in &mut stage.graph.slots {
                if let Some(node) = slot.node {
                    instances.entry((node, slot.name.clone())).or_default().push(slot);
                }
            }
        }
        for part in &self.operators {
            if !part.sections.is_empty() && !instances.contains_key(&(part.node, part.name.clone())) {
                return Err(Error::bug(format!("nobody takes the state of {}", part.name)));
            }
        }
        for ((node, name), slots) in instances {
            let parts = self.operators.iter().filter(|part| part.node == node && part.name == name);
            let parts: Vec<&OperatorPart> = parts.collect();
            if !parts.is_empty() {
                restore_slots(&parts, slots, context).map_err(|e| e.context(name))?;
            }
        }
        Ok(())
    }
}

fn restore_slots(parts: &[&OperatorPart], slots: Vec<&mut Slot>, context: KernelContext) -> Result<()> {
    let has_ended = parts.iter().all(|part| part.ended);
    let mut shares: Vec<Vec<Section>> = slots.iter().map(|_| Vec::new()).collect();
    for section in parts.iter().flat_map(|part| &part.sections) {
        let route = slots.first().map_or(section.route, |slot| slot.operator.route(section));
        share_out(&Section { route, ..section.clone() }, &mut shares, context)?;
    }
    for (slot, share) in slots.into_iter().zip(shares) {
        slot.inputs.restore(&watermarks(parts, slot.inputs.watermarks().len()));
        slot.has_put_out = has_ended;
        slot.operator.restore(share)?;
    }
    Ok(())
}

/// The watermark of each of `ports` inputs.
fn watermarks(parts: &[&OperatorPart], ports: usize) -> Vec<i64> {
    if parts.iter().all(|part| part.watermarks.len() == ports) {
        let least = |port: usize| parts.iter().map(|part| part.watermarks[port]).min();
        return (0..ports).map(|port| least(port).expect("there are parts")).collect();
    }
    let least = parts.iter().flat_map(|part| part.watermarks.iter().copied()).min();
    vec![least.unwrap_or(crate::time::START); ports]
}

/// Adds a section to the shares of those who get it.
fn share_out(section: &Section, shares: &mut [Vec<Section>], context: KernelContext) -> Result<()> {
    let count = shares.len();
    match section.route {
        SectionRoute::First => shares[0].push(section.clone()),
        SectionRoute::Key { .. } if count == 1 => shares[0].push(section.clone()),
        SectionRoute::All => shares.iter_mut().for_each(|share| share.push(section.clone())),
        SectionRoute::Key { key_count } => {
            let keys: Vec<ArrayRef> = section.rows.columns()[..key_count].to_vec();
            let route = Route::Hash(keys.iter().map(|key| key.data_type().clone()).collect());
            for (share, rows) in shares.iter_mut().zip(route.owners(context, &keys, count)?) {
                if !rows.is_empty() {
                    let rows = take_record_batch(&section.rows, &UInt32Array::from(rows))?;
                    share.push(Section { rows, ..section.clone() });
                }
            }
        }
    }
    Ok(())
}
