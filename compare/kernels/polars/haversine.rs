//! The distance between two places on the earth, as a plugin for Polars.

use polars::prelude::*;
use pyo3_polars::derive::polars_expr;

#[polars_expr(output_type = Float64)]
fn haversine_km(inputs: &[Series]) -> PolarsResult<Series> {
    let columns = inputs.iter().map(|input| input.f64()).collect::<PolarsResult<Vec<_>>>()?;
    let distances = (0..columns[0].len()).map(|row| {
        let [lat1, lon1, lat2, lon2] = [columns[0].get(row)?, columns[1].get(row)?, columns[2].get(row)?, columns[3].get(row)?];
        let (lat, lon) = ((lat2 - lat1).to_radians() / 2.0, (lon2 - lon1).to_radians() / 2.0);
        let a = lat.sin().powi(2) + lat1.to_radians().cos() * lat2.to_radians().cos() * lon.sin().powi(2);
        Some(12_742.0 * a.sqrt().asin())
    });
    Ok(distances.collect::<Float64Chunked>().with_name("haversine_km".into()).into_series())
}
