//! Operators: each takes batches, watermarks and the end of its input, and pushes on what follows from them.
//!
//! Place       between sources and sinks; a worker owns its instances by value.
//! Invariants  an operator reads no clock, takes no lock and touches no outside; the same pushes give the same output.

mod assign; //    which windows hold a tick
mod aggregate; // groups and aggregates: at the end, on change, or per window
mod custom; //    operators of the users' own
mod consolidate; // rows that a batch gives and takes back
mod by_key; //    rows per key, for sinks that write by key
mod delay; //     holds the watermark back
mod divert; //    late rows leave sideways
mod expand; //    rows once per grouping set
mod expiry; //    groups that no row has touched for long
mod filter; //    keeps rows
mod firing; //    when changes leave
mod fold; //      changes folded up to rows
mod graph; //     operators wired together, and how a push travels
mod held; //      rows kept as columns
mod join; //      rows of two inputs side by side
mod limit; //     skips rows, then lets some pass
mod order; //     rows in order
mod output; //    hands rows to a sink
mod over; //      functions of the rows around each row
mod project; //   computes columns
mod rank; //      the rows of each partition that rank within bounds
mod saved; //     columns as sections of a snapshot
mod session; //   rows of sessions, once these are closed
mod single_row; // exactly one row
mod sort; //      all rows in order, or the first of them
mod union; //     several inputs as one
mod unnest; //    a row for each element of a list
mod upsert; //    the last row per key
mod window; //    a row per window that holds it

#[cfg(test)]
mod testing; //   an operator by itself

pub use aggregate::{
    Aggregate, GroupingSets, RowCountAggregate, SessionAggregate, WindowedAggregate, counts_distinct_alone,
    different_rows, may_be_local,
};
pub use by_key::ByKey;
pub use custom::{Maker, OperatorClosure, OperatorPlan, TableClosure, custom};
pub use delay::Delay;
pub use divert::Divert;
pub use expand::Expand;
pub use filter::Filter;
pub use firing::Firing;
pub use fold::Fold;
pub use graph::{Budget, Counters, Ending, Graph, Next, Slot, Target};
pub use join::{AsOfChanges, AsOfJoin, HashJoin, LookupJoin, RecallJoin, SymmetricJoin, TablePlace};
pub use limit::Limit;
pub use output::Output;
pub use over::{Over, OverShape, StreamOver, UpdatingOver, wide};
pub use project::Project;
pub use rank::{Rank, RankShape};
pub use session::SessionRows;
pub use single_row::SingleRow;
pub use sort::{Sort, SortShape};
pub use union::Union;
pub use unnest::Unnest;
pub use upsert::Upsert;
pub use window::Window;

use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::state::{Section, SectionRoute};

/// One step of a running query, for one partition.
pub trait Operator: Send {
    /// Whether it wants rows from input `port` now. What feeds it holds them back until it does: a join reads one side
    /// to its end before the other. The end of an input that is not wanted does not come either. While a snapshot is taken
    /// what is on its way comes all the same.
    ///
    /// An operator must not wait for one input before another where both hang on one source.
    fn wants(&self, port: usize) -> bool {
        let _ = port;
        true
    }

    /// Takes a batch from input `port`. The batch may be taken apart: its maker refills it.
    fn push(&mut self, port: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()>;

    /// The minimum over all inputs' watermarks has moved to `watermark`.
    fn watermark(&mut self, watermark: i64, next: &mut Next<'_>) -> Result<()> {
        next.watermark(watermark)
    }

    /// Input `port` has ended; the others may go on.
    fn end_input(&mut self, port: usize, ending: Ending, next: &mut Next<'_>) -> Result<()> {
        let _ = (port, ending, next);
        Ok(())
    }

    /// All inputs have ended; with [`Ending::Flush`] everything still held leaves now. The end itself travels on after.
    fn finish(&mut self, ending: Ending, next: &mut Next<'_>) -> Result<()> {
        let _ = (ending, next);
        Ok(())
    }

    /// The clock has come to `now`, microseconds since 1970: only called once [`Operator::next_tick`] is due.
    fn tick(&mut self, now: i64, next: &mut Next<'_>) -> Result<()> {
        let _ = (now, next);
        Ok(())
    }

    /// When it wants to be told the time, in microseconds since 1970; `None`: never.
    fn next_tick(&self) -> Option<i64> {
        None
    }

    /// Sends what waits in an outbox; `false` while some still waits. Operators without one have nothing to send.
    fn send(&mut self) -> Result<bool> {
        Ok(true)
    }

    /// Whether something of what waits in an outbox can be sent by now; `None`: nothing waits.
    fn can_send(&self) -> Option<bool> {
        None
    }

    /// Nothing more is at hand for now: what was written becomes visible.
    fn rest(&mut self) -> Result<()> {
        Ok(())
    }

    /// A snapshot is about to be taken: what is gathered here for others to hold leaves now.
    fn settle(&mut self, next: &mut Next<'_>) -> Result<()> {
        let _ = next;
        Ok(())
    }

    /// Whether more input cannot change the output any more.
    fn is_satisfied(&self) -> bool {
        false
    }

    /// What it holds between two pushes, as columns, without disturbing it: with this, fresh instances go on where these
    /// stand. Operators without state have nothing to say.
    fn snapshot(&mut self) -> Result<Vec<Section>> {
        Ok(Vec::new())
    }

    /// Whom a section goes to that another query left, which may have spread its rows in another way: asked of the first
    /// instance.
    fn route(&self, section: &Section) -> SectionRoute {
        section.route
    }

    /// Takes over what instances before it have held; comes before any push.
    ///
    /// Failure: sections that this operator did not write.
    fn restore(&mut self, sections: Vec<Section>) -> Result<()> {
        match sections.first() {
            None => Ok(()),
            Some(section) => Err(Error::bug(format!("nobody takes this part of a snapshot: {}", section.name))),
        }
    }

    /// Bytes of state held.
    fn size_bytes(&self) -> usize {
        0
    }

    /// What it wants EXPLAIN ANALYZE to say beside rows and time.
    fn remarks(&self) -> String {
        String::new()
    }

    /// Rows that came too late for their windows.
    fn late_rows(&self) -> u64 {
        0
    }

    /// Rows that belong to no window: without a time, or in a gap between windows.
    fn unplaced_rows(&self) -> u64 {
        0
    }
}
