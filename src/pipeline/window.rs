//! The kinds of windows there are, as the query asks for them; sizes in ticks of the time column.

use std::cmp::Ordering;
use std::fmt::{self, Debug};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::TimeUnit;

use super::{show_duration, ticks_per_second};
use crate::error::Result;
use crate::time::{Calendar, CalendarUnit, Grid, WindowAssigner, Windows};

/// A kind of window with its sizes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WindowKind {
    /// Gapless windows of `size`, one of them starting at `offset`.
    Tumble { size: i64, offset: i64 },
    /// Windows of `size`, one starting every `slide`; with `slide > size` there are gaps.
    Hop { size: i64, slide: i64, offset: i64 },
    /// Windows that begin together and grow by `step` until they are of `size`, over and over.
    Cumulate { size: i64, step: i64, offset: i64 },
    /// Days or months of a calendar.
    Calendar(CalendarWindow),
    /// Per key: rows at most `gap` apart. A window ends `gap` after its last row.
    Session { gap: i64 },
    /// Per key: after every `slide` rows, the last `size` of them.
    Rows { size: i64, slide: i64 },
    /// The user's own.
    Custom(CustomWindow),
}

/// Windows of days or months, sizes in these.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CalendarWindow {
    pub unit: CalendarUnit,
    pub size: i64,
    pub slide: i64,
    /// Where one of them starts: days or months since 1970.
    pub offset: i64,
    /// How much later than that each begins, on the wall clock, in ticks.
    pub shift: i64,
    pub zone: Arc<str>,
}

/// Windows that a registered function makes.
#[derive(Debug, Clone)]
pub struct CustomWindow {
    pub assigner: Arc<dyn WindowAssigner>,
}

/// A kind of window of the user's own, by a name: `trading_day(TABLE t, DESCRIPTOR(ts), INTERVAL '17' HOUR)`.
pub trait WindowFunction: Send + Sync + Debug {
    /// The rule for a time column whose ticks are of `unit`, with the constants of the call.
    ///
    /// Failure: arguments it does not take.
    fn bind(&self, unit: TimeUnit, args: &[WindowArgument]) -> Result<Arc<dyn WindowAssigner>>;
}

/// A constant in the call of a window function.
#[derive(Debug, Clone, PartialEq)]
pub enum WindowArgument {
    /// An interval, in ticks of the time column.
    Ticks(i64),
    Integer(i64),
    Float(f64),
    Text(String),
}

impl WindowKind {
    /// Windows that lie at fixed places, and what they are laid out on; `None` for the others.
    ///
    /// Failure: a time zone that nobody knows.
    pub fn fixed(&self, unit: TimeUnit) -> Result<Option<(Windows, Grid)>> {
        let (windows, grid) = match self {
            WindowKind::Tumble { size, offset } => (Windows::new(*size, *size, *offset), Grid::Ticks),
            WindowKind::Hop { size, slide, offset } => (Windows::new(*size, *slide, *offset), Grid::Ticks),
            WindowKind::Cumulate { size, step, offset } => (Windows::cumulating(*size, *step, *offset), Grid::Ticks),
            WindowKind::Calendar(window) => {
                let calendar = Calendar::new(window.unit, &window.zone, ticks_per_second(unit), window.shift)?;
                (Windows::new(window.size, window.slide, window.offset), Grid::Calendar(Box::new(calendar)))
            }
            WindowKind::Session { .. } | WindowKind::Rows { .. } | WindowKind::Custom(_) => return Ok(None),
        };
        Ok(Some((windows, grid)))
    }

    /// The ticks of the longest of its windows, where these are known.
    pub fn size_ticks(&self) -> Option<i64> {
        match self {
            WindowKind::Tumble { size, .. } | WindowKind::Hop { size, .. } | WindowKind::Cumulate { size, .. } => {
                Some(*size)
            }
            _ => None,
        }
    }

