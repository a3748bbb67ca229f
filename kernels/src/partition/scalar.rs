//! The plain truth, a partition at a time.

/// See [`super::by_hash`].
pub fn by_hash(hashes: &[u64], partitions: usize, out: &mut Vec<Vec<u16>>) {
    *out = vec![Vec::new(); partitions];
    for (p, out) in out.iter_mut().enumerate() {
        let rows = (0..hashes.len()).filter(|&row| super::of(hashes[row], partitions) == p);
        out.extend(rows.map(|row| row as u16));
    }
}
