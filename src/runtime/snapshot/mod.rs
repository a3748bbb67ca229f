//! What a query holds at a cut: its operators' state, where its sources stand, and its watermarks.
//!
//! ```text
//! MILLSNAP | version 4 | header bytes 8 | checksum 8 | header (JSON) | an Arrow IPC stream per section ...
//! ```
//! The header says of each part what it belongs to and where its stream lies. See docs/internals/checkpoint.md.
//!
//! Invariants  a snapshot belongs to one pipeline, told by its fingerprint; it knows nothing of how many workers wrote it.

mod restore; // into the operators of a fresh query

use std::hash::Hasher;
use std::io::Cursor;

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use serde_json::{Value, json};

use super::metrics::RegisteredScan;
use crate::error::{Error, Result};
use crate::pipeline::{Pipeline, explain};
use crate::state::{Section, SectionRoute};

const MAGIC: &[u8; 8] = b"MILLSNAP";
/// The version of the layout; another one is refused.
const VERSION: u32 = 1;
const HEAD_BYTES: usize = 28;

/// A query at a cut.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The pipeline as text: the snapshot is good for this one only.
    pub(super) fingerprint: String,
    pub(super) operators: Vec<OperatorPart>,
    pub(super) sources: Vec<SourcePart>,
    /// Nodes of constant rows that were pushed already.
    pub(super) values: Vec<usize>,
}

/// What one instance of an operator holds.
#[derive(Debug, Clone)]
pub(super) struct OperatorPart {
    pub(super) node: usize,
    pub(super) name: String,
    /// The watermark of each of its inputs.
    pub(super) watermarks: Vec<i64>,
    /// Whether its inputs had ended, so that it has put out everything.
    pub(super) ended: bool,
    pub(super) sections: Vec<Section>,
}

/// Where a table's source partitions stand.
#[derive(Debug, Clone)]
pub(super) struct SourcePart {
    pub(super) node: usize,
    pub(super) name: String,
    pub(super) position: Vec<u64>,
    pub(super) watermarks: Vec<i64>,
}

/// What tells a pipeline from others.
pub(super) fn fingerprint(pipeline: &Pipeline) -> String {
    let schema = pipeline.schema();
    let columns: Vec<_> =
        schema.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect();
    format!("{}{}", explain(pipeline), columns.join(", "))
}

/// Where tables stand, while no morsel is being read.
pub(super) fn sources(scans: &[RegisteredScan]) -> Result<Vec<SourcePart>> {
    let source = |(node, name, scan, watermarks): &RegisteredScan| {
        let position = scan.position().map_err(|e| e.context(format!("table {name}")))?;
        Ok(SourcePart { node: *node, name: name.clone(), position, watermarks: watermarks.watermarks() })
    };
    scans.iter().map(source).collect()
}

impl Snapshot {
    /// Fails where the snapshot was taken of another query.
    pub(super) fn check(&self, pipeline: &Pipeline) -> Result<()> {
        let wanted = fingerprint(pipeline);
        if self.fingerprint == wanted {
            return Ok(());
        }
        let first = |text: &str, other: &str| {
            let line = text.lines().zip(other.lines().map(Some).chain(std::iter::repeat(None)));
            line.filter(|(line, other)| Some(*line) != *other).map(|(line, _)| line.trim().to_string()).next()
        };
        let was = first(&self.fingerprint, &wanted).unwrap_or_else(|| "fewer steps".to_string());
        let is = first(&wanted, &self.fingerprint).unwrap_or_else(|| "fewer steps".to_string());
        Err(Error::user(format!("the snapshot was taken of another query: there it has '{was}', here '{is}'")))
    }

    /// Where each table stands, by its name: a number per source partition, of rows or of bytes as the source counts.
    pub fn positions(&self) -> Vec<(String, Vec<u64>)> {
        self.sources.iter().map(|part| (part.name.clone(), part.position.clone())).collect()
    }

    /// The snapshot as bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        let mut operators = Vec::new();
        for part in &self.operators {
            let mut sections = Vec::new();
            for section in &part.sections {
                let start = body.len();
                let mut writer = StreamWriter::try_new(&mut body, &section.rows.schema())?;
                writer.write(&section.rows)?;
                writer.finish()?;
                drop(writer);
                let route = match section.route {
                    SectionRoute::Key { key_count } => json!(key_count),
                    SectionRoute::First => json!("first"),
                    SectionRoute::All => json!("all"),
                };
                sections.push(json!({
                    "name": section.name, "route": route, "start": start, "bytes": body.len() - start,
                }));
            }
            operators.push(json!({
                "node": part.node, "name": part.name, "watermarks": part.watermarks, "ended": part.ended,
                "sections": sections,
            }));
        }
        let source = |part: &SourcePart| {
            json!({
                "node": part.node, "name": part.name, "position": part.position, "watermarks": part.watermarks,
            })
        };
        let header = json!({
            "pipeline": self.fingerprint,
            "operators": operators,
            "sources": self.sources.iter().map(source).collect::<Vec<_>>(),
            "values": self.values,
        });
        let header = header.to_string().into_bytes();
        let mut bytes = Vec::with_capacity(HEAD_BYTES + header.len() + body.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&(header.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&checksum(&header, &body).to_le_bytes());
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(&body);
        Ok(bytes)
    }

