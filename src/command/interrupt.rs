//! ctrl-C and SIGTERM: while a query runs they ask it to stop, otherwise they end the process.
//!
//! Invariants  one question, one answer: a signal is taken once. Signals that nobody asks about end the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use millstream::error::{Error, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

const SIGNALS: [i32; 2] = [SIGINT, SIGTERM];

/// The process' ear for signals.
pub struct Interrupts {
    /// Nobody would take a signal: it ends the process.
    unheard: Arc<AtomicBool>,
    /// Whether signals wait to be taken between queries as well.
    is_patient: bool,
    pending: [Arc<AtomicBool>; 2],
}

impl Interrupts {
    /// Starts listening. To be called once. `is_patient`: no signal ends the process, they all wait to be taken.
    pub fn listen(is_patient: bool) -> Result<Interrupts> {
        let unheard = Arc::new(AtomicBool::new(!is_patient));
        let interrupts = Interrupts { unheard, is_patient, pending: Default::default() };
        for (signal, pending) in SIGNALS.into_iter().zip(&interrupts.pending) {
            // The order counts: the flag is raised only when the process goes on.
            flag::register_conditional_shutdown(signal, 128 + signal, interrupts.unheard.clone())
                .and_then(|_| flag::register(signal, pending.clone()))
                .map_err(|e| Error::outside("cannot listen for signals").caused_by(e))?;
        }
        Ok(interrupts)
    }

    /// Takes signals from here on, until what is returned is dropped.
    pub fn hear(&self) -> Hearing<'_> {
        if !self.is_patient {
            self.pending.iter().for_each(|pending| pending.store(false, SeqCst));
        }
        self.unheard.store(false, SeqCst);
        Hearing(self)
    }
}

/// While it lives, signals wait to be taken.
pub struct Hearing<'a>(&'a Interrupts);

impl Hearing<'_> {
    /// The signal that has come since it was last asked, if any.
    pub fn take(&self) -> Option<u8> {
        let mut signals = SIGNALS.into_iter().zip(&self.0.pending);
        signals.find(|(_, pending)| pending.swap(false, SeqCst)).map(|(signal, _)| signal as u8)
    }
}

impl Drop for Hearing<'_> {
    fn drop(&mut self) {
        self.0.unheard.store(!self.0.is_patient, SeqCst);
    }
}
