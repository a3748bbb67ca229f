//! Tables over text: CSV and NDJSON from files, stdin and pipes.
//!
//! Place       the connectors make them; a scan's morsels are blocks of whole records, each decoded by the worker that
//!             took it.
//! Owns        the block memory and the decoders that are not in use.
//! Invariants  a source partition is a file; its blocks are numbered in the order of its lines. Files are begun in the
//!             order given, as many at a time as there are workers.

use std::fmt::{self, Debug};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use arrow::datatypes::{FieldRef, Schema, SchemaRef};

use super::block::{BLOCK_BYTES, BlockSource, Input, Next, ORDERED_BLOCK_BYTES, Pool, Records};
use super::listing::{FILE_COLUMNS, modified_ms};
use super::pieces::cut_front;
use crate::batch::{Batch, Column, engine_schema};
use crate::error::{Error, Result};
use crate::pipeline::options::Options;
use crate::pipeline::{
    Morsel, Progress, Reader, RowPlace, Scan, ScanRequest, SystemColumn, Table, Take, same_partitions,
};
use crate::stream::decode::csv::{self, CsvDecoder, CsvOptions, Header, Layout};
use crate::stream::decode::fault::Fault;
use crate::stream::decode::json::{self, JsonDecoder, JsonOptions};
use crate::stream::decode::{Block, OnError};

/// Bytes that columns, types and the format are found out from.
const SAMPLE_BYTES: usize = 1 << 20;

/// How the text is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextFormat {
    Csv(CsvOptions),
    Json(JsonOptions),
}

impl TextFormat {
    /// Takes the options of the format called `name`, and what to do with bad rows: 'on_error' (fail, skip).
    ///
    /// Failure: an unknown format, or a value that an option cannot have.
    pub fn take(name: &str, options: &mut Options) -> Result<(Self, OnError)> {
        let format = match name.to_ascii_lowercase().as_str() {
            "csv" => TextFormat::Csv(CsvOptions::take(options)?),
            "json" | "ndjson" | "jsonl" => TextFormat::Json(JsonOptions::take(options)?),
            _ => return Err(Error::user(format!("unknown text format: '{name}'; 'csv' and 'json' are known"))),
        };
        let on_error = options.parse("on_error", |text| text.parse().ok(), "'fail' or 'skip'")?;
        Ok((format, on_error.unwrap_or_default()))
    }

    /// Its name in the `format` option.
    pub fn name(&self) -> &'static str {
        match self {
            TextFormat::Csv(_) => "csv",
            TextFormat::Json(_) => "json",
        }
    }

    /// Lines it takes to find out columns: one row, below a header where there may be one.
    pub fn sample_lines(&self) -> usize {
        match self {
            TextFormat::Csv(options) if options.header != Header::No => 2,
            TextFormat::Csv(_) | TextFormat::Json(_) => 1,
        }
    }
}

/// A table over text files or streams.
#[derive(Clone)]
pub struct TextTable {
    inputs: Vec<Input>,
    format: TextFormat,
    schema: SchemaRef,
    on_error: OnError,
    block_bytes: Option<usize>,
}

impl Debug for TextTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe())
    }
}

impl TextTable {
    /// A table of these columns. String columns become views, whatever string type they are declared as.
    ///
    /// Failure: a column of a type that the format cannot hold.
    pub fn new(inputs: Vec<Input>, format: TextFormat, schema: &Schema, on_error: OnError) -> Result<Self> {
        let table = TextTable { inputs, format, schema: engine_schema(schema), on_error, block_bytes: None };
        Decoder::new(&table.format, table.schema.fields(), on_error)?;
        Ok(table)
    }

