//! The plain truth, bit by bit.

/// See [`super::unpack`].
pub fn unpack(bytes: &[u8], bits: u32, first: usize, out: &mut [u32]) {
    for (at, out) in out.iter_mut().enumerate() {
        let start = (first + at) * bits as usize;
        let bit = |bit: usize| (bytes[(start + bit) / 8] >> ((start + bit) % 8) & 1) as u32;
        *out = (0..bits as usize).fold(0, |value, at| value | bit(at) << at);
    }
}
