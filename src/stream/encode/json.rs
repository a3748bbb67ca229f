//! JSON, one object per line; members in the order of the columns, nulls included.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::Encoder;
use super::cell::{Cells, json_key};
use super::names::unique_names;
use crate::error::Result;

/// Writes NDJSON.
pub struct JsonEncoder {
    keys: Vec<Vec<u8>>,
}

impl JsonEncoder {
    pub fn new(schema: &SchemaRef) -> Self {
        JsonEncoder { keys: unique_names(schema).iter().map(|name| json_key(name)).collect() }
    }
}

impl Encoder for JsonEncoder {
    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let columns = rows.columns().iter().map(Cells::new).collect::<Result<Vec<_>>>()?;
        for row in 0..rows.num_rows() {
            out.push(b'{');
            for (index, (column, key)) in columns.iter().zip(&self.keys).enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(key);
                column.write_json(row, out);
            }
            out.extend_from_slice(b"}\n");
        }
        Ok(())
    }

    fn finish(&mut self, _: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Decimal128Array, Float64Array, StringArray};
    use std::sync::Arc;

    #[test]
    fn keeps_order_and_tells_names_apart() {
        let prices = Decimal128Array::from(vec![Some(1250), None]).with_precision_and_scale(10, 2).unwrap();
        let rows = RecordBatch::try_from_iter([
            ("z", Arc::new(prices) as ArrayRef),
            ("a", Arc::new(StringArray::from(vec!["x", "\""]))),
            ("z", Arc::new(Float64Array::from(vec![f64::NAN, 0.5]))),
        ]);
        let rows = rows.unwrap();
        let mut out = Vec::new();
        JsonEncoder::new(&rows.schema()).encode(&rows, &mut out).unwrap();
        let expected = "{\"z\":12.50,\"a\":\"x\",\"z_1\":null}\n{\"z\":null,\"a\":\"\\\"\",\"z_1\":0.5}\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
