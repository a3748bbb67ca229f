//! Columns of strings and bytes: codes into their dictionary as long as there are such pages, else views into pages.
//!
//! Invariants  strings of a page are checked once, all together; a page whose lengths are no text themselves is written
//!             anew without them.

use std::sync::Arc;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::compute::{concat, take};
use millstream_kernels::view::{Text, ViewBuilder};
use parquet::errors::Result;

use super::codes::damaged;
use super::fixed::check_codes;
use super::pages::{PageValues, Pages, TakesDictionary};
use super::{PageColumn, each_page};
use crate::batch::{Column, Dictionary, DictionaryValues};

/// A column of strings or bytes.
pub(super) struct TextColumn {
    pages: Pages,
    own: Own,
    /// The values of the loaded page where they stand as they are, and how many have been passed.
    plain: Option<(Values, usize)>,
}

struct Own {
    is_text: bool,
    dictionary: Option<Arc<DictionaryValues>>,
    codes: Vec<u32>,
}

/// Where the values of a page lie.
struct Values {
    block: Block,
    ranges: Vec<(u32, u32)>,
}

enum Block {
    Text(Text),
    Bytes(Buffer),
}

/// Rows of the column in one form.
enum Part {
    Codes(Vec<u32>, Option<Vec<bool>>),
    Array(ArrayRef),
}

impl TextColumn {
    pub(super) fn new(pages: Pages, is_text: bool) -> Self {
        let own = Own { is_text, dictionary: None, codes: Vec::new() };
        TextColumn { pages, own, plain: None }
    }
}

impl TakesDictionary for Own {
    fn take_dictionary(&mut self, bytes: Buffer, count: usize) -> Result<()> {
        let values = Values::new(bytes, 0, count, self.is_text)?;
        let array = values.array(0..count, None, None, self.is_text)?;
        self.dictionary = Some(Arc::new(DictionaryValues(array)));
        Ok(())
    }
}

impl PageColumn for TextColumn {
    fn read(&mut self, rows: usize, wanted: Option<&[u16]>, out: &mut Column) -> Result<()> {
        let mut parts: Vec<Part> = Vec::new();
        each_page(self, rows, wanted, |column, rows, wanted| {
            join(&mut parts, column.read_in_page(rows, wanted)?);
            Ok(())
        })?;
        *out = match parts.pop() {
            None => Column::Array(arrow::array::new_empty_array(&self.data_type())),
            Some(Part::Codes(codes, present)) if parts.is_empty() => {
                let values = self.own.values()?;
                Column::Dictionary(Dictionary::new(code_array(codes, present), values))
            }
            Some(last) => {
                let arrays = parts.into_iter().chain([last]).map(|part| self.own.flat(part));
                let arrays = arrays.collect::<Result<Vec<ArrayRef>>>()?;
                Column::Array(match &arrays[..] {
                    [array] => array.clone(),
                    several => concat(&several.iter().map(|array| array.as_ref()).collect::<Vec<_>>())?,
                })
            }
        };
        Ok(())
    }

    fn left(&mut self) -> Result<usize> {
        self.pages.left(&mut self.own)
    }

    fn skip_in_page(&mut self, rows: usize) -> Result<()> {
        let passed = self.pages.pass(rows)?;
        if let Some((_, at)) = self.plain.as_mut().filter(|_| passed > 0) {
            *at += passed;
        }
        Ok(())
    }
}

impl TextColumn {
    fn data_type(&self) -> arrow::datatypes::DataType {
        if self.own.is_text { arrow::datatypes::DataType::Utf8View } else { arrow::datatypes::DataType::BinaryView }
    }

    /// Reads rows of one page; of them the `wanted` ones, if not all.
    fn read_in_page(&mut self, rows: usize, wanted: Option<&[u16]>) -> Result<Part> {
        let level = self.pages.level();
        let page_rows = self.pages.left(&mut self.own)?;
        let is_new = !self.pages.is_loaded();
        let (page, passed) = self.pages.load()?;
        if is_new {
            self.plain = match &page.values {
                PageValues::Plain { bytes, at } => {
                    let most = page_rows + passed;
                    Some((Values::new(bytes.clone(), *at, most, self.own.is_text)?, passed))
                }
                PageValues::Codes(_) => None,
            };
        }
        let (count, present) = page.advance(rows);
        let part = match (&mut page.values, &mut self.plain) {
            (PageValues::Codes(codes), _) => {
                self.own.codes.clear();
                codes.read(level, count, &mut self.own.codes)?;
                check_codes(level, &self.own.codes, self.own.values()?.0.len())?;
                let codes = &self.own.codes;
                let codes = match (&present, wanted) {
                    (None, None) => codes.clone(),
                    (None, Some(rows)) => rows.iter().map(|&row| codes[row as usize]).collect(),
                    (Some(present), wanted) => spread(present, wanted, |value| value.map_or(0, |at| codes[at])),
                };
                Part::Codes(codes, there(present.as_deref(), wanted))
            }
            (PageValues::Plain { .. }, Some((values, at))) => {
                let range = *at..*at + count;
                *at += count;
                Part::Array(values.array(range, present.as_deref(), wanted, self.own.is_text)?)
            }
            (PageValues::Plain { .. }, None) => unreachable!("its values were found when it was loaded"),
        };
        self.pages.read(rows);
        Ok(part)
    }
}

