//! The watermark of an operator: the minimum over its inputs; and which rows of a batch may be late.

use super::{END, START};

/// Watermarks of several inputs and the minimum over them.
#[derive(Debug, Clone)]
pub struct Inputs {
    watermarks: Vec<i64>,
    ended: usize,
    minimum: i64,
}

impl Inputs {
    pub fn new(count: usize) -> Self {
        Inputs { watermarks: vec![START; count], ended: 0, minimum: START }
    }

    /// Notes an input's watermark; the new minimum, if that moved it.
    pub fn advance(&mut self, input: usize, watermark: i64) -> Option<i64> {
        let known = &mut self.watermarks[input];
        *known = (*known).max(watermark);
        let minimum = self.watermarks.iter().copied().min().unwrap_or(END);
        (minimum > self.minimum).then(|| {
            self.minimum = minimum;
            minimum
        })
    }

    /// Notes the end of an input; whether it was the last one.
    pub fn end(&mut self) -> bool {
        self.ended += 1;
        self.ended == self.watermarks.len()
    }

    pub fn minimum(&self) -> i64 {
        self.minimum
    }
}

/// Moves `watermark` over the rows of a batch, in order, and says which rows are behind it.
///
/// `marks` holds what each row moves the watermark to, `times` the event times; `valid` says which rows have both.
/// Returns for each row the watermark before it if some row is behind its own, else `None`: then no row can be late.
pub fn lateness(
    watermark: &mut i64,
    marks: &[i64],
    times: &[i64],
    valid: impl Fn(usize) -> bool,
    before: &mut Vec<i64>,
) -> bool {
    assert_eq!(marks.len(), times.len(), "a mark per row");
    let mut behind = false;
    before.clear();
    let mut running = *watermark;
    for row in 0..marks.len() {
        before.push(running);
        if valid(row) {
            behind |= times[row] < running;
            running = running.max(marks[row]);
        }
    }
    *watermark = running;
    behind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minimum_moves_with_the_slowest() {
        let mut inputs = Inputs::new(2);
        assert_eq!(inputs.advance(0, 10), None);
        assert_eq!(inputs.advance(1, 5), Some(5));
        assert_eq!(inputs.advance(1, 4), None);
        assert_eq!(inputs.advance(1, 20), Some(10));
        assert!(!inputs.end());
        assert!(inputs.end());
    }

    #[test]
    fn only_rows_behind_their_own_watermark_count() {
        let (mut watermark, mut before) = (START, Vec::new());
        assert!(!lateness(&mut watermark, &[5, 8], &[10, 13], |_| true, &mut before));
        assert_eq!(watermark, 8);
        assert!(lateness(&mut watermark, &[2, 15], &[7, 20], |_| true, &mut before));
        assert_eq!(before, [8, 8]);
        assert_eq!(watermark, 15);
    }
}
