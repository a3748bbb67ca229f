//! The engine's settings: every bound has its name here.

use std::time::Duration;

use millstream_kernels::level::Level;

/// Settings of an engine; each query starts with a copy.
#[derive(Debug, Clone)]
pub struct Config {
    /// Rows per batch, 1 to 65,536.
    pub batch_rows: usize,
    /// Owner threads per query, at least 1.
    pub partitions: usize,
    /// Bytes that all operators of the engine may hold; an operator over it fails with a typed error.
    pub memory_bytes: Option<usize>,
    /// Groups that an aggregate before an exchange gathers before it sends them on; up to sixteen times as many where
    /// rows keep finding their group there.
    pub local_groups_max: usize,
    /// Messages an exchange ring holds.
    pub ring_capacity: usize,
    /// What kernels may ask of the CPU; `None`: all that this machine has.
    pub level: Option<Level>,
    /// Whether the flush at the end of input is withheld: windows that the watermark of the slowest source partition
    /// has not closed stay open.
    pub keep_open: bool,
    /// Whether a query is refused whose state grows for as long as its input comes.
    pub strict: bool,
    /// How long groups without a window are kept once no row of theirs comes, where neither a hint nor their table says
    /// so; `None`: for ever.
    pub state_ttl: Option<Duration>,
    /// How long input without an end may gather before it is taken, unless a batch is full; by table, where it says so.
    pub linger: Duration,
    /// Whether statements may load native code: `CREATE FUNCTION ... LANGUAGE NATIVE`. What is loaded runs with all the
    /// rights of this process.
    pub allow_native: bool,
    /// Whether queries keep all their state so that a snapshot can be taken of any of them at any time. Without it some
    /// queries over input that ends are faster, and say so when they are asked for a snapshot.
    pub snapshots: bool,
    /// How tables of groups begin to find their keys, where these allow it; `None`: as suits the keys. No answer depends
    /// on it: for tests.
    pub key_mode: Option<KeyMode>,
    /// How long an idle worker sleeps before it looks around again.
    pub idle_sleep: Duration,
}

/// How a table finds the group of a key: `EXPLAIN ANALYZE` tells which a query's tables have come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyMode {
    Dense,
    Direct,
    Packed64,
    Packed128,
    String,
    Numbered,
    Rows,
}

impl KeyMode {
    pub const ALL: [KeyMode; 7] =
        [Self::Dense, Self::Direct, Self::Packed64, Self::Packed128, Self::String, Self::Numbered, Self::Rows];

    /// As `EXPLAIN ANALYZE` names it.
    pub fn name(self) -> &'static str {
        match self {
            KeyMode::Dense => "dense",
            KeyMode::Direct => "direct",
            KeyMode::Packed64 => "packed 64",
            KeyMode::Packed128 => "packed 128",
            KeyMode::String => "string",
            KeyMode::Numbered => "numbered",
            KeyMode::Rows => "rows",
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            batch_rows: 8192,
            partitions: std::thread::available_parallelism().map_or(1, |n| n.get()),
            memory_bytes: None,
            local_groups_max: 16_384,
            ring_capacity: 16,
            level: None,
            keep_open: false,
            strict: false,
            state_ttl: None,
            linger: Duration::ZERO,
            allow_native: false,
            snapshots: false,
            key_mode: None,
            idle_sleep: Duration::from_millis(1),
        }
    }
}
