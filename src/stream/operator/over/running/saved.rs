//! What running functions leave in a snapshot, and take back from one.
//!
//! Two kinds of sections, with the number of the call in their names: the values in frames, in order, and what a partition's
//! frame comes to beside them.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, UInt64Array};
use arrow::datatypes::{Int64Type, UInt64Type};

use super::queue::{Entry, Queues};
use super::sums::PARTS;
use super::{Begin, Call, Running};
use crate::error::Result;
use crate::state::Section;
use crate::stream::operator::over::snapshot::{Keys, section};

/// Keys, where a value stands, the value.
const VALUES: &str = "values in frames of call ";
/// Keys, then the count and the sum.
const TOTALS: &str = "totals of call ";

/// Adds the sections of all calls.
pub(in super::super) fn save(running: &Running, keys: &Keys<'_>, sections: &mut Vec<Section>) -> Result<()> {
    for (at, call) in running.calls.iter().enumerate() {
        match call {
            Call::RowNumber | Call::Rank | Call::DenseRank => {}
            Call::Sums(sums) => {
                save_queues(&sums.queues, keys, at, sections)?;
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
            Call::Extremes(extremes) => save_queues(&extremes.queues, keys, at, sections)?,
            Call::Lag(lag) => save_queues(&lag.queues, keys, at, sections)?,
        }
    }
    Ok(())
}

fn save_queues(queues: &Queues, keys: &Keys<'_>, call: usize, sections: &mut Vec<Section>) -> Result<()> {
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
    sections.push(section(&format!("{VALUES}{call}"), columns, keys.route)?);
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
    let call = running.calls.get_mut(number(name, VALUES)?)?;
    let (queues, by_time) = match call {
        Call::Sums(sums) => {
            sums.resize(count.max(sums.partitions()));
            (&mut sums.queues, matches!(sums.begin, Begin::Ticks(_)))
        }
        Call::Extremes(extremes) => (&mut extremes.queues, matches!(extremes.begin, Begin::Ticks(_))),
        Call::Lag(lag) => (&mut lag.queues, false),
        Call::RowNumber | Call::Rank | Call::DenseRank => return None,
    };
    queues.resize(count.max(queues.count()));
    let [at, words] = columns else { return None };
    let (at, words) = (at.as_primitive::<Int64Type>(), words.as_primitive::<UInt64Type>());
    for (row, &partition) in partitions.iter().enumerate() {
        queues.push_back(partition, Entry { at: at.value(row), word: words.value(row) });
    }
    let times = partitions.iter().zip(at.values()).map(|(partition, at)| (*partition, *at));
    Some(if by_time { times.collect() } else { Vec::new() })
}
