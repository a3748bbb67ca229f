//! The model: what a query means, row at a time, by definition. No code of the engine.

use std::collections::{BTreeMap, BTreeSet};

use super::cell::{Cell, Line, float, optional};
use super::spec::{Aggregate, Function, Kind, Spec, Window};
use super::world::{Event, World};

/// What a query must give.
#[derive(Debug, Default)]
pub struct Expected {
    /// All rows, sorted.
    pub lines: Vec<Line>,
    /// Rows that pass WHERE and lie in windows, all of which were closed.
    pub late: u64,
    /// Rows that count for at least one window (without windows: that pass WHERE).
    pub on_time: u64,
    /// Rows that WHERE takes away.
    pub filtered: u64,
    /// Rows without a time, or in the gap between two windows.
    pub nowhere: u64,
}

/// A window's start and end.
type Bounds = (i64, i64);
/// Rows of each key with their times and the watermarks before them, until their sessions are known.
type Unbound<'a> = BTreeMap<Line, Vec<(i64, i64, &'a Event)>>;
/// Rows of each group: by key, and by window if there is one.
type Groups<'a> = BTreeMap<(Option<Bounds>, Line), Vec<&'a Event>>;

/// The answer of `spec` over all rows of `worlds`; `keep_open`: windows that no watermark has closed stay inside.
pub fn answer(worlds: &[&World], spec: &Spec, keep_open: bool) -> Expected {
    let mut expected = Expected::default();
    let (mut groups, mut unbound) = (Groups::new(), Unbound::new());
    let mut reached = i64::MAX;
    let partitions = worlds.iter().flat_map(|world| world.partitions.iter().map(|events| (events, world.delay)));
    for (events, delay) in partitions {
        let mut watermark = i64::MIN;
        for event in events {
            if spec.condition.is_some_and(|condition| condition.of(event) != Some(true)) {
                expected.filtered += 1;
            } else {
                take(event, watermark, spec, (&mut groups, &mut unbound), &mut expected);
            }
            if let Some(ts) = event.ts {
                watermark = watermark.max(ts - delay);
            }
        }
        if !events.is_empty() {
            reached = reached.min(watermark);
        }
    }
    if spec.window.is_none() && spec.keys.is_empty() {
        groups.entry((None, Vec::new())).or_default();
    }
    let gap = spec.window.map_or(0, |window| window.size);
    for (key, rows) in unbound {
        sessions(&key, rows, gap, &mut groups);
    }
    let is_session = spec.window.is_some_and(|window| window.kind == Kind::Session);
    for ((bounds, key), events) in groups {
        // A row right at its end still belongs to a session.
        let closed = bounds.is_none_or(|(_, end)| end < reached || end == reached && !is_session);
        let having = spec.having.is_none_or(|least| events.len() as i64 > least);
        if having && (closed || !keep_open || spec.changes) {
            expected.lines.push(line(key, bounds, &spec.aggregates, &events));
        }
    }
    expected.lines.sort();
    expected
}

/// Puts a row into its groups.
fn take<'a>(
    event: &'a Event,
    watermark: i64,
    spec: &Spec,
    (groups, unbound): (&mut Groups<'a>, &mut Unbound<'a>),
    expected: &mut Expected,
) {
    let key: Line = spec.keys.iter().map(|key| key.of(event)).collect();
    let Some(window) = spec.window else {
        expected.on_time += 1;
        groups.entry((None, key)).or_default().push(event);
        return;
    };
    if let (Kind::Session, Some(ts)) = (window.kind, event.ts) {
        if ts + window.size < watermark {
            expected.late += 1;
        } else {
            expected.on_time += 1;
            unbound.entry(key).or_default().push((ts, watermark, event));
        }
        return;
    }
    let windows = event.ts.map_or_else(Vec::new, |ts| windows_of(window, ts));
    if windows.is_empty() {
        expected.nowhere += 1;
        return;
    }
    let mut open = windows.into_iter().filter(|(_, end)| watermark < *end).peekable();
    match open.peek() {
        None => expected.late += 1,
        Some(_) => expected.on_time += 1,
    }
    for bounds in open {
        groups.entry((Some(bounds), key.clone())).or_default().push(event);
    }
}

