//! Counts, sums and averages: what enters a frame is added, what leaves it is taken away.

use super::queue::{Entry, Queues};
use super::words::Words;
use super::{Begin, InOrder, Results, Values};
use crate::error::{Error, Result};
use crate::stream::operator::over::prefix::Running as FloatTotal;

/// What is made of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    Count,
    Sum,
    Average,
}

/// A call, by partition.
pub(super) struct Sums {
    pub made: Made,
    /// What is added up, and what the result is.
    pub arg: Words,
    pub result: Words,
    pub begin: Begin,
    /// Values in frames that slide.
    pub queues: Queues,
    /// Values in frames that only grow.
    counts: Vec<i64>,
    totals: Totals,
}

enum Totals {
    /// Of a count.
    None(Vec<()>),
    Signed(Vec<Whole<true>>),
    Unsigned(Vec<Whole<false>>),
    Float(Vec<Float>),
}

/// How many numbers a partition leaves in a snapshot: its count, then its total.
pub(super) const PARTS: usize = 6;

impl Sums {
    /// `arg`: what is added up; of a count it means nothing.
    pub fn new(made: Made, arg: Words, result: Words, begin: Begin) -> Self {
        let totals = match (made, arg) {
            (Made::Count, _) => Totals::None(Vec::new()),
            (_, Words::Signed) => Totals::Signed(Vec::new()),
            (_, Words::Unsigned) => Totals::Unsigned(Vec::new()),
            (_, Words::Float) => Totals::Float(Vec::new()),
        };
        Sums { made, arg, result, begin, queues: Queues::default(), counts: Vec::new(), totals }
    }

    /// How many partitions have a place here.
    pub fn partitions(&self) -> usize {
        self.counts.len()
    }

    /// The result of each row's frame.
    pub fn results(&mut self, rows: &InOrder<'_>, values: &Values) -> Result<Results> {
        self.resize(rows.partition_count);
        let (made, result) = (self.made, self.result);
        let mut slide = Slide { begin: self.begin, queues: &mut self.queues, counts: &mut self.counts, rows, values };
        match &mut self.totals {
            Totals::None(totals) => slide.run(totals, |_, count| Ok(Some(count as u64))),
            Totals::Signed(totals) => slide.run(totals, |total, count| whole(total.0, count, made, result)),
            Totals::Unsigned(totals) => slide.run(totals, |total, count| whole(total.0, count, made, result)),
            Totals::Float(totals) => slide.run(totals, |total, count| {
                let sum = total.total.sum();
                let value = if made == Made::Average { sum / count as f64 } else { sum };
                Ok((count > 0).then(|| value.to_bits()))
            }),
        }
    }

    pub fn resize(&mut self, count: usize) {
        self.counts.resize(count, 0);
        self.queues.resize(count);
        match &mut self.totals {
            Totals::None(totals) => totals.resize(count, ()),
            Totals::Signed(totals) => totals.resize(count, Whole::default()),
            Totals::Unsigned(totals) => totals.resize(count, Whole::default()),
            Totals::Float(totals) => totals.resize(count, Float::default()),
        }
    }

    /// Keeps these partitions only, ascending.
    pub fn keep(&mut self, left: &[u32]) {
        fn kept<T: Copy>(values: &mut Vec<T>, left: &[u32]) {
            *values = left.iter().map(|&at| values[at as usize]).collect();
        }
        self.queues.keep(left);
        kept(&mut self.counts, left);
        match &mut self.totals {
            Totals::None(totals) => kept(totals, left),
            Totals::Signed(totals) => kept(totals, left),
            Totals::Unsigned(totals) => kept(totals, left),
            Totals::Float(totals) => kept(totals, left),
        }
    }

    pub fn clear(&mut self, partition: u32) {
        self.queues.clear(partition);
        self.load(partition, [0; PARTS]);
    }

    pub fn size_bytes(&self) -> usize {
        let totals = match &self.totals {
            Totals::None(_) => 0,
            Totals::Signed(totals) => totals.capacity() * size_of::<Whole<true>>(),
            Totals::Unsigned(totals) => totals.capacity() * size_of::<Whole<false>>(),
            Totals::Float(totals) => totals.capacity() * size_of::<Float>(),
        };
        self.queues.size_bytes() + self.counts.capacity() * size_of::<i64>() + totals
    }

    /// What a partition has beside its queue.
    pub fn save(&self, partition: u32) -> [u64; PARTS] {
        let at = partition as usize;
        let [a, b, c, d, e] = match &self.totals {
            Totals::None(_) => [0; 5],
            Totals::Signed(totals) => totals[at].save(),
            Totals::Unsigned(totals) => totals[at].save(),
            Totals::Float(totals) => totals[at].save(),
        };
        let count = self.counts[at] as u64 + self.queues.length(partition) as u64;
        [count, a, b, c, d, e]
    }

    pub fn load(&mut self, partition: u32, parts: [u64; PARTS]) {
        let at = partition as usize;
        self.resize(self.counts.len().max(at + 1));
        let [count, total @ ..] = parts;
        self.counts[at] = if matches!(self.begin, Begin::Partition { .. }) { count as i64 } else { 0 };
        match &mut self.totals {
            Totals::None(_) => {}
            Totals::Signed(totals) => totals[at] = Whole::load(total, count),
            Totals::Unsigned(totals) => totals[at] = Whole::load(total, count),
            Totals::Float(totals) => totals[at] = Float::load(total, count),
        }
    }
}

