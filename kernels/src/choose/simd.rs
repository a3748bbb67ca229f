//! One body for every width: 64 rows at a time, without a look at each where they agree.
//!
//! The loop over a mixed word has no branch, so that the compiler makes a blend of it at each level.

/// See [`super::column`].
#[inline(always)]
pub fn column<T: Copy>(mask: &[u64], values: &[T], out: &mut [T]) {
    let ((blocks, rest), (out_blocks, out_rest)) = (values.as_chunks::<64>(), out.as_chunks_mut::<64>());
    for ((&word, values), out) in mask.iter().zip(blocks).zip(out_blocks) {
        match word {
            0 => (),
            u64::MAX => *out = *values,
            _ => mixed(word, |row| values[row], out),
        }
    }
    if let (Some(&word), false) = (mask.get(blocks.len()), rest.is_empty()) {
        mixed(word, |row| rest[row], out_rest);
    }
}

/// See [`super::constant`].
#[inline(always)]
pub fn constant<T: Copy>(mask: &[u64], value: T, out: &mut [T]) {
    let whole = out.len() / 64;
    let (out_blocks, out_rest) = out.as_chunks_mut::<64>();
    for (&word, out) in mask.iter().zip(out_blocks) {
        match word {
            0 => (),
            u64::MAX => *out = [value; 64],
            _ => mixed(word, |_| value, out),
        }
    }
    if let (Some(&word), false) = (mask.get(whole), out_rest.is_empty()) {
        mixed(word, |_| value, out_rest);
    }
}

#[inline(always)]
fn mixed<T: Copy>(word: u64, value: impl Fn(usize) -> T, out: &mut [T]) {
    for (row, out) in out.iter_mut().enumerate() {
        *out = if word >> row & 1 != 0 { value(row) } else { *out };
    }
}
