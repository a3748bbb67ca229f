//! The loop over elements that lie far enough from both ends to be read and written a vector at a time.
//!
//! What it costs is the way from one tag to the next: a load, and the length in it. So an element's kind is a branch (a
//! literal is nearly always followed by a copy), and a copy's own length is not, for two and three bytes alternate without
//! a pattern. Short copies are written in two halves of four or eight bytes, which the next copy from the same distance
//! finds whole: a wider load over both would wait for them to leave the CPU's store buffer.

/// Bytes of a block before whose end elements are left to `scalar`: no tag, trailer and short literal is longer.
const AHEAD: usize = 32;
/// Bytes that may be written behind the last one.
const SLOP: usize = 64;
/// Literals of at most so many bytes are written as one vector.
const SHORT: usize = 16;

/// For each tag of a copy: its length, and the upper part of its offset.
static COPIES: [(u8, u16); 256] = copies();

const fn copies() -> [(u8, u16); 256] {
    let mut copies = [(0, 0); 256];
    let mut tag = 0;
    while tag < 256 {
        copies[tag] = match tag & 3 {
            1 => (4 + (tag >> 2 & 7) as u8, (tag >> 5 << 8) as u16),
            _ => ((tag >> 2) as u8 + 1, 0),
        };
        tag += 1;
    }
    copies
}

/// Adds what the first of `elements` stand for to `out`, at most `size` bytes: how many bytes of elements were read;
/// `None` where one is damaged. What is left is `scalar`'s.
pub fn append(elements: &[u8], size: usize, out: &mut Vec<u8>) -> Option<usize> {
    let start = out.len();
    out.reserve(size + SLOP);
    // SAFETY: there is room for `size + SLOP` bytes behind `start`.
    let (read, written) = unsafe { run(elements, out.as_mut_ptr().add(start), size)? };
    assert!(written <= size, "checked by the loop");
    // SAFETY: the loop has written so many bytes, one behind the other, and they lie within what was reserved.
    unsafe { out.set_len(start + written) };
    Some(read)
}

/// Writes what elements stand for to `to`; how many bytes were read and written.
///
/// # Safety
/// - `to` may be written for `size + SLOP` bytes.
unsafe fn run(elements: &[u8], to: *mut u8, size: usize) -> Option<(usize, usize)> {
    let limit = elements.len().saturating_sub(AHEAD);
    let (mut read, mut written) = (0, 0);
    while read < limit && written < size {
        // SAFETY: `read` is in front of the limit.
        let mut tag = unsafe { *elements.get_unchecked(read) };
        if tag & 3 == 0 {
            let length = usize::from(tag >> 2) + 1;
            if length > SHORT {
                let (from, length) = long_literal(elements, read, length)?;
                let literal = elements.get(from..from.checked_add(length)?)?;
                if length > size - written {
                    return None;
                }
                // SAFETY: `length` more bytes are at most `size`; a literal is no part of what is written.
                unsafe { std::ptr::copy_nonoverlapping(literal.as_ptr(), to.add(written), length) };
                (read, written) = (from + length, written + length);
                continue;
            }
            // SAFETY: the block goes on for `AHEAD` bytes, what is written for `SLOP`; of these, what lies behind the
            // literal is written again or not counted.
            unsafe { move_16(elements.as_ptr().add(read + 1), to.add(written)) };
            (read, written) = (read + 1 + length, written + length);
            // SAFETY: at most 17 bytes further than a place in front of the limit.
            tag = unsafe { *elements.get_unchecked(read) };
            if tag & 3 == 0 {
                continue;
            }
        }
        // SAFETY: the tag lies at most 17 bytes behind the limit, so four bytes follow it.
        let trailer = unsafe { load_4(elements.as_ptr().add(read + 1)) } as usize;
        let (length, upper) = COPIES[usize::from(tag)];
        let (length, mut offset) = (usize::from(length), 0);
        if tag & 3 == 3 {
            offset += trailer;
            read += 5;
        } else {
            // One byte after a tag of 1, two after a tag of 2.
            offset += usize::from(upper) + (trailer & (0xffff >> (8 * (tag & 1))));
            read += 1 + usize::from(tag & 3);
        }
        if offset.wrapping_sub(1) >= written || written + length > size {
            return None;
        }
        // SAFETY: the offset reaches back to bytes that are written, and `length` more of them are at most `size`.
        unsafe { copy(to.add(written), offset, length) };
        written += length;
    }
    (written <= size).then_some((read, written))
}

