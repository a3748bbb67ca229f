//! `date_trunc` and `date_bin` of the planner's library, mended.
//!
//! The library cuts to milliseconds and microseconds towards 1970, where a time before that has to become earlier; takes
//! times to nanoseconds on its way, which reach from 1677 to 2262 alone; and makes NULL of what it cannot tell.
//!
//! What is folded and what has no kernel of ours comes through here: times with a zone, months, origins.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, TimeUnit};
use datafusion_common::{Result as ForeignResult, ScalarValue, exec_datafusion_err, exec_err};
use datafusion_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion_expr::type_coercion::functions::fields_with_udf;
use datafusion_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TypeSignature,
};

use crate::function::scalar::month_start;
use crate::time::ticks_per_second;

const DAY_SECONDS: i64 = 86_400;

/// The library's function, with stretches of our own where they are of one size or of months.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Times {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

/// The mended function.
pub fn mend_times(inner: Arc<ScalarUDF>) -> ScalarUDF {
    let mut signature = Signature::new(TypeSignature::UserDefined, inner.signature().volatility);
    signature.parameter_names = inner.signature().parameter_names.clone();
    ScalarUDF::from(Times { inner, signature })
}

/// What a time is cut to.
#[derive(Debug, Clone, Copy)]
enum Stretch {
    /// So many ticks, one of them starting so many behind 1970.
    Ticks { size: i64, offset: i64 },
    /// So many months, of ticks so many a day.
    Months { count: i64, day: i64 },
}

impl Stretch {
    /// The start of the stretch that holds a tick; `None`: no tick can tell it.
    fn start(self, tick: i64) -> Option<i64> {
        match self {
            Stretch::Ticks { size, offset } => {
                let into = i128::from(tick) - i128::from(offset);
                i64::try_from(into.div_euclid(size.into()) * i128::from(size) + i128::from(offset)).ok()
            }
            Stretch::Months { count, day } => month_start(tick.div_euclid(day), count)?.checked_mul(day),
        }
    }
}

impl ScalarUDFImpl for Times {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Days become times in microseconds, not in nanoseconds, which do not reach far.
    fn coerce_types(&self, types: &[DataType]) -> ForeignResult<Vec<DataType>> {
        let day_to_time = |data_type: &DataType| match data_type {
            DataType::Date32 | DataType::Date64 => DataType::Timestamp(TimeUnit::Microsecond, None),
            other => other.clone(),
        };
        let field = |data_type: &DataType| Arc::new(Field::new("", day_to_time(data_type), true));
        let fields: Vec<FieldRef> = types.iter().map(field).collect();
        let fields = fields_with_udf(&fields, self.inner.as_ref())?;
        Ok(fields.iter().map(|field| field.data_type().clone()).collect())
    }

