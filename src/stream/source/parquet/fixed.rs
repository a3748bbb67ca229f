//! Columns of numbers and times: from a page's bytes, or by code from its dictionary, into flat buffers.

use std::marker::PhantomData;

use arrow::buffer::Buffer;
use arrow::datatypes::ArrowNativeType;
use millstream_kernels::{Level, bitmap, gather};
use parquet::errors::Result;

use super::codes::damaged;
use super::pages::{PageValues, Pages, TakesDictionary};
use super::{PageColumn, each_page};
use crate::batch::{Column, Fixed};

/// How the bytes of a value become a number of the engine.
pub(super) trait Layout: Send + 'static {
    type Value: Fixed + ArrowNativeType;
    const BYTES: usize;
    /// Whether a value's bytes are the number's own.
    const IS_SAME: bool = cfg!(target_endian = "little") && Self::BYTES == size_of::<Self::Value>();
    fn value(bytes: &[u8]) -> Self::Value;
}

macro_rules! layouts {
    ($($name:ident: $stored:ty as $value:ty),+) => {
        $(pub(super) struct $name;

        impl Layout for $name {
            type Value = $value;
            const BYTES: usize = size_of::<$stored>();

            #[inline(always)]
            fn value(bytes: &[u8]) -> $value {
                <$stored>::from_le_bytes(bytes.try_into().expect("a value's bytes")) as $value
            }
        })+
    };
}
layouts!(
    Int8: i32 as i8, Int16: i32 as i16, Int32: i32 as i32, Int64: i64 as i64,
    UInt8: i32 as u8, UInt16: i32 as u16, UInt32: i32 as u32, UInt64: i64 as u64,
    Float32: f32 as f32, Float64: f64 as f64,
    Decimal32: i32 as i128, Decimal64: i64 as i128
);

/// A column of fixed width.
pub(super) struct FixedColumn<L: Layout> {
    pages: Pages,
    own: Own<L>,
}

/// What is kept beside the pages.
struct Own<L: Layout> {
    dictionary: Dictionary<L::Value>,
    codes: Vec<u32>,
    /// Values of rows that are there, before nulls are put between them.
    dense: Vec<L::Value>,
    layout: PhantomData<L>,
}

/// The values that codes stand for.
enum Dictionary<T> {
    Own(Vec<T>),
    /// A page as it is: no copy of what may be a megabyte.
    Page(Buffer),
}

impl<T: ArrowNativeType> Dictionary<T> {
    fn values(&self) -> &[T] {
        match self {
            Dictionary::Own(values) => values,
            Dictionary::Page(bytes) => bytes.typed_data(),
        }
    }
}

impl<L: Layout> FixedColumn<L> {
    pub(super) fn new(pages: Pages) -> Self {
        let dictionary = Dictionary::Own(Vec::new());
        let own = Own { dictionary, codes: Vec::new(), dense: Vec::new(), layout: PhantomData };
        FixedColumn { pages, own }
    }
}

impl<L: Layout> TakesDictionary for Own<L> {
    fn take_dictionary(&mut self, bytes: Buffer, count: usize) -> Result<()> {
        let length = count.saturating_mul(L::BYTES);
        if L::IS_SAME && bytes.len() >= length && bytes.as_ptr().cast::<L::Value>().is_aligned() {
            self.dictionary = Dictionary::Page(bytes.slice_with_length(0, length));
            return Ok(());
        }
        let mut values = Vec::new();
        append::<L>(&bytes, count, None, &mut values)?;
        self.dictionary = Dictionary::Own(values);
        Ok(())
    }
}

impl<L: Layout> PageColumn for FixedColumn<L> {
    fn read(&mut self, rows: usize, wanted: Option<&[u16]>, out: &mut Column) -> Result<()> {
        let flat = out.flat_mut(|v| L::Value::of_values(v).is_some(), || L::Value::into_values(Vec::new()));
        let values = L::Value::of_values_mut(&mut flat.values).expect("made of this type above");
        values.clear();
        let mut nulls: Vec<u32> = Vec::new();
        each_page(self, rows, wanted, |column, rows, wanted| column.read_in_page(rows, wanted, values, &mut nulls))?;
        flat.rows = values.len();
        if nulls.is_empty() {
            flat.set_all_valid();
        } else {
            let rows = flat.rows;
            let words = flat.validity_mut(rows);
            bitmap::fill(words, rows, true);
            nulls.iter().for_each(|&row| bitmap::clear(words, row as usize));
        }
        Ok(())
    }

