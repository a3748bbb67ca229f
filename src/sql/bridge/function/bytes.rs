//! A function of texts from DataFusion and one of bytes of ours under one name: the first argument tells which is meant.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion_common::Result as ForeignResult;
use datafusion_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion_expr::type_coercion::functions::fields_with_udf;
use datafusion_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TypeSignature,
};

/// A function of texts with its kin of bytes.
struct WithBytes {
    text: Arc<ScalarUDF>,
    bytes: Arc<ScalarUDF>,
    signature: Signature,
}

/// `text` where the first argument is no bytes, else `bytes`.
pub fn with_bytes(text: &Arc<ScalarUDF>, bytes: &Arc<ScalarUDF>) -> ScalarUDF {
    let of_text = text.signature();
    let mut signature = Signature::new(TypeSignature::UserDefined, of_text.volatility);
    signature.parameter_names = of_text.parameter_names.clone();
    ScalarUDF::from(WithBytes { text: text.clone(), bytes: bytes.clone(), signature })
}

/// The functions of texts and of bytes that one is, if it is such a pair.
pub(super) fn of_bytes(function: &ScalarUDF) -> Option<&Arc<ScalarUDF>> {
    let both = (function.inner().as_ref() as &dyn std::any::Any).downcast_ref::<WithBytes>()?;
    Some(&both.bytes)
}

impl WithBytes {
    fn meant(&self, first: Option<&DataType>) -> &Arc<ScalarUDF> {
        let is_bytes = |first: &DataType| {
            matches!(
                first,
                DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_)
            )
        };
        if first.is_some_and(is_bytes) { &self.bytes } else { &self.text }
    }
}

impl ScalarUDFImpl for WithBytes {
    fn name(&self) -> &str {
        self.text.name()
    }

    fn aliases(&self) -> &[String] {
        self.text.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> ForeignResult<Vec<DataType>> {
        let field = |data_type: &DataType| -> FieldRef {
            Arc::new(arrow::datatypes::Field::new("arg", data_type.clone(), true))
        };
        let fields: Vec<FieldRef> = arg_types.iter().map(field).collect();
        let fields = fields_with_udf(&fields, self.meant(arg_types.first()).as_ref())?;
        Ok(fields.iter().map(|field| field.data_type().clone()).collect())
    }

    fn return_type(&self, arg_types: &[DataType]) -> ForeignResult<DataType> {
        self.meant(arg_types.first()).return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> ForeignResult<FieldRef> {
        self.meant(args.arg_fields.first().map(|field| field.data_type())).return_field_from_args(args)
    }

    fn simplify(&self, args: Vec<Expr>, _info: &SimplifyContext) -> ForeignResult<ExprSimplifyResult> {
        Ok(ExprSimplifyResult::Original(args))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> ForeignResult<ColumnarValue> {
        let first = args.args.first().map(ColumnarValue::data_type);
        self.meant(first.as_ref()).invoke_with_args(args)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.text.documentation()
    }
}

impl fmt::Debug for WithBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WithBytes({})", self.text.name())
    }
}

impl PartialEq for WithBytes {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.bytes == other.bytes
    }
}

impl Eq for WithBytes {}

impl Hash for WithBytes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.name().hash(state);
    }
}