/// The sum or the average of integers.
fn whole(sum: i128, count: i64, made: Made, result: Words) -> Result<Option<u64>> {
    let overflow =
        |name: &str| Error::user(format!("sum overflows {name}: {sum}; cast the argument to DECIMAL(38, 0)"));
    match (made, result) {
        _ if count == 0 => Ok(None),
        (Made::Average, _) => Ok(Some((sum as f64 / count as f64).to_bits())),
        (_, Words::Unsigned) => u64::try_from(sum).map(Some).map_err(|_| overflow("BIGINT UNSIGNED")),
        _ => i64::try_from(sum).map(|sum| Some(sum as u64)).map_err(|_| overflow("BIGINT")),
    }
}

/// What a frame comes to, kept up as values enter and leave it.
trait Total: Copy {
    fn enter(&mut self, word: u64);
    fn leave(&mut self, word: u64);

    /// Whether it should be made anew from the values in the frame, of which there are so many.
    fn is_worn(&self, _length: usize) -> bool {
        false
    }

    fn of(values: impl Iterator<Item = u64>) -> Self;
    fn save(&self) -> [u64; 5];
    fn load(parts: [u64; 5], count: u64) -> Self;
}

impl Total for () {
    fn enter(&mut self, _word: u64) {}
    fn leave(&mut self, _word: u64) {}
    fn of(_values: impl Iterator<Item = u64>) -> Self {}
    fn save(&self) -> [u64; 5] {
        [0; 5]
    }
    fn load(_parts: [u64; 5], _count: u64) -> Self {}
}

/// An exact sum of integers.
#[derive(Clone, Copy, Default)]
struct Whole<const SIGNED: bool>(i128);

impl<const SIGNED: bool> Whole<SIGNED> {
    fn value(word: u64) -> i128 {
        if SIGNED { i128::from(word as i64) } else { i128::from(word) }
    }
}

impl<const SIGNED: bool> Total for Whole<SIGNED> {
    fn enter(&mut self, word: u64) {
        self.0 += Self::value(word);
    }

    fn leave(&mut self, word: u64) {
        self.0 -= Self::value(word);
    }

    fn of(values: impl Iterator<Item = u64>) -> Self {
        Whole(values.map(Self::value).sum())
    }

    fn save(&self) -> [u64; 5] {
        [self.0 as u64, (self.0 >> 64) as u64, 0, 0, 0]
    }

    fn load([low, high, ..]: [u64; 5], _count: u64) -> Self {
        Whole(i128::from(high as i64) << 64 | i128::from(low))
    }
}

/// A sum of floats, and how many values have left it since it was made.
#[derive(Clone, Copy, Default)]
struct Float {
    total: FloatTotal,
    left: u32,
}

impl Total for Float {
    fn enter(&mut self, word: u64) {
        self.total.add(f64::from_bits(word));
    }

    fn leave(&mut self, word: u64) {
        self.total.remove(f64::from_bits(word));
        self.left += 1;
    }

    fn is_worn(&self, length: usize) -> bool {
        let is_old = self.left as usize > length.max(16);
        self.left > 0 && (is_old || length == 0 || !self.total.is_in_range())
    }

    fn of(values: impl Iterator<Item = u64>) -> Self {
        let mut this = Float::default();
        values.for_each(|word| this.enter(word));
        this
    }

    fn save(&self) -> [u64; 5] {
        self.total.save()
    }

    fn load(parts: [u64; 5], count: u64) -> Self {
        // Those that have left are counted from the snapshot on.
        Float { total: FloatTotal::load(parts, count), left: 0 }
    }
}

/// Rows on their way through the frames of a call.
struct Slide<'a> {
    begin: Begin,
    queues: &'a mut Queues,
    counts: &'a mut [i64],
    rows: &'a InOrder<'a>,
    values: &'a Values,
}

impl Slide<'_> {
    fn run<T: Total>(&mut self, totals: &mut [T], result: impl Fn(&T, i64) -> Result<Option<u64>>) -> Result<Results> {
        let mut results = Results::with_capacity(self.rows.partitions.len());
        let positions = self.rows.positions(self.begin);
        self.rows.each(self.begin, |run| {
            let partition = self.rows.partitions[run.start];
            let total = &mut totals[partition as usize];
            let Some(positions) = positions else {
                let count = &mut self.counts[partition as usize];
                for row in run.clone().filter(|&row| self.values.is_valid(row)) {
                    total.enter(self.values.word(row));
                    *count += 1;
                }
                results.push(result(total, *count)?, run.len());
                return Ok(());
            };
            let first = self.begin.first(positions[run.start]);
            while let Some(front) = self.queues.front(partition).filter(|front| front.at < first) {
                self.queues.pop_front(partition);
                total.leave(front.word);
            }
            for row in run.clone().filter(|&row| self.values.is_valid(row)) {
                let word = self.values.word(row);
                total.enter(word);
                self.queues.push_back(partition, Entry { at: positions[row], word });
            }
            if total.is_worn(self.queues.length(partition)) {
                *total = T::of(self.queues.entries(partition).map(|entry| entry.word));
            }
            results.push(result(total, self.queues.length(partition) as i64)?, run.len());
            Ok(())
        })?;
        Ok(results)
    }
}