    /// A table whose columns, and whatever the format leaves open, are found out from the first bytes of its first input
    /// that has any.
    ///
    /// Failure: nothing to be found out from; a file that is not there.
    pub fn infer(inputs: Vec<Input>, format: TextFormat, on_error: OnError) -> Result<Self> {
        let mut sample = Vec::new();
        for input in &inputs {
            sample = input.sample(SAMPLE_BYTES, format.sample_lines())?;
            if !sample.is_empty() {
                break;
            }
        }
        let name = inputs.first().map(Input::name).unwrap_or_default();
        let (schema, format) = match format {
            TextFormat::Csv(options) => {
                let inferred = csv::infer(&sample, &options).map_err(|error| error.context(name))?;
                (inferred.schema, TextFormat::Csv(inferred.options))
            }
            TextFormat::Json(options) => {
                (json::infer(&sample).map_err(|error| error.context(name))?, TextFormat::Json(options))
            }
        };
        Self::new(inputs, format, &schema, on_error)
    }

    /// A table of these columns, whose delimiter and header are found out from a file where the format leaves them open.
    /// A stream is not waited for: it has commas and a header unless the format says otherwise.
    ///
    /// Failure: as [`TextTable::new`]; a file that is not there.
    pub fn sniff(inputs: Vec<Input>, format: TextFormat, schema: &Schema, on_error: OnError) -> Result<Self> {
        let format = match (format, inputs.first()) {
            (TextFormat::Csv(options), Some(first))
                if first.is_file() && (options.delimiter.is_none() || options.header == Header::Auto) =>
            {
                TextFormat::Csv(csv::sniff(&first.sample(SAMPLE_BYTES, 1)?, &options, schema.fields().len()))
            }
            (format, _) => format,
        };
        Self::new(inputs, format, schema, on_error)
    }

    /// The same table, read in blocks of `bytes`.
    #[must_use]
    pub fn with_block_bytes(mut self, bytes: usize) -> Self {
        self.block_bytes = Some(bytes);
        self
    }

    fn records(&self) -> Records {
        match &self.format {
            TextFormat::Csv(options) => Records::of_csv(options),
            TextFormat::Json(_) => Records::Lines,
        }
    }
}

impl Table for TextTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        match &self.inputs[..] {
            [input] => format!("{} {}", self.format.name(), input.name()),
            [first, ..] => format!("{} {} and {} more", self.format.name(), first.name(), self.inputs.len() - 1),
            [] => format!("{} of no files", self.format.name()),
        }
    }

    fn system_columns(&self) -> &[SystemColumn] {
        match self.inputs.iter().all(Input::is_file) {
            true => FILE_COLUMNS,
            false => &[SystemColumn::Partition, SystemColumn::Offset],
        }
    }

    fn open(&self, request: &ScanRequest) -> Result<Arc<dyn Scan>> {
        /// With no more rows wanted than these, small blocks do.
        const FEW_ROWS: usize = 1_000;
        let progress = Arc::new(Progress::default());
        let sizes = self.inputs.iter().map(Input::size_bytes).collect::<Result<Vec<_>>>()?;
        progress.bytes_total.store(sizes.iter().sum(), Ordering::Relaxed);
        let fields: Vec<FieldRef> =
            request.projection.iter().map(|&column| self.schema.fields()[column].clone()).collect();
        let block_bytes = match request.fetch {
            _ if self.block_bytes.is_some() => self.block_bytes.unwrap_or(BLOCK_BYTES),
            Some(rows) if rows <= FEW_ROWS => 1 << 16,
            _ if request.ordered => ORDERED_BLOCK_BYTES,
            _ => BLOCK_BYTES,
        };
        let partitions = request.partitions.max(1);
        let files = (0..self.inputs.len()).map(|_| File {
            is_done: AtomicBool::new(false),
            position: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            skip: AtomicU64::new(0),
            is_read: AtomicBool::new(false),
            state: Mutex::default(),
        });
        Ok(Arc::new(TextScan(Arc::new(Shared {
            files: files.collect(),
            table: self.clone(),
            projection: request.projection.clone(),
            fields,
            progress,
            pool: Pool::new(2 * partitions + 2),
            decoders: Mutex::default(),
            first: AtomicUsize::new(0),
            partitions,
            block_bytes,
            counts: request.system.contains(&SystemColumn::Offset),
            batch_rows: request.batch_rows.clamp(1, crate::batch::ROWS_MAX),
        }))))
    }
}

struct TextScan(Arc<Shared>);

