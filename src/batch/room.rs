//! Vectors of state that grow large: given room for many more items at once, so that growing holds no batch up.
//!
//! Copying a vector of a million costs milliseconds, mostly for the first touch of new pages. Memory that is asked for
//! and not touched costs next to nothing: so a large vector asks for far more than it needs.

/// Items from which on a vector is not copied often.
const LARGE: usize = 1 << 20;
/// How many times its size a large vector gets.
const ROOM: usize = 32;

/// Makes room for `count` items in all.
pub fn make_room<T>(items: &mut Vec<T>, count: usize) {
    if count > items.capacity() && count > LARGE {
        // Where so much is not to be had, the vector grows as others do.
        let _ = items.try_reserve_exact(count * ROOM - items.len());
    }
}

/// Bytes that a vector holds; room that was never touched is none.
pub fn held_bytes<T>(items: &Vec<T>) -> usize {
    items.capacity().min(items.len().max(LARGE)) * size_of::<T>()
}
