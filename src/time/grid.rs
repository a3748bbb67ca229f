//! What windows are laid out on: ticks, or the days or months of a calendar.

use super::{Calendar, END, START};

/// The steps that the arithmetic of [`Windows`](super::Windows) counts in.
#[derive(Debug, Clone)]
pub enum Grid {
    /// A step is a tick.
    Ticks,
    /// A step is a day or month.
    Calendar(Box<Calendar>),
}

impl Grid {
    /// The step that holds a tick; `START` and `END` stay what they are.
    #[inline]
    pub fn step(&mut self, tick: i64) -> i64 {
        match self {
            Grid::Calendar(calendar) if tick != START && tick != END => calendar.step(tick),
            _ => tick,
        }
    }

    /// The tick a step begins at.
    #[inline]
    pub fn tick(&mut self, step: i64) -> i64 {
        match self {
            Grid::Calendar(calendar) if step != START && step != END => calendar.tick(step),
            _ => step,
        }
    }
}