/// What the workers of a scan share.
struct Shared {
    table: TextTable,
    projection: Vec<usize>,
    fields: Vec<FieldRef>,
    progress: Arc<Progress>,
    files: Vec<File>,
    /// No file before this one is still to be read.
    first: AtomicUsize,
    pool: Pool,
    decoders: Mutex<Vec<Decoder>>,
    partitions: usize,
    block_bytes: usize,
    /// Whether rows are numbered: then the blocks of a file are read one after the other.
    counts: bool,
    batch_rows: usize,
}

struct File {
    is_done: AtomicBool,
    /// Where the last block taken ended, in bytes of plain text.
    position: AtomicU64,
    /// Where rows are numbered: how many were read, how many are still to be left out, and whether a block is being read.
    rows: AtomicU64,
    skip: AtomicU64,
    is_read: AtomicBool,
    state: Mutex<Option<OpenFile>>,
}

struct OpenFile {
    blocks: BlockSource,
    layout: Option<Arc<Layout>>,
}

/// What one look at a file gave.
enum Found {
    Morsel(Morsel),
    Pending,
    Done,
}

impl Scan for TextScan {
    fn take(&self) -> Result<Take> {
        self.take_of(&|_| true)
    }

    fn take_of(&self, may: &dyn Fn(usize) -> bool) -> Result<Take> {
        let shared = &self.0;
        loop {
            if shared.progress.stopped.load(Ordering::Relaxed) {
                return Ok(Take::End);
            }
            let (mut busy, mut is_pending, mut is_finished) = (None, false, false);
            for index in shared.unfinished(may) {
                let state = match shared.files[index].state.try_lock() {
                    Ok(state) => state,
                    Err(TryLockError::Poisoned(state)) => state.into_inner(),
                    Err(TryLockError::WouldBlock) => {
                        busy = busy.or(Some(index));
                        continue;
                    }
                };
                match take_block(shared, index, state)? {
                    Found::Morsel(morsel) => return Ok(Take::Morsel(morsel)),
                    Found::Pending => is_pending = true,
                    Found::Done => is_finished = true,
                }
            }
            match busy {
                _ if is_finished => continue,
                // Everybody else is cutting blocks: wait for one of them rather than spin.
                Some(index) => drop(shared.files[index].state.lock().unwrap_or_else(PoisonError::into_inner)),
                None if is_pending || shared.holds_back(may) => return Ok(Take::Pending),
                None => return Ok(Take::End),
            }
        }
    }

    fn source_partitions(&self) -> usize {
        self.0.files.len()
    }

    fn progress(&self) -> &Progress {
        &self.0.progress
    }

    fn position(&self) -> Result<Vec<u64>> {
        let at = |file: &File| if self.0.counts { &file.rows } else { &file.position }.load(Ordering::Acquire);
        Ok(self.0.files.iter().map(at).collect())
    }

    /// What was read is read over: text has no index.
    fn seek(&self, position: &[u64]) -> Result<()> {
        same_partitions(position, self.0.files.len())?;
        if self.0.counts {
            let files = self.0.files.iter().zip(position);
            files.for_each(|(file, rows)| file.skip.store(*rows, Ordering::Release));
            return Ok(());
        }
        let files = self.0.files.iter().zip(position);
        files.for_each(|(file, position)| file.position.store(*position, Ordering::Release));
        Ok(())
    }
}

impl Shared {
    /// The files to be read now: the first ones that are not done and `may` be read, as many as there are workers.
    fn unfinished(&self, may: &dyn Fn(usize) -> bool) -> impl Iterator<Item = usize> {
        let mut first = self.first.load(Ordering::Relaxed);
        while first < self.files.len() && self.is_done(first) {
            first += 1;
        }
        self.first.fetch_max(first, Ordering::Relaxed);
        (first..self.files.len()).filter(move |&index| !self.is_done(index) && may(index)).take(self.partitions)
    }

    /// Whether a file is not done that may not be read now.
    fn holds_back(&self, may: &dyn Fn(usize) -> bool) -> bool {
        (self.first.load(Ordering::Relaxed)..self.files.len()).any(|index| !self.is_done(index) && !may(index))
    }

