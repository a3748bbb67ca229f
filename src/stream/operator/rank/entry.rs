//! A row of a key and its place in the order: written down as bytes, or a row of a stored batch.
//!
//! ```text
//! written:  | ORDER BY keys | all columns of the row |     bytes that compare as the rows do, ties by all columns
//! stored:   | the order's beginning | batch | row |        columns are looked at only when beginnings are equal
//! ```
//! Rows that may be taken back are written: they are found again by what they hold. Others are stored as columns.

use std::cmp::Ordering;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use arrow::array::{ArrayRef, make_comparator};
use arrow::compute::SortOptions;
use arrow::datatypes::DataType;
use arrow::row::{Row, RowConverter, Rows, SortField};

use super::RankShape;
use crate::error::Result;
use crate::stream::operator::held::size_bytes;

/// Bytes of an array beside its values.
const ARRAY_BYTES: usize = 128;
/// After one comparison per so many rows, a batch writes all of its rows down.
const ASKED_SHARE: usize = 2;

/// A row with its place in the order.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    Written {
        bytes: Arc<[u8]>,
        /// How many of the bytes are ORDER BY keys.
        order_bytes: u32,
    },
    Stored {
        /// The first bytes of the first ORDER BY key.
        prefix: u128,
        batch: Arc<Stored>,
        row: u32,
    },
}

impl Entry {
    pub fn written(order: &[u8], row: &[u8]) -> Self {
        let bytes: Vec<u8> = order.iter().chain(row).copied().collect();
        Entry::Written { bytes: bytes.into(), order_bytes: order.len() as u32 }
    }

    /// Compares places in the order.
    pub fn cmp_order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Entry::Written { .. }, Entry::Written { .. }) => self.written_parts().0.cmp(other.written_parts().0),
            (
                Entry::Stored { prefix, batch, row },
                Entry::Stored { prefix: other_prefix, batch: other_batch, row: other_row },
            ) => prefix.cmp(other_prefix).then_with(|| match batch.converters.prefix_decides {
                true => Ordering::Equal,
                false => batch.cmp_rows(*row, other_batch, *other_row, Part::Order),
            }),
            _ => unreachable!("a table holds entries of one kind"),
        }
    }

    /// The bytes of the ORDER BY keys and those of the row. Stored rows have none.
    pub fn written_parts(&self) -> (&[u8], &[u8]) {
        match self {
            Entry::Written { bytes, order_bytes } => bytes.split_at(*order_bytes as usize),
            Entry::Stored { .. } => unreachable!("asked of written rows only"),
        }
    }

    /// Bytes the entry takes, without what is stored in batches.
    pub fn size_bytes(&self) -> usize {
        let written = if let Entry::Written { bytes, .. } = self { bytes.len() + 2 * size_of::<usize>() } else { 0 };
        written + size_of::<Entry>()
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Entry::Written { bytes, .. }, Entry::Written { bytes: others, .. }) => bytes.cmp(others),
            (Entry::Stored { batch, row, .. }, Entry::Stored { batch: other_batch, row: other_row, .. }) => {
                if Arc::ptr_eq(batch, other_batch) && row == other_row {
                    return Ordering::Equal;
                }
                self.cmp_order(other).then_with(|| batch.cmp_rows(*row, other_batch, *other_row, Part::Row))
            }
            _ => unreachable!("a table holds entries of one kind"),
        }
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

/// Columns to bytes and back.
#[derive(Debug)]
pub(super) struct Converters {
    pub order: RowConverter,
    pub row: RowConverter,
    order_options: Vec<SortOptions>,
    /// The first ORDER BY key alone.
    first: Option<RowConverter>,
    /// Whether rows whose prefixes are equal have the same place in the order.
    prefix_decides: bool,
}

impl Converters {
    /// Failure: columns that cannot be ordered.
    pub fn new(shape: &RankShape) -> Result<Self> {
        let order_types = &shape.types[shape.spec.key_count..shape.own()];
        let field = |(data_type, options): (&DataType, _)| SortField::new_with_options(data_type.clone(), options);
        let order: Vec<SortField> = order_types.iter().zip(shape.spec.order.iter().copied()).map(field).collect();
        let row = shape.types[shape.own()..].iter().map(|data_type| SortField::new(data_type.clone()));
        // A byte says whether there is a value; a width of sixteen or more does not fit whole.
        let is_whole = |data_type: &DataType| data_type.primitive_width().is_some_and(|width| width < 16);
        let prefix_decides = match order_types {
            [] => true,
            [one] => is_whole(one),
            _ => false,
        };
        let first = order.first().cloned().map(|field| RowConverter::new(vec![field])).transpose()?;
        Ok(Converters {
            order: RowConverter::new(order)?,
            row: RowConverter::new(row.collect())?,
            order_options: shape.spec.order.clone(),
            first,
            prefix_decides,
        })
    }

