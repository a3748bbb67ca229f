//! A queue for each partition, in blocks of memory that double as it grows and are used again once it is empty.
//!
//! Owns        the blocks: those of one size lie in chunks, so that growing moves one queue and never all of them.
//! Invariants  a queue holds at most as many entries as its block; an empty one holds no block.

/// Entries in a chunk, or one block where that is more.
const CHUNK_ENTRIES: usize = 1 << 9;

/// One value in a queue, and where it stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub at: i64,
    pub word: u64,
}

/// The queue of one partition; entries go round in its block.
#[derive(Debug, Clone, Copy, Default)]
struct Queue {
    block: u32,
    /// The block has `1 << class` entries.
    class: u8,
    first: u32,
    length: u32,
}

/// Blocks of one size.
#[derive(Default)]
struct Blocks {
    chunks: Vec<Box<[Entry]>>,
    used: u32,
    free: Vec<u32>,
}

/// Queues by the numbers of their partitions.
#[derive(Default)]
pub(super) struct Queues {
    queues: Vec<Queue>,
    classes: Vec<Blocks>,
}

impl Queues {
    /// There are so many partitions now.
    pub fn resize(&mut self, count: usize) {
        self.queues.resize_with(count, Queue::default);
    }

    pub fn count(&self) -> usize {
        self.queues.len()
    }

    pub fn length(&self, partition: u32) -> usize {
        self.queues[partition as usize].length as usize
    }

    #[inline]
    pub fn front(&self, partition: u32) -> Option<Entry> {
        self.get(partition, 0)
    }

    #[inline]
    pub fn back(&self, partition: u32) -> Option<Entry> {
        self.get(partition, self.queues[partition as usize].length.wrapping_sub(1))
    }

    /// The entries from the front on.
    pub fn entries(&self, partition: u32) -> impl Iterator<Item = Entry> {
        (0..self.queues[partition as usize].length).filter_map(move |at| self.get(partition, at))
    }

    #[inline]
    fn get(&self, partition: u32, at: u32) -> Option<Entry> {
        let queue = &self.queues[partition as usize];
        if at >= queue.length {
            return None;
        }
        let place = (queue.first + at) & mask(queue.class);
        Some(self.classes[queue.class as usize].block(queue.class, queue.block)[place as usize])
    }

    #[inline]
    pub fn push_back(&mut self, partition: u32, entry: Entry) {
        let queue = self.queues[partition as usize];
        if queue.length == 0 || queue.length > mask(queue.class) {
            self.grow(partition);
        }
        let queue = &mut self.queues[partition as usize];
        let place = (queue.first + queue.length) & mask(queue.class);
        queue.length += 1;
        self.classes[queue.class as usize].block_mut(queue.class, queue.block)[place as usize] = entry;
    }

    #[inline]
    pub fn pop_front(&mut self, partition: u32) {
        let queue = &mut self.queues[partition as usize];
        queue.first = (queue.first + 1) & mask(queue.class);
        self.shorten(partition);
    }

    #[inline]
    pub fn pop_back(&mut self, partition: u32) {
        self.shorten(partition);
    }

    pub fn clear(&mut self, partition: u32) {
        let queue = std::mem::take(&mut self.queues[partition as usize]);
        if queue.length > 0 {
            self.classes[queue.class as usize].give_back(queue.class, queue.block);
        }
    }

    /// Keeps these partitions only, ascending, which are numbered anew in this order: copies, in memory of their own.
    pub fn keep(&mut self, left: &[u32]) {
        let mut kept = Queues::default();
        kept.resize(left.len());
        for (new, &old) in (0..).zip(left) {
            self.entries(old).for_each(|entry| kept.push_back(new, entry));
        }
        *self = kept;
    }

    pub fn size_bytes(&self) -> usize {
        let blocks = self.classes.iter().map(|blocks| {
            blocks.chunks.iter().map(|chunk| size_of_val(&chunk[..])).sum::<usize>()
                + blocks.free.capacity() * size_of::<u32>()
        });
        self.queues.capacity() * size_of::<Queue>() + blocks.sum::<usize>()
    }

    /// One entry less; who is empty gives its block back.
    #[inline]
    fn shorten(&mut self, partition: u32) {
        let queue = &mut self.queues[partition as usize];
        queue.length -= 1;
        if queue.length == 0 {
            self.classes[queue.class as usize].give_back(queue.class, queue.block);
            *queue = Queue::default();
        }
    }

