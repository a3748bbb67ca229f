//! Any value as JSON text: `to_json`, `to_jsonb`.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::batch::{Argument, Column};
use crate::error::Result;
use crate::function::custom::Interval;
use crate::function::dialect::interval_text;
use crate::function::{KernelContext, ScalarKernel};

/// How parts are set apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonStyle {
    /// `{"a":1,"b":[1,2]}`
    Compact,
    /// `{"a": 1, "b": [1, 2]}`
    Spaced,
}

/// A value of any type as JSON; NULL stays NULL.
pub fn to_json(data_type: &DataType, style: JsonStyle) -> Arc<dyn ScalarKernel> {
    Arc::new(ToJson { data_type: data_type.clone(), style })
}

#[derive(Debug)]
struct ToJson {
    data_type: DataType,
    style: JsonStyle,
}

impl ScalarKernel for ToJson {
    fn name(&self) -> &str {
        if self.style == JsonStyle::Compact { "to_json" } else { "to_jsonb" }
    }

    fn result_type(&self) -> DataType {
        DataType::Utf8View
    }

    fn evaluate(&self, _: &KernelContext, args: &[Argument<'_>], rows: usize, out: &mut Column) -> Result<()> {
        let array = args[0].to_array(&self.data_type)?;
        let mut texts = StringViewBuilder::with_capacity(rows);
        let mut text = String::new();
        for row in 0..rows {
            let row = if array.len() == 1 { 0 } else { row };
            if is_null(&array, row) {
                texts.append_null();
                continue;
            }
            text.clear();
            self.write(&array, row, &mut text)?;
            texts.append_value(&text);
        }
        *out = Column::Array(Arc::new(texts.finish()));
        Ok(())
    }

    fn can_fail(&self) -> bool {
        false
    }
}

impl ToJson {
    fn write(&self, array: &ArrayRef, row: usize, out: &mut String) -> Result<()> {
        if is_null(array, row) {
            out.push_str("null");
            return Ok(());
        }
        let (comma, colon) = if self.style == JsonStyle::Compact { (",", ":") } else { (", ", ": ") };
        match array.data_type() {
            DataType::Boolean => out.push_str(if array.as_boolean().value(row) { "true" } else { "false" }),
            DataType::Float32 => number(array.as_primitive::<Float32Type>().value(row).into(), out),
            DataType::Float64 => number(array.as_primitive::<Float64Type>().value(row), out),
            plain if plain.is_numeric() => out.push_str(&shown(array, row)?),
            DataType::List(_) => self.list(&array.as_list::<i32>().value(row), out)?,
            DataType::LargeList(_) => self.list(&array.as_list::<i64>().value(row), out)?,
            DataType::FixedSizeList(..) => self.list(&array.as_fixed_size_list().value(row), out)?,
            DataType::Struct(fields) => {
                out.push('{');
                for (at, (field, column)) in fields.iter().zip(array.as_struct().columns()).enumerate() {
                    out.push_str(if at > 0 { comma } else { "" });
                    quote(field.name(), out);
                    out.push_str(colon);
                    self.write(column, row, out)?;
                }
                out.push('}');
            }
            DataType::Map(..) => {
                let entries = array.as_map().value(row);
                let [keys, values] = [0, 1].map(|side| entries.column(side).clone());
                out.push('{');
                for at in 0..entries.len() {
                    out.push_str(if at > 0 { comma } else { "" });
                    quote(&shown(&keys, at)?, out);
                    out.push_str(colon);
                    self.write(&values, at, out)?;
                }
                out.push('}');
            }
            DataType::Interval(IntervalUnit::MonthDayNano) => {
                let IntervalMonthDayNano { months, days, nanoseconds } =
                    array.as_primitive::<IntervalMonthDayNanoType>().value(row);
                quote(&interval_text(Interval { months, days, nanoseconds }), out);
            }
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                quote(&format!("\\x{}", shown(array, row)?), out);
            }
            _ => quote(&shown(array, row)?, out),
        }
        Ok(())
    }

    fn list(&self, values: &ArrayRef, out: &mut String) -> Result<()> {
        out.push('[');
        for at in 0..values.len() {
            out.push_str(if at == 0 {
                ""
            } else if self.style == JsonStyle::Compact {
                ","
            } else {
                ", "
            });
            self.write(values, at, out)?;
        }
        out.push(']');
        Ok(())
    }
}

/// Of a column that is nothing but NULL arrays say that no row is.
fn is_null(array: &ArrayRef, row: usize) -> bool {
    array.is_null(row) || *array.data_type() == DataType::Null
}

fn shown(array: &ArrayRef, row: usize) -> Result<String> {
    Ok(ArrayFormatter::try_new(array, &FormatOptions::default())?.value(row).to_string())
}

/// What JSON has no number for is text.
fn number(value: f64, out: &mut String) {
    // A text grows without an error.
    let _ = match value {
        nan if nan.is_nan() => write!(out, "\"NaN\""),
        infinite if infinite.is_infinite() => {
            write!(out, "\"{}Infinity\"", if infinite < 0.0 { "-" } else { "" })
        }
        other => write!(out, "{other:?}"),
    };
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}
