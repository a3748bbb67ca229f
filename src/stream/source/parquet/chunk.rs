//! A column's bytes in a row group, page by page: read in large pieces, decompressed where they are to stay.
//!
//! Place       under `pages.rs`. Snappy, Zstandard and pages that are not compressed are read here; pages of other codecs
//!             come from the parquet crate.
//! Invariants  no header leads behind its column's end. A page's memory is used again for the next one once nobody holds
//!             it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::buffer::Buffer;
use millstream_kernels::snappy;
use parquet::basic::{Compression, Encoding};
use parquet::column::page::{Page, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::serialized_reader::SerializedPageReader;

use super::codes::damaged;
use super::header::{Header, Kind};

/// Bytes that are read together where they are to be decompressed: they stay in the CPU's own cache.
const READ_BYTES: usize = 64 << 10;
/// Bytes that are read together where pages are as they stand: enough for a header, the rest goes where it is to stay.
const READ_BYTES_PLAIN: usize = 8 << 10;
/// How many times larger a page becomes at most before more memory is taken as it does.
const GROWTH: usize = 32;
/// No header is longer: statistics hold two values.
const HEADER_BYTES_MAX: usize = 64 << 20;

/// The pages of a column in a row group.
pub(super) enum Chunk {
    Own(Box<OwnChunk>),
    Crate(Box<SerializedPageReader<File>>),
}

/// What comes next.
pub(super) enum Next {
    Dictionary,
    /// A page of so many rows.
    Rows(usize),
}

/// A page, decompressed.
pub(super) enum Content {
    Dictionary { bytes: Buffer, values: usize },
    Data { bytes: Buffer, rows: usize, encoding: Encoding, levels: Levels },
}

/// Where the levels lie that tell nulls.
pub(super) enum Levels {
    /// In front, after their length; whether they are written in runs.
    Counted { are_runs: bool },
    /// So many bytes of other levels, and of these.
    Sized { before: usize, length: usize },
}

impl Chunk {
    /// `is_copied`: a page's bytes are not held any longer than the page is at hand.
    pub(super) fn new(file: Arc<File>, group: &RowGroupMetaData, leaf: usize, is_copied: bool) -> Result<Self> {
        let column = group.column(leaf);
        let codec = match column.compression() {
            Compression::UNCOMPRESSED => Codec::Plain,
            Compression::SNAPPY => Codec::Snappy,
            Compression::ZSTD(_) => Codec::Zstd(Box::new(zstd::bulk::Decompressor::new()?)),
            _ => {
                let rows = group.num_rows().max(0) as usize;
                return Ok(Chunk::Crate(Box::new(SerializedPageReader::new(file, column, rows, None)?)));
            }
        };
        let (start, length) = guarded(|| Ok(column.byte_range()))?;
        let end = start.checked_add(length).ok_or_else(|| damaged("a column has no end"))?;
        let window = Window { file, behind: start, end, bytes: Vec::new(), at: 0, filled: 0 };
        Ok(Chunk::Own(Box::new(OwnChunk { window, codec, header: None, lent: None, is_copied })))
    }

    /// What the next page is; `None` behind the last one.
    pub(super) fn peek(&mut self) -> Result<Option<Next>> {
        match self {
            Chunk::Own(own) => own.peek(),
            Chunk::Crate(reader) => {
                let about = guarded(|| reader.peek_next_page())?;
                Ok(about.map(|about| match about.is_dict {
                    true => Next::Dictionary,
                    false => Next::Rows(about.num_rows.or(about.num_levels).unwrap_or_default()),
                }))
            }
        }
    }

    /// The next page; `None` behind the last one.
    pub(super) fn take(&mut self) -> Result<Option<Content>> {
        match self {
            Chunk::Own(own) => own.take(),
            Chunk::Crate(reader) => Ok(guarded(|| reader.get_next_page())?.map(content)),
        }
    }

    /// Passes over the next page.
    pub(super) fn skip(&mut self) -> Result<()> {
        match self {
            Chunk::Own(own) => own.skip(),
            Chunk::Crate(reader) => guarded(|| reader.skip_next_page()),
        }
    }
}

fn content(page: Page) -> Content {
    match page {
        Page::DictionaryPage { buf, num_values, .. } => {
            Content::Dictionary { bytes: Buffer::from(buf), values: num_values as usize }
        }
        Page::DataPage { buf, num_values, encoding, def_level_encoding, .. } => Content::Data {
            bytes: Buffer::from(buf),
            rows: num_values as usize,
            encoding,
            levels: Levels::Counted { are_runs: def_level_encoding == Encoding::RLE },
        },
        Page::DataPageV2 { buf, num_values, encoding, def_levels_byte_len, rep_levels_byte_len, .. } => Content::Data {
            bytes: Buffer::from(buf),
            rows: num_values as usize,
            encoding,
            levels: Levels::Sized { before: rep_levels_byte_len as usize, length: def_levels_byte_len as usize },
        },
    }
}

/// Asks the crate's reader, which trusts the headers of pages and panics where one lacks what its kind has.
fn guarded<T>(ask: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(ask)).unwrap_or_else(|_| Err(damaged("the header of a page cannot be read")))
}