    fn is_done(&self, index: usize) -> bool {
        self.files[index].is_done.load(Ordering::Acquire)
    }

    fn decoder(&self) -> Result<Decoder> {
        let free = self.decoders.lock().unwrap_or_else(PoisonError::into_inner).pop();
        free.map_or_else(|| Decoder::new(&self.table.format, &self.fields, self.table.on_error), Ok)
    }

    fn layout(&self, file: &mut OpenFile, name: &str) -> Result<Arc<Layout>> {
        if let Some(layout) = &file.layout {
            return Ok(layout.clone());
        }
        let layout = match (&self.table.format, file.blocks.header()) {
            (TextFormat::Csv(options), Some(header)) if !header.is_empty() => {
                Layout::of_header(header, options, &self.table.schema, &self.projection)
                    .map_err(|error| error.context(name))?
            }
            _ => Layout::in_order(&self.table.schema, &self.projection),
        };
        let layout = Arc::new(layout);
        file.layout = Some(layout.clone());
        Ok(layout)
    }
}

/// Takes the next block of a file, opening it first where nobody has.
fn take_block(shared: &Arc<Shared>, index: usize, mut state: MutexGuard<'_, Option<OpenFile>>) -> Result<Found> {
    if shared.files[index].is_done.load(Ordering::Acquire) {
        return Ok(Found::Done);
    }
    if shared.files[index].is_read.load(Ordering::Acquire) {
        return Ok(Found::Pending);
    }
    let input = &shared.table.inputs[index];
    if state.is_none() {
        let feed = input.open(&shared.progress)?;
        let mut blocks = BlockSource::new(feed, shared.table.records(), shared.block_bytes);
        blocks.seek(shared.files[index].position.load(Ordering::Acquire));
        *state = Some(OpenFile { blocks, layout: None });
    }
    let file = state.as_mut().expect("opened above");
    let (block, sequence, is_last) =
        match file.blocks.next(&shared.pool).map_err(|error| error.context(input.name()))? {
            Next::Block { block, sequence, is_last } => (block, sequence, is_last),
            Next::Pending => return Ok(Found::Pending),
            Next::End => {
                shared.files[index].is_done.store(true, Ordering::Release);
                return Ok(Found::Done);
            }
        };
    shared.files[index].position.store(file.blocks.position(), Ordering::Release);
    let layout = shared.layout(file, &input.name())?;
    if is_last {
        *state = None;
        shared.files[index].is_done.store(true, Ordering::Release);
    }
    let (next, mut time) = (shared.files[index].rows.load(Ordering::Acquire), None);
    if let Input::File(path) = input {
        time = modified_ms(path);
    }
    let place = RowPlace { next, rows: 0, time };
    shared.files[index].is_read.store(shared.counts, Ordering::Release);
    drop(state);
    let mut decoder = shared.decoder()?;
    decoder.begin(block, &layout);
    let reader = TextReader { shared: shared.clone(), file: index, decoder: Some(decoder), rows: 0, last: 0, place };
    Ok(Found::Morsel(Morsel { partition: index, sequence, is_last, reader: Box::new(reader) }))
}

/// Reads the rows of one block.
struct TextReader {
    shared: Arc<Shared>,
    file: usize,
    decoder: Option<Decoder>,
    /// Rows read before the last batch, and in it.
    rows: usize,
    last: usize,
    place: RowPlace,
}

impl Reader for TextReader {
    fn read(&mut self, batch: &mut Batch) -> Result<bool> {
        loop {
            if !self.decode(batch)? {
                return Ok(false);
            }
            if !self.shared.counts {
                return Ok(true);
            }
            let file = &self.shared.files[self.file];
            let (rows, skip) = (batch.rows, file.skip.load(Ordering::Acquire));
            let skipped = skip.min(rows as u64) as usize;
            file.rows.fetch_add(rows as u64, Ordering::AcqRel);
            self.place.pass(rows);
            if skipped == 0 {
                return Ok(true);
            }
            file.skip.store(skip - skipped as u64, Ordering::Release);
            self.shared.progress.rows.fetch_sub(skipped as u64, Ordering::Relaxed);
            if skipped < rows {
                cut_front(batch, skipped)?;
                self.place.rows -= skipped;
                return Ok(true);
            }
            batch.clear();
        }
    }

