//! What a column's options ask for: read once, checked against its type, turned into a rule.

use arrow::array::{Array, ArrayRef, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, IntervalUnit, TimeUnit};

use super::options::Options;
use crate::batch::{Fixed, Kind, engine_type};
use crate::error::{Error, Result};
use crate::time::ticks_per_second;

/// How a column's values follow from row numbers.
#[derive(Debug, Clone)]
pub struct Rule {
    pub data_type: DataType,
    /// Nulls among 2^53 rows.
    pub nulls: u64,
    pub values: Values,
}

/// The values of a rule.
#[derive(Debug, Clone)]
pub enum Values {
    /// Whole numbers, ticks or the digits of decimals.
    Numbers(Numbers),
    Floats(Floats),
    Booleans,
    /// Whole numbers as text.
    NumberTexts(Numbers),
    /// Random letters, so many.
    Letters(usize),
    /// Random bytes, so many.
    Bytes(usize),
    /// The entries of an array in turn, or at random.
    Picks {
        pool: ArrayRef,
        in_turn: bool,
    },
    Structs(Fields, Vec<Rule>),
    /// Lists of so many items.
    Lists(FieldRef, Box<Rule>, usize),
}

/// Whole numbers from row numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Numbers {
    /// `start + step * (row % count)`; a count of 2^64 or more is no bound.
    Sequence { start: i64, step: i64, count: u64 },
    /// `min` plus a random number below `span`; span 0 stands for 2^64.
    Random { min: i64, span: u64 },
    /// Ticks since 1970 when `rate` rows come per second: `start + row * ticks / rate`.
    Times { start: i64, ticks: u64, rate: u64 },
}

/// Floats from row numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Floats {
    Sequence { start: f64, step: f64, count: u64 },
    Random { min: f64, max: f64 },
}

const ATTRIBUTES: [&str; 9] = ["kind", "start", "end", "step", "min", "max", "length", "values", "null_rate"];
const LENGTH_DEFAULT: usize = 10;
const LENGTH_MAX: usize = 1 << 16;
const ITEMS_DEFAULT: usize = 3;
/// 2024-01-01, in seconds and in days since 1970.
const START_SECONDS: i64 = 1_704_067_200;
const START_DAYS: i64 = START_SECONDS / SECONDS_PER_DAY;
const SECONDS_PER_DAY: i64 = 86_400;
/// Random numbers of no declared bound go from 0 to this.
const NUMBER_MAX: i128 = 999_999;

/// Refuses options of columns that are not there, and unknown ones of those that are.
pub fn refuse_unknown(options: &Options, names: &[&str]) -> Result<()> {
    for key in options.keys() {
        let Some(rest) = key.strip_prefix("fields.") else { continue };
        let Some((name, attribute)) = rest.rsplit_once('.') else {
            return Err(Error::user(format!("option must read 'fields.<column>.<option>': '{key}'")));
        };
        if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return Err(Error::user(format!("option of an unknown column: '{key}'; columns are {}", names.join(", "))));
        }
        if !ATTRIBUTES.contains(&attribute) {
            let known = ATTRIBUTES.join(", ");
            return Err(Error::user(format!("unknown option of a datagen column: '{key}'; known are {known}")));
        }
    }
    Ok(())
}

/// The rule that the options give `field`.
pub fn rule(options: &Options, field: &Field, rate: u64) -> Result<Rule> {
    let column = ColumnOptions { options, name: field.name(), rate };
    let data_type = engine_type(field.data_type());
    let kind = column.kind(&data_type)?;
    column.refuse_others(kind)?;
    let nulls = (column.number("null_rate", 0.0, 1.0)?.unwrap_or(0.0) * (1u64 << 53) as f64) as u64;
    let values = match kind {
        "cycle" => Values::Picks { pool: column.values(&data_type)?, in_turn: true },
        "constant" => Values::Picks { pool: column.constant(&data_type)?, in_turn: true },
        "random" if column.text("values").is_some() => {
            Values::Picks { pool: column.values(&data_type)?, in_turn: false }
        }
        "sequence" => column.sequence(&data_type)?,
        _ => column.random(&data_type)?,
    };
    Ok(Rule { data_type, nulls, values })
}

impl Rule {
    pub fn has_nulls(&self) -> bool {
        self.nulls > 0 || matches!(&self.values, Values::Picks { pool, .. } if pool.null_count() > 0)
    }
}

/// The options of one column.
struct ColumnOptions<'a> {
    options: &'a Options<'a>,
    name: &'a str,
    rate: u64,
}

