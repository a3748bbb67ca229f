//! Files and streams, plain or compressed: gzip and zstd are known by their first bytes, whatever the name says.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::feed::Feed;
use crate::error::{Error, Result};
use crate::pipeline::Progress;

/// Where the bytes of one source partition come from.
#[derive(Clone)]
pub enum Input {
    /// A regular file.
    File(PathBuf),
    /// A stream that can be read once.
    Stream(Arc<Stream>),
}

/// A stream that can be read once, such as stdin.
pub struct Stream {
    name: String,
    feed: Mutex<Option<Feed>>,
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

impl Input {
    /// What is at `path`; a named pipe or a device is a stream.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        match path.metadata() {
            Ok(metadata) if !metadata.is_file() && !metadata.is_dir() => {
                let name = path.display().to_string();
                Self::stream(&name, move || Ok(Box::new(File::open(path)?)))
            }
            _ => Input::File(path),
        }
    }

    /// Whether it is a file, which can be read again and again.
    pub fn is_file(&self) -> bool {
        matches!(self, Input::File(_))
    }

    /// The standard input of the process.
    pub fn stdin() -> Self {
        Self::stream("stdin", || Ok(Box::new(io::stdin())))
    }

    /// A stream that `open` opens, on a thread of its own, when it is first asked for.
    pub fn stream(name: &str, open: impl FnOnce() -> io::Result<Box<dyn Read + Send>> + Send + 'static) -> Self {
        let feed = Mutex::new(Some(Feed::lazy(name, open)));
        Input::Stream(Arc::new(Stream { name: name.to_string(), feed }))
    }

    /// What errors call it.
    pub fn name(&self) -> String {
        match self {
            Input::File(path) => path.display().to_string(),
            Input::Stream(stream) => stream.name.clone(),
        }
    }

    /// Bytes as they are stored, 0 when that is not known. Failure: a file that is not there.
    pub fn size_bytes(&self) -> Result<u64> {
        match self {
            Input::File(path) => {
                let metadata = path.metadata().map_err(|cause| self.failed("cannot open", cause))?;
                if metadata.is_dir() {
                    return Err(Error::user(format!("a file is wanted, but this is a directory: {}", self.name())));
                }
                Ok(if metadata.is_file() { metadata.len() } else { 0 })
            }
            Input::Stream(_) => Ok(0),
        }
    }

    /// Opens it for reading; what is read is counted in `progress`.
    pub fn open(&self, progress: &Arc<Progress>) -> Result<Feed> {
        match self {
            Input::File(path) => {
                let is_file = path.metadata().map_err(|cause| self.failed("cannot open", cause))?.is_file();
                if !is_file {
                    let (path, progress) = (path.clone(), progress.clone());
                    return Ok(Feed::lazy(&self.name(), move || {
                        Ok(Box::new(Counted { inner: File::open(path)?, progress }))
                    }));
                }
                let file = File::open(path).map_err(|cause| self.failed("cannot open", cause))?;
                let counted = Counted { inner: file, progress: progress.clone() };
                let reader = decompressed(Box::new(counted)).map_err(|cause| self.failed("cannot read", cause))?;
                Ok(Feed::direct(&self.name(), reader))
            }
            Input::Stream(stream) => {
                let feed = stream.feed.lock().unwrap_or_else(PoisonError::into_inner).take();
                let mut feed = feed.ok_or_else(|| {
                    Error::user(format!("a stream can be read only once: {}; write it to a file first", stream.name))
                })?;
                feed.count_into(progress.clone());
                Ok(feed)
            }
        }
    }

    /// Up to `length` of its first bytes, which a stream will give once more: less when it pauses after whole `lines`, or
    /// more lines than that.
    pub fn sample(&self, length: usize, lines: usize) -> Result<Vec<u8>> {
        match self {
            Input::Stream(stream) => {
                let mut feed = stream.feed.lock().unwrap_or_else(PoisonError::into_inner);
                let feed = feed.as_mut().ok_or_else(|| {
                    Error::user(format!("a stream can be read only once: {}; declare its columns", stream.name))
                })?;
                feed.sample(length, lines)
            }
            Input::File(_) => self.open(&Arc::default())?.sample(length, lines),
        }
    }

    fn failed(&self, what: &str, cause: io::Error) -> Error {
        Error::outside(format!("{what} {}: {cause}", self.name())).caused_by(cause)
    }
}

/// Counts what is read.
pub struct Counted<R> {
    pub inner: R,
    pub progress: Arc<Progress>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.progress.add_bytes(count);
        Ok(count)
    }
}

/// The plain bytes of a stream that may be compressed: gzip of any number of members, zstd of any number of frames.
pub fn decompressed(mut reader: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let mut first = vec![0; 1 << 16];
    let mut count = 0;
    // Not one call more than it takes: a stream may pause.
    while count < 4 && (count == 0 || may_be_compressed(&first[..count])) {
        match reader.read(&mut first[count..]) {
            Ok(0) => break,
            Ok(read) => count += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let magic: [u8; 4] = *first.first_chunk().expect("it is longer");
    first.truncate(count);
    let whole = Cursor::new(first).chain(reader);
    Ok(match magic {
        [0x1f, 0x8b, 8, _] if count > 2 => {
            Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(1 << 16, whole)))
        }
        [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => {
            Box::new(zstd::stream::read::Decoder::new(whole)?)
        }
        _ => Box::new(whole),
    })
}

fn may_be_compressed(first: &[u8]) -> bool {
    let starts = |magic: &[u8]| magic.starts_with(first);
    let skippable = matches!(first[0], 0x50..=0x5f) && [0x2a, 0x4d, 0x18].starts_with(&first[1..]);
    starts(&[0x1f, 0x8b, 8]) || starts(&[0x28, 0xb5, 0x2f, 0xfd]) || skippable
}
