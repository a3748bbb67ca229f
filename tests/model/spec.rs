//! Random queries: as SQL, and as the model evaluates them.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::cell::{Cell, optional};
use super::world::Event;

/// A GROUP BY query, with or without windows.
#[derive(Debug, Clone)]
pub struct Spec {
    pub window: Option<Window>,
    pub keys: Vec<Key>,
    pub aggregates: Vec<Aggregate>,
    pub condition: Option<Condition>,
    /// `HAVING count(*) > n`.
    pub having: Option<i64>,
    pub changes: bool,
}

/// In milliseconds; a tumbling window has `slide == size`.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    pub kind: Kind,
    /// Of a session, the gap.
    pub size: i64,
    pub slide: i64,
    pub offset: i64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Tumbling ones too.
    Hop,
    /// By `slide` up to `size`.
    Cumulate,
    /// Of the keys of the query.
    Session,
    /// Days of UTC, by way of the calendar.
    Day,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Key {
    K,
    S,
    KModulo3,
}

#[derive(Debug, Clone, Copy)]
pub struct Aggregate {
    pub function: Function,
    pub filter: Option<Condition>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Function {
    CountAll,
    CountV,
    CountDistinctV,
    CountDistinctS,
    SumDistinctV,
    SumV,
    MinV,
    MaxV,
    AvgV,
    SumX,
    AvgX,
    MinX,
    SumD,
    MinS,
    MaxS,
    MaxTs,
    FirstV,
    LastS,
}

#[derive(Debug, Clone, Copy)]
pub enum Condition {
    VAbove(i64),
    SIs(&'static str),
    SIsThere,
    KIsNullOrVBelow(i64),
    XAtLeastAndSIsNot(f64, &'static str),
}

impl Spec {
    /// A random query. `ordered`: it may ask for the first and last values, whose meaning needs one order of rows.
    pub fn random(random: &mut StdRng, windowed: bool, ordered: bool) -> Spec {
        let keys: &[&[Key]] =
            &[&[], &[Key::K], &[Key::S], &[Key::K, Key::S], &[Key::KModulo3, Key::S], &[Key::KModulo3]];
        let changes = random.random_bool(0.4);
        let count = random.random_range(1..=4);
        let window = windowed.then(|| Window::random(random));
        // Sessions that became one have an order of their own.
        let ordered = ordered && window.is_none_or(|window| window.kind != Kind::Session);
        let aggregates = (0..count).map(|_| Aggregate::random(random, ordered)).collect();
        Spec {
            window,
            keys: keys.choose(random).unwrap().to_vec(),
            aggregates,
            condition: random.random_bool(0.3).then(|| Condition::random(random)),
            having: random.random_bool(0.2).then(|| random.random_range(0..4)),
            changes,
        }
    }

    /// How many of its first columns tell a group: keys and the window's bounds.
    pub fn group_columns(&self) -> usize {
        self.keys.len() + if self.window.is_some() { 2 } else { 0 }
    }

    /// Over the table `t`.
    pub fn sql(&self) -> String {
        self.sql_over("t")
    }

    /// Over `table`, a name or a subquery in parentheses.
    pub fn sql_over(&self, table: &str) -> String {
        let aggregates = self.aggregates.iter().map(Aggregate::sql);
        let keys = self.keys.iter().map(|key| key.sql().to_string());
        let bounds = ["window_start", "window_end"].map(str::to_string).into_iter().filter(|_| self.window.is_some());
        let groups: Vec<String> = keys.chain(bounds).collect();
        let columns: Vec<String> = groups
            .iter()
            .cloned()
            .chain(aggregates)
            .enumerate()
            .collect::<Vec<_>>()
            .into_iter()
            .map(|(at, column)| format!("{column} AS c{at}"))
            .collect();
        let mut sql = format!("SELECT {} FROM ", columns.join(", "));
        let session = self.window.filter(|window| window.kind == Kind::Session);
        sql += &self.window.filter(|_| session.is_none()).map_or(table.to_string(), |window| window.sql(table));
        if let Some(condition) = self.condition {
            sql += &format!(" WHERE {}", condition.sql());
        }
        if let Some(window) = session {
            let keys = self.keys.iter().map(|key| key.sql().to_string());
            let groups: Vec<String> =
                keys.chain([format!("session(ts, INTERVAL '{} milliseconds')", window.size)]).collect();
            sql += &format!(" GROUP BY {}", groups.join(", "));
        } else if !groups.is_empty() {
            sql += &format!(" GROUP BY {}", groups.join(", "));
        }
        if let Some(least) = self.having {
            sql += &format!(" HAVING count(*) > {least}");
        }
        sql + if self.changes { " EMIT CHANGES" } else { " EMIT FINAL" }
    }
}

impl Window {
    fn random(random: &mut StdRng) -> Window {
        let size = *[1, 10, 100, 137, 1_000, 5_000, 60_000].choose(random).unwrap();
        let slides = [size, size, size, size / 2, size / 3, size / 5, size * 2, size + 7, size * 2 / 3];
        let slide = (*slides.choose(random).unwrap()).max(1);
        let offset = *[0, 0, 3, -50, 12_345].choose(random).unwrap();
        match random.random_range(0..10) {
            0 | 1 => Window { kind: Kind::Session, size: size.min(5_000), slide: 1, offset: 0 },
            2 => {
                let step = *[size, (size / 2).max(1), (size / 5).max(1)].choose(random).unwrap();
                Window { kind: Kind::Cumulate, size: size / step * step, slide: step, offset }
            }
            3 => Window { kind: Kind::Day, size: 86_400_000, slide: 86_400_000, offset: 0 },
            _ => Window { kind: Kind::Hop, size, slide, offset },
        }
    }

    fn sql(self, table: &str) -> String {
        let interval = |ms: i64| format!("INTERVAL '{ms} milliseconds'");
        if self.kind == Kind::Day {
            return format!("TUMBLE(TABLE {table}, DESCRIPTOR(ts), INTERVAL '1' DAY, '+00:00')");
        }
        let shape = match self.slide == self.size {
            _ if self.kind == Kind::Cumulate => {
                format!("CUMULATE(TABLE {table}, DESCRIPTOR(ts), {}, {}", interval(self.slide), interval(self.size))
            }
            true => format!("TUMBLE(TABLE {table}, DESCRIPTOR(ts), {}", interval(self.size)),
            false => format!("HOP(TABLE {table}, DESCRIPTOR(ts), {}, {}", interval(self.slide), interval(self.size)),
        };
        match self.offset {
            0 => shape + ")",
            offset => format!("{shape}, {})", interval(offset)),
        }
    }
}

impl Key {
    pub fn sql(self) -> &'static str {
        match self {
            Key::K => "k",
            Key::S => "s",
            Key::KModulo3 => "k % 3",
        }
    }

    pub fn of(self, event: &Event) -> Cell {
        match self {
            Key::K => optional(event.k, Cell::Int),
            Key::S => optional(event.s, |text| Cell::Text(text.to_string())),
            Key::KModulo3 => optional(event.k, |k| Cell::Int(k % 3)),
        }
    }
}

impl Aggregate {
    fn random(random: &mut StdRng, ordered: bool) -> Aggregate {
        use Function::*;
        let any = [
            CountAll,
            CountV,
            CountDistinctV,
            CountDistinctS,
            SumDistinctV,
            SumV,
            MinV,
            MaxV,
            AvgV,
            SumX,
            AvgX,
            MinX,
            SumD,
            MinS,
            MaxS,
            MaxTs,
        ];
        let function = match ordered && random.random_bool(0.15) {
            true => *[FirstV, LastS].choose(random).unwrap(),
            false => *any.choose(random).unwrap(),
        };
        Aggregate { function, filter: random.random_bool(0.3).then(|| Condition::random(random)) }
    }