/// Puts the rows of a key into sessions, by definition: two rows are in one when they are at most the gap apart and the
/// later one's watermark had not passed the end of the earlier one's own session, and so are all that hang together.
fn sessions<'a>(key: &Line, mut rows: Vec<(i64, i64, &'a Event)>, gap: i64, groups: &mut Groups<'a>) {
    rows.sort_by_key(|(time, ..)| *time);
    let mut session: Vec<usize> = (0..rows.len()).collect();
    for later in 0..rows.len() {
        for earlier in 0..later {
            let (from, to, mark) = (rows[earlier].0, rows[later].0, rows[later].1);
            if to - from <= gap && mark <= from.saturating_add(gap) || from == to {
                let (old, new) = (session[later].max(session[earlier]), session[later].min(session[earlier]));
                session.iter_mut().filter(|session| **session == old).for_each(|session| *session = new);
            }
        }
    }
    let mut found: BTreeMap<usize, Vec<(i64, &'a Event)>> = BTreeMap::new();
    for (row, session) in session.iter().enumerate() {
        found.entry(*session).or_default().push((rows[row].0, rows[row].2));
    }
    for rows in found.into_values() {
        let (first, last) = (rows[0].0, rows[rows.len() - 1].0);
        let events = rows.into_iter().map(|(_, event)| event).collect();
        groups.insert((Some((first, last + gap)), key.clone()), events);
    }
}

/// All windows that hold `time`, by definition: start <= time < start + size, starts `slide` apart, one at `offset`.
pub fn windows_of(window: Window, time: i64) -> Vec<Bounds> {
    let (size, slide, offset) = (window.size as i128, window.slide as i128, window.offset as i128);
    let time = time as i128;
    if window.kind == Kind::Cumulate {
        let start = offset + (time - offset).div_euclid(size) * size;
        let steps = (1..=size / slide).map(|step| (start as i64, (start + step * slide) as i64));
        return steps.filter(|(_, end)| *end as i128 > time).collect();
    }
    let mut start = offset + (time - offset).div_euclid(slide) * slide;
    let mut found = Vec::new();
    while start + size > time {
        found.push((start as i64, (start + size) as i64));
        start -= slide;
    }
    found
}

fn line(key: Line, bounds: Option<Bounds>, aggregates: &[Aggregate], events: &[&Event]) -> Line {
    let mut line = key;
    if let Some((start, end)) = bounds {
        line.extend([Cell::Time(start), Cell::Time(end)]);
    }
    line.extend(aggregates.iter().map(|aggregate| {
        let passes = |event: &&&Event| aggregate.filter.is_none_or(|filter| filter.of(event) == Some(true));
        let events: Vec<&Event> = events.iter().filter(passes).copied().collect();
        value(aggregate.function, &events)
    }));
    line
}

/// The value of an aggregate over the rows that count.
fn value(function: Function, events: &[&Event]) -> Cell {
    let v: Vec<i64> = events.iter().filter_map(|event| event.v).collect();
    let x: Vec<f64> = events.iter().filter_map(|event| event.x).collect();
    let d: Vec<i128> = events.iter().filter_map(|event| event.d).collect();
    let s: Vec<&str> = events.iter().filter_map(|event| event.s).collect();
    let text = |text: &&str| Cell::Text(text.to_string());
    match function {
        Function::CountAll => Cell::Int(events.len() as i64),
        Function::CountV => Cell::Int(v.len() as i64),
        Function::CountDistinctV => Cell::Int(v.iter().collect::<BTreeSet<_>>().len() as i64),
        Function::CountDistinctS => Cell::Int(s.iter().collect::<BTreeSet<_>>().len() as i64),
        Function::SumDistinctV if v.is_empty() => Cell::Null,
        Function::SumDistinctV => Cell::Int(v.iter().collect::<BTreeSet<_>>().into_iter().sum()),
        Function::SumV if v.is_empty() => Cell::Null,
        Function::SumV => Cell::Int(v.iter().sum()),
        Function::MinV => optional(v.iter().min(), |value| Cell::Int(*value)),
        Function::MaxV => optional(v.iter().max(), |value| Cell::Int(*value)),
        Function::AvgV if v.is_empty() => Cell::Null,
        Function::AvgV => float(v.iter().sum::<i64>() as f64 / v.len() as f64),
        Function::SumX if x.is_empty() => Cell::Null,
        Function::SumX => float(x.iter().sum()),
        Function::AvgX if x.is_empty() => Cell::Null,
        Function::AvgX => float(x.iter().sum::<f64>() / x.len() as f64),
        Function::MinX => optional(x.iter().copied().reduce(f64::min), float),
        Function::SumD if d.is_empty() => Cell::Null,
        Function::SumD => Cell::Decimal(d.iter().sum(), 2),
        Function::MinS => optional(s.iter().min(), text),
        Function::MaxS => optional(s.iter().max(), text),
        Function::MaxTs => optional(events.iter().filter_map(|event| event.ts).max(), Cell::Time),
        Function::FirstV => optional(events.first().and_then(|event| event.v), Cell::Int),
        Function::LastS => optional(events.last().and_then(|event| event.s), |value| text(&value)),
    }
}
