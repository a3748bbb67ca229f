//! For tests: random columns of every type with the values that break things, and calls of kernels on them.

use std::sync::Arc;

use arrow::array::*;
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use millstream_kernels::{bitmap, level};

use crate::batch::{Argument, Column, Flat, Selection, Values};
use crate::error::Result;
use crate::function::{KernelContext, ScalarKernel};

/// Numbers from a seed (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// A random column, one in four null when `nulls`. `small` keeps numbers within a hundred of zero.
pub fn column(random: &mut Random, data_type: &DataType, rows: usize, nulls: bool, small: bool) -> ArrayRef {
    let mut valid = Vec::new();
    for _ in 0..rows {
        valid.push(!(nulls && random.one_in(4)));
    }
    let of = |valid: &[bool], mut value: Box<dyn FnMut() -> i64 + '_>| -> Int64Array {
        valid.iter().map(|&valid| Some(value()).filter(|_| valid)).collect()
    };
    match data_type {
        DataType::Boolean => {
            Arc::new(valid.iter().map(|&v| Some(random.one_in(2)).filter(|_| v)).collect::<BooleanArray>())
        }
        DataType::Utf8View => {
            let texts: Vec<String> = (0..rows).map(|_| text(random)).collect();
            Arc::new(texts.iter().zip(&valid).map(|(t, &v)| Some(t).filter(|_| v)).collect::<StringViewArray>())
        }
        DataType::BinaryView => {
            let texts: Vec<String> = (0..rows).map(|_| text(random)).collect();
            let bytes = texts.iter().zip(&valid).map(|(t, &v)| Some(t.as_bytes()).filter(|_| v));
            Arc::new(bytes.collect::<BinaryViewArray>())
        }
        DataType::Float32 | DataType::Float64 => {
            let floats: Vec<f64> = (0..rows).map(|_| float(random, small)).collect();
            let array: Float64Array = floats.iter().zip(&valid).map(|(f, &v)| Some(*f).filter(|_| v)).collect();
            cast(&array, data_type).unwrap()
        }
        DataType::Decimal128(..) => {
            let array: Decimal128Array =
                valid.iter().map(|&v| Some(i128::from(random.next() as i32)).filter(|_| v)).collect();
            Arc::new(array.with_data_type(data_type.clone()))
        }
        DataType::UInt64 => {
            let array: UInt64Array = valid
                .iter()
                .map(|&v| Some(if small { random.below(100) as u64 } else { edge(random) as u64 }).filter(|_| v))
                .collect();
            Arc::new(array)
        }
        DataType::Date32 => {
            let days = of(&valid, Box::new(|| random.below(2_000_000) as i64 - 1_000_000));
            cast(&cast(&days, &DataType::Int32).unwrap(), data_type).unwrap()
        }
        DataType::Timestamp(..) => {
            let ticks = of(&valid, Box::new(|| random.next() as i64 >> random.below(60)));
            cast(&ticks, data_type).unwrap()
        }
        integers => {
            let bits = 8 * integers.primitive_width().expect("an integer");
            let signed = integers.is_signed_integer();
            let value = |random: &mut Random| match (small, signed) {
                (true, true) => random.below(200) as i64 - 100,
                (true, false) => random.below(100) as i64,
                (false, true) => edge(random) >> (64 - bits),
                (false, false) => (edge(random) as u64 >> (64 - bits)) as i64,
            };
            cast(&of(&valid, Box::new(|| value(random))), data_type).unwrap()
        }
    }
}

fn edge(random: &mut Random) -> i64 {
    match random.below(8) {
        0 => i64::MIN,
        1 => i64::MAX,
        2 => 0,
        3 => -1,
        _ => random.next() as i64 >> random.below(63),
    }
}

