//! Blocks put together from random elements, beside a model that writes what they stand for.

use super::*;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }
}

fn put_size(mut size: usize, block: &mut Vec<u8>) {
    while size >= 0x80 {
        block.push(size as u8 | 0x80);
        size >>= 7;
    }
    block.push(size as u8);
}

/// A block of random elements of every kind, and what it stands for.
fn block(random: &mut Random, count: usize) -> (Vec<u8>, Vec<u8>) {
    let (mut elements, mut bytes) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let most = [8, 16, 60, 300][random.below(4)];
        if bytes.is_empty() || random.below(2) == 0 {
            let literal: Vec<u8> = (0..1 + random.below(most)).map(|_| random.below(256) as u8).collect();
            match literal.len() - 1 {
                less @ ..60 => elements.push((less << 2) as u8),
                less @ ..256 => elements.extend([60 << 2, less as u8]),
                less => elements.extend([61 << 2, less as u8, (less >> 8) as u8]),
            }
            elements.extend(&literal);
            bytes.extend(literal);
            continue;
        }
        let near = [4, 20, usize::MAX][random.below(3)].min(bytes.len());
        let offset = 1 + random.below(near);
        let length = match random.below(3) {
            0 if offset < 2048 => {
                let length = 4 + random.below(8);
                elements.extend([1 | ((length - 4) << 2) as u8 | ((offset >> 8) << 5) as u8, offset as u8]);
                length
            }
            1 if offset < 65_536 => {
                let length = 1 + random.below(64);
                elements.extend([2 | ((length - 1) << 2) as u8, offset as u8, (offset >> 8) as u8]);
                length
            }
            _ => {
                let length = 1 + random.below(64);
                elements.push(3 | ((length - 1) << 2) as u8);
                elements.extend((offset as u32).to_le_bytes());
                length
            }
        };
        (0..length).for_each(|_| bytes.push(bytes[bytes.len() - offset]));
    }
    let mut block = Vec::new();
    put_size(bytes.len(), &mut block);
    block.extend(elements);
    (block, bytes)
}

#[test]
fn blocks_stand_for_what_was_compressed() {
    let mut random = Random(0x5eed);
    for count in (0..40).chain([100, 1000, 5000]) {
        for _ in 0..20 {
            let (block, bytes) = block(&mut random, count);
            let mut out = b"before".to_vec();
            assert!(append(&block, bytes.len(), &mut out), "{count} elements");
            assert!(out.starts_with(b"before") && out[6..] == bytes, "{count} elements");
            let (mut slow, (_, at)) = (Vec::new(), told_size(&block).unwrap());
            assert!(scalar::append(&block[at..], 0, bytes.len(), &mut slow) && slow == bytes);
        }
    }
}

#[test]
fn damaged_blocks_are_told_and_nothing_else_is_read_or_written() {
    let mut random = Random(0xbad);
    for round in 0..300 {
        let (block, bytes) = block(&mut random, 60);
        let (mut changed, size) = (block.clone(), bytes.len());
        for _ in 0..1 + round % 3 {
            let at = random.below(changed.len());
            changed[at] ^= 1 << random.below(8);
        }
        // Cut off as well: exactly as long as it is, so that tools which watch memory see a step too far.
        changed.truncate(changed.len() - [0, 0, 1, 20][round % 4].min(changed.len()));
        let changed = changed.into_boxed_slice();
        let (mut out, mut slow) = (Vec::new(), Vec::new());
        let good = append(&changed, size, &mut out);
        let truth = told_size(&changed)
            .is_some_and(|(told, at)| told == size as u64 && scalar::append(&changed[at..], 0, size, &mut slow));
        assert_eq!(good, truth, "round {round}");
        assert!(!good || out == slow, "round {round}");
    }
    assert!(!append(&[], 0, &mut Vec::new()), "not even a size");
    assert!(append(&[0], 0, &mut Vec::new()), "nothing");
    assert!(!append(&[0xff, 0xff, 0xff, 0xff, 0x07, 0], 0x7fff_ffff, &mut Vec::new()), "more than six bytes can tell");
}
