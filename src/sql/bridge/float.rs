//! Floats in the one form that compares as PostgreSQL does.
//!
//! Arrow compares floats by IEEE's total order: -NaN < … < -0.0 < 0.0 < … < NaN. With every NaN made the positive one
//! and -0.0 made 0.0, that order is PostgreSQL's.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Schema};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::ColumnarValue;
use datafusion_physical_expr::PhysicalExpr;

/// The canonical form of a float operand.
#[derive(Debug)]
pub struct CanonicalFloat {
    pub operand: Arc<dyn PhysicalExpr>,
}

/// Whether values of this type compare by the total order unless made canonical.
pub fn is_float(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Float32 | DataType::Float64)
}

fn canonical_array(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Float64 => Arc::new(
            array
                .as_primitive::<Float64Type>()
                .unary::<_, Float64Type>(|x| if x.is_nan() { f64::NAN } else { x + 0.0 }),
        ),
        DataType::Float32 => Arc::new(
            array
                .as_primitive::<Float32Type>()
                .unary::<_, Float32Type>(|x| if x.is_nan() { f32::NAN } else { x + 0.0 }),
        ),
        _ => array.clone(),
    }
}

impl PhysicalExpr for CanonicalFloat {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.operand.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.operand.nullable(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        Ok(match self.operand.evaluate(batch)? {
            ColumnarValue::Array(array) => ColumnarValue::Array(canonical_array(&array)),
            ColumnarValue::Scalar(value) => {
                let array = canonical_array(&value.to_array()?);
                ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)
            }
        })
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.operand]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let operand = children.into_iter().next().expect("one child goes in and one comes out");
        Ok(Arc::new(CanonicalFloat { operand }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.operand.fmt_sql(f)
    }
}

impl fmt::Display for CanonicalFloat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.operand.fmt(f)
    }
}

impl PartialEq for CanonicalFloat {
    fn eq(&self, other: &Self) -> bool {
        self.operand.eq(&other.operand)
    }
}

impl Eq for CanonicalFloat {}

impl Hash for CanonicalFloat {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.operand.hash(state);
    }
}
