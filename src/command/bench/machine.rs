//! What this machine is and does: processor, CPU time, peak memory, bandwidth.

use std::time::Instant;

/// The machine a run was made on.
#[derive(Debug, Clone)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub memory_bytes: u64,
    /// Bytes per second that one thread reads from memory, summing numbers.
    pub bandwidth: f64,
}

impl Machine {
    /// Looks at it, and measures its bandwidth: a fifth of a second.
    pub fn look() -> Machine {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let value = |text: &str, key: &str| {
            let line = text.lines().find(|line| line.starts_with(key))?;
            Some(line.split_once(':')?.1.trim().to_string())
        };
        let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        Machine {
            processor: value(&cpuinfo, "model name").unwrap_or_else(|| std::env::consts::ARCH.to_string()),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            memory_bytes: value(&meminfo, "MemTotal").map_or(0, |text| kilobytes(&text)),
            bandwidth: bandwidth(),
        }
    }
}

fn kilobytes(text: &str) -> u64 {
    text.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn bandwidth() -> f64 {
    let numbers: Vec<u64> = (0..16 << 20).collect();
    let bytes = std::mem::size_of_val(&numbers[..]) as f64;
    let pass = || {
        let started = Instant::now();
        let sum = numbers.iter().fold(0u64, |sum, number| sum.wrapping_add(*number));
        std::hint::black_box(sum);
        bytes / started.elapsed().as_secs_f64()
    };
    (0..5).map(|_| pass()).fold(0.0, f64::max)
}

/// CPU seconds below this are no figure: they are counted in steps of a hundredth.
const CPU_SECONDS_MIN: f64 = 0.1;

/// CPU seconds as a figure; `None` where the steps they are counted in are too coarse for it.
pub fn cpu_figure(seconds: f64) -> Option<f64> {
    (seconds >= CPU_SECONDS_MIN).then_some(seconds)
}

/// CPU seconds of this process so far, all threads; in steps of a hundredth.
pub fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |field: usize| fields.get(field).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// Bytes this process holds in memory now, and the most it has held since [`forget_peak`].
pub fn memory_bytes() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = |key: &str| {
        let line = status.lines().find(|line| line.starts_with(key));
        line.and_then(|line| line.split_once(':')).map_or(0, |(_, text)| kilobytes(text))
    };
    (value("VmRSS"), value("VmHWM"))
}

/// Begins the count of the most memory anew, where the system lets us.
pub fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}
