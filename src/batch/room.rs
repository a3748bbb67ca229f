//! Vectors of state that grow large: given room for many more items at once, so that growing holds no batch up.
//!
//! Copying a vector of many megabytes costs milliseconds, mostly for the first touch of new pages. Memory that is asked for
//! and not touched costs next to nothing: so a vector that has become large is copied once more, while that is cheap, and
//! asks for far more than it needs.

/// Bytes from which on a vector is not copied often: a copy of as many takes two or three milliseconds.
const LARGE_BYTES: usize = 4 << 20;
/// How many times its size a large vector gets: a gigabyte at first.
const ROOM: usize = 256;

/// Makes room for `count` items in all.
pub fn make_room<T>(items: &mut Vec<T>, count: usize) {
    if let Some(room) = room_for::<T>(items.capacity(), count) {
        // Where so much is not to be had, the vector grows as others do.
        let _ = items.try_reserve_exact(room - items.len());
    }
}

/// For how many items a vector that must hold `count` makes room; `None`: there is room, or it grows as others do.
pub fn room_for<T>(capacity: usize, count: usize) -> Option<usize> {
    (count > capacity && count > large::<T>()).then_some(count * ROOM)
}

/// Bytes that a vector holds; room that was never touched is none.
pub fn held_bytes<T>(items: &Vec<T>) -> usize {
    held_of::<T>(items.len(), items.capacity())
}

/// The same of a vector with so many items, and room for so many.
pub fn held_of<T>(len: usize, capacity: usize) -> usize {
    capacity.min(len.max(2 * large::<T>())) * size_of::<T>()
}

/// From how many items on a vector is large.
const fn large<T>() -> usize {
    LARGE_BYTES / if size_of::<T>() == 0 { 1 } else { size_of::<T>() }
}
