//! The plain truth, a row at a time; also the search for the row at fault.

use super::{Arithmetic, Fault, FaultKind, Op};
use crate::bitmap::get;

/// See [`super::columns`]; rows under nulls are left alone.
pub fn columns<T: Arithmetic>(op: Op, a: &[T], b: &[T], validity: Option<&[u64]>, out: &mut [T]) -> Result<(), Fault> {
    for row in 0..out.len() {
        if validity.is_none_or(|v| get(v, row)) {
            out[row] = T::checked(op, a[row], b[row]).map_err(|kind| Fault { row, kind })?;
        }
    }
    Ok(())
}

/// Returns the first valid row for which `result` is a fault.
#[cold]
pub fn first_fault<T>(
    rows: usize,
    validity: Option<&[u64]>,
    result: impl Fn(usize) -> Result<T, FaultKind>,
) -> Result<(), Fault> {
    for row in 0..rows {
        if let (Err(kind), true) = (result(row), validity.is_none_or(|v| get(v, row))) {
            return Err(Fault { row, kind });
        }
    }
    Ok(())
}
