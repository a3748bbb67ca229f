//! Days and months of a calendar, in a time zone: of 23 or 25 hours where clocks change, of 28 to 31 days.
//!
//! Invariants  a step begins at the first instant whose wall clock has reached it for good: where midnight is skipped,
//!             at the jump; where it comes twice, at the second time. So steps are gapless and in order.

use std::str::FromStr;

use arrow::array::timezone::Tz;
use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone};

use crate::error::{Error, Result};

/// What a calendar counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CalendarUnit {
    /// Days since 1970-01-01.
    Day,
    /// Months since January 1970.
    Month,
}

/// How many steps' beginnings are kept.
const KEPT: usize = 512;

/// The days or months of a time zone, as steps, over ticks of UTC.
#[derive(Debug, Clone)]
pub struct Calendar {
    unit: CalendarUnit,
    zone: Tz,
    ticks_per_second: i64,
    /// How much later than midnight a step begins, on the wall clock.
    shift: TimeDelta,
    /// The last step asked for, and the ticks it spans.
    last: (i64, i64, i64),
    /// Steps and where they begin, each at its number modulo the length.
    kept: Vec<(i64, i64)>,
}

impl Calendar {
    /// Failure: a zone that nobody knows, a shift of parts of a second.
    pub fn new(unit: CalendarUnit, zone: &str, ticks_per_second: i64, shift_ticks: i64) -> Result<Self> {
        let shift = TimeDelta::try_seconds(shift_ticks.div_euclid(ticks_per_second));
        let shift = shift.filter(|_| shift_ticks % ticks_per_second == 0);
        let shift =
            shift.ok_or_else(|| Error::user("the offset of a calendar window must be a number of whole seconds"))?;
        let zone = parse_zone(zone)?;
        Ok(Calendar { unit, zone, ticks_per_second, shift, last: (0, 1, 0), kept: vec![(i64::MAX, 0); KEPT] })
    }

    /// The step that holds a tick; the least or greatest number for ticks beyond the calendar.
    pub fn step(&mut self, tick: i64) -> i64 {
        let (from, to, step) = self.last;
        if from <= tick && tick < to {
            return step;
        }
        let beyond = if tick < 0 { i64::MIN } else { i64::MAX };
        let seconds = tick.div_euclid(self.ticks_per_second);
        let local = DateTime::from_timestamp(seconds, 0).map(|instant| instant.naive_utc());
        let local = local.and_then(|utc| {
            let offset = self.zone.offset_from_utc_datetime(&utc).fix().local_minus_utc();
            utc.checked_add_signed(TimeDelta::seconds(offset.into()))?.checked_sub_signed(self.shift)
        });
        let Some(local) = local else { return beyond };
        let mut step = match self.unit {
            CalendarUnit::Day => local.date().signed_duration_since(NaiveDate::default()).num_days(),
            CalendarUnit::Month => (i64::from(local.year()) - 1970) * 12 + i64::from(local.month0()),
        };
        // A clock that is set back or forth around midnight moves the bound by one step at most.
        if tick < self.tick(step) {
            step -= 1;
        } else if tick >= self.tick(step + 1) {
            step += 1;
        }
        let (from, to) = (self.tick(step), self.tick(step + 1));
        if from <= tick && tick < to {
            self.last = (from, to, step);
            step
        } else {
            beyond
        }
    }

    /// The tick a step begins at; the least or greatest one for steps beyond the calendar.
    pub fn tick(&mut self, step: i64) -> i64 {
        let place = step.rem_euclid(KEPT as i64) as usize;
        if self.kept[place].0 == step {
            return self.kept[place].1;
        }
        let tick = self.begin(step).unwrap_or(if step < 0 { i64::MIN } else { i64::MAX });
        self.kept[place] = (step, tick);
        tick
    }

    fn begin(&self, step: i64) -> Option<i64> {
        let epoch = NaiveDate::default();
        let count = step.unsigned_abs();
        let date = match (self.unit, step < 0) {
            (CalendarUnit::Day, false) => epoch.checked_add_days(Days::new(count)),
            (CalendarUnit::Day, true) => epoch.checked_sub_days(Days::new(count)),
            (CalendarUnit::Month, false) => epoch.checked_add_months(Months::new(count.try_into().ok()?)),
            (CalendarUnit::Month, true) => epoch.checked_sub_months(Months::new(count.try_into().ok()?)),
        };
        let local = date?.and_hms_opt(0, 0, 0)?.checked_add_signed(self.shift)?;
        self.instant(local)?.checked_mul(self.ticks_per_second)
    }

