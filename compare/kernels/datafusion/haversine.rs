//! The distance between two places on the earth, as a function for DataFusion.

use std::sync::Arc;

use arrow::array::{Array, Float64Array};
use arrow::datatypes::DataType;
use datafusion_common::Result;
use datafusion_common::cast::as_float64_array;
use datafusion_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};

pub fn haversine_km() -> ScalarUDF {
    let types = vec![DataType::Float64; 4];
    create_udf("haversine_km", types, DataType::Float64, Volatility::Immutable, Arc::new(evaluate))
}

fn evaluate(args: &[ColumnarValue]) -> Result<ColumnarValue> {
    let arrays = ColumnarValue::values_to_arrays(args)?;
    let columns = arrays.iter().map(|array| as_float64_array(array)).collect::<Result<Vec<_>>>()?;
    let distances = (0..columns[0].len()).map(|row| {
        if columns.iter().any(|column| column.is_null(row)) {
            return None;
        }
        let [lat1, lon1, lat2, lon2] = [0, 1, 2, 3].map(|column: usize| columns[column].value(row));
        let (lat, lon) = ((lat2 - lat1).to_radians() / 2.0, (lon2 - lon1).to_radians() / 2.0);
        let a = lat.sin().powi(2) + lat1.to_radians().cos() * lat2.to_radians().cos() * lon.sin().powi(2);
        Some(12_742.0 * a.sqrt().asin())
    });
    Ok(ColumnarValue::Array(Arc::new(distances.collect::<Float64Array>())))
}
