//! Numbers, sizes and times as people read them.

use std::time::Duration;

use chrono::DateTime;
use millstream::arrow::datatypes::TimeUnit;
use millstream::pipeline::ticks_per_second;

/// `9,876`, `1.23M`, `45.6G`: three digits that count.
pub fn count(number: f64) -> String {
    const UNITS: &[(f64, &str)] = &[(1e12, "T"), (1e9, "G"), (1e6, "M")];
    match UNITS.iter().find(|(unit, _)| number >= *unit) {
        Some((unit, letter)) => format!("{}{letter}", three_digits(number / unit)),
        None => grouped(number.round() as u64),
    }
}

/// `512 B`, `1.23 MB`, `45.6 GB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: &[(f64, &str)] = &[(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    let number = bytes as f64;
    match UNITS.iter().find(|(unit, _)| number >= *unit) {
        Some((unit, name)) => format!("{} {name}", three_digits(number / unit)),
        None => format!("{bytes} B"),
    }
}

/// `0.98 s`, `12.3 s`, `2 min 03 s`, `1 h 02 min`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => {
            let seconds = duration.as_secs_f64();
            if seconds < 0.0995 { format!("{seconds:.3} s") } else { format!("{} s", three_digits(seconds)) }
        }
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// Event time as `2024-02-29 12:34:56`; nothing for times no calendar has.
pub fn time(ticks: i64, unit: TimeUnit) -> Option<String> {
    let seconds = ticks.div_euclid(ticks_per_second(unit));
    Some(DateTime::from_timestamp(seconds, 0)?.format("%Y-%m-%d %H:%M:%S").to_string())
}

/// `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn three_digits(number: f64) -> String {
    match number {
        n if n < 9.995 => format!("{n:.2}"),
        n if n < 99.95 => format!("{n:.1}"),
        n => format!("{n:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_that_count() {
        assert_eq!(count(0.0), "0");
        assert_eq!(count(9_876.4), "9,876");
        assert_eq!(count(123_456.0), "123,456");
        assert_eq!(count(1_234_567.0), "1.23M");
        assert_eq!(count(99_960_000.0), "100M");
        assert_eq!(count(10_200_000.0), "10.2M");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(13_000_000_000), "13.0 GB");
    }

    #[test]
    fn durations() {
        assert_eq!(duration(Duration::from_millis(3)), "0.003 s");
        assert_eq!(duration(Duration::from_millis(980)), "0.98 s");
        assert_eq!(duration(Duration::from_millis(12_345)), "12.3 s");
        assert_eq!(duration(Duration::from_secs(123)), "2 min 03 s");
        assert_eq!(duration(Duration::from_secs(3_725)), "1 h 02 min");
    }

    #[test]
    fn times() {
        assert_eq!(time(1_709_210_096_789, TimeUnit::Millisecond).as_deref(), Some("2024-02-29 12:34:56"));
        assert_eq!(time(-1, TimeUnit::Nanosecond).as_deref(), Some("1969-12-31 23:59:59"));
        assert_eq!(time(i64::MAX, TimeUnit::Second), None);
    }
}
