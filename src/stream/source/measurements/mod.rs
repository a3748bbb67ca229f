//! A file of temperatures per weather station, and the exact answer to minimum, mean and maximum per station.
//!
//! Place       makes input for the file source; not a source itself.
//! Invariants  the same rows and seed give the same bytes; answers are computed from whole tenths of a degree.
//! Source      the one billion row challenge (Morling 2024), with a header line.

mod normal; //   deviations from a station's mean
mod stations; // names and means

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::LazyLock;

use super::datagen::hash::{Hash, low};
use crate::error::{Error, Result};
use normal::DEVIATIONS;
use stations::STATIONS;

const HEADER: &str = "station;temperature";
/// Bytes gathered before they are written.
const BLOCK_BYTES: usize = 1 << 18;
/// The longest line: a name of 100 bytes, the delimiter, and "-99.9\n".
const LINE_BYTES_MAX: usize = 107;
/// Temperatures stay below 100 degrees either way.
const TENTHS_MAX: i32 = 999;

/// The answer for one station, exact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Station {
    pub name: String,
    pub count: u64,
    /// Temperatures in tenths of a degree.
    pub min_tenths: i32,
    pub max_tenths: i32,
    pub sum_tenths: i64,
}

impl Station {
    pub fn min(&self) -> f64 {
        self.min_tenths as f64 / 10.0
    }

    pub fn max(&self) -> f64 {
        self.max_tenths as f64 / 10.0
    }

    pub fn mean(&self) -> f64 {
        self.sum_tenths as f64 / (self.count as f64 * 10.0)
    }

    /// The mean in millionths of a degree, rounded half away from zero, without floating point on the way.
    pub fn mean_millionths(&self) -> i64 {
        let (sum, count) = (self.sum_tenths as i128 * 100_000, self.count as i128);
        ((2 * sum.abs() + count) / (2 * count) * sum.signum()) as i64
    }

    fn empty(name: &str) -> Self {
        Station { name: name.to_string(), count: 0, min_tenths: i32::MAX, max_tenths: i32::MIN, sum_tenths: 0 }
    }

    #[inline(always)]
    fn add(&mut self, tenths: i32) {
        self.count += 1;
        self.min_tenths = self.min_tenths.min(tenths);
        self.max_tenths = self.max_tenths.max(tenths);
        self.sum_tenths += tenths as i64;
    }
}

/// Writes `rows` measurements to a file and returns the answer per station, in the order of their names' bytes.
pub fn write(path: &Path, rows: u64, seed: u64) -> Result<Vec<Station>> {
    let failed =
        |e: std::io::Error| Error::outside(format!("cannot write measurements: {}", path.display())).caused_by(e);
    let mut file = File::create(path).map_err(failed)?;
    write_to(&mut file, rows, seed).map_err(failed)
}

/// Writes `rows` measurements, with their header, and returns the answer per station.
pub fn write_to(out: &mut impl Write, rows: u64, seed: u64) -> std::io::Result<Vec<Station>> {
    let hash = Hash::new(seed);
    let names: Vec<String> = STATIONS.iter().map(|(name, _)| format!("{name};")).collect();
    let means: Vec<i32> = STATIONS.iter().map(|(_, mean)| (mean * 10.0).round() as i32).collect();
    let mut answer: Vec<Station> = STATIONS.iter().map(|(name, _)| Station::empty(name)).collect();
    let (deviations, texts) = (&**DEVIATIONS, &*TEXTS);
    let mut block = Vec::with_capacity(BLOCK_BYTES + LINE_BYTES_MAX);
    block.extend_from_slice(HEADER.as_bytes());
    block.push(b'\n');
    for row in 0..rows {
        let bits = hash.bits(row, 0);
        let station = low(bits, STATIONS.len() as u64) as usize;
        let tenths = means[station] + deviations[(bits >> 48) as usize] as i32;
        answer[station].add(tenths);
        block.extend_from_slice(names[station].as_bytes());
        let text = &texts[(tenths + TENTHS_MAX) as usize];
        block.extend_from_slice(&text.bytes[..text.length as usize]);
        if block.len() >= BLOCK_BYTES {
            out.write_all(&block)?;
            block.clear();
        }
    }
    out.write_all(&block)?;
    out.flush()?;
    answer.retain(|station| station.count > 0);
    Ok(answer)
}

/// A temperature as text, with the end of its line.
#[derive(Clone, Copy, Default)]
struct Text {
    bytes: [u8; 7],
    length: u8,
}

static TEXTS: LazyLock<Vec<Text>> = LazyLock::new(|| {
    let text = |tenths: i32| {
        let sign = if tenths < 0 { "-" } else { "" };
        let line = format!("{sign}{}.{}\n", tenths.abs() / 10, tenths.abs() % 10);
        let mut text = Text { length: line.len() as u8, ..Text::default() };
        text.bytes[..line.len()].copy_from_slice(line.as_bytes());
        text
    };
    (-TENTHS_MAX..=TENTHS_MAX).map(text).collect()
});

