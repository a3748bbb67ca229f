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

    /// The watermark of each input.
    pub fn watermarks(&self) -> &[i64] {
        &self.watermarks
    }

    /// Whether all inputs have ended.
    pub fn has_ended(&self) -> bool {
        self.ended == self.watermarks.len()
    }

    /// Goes on from these watermarks, one per input; an input that had ended will say so again.
    pub fn restore(&mut self, watermarks: &[i64]) {
        assert_eq!(watermarks.len(), self.watermarks.len(), "a watermark per input");
        self.watermarks.copy_from_slice(watermarks);
        self.minimum = self.watermarks.iter().copied().min().unwrap_or(END);
    }
}

/// Moves `watermark` over the rows of a batch, in order, and says which rows are behind it.
///
/// `mark` gives what a row moves the watermark to, `time` its event time; rows may lack either.
/// Leaves in `before` the watermark before each row. Returns whether some row is behind its own: else none is late.
pub fn lateness(
    watermark: &mut i64,
    rows: usize,
    mark: impl Fn(usize) -> Option<i64>,
    time: impl Fn(usize) -> Option<i64>,
    before: &mut Vec<i64>,
) -> bool {
    let mut behind = false;
    before.clear();
    let mut running = *watermark;
    for row in 0..rows {
        before.push(running);
        behind |= time(row).is_some_and(|time| time < running);
        running = mark(row).map_or(running, |mark| running.max(mark));
    }
    *watermark = running;
    behind
}

/// The same for rows that lack neither.
pub fn lateness_of_all(watermark: &mut i64, marks: &[i64], times: &[i64], before: &mut Vec<i64>) -> bool {
    assert_eq!(marks.len(), times.len(), "columns of one length");
    before.clear();
    before.resize(times.len(), 0);
    let (mut behind, mut running) = (false, *watermark);
    for ((before, &time), &mark) in before.iter_mut().zip(times).zip(marks) {
        *before = running;
        behind |= time < running;
        running = running.max(mark);
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
        let mut run = |marks: &[i64], times: &[i64]| {
            let (mut other, mut of_all) = (watermark, Vec::new());
            let behind = lateness(&mut watermark, 2, |row| Some(marks[row]), |row| Some(times[row]), &mut before);
            assert_eq!(behind, lateness_of_all(&mut other, marks, times, &mut of_all));
            assert_eq!((other, &of_all), (watermark, &before));
            (behind, before.clone(), watermark)
        };
        assert_eq!(run(&[5, 8], &[10, 13]), (false, vec![START, 5], 8));
        assert_eq!(run(&[2, 15], &[7, 20]), (true, vec![8, 8], 15));
    }

    #[test]
    fn rows_without_a_time_move_the_watermark_and_rows_without_a_mark_may_be_late() {
        let (mut watermark, mut before) = (START, Vec::new());
        let (marks, times) = ([Some(10), None], [None, Some(7)]);
        assert!(lateness(&mut watermark, 2, |row| marks[row], |row| times[row], &mut before));
        assert_eq!((before, watermark), (vec![START, 10], 10));
    }
}
