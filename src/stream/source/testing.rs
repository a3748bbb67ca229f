//! Reads whole tables, for the tests of sources and sinks.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};

use crate::batch::Batch;
use crate::error::Result;
use crate::pipeline::{Morsel, Scan, ScanRequest, Table, Take};

/// A request for these columns.
pub fn request(projection: Vec<usize>, batch_rows: usize) -> ScanRequest {
    ScanRequest {
        system: Vec::new(),
        projection,
        predicates: vec![],
        batch_rows,
        partitions: 1,
        ordered: false,
        event_time: None,
        fetch: None,
        dictionaries: false,
        counts_rows: false,
        pushed: Default::default(),
    }
}

/// All columns of a table.
pub fn whole(table: &dyn Table) -> ScanRequest {
    request((0..table.schema().fields().len()).collect(), 1000)
}

/// The morsels of a scan, none of them read.
pub fn morsels(scan: &dyn Scan) -> Vec<Morsel> {
    let mut morsels = Vec::new();
    while let Take::Morsel(morsel) = scan.take().unwrap() {
        morsels.push(morsel);
    }
    morsels
}

/// The batches of a scan; checks what every source owes.
pub fn try_read_all(table: &dyn Table, request: &ScanRequest) -> Result<Vec<RecordBatch>> {
    let fields: Vec<_> = request.projection.iter().map(|&column| table.schema().field(column).clone()).collect();
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    let scan = table.open(request)?;
    let mut records = Vec::new();
    let mut batch = Batch::default();
    let mut next_sequence = vec![0; scan.source_partitions()];
    let mut ended = vec![false; scan.source_partitions()];
    loop {
        let mut morsel = match scan.take()? {
            Take::Morsel(morsel) => morsel,
            Take::Pending => {
                std::thread::yield_now();
                continue;
            }
            Take::End => break,
        };
        assert_eq!(morsel.sequence, next_sequence[morsel.partition], "sequences have no gaps");
        next_sequence[morsel.partition] += 1;
        ended[morsel.partition] = morsel.is_last;
        while morsel.reader.read(&mut batch)? {
            assert!(batch.rows <= request.batch_rows, "{} rows", batch.rows);
            records.push(batch.to_record(&schema)?);
            batch.clear();
        }
    }
    assert!(ended.iter().all(|&ended| ended), "each partition has its last morsel");
    let rows: usize = records.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(scan.progress().rows.load(std::sync::atomic::Ordering::Relaxed), rows as u64);
    Ok(records)
}

/// The batches of a scan that does not fail.
pub fn read_all(table: &dyn Table, request: &ScanRequest) -> Vec<RecordBatch> {
    try_read_all(table, request).unwrap()
}
