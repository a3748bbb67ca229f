//! An answer as a few numbers that do not depend on the order of rows: how two engines' answers are compared.
//!
//! Exact cells (whole numbers, text, times, truth) of a row are joined to a text and hashed; the hashes of all rows are
//! added. Floats and decimals, which engines round in their own ways, are added by column instead.

use md5::{Digest as _, Md5};
use millstream::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use millstream::arrow::compute::cast;
use millstream::arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use millstream::batch::Change;
use millstream::error::{Error, Result};
use millstream::pipeline::Sink;
use std::sync::{Arc, Mutex};

/// How much two sums may differ, relative to the larger: what the order of additions may do.
const TOLERANCE: f64 = 1e-6;

/// The numbers of an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Digest {
    pub rows: i64,
    pub hash: u64,
    /// One per column; zero for columns that are hashed.
    pub sums: Vec<f64>,
}

impl Digest {
    /// Reads `rows hash sum sum ...`, as [`Digest::text`] writes it.
    pub fn read(text: &str) -> Option<Digest> {
        let mut words = text.split_whitespace();
        let (rows, hash) = (words.next()?.parse().ok()?, u64::from_str_radix(words.next()?, 16).ok()?);
        Some(Digest { rows, hash, sums: words.map(|sum| sum.parse().ok()).collect::<Option<_>>()? })
    }

    pub fn text(&self) -> String {
        let sums: Vec<String> = self.sums.iter().map(|sum| format!(" {sum:?}")).collect();
        format!("{} {:016x}{}", self.rows, self.hash, sums.concat())
    }

    /// Whether both are of the same answer.
    pub fn agrees(&self, other: &Digest) -> bool {
        // A mean of decimals has six digits more or less, in each row.
        let digits = TOLERANCE * self.rows.clamp(1, 1000) as f64;
        let close = |(a, b): (&f64, &f64)| (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()) + digits;
        self.rows == other.rows
            && self.hash == other.hash
            // Who gives no row may not know how many columns there are.
            && (self.rows == 0 || self.sums.len() == other.sums.len())
            && self.sums.iter().zip(&other.sums).all(close)
    }

    fn add(&mut self, rows: &RecordBatch, changes: Option<&[Change]>) -> Result<()> {
        self.sums.resize(rows.num_columns(), 0.0);
        let weight = |row: usize| changes.map_or(1, |changes| changes[row].weight());
        let mut texts = vec![String::new(); rows.num_rows()];
        for (column, array) in rows.columns().iter().enumerate() {
            if is_rounded(array.data_type()) {
                let floats = cast(array, &DataType::Float64)?;
                let floats = floats.as_primitive::<Float64Type>();
                // A NaN would hide all that is added to it.
                let sum = (0..floats.len()).filter(|&row| floats.is_valid(row) && !floats.value(row).is_nan());
                self.sums[column] += sum.map(|row| floats.value(row) * weight(row) as f64).sum::<f64>();
            } else {
                append(array, &mut texts)?;
            }
        }
        for (row, text) in texts.iter().enumerate() {
            let hashed = Md5::digest(text.as_bytes());
            let low = u64::from_le_bytes(hashed[8..16].try_into().expect("eight of sixteen bytes"));
            self.hash = self.hash.wrapping_add(low.wrapping_mul(weight(row) as u64));
            self.rows += weight(row);
        }
        Ok(())
    }
}

fn is_rounded(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Float16 | DataType::Float32 | DataType::Float64)
        || matches!(data_type, DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) if *scale > 0)
}

/// Puts the cells of a column behind the texts of their rows.
fn append(array: &ArrayRef, texts: &mut [String]) -> Result<()> {
    let plain: ArrayRef = match array.data_type() {
        DataType::Timestamp(..) => {
            let micros = cast(array, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
            cast(&micros, &DataType::Int64)?
        }
        DataType::Date32 => cast(&cast(array, &DataType::Int32)?, &DataType::Int64)?,
        DataType::Utf8View => array.clone(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Dictionary(..) => cast(array, &DataType::Utf8View)?,
        DataType::Boolean | DataType::UInt64 | DataType::Decimal128(..) => {
            cast(&cast(array, &DataType::Utf8)?, &DataType::Utf8View)?
        }
        data_type if data_type.is_integer() => cast(array, &DataType::Int64)?,
        other => return Err(Error::user(format!("no digest of columns of type {other}"))),
    };
    for (row, text) in texts.iter_mut().enumerate() {
        text.push('|');
        match plain.data_type() {
            _ if plain.is_null(row) => text.push('~'),
            DataType::Int64 => text.push_str(&plain.as_primitive::<Int64Type>().value(row).to_string()),
            _ => text.push_str(plain.as_string_view().value(row)),
        }
    }
    Ok(())
}

/// A sink that keeps nothing but the digest.
pub struct DigestSink {
    digest: Digest,
    done: Arc<Mutex<Digest>>,
}

impl DigestSink {
    /// The sink, and where the digest is when the query has ended.
    pub fn new() -> (DigestSink, Arc<Mutex<Digest>>) {
        let done = Arc::new(Mutex::new(Digest::default()));
        (DigestSink { digest: Digest::default(), done: done.clone() }, done)
    }
}

impl Sink for DigestSink {
    fn write(&mut self, rows: &RecordBatch, changes: Option<&[Change]>) -> Result<()> {
        self.digest.add(rows, changes)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        let mut done = self.done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *done = std::mem::take(&mut self.digest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream::arrow::array::{Float64Array, Int64Array, StringViewArray};

    /// Keys, values, a text for all rows, changes.
    type Rows<'a> = (&'a [i64], &'a [f64], &'a str, Option<&'a [Change]>);

    fn digest(batches: &[Rows<'_>]) -> Digest {
        let mut digest = Digest::default();
        for (keys, values, text, changes) in batches {
            let texts: StringViewArray = keys.iter().map(|_| Some(*text)).collect();
            let columns: Vec<(&str, ArrayRef)> = vec![
                ("k", Arc::new(Int64Array::from(keys.to_vec()))),
                ("v", Arc::new(Float64Array::from(values.to_vec()))),
                ("t", Arc::new(texts)),
            ];
            digest.add(&RecordBatch::try_from_iter(columns).expect("three columns"), *changes).expect("known types");
        }
        digest
    }

    #[test]
    fn order_and_cuts_do_not_count_and_rows_taken_back_are_gone() {
        let whole = digest(&[(&[1, 2], &[0.5, 1.5], "x", None)]);
        assert!(whole.agrees(&digest(&[(&[2], &[1.5], "x", None), (&[1], &[0.5], "x", None)])));
        let back = Some(&[Change::INSERT, Change::INSERT, Change::INSERT, Change::DELETE][..]);
        assert!(whole.agrees(&digest(&[(&[2, 1, 7, 7], &[1.5, 0.5, 9.0, 9.0], "x", back)])));
        assert!(!whole.agrees(&digest(&[(&[1, 3], &[0.5, 1.5], "x", None)])));
        assert!(!whole.agrees(&digest(&[(&[1, 2], &[0.5, 1.6], "x", None)])));
        assert_eq!(Digest::read(&whole.text()), Some(whole));
        assert_eq!(Digest::read("2 00zz 1.0"), None);
        assert!(Digest::default().agrees(&digest(&[(&[], &[], "x", None)])));
    }
}
