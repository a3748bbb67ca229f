//! Values at places: put over what was there, given up, and compared in order.

use std::cmp::Ordering;

use arrow::array::ArrayRef;
use millstream_kernels::bitmap;

use super::{Data, Incoming, Slices, Stored, nulls_of};
use crate::batch::{Values, make_room, room_for};

/// A value that is kept, or one of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::state) enum Place {
    Kept(u32),
    Row(u32),
}

/// An order of all values of a type: floats as IEEE 754 orders them in total, as Arrow's row format does.
trait Ordered: Copy {
    fn order(self, other: Self) -> Ordering;
}

macro_rules! ordered {
    ($method:ident: $($t:ty),+) => {
        $(impl Ordered for $t {
            #[inline(always)]
            fn order(self, other: Self) -> Ordering {
                self.$method(&other)
            }
        })+
    };
}
ordered!(cmp: i8, i16, i32, i64, u8, u16, u32, u64, i128);
ordered!(total_cmp: f32, f64);

impl Stored {
    /// Makes room for `count` values in all, those that are not put yet being anything.
    pub(in crate::state) fn grow(&mut self, count: usize) {
        macro_rules! grow {
            ($($kind:ident),+) => {
                match &mut self.data {
                    Data::Fixed(Values::Bool(words)) => words.resize(count.div_ceil(64), 0),
                    $(Data::Fixed(Values::$kind(values)) => {
                        make_room(values, count);
                        values.resize(count, Default::default());
                    })+
                    Data::Views(heap) => {
                        if let Some(room) = room_for::<u128>(heap.capacity(), count) {
                            heap.try_reserve(room);
                        }
                        heap.grow(count);
                    }
                }
            };
        }
        grow!(I8, I16, I32, I64, U8, U16, U32, U64, F32, F64, I128);
        if self.nullable {
            self.validity.resize(count.div_ceil(64), u64::MAX);
        }
        self.rows = count;
    }

    /// Puts the values at `rows` of a column of a batch at `places`, one each.
    pub(in crate::state) fn put(&mut self, incoming: &Incoming<'_>, rows: &[u32], places: &[u32]) {
        debug_assert_eq!(rows.len(), places.len(), "a place per row");
        self.put_validity(incoming, rows, places);
        let stride = incoming.stride;
        let pairs = || rows.iter().map(|&row| row as usize * stride).zip(places.iter().map(|&place| place as usize));
        macro_rules! put {
            ($($kind:ident),+) => {
                match (&mut self.data, &incoming.slices) {
                    $((Data::Fixed(Values::$kind(to)), Slices::$kind(from)) => {
                        pairs().for_each(|(row, place)| to[place] = from[row]);
                    })+
                    (Data::Fixed(Values::Bool(to)), Slices::Constant(value)) => {
                        pairs().for_each(|(_, place)| set_bit(to, place, *value));
                    }
                    (Data::Fixed(Values::Bool(to)), Slices::Bits(from)) => {
                        pairs().for_each(|(row, place)| set_bit(to, place, bitmap::get(from, row)));
                    }
                    (Data::Views(heap), _) => heap.put(&incoming.views(), pairs()),
                    _ => unreachable!("an incoming column has the type of the stored one"),
                }
            };
        }
        put!(I8, I16, I32, I64, U8, U16, U32, U64, F32, F64, I128);
    }

    fn put_validity(&mut self, incoming: &Incoming<'_>, rows: &[u32], places: &[u32]) {
        if !incoming.may_be_null() && !self.nullable {
            return;
        }
        if !self.nullable {
            self.nullable = true;
            self.validity.clear();
            self.validity.resize(self.rows.div_ceil(64), u64::MAX);
        }
        for (&row, &place) in rows.iter().zip(places) {
            set_bit(&mut self.validity, place as usize, !incoming.is_null(row as usize));
        }
    }

    /// Gives up the value at a place: its bytes, where it is a string.
    pub(in crate::state) fn give_up(&mut self, place: u32) {
        if let Data::Views(heap) = &mut self.data {
            heap.clear(place as usize);
        }
    }

    /// Says that nothing more is put: strings may be shared.
    pub(in crate::state) fn seal(&mut self) {
        if let Data::Views(heap) = &mut self.data {
            heap.seal();
        }
    }

    /// The strings at places as a column that shares their bytes, once they are sealed; `None`: no strings.
    pub(in crate::state) fn shared(&self, places: &[u32]) -> Option<ArrayRef> {
        let Data::Views(heap) = &self.data else { return None };
        let nulls = self.nullable.then(|| nulls_of(places, |place| (self, place as usize)));
        Some(heap.shared(places, nulls))
    }

    /// Compares two values, nulls being least.
    pub(in crate::state) fn compare(&self, a: Place, b: Place, incoming: Option<&Incoming<'_>>) -> Ordering {
        match (self.is_null_at(a, incoming), self.is_null_at(b, incoming)) {
            (false, false) => self.compare_valid(a, b, incoming),
            (a, b) => b.cmp(&a),
        }
    }

    /// Whether a value is null.
    pub(in crate::state) fn is_null_at(&self, place: Place, incoming: Option<&Incoming<'_>>) -> bool {
        match place {
            Place::Kept(at) => self.is_null(at as usize),
            Place::Row(row) => incoming.is_some_and(|incoming| incoming.is_null(row as usize)),
        }
    }

    fn compare_valid(&self, a: Place, b: Place, incoming: Option<&Incoming<'_>>) -> Ordering {
        let rows = incoming.map(|incoming| (&incoming.slices, incoming.stride));
        macro_rules! compare {
            ($($kind:ident),+) => {
                match &self.data {
                    $(Data::Fixed(Values::$kind(kept)) => {
                        let value = |place: Place| match (place, rows) {
                            (Place::Kept(at), _) => kept[at as usize],
                            (Place::Row(row), Some((Slices::$kind(rows), stride))) => rows[row as usize * stride],
                            _ => unreachable!("an incoming column has the type of the stored one"),
                        };
                        value(a).order(value(b))
                    })+
                    Data::Fixed(Values::Bool(kept)) => {
                        let value = |place: Place| match (place, rows) {
                            (Place::Kept(at), _) => bitmap::get(kept, at as usize),
                            (Place::Row(row), Some((Slices::Bits(bits), _))) => bitmap::get(bits, row as usize),
                            (Place::Row(_), rows) => matches!(rows, Some((Slices::Constant(true), _))),
                        };
                        value(a).cmp(&value(b))
                    }
                    Data::Views(heap) => {
                        let source = incoming.map(|incoming| (incoming.views(), incoming.stride));
                        let value = |place: Place| match (place, &source) {
                            (Place::Kept(at), _) => heap.bytes(at as usize),
                            (Place::Row(row), Some((source, stride))) => source.bytes(row as usize * stride),
                            (Place::Row(_), None) => unreachable!("rows of a batch are compared with it beside"),
                        };
                        value(a).cmp(value(b))
                    }
                }
            };
        }
        compare!(I64, I32, I8, I16, U8, U16, U32, U64, F32, F64, I128)
    }
}

fn set_bit(words: &mut [u64], at: usize, bit: bool) {
    words[at / 64] = words[at / 64] & !(1 << (at % 64)) | (bit as u64) << (at % 64);
}
