//! An average over time whose weights halve every minute, as a plugin for Polars.

use polars::prelude::*;
use pyo3_polars::derive::polars_expr;

#[polars_expr(output_type = Float64)]
fn ewma(inputs: &[Series]) -> PolarsResult<Series> {
    let times = inputs[1].cast(&DataType::Datetime(TimeUnit::Microseconds, None))?.cast(&DataType::Int64)?;
    let (values, times) = (inputs[0].f64()?, times.i64()?);
    let rows = || values.iter().zip(times.iter()).filter_map(|(x, at)| Some((x?, at?)));
    let last = rows().map(|(_, at)| at).max().unwrap_or(0);
    let (mut sum, mut weight) = (0.0, 0.0);
    for (x, at) in rows() {
        let fade = 0.5_f64.powf((last - at) as f64 / 60e6);
        (sum, weight) = (sum + x * fade, weight + fade);
    }
    Ok(Series::new("ewma".into(), [(weight > 0.0).then(|| sum / weight)]))
}
