//! Open panes in order, and a pool of tables to make new ones of.
//!
//! Invariants  a table in the pool is empty and keeps its memory. The pool holds no more tables than were lately open at
//!             once; what is beyond that is given back.

use std::collections::VecDeque;

use super::super::TableShape;
use super::super::table::Table;
use super::sliding::Share;
use super::split::PaneKey;
use crate::time::START;

/// A table is let go that has had so many times more groups than panes lately had, and these.
const OVERSIZED: usize = 4;
const OVERSIZED_MIN: usize = 256;

/// Small, so that one may be put between many.
pub(super) struct Pane {
    pub(super) key: PaneKey,
    pub(super) table: Box<Table>,
    /// Where it counts in the running windows.
    pub(super) share: Share,
    /// What its table held when it was last looked at.
    bytes: usize,
}

/// The tables of an operator.
pub(super) struct Panes {
    shape: TableShape,
    takes_back: bool,
    /// In order: streams open panes behind the last one and close the first, and neither moves the others.
    pub(super) open: VecDeque<Pane>,
    /// How many of them count from some later window on only.
    late: usize,
    /// On their way out; kept for its memory.
    closing: Vec<Pane>,
    #[expect(clippy::vec_box, reason = "tables go between open panes and the pool without being moved")]
    pool: Vec<Box<Table>>,
    /// How many were lately open at once.
    peak: usize,
    /// How many groups a pane lately had.
    groups: usize,
    open_bytes: usize,
    pool_bytes: usize,
}

impl Panes {
    pub(super) fn new(shape: TableShape, takes_back: bool) -> Self {
        let (open, closing, pool) = (VecDeque::new(), Vec::new(), Vec::new());
        Panes { shape, takes_back, open, late: 0, closing, pool, peak: 0, groups: 0, open_bytes: 0, pool_bytes: 0 }
    }

    pub(super) fn shape(&self) -> &TableShape {
        &self.shape
    }

    /// Where the pane of this key is, made if there is none.
    pub(super) fn find(&mut self, key: PaneKey) -> usize {
        // Streams mostly write to the last pane.
        if self.open.back().is_some_and(|pane| pane.key == key) {
            return self.open.len() - 1;
        }
        match self.open.binary_search_by_key(&key, |pane| pane.key) {
            Ok(at) => at,
            Err(at) => {
                let table = self.take();
                self.late += usize::from(key.first_end() != START);
                self.open.insert(at, Pane { key, table, share: Share::None, bytes: 0 });
                at
            }
        }
    }

    /// Looks at what a pane holds now.
    pub(super) fn weigh(&mut self, at: usize) {
        let pane = &mut self.open[at];
        let bytes = pane.table.size_bytes();
        self.open_bytes = self.open_bytes + bytes - pane.bytes;
        pane.bytes = bytes;
    }

    /// An empty table.
    pub(super) fn take(&mut self) -> Box<Table> {
        match self.pool.pop() {
            Some(table) => {
                self.pool_bytes = self.pool_bytes.saturating_sub(table.size_bytes());
                table
            }
            None => Box::new(Table::new(self.shape.clone(), self.takes_back)),
        }
    }

    /// Puts a table back that is not needed any more. One with room for far more groups than panes lately had is let go.
    pub(super) fn give_back(&mut self, mut table: Box<Table>) {
        self.forget_groups();
        self.groups = self.groups.max(table.len());
        table.clear();
        if self.is_oversized(&table) {
            return;
        }
        self.pool_bytes += table.size_bytes();
        self.pool.push(table);
    }

    /// Takes the first `count` panes out; `closed` puts them back.
    pub(super) fn close(&mut self, count: usize) -> Vec<Pane> {
        self.peak = self.peak.max(self.open.len());
        let mut closing = std::mem::take(&mut self.closing);
        closing.extend(self.open.drain(..count));
        self.open_bytes -= closing.iter().map(|pane| pane.bytes).sum::<usize>();
        self.late -= closing.iter().filter(|pane| pane.key.first_end() != START).count();
        closing
    }

    /// Takes closed panes back, and gives back what has not been needed for a while.
    pub(super) fn closed(&mut self, mut closing: Vec<Pane>) {
        for pane in closing.drain(..) {
            self.give_back(pane.table);
        }
        self.closing = closing;
        self.peak -= self.peak.saturating_sub(self.open.len()) / 16;
        self.let_go();
        // Two more: one to merge into, one for a pane that opens before another closes.
        while self.pool.len() + self.open.len() > self.peak + 2 {
            let Some(table) = self.pool.pop() else { break };
            self.pool_bytes = self.pool_bytes.saturating_sub(table.size_bytes());
        }
    }

    /// The watermark moves, and no pane is open: less and less room is kept for those to come.
    pub(super) fn idle(&mut self) {
        if self.open.is_empty() && !self.pool.is_empty() {
            self.forget_groups();
            self.let_go();
        }
    }

    fn forget_groups(&mut self) {
        self.groups -= self.groups.div_ceil(16);
    }

    /// Lets go of the tables in the pool that are too large by now.
    fn let_go(&mut self) {
        if self.pool.iter().any(|table| self.is_oversized(table)) {
            let pool = std::mem::take(&mut self.pool);
            self.pool = pool.into_iter().filter(|table| !self.is_oversized(table)).collect();
            self.pool_bytes = self.pool.iter().map(|table| table.size_bytes()).sum();
        }
    }

    fn is_oversized(&self, table: &Table) -> bool {
        table.groups_most() > OVERSIZED * self.groups + OVERSIZED_MIN
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.open_bytes + self.pool_bytes
    }

    /// Whether some open pane counts from a later window on than the others of its time.
    pub(super) fn has_late(&self) -> bool {
        self.late > 0
    }

    /// How many tables wait to be used again.
    pub(super) fn pooled(&self) -> usize {
        self.pool.len()
    }

    /// The mode of the keys, as EXPLAIN ANALYZE shows it.
    pub(super) fn mode(&self) -> &'static str {
        let table = self.open.back().map(|pane| &pane.table).or(self.pool.last());
        table.map_or("none", |table| table.index.mode())
    }
}
