//! The same as `haversine.rs` in a shared library of its own; written whole, as that takes fewer lines than to share it.

use std::sync::Arc;

use datafusion::arrow::array::{Array, Float64Array};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::cast::as_float64_array;
use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
use datafusion_ffi::udf::FFI_ScalarUDF;

#[unsafe(no_mangle)]
pub extern "C" fn haversine_km() -> FFI_ScalarUDF {
    let types = vec![DataType::Float64; 4];
    let function = create_udf("haversine_km", types, DataType::Float64, Volatility::Immutable, Arc::new(evaluate));
    FFI_ScalarUDF::from(Arc::new(function))
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
