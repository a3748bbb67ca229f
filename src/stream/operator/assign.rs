//! Which windows of event time hold a tick, and which of them a row still counts for.

use arrow::datatypes::{DataType, TimeUnit};

use crate::error::{Error, Result};
use crate::pipeline::{CustomWindow, WindowKind, time_unit};
use crate::time::{Bounds, Grid, Windows};

/// Windows of event time, as operators ask for them.
#[derive(Debug)]
pub(super) enum Assigner {
    /// At fixed places.
    Fixed { windows: Windows, grid: Grid },
    /// By a rule of the user's own.
    Custom {
        window: CustomWindow,
        /// The window that was found last, where windows have no gaps between them.
        last: Option<Bounds>,
    },
}

/// Where a row has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placed {
    InWindows,
    /// All its windows had been closed.
    Late,
    /// It lies in a gap between windows.
    Nowhere,
}

impl Assigner {
    /// Failure: windows that each key has of its own, a time zone that nobody knows.
    pub(super) fn new(kind: &WindowKind, time_type: &DataType) -> Result<Self> {
        if let WindowKind::Custom(window) = kind {
            return Ok(Assigner::Custom { window: window.clone(), last: None });
        }
        let fixed = kind.fixed(time_unit(time_type).unwrap_or(TimeUnit::Second))?;
        let (windows, grid) = fixed.ok_or_else(|| Error::bug("these windows have an operator of their own"))?;
        Ok(Assigner::Fixed { windows, grid })
    }

    /// Adds the windows that hold `tick` and end after `watermark` to `found`, in the order of their ends. A time so near
    /// the ends of the scale that its windows cannot be told counts as late.
    pub(super) fn windows(&mut self, tick: i64, watermark: i64, found: &mut Vec<Bounds>) -> Placed {
        match self {
            Assigner::Fixed { windows, grid } => {
                let step = grid.step(tick);
                let Some(last) = windows.last_end(step) else {
                    return if windows.is_on_scale(step) { Placed::Nowhere } else { Placed::Late };
                };
                let Some(mut end) = windows.first_end_after(step, grid.step(watermark)) else { return Placed::Late };
                while end <= last {
                    found.push(Bounds { start: grid.tick(windows.start_of(end)), end: grid.tick(end) });
                    end += windows.slide;
                }
                Placed::InWindows
            }
            Assigner::Custom { window, last } => {
                let from = found.len();
                match *last {
                    Some(known) if known.start <= tick && tick < known.end => found.push(known),
                    _ => window.assigner.assign(tick, found),
                }
                if window.assigner.is_gapless() {
                    *last = found.last().copied();
                }
                found[from..].sort_unstable_by_key(|window| (window.end, window.start));
                if found.len() == from {
                    return Placed::Nowhere;
                }
                let closed = found[from..].iter().take_while(|window| window.end <= watermark).count();
                found.drain(from..from + closed);
                if found.len() == from { Placed::Late } else { Placed::InWindows }
            }
        }
    }
}
