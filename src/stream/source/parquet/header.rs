//! Headers of pages, as Thrift writes them.
//!
//! Source      Parquet's `parquet.thrift`, and Thrift's compact protocol: a field is its type and its distance from the
//!             field before; numbers come in groups of seven bits, whole ones zigzag.

use parquet::errors::Result;

use super::codes::damaged;

/// How deep structures may lie in each other that are passed over.
const DEPTH_MAX: usize = 8;

/// What stands before a page.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Header {
    /// Its own bytes.
    pub(super) bytes: usize,
    pub(super) page: Kind,
    /// Bytes that follow, and how many they become.
    pub(super) compressed: usize,
    pub(super) uncompressed: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Dictionary {
        values: usize,
        encoding: i64,
    },
    /// Version 1: levels and values are compressed together.
    Data {
        rows: usize,
        encoding: i64,
        levels: i64,
    },
    /// Version 2: levels come first and are never compressed.
    DataV2 {
        values: usize,
        rows: usize,
        encoding: i64,
        definition: usize,
        repetition: usize,
        is_compressed: bool,
    },
    /// An index, or what later versions add.
    Other,
}

impl Header {
    /// Reads a header from the beginning of `bytes`; `None` when they end before it does.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Self>> {
        let mut reader = Compact { bytes, at: 0 };
        match reader.header() {
            Ok(header) => Ok(Some(header)),
            Err(Stop::Ends) => Ok(None),
            Err(Stop::Wrong) => Err(damaged("the header of a page cannot be read")),
        }
    }
}

/// Why a header cannot be read.
enum Stop {
    Ends,
    Wrong,
}

/// A type of Thrift's compact protocol.
mod kind {
    pub(super) const TRUE: u8 = 1;
    pub(super) const FALSE: u8 = 2;
    pub(super) const BYTE: u8 = 3;
    pub(super) const I16: u8 = 4;
    pub(super) const I64: u8 = 6;
    pub(super) const DOUBLE: u8 = 7;
    pub(super) const BINARY: u8 = 8;
    pub(super) const LIST: u8 = 9;
    pub(super) const SET: u8 = 10;
    pub(super) const MAP: u8 = 11;
    pub(super) const STRUCT: u8 = 12;
}

