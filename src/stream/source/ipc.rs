//! Arrow IPC: files, cut into runs of record batches, and streams, read from the beginning.
//!
//! Place       under `columnar.rs`; the first bytes of a file tell which of the two it is.
//! Invariants  what a header says about places in the file is checked before it is believed.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::RecordBatch;
use arrow::buffer::{Buffer, MutableBuffer};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::convert::fb_to_schema;
use arrow::ipc::reader::{FileDecoder, StreamReader, read_footer_length};
use arrow::ipc::{Block, MetadataVersion, root_as_footer};

use super::columnar::ColumnarFile;
use super::listing::reason;
use super::pieces::{Opener, Piece};
use super::records::{ReadPlan, RecordReader, Records};
use crate::error::{Error, Result};
use crate::pipeline::{Reader, ScanRequest};

const MAGIC: &[u8; 6] = b"ARROW1";
/// Bytes of a piece, about: enough to be worth a worker's turn.
const PIECE_BYTES: usize = 8 << 20;

/// An Arrow file, its header read.
#[derive(Debug)]
pub struct IpcFile {
    path: PathBuf,
    schema: SchemaRef,
    bytes: u64,
    layout: Layout,
}

#[derive(Debug)]
enum Layout {
    Stream,
    File { batches: Vec<Block>, dictionaries: Vec<Block>, version: MetadataVersion },
}

impl ColumnarFile for IpcFile {
    fn open(path: &Path) -> Result<Self> {
        let mut file = open(path)?;
        let bytes = file.metadata().map_or(0, |about| about.len());
        let mut head = Vec::new();
        (&mut file).take(MAGIC.len() as u64).read_to_end(&mut head).map_err(|e| failed(path, e))?;
        if head.starts_with(b"FEA1") {
            return Err(broken(path, "it is a Feather file of version 1; write it anew as version 2"));
        }
        if head == MAGIC {
            return read_footer(path, file, bytes);
        }
        file.rewind().map_err(|e| failed(path, e))?;
        let stream = StreamReader::try_new(file, None).map_err(|e| failed(path, e))?;
        Ok(IpcFile { path: path.to_path_buf(), schema: stream.schema(), bytes, layout: Layout::Stream })
    }

    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn row_count(&self) -> Option<u64> {
        None
    }

    fn pieces(self: &Arc<Self>, request: &ScanRequest, plan: &ReadPlan) -> Result<Vec<Piece>> {
        plan.progress.bytes_total.fetch_add(self.bytes, Ordering::Relaxed);
        match &self.layout {
            Layout::Stream => {
                let (file, plan) = (self.clone(), plan.clone());
                let open = move || -> Result<Box<dyn Reader>> {
                    let records = StreamRecords::new(file.clone(), plan.clone())?;
                    Ok(Box::new(RecordReader::new(records, plan.clone())))
                };
                Ok(vec![Piece { rows: None, turn: 0, open: Box::new(open) }])
            }
            Layout::File { batches, .. } => {
                let decoder = Arc::new(self.decoder(plan)?);
                let runs = if request.ordered { vec![&batches[..]] } else { runs(batches) };
                let piece = |run: &[Block]| Piece { rows: None, turn: 0, open: self.run(run, &decoder, plan) };
                Ok(runs.into_iter().filter(|run| !run.is_empty()).map(piece).collect())
            }
        }
    }
}

impl IpcFile {
    /// A decoder of the picked columns, with the file's dictionaries.
    fn decoder(&self, plan: &ReadPlan) -> Result<FileDecoder> {
        let Layout::File { dictionaries, version, .. } = &self.layout else {
            return Err(Error::bug("a stream has no blocks"));
        };
        let mut decoder = FileDecoder::new(self.schema.clone(), *version);
        decoder = decoder.with_projection(plan.picked.file_columns.clone());
        let mut file = open(&self.path)?;
        for block in dictionaries {
            let bytes = read_block(&self.path, &mut file, block)?;
            decoder.read_dictionary(block, &bytes).map_err(|e| failed(&self.path, e))?;
        }
        Ok(decoder)
    }

    fn run(self: &Arc<Self>, run: &[Block], decoder: &Arc<FileDecoder>, plan: &ReadPlan) -> Opener {
        let (path, run, decoder, plan) = (self.path.clone(), run.to_vec(), decoder.clone(), plan.clone());
        Box::new(move || {
            let file = open(&path)?;
            let (decoder, blocks) = (decoder.clone(), run.clone().into_iter());
            let records = Blocks { path: path.clone(), file, decoder, blocks, plan: plan.clone() };
            Ok(Box::new(RecordReader::new(records, plan.clone())))
        })
    }
}

/// Reads record batches of a file by their places.
struct Blocks {
    path: PathBuf,
    file: File,
    decoder: Arc<FileDecoder>,
    blocks: std::vec::IntoIter<Block>,
    plan: ReadPlan,
}

