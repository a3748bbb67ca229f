//! A histogram of times: buckets that are a 64th of their values wide.

/// Bits of a value that a bucket keeps below the highest.
const BITS: u32 = 6;

/// How often values came, to within a 64th of each.
#[derive(Debug, Clone, Default)]
pub struct Histogram {
    counts: Vec<u64>,
    count: u64,
    most: u64,
}

impl Histogram {
    pub fn add(&mut self, value: u64) {
        let bucket = bucket(value);
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.count += 1;
        self.most = self.most.max(value);
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The greatest value, exactly; 0 without any.
    pub fn most(&self) -> u64 {
        self.most
    }

    /// A value that so large a share of all are not above, rounded up to its bucket's end; 0 without any.
    pub fn quantile(&self, share: f64) -> u64 {
        let wanted = (self.count as f64 * share).ceil() as u64;
        let mut below = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            below += count;
            if below >= wanted && below > 0 {
                return end(bucket).min(self.most);
            }
        }
        self.most
    }

    /// The share of values up to each bucket's end, up to 99.9 percent.
    pub fn distribution(&self) -> Vec<(u64, f64)> {
        let mut below = 0;
        let mut points = Vec::new();
        for (bucket, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            below += count;
            let share = below as f64 / self.count as f64;
            points.push((end(bucket), share));
            if share >= 0.999 {
                break;
            }
        }
        points
    }
}

fn bucket(value: u64) -> usize {
    let shift = (64 - value.leading_zeros()).saturating_sub(BITS + 1);
    ((u64::from(shift) << BITS) + (value >> shift)) as usize
}

/// The greatest value in a bucket.
fn end(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 << BITS {
        return bucket;
    }
    let shift = (bucket >> BITS) - 1;
    let mantissa = bucket - (shift << BITS);
    ((mantissa + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_one_another() {
        let powers = (12..63).flat_map(|bit| [1u64 << bit, (1 << bit) - 1 + (1 << 11)]);
        for value in (0..5000).chain(powers) {
            let bucket = bucket(value);
            assert!(end(bucket) >= value, "{value}");
            assert!(end(bucket) - value <= value / 64, "{value}: {}", end(bucket));
            assert!(bucket == 0 || end(bucket - 1) < value, "{value}");
        }
        for value in 1..5000 {
            let before = bucket(value - 1);
            assert!([before, before + 1].contains(&bucket(value)), "{value}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_values() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.quantile(0.99), histogram.most(), histogram.count()), (0, 0, 0));
        (1..=1000u64).for_each(|value| histogram.add(value * 1000));
        for (share, exact) in [(0.5, 500_000), (0.99, 990_000), (0.999, 999_000), (1.0, 1_000_000)] {
            let found = histogram.quantile(share);
            assert!(found >= exact && found <= exact + exact / 64, "{share}: {found}");
        }
        assert_eq!((histogram.most(), histogram.count()), (1_000_000, 1000));
        assert_eq!(histogram.distribution().last().map(|point| point.1), Some(0.999));
    }
}