/// Pages that are read here.
pub(super) struct OwnChunk {
    window: Window,
    codec: Codec,
    /// That of the next page, once it has been read.
    header: Option<Header>,
    /// The page that was handed out last.
    lent: Option<Buffer>,
    /// Whether memory may be larger than what is in it.
    is_copied: bool,
}

enum Codec {
    Plain,
    Snappy,
    Zstd(Box<zstd::bulk::Decompressor<'static>>),
}

impl OwnChunk {
    fn peek(&mut self) -> Result<Option<Next>> {
        loop {
            match self.header()?.map(|header| header.page) {
                None => return Ok(None),
                Some(Kind::Dictionary { .. }) => return Ok(Some(Next::Dictionary)),
                Some(Kind::Data { rows, .. } | Kind::DataV2 { rows, .. }) => return Ok(Some(Next::Rows(rows))),
                Some(Kind::Other) => self.skip()?,
            }
        }
    }

    fn skip(&mut self) -> Result<()> {
        let Some(header) = self.header.take() else { return Ok(()) };
        self.window.skip(header.compressed)
    }

    fn take(&mut self) -> Result<Option<Content>> {
        if self.peek()?.is_none() {
            return Ok(None);
        }
        let header = self.header.take().expect("it was looked at just now");
        Ok(Some(match header.page {
            Kind::Dictionary { values, encoding } => {
                if !matches!(value_encoding(encoding)?, Encoding::PLAIN | Encoding::PLAIN_DICTIONARY) {
                    return Err(damaged("a dictionary is encoded otherwise than it may be"));
                }
                Content::Dictionary { bytes: self.bytes(&header, 0, true)?, values }
            }
            Kind::Data { rows, encoding, levels } => Content::Data {
                bytes: self.bytes(&header, 0, true)?,
                rows,
                encoding: value_encoding(encoding)?,
                levels: Levels::Counted { are_runs: levels == RUNS },
            },
            Kind::DataV2 { values, encoding, definition, repetition, is_compressed, .. } => Content::Data {
                bytes: self.bytes(&header, definition + repetition, is_compressed)?,
                rows: values,
                encoding: value_encoding(encoding)?,
                levels: Levels::Sized { before: repetition, length: definition },
            },
            Kind::Other => unreachable!("passed over"),
        }))
    }

    /// The header of the page at hand; `None` behind the last one.
    fn header(&mut self) -> Result<Option<&Header>> {
        if self.header.is_none() {
            if self.window.is_done() {
                return Ok(None);
            }
            let read_bytes = if matches!(self.codec, Codec::Plain) { READ_BYTES_PLAIN } else { READ_BYTES };
            let mut wanted = 1;
            self.header = loop {
                let bytes = self.window.look(wanted, read_bytes)?;
                let seen = bytes.len();
                if let Some(header) = Header::read(bytes)? {
                    self.window.at += header.bytes;
                    break Some(header);
                }
                wanted = seen * 2;
                if seen > HEADER_BYTES_MAX || seen as u64 >= self.window.left() {
                    return Err(damaged("the header of a page cannot be read"));
                }
            };
        }
        Ok(self.header.as_ref())
    }

