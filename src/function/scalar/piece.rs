//! `split_index` with a separator and a number that the query gives: the result is a part of the text, which is not copied.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::DataType;
use millstream_kernels::bitmap;
use millstream_kernels::view::ViewChooser;

use super::{text, write};
use crate::batch::{Argument, Column};
use crate::error::{Error, Result};
use crate::function::{KernelContext, ScalarKernel};

/// The kernel of `split_index(x, separator, index)`; `None` for other types than strings, and for separators of more than
/// one byte or none.
pub fn split_index(data_type: &DataType, separator: &str, index: i64) -> Option<Arc<dyn ScalarKernel>> {
    match (data_type, separator.as_bytes(), usize::try_from(index)) {
        (DataType::Utf8View, [separator], Ok(index)) => Some(Arc::new(Piece { separator: *separator, index })),
        _ => None,
    }
}

#[derive(Debug)]
struct Piece {
    /// An ASCII character.
    separator: u8,
    index: usize,
}

impl ScalarKernel for Piece {
    fn name(&self) -> &str {
        "split_index"
    }

    fn result_type(&self) -> DataType {
        DataType::Utf8View
    }

    fn evaluate(&self, context: &KernelContext, args: &[Argument<'_>], _: usize, out: &mut Column) -> Result<()> {
        let no_texts = || Error::bug("a text was split that is none");
        let (Column::Array(array) | Column::Constant(array)) = args[0].column() else { return Err(no_texts()) };
        let texts = array.as_string_view_opt().ok_or_else(no_texts)?;
        let rows = texts.len();
        let mut pieces = ViewChooser::new(true, rows);
        let source = pieces.source(array).ok_or_else(no_texts)?;
        let mut found = vec![0; bitmap::words(rows)];
        // An empty text has no pieces.
        write::bits_of(rows, &mut found, |row| text::length(texts.views()[row]) > 0 && texts.is_valid(row));
        pieces.pieces(context.level, source, self.separator, self.index, &mut found);
        let found = NullBuffer::new(BooleanBuffer::new(found.into(), 0, rows));
        let array = pieces.finish(Some(found));
        *out = if args[0].is_constant() { Column::Constant(array) } else { Column::Array(array) };
        Ok(())
    }

    fn can_fail(&self) -> bool {
        false
    }

    fn cost(&self) -> f64 {
        10.0
    }

    fn show(&self, args: &[String]) -> String {
        format!("split_index({}, '{}', {})", args.join(", "), char::from(self.separator).escape_default(), self.index)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, StringViewArray};

    use super::super::testing::{Loaded, Random, evaluate};
    use super::*;

    #[test]
    fn pieces_are_those_of_split() {
        let random = &mut Random(8);
        let parts = ["/", "a", "bcd", "ü", "a piece that is longer than a view", "//", ""];
        let text =
            |random: &mut Random| (0..random.below(12)).map(|_| parts[random.below(parts.len())]).collect::<String>();
        let texts: StringViewArray = (0..1000).map(|_| Some(text(random)).filter(|_| !random.one_in(9))).collect();
        let array: ArrayRef = Arc::new(texts.clone());
        for index in [0, 1, 2, 5] {
            let kernel = split_index(&DataType::Utf8View, "/", index).unwrap();
            let found = evaluate(kernel.as_ref(), &[Loaded::array(&array)], 1000).unwrap();
            found.to_data().validate_full().unwrap();
            let wanted = texts.iter().map(|text| text.filter(|text| !text.is_empty())?.split('/').nth(index as usize));
            assert_eq!(found.as_string_view(), &wanted.collect::<StringViewArray>(), "piece {index}");
        }
    }

    #[test]
    fn other_separators_are_no_kernel() {
        for (separator, index) in [("", 0), ("ü", 0), ("ab", 0), ("/", -1)] {
            assert!(split_index(&DataType::Utf8View, separator, index).is_none());
        }
        assert!(split_index(&DataType::Int64, "/", 0).is_none());
    }
}
