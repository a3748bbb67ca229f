//! Windows that share panes, kept up as they move: what a window costs does not grow with its panes.
//!
//! ```text
//! all functions can take back    running ── + pane that enters ──▶ write ── - pane that leaves ──▶ next window
//!
//! else two stacks                front: from each old pane on,     back: all newer panes
//!                                merged up to the last one         merged
//!                                      [a b c] [b c] [c]              [d e]
//!                                window = top of front + back; when front is empty, back is turned over into it
//! ```
//! Invariants  a pane enters once, at the first window that it counts for: no row goes to it any more. Panes leave in
//!             the order of their starts. A pane that enters behind a newer one (its rows were late for the first of
//!             their windows) stands aside and is merged each time.
//! Source      subtract on evict and two stacks: Tangwongsan et al. 2017, "Low-latency sliding-window aggregation".

use super::super::table::{Scratch, Table};
use super::panes::{Pane, Panes};
use crate::batch::KernelColumn;
use crate::error::Result;

/// Where a pane counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    None,
    Running,
    Back,
    Front,
    Aside,
}

/// How windows of several panes are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// All panes of a window merged anew: for few of them.
    Merge,
    /// One table that panes enter and leave.
    Subtract,
    /// Panes only enter, and all leave together: windows that cumulate.
    Add,
    TwoStacks,
}

/// Fewer panes than these are merged anew for each window.
const SUBTRACT_PANES_MIN: i64 = 3;
const STACK_PANES_MIN: i64 = 6;
/// More groups without rows than these are worth making the running table anew.
const DEAD_GROUPS_MIN: usize = 1024;

/// The running windows of an operator.
pub(super) struct Sliding {
    way: Way,
    running: Option<Box<Table>>,
    /// For each group of the running table, how many of the panes in it have the group.
    presence: Vec<u32>,
    alive: usize,
    back: Option<Box<Table>>,
    /// The oldest pane's on top.
    #[expect(clippy::vec_box, reason = "tables come from the pool and go back without being moved")]
    front: Vec<Box<Table>>,
    /// Memory for the groups to write.
    groups: Vec<u32>,
}

/// What merging needs.
pub(super) struct Memory<'a> {
    pub(super) scratch: &'a mut Scratch,
    pub(super) keys: &'a mut Vec<KernelColumn>,
}

impl Sliding {
    /// `can_subtract`: whether every function can take a merged state back exactly.
    pub(super) fn new(panes_per_window: i64, cumulates: bool, can_subtract: bool) -> Self {
        let way = match cumulates {
            true if panes_per_window > 1 => Way::Add,
            false if can_subtract && panes_per_window >= SUBTRACT_PANES_MIN => Way::Subtract,
            false if panes_per_window >= STACK_PANES_MIN => Way::TwoStacks,
            _ => Way::Merge,
        };
        Sliding {
            way,
            running: None,
            presence: Vec::new(),
            alive: 0,
            back: None,
            front: Vec::new(),
            groups: Vec::new(),
        }
    }

    pub(super) fn way(&self) -> Way {
        self.way
    }

    /// Merges the panes of a window from `from` to `to` that `counts` into a table, and says which of its groups have rows
    /// (`None`: all). The table goes back by `put_back`.
    pub(super) fn window(
        &mut self,
        panes: &mut Panes,
        (from, to): (usize, usize),
        counts: impl Fn(&Pane) -> bool,
        memory: &mut Memory<'_>,
    ) -> Result<(Box<Table>, Option<Vec<u32>>)> {
        match self.way {
            Way::Merge => {
                let mut table = panes.take();
                for pane in panes.open.range_mut(from..to).filter(|pane| counts(pane)) {
                    table.merge(&mut pane.table, memory.scratch, memory.keys)?;
                }
                Ok((table, None))
            }
            Way::Subtract | Way::Add => {
                self.leave(panes, from, memory)?;
                self.enter_running(panes, (from, to), counts, memory)?;
                let table = self.running.take().expect("a running table was made");
                let mut groups = std::mem::take(&mut self.groups);
                groups.clear();
                match self.alive == table.len() {
                    true => groups.extend(0..table.len() as u32),
                    false => groups.extend((0..table.len() as u32).filter(|&group| self.presence[group as usize] > 0)),
                }
                Ok((table, Some(groups)))
            }
            Way::TwoStacks => {
                self.leave(panes, from, memory)?;
                self.enter_back(panes, (from, to), counts, memory)?;
                let mut table = panes.take();
                let stacks = self.front.last_mut().into_iter().chain(&mut self.back);
                let aside = panes.open.range_mut(from..to).filter(|pane| pane.share == Share::Aside);
                for part in stacks.chain(aside.map(|pane| &mut pane.table)) {
                    table.merge(part, memory.scratch, memory.keys)?;
                }
                Ok((table, None))
            }
        }
    }

