//! Rows go to the partition that owns their key, batch by batch, over bounded rings.
//!
//! ```text
//! worker 0  Exchange ══▶ ring ══▶ worker 1     batches and watermarks one way,
//!                    ◀── ring ◀──              empty batches the other way, to be filled again
//! ```
//! Invariants  an exchange never blocks: what a full ring does not take waits in its outbox, and its worker takes no
//!             more input for it until the outbox is empty. Messages of one sender arrive in order.

mod hash; //  keys → the number that decides the partition
mod send; //  the operator at the sending end

pub use send::{Exchange, Route};

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;

use crate::batch::Batch;
use crate::stream::operator::Ending;

/// What travels between workers.
#[derive(Debug)]
pub enum Message {
    Batch(Batch),
    Watermark(i64),
    End(Ending),
}

/// Wakes a worker that sleeps for want of input, or of room for what it has sent.
#[derive(Debug, Default)]
pub struct Waker {
    thread: OnceLock<Thread>,
    asleep: AtomicBool,
}

impl Waker {
    /// Says that the calling thread is the one to wake.
    pub fn register(&self) {
        let _ = self.thread.set(std::thread::current());
    }

    /// Announces that the worker is about to sleep; it must look for input and for room once more before it does.
    pub fn fall_asleep(&self) {
        self.asleep.store(true, Ordering::SeqCst);
        // With the fence in `wake`: either this worker sees the message, or its sender sees it asleep.
        fence(Ordering::SeqCst);
    }

    pub fn rise(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }

    /// Wakes the worker, or keeps it from falling asleep next: for whoever cannot know whether it does just now.
    pub fn nudge(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Wakes the worker if it sleeps. Comes after the message has been put into its ring, or taken out of it.
    pub fn wake(&self) {
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }
}

/// The sending end of a ring, with what it could not take yet.
pub struct Sender {
    ring: rtrb::Producer<Message>,
    recycled: rtrb::Consumer<Batch>,
    outbox: VecDeque<Message>,
    receiving: Arc<Waker>,
    in_flight: Arc<AtomicI64>,
}

/// The receiving end of a ring.
pub struct Receiver {
    ring: rtrb::Consumer<Message>,
    recycle: rtrb::Producer<Batch>,
    ended: bool,
    sending: Arc<Waker>,
    in_flight: Arc<AtomicI64>,
}

/// A ring for `capacity` messages, from the worker that `sending` wakes to that of `receiving`. `in_flight` counts, over
/// all rings of a query, the messages that were posted and not yet worked off.
pub fn ring(
    capacity: usize,
    sending: Arc<Waker>,
    receiving: Arc<Waker>,
    in_flight: Arc<AtomicI64>,
) -> (Sender, Receiver) {
    let (to, from) = rtrb::RingBuffer::new(capacity);
    let (back, again) = rtrb::RingBuffer::new(capacity + 1);
    let in_flight_too = in_flight.clone();
    let sender = Sender { ring: to, recycled: again, outbox: VecDeque::new(), receiving, in_flight: in_flight_too };
    (sender, Receiver { ring: from, recycle: back, ended: false, sending, in_flight })
}

impl Sender {
    /// An empty batch to fill: one that came back, or a new one.
    pub fn empty_batch(&mut self) -> Batch {
        let mut batch = self.recycled.pop().unwrap_or_default();
        batch.clear();
        batch
    }

    /// Sends a message, or keeps it until there is room.
    pub fn post(&mut self, message: Message) {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        if !self.outbox.is_empty() {
            self.outbox.push_back(message);
        } else if let Err(rtrb::PushError::Full(message)) = self.ring.push(message) {
            self.outbox.push_back(message);
        }
        self.receiving.wake();
    }

    /// Whether messages wait for room.
    pub fn has_waiting(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Whether there is no room for what waits.
    pub fn is_blocked(&self) -> bool {
        self.ring.is_full() && !self.ring.is_abandoned()
    }

    /// Sends what waits; whether all of it went.
    pub fn flush(&mut self) -> bool {
        let waiting = self.outbox.len();
        // Asked first: who waits for room asks often, and a message is large.
        while !self.ring.is_full() {
            let Some(message) = self.outbox.pop_front() else { break };
            if let Err(rtrb::PushError::Full(message)) = self.ring.push(message) {
                self.outbox.push_front(message);
                break;
            }
        }
        if self.outbox.len() < waiting {
            self.receiving.wake();
        }
        self.outbox.is_empty()
    }

    /// Whether the receiver is gone.
    pub fn is_abandoned(&self) -> bool {
        self.ring.is_abandoned()
    }
}

impl Receiver {
    /// The next message, if one is there. Wakes a sender that sleeps, as it may for want of room.
    pub fn take(&mut self) -> Option<Message> {
        let message = self.ring.pop().ok()?;
        self.sending.wake();
        self.ended |= matches!(message, Message::End(_));
        Some(message)
    }

    /// Says that what followed from the last message is done: whatever it set off has been posted.
    pub fn work_off(&self) {
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
    }

    /// Sends an empty batch back to be filled again; when the way back is full, its memory is given up.
    pub fn give_back(&mut self, batch: Batch) {
        let _ = self.recycle.push(batch);
    }

    /// Whether a message is there.
    pub fn has_message(&self) -> bool {
        !self.ring.is_empty()
    }

    /// Whether the end has been taken.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether the sender has gone without sending an end.
    pub fn is_orphaned(&self) -> bool {
        !self.ended && self.ring.is_abandoned() && self.ring.is_empty()
    }
}