    /// Whether each key has windows of its own.
    pub fn is_per_key(&self) -> bool {
        matches!(self, WindowKind::Session { .. } | WindowKind::Rows { .. })
    }

    /// Whether its windows are made of panes that lie at fixed places.
    pub fn has_panes(&self) -> bool {
        !self.is_per_key() && !matches!(self, WindowKind::Custom(_))
    }

    /// Whether its windows are stretches of event time.
    pub fn has_time(&self) -> bool {
        !matches!(self, WindowKind::Rows { .. })
    }

    /// The windows of `column`, as EXPLAIN shows them.
    pub fn show(&self, column: &str, unit: TimeUnit) -> String {
        let show = |ticks| show_duration(ticks, unit);
        let from = |offset: i64| if offset == 0 { String::new() } else { format!(" from {}", show(offset)) };
        match self {
            WindowKind::Tumble { size, offset } => format!("tumble({}{}) of {column}", show(*size), from(*offset)),
            WindowKind::Hop { size, slide, offset } => {
                format!("hop({} every {}{}) of {column}", show(*size), show(*slide), from(*offset))
            }
            WindowKind::Cumulate { size, step, offset } => {
                format!("cumulate({} by {}{}) of {column}", show(*size), show(*step), from(*offset))
            }
            WindowKind::Calendar(window) => {
                let (name, every) = if window.slide == window.size {
                    ("tumble", String::new())
                } else {
                    ("hop", format!(" every {}", window.count(window.slide)))
                };
                let size = window.count(window.size);
                format!("{name}({size}{every}{} in {}) of {column}", from(window.shift), window.zone)
            }
            WindowKind::Session { gap } => format!("session(gap {}) of {column}", show(*gap)),
            WindowKind::Rows { size, slide } if size == slide => format!("tumble({size} rows)"),
            WindowKind::Rows { size, slide } => format!("hop({size} rows every {slide})"),
            WindowKind::Custom(window) => format!("{} of {column}", window.assigner.describe()),
        }
    }

    /// What bounds the state of an aggregate in such windows.
    pub fn bound(&self) -> String {
        let panes = |count: i64| match count {
            1 => "panes x groups, bounded by the watermark".to_string(),
            count => format!("panes x groups, {count} panes a window, bounded by the watermark"),
        };
        match self {
            WindowKind::Tumble { .. } => panes(1),
            WindowKind::Hop { size, slide, .. } => panes(Windows::new(*size, *slide, 0).panes_per_window()),
            WindowKind::Cumulate { size, step, .. } => panes(size / step),
            WindowKind::Calendar(window) => panes(Windows::new(window.size, window.slide, 0).panes_per_window()),
            WindowKind::Session { .. } => "open sessions, bounded by the watermark".to_string(),
            WindowKind::Rows { .. } => "a window under way for each key, grows with distinct keys".to_string(),
            WindowKind::Custom(_) => "open windows x groups, bounded by the watermark".to_string(),
        }
    }
}

impl CalendarWindow {
    fn count(&self, units: i64) -> String {
        let (units, name) = match self.unit {
            CalendarUnit::Day if units % 7 == 0 => (units / 7, "week"),
            CalendarUnit::Day => (units, "day"),
            CalendarUnit::Month if units % 12 == 0 => (units / 12, "year"),
            CalendarUnit::Month => (units, "month"),
        };
        if units == 1 { format!("1 {name}") } else { format!("{units} {name}s") }
    }
}

impl fmt::Display for CustomWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.assigner.describe())
    }
}

/// Rules are the same when they say so of themselves.
impl PartialEq for CustomWindow {
    fn eq(&self, other: &Self) -> bool {
        self.assigner.describe() == other.assigner.describe()
    }
}

impl Eq for CustomWindow {}

impl PartialOrd for CustomWindow {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for CustomWindow {
    fn cmp(&self, other: &Self) -> Ordering {
        self.assigner.describe().cmp(&other.assigner.describe())
    }
}

impl Hash for CustomWindow {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.assigner.describe().hash(state);
    }
}