    fn sql(&self) -> String {
        let call = match self.function {
            Function::CountAll => "count(*)",
            Function::CountV => "count(v)",
            Function::CountDistinctV => "count(DISTINCT v)",
            Function::CountDistinctS => "count(DISTINCT s)",
            Function::SumDistinctV => "sum(DISTINCT v)",
            Function::SumV => "sum(v)",
            Function::MinV => "min(v)",
            Function::MaxV => "max(v)",
            Function::AvgV => "avg(v)",
            Function::SumX => "sum(x)",
            Function::AvgX => "avg(x)",
            Function::MinX => "min(x)",
            Function::SumD => "sum(d)",
            Function::MinS => "min(s)",
            Function::MaxS => "max(s)",
            Function::MaxTs => "max(ts)",
            Function::FirstV => "first_value(v)",
            Function::LastS => "last_value(s)",
        };
        match self.filter {
            None => call.to_string(),
            Some(filter) => format!("{call} FILTER (WHERE {})", filter.sql()),
        }
    }
}

impl Condition {
    pub fn random(random: &mut StdRng) -> Condition {
        let number = random.random_range(-30..30);
        match random.random_range(0..5) {
            0 => Condition::VAbove(number),
            1 => Condition::SIs(["a", "thirteen byte"].choose(random).unwrap()),
            2 => Condition::SIsThere,
            3 => Condition::KIsNullOrVBelow(number),
            _ => Condition::XAtLeastAndSIsNot(number as f64, "b"),
        }
    }

    pub fn sql(self) -> String {
        match self {
            Condition::VAbove(number) => format!("v > {number}"),
            Condition::SIs(text) => format!("s = '{text}'"),
            Condition::SIsThere => "s IS NOT NULL".to_string(),
            Condition::KIsNullOrVBelow(number) => format!("(k IS NULL OR v < {number})"),
            Condition::XAtLeastAndSIsNot(number, text) => format!("x >= {number:?} AND s <> '{text}'"),
        }
    }

    /// Three-valued: `None` is NULL.
    pub fn of(self, event: &Event) -> Option<bool> {
        match self {
            Condition::VAbove(number) => event.v.map(|v| v > number),
            Condition::SIs(text) => event.s.map(|s| s == text),
            Condition::SIsThere => Some(event.s.is_some()),
            Condition::KIsNullOrVBelow(_) if event.k.is_none() => Some(true),
            Condition::KIsNullOrVBelow(number) => event.v.map(|v| v < number),
            Condition::XAtLeastAndSIsNot(number, text) => {
                match (event.x.map(|x| x >= number), event.s.map(|s| s != text)) {
                    (Some(false), _) | (_, Some(false)) => Some(false),
                    (Some(true), Some(true)) => Some(true),
                    _ => None,
                }
            }
        }
    }
}