    fn left(&mut self) -> Result<usize> {
        self.pages.left(&mut self.own)
    }

    fn skip_in_page(&mut self, rows: usize) -> Result<()> {
        let passed = self.pages.pass(rows)?;
        if passed > 0 {
            let (page, _) = self.pages.load()?;
            if let PageValues::Plain { at, .. } = &mut page.values {
                *at += passed * L::BYTES;
            }
        }
        Ok(())
    }
}

impl<L: Layout> FixedColumn<L> {
    /// Reads rows of one page; of them the `wanted` ones, if not all.
    fn read_in_page(
        &mut self,
        rows: usize,
        wanted: Option<&[u16]>,
        values: &mut Vec<L::Value>,
        nulls: &mut Vec<u32>,
    ) -> Result<()> {
        let level = self.pages.level();
        let (page, passed) = self.pages.load()?;
        if let PageValues::Plain { at, .. } = &mut page.values {
            *at += passed * L::BYTES;
        }
        let (count, present) = page.advance(rows);
        let Some(present) = present else {
            self.own.take(level, &mut page.values, count, wanted, values)?;
            self.pages.read(rows);
            return Ok(());
        };
        let mut dense = std::mem::take(&mut self.own.dense);
        dense.clear();
        self.own.take(level, &mut page.values, count, None, &mut dense)?;
        let mut next = 0;
        let mut wanted = wanted.map(|wanted| wanted.iter().copied().peekable());
        for (row, &is_there) in present.iter().enumerate() {
            let is_wanted = wanted.as_mut().is_none_or(|wanted| wanted.next_if_eq(&(row as u16)).is_some());
            if is_wanted && !is_there {
                nulls.push(values.len() as u32);
            }
            if is_wanted {
                values.push(if is_there { dense[next] } else { L::Value::default() });
            }
            next += is_there as usize;
        }
        self.own.dense = dense;
        self.pages.read(rows);
        Ok(())
    }
}

impl<L: Layout> Own<L> {
    /// Adds the next `count` values of a page; of them the `wanted` ones, if not all.
    fn take(
        &mut self,
        level: Level,
        page: &mut PageValues,
        count: usize,
        wanted: Option<&[u16]>,
        out: &mut Vec<L::Value>,
    ) -> Result<()> {
        match page {
            PageValues::Plain { bytes, at } => {
                append::<L>(bytes.get(*at..).unwrap_or_default(), count, wanted, out)?;
                *at += count * L::BYTES;
            }
            PageValues::Codes(codes) => {
                self.codes.clear();
                codes.read(level, count, &mut self.codes)?;
                append_coded(level, self.dictionary.values(), &self.codes, wanted, out)?;
            }
        }
        Ok(())
    }
}

/// Adds the first `count` values in `bytes`; of them the `wanted` ones, if not all.
fn append<L: Layout>(bytes: &[u8], count: usize, wanted: Option<&[u16]>, out: &mut Vec<L::Value>) -> Result<()> {
    let Some(bytes) = bytes.get(..count.saturating_mul(L::BYTES)) else {
        return Err(damaged("a page ends before its values do"));
    };
    match wanted {
        None => out.extend(bytes.chunks_exact(L::BYTES).map(L::value)),
        Some(rows) => out.extend(rows.iter().map(|&row| {
            let at = row as usize * L::BYTES;
            L::value(&bytes[at..at + L::BYTES])
        })),
    }
    Ok(())
}

fn append_coded<T: Fixed>(
    level: Level,
    dictionary: &[T],
    codes: &[u32],
    wanted: Option<&[u16]>,
    out: &mut Vec<T>,
) -> Result<()> {
    check_codes(level, codes, dictionary.len())?;
    match wanted {
        None => gather::append_u32(dictionary, codes, out),
        Some(rows) => out.extend(rows.iter().map(|&row| dictionary[codes[row as usize] as usize])),
    }
    Ok(())
}

/// Fails where a code stands for nothing.
pub(super) fn check_codes(level: Level, codes: &[u32], values: usize) -> Result<()> {
    let greatest = millstream_kernels::aggregate::min_max(level, codes, None);
    match greatest.is_none_or(|(_, greatest)| (greatest as usize) < values) {
        true => Ok(()),
        false => Err(damaged("a code is not in the dictionary")),
    }
}
