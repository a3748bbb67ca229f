//! Counts, sums and averages: what enters a frame is added, what leaves it is taken away.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;

use super::queue::{Entry, Queues};
use super::reach::{Gate, Reach};
use super::words::Words;
use super::{InOrder, Results, Values};
use crate::error::{Error, Result};
use crate::function::aggregate::decimal::Result128;
use crate::stream::operator::over::prefix::Running as FloatTotal;

/// What is made of a frame.
#[derive(Debug, Clone)]
pub(super) enum Made {
    Count,
    /// Held as this.
    Sum(Words),
    /// Of whole numbers and floats, as a float.
    Average,
    /// The sum or the average of decimals, of this type.
    Exact(Result128, DataType),
}

/// A call, by partition.
pub(super) struct Sums {
    pub made: Made,
    /// What is added up.
    pub arg: Words,
    pub reach: Reach,
    pub gate: Gate,
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
    pub fn new(made: Made, arg: Words, reach: Reach) -> Self {
        let totals = match (&made, arg) {
            (Made::Count, _) => Totals::None(Vec::new()),
            (_, Words::Signed | Words::Decimal(..)) => Totals::Signed(Vec::new()),
            (_, Words::Unsigned) => Totals::Unsigned(Vec::new()),
            (_, Words::Float) => Totals::Float(Vec::new()),
        };
        let (gate, queues) = (Gate::default(), Queues::default());
        Sums { made, arg, reach, gate, queues, counts: Vec::new(), totals }
    }

    /// How many partitions have a place here.
    pub fn partitions(&self) -> usize {
        self.counts.len()
    }

    /// The result of each row's frame.
    pub fn results(&mut self, rows: &InOrder<'_>, values: &Values) -> Result<ArrayRef> {
        self.resize(rows.partition_count);
        let Sums { made, reach, gate, queues, counts, totals, .. } = self;
        let mut slide = Slide { reach: *reach, gate, queues, counts, rows, values };
        let held = match made {
            Made::Count => Words::Signed,
            Made::Sum(held) => *held,
            Made::Average => Words::Float,
            Made::Exact(comes_to, decimal) => {
                let Totals::Signed(totals) = totals else {
                    return Err(Error::bug("decimals are added up as integers"));
                };
                let exact =
                    |sum: i128, count: i64| if count > 0 { comes_to.result(sum, count).map(Some) } else { Ok(None) };
                return Ok(slide.run(totals, |total, count| exact(total.0, count))?.array(decimal));
            }
        };
        let is_average = matches!(made, Made::Average);
        let results = match totals {
            Totals::None(totals) => slide.run(totals, |_, count| Ok(Some(count as u64))),
            Totals::Signed(totals) => slide.run(totals, |total, count| whole(total.0, count, is_average, held)),
            Totals::Unsigned(totals) => slide.run(totals, |total, count| whole(total.0, count, is_average, held)),
            Totals::Float(totals) => slide.run(totals, |total, count| {
                let sum = total.total.sum();
                let value = if is_average { sum / count as f64 } else { sum };
                Ok((count > 0).then(|| value.to_bits()))
            }),
        };
        Ok(results?.array(held))
    }

    pub fn resize(&mut self, count: usize) {
        self.counts.resize(count, 0);
        self.queues.resize(count);
        self.gate.resize(self.reach, count);
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
        self.gate.keep(left);
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
        self.gate.clear(partition);
        self.load(partition, [0; PARTS]);
    }

    pub fn size_bytes(&self) -> usize {
        let totals = match &self.totals {
            Totals::None(_) => 0,
            Totals::Signed(totals) => totals.capacity() * size_of::<Whole<true>>(),
            Totals::Unsigned(totals) => totals.capacity() * size_of::<Whole<false>>(),
            Totals::Float(totals) => totals.capacity() * size_of::<Float>(),
        };
        self.queues.size_bytes() + self.gate.size_bytes() + self.counts.capacity() * size_of::<i64>() + totals
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
        let count = if self.reach.begin.slides() { self.queues.length(partition) as i64 } else { self.counts[at] };
        [count as u64, a, b, c, d, e]
    }

    pub fn load(&mut self, partition: u32, parts: [u64; PARTS]) {
        let at = partition as usize;
        self.resize(self.counts.len().max(at + 1));
        let [count, total @ ..] = parts;
        self.counts[at] = if self.reach.begin.slides() { 0 } else { count as i64 };
        match &mut self.totals {
            Totals::None(_) => {}
            Totals::Signed(totals) => totals[at] = Whole::load(total, count),
            Totals::Unsigned(totals) => totals[at] = Whole::load(total, count),
            Totals::Float(totals) => totals[at] = Float::load(total, count),
        }
    }
}

/// The sum or the average of integers.
fn whole(sum: i128, count: i64, is_average: bool, result: Words) -> Result<Option<u64>> {
    let overflow =
        |name: &str| Error::user(format!("sum overflows {name}: {sum}; cast the argument to DECIMAL(38, 0)"));
    match result {
        _ if count == 0 => Ok(None),
        _ if is_average => Ok(Some((sum as f64 / count as f64).to_bits())),
        Words::Unsigned => u64::try_from(sum).map(Some).map_err(|_| overflow("BIGINT UNSIGNED")),
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
    reach: Reach,
    gate: &'a mut Gate,
    queues: &'a mut Queues,
    counts: &'a mut [i64],
    rows: &'a InOrder<'a>,
    values: &'a Values,
}

impl Slide<'_> {
    fn run<T: Total, R: Copy + Default>(
        &mut self,
        totals: &mut [T],
        result: impl Fn(&T, i64) -> Result<Option<R>>,
    ) -> Result<Results<R>> {
        let Slide { reach, gate, queues, counts, rows, values } = self;
        let (reach, slides, places) = (*reach, reach.begin.slides(), rows.places(reach.begin));
        let mut results = Results::with_capacity(rows.partitions.len());
        rows.each(reach.begin, |run| {
            let (partition, place) = (rows.partitions[run.start], places[run.start]);
            let (total, count) = (&mut totals[partition as usize], &mut counts[partition as usize]);
            if slides {
                let first = reach.begin.first(place);
                while let Some(front) = queues.front(partition).filter(|front| front.at < first) {
                    queues.pop_front(partition);
                    total.leave(front.word);
                }
            }
            let mut enter = |entry: Entry| {
                total.enter(entry.word);
                if slides { queues.push_back(partition, entry) } else { *count += 1 }
            };
            for row in run.clone().filter(|&row| values.is_valid(row)) {
                gate.come(reach, partition, Entry { at: places[row], word: values.word(row) }, &mut enter);
            }
            gate.open(reach, partition, place, &mut enter);
            if slides {
                *count = queues.length(partition) as i64;
                if total.is_worn(*count as usize) {
                    *total = T::of(queues.entries(partition).map(|entry| entry.word));
                }
            }
            results.push(result(total, *count)?, run.len());
            Ok(())
        })?;
        Ok(results)
    }
}
