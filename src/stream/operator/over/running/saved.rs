//! What running functions leave in a snapshot, and take back from one.
//!
//! Three kinds of sections, with the number of the call in their names: the values in frames and those before them, in
//! order, and what a partition's frame comes to beside them.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, UInt64Array};
use arrow::datatypes::{Int64Type, UInt64Type};

use super::queue::{Entry, Queues};
use super::reach::Begin;
use super::sums::PARTS;
use super::{Call, Running};
use crate::error::Result;
use crate::state::Section;
use crate::stream::operator::over::snapshot::{Keys, section};

/// Keys, where a value stands, the value.
const VALUES: &str = "values in frames of call ";
/// The same of rows that are in no frame yet.
const WAITING: &str = "values before frames of call ";
/// Keys, then the count and the sum.
const TOTALS: &str = "totals of call ";

/// Adds the sections of all calls.
pub(in super::super) fn save(running: &Running, keys: &Keys<'_>, sections: &mut Vec<Section>) -> Result<()> {
    for (at, call) in running.calls.iter().enumerate() {
        match call {
            Call::RowNumber | Call::Rank | Call::DenseRank => {}
            Call::Sums(sums) => {
                save_queues(&sums.queues, keys, &format!("{VALUES}{at}"), sections)?;
                save_queues(&sums.gate.waiting, keys, &format!("{WAITING}{at}"), sections)?;
                let partitions: Vec<u32> =
                    (0..sums.partitions() as u32).filter(|&p| sums.save(p) != [0; PARTS]).collect();
                let parts: Vec<[u64; PARTS]> = partitions.iter().map(|&partition| sums.save(partition)).collect();
                if !parts.is_empty() {
                    let mut columns = keys.of(&partitions)?;
                    columns.extend((0..PARTS).map(|part| -> ArrayRef {
                        Arc::new(UInt64Array::from_iter_values(parts.iter().map(|parts| parts[part])))
                    }));
                    sections.push(section(&format!("{TOTALS}{at}"), columns, keys.route)?);
                }
            }
            Call::Extremes(extremes) => {
                save_queues(&extremes.queues, keys, &format!("{VALUES}{at}"), sections)?;
                save_queues(&extremes.gate.waiting, keys, &format!("{WAITING}{at}"), sections)?;
            }
            Call::Lag(lag) => save_queues(&lag.queues, keys, &format!("{VALUES}{at}"), sections)?,
        }
    }
    Ok(())
}

fn save_queues(queues: &Queues, keys: &Keys<'_>, name: &str, sections: &mut Vec<Section>) -> Result<()> {
    let (mut partitions, mut at, mut words) = (Vec::new(), Vec::new(), Vec::new());
    for partition in 0..queues.count() as u32 {
        for entry in queues.entries(partition) {
            partitions.push(partition);
            at.push(entry.at);
            words.push(entry.word);
        }
    }
    if partitions.is_empty() {
        return Ok(());
    }
    let mut columns = keys.of(&partitions)?;
    columns.push(Arc::new(Int64Array::from(at)));
    columns.push(Arc::new(UInt64Array::from(words)));
    sections.push(section(name, columns, keys.route)?);
    Ok(())
}

/// Takes a section back, if it is one of these. `partitions`: of its rows; `columns`: those behind its keys.
///
/// Returns the last time of each row's partition that the section knows.
pub(in super::super) fn load(
    running: &mut Running,
    name: &str,
    partitions: &[u32],
    columns: &[ArrayRef],
) -> Option<Vec<(u32, i64)>> {
    let number = |name: &str, kind: &str| name.strip_prefix(kind)?.parse::<usize>().ok();
    let count = partitions.iter().max().map_or(0, |&last| last as usize + 1);
    if let Some(call) = number(name, TOTALS) {
        let Some(Call::Sums(sums)) = running.calls.get_mut(call) else { return None };
        let parts: Vec<_> = columns.iter().map(|column| column.as_primitive::<UInt64Type>().values()).collect();
        for (row, &partition) in partitions.iter().enumerate() {
            sums.load(partition, std::array::from_fn(|part| parts[part][row]));
        }
        return Some(Vec::new());
    }
    let waits = name.starts_with(WAITING);
    let call = running.calls.get_mut(number(name, if waits { WAITING } else { VALUES })?)?;
    let (queues, by_time) = match call {
        Call::Sums(sums) => {
            sums.resize(count.max(sums.partitions()));
            let queues = if waits { &mut sums.gate.waiting } else { &mut sums.queues };
            (queues, matches!(sums.reach.begin, Begin::Ticks(_)))
        }
        Call::Extremes(extremes) => {
            extremes.resize(count.max(extremes.queues.count()));
            let queues = if waits { &mut extremes.gate.waiting } else { &mut extremes.queues };
            (queues, matches!(extremes.reach.begin, Begin::Ticks(_)))
        }
        Call::Lag(lag) if !waits => {
            lag.queues.resize(count.max(lag.queues.count()));
            (&mut lag.queues, false)
        }
        Call::Lag(_) | Call::RowNumber | Call::Rank | Call::DenseRank => return None,
    };
    let [at, words] = columns else { return None };
    let (at, words) = (at.as_primitive::<Int64Type>(), words.as_primitive::<UInt64Type>());
    for (row, &partition) in partitions.iter().enumerate() {
        queues.push_back(partition, Entry { at: at.value(row), word: words.value(row) });
    }
    let times = partitions.iter().zip(at.values()).map(|(partition, at)| (*partition, *at));
    Some(if by_time { times.collect() } else { Vec::new() })
}