/// Where a literal's bytes begin, and how many they are.
#[cold]
fn long_literal(elements: &[u8], tag: usize, length: usize) -> Option<(usize, usize)> {
    let bytes = length.saturating_sub(60);
    if bytes == 0 {
        return Some((tag + 1, length));
    }
    let length = elements.get(tag + 1..tag + 1 + bytes)?;
    let length = length.iter().rev().fold(0, |length, &byte| length << 8 | u64::from(byte));
    Some((tag + 1 + bytes, usize::try_from(length + 1).ok()?))
}

/// Writes `length` bytes to `to` that begin `offset` before it.
///
/// # Safety
/// - the `offset` bytes before `to` are written; `length` is at most 64, and `length` and [`SLOP`] more bytes from `to` on
///   may be written.
#[inline(always)]
unsafe fn copy(to: *mut u8, offset: usize, length: usize) {
    // SAFETY: `offset` bytes before `to` are of the same allocation.
    let from = unsafe { to.sub(offset).cast_const() };
    if offset < length {
        // SAFETY: the caller's promise.
        return unsafe { repeat(to, offset, length) };
    }
    if (4..=8).contains(&length) {
        // SAFETY: the bytes from `from` on for `length` lie before `to`, so they are written and read before others are.
        unsafe {
            let (low, high) =
                (from.cast::<u32>().read_unaligned(), from.add(length - 4).cast::<u32>().read_unaligned());
            to.cast::<u32>().write_unaligned(low);
            to.add(length - 4).cast::<u32>().write_unaligned(high);
        }
    } else if (9..=16).contains(&length) {
        // SAFETY: as above.
        unsafe {
            let (low, high) =
                (from.cast::<u64>().read_unaligned(), from.add(length - 8).cast::<u64>().read_unaligned());
            to.cast::<u64>().write_unaligned(low);
            to.add(length - 8).cast::<u64>().write_unaligned(high);
        }
    } else if length > 16 {
        // SAFETY: `offset` is above 16, so no move overlaps itself; 64 bytes from `to` on may be written.
        unsafe {
            move_16(from, to);
            move_16(from.add(16), to.add(16));
            if length > 32 {
                move_16(from.add(32), to.add(32));
                move_16(from.add(48), to.add(48));
            }
        }
    } else {
        // SAFETY: the caller's promise.
        unsafe { repeat(to, offset, length) };
    }
}

/// Writes bytes that repeat those before them, and very short copies.
///
/// # Safety
/// - as for [`copy`].
#[inline(never)]
unsafe fn repeat(to: *mut u8, offset: usize, length: usize) {
    for at in 0..length {
        // SAFETY: what lies `offset` before is written, by then.
        unsafe { *to.add(at) = *to.add(at).sub(offset) };
    }
}

/// # Safety
/// - four bytes from `from` on may be read.
#[inline(always)]
unsafe fn load_4(from: *const u8) -> u32 {
    // SAFETY: the caller's promise.
    u32::from_le(unsafe { from.cast::<u32>().read_unaligned() })
}

/// # Safety
/// - `from` may be read and `to` written for 16 bytes, and they do not overlap; the bytes need not be written before.
#[inline(always)]
unsafe fn move_16(from: *const u8, to: *mut u8) {
    // SAFETY: the caller's promise.
    unsafe { std::ptr::copy_nonoverlapping(from, to, 16) };
}
