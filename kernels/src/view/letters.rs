//! ASCII letters of strings in one case.

use std::sync::Arc;

use arrow_array::{Array, StringViewArray};
use arrow_buffer::Buffer;

/// Each of the 12 bytes that a view may hold.
const fn each(byte: u8) -> u128 {
    (u128::MAX / 255 * byte as u128) >> 32
}

/// The strings with their letters in lower case, or in upper case; `None` where one of them is not all ASCII, or all of
/// them together are too long for one buffer.
pub fn ascii_case(strings: &StringViewArray, upper: bool) -> Option<StringViewArray> {
    let long = |view: &&u128| **view as u32 > 12;
    let total: usize = strings.views().iter().filter(long).map(|view| *view as u32 as usize).sum();
    if i32::try_from(total).is_err() {
        return None;
    }
    let mut bytes = Vec::with_capacity(total);
    let mut views = Vec::with_capacity(strings.len());
    for (row, &view) in strings.views().iter().enumerate() {
        views.push(if view as u32 <= 12 {
            short(view, upper)?
        } else if strings.is_null(row) {
            0
        } else {
            let value = strings.value(row).as_bytes();
            if !value.is_ascii() {
                return None;
            }
            let start = bytes.len();
            bytes.extend(
                value.iter().map(|byte| if upper { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() }),
            );
            super::long(&bytes[start..], 0, start as u32)
        });
    }
    let buffers: Arc<[Buffer]> = if bytes.is_empty() { Arc::from([]) } else { Arc::from([Buffer::from(bytes)]) };
    // SAFETY: a view of at most 12 bytes is that of a valid array, zero padded, with ASCII bytes exchanged for ASCII bytes; a
    // longer one was made of bytes that lie in the one buffer where it says, and are ASCII. The nulls cover the same rows.
    Some(unsafe { StringViewArray::new_unchecked(views.into(), buffers, strings.nulls().cloned()) })
}

/// The letters of a short view in one case; `None` where it is not all ASCII.
#[inline(always)]
fn short(view: u128, upper: bool) -> Option<u128> {
    let bytes = view >> 32;
    if bytes & each(0x80) != 0 {
        return None;
    }
    // Bytes are below 0x80, so that no sum carries; its high bit tells whether a byte is at least a letter.
    let (first, last) = if upper { (b'a', b'z') } else { (b'A', b'Z') };
    let from = bytes + each(0x80 - first);
    let past = bytes + each(0x7f - last);
    let letters = from & !past & each(0x80);
    Some((bytes ^ (letters >> 2)) << 32 | view & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_change_and_nothing_else() {
        let all: String = (0..128u8).map(char::from).collect();
        let mut texts: Vec<String> =
            (0..all.len()).map(|at| all[at..(at + 1 + at % 12).min(all.len())].to_string()).collect();
        texts.extend([String::new(), all, "A String That Is Long Enough".to_string()]);
        let array: StringViewArray = texts.iter().map(|text| Some(text.as_str())).chain([None]).collect();
        for upper in [false, true] {
            let found = ascii_case(&array, upper).unwrap();
            found.to_data().validate_full().unwrap();
            let wanted = texts.iter().map(|text| Some(if upper { text.to_uppercase() } else { text.to_lowercase() }));
            assert_eq!(found, wanted.chain([None]).collect::<StringViewArray>());
        }
    }

    #[test]
    fn other_letters_are_not_for_it() {
        for text in ["ü", "a long string with an ü in it"] {
            assert!(ascii_case(&StringViewArray::from_iter_values([text]), false).is_none());
        }
    }
}
