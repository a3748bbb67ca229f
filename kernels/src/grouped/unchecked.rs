//! The loop without bounds checks on the states.

use crate::bitmap::tail;
use crate::probe::prefetch;
use fearless_simd::dispatch;

/// Rows between asking for a state and using it; what the group-by study found best, not tuned again here.
const AHEAD: usize = 16;
/// States that outgrow this many bytes are asked for ahead (bench `grouped/*/1048576-groups`: at 16 MiB it gains up to
/// a third, at 8 MiB the caches and the CPU's own lookahead still do better).
const NEAR_BYTES: usize = 8 << 20;

/// Returns whether each group number is less than `states`.
pub fn all_below(groups: &[u32], states: usize) -> bool {
    groups.is_empty() || (dispatch!(crate::level::detect(), _s => greatest(groups)) as usize) < states
}

/// A bare loop: `Iterator::max` calls a function per item where it is not compiled for the level.
#[inline(always)]
fn greatest(groups: &[u32]) -> u32 {
    let mut greatest = 0;
    for &group in groups {
        greatest = if group > greatest { group } else { greatest };
    }
    greatest
}

/// Calls `step` for each valid row, see [`super::update`].
///
/// # Safety
/// - each of `groups` is less than `states.len()`.
#[inline(always)]
pub unsafe fn update<S>(
    groups: &[u32],
    validity: Option<&[u64]>,
    states: &mut [S],
    mut step: impl FnMut(&mut S, usize),
) {
    debug_assert!(groups.iter().all(|&group| (group as usize) < states.len()), "each group has a state");
    let ahead = if size_of_val(states) > NEAR_BYTES { AHEAD } else { groups.len() };
    for (block, rows) in groups.chunks(64).enumerate() {
        let first = block * 64;
        if let Some(next) = groups.get(first + ahead..) {
            for &group in next.iter().take(64) {
                prefetch(states, group as usize);
            }
        }
        let mut word = validity.map_or(tail(rows.len()), |validity| validity[block] & tail(rows.len()));
        if word == u64::MAX {
            for (row, &group) in rows.iter().enumerate() {
                // SAFETY: the caller's promise.
                step(unsafe { states.get_unchecked_mut(group as usize) }, first + row);
            }
        } else {
            while word != 0 {
                let row = word.trailing_zeros() as usize;
                // SAFETY: the caller's promise.
                step(unsafe { states.get_unchecked_mut(rows[row] as usize) }, first + row);
                word &= word - 1;
            }
        }
    }
}
