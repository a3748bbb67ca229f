//! Which windows and panes hold a tick.
//!
//! ```text
//! size 6, slide 4     |0 . . . . .|           pane = gcd(6, 4) = 2: every window is a run of whole panes
//!                             |4 . . . . .|
//! panes               |0 .|2 .|4 .|6 .|8 .|
//! ```

/// Windows of `size` ticks, one starting every `slide` ticks, one of them at `offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    pub size: i64,
    pub slide: i64,
    pub offset: i64,
    /// The ticks all of whose windows begin and end on the scale.
    lowest: i64,
    highest: i64,
}

impl Windows {
    /// Panics: unless size and slide are positive.
    pub fn new(size: i64, slide: i64, offset: i64) -> Self {
        assert!(size > 0 && slide > 0, "windows have a size and a slide");
        let lowest = i64::MIN.saturating_add(size).saturating_add(slide).saturating_add(slide);
        let highest = i64::MAX.saturating_sub(size).saturating_sub(slide);
        Windows { size, slide, offset: offset.rem_euclid(slide), lowest, highest }
    }

    /// Ticks of a pane: the largest that every window is a whole number of.
    pub fn pane(&self) -> i64 {
        gcd(self.size, self.slide)
    }

    /// Start of the last window that starts at or before `tick`.
    pub fn last_start(&self, tick: i64) -> i64 {
        tick.wrapping_sub((tick.wrapping_sub(self.offset)).rem_euclid(self.slide))
    }

    /// Whether `tick` is so far from the ends of the scale that its windows lie on it.
    pub fn is_on_scale(&self, tick: i64) -> bool {
        (self.lowest..=self.highest).contains(&tick)
    }

    /// End of the last window that holds `tick`; `None` when it lies in a gap, or its windows would leave the scale.
    pub fn last_end(&self, tick: i64) -> Option<i64> {
        if !self.is_on_scale(tick) {
            return None;
        }
        let end = self.last_start(tick).saturating_add(self.size);
        (tick < end).then_some(end)
    }

    /// End of the first window that holds `tick`; `None` when it lies in a gap.
    pub fn first_end(&self, tick: i64) -> Option<i64> {
        let last = self.last_end(tick)?;
        Some(last - (last - 1 - tick) / self.slide * self.slide)
    }

    /// End of the first window that holds `tick` and ends after `watermark`; `None` when there is none.
    pub fn first_end_after(&self, tick: i64, watermark: i64) -> Option<i64> {
        let (first, last) = (self.first_end(tick)?, self.last_end(tick)?);
        if first > watermark {
            return Some(first);
        }
        if last <= watermark {
            return None;
        }
        Some(last - (last - 1 - watermark) / self.slide * self.slide)
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::super::START;
    use super::*;

    #[test]
    fn ticks_near_the_ends_of_the_scale_have_no_windows() {
        for (size, slide, offset) in [(6, 4, 3), (60_000, 60_000, 0), (i64::MAX, i64::MAX, 0), (3, 7, 6)] {
            let windows = Windows::new(size, slide, offset);
            for tick in [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX] {
                assert_eq!((windows.first_end(tick), windows.first_end_after(tick, START)), (None, None));
            }
        }
    }

    /// All windows by definition, for ticks near zero.
    fn ends(windows: &Windows, tick: i64) -> Vec<i64> {
        let starts = (-200..200).map(|k| windows.offset + k * windows.slide);
        starts
            .map(|start| (start, start + windows.size))
            .filter(|(s, e)| *s <= tick && tick < *e)
            .map(|w| w.1)
            .collect()
    }

    #[test]
    fn ends_agree_with_the_definition() {
        for (size, slide, offset) in [(6, 4, 0), (10, 10, 3), (3, 7, 0), (60, 1, 0), (5, 2, 1), (12, 5, -3)] {
            let windows = Windows::new(size, slide, offset);
            for tick in -50..50 {
                let all = ends(&windows, tick);
                assert_eq!(windows.first_end(tick), all.first().copied(), "{windows:?} {tick}");
                assert_eq!(windows.last_end(tick), all.last().copied(), "{windows:?} {tick}");
                for watermark in -60..60 {
                    let open = all.iter().copied().find(|end| *end > watermark);
                    assert_eq!(windows.first_end_after(tick, watermark), open, "{windows:?} {tick} {watermark}");
                }
                assert_eq!(size % windows.pane(), 0);
            }
        }
    }
}
