//! `lower` and `upper`.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringViewArray};
use arrow::datatypes::DataType;
use millstream_kernels::view::ascii_case;

use crate::batch::{Argument, Column};
use crate::error::{Error, Result};
use crate::function::{KernelContext, ScalarKernel};

/// The kernel of `lower(x)`; `None` for other types than strings.
pub fn lower(data_type: &DataType) -> Option<Arc<dyn ScalarKernel>> {
    (*data_type == DataType::Utf8View).then(|| Arc::new(Letters { upper: false }) as _)
}

/// The kernel of `upper(x)`; `None` for other types than strings.
pub fn upper(data_type: &DataType) -> Option<Arc<dyn ScalarKernel>> {
    (*data_type == DataType::Utf8View).then(|| Arc::new(Letters { upper: true }) as _)
}

#[derive(Debug)]
struct Letters {
    upper: bool,
}

impl Letters {
    /// With all letters of Unicode, which may make a string longer.
    fn unicode(&self, texts: &StringViewArray) -> StringViewArray {
        let change = |text: &str| if self.upper { text.to_uppercase() } else { text.to_lowercase() };
        texts.iter().map(|text| text.map(change)).collect()
    }
}

impl ScalarKernel for Letters {
    fn name(&self) -> &str {
        if self.upper { "upper" } else { "lower" }
    }

    fn result_type(&self) -> DataType {
        DataType::Utf8View
    }

    fn evaluate(&self, _: &KernelContext, args: &[Argument<'_>], _: usize, out: &mut Column) -> Result<()> {
        let no_texts = || Error::bug("letters were changed in a column that is not of strings");
        let (Column::Array(array) | Column::Constant(array)) = args[0].column() else { return Err(no_texts()) };
        let texts = array.as_string_view_opt().ok_or_else(no_texts)?;
        let changed: ArrayRef = Arc::new(ascii_case(texts, self.upper).unwrap_or_else(|| self.unicode(texts)));
        *out = if args[0].is_constant() { Column::Constant(changed) } else { Column::Array(changed) };
        Ok(())
    }

    fn can_fail(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Loaded, evaluate};
    use super::*;

    #[test]
    fn all_letters_are_changed() {
        let texts = ["AbC", "", "ÄÖ and a Longer Text ß", "İstanbul", "ΑΣ", "plain but longer than 12"];
        let array: ArrayRef = Arc::new(texts.iter().map(|text| Some(*text)).chain([None]).collect::<StringViewArray>());
        for upper_case in [false, true] {
            let kernel = if upper_case { upper(&DataType::Utf8View) } else { lower(&DataType::Utf8View) }.unwrap();
            let found = evaluate(kernel.as_ref(), &[Loaded::array(&array)], texts.len() + 1).unwrap();
            found.to_data().validate_full().unwrap();
            let wanted =
                texts.iter().map(|text| Some(if upper_case { text.to_uppercase() } else { text.to_lowercase() }));
            assert_eq!(found.as_string_view(), &wanted.chain([None]).collect::<StringViewArray>());
        }
        assert!(lower(&DataType::Int64).is_none());
    }
}
