//! Dates, times of day and timestamps in ISO 8601, in the proleptic Gregorian calendar.

use super::{integer, word};

const DAY_SECONDS: i64 = 86_400;

/// A point in time as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instant {
    /// Seconds since 1970-01-01T00:00:00 on the written clock.
    pub seconds: i64,
    pub nanos: u32,
    /// Seconds the written clock is ahead of UTC, where the text says so.
    pub offset: Option<i32>,
}

/// `2024-02-29`, as days since 1970-01-01. Years have four digits, or up to six with a sign.
#[inline(always)]
pub fn date(bytes: &[u8]) -> Option<i32> {
    match bytes {
        [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] => {
            let [century, year, month, day] = pairs([[*y0, *y1], [*y2, *y3], [*m0, *m1], [*d0, *d1]])?;
            days((century * 100 + year) as i32, month, day)
        }
        _ => far_date(bytes),
    }
}

#[cold]
fn far_date(bytes: &[u8]) -> Option<i32> {
    let (year, [b'-', m0, m1, b'-', d0, d1]) = bytes.split_last_chunk::<6>()? else { return None };
    let digits = year.strip_prefix(b"-").or(year.strip_prefix(b"+"))?;
    let year = integer::signed(year).filter(|_| (4..=6).contains(&digits.len()))?;
    days(year as i32, pair(*m0, *m1)?, pair(*d0, *d1)?)
}

/// A date, or the date of a timestamp.
pub fn date_of(bytes: &[u8]) -> Option<i32> {
    date(bytes).or_else(|| i32::try_from(timestamp(bytes)?.seconds.div_euclid(DAY_SECONDS)).ok())
}

/// `13:45`, `13:45:10` or `13:45:10.123456789`, as nanoseconds of the day. Further digits are cut.
pub fn time_of_day(bytes: &[u8]) -> Option<i64> {
    let (seconds, nanos) = clock(bytes)?;
    Some(seconds * 1_000_000_000 + nanos as i64)
}

/// `2024-02-29`, or the date, `T` or a space, a time of day, and `Z`, `+02`, `+0200` or `+02:00` where the offset is told.
#[inline(always)]
pub fn timestamp(bytes: &[u8]) -> Option<Instant> {
    plain_timestamp(bytes).or_else(|| any_timestamp(bytes))
}

/// The layout that most are written in: `2024-02-29 13:45:10`, no fraction or one of three or six digits, and `Z` or no
/// offset. `None` says nothing about any other.
#[inline(always)]
fn plain_timestamp(bytes: &[u8]) -> Option<Instant> {
    let (bytes, offset) = match bytes {
        [bytes @ .., b'Z'] => (bytes, Some(0)),
        bytes => (bytes, None),
    };
    let (first, fraction) = bytes.split_first_chunk::<19>()?;
    let [c0, c1, y0, y1, a, m0, m1, b, d0, d1, separator, clock @ ..] = *first;
    let century = pair(c0, c1)?;
    let [year, month, day] = word::pairs(u64::from_le_bytes([y0, y1, a, m0, m1, b, d0, d1]), b'-')?;
    let [hours, minutes, seconds] = word::pairs(u64::from_le_bytes(clock), b':')?;
    if !matches!(separator, b' ' | b'T') || hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let nanos = match *fraction {
        [] => 0,
        [b'.', a, b, c] => word::digits(u32::from_le_bytes([a, b, c, 0]) as u64, 3)? as u32 * 1_000_000,
        [b'.', a, b, c, d, e, f] => word::digits(u64::from_le_bytes([a, b, c, d, e, f, 0, 0]), 6)? as u32 * 1_000,
        _ => return None,
    };
    let day = days((century * 100 + year) as i32, month, day)? as i64;
    Some(Instant { seconds: day * DAY_SECONDS + (hours * 3600 + minutes * 60 + seconds) as i64, nanos, offset })
}

#[inline(never)]
fn any_timestamp(bytes: &[u8]) -> Option<Instant> {
    let Some(split) = separator(bytes) else {
        return Some(Instant { seconds: date(bytes)? as i64 * DAY_SECONDS, nanos: 0, offset: None });
    };
    let day = date(&bytes[..split])? as i64;
    let rest = &bytes[split + 1..];
    let (rest, offset) = match rest {
        [time @ .., b'Z' | b'z'] => (time.trim_ascii_end(), Some(0)),
        // A plain time of day has no room for an offset.
        [_, _, b':', _, _, b':', _, _] => (rest, None),
        _ => match rest.iter().position(|byte| matches!(byte, b'+' | b'-')) {
            Some(at) => (rest[..at].trim_ascii_end(), Some(offset(&rest[at..])?)),
            None => (rest, None),
        },
    };
    let (seconds, nanos) = clock(rest)?;
    Some(Instant { seconds: day * DAY_SECONDS + seconds, nanos, offset })
}

