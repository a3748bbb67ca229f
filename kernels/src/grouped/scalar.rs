//! The plain truth: a row at a time, bounds checked.

use crate::bitmap::get;

/// See [`super::update`].
pub fn update<S>(groups: &[u32], validity: Option<&[u64]>, states: &mut [S], mut step: impl FnMut(&mut S, usize)) {
    for (row, &group) in groups.iter().enumerate() {
        if validity.is_none_or(|v| get(v, row)) {
            step(&mut states[group as usize], row);
        }
    }
}