    fn system(&self, column: SystemColumn) -> Option<Column> {
        self.place.column(column)
    }

    /// Counts records, so it is right where none is left out.
    fn place(&self, row: usize) -> Option<String> {
        let block = self.decoder.as_ref()?.block();
        let quoted = matches!(self.shared.table.format, TextFormat::Csv(_));
        let start = start_of_record(block.text(), self.rows + row, quoted);
        Some(format!("line {} of {}", block.line_of(start), self.shared.table.inputs[self.file].name()))
    }
}

impl TextReader {
    /// Decodes the next rows of the block; whether there were any.
    fn decode(&mut self, batch: &mut Batch) -> Result<bool> {
        let shared = &self.shared;
        let Some(decoder) = &mut self.decoder else { return Ok(false) };
        if shared.progress.stopped.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let outcome = decoder.read(batch, shared.batch_rows);
        let (rows, left_out) = outcome.map_err(|fault| {
            let fields = shared.fields.iter().map(|field| field.as_ref());
            fault.into_error(decoder.block(), &shared.table.inputs[self.file].name(), fields)
        })?;
        shared.progress.add_rows(rows);
        shared.progress.add_bad_rows(left_out);
        self.rows += self.last;
        self.last = rows;
        if rows == 0 {
            self.give_back();
        }
        Ok(rows > 0)
    }
}

/// The byte at which record `record` begins; empty lines are none. `quoted`: whether quotes hide line ends.
fn start_of_record(text: &[u8], record: usize, quoted: bool) -> usize {
    let (mut left, mut start, mut at, mut in_quotes) = (record, 0, 0, false);
    while at < text.len() {
        in_quotes ^= quoted && text[at] == b'"';
        if text[at] == b'\n' && !in_quotes {
            if !text[start..at].trim_ascii().is_empty() {
                if left == 0 {
                    return start;
                }
                left -= 1;
            }
            start = at + 1;
        }
        at += 1;
    }
    start
}

impl TextReader {
    fn give_back(&mut self) {
        if let Some(mut decoder) = self.decoder.take() {
            self.shared.pool.put(decoder.end().into_memory());
            self.shared.decoders.lock().unwrap_or_else(PoisonError::into_inner).push(decoder);
        }
    }
}

impl Drop for TextReader {
    fn drop(&mut self) {
        self.give_back();
        self.shared.files[self.file].is_read.store(false, Ordering::Release);
    }
}

/// A decoder of either format.
enum Decoder {
    Csv(CsvDecoder),
    Json(JsonDecoder),
}

impl Decoder {
    fn new(format: &TextFormat, fields: &[FieldRef], on_error: OnError) -> Result<Self> {
        Ok(match format {
            TextFormat::Csv(options) => Decoder::Csv(CsvDecoder::new(options, fields, on_error)?),
            TextFormat::Json(_) => Decoder::Json(JsonDecoder::new(fields, on_error)?),
        })
    }

    fn begin(&mut self, block: Block, layout: &Layout) {
        match self {
            Decoder::Csv(decoder) => decoder.begin(block, layout),
            Decoder::Json(decoder) => decoder.begin(block),
        }
    }

    /// Rows read and rows left out. Reads on until there are rows, or none any more.
    fn read(&mut self, batch: &mut Batch, rows_max: usize) -> Result<(usize, usize), Fault> {
        match self {
            Decoder::Csv(decoder) => decoder.read(batch, rows_max),
            Decoder::Json(decoder) => decoder.read(batch, rows_max),
        }
    }

    fn block(&self) -> &Block {
        match self {
            Decoder::Csv(decoder) => decoder.block(),
            Decoder::Json(decoder) => decoder.block(),
        }
    }

    fn end(&mut self) -> Block {
        match self {
            Decoder::Csv(decoder) => decoder.end(),
            Decoder::Json(decoder) => decoder.end(),
        }
    }
}

#[cfg(test)]
mod tests;