struct Compact<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Compact<'_> {
    fn header(&mut self) -> Result<Header, Stop> {
        let (mut sizes, mut number) = ([None; 2], None);
        let (mut data, mut dictionary, mut data_v2) = (None, None, None);
        let mut last = 0;
        while let Some((field, of)) = self.field(&mut last)? {
            match (field, of) {
                (1, kind::I16..=kind::I64) => number = Some(self.number()?),
                (2 | 3, kind::I16..=kind::I64) => sizes[field as usize - 2] = Some(self.number()?),
                (5, kind::STRUCT) => data = Some(self.numbers()?),
                (7, kind::STRUCT) => dictionary = Some(self.numbers()?),
                (8, kind::STRUCT) => data_v2 = Some(self.numbers()?),
                _ => self.pass(of, 0)?,
            }
        }
        let [uncompressed, compressed] = sizes.map(size);
        let page = match number.ok_or(Stop::Wrong)? {
            0 => {
                let data: [_; 8] = data.ok_or(Stop::Wrong)?;
                Kind::Data { rows: size(data[0])?, encoding: told(data[1])?, levels: told(data[2])? }
            }
            2 => {
                let dictionary: [_; 8] = dictionary.ok_or(Stop::Wrong)?;
                Kind::Dictionary { values: size(dictionary[0])?, encoding: told(dictionary[1])? }
            }
            3 => {
                let data: [_; 8] = data_v2.ok_or(Stop::Wrong)?;
                Kind::DataV2 {
                    values: size(data[0])?,
                    rows: size(data[2])?,
                    encoding: told(data[3])?,
                    definition: size(data[4])?,
                    repetition: size(data[5])?,
                    // Where nothing is said it is.
                    is_compressed: data[6] != Some(0),
                }
            }
            _ => Kind::Other,
        };
        Ok(Header { bytes: self.at, page, compressed: compressed?, uncompressed: uncompressed? })
    }

    /// A structure's first eight fields as far as they are numbers; a truth is 1 or 0.
    fn numbers(&mut self) -> Result<[Option<i64>; 8], Stop> {
        let mut numbers = [None; 8];
        let mut last = 0;
        while let Some((field, of)) = self.field(&mut last)? {
            let value = match of {
                kind::TRUE => 1,
                kind::FALSE => 0,
                kind::I16..=kind::I64 => self.number()?,
                _ => {
                    self.pass(of, 0)?;
                    continue;
                }
            };
            if let Some(number) = usize::try_from(field - 1).ok().and_then(|at| numbers.get_mut(at)) {
                *number = Some(value);
            }
        }
        Ok(numbers)
    }

    /// The next field's number and type; `None` at a structure's end.
    fn field(&mut self, last: &mut i64) -> Result<Option<(i64, u8)>, Stop> {
        let byte = self.byte()?;
        let (distance, of) = (byte >> 4, byte & 0x0f);
        if of == 0 {
            return Ok(None);
        }
        let field = if distance == 0 { self.number()? } else { *last + i64::from(distance) };
        if !(0..=i64::from(i16::MAX)).contains(&field) {
            return Err(Stop::Wrong);
        }
        *last = field;
        Ok(Some((field, of)))
    }

    fn byte(&mut self) -> Result<u8, Stop> {
        let byte = *self.bytes.get(self.at).ok_or(Stop::Ends)?;
        self.at += 1;
        Ok(byte)
    }

    fn unsigned(&mut self) -> Result<u64, Stop> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Stop::Wrong)
    }

    fn number(&mut self) -> Result<i64, Stop> {
        let number = self.unsigned()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    fn pass_bytes(&mut self, count: u64) -> Result<(), Stop> {
        let count = usize::try_from(count).ok().filter(|&count| count <= i32::MAX as usize).ok_or(Stop::Wrong)?;
        self.at += count;
        if self.at <= self.bytes.len() { Ok(()) } else { Err(Stop::Ends) }
    }

    /// Passes over a value; truths in fields are in their types.
    fn pass(&mut self, of: u8, depth: usize) -> Result<(), Stop> {
        if depth > DEPTH_MAX {
            return Err(Stop::Wrong);
        }
        match of {
            kind::TRUE | kind::FALSE => Ok(()),
            kind::BYTE => self.pass_bytes(1),
            kind::I16..=kind::I64 => self.unsigned().map(|_| ()),
            kind::DOUBLE => self.pass_bytes(8),
            kind::BINARY => {
                let length = self.unsigned()?;
                self.pass_bytes(length)
            }
            kind::LIST | kind::SET => {
                let byte = self.byte()?;
                let count = if byte >> 4 == 15 { self.unsigned()? } else { u64::from(byte >> 4) };
                (0..count).try_for_each(|_| self.pass_item(byte & 0x0f, depth + 1))
            }
            kind::MAP => {
                let count = self.unsigned()?;
                let kinds = if count == 0 { 0 } else { self.byte()? };
                (0..count).try_for_each(|_| {
                    self.pass_item(kinds >> 4, depth + 1)?;
                    self.pass_item(kinds & 0x0f, depth + 1)
                })
            }
            kind::STRUCT => {
                let mut last = 0;
                while let Some((_, of)) = self.field(&mut last)? {
                    self.pass(of, depth + 1)?;
                }
                Ok(())
            }
            _ => Err(Stop::Wrong),
        }
    }

    /// Passes over an item of a list: there, a truth is a byte.
    fn pass_item(&mut self, of: u8, depth: usize) -> Result<(), Stop> {
        match of {
            kind::TRUE | kind::FALSE => self.pass_bytes(1),
            _ => self.pass(of, depth),
        }
    }
}

fn told(number: Option<i64>) -> Result<i64, Stop> {
    number.ok_or(Stop::Wrong)
}

fn size(number: Option<i64>) -> Result<usize, Stop> {
    let fits = |&number: &i64| (0..=i64::from(i32::MAX)).contains(&number);
    number.filter(fits).map(|number| number as usize).ok_or(Stop::Wrong)
}
