//! The plain truth, a row at a time.

use super::Op;
use crate::bitmap::set;
use crate::number::Number;

/// Returns `a op b`.
pub fn holds<T: Number>(op: Op, a: T, b: T) -> bool {
    match op {
        Op::Eq => a.same(b),
        Op::Ne => !a.same(b),
        Op::Lt => a.less(b),
        Op::Le => !b.less(a),
        Op::Gt => b.less(a),
        Op::Ge => !a.less(b),
    }
}

/// See [`super::columns`].
pub fn columns<T: Number>(op: Op, a: &[T], b: &[T], out: &mut [u64]) {
    out.fill(0);
    (0..a.len()).filter(|&i| holds(op, a[i], b[i])).for_each(|i| set(out, i));
}

/// See [`super::constant`].
pub fn constant<T: Number>(op: Op, a: &[T], c: T, out: &mut [u64]) {
    out.fill(0);
    (0..a.len()).filter(|&i| holds(op, a[i], c)).for_each(|i| set(out, i));
}