    /// Takes back what `window` has lent.
    pub(super) fn put_back(&mut self, panes: &mut Panes, table: Box<Table>, groups: Option<Vec<u32>>) {
        match groups {
            Some(groups) => {
                self.groups = groups;
                self.running = Some(table);
            }
            None => panes.give_back(table),
        }
    }

    fn enter_running(
        &mut self,
        panes: &mut Panes,
        (from, to): (usize, usize),
        counts: impl Fn(&Pane) -> bool,
        memory: &mut Memory<'_>,
    ) -> Result<()> {
        let mut running = self.running.take().unwrap_or_else(|| panes.take());
        if running.len() > 2 * self.alive + DEAD_GROUPS_MIN {
            running.clear();
            self.presence.clear();
            self.alive = 0;
            panes.open.range_mut(from..to).for_each(|pane| pane.share = Share::None);
        }
        for pane in panes.open.range_mut(from..to).filter(|pane| pane.share == Share::None && counts(pane)) {
            running.merge(&mut pane.table, memory.scratch, memory.keys)?;
            self.presence.resize(running.len(), 0);
            for &group in &memory.scratch.groups[..pane.table.len()] {
                let presence = &mut self.presence[group as usize];
                self.alive += usize::from(*presence == 0);
                *presence += 1;
            }
            pane.share = Share::Running;
        }
        self.running = Some(running);
        Ok(())
    }

    fn enter_back(
        &mut self,
        panes: &mut Panes,
        (from, to): (usize, usize),
        counts: impl Fn(&Pane) -> bool,
        memory: &mut Memory<'_>,
    ) -> Result<()> {
        let mut back = self.back.take().unwrap_or_else(|| panes.take());
        let stands = |pane: &Pane| matches!(pane.share, Share::Back | Share::Front);
        let newest = panes.open.range(from..to).rposition(stands).map(|at| from + at);
        for at in from..to {
            let pane = &mut panes.open[at];
            if pane.share != Share::None || !counts(pane) {
                continue;
            }
            if newest.is_some_and(|newest| at < newest) {
                pane.share = Share::Aside;
                continue;
            }
            back.merge(&mut pane.table, memory.scratch, memory.keys)?;
            pane.share = Share::Back;
        }
        self.back = Some(back);
        Ok(())
    }

    /// Lets the first `count` panes leave, as far as they count.
    pub(super) fn leave(&mut self, panes: &mut Panes, count: usize, memory: &mut Memory<'_>) -> Result<()> {
        if panes.open.range(..count).all(|pane| pane.share == Share::None) {
            return Ok(());
        }
        if panes.open.range(count..).all(|pane| pane.share == Share::None) {
            panes.open.range_mut(..count).for_each(|pane| pane.share = Share::None);
            self.clear(panes);
            return Ok(());
        }
        for at in 0..count {
            match std::mem::replace(&mut panes.open[at].share, Share::None) {
                Share::None | Share::Aside => {}
                Share::Running => {
                    let running = self.running.as_mut().expect("a pane is in the running table");
                    let pane = &mut panes.open[at];
                    running.unmerge(&mut pane.table, memory.scratch)?;
                    for &group in &memory.scratch.groups[..pane.table.len()] {
                        let presence = &mut self.presence[group as usize];
                        *presence -= 1;
                        self.alive -= usize::from(*presence == 0);
                    }
                }
                Share::Front => self.pop(panes),
                Share::Back => self.turn_over(panes, at, memory)?,
            }
        }
        Ok(())
    }

    fn pop(&mut self, panes: &mut Panes) {
        if let Some(top) = self.front.pop() {
            panes.give_back(top);
        }
    }

    /// Turns the back over into the front, without the pane at `leaving`, which is the oldest of it.
    fn turn_over(&mut self, panes: &mut Panes, leaving: usize, memory: &mut Memory<'_>) -> Result<()> {
        debug_assert!(self.front.is_empty(), "panes in front are older than those in the back");
        for at in (leaving + 1..panes.open.len()).rev() {
            if panes.open[at].share != Share::Back {
                continue;
            }
            let mut table = panes.take();
            let pane = &mut panes.open[at];
            table.merge(&mut pane.table, memory.scratch, memory.keys)?;
            if let Some(newer) = self.front.last_mut() {
                table.merge(newer, memory.scratch, memory.keys)?;
            }
            pane.share = Share::Front;
            self.front.push(table);
        }
        if let Some(back) = &mut self.back {
            back.clear();
        }
        Ok(())
    }

    /// Forgets everything and keeps the memory.
    fn clear(&mut self, panes: &mut Panes) {
        self.presence.clear();
        self.alive = 0;
        if let Some(running) = &mut self.running {
            running.clear();
        }
        if let Some(back) = &mut self.back {
            back.clear();
        }
        for table in self.front.drain(..) {
            panes.give_back(table);
        }
    }

    pub(super) fn size_bytes(&self) -> usize {
        let tables = self.running.iter().chain(&self.back).chain(&self.front);
        tables.map(|table| table.size_bytes()).sum::<usize>() + (self.presence.capacity() + self.groups.capacity()) * 4
    }
}
