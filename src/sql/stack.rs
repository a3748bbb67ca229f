//! A deep stack for walks over syntax trees and plans.
//!
//! Parser and planner recurse, with frames of many kilobytes in debug builds: fifty parentheses overflow the two megabytes
//! that threads often have, and an overflow ends the process. So parsing and planning run on a stack of their own; its
//! pages are only taken when they are touched. This is no worker: it lives as long as one call; the command line makes
//! one call of all that it does.

use std::cell::Cell;
use std::panic::resume_unwind;
use std::thread;

const STACK_BYTES: usize = 512 << 20;

thread_local! {
    static IS_DEEP: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` on a deep stack and waits for it; on the stack at hand when that is deep already, or no other can be had.
pub fn with_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    if IS_DEEP.get() {
        return work();
    }
    let mut slot = Some(work);
    let on_deep = thread::scope(|scope| {
        let slot = &mut slot;
        let run = move || {
            IS_DEEP.set(true);
            slot.take().map(|work| work())
        };
        let spawned =
            thread::Builder::new().name("millstream-sql".to_string()).stack_size(STACK_BYTES).spawn_scoped(scope, run);
        spawned.ok().map(|handle| handle.join().unwrap_or_else(|panic| resume_unwind(panic)))
    });
    match (on_deep, slot) {
        (Some(Some(result)), _) => result,
        (_, Some(work)) => work(),
        _ => unreachable!("the work is either done or still there"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_deep_once() {
        fn depth(levels: usize) -> usize {
            let room = std::hint::black_box([levels; 1024]);
            if levels == 0 { 0 } else { 1 + depth(std::hint::black_box(room[17]) - 1) }
        }
        let outer =
            with_deep_stack(|| (thread::current().id(), with_deep_stack(|| thread::current().id()), depth(10_000)));
        assert_eq!(outer.0, outer.1);
        assert_ne!(outer.0, thread::current().id());
        assert_eq!(outer.2, 10_000);
    }

    #[test]
    #[should_panic(expected = "from below")]
    fn passes_panics_on() {
        with_deep_stack(|| panic!("from below"));
    }
}
