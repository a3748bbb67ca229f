//! Functions written for DataFusion, unmodified.

use std::sync::Arc;

use datafusion_common::{Result, ScalarValue};
use datafusion_expr::function::AccumulatorArgs;
use datafusion_expr::registry::FunctionRegistry;
use datafusion_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use millstream::arrow::array::{ArrayRef, AsArray, Float64Array};
use millstream::arrow::datatypes::{DataType, Field, Float64Type};

use super::{engine, rows};

#[derive(Debug, PartialEq, Eq, Hash)]
struct Cube(Signature);

impl ScalarUDFImpl for Cube {
    fn name(&self) -> &str {
        "cube"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let values = ColumnarValue::values_to_arrays(&args.args)?;
        let cubes: Float64Array = values[0].as_primitive::<Float64Type>().unary(|x| x * x * x);
        Ok(ColumnarValue::Array(Arc::new(cubes)))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Product(Signature);

impl AggregateUDFImpl for Product {
    fn name(&self) -> &str {
        "product"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(ProductState(1.0)))
    }
}

#[derive(Debug)]
struct ProductState(f64);

impl Accumulator for ProductState {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = values[0].as_primitive::<Float64Type>();
        self.0 *= values.iter().flatten().product::<f64>();
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(Some(self.0)))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Float64(Some(self.0))])
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }
}

fn cube() -> ScalarUDF {
    ScalarUDF::from(Cube(Signature::exact(vec![DataType::Float64], Volatility::Immutable)))
}

fn product() -> AggregateUDF {
    AggregateUDF::from(Product(Signature::exact(vec![DataType::Float64], Volatility::Immutable)))
}

/// As packages of functions do it.
fn register_all(registry: &mut dyn FunctionRegistry) -> Result<()> {
    registry.register_udf(Arc::new(cube()))?;
    registry.register_udaf(Arc::new(product()))?;
    Ok(())
}

const T: &str = "(VALUES (1, 2.0), (1, 3.0), (2, NULL)) AS t(k, x)";

#[test]
fn they_run_one_by_one_and_as_a_package() {
    let single = engine();
    single.register_udf(cube());
    single.register_udaf(product());
    let package = engine();
    register_all(&mut package.function_registry()).unwrap();
    for engine in [single, package] {
        assert_eq!(rows(&engine, &format!("SELECT cube(x) FROM {T}")), ["8.0", "27.0", "NULL"]);
        let mut grouped = rows(&engine, &format!("SELECT k, product(x) FROM {T} GROUP BY k"));
        grouped.sort();
        assert_eq!(grouped, ["1 6.0", "2 1.0"]);
    }
}

/// No SQL makes a value of a union type; a table in memory may hold some.
#[test]
fn functions_of_unions_take_what_arrow_brings() {
    use millstream::arrow::array::{Int32Array, RecordBatch, StringArray, UnionArray};
    use millstream::arrow::buffer::ScalarBuffer;
    use millstream::arrow::datatypes::UnionFields;
    let fields = vec![Field::new("number", DataType::Int32, true), Field::new("text", DataType::Utf8, true)];
    let fields = UnionFields::try_new([0, 1], fields).unwrap();
    let columns: Vec<ArrayRef> =
        vec![Arc::new(Int32Array::from(vec![7, 0])), Arc::new(StringArray::from(vec!["", "seven"]))];
    let union = UnionArray::try_new(fields, ScalarBuffer::from(vec![0_i8, 1]), None, columns).unwrap();
    let engine = engine();
    let batch = RecordBatch::try_from_iter([("u", Arc::new(union) as ArrayRef)]).unwrap();
    engine.register_batches("t", vec![batch]).unwrap();
    assert_eq!(
        rows(&engine, "SELECT union_tag(u), union_extract(u, 'number'), union_extract(u, 'text') FROM t"),
        ["number 7 NULL", "text NULL seven"]
    );
}