impl Records for Blocks {
    fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let Some(block) = self.blocks.next() else { return Ok(None) };
            let bytes = read_block(&self.path, &mut self.file, &block)?;
            self.plan.progress.add_bytes(bytes.len());
            let record = self.decoder.read_record_batch(&block, &bytes).map_err(|e| failed(&self.path, e))?;
            if record.is_some() {
                return Ok(record);
            }
        }
    }
}

/// Reads a stream from its beginning.
struct StreamRecords {
    file: Arc<IpcFile>,
    /// `None` after the end.
    stream: Option<StreamReader<BufReader<File>>>,
    plan: ReadPlan,
}

impl StreamRecords {
    fn new(file: Arc<IpcFile>, plan: ReadPlan) -> Result<Self> {
        let columns = Some(plan.picked.file_columns.clone());
        let reader = BufReader::with_capacity(1 << 17, open(&file.path)?);
        let stream = Some(StreamReader::try_new(reader, columns).map_err(|e| failed(&file.path, e))?);
        Ok(StreamRecords { file, stream, plan })
    }
}

impl Records for StreamRecords {
    fn next(&mut self) -> Result<Option<RecordBatch>> {
        let Some(stream) = &mut self.stream else { return Ok(None) };
        let record = stream.next().transpose().map_err(|e| failed(&self.file.path, e))?;
        if record.is_none() {
            self.plan.progress.add_bytes(self.file.bytes as usize);
            self.stream = None;
        }
        Ok(record)
    }
}

/// Cuts blocks into runs of about the same bytes.
fn runs(blocks: &[Block]) -> Vec<&[Block]> {
    let mut runs = Vec::new();
    let (mut first, mut bytes) = (0, 0);
    for (index, block) in blocks.iter().enumerate() {
        bytes += block.bodyLength().max(0) as usize;
        if bytes >= PIECE_BYTES {
            runs.push(&blocks[first..=index]);
            (first, bytes) = (index + 1, 0);
        }
    }
    runs.push(&blocks[first..]);
    runs
}

fn read_footer(path: &Path, mut file: File, bytes: u64) -> Result<IpcFile> {
    // Behind the footer come its length and the magic once more.
    let mut tail = [0; 10];
    let unfinished = || broken(path, "it has no footer: it was cut off, or is still being written");
    if bytes < (MAGIC.len() + 2 + tail.len()) as u64 {
        return Err(unfinished());
    }
    file.seek(SeekFrom::End(-10)).and_then(|_| file.read_exact(&mut tail)).map_err(|e| failed(path, e))?;
    if !tail.ends_with(MAGIC) {
        return Err(unfinished());
    }
    let length = read_footer_length(tail).map_err(|e| failed(path, e))?;
    if length as u64 + 10 > bytes {
        return Err(broken(path, "its footer is longer than the file"));
    }
    let mut footer = vec![0; length];
    file.seek(SeekFrom::End(-10 - length as i64))
        .and_then(|_| file.read_exact(&mut footer))
        .map_err(|e| failed(path, e))?;
    let footer = root_as_footer(&footer).map_err(|e| broken(path, &format!("its footer is damaged: {e}")))?;
    let schema = footer.schema().ok_or_else(|| broken(path, "its footer has no schema"))?;
    if !schema.endianness().equals_to_target_endianness() {
        return Err(broken(path, "it was written on a machine of the other byte order"));
    }
    let batches: Vec<_> = footer.recordBatches().iter().flatten().copied().collect();
    let dictionaries: Vec<_> = footer.dictionaries().iter().flatten().copied().collect();
    let inside = |block: &Block| {
        let length =
            u64::try_from(block.bodyLength()).ok()?.checked_add(u64::try_from(block.metaDataLength()).ok()?)?;
        u64::try_from(block.offset()).ok()?.checked_add(length).filter(|&end| end <= bytes)
    };
    if batches.iter().chain(&dictionaries).any(|block| inside(block).is_none()) {
        return Err(broken(path, "its footer points behind its end"));
    }
    let layout = Layout::File { batches, dictionaries, version: footer.version() };
    Ok(IpcFile { path: path.to_path_buf(), schema: Arc::new(fb_to_schema(schema)), bytes, layout })
}

/// Reads a block whose place has been checked.
fn read_block(path: &Path, file: &mut File, block: &Block) -> Result<Buffer> {
    let length = block.bodyLength() as usize + block.metaDataLength() as usize;
    let mut bytes = MutableBuffer::from_len_zeroed(length);
    file.seek(SeekFrom::Start(block.offset() as u64))
        .and_then(|_| file.read_exact(&mut bytes))
        .map_err(|e| failed(path, e))?;
    Ok(bytes.into())
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|e| Error::outside(format!("file cannot be opened: {}: {}", path.display(), reason(&e))))
}

fn failed(path: &Path, error: impl Into<ArrowError>) -> Error {
    let error = error.into();
    Error::outside(format!("arrow file cannot be read: {}: {error}", path.display())).caused_by(error)
}

fn broken(path: &Path, why: &str) -> Error {
    Error::outside(format!("arrow file cannot be read: {}: {why}", path.display()))
}
