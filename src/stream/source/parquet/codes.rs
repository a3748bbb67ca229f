//! Small numbers as Parquet writes them: runs of one value, and values of a few bits each.
//!
//! Place       codes into dictionaries, and definition levels, which tell nulls.
//! Source      Parquet's encodings, "RLE / bit-packing hybrid".

use arrow::buffer::Buffer;
use millstream_kernels::{Level, unpack};
use parquet::errors::{ParquetError, Result};

/// Reads such numbers, from the first to the last.
#[derive(Debug)]
pub(super) struct Codes {
    bytes: Buffer,
    /// Where the next run begins.
    at: usize,
    bits: u32,
    run: Run,
}

#[derive(Debug, Clone, Copy)]
enum Run {
    Same {
        value: u32,
        left: usize,
    },
    /// From byte `start` on; `read` of them have been.
    Packed {
        start: usize,
        read: usize,
        left: usize,
    },
}

impl Codes {
    /// Numbers of `bits` bits, from byte `at` on.
    pub(super) fn new(bytes: Buffer, at: usize, bits: u32) -> Result<Self> {
        if bits > 32 {
            return Err(damaged("codes are wider than 32 bits"));
        }
        Ok(Codes { bytes, at, bits, run: Run::Same { value: 0, left: 0 } })
    }

    /// Adds the next `count` numbers to `out`.
    pub(super) fn read(&mut self, level: Level, mut count: usize, out: &mut Vec<u32>) -> Result<()> {
        while count > 0 {
            let taken = self.available()?.min(count);
            match &mut self.run {
                Run::Same { value, left } => {
                    out.resize(out.len() + taken, *value);
                    *left -= taken;
                }
                Run::Packed { start, read, left } => {
                    let before = out.len();
                    out.resize(before + taken, 0);
                    unpack::unpack(level, &self.bytes[*start..], self.bits, *read, &mut out[before..]);
                    (*read, *left) = (*read + taken, *left - taken);
                }
            }
            count -= taken;
        }
        Ok(())
    }

    /// Passes over the next `count` numbers.
    pub(super) fn skip(&mut self, mut count: usize) -> Result<()> {
        while count > 0 {
            let taken = self.available()?.min(count);
            match &mut self.run {
                Run::Same { left, .. } => *left -= taken,
                Run::Packed { read, left, .. } => (*read, *left) = (*read + taken, *left - taken),
            }
            count -= taken;
        }
        Ok(())
    }

    /// Whether the next `count` numbers are all `value` and stand in one run; none is read.
    pub(super) fn is_one_run(&mut self, value: u32, count: usize) -> Result<bool> {
        Ok(count == 0
            || self.available()? >= count && matches!(self.run, Run::Same { value: same, .. } if same == value))
    }

    /// How many numbers are left of the run at hand, which is begun if there is none.
    fn available(&mut self) -> Result<usize> {
        loop {
            let (Run::Same { left, .. } | Run::Packed { left, .. }) = self.run;
            if left > 0 {
                return Ok(left);
            }
            let header = self.header()?;
            let (count, rest) = ((header >> 1) as usize, self.bytes.len() - self.at);
            let is_packed = header & 1 == 1;
            let bytes = match is_packed {
                true => count.saturating_mul(self.bits as usize),
                false => self.bits.div_ceil(8) as usize,
            };
            if is_packed {
                // The last run may be cut off after the last number.
                let whole = count.saturating_mul(8);
                let held = if bytes <= rest { whole } else { whole.min(rest * 8 / (self.bits.max(1) as usize)) };
                if held == 0 {
                    return Err(damaged("codes end before the rows do"));
                }
                self.run = Run::Packed { start: self.at, read: 0, left: held };
            } else {
                let Some(value) = self.bytes.get(self.at..self.at + bytes) else {
                    return Err(damaged("codes end before the rows do"));
                };
                let value = value.iter().rev().fold(0, |value, &byte| value << 8 | byte as u32);
                self.run = Run::Same { value, left: count };
            }
            self.at += bytes.min(rest);
        }
    }

    /// The number before a run, in groups of seven bits.
    fn header(&mut self) -> Result<u64> {
        let mut header = 0u64;
        for shift in (0..35).step_by(7) {
            let Some(&byte) = self.bytes.get(self.at) else { return Err(damaged("codes end before the rows do")) };
            self.at += 1;
            header |= ((byte & 0x7f) as u64) << shift;
            if byte & 0x80 == 0 {
                return Ok(header);
            }
        }
        Err(damaged("a run is longer than a page"))
    }
}

/// An error that says what is wrong with a file.
pub(super) fn damaged(what: &str) -> ParquetError {
    ParquetError::General(format!("the file is damaged: {what}"))
}
