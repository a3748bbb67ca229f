//! One table of groups for all rows: results leave when the input ends, or as changes after each batch.

use arrow::array::ArrayRef;

use super::TableShape;
use super::changes::Changed;
use super::local::Local;
use super::table::{Scratch, Table};
use crate::batch::{Batch, Column, Form, KernelColumn, ROWS_MAX};
use crate::error::{Error, Result};
use crate::expression::Evaluator;
use crate::function::KernelContext;
use crate::pipeline::{AggregateSpec, EmitMode};
use crate::state::{Section, SectionRoute};
use crate::stream::operator::expiry::{Expiry, Sweep};
use crate::stream::operator::{Ending, Next, Operator};

/// A running GROUP BY without windows.
pub struct Aggregate {
    evaluator: Evaluator,
    table: Table,
    emit: EmitMode,
    /// Keys of the groups that this partition answers for even when no row comes.
    standing_groups: Vec<Vec<ArrayRef>>,
    batch_rows: usize,
    key_count: usize,
    scratch: Scratch,
    merge_keys: Vec<KernelColumn>,
    /// Set before an exchange: groups go to their owners instead of being emitted.
    local: Option<Local>,
    /// Set where groups are forgotten.
    expiry: Option<Expiry>,
    sweep: Sweep,
    changed: Changed,
    out: Batch,
    started: bool,
    has_standing_groups: bool,
    /// Whether what it has seen must be remembered until the end, although it only gathers for others.
    has_own_pairs: bool,
}

const SECTION: &str = "groups 1";

impl Aggregate {
    /// `takes_back`: whether the input may retract rows. The standing groups of `spec` are those of this partition.
    pub fn new(spec: &AggregateSpec, seed: u64, context: KernelContext, takes_back: bool, batch_rows: usize) -> Self {
        let shape = TableShape::new(spec, seed, context);
        let mut out = Batch::default();
        out.columns.resize_with(spec.key_count + spec.aggregates.len(), Column::default);
        let changed = Changed::new(shape.output_types(&[]));
        Aggregate {
            evaluator: Evaluator::new(spec.program.clone(), context).with_dictionaries(spec.key_count),
            table: Table::new(shape, takes_back),
            emit: spec.emit,
            standing_groups: spec.standing_groups.clone(),
            batch_rows: batch_rows.min(ROWS_MAX),
            key_count: spec.key_count,
            scratch: Scratch::default(),
            merge_keys: Vec::new(),
            local: None,
            expiry: spec.ttl.map(Expiry::new),
            sweep: Sweep::default(),
            changed,
            out,
            started: false,
            has_standing_groups: false,
            has_own_pairs: false,
        }
    }

    /// Makes it gather groups of at most `groups_max` for the owner of their key.
    pub fn before_exchange(mut self, groups_max: usize) -> Self {
        self.local = Some(Local::new(groups_max));
        self
    }

    /// Makes it gather all groups of rows that were parted by the arguments of its DISTINCT aggregates, for an aggregate
    /// without DISTINCT.
    pub fn of_own_pairs(mut self) -> Self {
        self.table.own_pairs();
        self.has_own_pairs = true;
        self.before_exchange(usize::MAX)
    }

    fn send_groups(&mut self, next: &mut Next<'_>) -> Result<()> {
        let groups = self.table.len();
        self.table.send(&[], &mut self.out, next)?;
        if let (Some(local), true) = (&mut self.local, groups > 0) {
            local.sent(groups, 0);
        }
        Ok(())
    }

    fn emit_all(&mut self, next: &mut Next<'_>) -> Result<()> {
        let count = self.table.len();
        let mut groups = Vec::with_capacity(self.batch_rows.min(count));
        for from in (0..count).step_by(self.batch_rows) {
            let piece = from as u32..(from + self.batch_rows).min(count) as u32;
            groups.clear();
            groups.extend(piece.filter(|group| self.table.is_alive(*group)));
            if !groups.is_empty() {
                self.table.write(&groups, &mut self.out, |_, _| Ok(0))?;
                next.push(&mut self.out)?;
            }
        }
        Ok(())
    }

    /// Makes the groups that are there before the first row. With changes, they show their empty results.
    fn start(&mut self, next: &mut Next<'_>) -> Result<()> {
        self.started = true;
        self.add_standing_groups()?;
        if self.emit == EmitMode::Final {
            return Ok(());
        }
        // Other groups may be there from a snapshot: those have been shown.
        let standing: Vec<u32> = (0..self.standing_groups.len() as u32).collect();
        for groups in standing.chunks(self.batch_rows) {
            self.table.write(groups, &mut self.out, |_, _| Ok(0))?;
            next.push(&mut self.out)?;
        }
        Ok(())
    }

    /// Lets go of groups whose rows have all been taken back.
    fn sweep(&mut self) -> Result<()> {
        let table = &self.table;
        if self.local.is_some() || table.all_alive() {
            return Ok(());
        }
        let Some(left) = self.sweep.left(table.len(), |group| table.has_rows(group)) else { return Ok(()) };
        if let Some(expiry) = &mut self.expiry {
            expiry.keep(&left);
        }
        self.table.retain(&left, &mut self.scratch)?;
        self.changed.forget();
        Ok(())
    }