    /// Reads a snapshot from bytes.
    ///
    /// Failure: bytes that are none, that were written by another version, or that are damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let damaged = || Error::user("the snapshot is damaged: take it from another copy");
        if !bytes.starts_with(MAGIC) {
            return Err(Error::user("these bytes are no snapshot of a query"));
        }
        let number = |at: usize, length: usize| -> Result<u64> {
            let mut word = [0; 8];
            word[..length].copy_from_slice(bytes.get(at..at + length).ok_or_else(damaged)?);
            Ok(u64::from_le_bytes(word))
        };
        let version = number(8, 4)?;
        if version != u64::from(VERSION) {
            return Err(Error::user(format!(
                "the snapshot was written in version {version} of its format; this program reads version {VERSION}"
            )));
        }
        let (header_bytes, sum) = (number(12, 8)? as usize, number(20, 8)?);
        let body_at = HEAD_BYTES.checked_add(header_bytes).ok_or_else(damaged)?;
        let (header, body) = (bytes.get(HEAD_BYTES..body_at), bytes.get(body_at..));
        let (header, body) = (header.ok_or_else(damaged)?, body.ok_or_else(damaged)?);
        if checksum(header, body) != sum {
            return Err(damaged());
        }
        let header: Value = serde_json::from_slice(header).map_err(|_| damaged())?;
        decode(&header, body).ok_or_else(damaged)
    }
}

fn decode(header: &Value, body: &[u8]) -> Option<Snapshot> {
    let number = |value: &Value| Some(value.as_u64()? as usize);
    let numbers = |value: &Value| value.as_array()?.iter().map(Value::as_i64).collect::<Option<Vec<i64>>>();
    let section = |value: &Value| {
        let (start, bytes) = (number(&value["start"])?, number(&value["bytes"])?);
        let route = match &value["route"] {
            Value::String(word) if word == "first" => SectionRoute::First,
            Value::String(word) if word == "all" => SectionRoute::All,
            key_count => SectionRoute::Key { key_count: number(key_count)? },
        };
        let rows = read(body.get(start..start.checked_add(bytes)?)?)?;
        Some(Section { name: value["name"].as_str()?.to_string(), rows, route })
    };
    let operator = |value: &Value| {
        Some(OperatorPart {
            node: number(&value["node"])?,
            name: value["name"].as_str()?.to_string(),
            watermarks: numbers(&value["watermarks"])?,
            ended: value["ended"].as_bool()?,
            sections: value["sections"].as_array()?.iter().map(section).collect::<Option<_>>()?,
        })
    };
    let source = |value: &Value| {
        Some(SourcePart {
            node: number(&value["node"])?,
            name: value["name"].as_str()?.to_string(),
            position: value["position"].as_array()?.iter().map(Value::as_u64).collect::<Option<_>>()?,
            watermarks: numbers(&value["watermarks"])?,
        })
    };
    Some(Snapshot {
        fingerprint: header["pipeline"].as_str()?.to_string(),
        operators: header["operators"].as_array()?.iter().map(operator).collect::<Option<_>>()?,
        sources: header["sources"].as_array()?.iter().map(source).collect::<Option<_>>()?,
        values: header["values"].as_array()?.iter().map(number).collect::<Option<_>>()?,
    })
}

/// The one batch of a stream.
fn read(bytes: &[u8]) -> Option<RecordBatch> {
    let mut reader = StreamReader::try_new(Cursor::new(bytes), None).ok()?;
    let schema = reader.schema();
    match reader.next() {
        Some(rows) => rows.ok(),
        None => Some(RecordBatch::new_empty(schema)),
    }
}

/// Tells whole bytes from damaged ones.
fn checksum(header: &[u8], body: &[u8]) -> u64 {
    let mut hash = crate::state::Hash::of_seed(0x6D69_6C6C_736E_6170);
    hash.write(header);
    hash.write(body);
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array};
    use std::sync::Arc;

    fn snapshot() -> Snapshot {
        let column = Arc::new(Int64Array::from(vec![Some(1), None])) as ArrayRef;
        let rows = RecordBatch::try_from_iter([("n", column)]).expect("one column");
        let section = Section { name: "s 1".to_string(), rows, route: SectionRoute::Key { key_count: 1 } };
        let operator = OperatorPart {
            node: 3,
            name: "aggregate".to_string(),
            watermarks: vec![i64::MIN, 5],
            ended: false,
            sections: vec![section],
        };
        let source = SourcePart { node: 0, name: "t".to_string(), position: vec![7, u64::MAX], watermarks: vec![9] };
        Snapshot { fingerprint: "p".to_string(), operators: vec![operator], sources: vec![source], values: vec![2] }
    }

    #[test]
    fn bytes_come_back_as_they_were() {
        let bytes = snapshot().to_bytes().expect("written");
        let read = Snapshot::from_bytes(&bytes).expect("read");
        assert_eq!(format!("{read:?}"), format!("{:?}", snapshot()));
    }

    #[test]
    fn what_is_no_snapshot_is_refused_in_words() {
        let message = |bytes: &[u8]| Snapshot::from_bytes(bytes).expect_err("refused").to_string();
        let good = snapshot().to_bytes().expect("written");
        assert_eq!(message(b"something"), "these bytes are no snapshot of a query");
        let mut other = good.clone();
        other[8] = 9;
        assert_eq!(
            message(&other),
            "the snapshot was written in version 9 of its format; this program reads version 1"
        );
        for at in (12..good.len()).step_by(7) {
            let mut damaged = good.clone();
            damaged[at] ^= 1;
            assert_eq!(message(&damaged), "the snapshot is damaged: take it from another copy", "byte {at}");
        }
        for length in 8..good.len() {
            Snapshot::from_bytes(&good[..length]).expect_err("cut off");
        }
    }
}
