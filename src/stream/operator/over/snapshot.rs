//! What a stream's OVER leaves in a snapshot, and takes back from one.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, UInt64Type};

use super::evaluate::look_up;
use super::rows::RowRef;
use super::running;
use super::sorted::Passed;
use super::stream::{Partition, StreamOver, Waiting};
use crate::batch::{Column, Selection};
use crate::error::{Error, Result};
use crate::state::{GroupIndex, Section, SectionRoute};

/// Wide rows that the watermark has not passed.
const WAITING: &str = "waiting rows";
/// Wide rows that frames reach, in order, and whether each has left.
const KEPT: &str = "rows in frames";
/// Per partition: keys, how many rows and groups of peers have passed, saved states.
const CARRIED: &str = "rows before frames";
/// The watermark.
const WATERMARK: &str = "watermark";

/// Columns as a section.
pub(super) fn section(name: &str, columns: Vec<ArrayRef>, route: SectionRoute) -> Result<Section> {
    let rows = columns.first().map_or(0, |column| column.len());
    let fields = columns.iter().enumerate();
    let fields = fields.map(|(at, column)| Field::new(format!("c{at}"), column.data_type().clone(), true));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let rows = RecordBatch::try_new_with_options(schema, columns, &options)?;
    Ok(Section { name: name.to_string(), rows, route })
}

/// The keys of groups.
pub(super) fn keys(index: &GroupIndex, types: &[DataType], groups: &[u32]) -> Result<Vec<ArrayRef>> {
    let key = |(key, data_type): (usize, &DataType)| {
        let mut column = Column::default();
        index.keys(key, groups, &mut column)?;
        column.to_array(data_type, groups.len(), &Selection::default())
    };
    types.iter().enumerate().map(key).collect()
}

/// The keys of partitions, by number.
pub(super) struct Keys<'a> {
    index: &'a GroupIndex,
    types: &'a [DataType],
    pub route: SectionRoute,
}

impl Keys<'_> {
    pub fn of(&self, partitions: &[u32]) -> Result<Vec<ArrayRef>> {
        keys(self.index, self.types, partitions)
    }
}

pub(super) fn save(over: &StreamOver) -> Result<Vec<Section>> {
    let key_count = over.shape.spec.key_count;
    let route = if key_count > 0 { SectionRoute::Key { key_count } } else { SectionRoute::First };
    let mut sections = Vec::new();
    for batch in &over.waiting {
        sections.push(section(WAITING, batch.columns.clone(), route)?);
    }
    let refs: Vec<RowRef> = over.partitions.iter().flat_map(|partition| partition.rows.iter().copied()).collect();
    if !refs.is_empty() {
        let mut columns = over.rows.pick(&refs)?;
        let has_left = over.partitions.iter().flat_map(|partition| {
            let sent = partition.rows.len() - partition.unsent;
            (0..partition.rows.len()).map(move |row| row < sent)
        });
        columns.push(Arc::new(BooleanArray::from(has_left.collect::<Vec<_>>())));
        sections.push(section(KEPT, columns, route)?);
    }
    let passed: Vec<u32> = (0..over.partitions.len() as u32)
        .filter(|&group| over.partitions[group as usize].passed != Passed::default())
        .collect();
    if !passed.is_empty() {
        let of = |count: fn(&Passed) -> u64| -> ArrayRef {
            let counts = passed.iter().map(|&group| count(&over.partitions[group as usize].passed));
            Arc::new(UInt64Array::from_iter_values(counts))
        };
        let mut columns = keys(&over.index, &over.shape.types[..key_count], &passed)?;
        columns.extend([of(|passed| passed.rows), of(|passed| passed.peers)]);
        // A partition that has passed rows has states of them, where there are growing frames at all.
        let carried: Vec<RowRef> = passed.iter().filter_map(|&group| over.partitions[group as usize].carried).collect();
        if carried.len() == passed.len() {
            columns.extend(over.carried.pick(&carried)?);
        }
        sections.push(section(CARRIED, columns, route)?);
    }
    if let Some(running) = &over.running {
        let keys = Keys { index: &over.index, types: &over.shape.types[..key_count], route };
        running::save(running, &keys, &mut sections)?;
    }
    let watermark: ArrayRef = Arc::new(Int64Array::from(vec![over.watermark]));
    sections.push(section(WATERMARK, vec![watermark], SectionRoute::All)?);
    Ok(sections)
}

pub(super) fn load(over: &mut StreamOver, sections: Vec<Section>) -> Result<()> {
    let key_count = over.shape.spec.key_count;
    let mut watermark = i64::MAX;
    for section in sections {
        let columns = section.rows.columns().to_vec();
        let rows = section.rows.num_rows();
        let groups = match section.name.as_str() {
            WATERMARK | WAITING => Vec::new(),
            _ if key_count == 0 => vec![0; rows],
            _ => look_up(&mut over.index, &columns[..key_count], rows)?,
        };
        let count = groups.iter().max().map_or(0, |&last| last as usize + 1).max(over.partitions.len());
        over.partitions.resize_with(count, Partition::default);
        match section.name.as_str() {
            WATERMARK => {
                let marks = columns[0].as_primitive::<Int64Type>();
                watermark = marks.values().iter().copied().min().unwrap_or(watermark).min(watermark);
            }
            WAITING => {
                let times = cast(&columns[key_count], &DataType::Int64)?;
                let times = times.as_primitive::<Int64Type>().values().to_vec();
                over.waiting.extend(Waiting::new(columns, times));
            }
            KEPT if over.running.is_none() => {
                let (has_left, wide) = columns.split_last().ok_or_else(|| foreign(&section.name))?;
                let has_left = has_left.as_boolean();
                let times = over.time().map(|time| cast(&wide[time], &DataType::Int64)).transpose()?;
                let times = times.as_ref().map(|times| times.as_primitive::<Int64Type>().values());
                let refs = over.rows.add(wide.to_vec(), rows);
                for (row, &group) in groups.iter().enumerate() {
                    let partition = &mut over.partitions[group as usize];
                    partition.rows.push(refs(row));
                    partition.last = times.map_or(0, |times| times[row]);
                    partition.unsent += usize::from(!has_left.value(row));
                }
            }
            CARRIED => {
                let counts = |at: usize| columns[at].as_primitive::<UInt64Type>().values().clone();
                let (passed, peers) = (counts(key_count), counts(key_count + 1));
                let states = columns[key_count + 2..].to_vec();
                let refs = if states.is_empty() { None } else { Some(over.carried.add(states, rows)) };
                for (row, &group) in groups.iter().enumerate() {
                    let partition = &mut over.partitions[group as usize];
                    partition.passed = Passed { rows: passed[row], peers: peers[row] };
                    partition.carried = refs.as_ref().map(|refs| refs(row));
                }
            }
            other => {
                let running = over.running.as_mut();
                let last = running.and_then(|running| running::load(running, other, &groups, &columns[key_count..]));
                for (partition, time) in last.ok_or_else(|| foreign(other))? {
                    let partition = &mut over.partitions[partition as usize];
                    partition.last = partition.last.max(time);
                }
            }
        }
    }
    // A partition may have passed rows of which no call keeps anything.
    if let Some(running) = &mut over.running {
        running.resize(over.partitions.len());
    }
    if watermark != i64::MAX {
        over.watermark = watermark;
    }
    let open = over.partitions.iter().enumerate().filter(|(_, partition)| partition.unsent > 0);
    over.open = open.map(|(group, _)| group as u32).collect();
    Ok(())
}

fn foreign(name: &str) -> Error {
    Error::user(format!("the snapshot was written by another version: an OVER of this one has no '{name}'"))
}
