//! The plain truth, bounds checked.

/// See [`super::take`].
pub fn take<T: Copy>(values: &[T], rows: &[u16], out: &mut Vec<T>) {
    *out = rows.iter().map(|&row| values[usize::from(row)]).collect();
}

/// See [`super::scatter`].
pub fn scatter<T: Copy>(values: &[T], rows: &[u16], out: &mut [T]) {
    for (value, &row) in values.iter().zip(rows) {
        out[usize::from(row)] = *value;
    }
}