    /// What a comparison of entries begins with, for each row.
    pub fn prefixes(&self, order: &[ArrayRef], rows: usize) -> Result<Vec<u128>> {
        let (Some(converter), Some(first)) = (&self.first, order.first()) else { return Ok(vec![0; rows]) };
        let written = converter.convert_columns(std::slice::from_ref(first))?;
        let prefix = |row: Row<'_>| {
            let mut prefix = [0; 16];
            let length = row.data().len().min(prefix.len());
            prefix[..length].copy_from_slice(&row.data()[..length]);
            u128::from_be_bytes(prefix)
        };
        Ok(written.iter().map(prefix).collect())
    }
}

/// The batches that entries point into, their rows and bytes.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub batches: AtomicUsize,
    pub rows: AtomicUsize,
    pub bytes: AtomicUsize,
}

/// Rows as columns; gone with the last entry that points at one of them.
#[derive(Debug)]
pub(super) struct Stored {
    /// The ORDER BY keys, and the rows' own columns.
    pub order: Vec<ArrayRef>,
    pub own: Vec<ArrayRef>,
    rows: usize,
    bytes: usize,
    converters: Arc<Converters>,
    tally: Arc<Tally>,
    written: [Written; 2],
}

/// Rows of a batch written down, for those that are compared.
#[derive(Debug, Default)]
struct Written {
    all: OnceLock<Rows>,
    asked: AtomicUsize,
}

/// What of rows is written down.
#[derive(Debug, Clone, Copy)]
enum Part {
    Order,
    Row,
}

impl Stored {
    pub fn new(
        order: Vec<ArrayRef>,
        own: Vec<ArrayRef>,
        rows: usize,
        converters: &Arc<Converters>,
        tally: &Arc<Tally>,
    ) -> Arc<Self> {
        let bytes: usize = order.iter().chain(&own).map(|column| size_bytes(column) + ARRAY_BYTES).sum();
        let bytes = bytes + size_of::<Stored>();
        tally.batches.fetch_add(1, Relaxed);
        tally.rows.fetch_add(rows, Relaxed);
        tally.bytes.fetch_add(bytes, Relaxed);
        let (converters, tally, written) = (converters.clone(), tally.clone(), Default::default());
        Arc::new(Stored { order, own, rows, bytes, converters, tally, written })
    }

    /// Compares rows column by column, or by their bytes once that has been asked often.
    fn cmp_rows(&self, row: u32, other: &Stored, other_row: u32, part: Part) -> Ordering {
        let (columns, others, options) = match part {
            Part::Order => (&self.order, &other.order, Some(&self.converters.order_options)),
            Part::Row => (&self.own, &other.own, None),
        };
        let is_often = self.written[part as usize].asked.fetch_add(1, Relaxed) >= self.rows / ASKED_SHARE;
        // Nested values have NULLs inside, for which both ways need not have the same order.
        if is_often || columns.iter().any(|column| column.data_type().is_nested()) {
            return self.bytes(row, part).cmp(other.bytes(other_row, part));
        }
        for (at, (column, other_column)) in columns.iter().zip(others).enumerate() {
            let options = options.map_or_else(SortOptions::default, |options| options[at]);
            let compare = make_comparator(column, other_column, options).expect("columns of one type, checked before");
            match compare(row as usize, other_row as usize) {
                Ordering::Equal => {}
                different => return different,
            }
        }
        Ordering::Equal
    }

    /// A row written down; all of them are with the first.
    fn bytes(&self, row: u32, part: Part) -> &[u8] {
        let (converter, columns) = match part {
            Part::Order => (&self.converters.order, &self.order),
            Part::Row => (&self.converters.row, &self.own),
        };
        if columns.is_empty() {
            return &[];
        }
        let all = self.written[part as usize].all.get_or_init(|| {
            let all = converter.convert_columns(columns).expect("columns of the converter's types");
            self.tally.bytes.fetch_add(all.size(), Relaxed);
            all
        });
        all.row(row as usize).data()
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        let written: usize = self.written.iter().filter_map(|written| written.all.get()).map(Rows::size).sum();
        self.tally.batches.fetch_sub(1, Relaxed);
        self.tally.rows.fetch_sub(self.rows, Relaxed);
        self.tally.bytes.fetch_sub(self.bytes + written, Relaxed);
    }
}