    /// The bytes of the page behind a header, of which the first `raw` are as they stand.
    fn bytes(&mut self, header: &Header, raw: usize, is_compressed: bool) -> Result<Buffer> {
        let lent = self.lent.take().and_then(|lent| lent.into_vec::<u8>().ok());
        let mut out = lent.unwrap_or_default();
        out.clear();
        if self.is_copied && out.capacity() < header.uncompressed {
            let likely = header.compressed.saturating_mul(GROWTH);
            out = Vec::with_capacity(room(header.uncompressed.min(likely)));
        }
        if matches!(self.codec, Codec::Plain) || !is_compressed {
            if header.compressed != header.uncompressed || raw > header.compressed {
                return Err(damaged("a page is of another size than it says"));
            }
            self.window.take(header.compressed, &mut out)?;
        } else {
            let bytes = self.window.exactly(header.compressed)?;
            let (Some((raw, block)), Some(size)) = (bytes.split_at_checked(raw), header.uncompressed.checked_sub(raw))
            else {
                return Err(damaged("the levels of a page cannot be read"));
            };
            out.extend_from_slice(raw);
            self.codec.decompress(block, size, &mut out)?;
            self.window.at += header.compressed;
        }
        let buffer = Buffer::from_vec(out);
        self.lent = Some(buffer.clone());
        Ok(buffer)
    }
}

/// How Thrift numbers runs of levels.
const RUNS: i64 = 3;

fn value_encoding(number: i64) -> Result<Encoding> {
    Ok(match number {
        0 => Encoding::PLAIN,
        2 => Encoding::PLAIN_DICTIONARY,
        8 => Encoding::RLE_DICTIONARY,
        other => return Err(damaged(&format!("its pages are encoded otherwise than it says: {other}"))),
    })
}

impl Codec {
    /// Adds the `size` bytes that a block becomes.
    fn decompress(&mut self, block: &[u8], size: usize, out: &mut Vec<u8>) -> Result<()> {
        // A page of nulls alone may have nothing to decompress.
        if size == 0 {
            return Ok(());
        }
        let is_whole = match self {
            Codec::Plain => unreachable!("not compressed"),
            Codec::Snappy => snappy::append(block, size, out),
            Codec::Zstd(zstd) if out.is_empty() => {
                out.reserve(size);
                zstd.decompress_to_buffer(block, out).is_ok_and(|written| written == size)
            }
            Codec::Zstd(zstd) => match zstd.decompress(block, size) {
                Ok(bytes) => {
                    out.extend_from_slice(&bytes);
                    bytes.len() == size
                }
                Err(_) => false,
            },
        };
        if is_whole { Ok(()) } else { Err(damaged("a page cannot be decompressed to the size that it says")) }
    }
}

/// What has been read of a column's bytes and not been used.
struct Window {
    file: Arc<File>,
    /// Where in the file goes on what has not been read, and where the column ends.
    behind: u64,
    end: u64,
    bytes: Vec<u8>,
    at: usize,
    filled: usize,
}

impl Window {
    /// Bytes of the column that have not been used.
    fn left(&self) -> u64 {
        self.end - self.behind + (self.filled - self.at) as u64
    }

    fn is_done(&self) -> bool {
        self.left() == 0
    }

    /// The bytes at hand, at least `wanted` if the column has so many; reads `more` with them.
    fn look(&mut self, wanted: usize, more: usize) -> Result<&[u8]> {
        let held = self.filled - self.at;
        if held < wanted && self.behind < self.end {
            self.bytes.copy_within(self.at..self.filled, 0);
            (self.at, self.filled) = (0, held);
            let ahead = (self.end - self.behind).min((wanted - held).max(more) as u64) as usize;
            if self.bytes.len() < held + ahead {
                self.bytes.resize(room(held + ahead), 0);
            }
            self.seek()?;
            let room = &mut self.bytes[held..held + ahead];
            self.file.as_ref().read_exact(room).map_err(ended)?;
            self.behind += ahead as u64;
            self.filled += ahead;
        }
        Ok(&self.bytes[self.at..self.filled])
    }

    /// The next `count` bytes, which stay at hand.
    fn exactly(&mut self, count: usize) -> Result<&[u8]> {
        if count as u64 > self.left() {
            return Err(damaged("a page ends behind its column"));
        }
        Ok(&self.look(count, READ_BYTES)?[..count])
    }

    /// Adds the next `count` bytes to `out`.
    fn take(&mut self, count: usize, out: &mut Vec<u8>) -> Result<()> {
        if count as u64 > self.left() {
            return Err(damaged("a page ends behind its column"));
        }
        let held = count.min(self.filled - self.at);
        out.reserve(count);
        out.extend_from_slice(&self.bytes[self.at..self.at + held]);
        self.at += held;
        if held < count {
            self.seek()?;
            let read = self.file.as_ref().take((count - held) as u64).read_to_end(out)?;
            self.behind += read as u64;
            if read < count - held {
                return Err(damaged("the file ends before its pages do"));
            }
        }
        Ok(())
    }

    /// Passes over `count` bytes.
    fn skip(&mut self, count: usize) -> Result<()> {
        if count as u64 > self.left() {
            return Err(damaged("a page ends behind its column"));
        }
        let held = count.min(self.filled - self.at);
        self.at += held;
        self.behind += (count - held) as u64;
        Ok(())
    }

    /// Other columns read the same file.
    fn seek(&self) -> Result<()> {
        self.file.as_ref().seek(SeekFrom::Start(self.behind))?;
        Ok(())
    }
}

/// Memory is taken in few sizes: an allocator keeps pages for each size, and the first touch of a page costs more than
/// decompressing into it does.
fn room(bytes: usize) -> usize {
    const SLACK: usize = 64; // what decompressing may write behind its end
    (bytes + SLACK).next_power_of_two().max(READ_BYTES)
}

fn ended(error: std::io::Error) -> ParquetError {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => damaged("the file ends before its pages do"),
        _ => error.into(),
    }
}