impl ColumnOptions<'_> {
    fn key(&self, attribute: &str) -> String {
        format!("fields.{}.{attribute}", self.name.to_lowercase())
    }

    fn text(&self, attribute: &str) -> Option<&str> {
        self.options.text(&self.key(attribute))
    }

    fn number<T: std::str::FromStr + PartialOrd + std::fmt::Display>(
        &self,
        attribute: &str,
        min: T,
        max: T,
    ) -> Result<Option<T>> {
        self.options.number(&self.key(attribute), min, max)
    }

    /// The kind asked for; else what the other options tell, else the default of the type.
    fn kind(&self, data_type: &DataType) -> Result<&'static str> {
        let given = |attributes: &[&str]| attributes.iter().any(|attribute| self.text(attribute).is_some());
        Ok(match self.text("kind").map(str::to_ascii_lowercase).as_deref() {
            Some("sequence") => "sequence",
            Some("random") => "random",
            Some("cycle") => "cycle",
            Some("constant") => "constant",
            Some(other) => {
                let key = self.key("kind");
                let kinds = "'sequence', 'random', 'cycle' or 'constant'";
                return Err(Error::user(format!("option '{key}' must be {kinds}: '{other}'")));
            }
            None if given(&["values"]) => "cycle",
            None if given(&["min", "max", "length"]) => "random",
            None if given(&["start", "end", "step"]) => "sequence",
            None if matches!(data_type, DataType::Timestamp(..)) => "sequence",
            None => "random",
        })
    }

    /// Refuses options that do not go with the kind.
    fn refuse_others(&self, kind: &str) -> Result<()> {
        let allowed: &[&str] = match kind {
            "sequence" => &["start", "end", "step"],
            "random" if self.text("values").is_some() => &["values"],
            "random" => &["min", "max", "length", "values"],
            _ => &["values"],
        };
        for attribute in &ATTRIBUTES[1..ATTRIBUTES.len() - 1] {
            if self.text(attribute).is_some() && !allowed.contains(attribute) {
                let (key, allowed) = (self.key(attribute), allowed.join(", "));
                return Err(Error::user(format!(
                    "option '{key}' does not go with kind '{kind}', which takes {allowed}"
                )));
            }
        }
        Ok(())
    }

    fn no_such(&self, kind: &str, data_type: &DataType) -> Error {
        Error::user(format!("datagen makes no {kind} of this type: {} {data_type}", self.name))
    }

    /// A text as an array of length 1 of the column's type.
    fn parse(&self, attribute: &str, text: &str, data_type: &DataType) -> Result<ArrayRef> {
        let text_array = StringArray::from(vec![text]);
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        cast_with_options(&text_array, data_type, &strict).map_err(|e| {
            let key = self.key(attribute);
            Error::user(format!("option '{key}' is no {data_type}: '{text}'")).caused_by(e)
        })
    }

    fn values(&self, data_type: &DataType) -> Result<ArrayRef> {
        let Some(list) = self.text("values") else {
            return Err(Error::user(format!(
                "option '{}' is needed here: values, parted by commas",
                self.key("values")
            )));
        };
        let parts = list.split(',').map(|part| self.parse("values", part.trim(), data_type));
        let parts = parts.collect::<Result<Vec<_>>>()?;
        let parts: Vec<&dyn Array> = parts.iter().map(|part| part.as_ref()).collect();
        Ok(arrow::compute::concat(&parts)?)
    }

    /// The whole text as the one value: a constant may hold commas.
    fn constant(&self, data_type: &DataType) -> Result<ArrayRef> {
        match self.text("values") {
            Some(text) => self.parse("values", text, data_type),
            None => self.values(data_type),
        }
    }

    /// A bound as whole number, ticks or digits.
    fn bound(&self, attribute: &str, data_type: &DataType) -> Result<Option<i128>> {
        let Some(text) = self.text(attribute) else { return Ok(None) };
        let array = self.parse(attribute, text, data_type)?;
        first_number(&array).map(Some).ok_or_else(|| self.no_such(attribute, data_type))
    }

    fn float_bound(&self, attribute: &str) -> Result<Option<f64>> {
        let Some(text) = self.text(attribute) else { return Ok(None) };
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Some(number)),
            _ => Err(Error::user(format!("option '{}' must be a finite number: '{text}'", self.key(attribute)))),
        }
    }

    fn sequence(&self, data_type: &DataType) -> Result<Values> {
        if matches!(data_type, DataType::Float32 | DataType::Float64) {
            return self.float_sequence();
        }
        let texts = *data_type == DataType::Utf8View;
        let number_type = if texts { &DataType::Int64 } else { data_type };
        let Some((least, most)) = range(number_type) else { return Err(self.no_such("sequence", data_type)) };
        let start_default = default_start(number_type);
        if let (DataType::Timestamp(unit, _), None, None) = (data_type, self.text("step"), self.text("end")) {
            let start = self.bound("start", data_type)?.unwrap_or(start_default) as i64;
            let ticks = ticks_per_second(*unit) as u64;
            return Ok(Values::Numbers(Numbers::Times { start, ticks, rate: self.rate }));
        }
        let start = self.bound("start", number_type)?.unwrap_or(start_default);
        let step = self.number("step", i64::MIN, i64::MAX)?.unwrap_or(1);
        let end = self.bound("end", number_type)?.unwrap_or(if step < 0 { least } else { most });
        if step == 0 || (end - start) * i128::from(step.signum()) < 0 {
            let key = self.key("step");
            return Err(Error::user(format!("a sequence does not get from its start to its end: '{key}' is {step}")));
        }
        let count = u64::try_from((end - start) / step as i128 + 1).unwrap_or(u64::MAX);
        let numbers = Numbers::Sequence { start: start as i64, step, count };
        Ok(if texts { Values::NumberTexts(numbers) } else { Values::Numbers(numbers) })
    }

    fn float_sequence(&self) -> Result<Values> {
        let start = self.float_bound("start")?.unwrap_or(0.0);
        let step = self.float_bound("step")?.unwrap_or(1.0);
        let count = match self.float_bound("end")? {
            None => u64::MAX,
            Some(end) if (end - start) / step >= 0.0 => ((end - start) / step + 1e-9) as u64 + 1,
            Some(_) => {
                let key = self.key("step");
                return Err(Error::user(format!(
                    "a sequence does not get from its start to its end: '{key}' is {step}"
                )));
            }
        };
        Ok(Values::Floats(Floats::Sequence { start, step, count }))
    }

    fn random(&self, data_type: &DataType) -> Result<Values> {
        let length = |default| Ok::<_, Error>(self.number("length", 0, LENGTH_MAX)?.unwrap_or(default));
        let values = match data_type {
            DataType::Boolean => Values::Booleans,
            DataType::Float32 | DataType::Float64 => {
                let (min, max) = (self.float_bound("min")?.unwrap_or(0.0), self.float_bound("max")?.unwrap_or(1.0));
                self.check_order(min <= max)?;
                Values::Floats(Floats::Random { min, max })
            }
            DataType::Utf8View => Values::Letters(length(LENGTH_DEFAULT)?),
            DataType::BinaryView => Values::Bytes(length(LENGTH_DEFAULT)?),
            DataType::Interval(unit) => Values::Picks { pool: self.intervals(*unit)?, in_turn: false },
            DataType::Struct(fields) => Values::Structs(fields.clone(), self.children(fields.iter())?),
            DataType::List(item) => {
                let items = length(ITEMS_DEFAULT)?;
                let rule = self.children(std::iter::once(item))?.remove(0);
                Values::Lists(item.clone(), Box::new(rule), items)
            }
            _ => self.random_numbers(data_type)?,
        };
        let (has_bounds, has_length) = match values {
            Values::Numbers(_) | Values::Floats(_) => (true, false),
            Values::Letters(_) | Values::Bytes(_) | Values::Lists(..) => (false, true),
            _ => (false, false),
        };
        for (attribute, applies) in [("min", has_bounds), ("max", has_bounds), ("length", has_length)] {
            if self.text(attribute).is_some() && !applies {
                let key = self.key(attribute);
                return Err(Error::user(format!("option '{key}' does not go with type {data_type}")));
            }
        }
        Ok(values)
    }

    /// The default rules of a column's parts, which take no options of their own.
    fn children<'f>(&self, fields: impl Iterator<Item = &'f FieldRef>) -> Result<Vec<Rule>> {
        let rule = |field: &FieldRef| {
            let kind = if matches!(field.data_type(), DataType::Timestamp(..)) { "sequence" } else { "random" };
            let name = format!("{}.{}", self.name, field.name());
            let part = ColumnOptions { options: self.options, name: &name, rate: self.rate };
            let data_type = field.data_type();
            let values = if kind == "sequence" { part.sequence(data_type) } else { part.random(data_type) };
            Ok(Rule { data_type: data_type.clone(), nulls: 0, values: values? })
        };
        fields.map(rule).collect()
    }

    fn random_numbers(&self, data_type: &DataType) -> Result<Values> {
        let Some((_, most)) = range(data_type) else { return Err(self.no_such("random value", data_type)) };
        let (min_default, max_default) = match data_type {
            DataType::Date32 => (START_DAYS as i128, START_DAYS as i128 + 365),
            DataType::Timestamp(unit, _) => {
                let start = default_start(data_type);
                (start, start + (366 * SECONDS_PER_DAY * ticks_per_second(*unit)) as i128 - 1)
            }
            DataType::Time32(_) | DataType::Time64(_) => (0, most),
            DataType::Decimal128(_, scale) => (0, most.min(10i128.saturating_pow((*scale).max(0) as u32 + 3) - 1)),
            _ => (0, most.min(NUMBER_MAX)),
        };
        let given_min = self.bound("min", data_type)?;
        let max = match (self.bound("max", data_type)?, given_min) {
            (Some(max), _) => max,
            (None, Some(min)) if min > max_default => most,
            (None, _) => max_default,
        };
        let min = given_min.unwrap_or_else(|| min_default.min(max));
        self.check_order(min <= max)?;
        Ok(Values::Numbers(Numbers::Random { min: min as i64, span: (max - min + 1) as u64 }))
    }

    fn check_order(&self, ordered: bool) -> Result<()> {
        let (min, max) = (self.key("min"), self.key("max"));
        if ordered { Ok(()) } else { Err(Error::user(format!("option '{min}' lies above '{max}'"))) }
    }

    fn intervals(&self, unit: IntervalUnit) -> Result<ArrayRef> {
        let texts = match unit {
            IntervalUnit::YearMonth => vec!["1 month", "2 months", "1 year", "2 years"],
            _ => vec!["1 second", "1 minute", "1 hour", "1 day"],
        };
        Ok(arrow::compute::cast(&StringArray::from(texts), &DataType::Interval(unit))?)
    }
}