    fn return_type(&self, types: &[DataType]) -> ForeignResult<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> ForeignResult<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> ForeignResult<ExprSimplifyResult> {
        self.inner.simplify(args, info)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> ForeignResult<ColumnarValue> {
        let Some(stretch) = stretch(self.name(), &args.args) else { return self.whole(args) };
        let beyond =
            |tick: i64| exec_datafusion_err!("{}: beyond the times that can be told: {tick}", self.inner.name());
        match &args.args[1] {
            ColumnarValue::Array(times) => {
                let ticks = cast(times, &DataType::Int64)?;
                let ticks = ticks.as_primitive::<Int64Type>();
                let cut = ticks.try_unary::<_, Int64Type, _>(|tick| stretch.start(tick).ok_or_else(|| beyond(tick)))?;
                Ok(ColumnarValue::Array(cast(&cut, times.data_type())?))
            }
            ColumnarValue::Scalar(time) => {
                let ScalarValue::Int64(tick) = time.cast_to(&DataType::Int64)? else { return self.whole(args) };
                let cut = tick.map(|tick| stretch.start(tick).ok_or_else(|| beyond(tick))).transpose()?;
                Ok(ColumnarValue::Scalar(ScalarValue::Int64(cut).cast_to(&time.data_type())?))
            }
        }
    }
}

impl Times {
    /// What the library makes of it, unless it makes NULL of something.
    fn whole(&self, args: ScalarFunctionArgs) -> ForeignResult<ColumnarValue> {
        let given = args.args.clone();
        let made = self.inner.invoke_with_args(args)?;
        let arrays = ColumnarValue::values_to_arrays(&[given, vec![made.clone()]].concat())?;
        let (result, given) = arrays.split_last().expect("the result is among them");
        // Of a column that is nothing but NULL arrays say that no row is.
        let is_null = |array: &ArrayRef, row: usize| *array.data_type() == DataType::Null || array.is_null(row);
        let is_lost =
            |row: usize| is_null(result, row) && !given.iter().any(|arg| is_null(arg, row.min(arg.len() - 1)));
        match (0..result.len()).find(|&row| is_lost(row)) {
            Some(_) => exec_err!("{}: beyond the times that can be told", self.inner.name()),
            None => Ok(made),
        }
    }
}

/// What a call cuts to, where the library's own way is not the one.
fn stretch(name: &str, args: &[ColumnarValue]) -> Option<Stretch> {
    let (ColumnarValue::Scalar(first), DataType::Timestamp(unit, zone)) = (args.first()?, args.get(1)?.data_type())
    else {
        return None;
    };
    let second = ticks_per_second(unit);
    let of_size = |size: i64, offset: i64| Some(Stretch::Ticks { size, offset });
    if name == "date_bin" {
        let ScalarValue::IntervalMonthDayNano(Some(size)) = first else { return None };
        let day = i128::from(size.days) * i128::from(DAY_SECONDS) * 1_000_000_000;
        let (nanoseconds, tick) = (day + i128::from(size.nanoseconds), i128::from(1_000_000_000 / second));
        let is_plain = args.len() == 2 && zone.is_none() && size.months == 0;
        let is_whole = nanoseconds > 0 && nanoseconds % tick == 0;
        return if is_plain && is_whole { of_size(i64::try_from(nanoseconds / tick).ok()?, 0) } else { None };
    }
    let day = second * DAY_SECONDS;
    let months = |count: i64| Some(Stretch::Months { count, day });
    match (first.try_as_str().flatten()?.to_ascii_lowercase().as_str(), zone.is_none()) {
        ("microsecond", _) => of_size((second / 1_000_000).max(1), 0),
        ("millisecond", _) => of_size((second / 1_000).max(1), 0),
        ("second", true) => of_size(second, 0),
        ("minute", true) => of_size(second * 60, 0),
        ("hour", true) => of_size(second * 3_600, 0),
        ("day", true) => of_size(day, 0),
        // Weeks begin on Monday, and 1970 on a Thursday.
        ("week", true) => of_size(day * 7, day * 4),
        ("month", true) => months(1),
        ("quarter", true) => months(3),
        ("year", true) => months(12),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_reach_below_1970() {
        let start = |stretch: Stretch, tick: i64| stretch.start(tick).expect("a tick");
        let hours = Stretch::Ticks { size: 3_600, offset: 0 };
        assert_eq!((start(hours, -1), start(hours, 3_600), start(hours, 7_199)), (-3_600, 3_600, 3_600));
        let months = |count: i64| Stretch::Months { count, day: 1 };
        // 1969-12-31, 1970-01-31, 2024-02-29, 0001-01-01
        assert_eq!([-1, 30, 19_782, -719_162].map(|day| start(months(1), day)), [-31, 0, 19_754, -719_162]);
        assert_eq!([-1, 30, 19_782, -719_162].map(|day| start(months(3), day)), [-92, 0, 19_723, -719_162]);
        assert_eq!([-1, 30, 19_782, -719_162].map(|day| start(months(12), day)), [-365, 0, 19_723, -719_162]);
        assert_eq!(Stretch::Ticks { size: 7, offset: 4 }.start(i64::MIN), None);
    }
}
