//! Open panes as sections of a snapshot: a section per pane, its key behind the groups.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;

use super::split::PaneKey;
use super::{Assigner, WindowedAggregate};
use crate::error::Result;
use crate::state::Section;
use crate::stream::operator::saved;
use crate::time::{Bounds, START};

const NAME: &str = "panes 1";
/// Of a pane the start and the end of the first window it still counts for; of a window its start and its end.
const PLACE_COLUMNS: usize = 2;

impl WindowedAggregate {
    pub(super) fn save(&mut self) -> Result<Vec<Section>> {
        let key_count = self.panes.shape().key_types.len();
        let mut sections = Vec::with_capacity(self.panes.open.len());
        for pane in &mut self.panes.open {
            let place = match &self.assigner {
                // Windows that have been emitted do not count for whoever goes on.
                Assigner::Fixed { windows, .. } if !self.by_window => {
                    let (start, first_end) = (pane.key.start(), pane.key.first_end());
                    let is_late = windows.first_end(start).is_some_and(|end| end <= self.emitted);
                    let after = self.emitted.max(first_end.saturating_sub(1));
                    let next = windows.first_end_after(start, after).filter(|_| is_late || first_end != START);
                    [start, next.unwrap_or(first_end)]
                }
                _ => [pane.key.bounds().start, pane.key.bounds().end],
            };
            let groups = pane.table.save()?;
            let rows = groups.num_rows();
            let mut columns = groups.columns().to_vec();
            columns.extend(place.map(|value| Arc::new(Int64Array::from(vec![value; rows])) as ArrayRef));
            sections.push(saved::section(NAME, columns, rows, key_count)?);
        }
        Ok(sections)
    }

    pub(super) fn load(&mut self, section: &Section) -> Result<()> {
        section.expect(NAME)?;
        let columns = section.rows.num_columns();
        let at = columns.saturating_sub(PLACE_COLUMNS);
        if section.rows.num_rows() == 0 {
            return Ok(());
        }
        let (firsts, seconds) = (saved::integers(section, at)?, saved::integers(section, at + 1)?);
        let groups: RecordBatch = section.rows.project(&(0..at).collect::<Vec<_>>())?;
        // Sections of one name may have become one.
        let mut rows: BTreeMap<PaneKey, Vec<u32>> = BTreeMap::new();
        for row in 0..groups.num_rows() {
            let (first, second) = (firsts.value(row), seconds.value(row));
            let key = match self.by_window {
                true => PaneKey::window(Bounds { start: first, end: second }),
                false => PaneKey::pane(first, second),
            };
            rows.entry(key).or_default().push(row as u32);
        }
        for (key, rows) in rows {
            let groups = take_record_batch(&groups, &UInt32Array::from(rows))?;
            let at = self.panes.find(key);
            self.panes.open[at].table.load(&groups, &mut self.scratch)?;
            self.panes.weigh(at);
        }
        Ok(())
    }
}
