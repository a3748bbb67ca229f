//! What benches share: time without that in which others had the CPU.

use std::time::Instant;

/// Nanoseconds that `run` takes on this thread, without those in which the thread was ready and had no CPU.
pub fn own_nanoseconds(run: impl FnOnce()) -> f64 {
    // What was waited lies within what is measured, whenever the thread is held up.
    let (started, before) = (Instant::now(), waited_nanoseconds());
    run();
    let waited = waited_nanoseconds() - before;
    (started.elapsed().as_nanos() as u64).saturating_sub(waited) as f64
}

/// How long this thread has been ready and has not run, where the system tells.
fn waited_nanoseconds() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split_whitespace().nth(1).and_then(|waited| waited.parse().ok()).unwrap_or(0)
}