impl Own {
    fn values(&self) -> Result<Arc<DictionaryValues>> {
        self.dictionary.clone().ok_or_else(|| damaged("there are codes and no dictionary"))
    }

    fn flat(&self, part: Part) -> Result<ArrayRef> {
        Ok(match part {
            Part::Array(array) => array,
            Part::Codes(codes, present) => take(&self.values()?.0, &code_array(codes, present), None)?,
        })
    }
}

impl Values {
    /// Finds up to `most` values in a page, each after its length.
    fn new(bytes: Buffer, at: usize, most: usize, is_text: bool) -> Result<Self> {
        let mut ranges = Vec::with_capacity(most.min(bytes.len() / 4));
        let mut next = at;
        while ranges.len() < most && next < bytes.len() {
            let length = bytes.get(next..).and_then(|rest| rest.first_chunk::<4>());
            let start = next + 4;
            let end = length.map(|length| start + u32::from_le_bytes(*length) as usize);
            let Some(end) = end.filter(|end| *end <= bytes.len()) else {
                return Err(damaged("a page ends before its values do"));
            };
            ranges.push((start as u32, end as u32));
            next = end;
        }
        if !is_text {
            return Ok(Values { block: Block::Bytes(bytes), ranges });
        }
        let bytes = match Text::new(bytes) {
            Ok(text) => return Ok(Values { block: Block::Text(text), ranges }),
            Err(bytes) => bytes,
        };
        // The lengths, or levels before them, may be no text: then the values are put together without.
        let mut whole = Vec::with_capacity(bytes.len());
        for range in &mut ranges {
            let start = whole.len() as u32;
            whole.extend_from_slice(&bytes[range.0 as usize..range.1 as usize]);
            *range = (start, whole.len() as u32);
        }
        match Text::new(Buffer::from(whole)) {
            Ok(text) => Ok(Values { block: Block::Text(text), ranges }),
            Err(_) => Err(damaged("a string is not UTF-8")),
        }
    }

    /// The values of `range`, nulls put between them, as an array; of the rows the `wanted` ones, if not all.
    fn array(
        &self,
        range: std::ops::Range<usize>,
        present: Option<&[bool]>,
        wanted: Option<&[u16]>,
        is_text: bool,
    ) -> Result<ArrayRef> {
        let Some(ranges) = self.ranges.get(range) else { return Err(damaged("a page ends before its values do")) };
        let mut builder = if is_text { ViewBuilder::text() } else { ViewBuilder::bytes() };
        let rows = wanted.map_or(present.map_or(ranges.len(), <[bool]>::len), <[u16]>::len);
        match &self.block {
            Block::Text(text) => builder.begin_text(Some(text.clone()), rows),
            Block::Bytes(bytes) => builder.begin_bytes(bytes.clone(), rows),
        }
        let mut good = true;
        let mut set = |row: usize, (start, end): (u32, u32)| {
            good &= builder.set_range(row, start as usize, end as usize);
        };
        match (present, wanted) {
            (None, None) => ranges.iter().enumerate().for_each(|(row, &range)| set(row, range)),
            (None, Some(wanted)) => wanted.iter().enumerate().for_each(|(row, &at)| set(row, ranges[at as usize])),
            (Some(present), wanted) => {
                let places = spread(present, wanted, |value| value);
                places.iter().enumerate().for_each(|(row, place)| {
                    if let Some(at) = place {
                        set(row, ranges[*at]);
                    }
                });
            }
        }
        if !good {
            return Err(damaged("a string is not UTF-8"));
        }
        Ok(builder.finish(rows, there(present, wanted).map(NullBuffer::from)))
    }
}

/// For each wanted row what `of` makes of the number of its value, `None` for a null.
fn spread<T>(present: &[bool], wanted: Option<&[u16]>, mut of: impl FnMut(Option<usize>) -> T) -> Vec<T> {
    let mut next = 0;
    let mut numbers = present.iter().map(|&is_there| {
        next += is_there as usize;
        is_there.then_some(next.wrapping_sub(1))
    });
    match wanted {
        None => numbers.map(of).collect(),
        Some(rows) => {
            let numbers: Vec<Option<usize>> = numbers.by_ref().collect();
            rows.iter().map(|&row| of(numbers[row as usize])).collect()
        }
    }
}

/// Which of the wanted rows are there; `None` when all are.
fn there(present: Option<&[bool]>, wanted: Option<&[u16]>) -> Option<Vec<bool>> {
    let present = present?;
    Some(match wanted {
        None => present.to_vec(),
        Some(rows) => rows.iter().map(|&row| present[row as usize]).collect(),
    })
}

fn code_array(codes: Vec<u32>, present: Option<Vec<bool>>) -> UInt32Array {
    UInt32Array::new(codes.into(), present.map(NullBuffer::from))
}

/// Puts a part behind the others; codes behind codes become one part.
fn join(parts: &mut Vec<Part>, part: Part) {
    match (parts.last_mut(), part) {
        (Some(Part::Codes(codes, present)), Part::Codes(more, others)) => {
            if present.is_some() || others.is_some() {
                let mut all = present.take().unwrap_or_else(|| vec![true; codes.len()]);
                all.extend(others.unwrap_or_else(|| vec![true; more.len()]));
                *present = Some(all);
            }
            codes.extend(more);
        }
        (_, part) => parts.push(part),
    }
}
