//! Block memory, used again when the columns that shared it are gone.

use std::sync::{Mutex, PoisonError};

use arrow::buffer::Buffer;

/// Memory of earlier blocks.
#[derive(Debug)]
pub struct Pool {
    buffers: Mutex<Vec<Buffer>>,
    count_max: usize,
}

impl Pool {
    /// A pool that keeps up to `count_max` blocks.
    pub fn new(count_max: usize) -> Self {
        Pool { buffers: Mutex::new(Vec::new()), count_max }
    }

    /// Memory of at least `length` bytes, which hold anything.
    pub fn take(&self, length: usize) -> Vec<u8> {
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        // The one used last is the one that the cache holds.
        for index in (0..buffers.len()).rev() {
            let buffer = buffers.swap_remove(index);
            match buffer.into_vec::<u8>() {
                Ok(mut memory) => {
                    drop(buffers);
                    if memory.len() < length {
                        memory.resize(length, 0);
                    }
                    return memory;
                }
                Err(shared) => {
                    buffers.push(shared);
                    let last = buffers.len() - 1;
                    buffers.swap(index, last);
                }
            }
        }
        drop(buffers);
        vec![0; length]
    }

    /// Takes memory back; it may still be shared. What is too much, or much too large, is dropped.
    pub fn put(&self, buffer: Buffer) {
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        if buffer.len() <= 4 * super::BLOCK_BYTES {
            if buffers.len() >= self.count_max {
                buffers.remove(0);
            }
            buffers.push(buffer);
        }
    }
}
