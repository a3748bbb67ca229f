//! Lists, structs and maps as texts, as results show them: `[1, 2, NULL]`.

use std::sync::Arc;

use arrow::array::{Array, StringViewBuilder};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::batch::{Argument, Column};
use crate::error::Result;
use crate::function::{KernelContext, ScalarKernel};

/// The kernel for a type that has others inside; `None`: it has none.
pub fn nested_text(data_type: &DataType) -> Option<Arc<dyn ScalarKernel>> {
    data_type.is_nested().then(|| Arc::new(NestedText(data_type.clone())) as Arc<dyn ScalarKernel>)
}

#[derive(Debug)]
struct NestedText(DataType);

impl ScalarKernel for NestedText {
    fn name(&self) -> &str {
        "nested_text"
    }

    fn result_type(&self) -> DataType {
        DataType::Utf8View
    }

    fn evaluate(&self, _: &KernelContext, args: &[Argument<'_>], rows: usize, out: &mut Column) -> Result<()> {
        let array = args[0].to_array(&self.0)?;
        let options = FormatOptions::default().with_null("NULL");
        let shown = ArrayFormatter::try_new(&array, &options)?;
        let mut texts = StringViewBuilder::with_capacity(rows);
        for row in 0..rows {
            let row = if array.len() == 1 { 0 } else { row };
            if array.is_null(row) {
                texts.append_null();
            } else {
                texts.append_value(shown.value(row).to_string());
            }
        }
        *out = Column::Array(Arc::new(texts.finish()));
        Ok(())
    }

    fn can_fail(&self) -> bool {
        false
    }
}
