//! What this CPU can do, asked once and handed to every kernel as its first argument.
//!
//! Invariants  a `Level` is a proof: it exists only where the CPU has those instructions.

pub use fearless_simd::Level;
use std::sync::OnceLock;

static LEVEL: OnceLock<Level> = OnceLock::new();

/// Returns the best level of this machine; asks the CPU on the first call only.
pub fn detect() -> Level {
    *LEVEL.get_or_init(Level::new)
}

/// Makes [`detect`] answer `level` from now on, for work that must be the same on every machine. Returns whether it
/// does: not when it was asked before.
pub fn fix(level: Level) -> bool {
    LEVEL.set(level).is_ok()
}

/// Returns every level this machine can run, lowest first: what a test loops over.
#[cfg(target_arch = "x86_64")]
pub fn available() -> Vec<Level> {
    let best = Level::new();
    let mut levels = Vec::with_capacity(4);
    levels.extend(best.as_sse2().map(Level::Sse2));
    levels.extend(best.as_sse4_2().map(Level::Sse4_2));
    levels.extend(best.as_avx2().map(Level::Avx2));
    levels.extend(best.as_avx512().map(Level::Avx512));
    levels
}

/// Returns every level this machine can run, lowest first: what a test loops over.
#[cfg(not(target_arch = "x86_64"))]
pub fn available() -> Vec<Level> {
    vec![detect()]
}

/// Returns the short name of a level, as benches and `EXPLAIN` print it.
#[allow(unreachable_patterns, reason = "which levels exist depends on the architecture")]
pub fn name(level: Level) -> &'static str {
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Sse2(_) => "sse2",
        #[cfg(target_arch = "x86_64")]
        Level::Sse4_2(_) => "sse4.2",
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(_) => "avx2",
        #[cfg(target_arch = "x86_64")]
        Level::Avx512(_) => "avx512",
        #[cfg(target_arch = "aarch64")]
        Level::Neon(_) => "neon",
        _ => "baseline",
    }
}
