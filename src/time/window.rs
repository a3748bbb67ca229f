//! Which windows and panes hold a step of time.
//!
//! ```text
//! hop size 6, slide 4     |0 . . . . .|           pane = gcd(6, 4) = 2: every window is a run of whole panes
//!                                 |4 . . . . .|
//! panes                   |0 .|2 .|4 .|6 .|8 .|
//!
//! cumulate size 6, step 2 |0 .|                   windows that begin together and grow by a pane each
//!                         |0 . . .|
//!                         |0 . . . . .|
//! ```
//! A step is a tick, or a day or month of a calendar: see [`Grid`](super::Grid).

/// Windows that lie at fixed places: of `size` steps, one starting every `slide` steps, one of them at `offset`; or, when
/// they cumulate, stretches of `size` steps, each with a window for every `slide` steps of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    pub size: i64,
    pub slide: i64,
    pub offset: i64,
    pub cumulates: bool,
    /// Steps of a pane.
    pane: i64,
    /// The steps all of whose windows begin and end on the scale.
    lowest: i64,
    highest: i64,
}

impl Windows {
    /// Hopping windows; tumbling ones when slide and size are one.
    ///
    /// Panics: unless size and slide are positive.
    pub fn new(size: i64, slide: i64, offset: i64) -> Self {
        assert!(size > 0 && slide > 0, "windows have a size and a slide");
        let lowest = i64::MIN.saturating_add(size).saturating_add(slide).saturating_add(slide);
        let highest = i64::MAX.saturating_sub(size).saturating_sub(slide);
        let pane = gcd(size, slide);
        Windows { size, slide, offset: offset.rem_euclid(slide), cumulates: false, pane, lowest, highest }
    }

    /// Windows that grow by `step` until they are of `size`, over and over.
    ///
    /// Panics: unless both are positive and the size is a number of steps.
    pub fn cumulating(size: i64, step: i64, offset: i64) -> Self {
        assert!(size > 0 && step > 0 && size % step == 0, "a cumulating window is a number of steps");
        let lowest = i64::MIN.saturating_add(size).saturating_add(size);
        let highest = i64::MAX.saturating_sub(size).saturating_sub(size);
        Windows { size, slide: step, offset: offset.rem_euclid(size), cumulates: true, pane: step, lowest, highest }
    }

    /// Steps of a pane: the most that every window is a whole number of.
    pub fn pane(&self) -> i64 {
        self.pane
    }

    /// How many panes a window may have.
    pub fn panes_per_window(&self) -> i64 {
        self.size / self.pane()
    }

    /// Start of the pane that holds a step.
    #[inline]
    pub fn pane_start(&self, step: i64) -> i64 {
        step.wrapping_sub(step.wrapping_sub(self.offset).rem_euclid(self.pane()))
    }

    /// Start of the last window that starts at or before `step`.
    pub fn last_start(&self, step: i64) -> i64 {
        let apart = if self.cumulates { self.size } else { self.slide };
        step.wrapping_sub((step.wrapping_sub(self.offset)).rem_euclid(apart))
    }

    /// Start of the window that ends at `end`.
    pub fn start_of(&self, end: i64) -> i64 {
        if self.cumulates { self.last_start(end - 1) } else { end - self.size }
    }

    /// Whether `step` is so far from the ends of the scale that its windows lie on it.
    pub fn is_on_scale(&self, step: i64) -> bool {
        (self.lowest..=self.highest).contains(&step)
    }

    /// End of the last window that holds `step`; `None` when it lies in a gap, or its windows would leave the scale.
    pub fn last_end(&self, step: i64) -> Option<i64> {
        if !self.is_on_scale(step) {
            return None;
        }
        let end = self.last_start(step).saturating_add(self.size);
        (step < end).then_some(end)
    }

    /// End of the first window that holds `step`; `None` when it lies in a gap.
    pub fn first_end(&self, step: i64) -> Option<i64> {
        let last = self.last_end(step)?;
        Some(last - (last - 1 - step) / self.slide * self.slide)
    }

    /// End of the first window that holds `step` and ends after `watermark`; `None` when there is none.
    pub fn first_end_after(&self, step: i64, watermark: i64) -> Option<i64> {
        let (first, last) = (self.first_end(step)?, self.last_end(step)?);
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
    fn steps_near_the_ends_of_the_scale_have_no_windows() {
        for (size, slide, offset) in [(6, 4, 3), (60_000, 60_000, 0), (i64::MAX, i64::MAX, 0), (3, 7, 6)] {
            let windows = Windows::new(size, slide, offset);
            for step in [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX] {
                assert_eq!((windows.first_end(step), windows.first_end_after(step, START)), (None, None));
            }
        }
        for step in [i64::MIN, i64::MIN + 7, i64::MAX] {
            assert_eq!(Windows::cumulating(6, 2, 1).first_end(step), None);
        }
    }

    /// All windows by definition, for steps near zero.
    fn bounds(windows: &Windows, step: i64) -> Vec<(i64, i64)> {
        let each = |k: i64| match windows.cumulates {
            false => {
                let start = windows.offset + k * windows.slide;
                vec![(start, start + windows.size)]
            }
            true => {
                let start = windows.offset + k * windows.size;
                (1..=windows.size / windows.slide).map(|n| (start, start + n * windows.slide)).collect()
            }
        };
        (-200..200).flat_map(each).filter(|(start, end)| *start <= step && step < *end).collect()
    }

    #[test]
    fn bounds_agree_with_the_definition() {
        let hops = [(6, 4, 0), (10, 10, 3), (3, 7, 0), (60, 1, 0), (5, 2, 1), (12, 5, -3)];
        let cumulating = [(6, 2, 0), (6, 2, 3), (10, 10, 0), (60, 1, -7), (12, 4, 5)];
        let hops = hops.map(|(size, slide, offset)| Windows::new(size, slide, offset));
        let cumulating = cumulating.map(|(size, step, offset)| Windows::cumulating(size, step, offset));
        for windows in hops.into_iter().chain(cumulating) {
            for step in -50..50 {
                let all = bounds(&windows, step);
                assert_eq!(windows.first_end(step), all.first().map(|w| w.1), "{windows:?} {step}");
                assert_eq!(windows.last_end(step), all.last().map(|w| w.1), "{windows:?} {step}");
                assert!(all.iter().all(|(start, end)| windows.start_of(*end) == *start), "{windows:?} {step}");
                for watermark in -60..60 {
                    let open = all.iter().map(|w| w.1).find(|end| *end > watermark);
                    assert_eq!(windows.first_end_after(step, watermark), open, "{windows:?} {step} {watermark}");
                }
                assert_eq!(windows.size % windows.pane(), 0);
            }
        }
    }
}