/// The smallest and the largest number of a type that is made from whole numbers; `None` for other types.
fn range(data_type: &DataType) -> Option<(i128, i128)> {
    let day = |unit: TimeUnit| (SECONDS_PER_DAY * ticks_per_second(unit)) as i128 - 1;
    Some(match data_type {
        DataType::Int8 => (i8::MIN.into(), i8::MAX.into()),
        DataType::Int16 => (i16::MIN.into(), i16::MAX.into()),
        DataType::Int32 | DataType::Date32 => (i32::MIN.into(), i32::MAX.into()),
        DataType::Int64 | DataType::Timestamp(..) | DataType::Duration(_) => (i64::MIN.into(), i64::MAX.into()),
        DataType::UInt8 => (0, u8::MAX.into()),
        DataType::UInt16 => (0, u16::MAX.into()),
        DataType::UInt32 => (0, u32::MAX.into()),
        DataType::UInt64 => (0, u64::MAX.into()),
        DataType::Time32(unit) | DataType::Time64(unit) => (0, day(*unit)),
        // Digits beyond 64 bits are not made.
        DataType::Decimal128(precision, _) => {
            let most = (10i128.pow(*precision as u32) - 1).min(i64::MAX.into());
            (-most, most)
        }
        _ => return None,
    })
}

/// Where sequences start unless told: times in 2024, numbers at 0.
fn default_start(data_type: &DataType) -> i128 {
    match data_type {
        DataType::Date32 => START_DAYS.into(),
        DataType::Timestamp(unit, _) => (START_SECONDS * ticks_per_second(*unit)).into(),
        _ => 0,
    }
}

fn first_number(array: &ArrayRef) -> Option<i128> {
    fn first<T: Fixed + Into<i128>>(array: &ArrayRef) -> Option<i128> {
        T::of_array(array.as_ref()).map(|values| values[0].into())
    }
    match Kind::of(array.data_type()) {
        Kind::I8 => first::<i8>(array),
        Kind::I16 => first::<i16>(array),
        Kind::I32 => first::<i32>(array),
        Kind::I64 => first::<i64>(array),
        Kind::U8 => first::<u8>(array),
        Kind::U16 => first::<u16>(array),
        Kind::U32 => first::<u32>(array),
        Kind::U64 => first::<u64>(array),
        Kind::I128 => first::<i128>(array).filter(|digits| i64::try_from(*digits).is_ok()),
        _ => None,
    }
}