fn float(random: &mut Random, small: bool) -> f64 {
    match random.below(if small { 4 } else { 12 }) {
        4 => f64::NAN,
        5 => -f64::NAN,
        6 => f64::INFINITY,
        7 => f64::NEG_INFINITY,
        8 => -0.0,
        9 => 0.0,
        10 => 1e300,
        _ => random.below(20_000) as f64 / 64.0 - 150.0,
    }
}

/// Texts that share prefixes, hold zeros, and lie on both sides of 12 bytes.
fn text(random: &mut Random) -> String {
    let start =
        ["", "a", "ab", "abc", "abcd", "abcdefghijk", "abcdefghijkl", "abcdefghijklm", "ä", "b\0"][random.below(10)];
    let end = ["", "", "x", "\0", "\0\0", "yz", " and some more of it", " and some more of that"][random.below(8)];
    format!("{start}{end}")
}

/// A column as evaluators hand it to kernels.
pub struct Loaded {
    column: Column,
    validity: Option<Vec<u64>>,
    rows: usize,
}

impl Loaded {
    pub fn array(array: &ArrayRef) -> Self {
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        let validity = nulls.map(|nulls| {
            let mut words = Vec::new();
            bitmap::from_bytes(nulls.validity(), nulls.offset(), nulls.len(), &mut words);
            words
        });
        let column = match array.as_boolean_opt() {
            None => Column::Array(array.clone()),
            Some(booleans) => {
                let (mut words, values) = (Vec::new(), booleans.values());
                bitmap::from_bytes(values.values(), values.offset(), values.len(), &mut words);
                let mut flat = Flat::new(Values::Bool(words));
                flat.rows = array.len();
                flat.set_validity(validity.as_deref());
                Column::Flat(flat)
            }
        };
        Loaded { column, validity, rows: array.len() }
    }

    /// Row 0 of an array, for `rows` rows.
    pub fn constant(array: &ArrayRef, rows: usize) -> Self {
        Loaded { column: Column::Constant(array.slice(0, 1)), validity: None, rows }
    }

    pub fn argument(&self) -> Argument<'_> {
        Argument::new(&self.column, self.validity.as_deref(), self.rows)
    }
}

/// Row 0 of an array, `rows` times over.
pub fn repeated(array: &ArrayRef, rows: usize) -> ArrayRef {
    take(array, &UInt32Array::from_value(0, rows), None).unwrap()
}

/// The array with every NaN the same: which of two NaN an addition passes on is the compiler's choice.
pub fn one_nan(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Float32 => {
            let floats = array.as_primitive::<Float32Type>();
            Arc::new(floats.unary::<_, Float32Type>(|value| if value.is_nan() { f32::NAN } else { value }))
        }
        DataType::Float64 => {
            let floats = array.as_primitive::<Float64Type>();
            Arc::new(floats.unary::<_, Float64Type>(|value| if value.is_nan() { f64::NAN } else { value }))
        }
        _ => array.clone(),
    }
}

/// Evaluates a kernel at every level of this CPU and returns what all of them agree on.
pub fn evaluate(kernel: &dyn ScalarKernel, args: &[Loaded], rows: usize) -> Result<ArrayRef> {
    let arguments: Vec<Argument<'_>> = args.iter().map(Loaded::argument).collect();
    let mut results = Vec::new();
    for level in level::available() {
        // What an earlier batch left behind must not show.
        let mut out = Column::default();
        if let Some(values) = crate::batch::Kind::of(&kernel.result_type()).values() {
            let mut flat = Flat::new(values);
            flat.validity_mut(rows + 100).fill(0x5555_5555_5555_5555);
            out = Column::Flat(flat);
        }
        kernel.evaluate(&KernelContext { level, ..KernelContext::default() }, &arguments, rows, &mut out)?;
        results.push(out.to_array(&kernel.result_type(), rows, &Selection::default())?);
    }
    let first = one_nan(&results[0]);
    for other in &results[1..] {
        assert_eq!(first.to_data(), one_nan(other).to_data(), "levels of the CPU agree on {}", kernel.name());
    }
    Ok(results.remove(0))
}