    /// Whether groups wait to be shown that are there without rows: what goes on from them may have rows already.
    fn is_due_to_start(&self) -> bool {
        !self.started && self.emit == EmitMode::Changes && !self.standing_groups.is_empty() && self.local.is_none()
    }

    fn add_standing_groups(&mut self) -> Result<()> {
        if !self.has_standing_groups {
            self.has_standing_groups = true;
            for key in &self.standing_groups {
                self.table.add_standing_group(key, &mut self.scratch)?;
            }
        }
        Ok(())
    }
}

impl Operator for Aggregate {
    fn push(&mut self, _port: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        if !self.started {
            self.start(next)?;
        }
        if batch.form == Form::Groups {
            return self.table.take_groups(batch, 0, &mut self.scratch, &mut self.merge_keys);
        }
        if let Some(local) = &mut self.local
            && local.passes_by(batch.selected_rows())
        {
            return next.push(batch);
        }
        self.evaluator.run(batch)?;
        let mut changes = batch.selected_changes();
        let known = self.table.len() as u32;
        self.table.find_groups(&self.evaluator, batch, &mut self.scratch)?;
        if self.expiry.is_some()
            && let Some(kept) =
                changes.as_ref().and_then(|changes| self.table.without_forgotten(&self.scratch, changes))
        {
            batch.selection.narrow(&kept);
            self.evaluator.run(batch)?;
            changes = batch.selected_changes();
            self.table.find_groups(&self.evaluator, batch, &mut self.scratch)?;
        }
        if let Some(expiry) = &mut self.expiry {
            expiry.touch(&self.scratch.groups, self.table.len(), batch.now);
        }
        if self.emit == EmitMode::Changes {
            self.changed.before(&mut self.table, &self.scratch.groups, known, &mut self.out, |_, _| Ok(0))?;
        }
        self.table.update(&self.evaluator, batch, changes.as_deref(), &mut self.scratch)?;
        if self.emit == EmitMode::Changes {
            self.changed.after(&mut self.table, &mut self.out, |_, _| Ok(0))?;
            self.changed.push(self.batch_rows, next)?;
        }
        if let Some(local) = &mut self.local
            && local.is_full(|| self.table.len())
        {
            self.send_groups(next)?;
        }
        self.sweep()
    }

    fn finish(&mut self, ending: Ending, next: &mut Next<'_>) -> Result<()> {
        if !self.started {
            self.start(next)?;
        }
        match (&self.local, self.emit, ending) {
            (Some(_), ..) => self.send_groups(next),
            (None, EmitMode::Final, Ending::Flush) => self.emit_all(next),
            _ => Ok(()),
        }
    }

    fn tick(&mut self, now: i64, next: &mut Next<'_>) -> Result<()> {
        if self.is_due_to_start() {
            self.start(next)?;
        }
        let table = &self.table;
        let stands = |group| table.stands(group);
        let left = self.expiry.as_mut().and_then(|expiry| expiry.left(now, table.len(), stands));
        if let Some(left) = left {
            self.table.retain(&left, &mut self.scratch)?;
            self.changed.forget();
        }
        Ok(())
    }

    fn next_tick(&self) -> Option<i64> {
        match self.is_due_to_start() {
            true => Some(i64::MIN),
            false => self.expiry.as_ref().map(Expiry::next_tick),
        }
    }

    fn settle(&mut self, next: &mut Next<'_>) -> Result<()> {
        match &self.local {
            Some(_) if self.has_own_pairs => Ok(()),
            Some(_) => self.send_groups(next),
            // What is there before the first row belongs to the answer at any point.
            None if !self.started => self.start(next),
            None => Ok(()),
        }
    }

    /// Nothing before the first row: then the standing groups have not been shown either.
    fn snapshot(&mut self) -> Result<Vec<Section>> {
        if self.has_own_pairs {
            let message = "this query parts its rows by the values it counts, which no snapshot holds";
            return Err(Error::user(format!("{message}; set Config::snapshots before it starts")));
        }
        if !self.started || self.local.is_some() || self.table.len() == 0 {
            return Ok(Vec::new());
        }
        let route = match self.key_count {
            0 => SectionRoute::First,
            key_count => SectionRoute::Key { key_count },
        };
        Ok(vec![Section { name: SECTION.to_string(), rows: self.table.save()?, route }])
    }

    fn restore(&mut self, sections: Vec<Section>) -> Result<()> {
        self.add_standing_groups()?;
        let mut has_standing = false;
        for section in sections {
            section.expect(SECTION)?;
            has_standing |= self.table.load(&section.rows, &mut self.scratch)?;
        }
        self.started = has_standing || self.standing_groups.is_empty();
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.table.size_bytes() + self.expiry.as_ref().map_or(0, Expiry::size_bytes)
    }

    fn remarks(&self) -> String {
        match &self.local {
            Some(local) => format!("local: {}, keys {}", local.remarks(), self.table.index.describe()),
            None => format!("groups {}, keys {}", self.table.len(), self.table.index.describe()),
        }
    }
}
