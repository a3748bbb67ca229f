//! A function of the planner's library beside one of ours, by the first argument: texts go to the library, bytes to us.
//!
//! Lives until the call is simplified, which knows the types; what runs is the one or the other.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::Result as ForeignResult;
use datafusion_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion_expr::type_coercion::functions::fields_with_udf;
use datafusion_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TypeSignature,
};

/// Both functions under the library's name.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Beside {
    of_bytes: Arc<ScalarUDF>,
    of_texts: Arc<ScalarUDF>,
    signature: Signature,
}

/// The function that is one of two by its first argument.
pub fn beside(of_bytes: Arc<ScalarUDF>, of_texts: Arc<ScalarUDF>) -> ScalarUDF {
    let mut signature = Signature::new(TypeSignature::UserDefined, of_texts.signature().volatility);
    signature.parameter_names = of_texts.signature().parameter_names.clone();
    ScalarUDF::from(Beside { of_bytes, of_texts, signature })
}

impl Beside {
    fn choose(&self, first: Option<&DataType>) -> &Arc<ScalarUDF> {
        match first {
            Some(first) if first.is_binary() => &self.of_bytes,
            _ => &self.of_texts,
        }
    }
}

impl ScalarUDFImpl for Beside {
    fn name(&self) -> &str {
        self.of_texts.name()
    }

    fn aliases(&self) -> &[String] {
        self.of_texts.aliases()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.of_texts.documentation()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> ForeignResult<Vec<DataType>> {
        let field = |data_type: &DataType| Arc::new(Field::new("", data_type.clone(), true));
        let fields: Vec<FieldRef> = types.iter().map(field).collect();
        let fields = fields_with_udf(&fields, self.choose(types.first()).as_ref())?;
        Ok(fields.iter().map(|field| field.data_type().clone()).collect())
    }

    fn return_type(&self, types: &[DataType]) -> ForeignResult<DataType> {
        self.choose(types.first()).return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> ForeignResult<FieldRef> {
        self.choose(args.arg_fields.first().map(|field| field.data_type())).return_field_from_args(args)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> ForeignResult<ExprSimplifyResult> {
        let first = args.first().map(|arg| info.get_data_type(arg)).transpose()?;
        Ok(ExprSimplifyResult::Simplified(self.choose(first.as_ref()).call(args)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> ForeignResult<ColumnarValue> {
        let first = args.args.first().map(ColumnarValue::data_type);
        self.choose(first.as_ref()).invoke_with_args(args)
    }
}