/// Reads a file of measurements, with or without its header, and returns the answer per station, in the order of
/// their names' bytes. Plain and slow, to check others against.
///
/// Failure: a line that is not `name;temperature` with one decimal.
pub fn expected(path: &Path) -> Result<Vec<Station>> {
    let shown = path.display();
    let failed = |e: std::io::Error| Error::outside(format!("cannot read measurements: {shown}")).caused_by(e);
    let mut answer: HashMap<String, Station> = HashMap::new();
    for (number, line) in (1..).zip(BufReader::new(File::open(path).map_err(failed)?).lines()) {
        let line = line.map_err(failed)?;
        if number == 1 && line == HEADER {
            continue;
        }
        let bad =
            || Error::user(format!("not 'station;temperature' with one decimal: {shown} line {number}: '{line}'"));
        let (name, temperature) = line.split_once(';').ok_or_else(bad)?;
        let tenths = tenths(temperature).ok_or_else(bad)?;
        if !answer.contains_key(name) {
            answer.insert(name.to_string(), Station::empty(name));
        }
        answer.get_mut(name).expect("put there if it was missing").add(tenths);
    }
    let mut answer: Vec<Station> = answer.into_values().collect();
    answer.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(answer)
}

fn tenths(text: &str) -> Option<i32> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, tenth) = digits.split_once('.')?;
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(tenth) || tenth.len() != 1 || whole.len() > 3 {
        return None;
    }
    let tenths = whole.parse::<i32>().ok()? * 10 + tenth.parse::<i32>().ok()?;
    Some(if negative { -tenths } else { tenths })
}

/// Writes the answer as `station,min_temp,avg_temp,max_temp`, means to six decimals.
pub fn write_expected(path: &Path, stations: &[Station]) -> Result<()> {
    let failed =
        |e: std::io::Error| Error::outside(format!("cannot write the answer: {}", path.display())).caused_by(e);
    let mut out = BufWriter::new(File::create(path).map_err(failed)?);
    let write = |out: &mut BufWriter<File>| -> std::io::Result<()> {
        writeln!(out, "station,min_temp,avg_temp,max_temp")?;
        for station in stations {
            // One name holds a comma.
            let quote = if station.name.contains(',') { "\"" } else { "" };
            let mean = station.mean_millionths();
            let sign = if mean < 0 { "-" } else { "" };
            let (whole, millionths) = (mean.abs() / 1_000_000, mean.abs() % 1_000_000);
            let (name, min, max) = (&station.name, station.min(), station.max());
            writeln!(out, "{quote}{name}{quote},{min:.1},{sign}{whole}.{millionths:06},{max:.1}")?;
        }
        out.flush()
    };
    write(&mut out).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stations_are_in_order_and_all_sorts() {
        assert!(STATIONS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(STATIONS.iter().any(|(name, _)| !name.is_ascii()));
        assert!(STATIONS.iter().filter(|(name, _)| name.len() > 12).count() > 20);
        let farthest = DEVIATIONS.iter().map(|tenths| tenths.unsigned_abs() as f64 / 10.0).fold(0.0, f64::max);
        assert!(STATIONS.iter().all(|(name, mean)| name.len() <= 100 && mean.abs() + farthest < 99.9));
    }

    #[test]
    fn the_answer_is_that_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("measurements.csv");
        let answer = write(&path, 50_000, 3).unwrap();
        assert_eq!(expected(&path).unwrap(), answer);
        assert_eq!(answer.len(), STATIONS.len());
        assert_eq!(answer.iter().map(|station| station.count).sum::<u64>(), 50_000);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().next(), Some("station;temperature"));
        assert_eq!(text.lines().count(), 50_001);
        // Computed once more, in floating point and another way.
        let temperatures = text.lines().filter_map(|line| line.strip_prefix("Zagreb;"));
        let temperatures: Vec<f64> = temperatures.map(|text| text.parse().unwrap()).collect();
        let zagreb = answer.iter().find(|station| station.name == "Zagreb").unwrap();
        let mean = temperatures.iter().sum::<f64>() / temperatures.len() as f64;
        assert!((zagreb.mean() - mean).abs() < 1e-9 && (mean - 10.7).abs() < 3.0, "mean {mean}");
        assert_eq!(zagreb.max(), temperatures.iter().copied().fold(f64::MIN, f64::max));
    }

    #[test]
    fn seeds_decide_the_bytes() {
        let bytes = |seed| {
            let mut bytes = Vec::new();
            write_to(&mut bytes, 1000, seed).unwrap();
            bytes
        };
        assert_eq!(bytes(1), bytes(1));
        assert_ne!(bytes(1), bytes(2));
    }

    #[test]
    fn means_are_rounded_exactly() {
        let mean = |sum_tenths, count| Station { count, sum_tenths, ..Station::empty("x") }.mean_millionths();
        assert_eq!(mean(1, 3), 33_333);
        assert_eq!(mean(-2, 3), -66_667);
        assert_eq!(mean(1, 200_000), 1);
        assert_eq!(mean(-1, 200_000), -1);
        assert_eq!(mean(0, 7), 0);
    }

    #[test]
    fn writes_the_answer_down() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("expected.csv");
        let station = Station { count: 2, min_tenths: -15, max_tenths: 14, sum_tenths: -1, ..Station::empty("a, b") };
        write_expected(&path, &[station]).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "station,min_temp,avg_temp,max_temp\n\"a, b\",-1.5,-0.050000,1.4\n");
    }

    #[test]
    fn names_the_line_it_cannot_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.csv");
        for bad in ["a;1", "a;1.25", "a", "a;-.5", "a;+1.0"] {
            std::fs::write(&path, format!("a;1.0\n{bad}\n")).unwrap();
            let message = expected(&path).unwrap_err().to_string();
            assert!(message.ends_with(&format!("line 2: '{bad}'")), "{message}");
        }
    }
}
