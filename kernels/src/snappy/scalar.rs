//! One element after the other, each length checked: the truth, and what comes too near to an end for `unchecked`.

/// Adds what `elements` stand for to `out` until its length is `end`; whether it comes to that. Copies reach back to
/// `start`.
pub fn append(elements: &[u8], start: usize, end: usize, out: &mut Vec<u8>) -> bool {
    let mut at = 0;
    while let Some(&tag) = elements.get(at) {
        let (kind, upper) = (tag & 3, usize::from(tag >> 2));
        let trailer = match kind {
            0 => upper.saturating_sub(59),
            3 => 4,
            short => usize::from(short),
        };
        at += 1;
        let Some(bytes) = elements.get(at..at + trailer) else { return false };
        let number = bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)) as usize;
        at += trailer;
        let left = end - out.len();
        if kind == 0 {
            let length = if trailer == 0 { upper } else { number }.saturating_add(1);
            let Some(literal) = elements[at..].get(..length).filter(|_| length <= left) else { return false };
            out.extend_from_slice(literal);
            at += length;
            continue;
        }
        let (length, offset) = match kind {
            1 => (4 + (upper & 7), (upper >> 3 << 8) + number),
            _ => (upper + 1, number),
        };
        if offset == 0 || offset > out.len() - start || length > left {
            return false;
        }
        for _ in 0..length {
            out.push(out[out.len() - offset]);
        }
    }
    out.len() == end
}