/// `+02`, `+0200` or `+02:00`, in seconds.
pub fn offset(bytes: &[u8]) -> Option<i32> {
    let (sign, [h0, h1, minutes @ ..]) = bytes.split_first()? else { return None };
    let minutes = match minutes {
        [] => 0,
        [b':', m0, m1] | [m0, m1] => pair(*m0, *m1)?,
        _ => return None,
    };
    let hours = pair(*h0, *h1)?;
    let seconds = (hours < 24 && minutes < 60).then_some((hours * 3600 + minutes * 60) as i32)?;
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

#[inline(always)]
fn separator(bytes: &[u8]) -> Option<usize> {
    match bytes.get(10) {
        Some(b'T' | b't' | b' ') => Some(10),
        _ => bytes.iter().position(|byte| matches!(byte, b'T' | b't' | b' ')),
    }
}

/// Seconds of the day and nanoseconds.
#[inline(always)]
fn clock(bytes: &[u8]) -> Option<(i64, u32)> {
    let (h0, h1, m0, m1, s0, s1, fraction) = match bytes {
        [h0, h1, b':', m0, m1] => (h0, h1, m0, m1, &b'0', &b'0', &[][..]),
        [h0, h1, b':', m0, m1, b':', s0, s1, fraction @ ..] => (h0, h1, m0, m1, s0, s1, fraction),
        _ => return None,
    };
    let [hours, minutes, seconds] = pairs([[*h0, *h1], [*m0, *m1], [*s0, *s1]])?;
    if hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let nanos = match fraction {
        [] => 0,
        [b'.' | b',', digits @ ..] => fraction_nanos(digits)?,
        _ => return None,
    };
    Some(((hours * 3600 + minutes * 60 + seconds) as i64, nanos))
}

#[inline(always)]
fn fraction_nanos(digits: &[u8]) -> Option<u32> {
    const POWERS: [u32; 10] = [1_000_000_000, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];
    if let Some((kept, cut)) = digits.split_at_checked(9) {
        return cut.iter().all(u8::is_ascii_digit).then_some(integer::unsigned(kept)? as u32);
    }
    Some(integer::unsigned(digits)? as u32 * POWERS[digits.len()])
}

#[inline(always)]
fn pair(tens: u8, ones: u8) -> Option<u32> {
    pairs([[tens, ones]]).map(|[value]| value)
}

/// The numbers of two digits each; one look at the end says whether all were digits.
#[inline(always)]
fn pairs<const N: usize>(text: [[u8; 2]; N]) -> Option<[u32; N]> {
    let mut largest = 0;
    let values = text.map(
        #[inline(always)]
        |[tens, ones]| {
            let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
            largest = largest.max(tens).max(ones);
            tens as u32 * 10 + ones as u32
        },
    );
    (largest < 10).then_some(values)
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar.
#[inline(always)]
fn days(year: i32, month: u32, day: u32) -> Option<i32> {
    const LENGTHS: [u8; 16] = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 0, 0, 0];
    /// Days before a month of a year that begins in March, and ends in February.
    const BEFORE: [u16; 16] = [0, 306, 337, 0, 31, 61, 92, 122, 153, 184, 214, 245, 275, 0, 0, 0];
    let month = month.min(15) as usize;
    if day == 0 || day > LENGTHS[month] as u32 {
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        if !(is_leap && month == 2 && day == 29) {
            return None;
        }
    }
    // Years count from one so early that none is negative; 400 of them are 146,097 days.
    const SHIFT: i32 = 1_000_000;
    let shifted = (year + SHIFT - (month <= 2) as i32) as u32;
    let before = shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400;
    Some(before as i32 - SHIFT / 400 * 146_097 + BEFORE[month] as i32 + day as i32 - 719_469)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, NaiveDate};

    #[test]
    fn dates_agree_with_chrono() {
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
        for days in (-719_528..2_932_896).step_by(97).chain([-1, 0, 1, 11_016, 11_017, 47_540, 47_541]) {
            let text = (epoch + chrono::Duration::days(days)).to_string();
            assert_eq!(date(text.as_bytes()), Some(days as i32), "{text}");
        }
        assert_eq!(date(b"-0001-03-01"), Some((NaiveDate::from_ymd_opt(-1, 3, 1).unwrap() - epoch).num_days() as i32));
        assert_eq!(
            date(b"+12345-03-01"),
            Some((NaiveDate::from_ymd_opt(12345, 3, 1).unwrap() - epoch).num_days() as i32)
        );
        for text in [
            "",
            "2023-02-29",
            "2100-02-29",
            "2024-00-01",
            "2024-13-01",
            "2024-01-32",
            "2024-1-1",
            "24-01-01",
            "2024/01/01",
        ] {
            assert_eq!(date(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn timestamps_agree_with_chrono() {
        for text in ["2024-02-29T23:59:59Z", "1969-12-31T23:59:59.999999999+02:00", "2000-01-01t00:00:00.5-11:30"] {
            let (found, wanted) = (timestamp(text.as_bytes()).unwrap(), DateTime::parse_from_rfc3339(text).unwrap());
            assert_eq!(found.seconds - found.offset.unwrap() as i64, wanted.timestamp(), "{text}");
            assert_eq!(found.nanos, wanted.timestamp_subsec_nanos(), "{text}");
        }
        let same = Instant { seconds: 60, nanos: 0, offset: None };
        assert_eq!(timestamp(b"1970-01-01 00:01"), Some(same));
        assert_eq!(timestamp(b"1970-01-01T00:01:00.0000000009"), Some(same));
        assert_eq!(timestamp(b"1970-01-01 00:01:00 +02"), Some(Instant { offset: Some(7200), ..same }));
        assert_eq!(timestamp(b"1970-01-01"), Some(Instant { seconds: 0, ..same }));
        for text in [
            "",
            "T",
            "1970-01-01T",
            "1970-01-01T24:00:00",
            "1970-01-01T00:60",
            "1970-01-01T00:00:00.",
            "1970-01-01T00:00:00+2",
        ] {
            assert_eq!(timestamp(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn times_of_day() {
        assert_eq!(time_of_day(b"00:00:01.5"), Some(1_500_000_000));
        assert_eq!(time_of_day(b"23:59"), Some(86_340_000_000_000));
        assert_eq!(time_of_day(b"1:00:00"), None);
    }
}