    /// Gives a queue a first block, or one of twice the size.
    #[cold]
    fn grow(&mut self, partition: u32) {
        let old = self.queues[partition as usize];
        let class = if old.length == 0 { 0 } else { old.class + 1 };
        self.classes.resize_with(self.classes.len().max(class as usize + 1), Blocks::default);
        let block = self.classes[class as usize].take(class);
        let (smaller, rest) = self.classes.split_at_mut(class as usize);
        if let Some(smaller) = smaller.last_mut().filter(|_| old.length > 0) {
            let (from, to) = (smaller.block(old.class, old.block), rest[0].block_mut(class, block));
            let (behind, before) = from.split_at(old.first as usize);
            to[..before.len()].copy_from_slice(before);
            to[before.len()..before.len() + behind.len()].copy_from_slice(behind);
            smaller.give_back(old.class, old.block);
        }
        self.queues[partition as usize] = Queue { block, class, first: 0, length: old.length };
    }
}

fn mask(class: u8) -> u32 {
    (1 << class) - 1
}

impl Blocks {
    fn take(&mut self, class: u8) -> u32 {
        if let Some(block) = self.free.pop() {
            return block;
        }
        let (chunk, _) = place(class, self.used);
        if chunk == self.chunks.len() {
            self.chunks.push(vec![Entry::default(); CHUNK_ENTRIES.max(1 << class)].into_boxed_slice());
        }
        self.used += 1;
        self.used - 1
    }

    /// Takes a block back; where that was the last one in use, of the memory no more than a chunk is kept.
    fn give_back(&mut self, class: u8, block: u32) {
        self.free.push(block);
        let kept = usize::from(1 << class <= CHUNK_ENTRIES);
        if self.free.len() == self.used as usize && self.chunks.len() > kept {
            self.chunks.truncate(kept);
            self.free = Vec::new();
            self.used = 0;
        }
    }

    #[inline]
    fn block(&self, class: u8, block: u32) -> &[Entry] {
        let (chunk, from) = place(class, block);
        &self.chunks[chunk][from..from + (1 << class)]
    }

    #[inline]
    fn block_mut(&mut self, class: u8, block: u32) -> &mut [Entry] {
        let (chunk, from) = place(class, block);
        &mut self.chunks[chunk][from..from + (1 << class)]
    }
}

/// The chunk that a block lies in, and where it begins there.
#[inline]
fn place(class: u8, block: u32) -> (usize, usize) {
    let entry = (block as usize) << class;
    if class as u32 >= CHUNK_ENTRIES.trailing_zeros() {
        return (block as usize, 0);
    }
    (entry / CHUNK_ENTRIES, entry % CHUNK_ENTRIES)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// Random steps on some queues, each beside one of the standard library.
    #[test]
    fn queues_are_queues() {
        let mut queues = Queues::default();
        let mut model: Vec<VecDeque<Entry>> = vec![VecDeque::new(); 7];
        queues.resize(model.len());
        let mut random = 1u64;
        for step in 0..20_000u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (random >> 33) as usize % model.len();
            let (partition, queue) = (at as u32, &mut model[at]);
            match (random >> 50) % 16 {
                0..=8 => {
                    let entry = Entry { at: step as i64, word: random };
                    queues.push_back(partition, entry);
                    queue.push_back(entry);
                }
                9..=12 if !queue.is_empty() => {
                    queues.pop_front(partition);
                    queue.pop_front();
                }
                13 | 14 if !queue.is_empty() => {
                    queues.pop_back(partition);
                    queue.pop_back();
                }
                15 if step % 31 == 0 => {
                    queues.clear(partition);
                    queue.clear();
                }
                _ => {}
            }
            assert_eq!(queues.front(partition), model[at].front().copied());
            assert_eq!(queues.back(partition), model[at].back().copied());
            assert_eq!(queues.length(partition), model[at].len());
            if step % 997 == 0 {
                let all = |at: usize| queues.entries(at as u32).collect::<VecDeque<_>>();
                (0..model.len()).for_each(|at| assert_eq!(all(at), model[at], "after step {step}"));
            }
        }
        queues.keep(&[1, 4, 6]);
        for (at, old) in [1, 4, 6].into_iter().enumerate() {
            assert_eq!(queues.entries(at as u32).collect::<VecDeque<_>>(), model[old]);
        }
        queues.keep(&[]);
        assert!(queues.size_bytes() < 1024, "what nobody holds is given back");
    }
}
