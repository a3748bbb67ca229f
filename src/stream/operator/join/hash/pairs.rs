//! Rows side by side: which of them stay, and the columns they make.

use millstream_kernels::bitmap;

use crate::batch::{Batch, Column, true_rows};
use crate::error::Result;
use crate::expression::Evaluator;
use crate::function::KernelContext;
use crate::state::NO_GROUP;
use crate::stream::operator::join::build::Build;

/// Rows side by side, by their numbers.
#[derive(Default)]
pub(super) struct Pairs {
    pub probe: Vec<u16>,
    pub build: Vec<u32>,
}

/// Where an output column comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    Probe(usize),
    /// A stored column of the build side.
    Build(usize),
    Mark,
}

/// A condition over pairs, and the columns of both sides that it reads.
pub(super) struct Residual {
    pub(super) evaluator: Evaluator,
    pub(super) sources: Vec<(usize, Source)>,
    pub(super) batch: Batch,
    pub(super) mask: Vec<u64>,
    pub(super) kept: Vec<u16>,
}

impl Pairs {
    /// Puts each row beside the one row of its group; with no group it is left out.
    pub(super) fn pair(&mut self, selected: Option<&[u16]>, groups: &[u32]) {
        self.probe.resize(groups.len(), 0);
        self.build.resize(groups.len(), 0);
        let mut count = 0;
        // Written whether it counts or not: without a branch, since which rows match cannot be guessed.
        let mut write = |row: u16, group: u32| {
            self.probe[count] = row;
            self.build[count] = group;
            count += (group != NO_GROUP) as usize;
        };
        match selected {
            Some(selected) => selected.iter().zip(groups).for_each(|(&row, &group)| write(row, group)),
            None => groups.iter().enumerate().for_each(|(row, &group)| write(row as u16, group)),
        }
        self.probe.truncate(count);
        self.build.truncate(count);
    }
}

impl Residual {
    /// Keeps the selected rows for which the condition is true beside the one row of the build side.
    pub(super) fn narrow_rows(&mut self, batch: &mut Batch, build: &Build, context: KernelContext) -> Result<()> {
        for &(column, source) in &self.sources {
            match source {
                Source::Probe(at) => std::mem::swap(&mut self.batch.columns[column], &mut batch.columns[at]),
                Source::Build(at) => self.batch.columns[column] = Column::Constant(build.rows.value(at, 0)?),
                Source::Mark => unreachable!("pairs have no mark"),
            }
        }
        self.batch.rows = batch.rows;
        std::mem::swap(&mut self.batch.selection, &mut batch.selection);
        let run = self.evaluator.run(&self.batch);
        let rows = self.evaluator.rows();
        let passed =
            run.and_then(|()| true_rows(context.level, &self.evaluator.output(&self.batch, 0), rows, &mut self.mask));
        std::mem::swap(&mut self.batch.selection, &mut batch.selection);
        for &(column, source) in &self.sources {
            if let Source::Probe(at) = source {
                std::mem::swap(&mut self.batch.columns[column], &mut batch.columns[at]);
            }
        }
        if passed? < rows {
            bitmap::to_selection(context.level, &self.mask, rows, &mut self.kept);
            batch.selection.narrow(&self.kept);
        }
        self.batch.selection.clear();
        Ok(())
    }

    /// Keeps the pairs for which the condition is true.
    pub(super) fn narrow(
        &mut self,
        batch: &Batch,
        build: &Build,
        pairs: &mut Pairs,
        context: KernelContext,
    ) -> Result<()> {
        for &(column, source) in &self.sources {
            source.gather(batch, build, pairs, &mut self.batch.columns[column])?;
        }
        self.batch.rows = pairs.probe.len();
        self.evaluator.run(&self.batch)?;
        let rows = self.evaluator.rows();
        let passed = true_rows(context.level, &self.evaluator.output(&self.batch, 0), rows, &mut self.mask)?;
        if passed < rows {
            bitmap::to_selection(context.level, &self.mask, rows, &mut self.kept);
            for (to, &from) in self.kept.iter().enumerate() {
                pairs.probe[to] = pairs.probe[from as usize];
                pairs.build[to] = pairs.build[from as usize];
            }
            pairs.probe.truncate(passed);
            pairs.build.truncate(passed);
        }
        Ok(())
    }
}

impl Source {
    /// The column of these pairs.
    pub(super) fn gather(self, batch: &Batch, build: &Build, pairs: &Pairs, out: &mut Column) -> Result<()> {
        match self {
            Source::Probe(column) => batch.columns[column].gather_into(&pairs.probe, out),
            Source::Build(column) => build.rows.gather(column, &pairs.build, out),
            Source::Mark => unreachable!("pairs have no mark"),
        }
    }
}