    /// Seconds since 1970 at which the wall clock reaches `local` for good.
    fn instant(&self, local: NaiveDateTime) -> Option<i64> {
        let wall = local.and_utc().timestamp();
        let at = |seconds: i64| {
            let utc = DateTime::from_timestamp(seconds, 0)?.naive_utc();
            Some(seconds + i64::from(self.zone.offset_from_utc_datetime(&utc).fix().local_minus_utc()))
        };
        let offsets = self.zone.offset_from_local_datetime(&local);
        if let Some(offset) = offsets.latest() {
            let other = offsets.earliest().unwrap_or(offset);
            let least = offset.fix().local_minus_utc().min(other.fix().local_minus_utc());
            return Some(wall - i64::from(least));
        }
        // The clock jumps over it: the jump lies between two instants a day apart.
        let (mut before, mut after) = (wall - 2 * DAY, wall + 2 * DAY);
        while after - before > 1 {
            let middle = before + (after - before) / 2;
            if at(middle)? < wall { before = middle } else { after = middle }
        }
        Some(after)
    }
}

const DAY: i64 = 86_400;

/// A time zone by its name in the IANA database, or by its offset from UTC.
///
/// Failure: neither of them.
fn parse_zone(zone: &str) -> Result<Tz> {
    Tz::from_str(zone).map_err(|_| {
        Error::user(format!(
            "unknown time zone: {zone}; write a name such as 'Europe/Berlin', or an offset as '+02:00'"
        ))
    })
}

/// Whether a time zone is known by this name.
pub fn is_zone(zone: &str) -> bool {
    Tz::from_str(zone).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(unit: CalendarUnit, zone: &str) -> Calendar {
        Calendar::new(unit, zone, 1_000, 0).expect("a known zone")
    }

    fn tick(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).expect("an instant").timestamp_millis()
    }

    #[test]
    fn days_are_as_long_as_the_clock_says() {
        let mut berlin = calendar(CalendarUnit::Day, "Europe/Berlin");
        let hours = |calendar: &mut Calendar, text: &str| {
            let step = calendar.step(tick(text));
            (calendar.tick(step + 1) - calendar.tick(step)) / 3_600_000
        };
        assert_eq!(hours(&mut berlin, "2024-03-31T12:00:00+02:00"), 23);
        assert_eq!(hours(&mut berlin, "2024-10-27T12:00:00+01:00"), 25);
        assert_eq!(hours(&mut berlin, "2024-07-01T00:00:00+02:00"), 24);
        let step = berlin.step(tick("2024-03-31T00:30:00+01:00"));
        assert_eq!(berlin.tick(step), tick("2024-03-31T00:00:00+01:00"));
        // Midnight is skipped on this day, and comes at one o'clock.
        let mut beirut = calendar(CalendarUnit::Day, "Asia/Beirut");
        let step = beirut.step(tick("2022-03-27T12:00:00+03:00"));
        assert_eq!(beirut.tick(step), tick("2022-03-27T01:00:00+03:00"));
        assert_eq!(hours(&mut beirut, "2022-03-27T12:00:00+03:00"), 23);
    }

    #[test]
    fn months_begin_on_the_first() {
        for (zone, instant, begin) in [
            ("UTC", "2024-02-29T23:59:59Z", "2024-02-01T00:00:00Z"),
            ("UTC", "1969-12-31T23:59:59Z", "1969-12-01T00:00:00Z"),
            ("America/New_York", "2024-04-01T03:00:00Z", "2024-03-01T00:00:00-05:00"),
            ("America/New_York", "2024-04-01T04:00:00Z", "2024-04-01T00:00:00-04:00"),
            ("+05:30", "2024-01-31T18:30:00Z", "2024-02-01T00:00:00+05:30"),
        ] {
            let mut calendar = calendar(CalendarUnit::Month, zone);
            let step = calendar.step(tick(instant));
            assert_eq!(calendar.tick(step), tick(begin), "{zone} {instant}");
        }
        let mut fifteenth = Calendar::new(CalendarUnit::Month, "UTC", 1_000, 14 * 86_400_000).expect("whole seconds");
        let step = fifteenth.step(tick("2024-03-14T23:00:00Z"));
        assert_eq!(fifteenth.tick(step), tick("2024-02-15T00:00:00Z"));
    }

    #[test]
    fn steps_are_gapless_and_in_order() {
        for zone in ["Europe/Berlin", "America/St_Johns", "America/Sao_Paulo", "Asia/Beirut", "Pacific/Apia", "UTC"] {
            for unit in [CalendarUnit::Day, CalendarUnit::Month] {
                let mut calendar = calendar(unit, zone);
                let mut at = tick("1987-01-01T00:00:00Z");
                let mut last = calendar.step(at);
                while at < tick("2013-01-01T00:00:00Z") {
                    let step = calendar.step(at);
                    assert!(calendar.tick(step) <= at && at < calendar.tick(step + 1), "{zone} {at}");
                    assert!(step >= last, "{zone} {at}");
                    last = step;
                    at += 3_599_000;
                }
            }
        }
        let mut far = calendar(CalendarUnit::Day, "Europe/Berlin");
        assert_eq!((far.step(i64::MAX), far.step(i64::MIN)), (i64::MAX, i64::MIN));
        assert!(Calendar::new(CalendarUnit::Day, "Middle/Earth", 1, 0).is_err());
    }
}
