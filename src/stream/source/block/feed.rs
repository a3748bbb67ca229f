//! Bytes as they come: read on the spot from a file, or by a thread that waits for a stream so that nobody else does.

use std::io::{self, Read};
use std::sync::Arc;

use crossbeam_channel::{Receiver, TryRecvError, bounded};

use super::open::decompressed;
use crate::error::{Error, Result};
use crate::pipeline::Progress;

/// Bytes read at a time from a stream.
const CHUNK_BYTES: usize = 1 << 17;
/// Chunks that wait to be taken, at most.
const CHUNKS_MAX: usize = 16;

type Opener = Box<dyn FnOnce() -> io::Result<Box<dyn Read + Send>> + Send>;

/// Where the bytes of a source come from.
pub struct Feed {
    name: String,
    from: From,
    /// Bytes taken as a sample, or left of a chunk: they come first.
    ahead: Vec<u8>,
    ahead_at: usize,
    progress: Option<Arc<Progress>>,
}

enum From {
    Reader(Box<dyn Read + Send>),
    /// A stream that nobody has asked for yet.
    Unopened(Option<Opener>),
    /// The last chunk is empty; without it, the thread died.
    Thread(Receiver<io::Result<Vec<u8>>>),
    Ended,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Feed {
    /// Reads from `reader` on the spot.
    pub fn direct(name: &str, reader: Box<dyn Read + Send>) -> Self {
        Self::new(name, From::Reader(reader))
    }

    /// Has a thread open a stream and read from it, from the first call on.
    pub fn lazy(name: &str, open: impl FnOnce() -> io::Result<Box<dyn Read + Send>> + Send + 'static) -> Self {
        Self::new(name, From::Unopened(Some(Box::new(open))))
    }

    fn new(name: &str, from: From) -> Self {
        Feed { name: name.to_string(), from, ahead: Vec::new(), ahead_at: 0, progress: None }
    }

    /// Counts the bytes of a stream from now on.
    pub fn count_into(&mut self, progress: Arc<Progress>) {
        progress.add_bytes(self.ahead.len() - self.ahead_at);
        self.progress = Some(progress);
    }

    /// Reads some bytes and says how many: 0 is the end, `None` means nothing has come yet.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>> {
        if self.ahead_at == self.ahead.len() {
            if let From::Reader(reader) = &mut self.from {
                return read_some(reader, buffer).map(Some).map_err(|cause| failed(&self.name, cause));
            }
            if !self.receive(false)? {
                return Ok(None);
            }
        }
        let count = buffer.len().min(self.ahead.len() - self.ahead_at);
        buffer[..count].copy_from_slice(&self.ahead[self.ahead_at..self.ahead_at + count]);
        self.ahead_at += count;
        Ok(Some(count))
    }

    /// Up to `length` first bytes, waiting for them; they will be read once more. A stream that pauses after whole lines,
    /// at least `lines` of them, gives what it has: waiting for more could take forever.
    pub fn sample(&mut self, length: usize, lines: usize) -> Result<Vec<u8>> {
        let mut sample = Vec::new();
        while sample.len() < length {
            let before = sample.len();
            if self.ahead_at < self.ahead.len() {
                sample.extend_from_slice(&self.ahead[self.ahead_at..]);
                self.ahead_at = self.ahead.len();
            } else if let From::Reader(reader) = &mut self.from {
                sample.resize(length, 0);
                let count = read_some(reader, &mut sample[before..]).map_err(|cause| failed(&self.name, cause))?;
                sample.truncate(before + count);
            } else {
                self.receive(true)?;
                sample.extend_from_slice(&self.ahead);
                self.ahead_at = self.ahead.len();
            }
            let pauses = matches!(&self.from, From::Thread(chunks) if chunks.is_empty()) && sample.ends_with(b"\n");
            if sample.len() == before || (pauses && memchr::memchr_iter(b'\n', &sample).count() >= lines) {
                break;
            }
        }
        self.ahead.clone_from(&sample);
        self.ahead_at = 0;
        sample.truncate(length);
        Ok(sample)
    }

    /// Takes the next chunk from the thread and says whether one came; at the end an empty one does, again and again.
    fn receive(&mut self, waits: bool) -> Result<bool> {
        if let From::Unopened(open) = &mut self.from {
            let open = open.take().expect("opened once, then it is a thread");
            self.from = From::Thread(spawn(open).map_err(|cause| failed(&self.name, cause))?);
        }
        let From::Thread(chunks) = &self.from else {
            self.ahead.clear();
            self.ahead_at = 0;
            return Ok(true);
        };
        let chunk = if waits { chunks.recv().map_err(|_| TryRecvError::Disconnected) } else { chunks.try_recv() };
        self.ahead = match chunk {
            Ok(chunk) => chunk.map_err(|cause| failed(&self.name, cause))?,
            Err(TryRecvError::Empty) => return Ok(false),
            Err(TryRecvError::Disconnected) => {
                return Err(Error::bug(format!("the thread that reads {} died", self.name)));
            }
        };
        self.ahead_at = 0;
        if self.ahead.is_empty() {
            self.from = From::Ended;
        }
        if let Some(progress) = &self.progress {
            progress.add_bytes(self.ahead.len());
        }
        Ok(true)
    }
}

fn failed(name: &str, cause: io::Error) -> Error {
    Error::outside(format!("cannot read {name}: {cause}")).caused_by(cause)
}

fn read_some(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// Starts the thread. It ends with the stream, with an error, or when nobody takes chunks any more.
fn spawn(open: Opener) -> io::Result<Receiver<io::Result<Vec<u8>>>> {
    let (sender, receiver) = bounded(CHUNKS_MAX);
    std::thread::Builder::new().name("millstream-read".to_string()).spawn(move || {
        let mut reader = match open().and_then(decompressed) {
            Ok(reader) => reader,
            Err(error) => return drop(sender.send(Err(error))),
        };
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            let chunk = match read_some(&mut reader, &mut buffer) {
                Ok(count) => Ok(buffer[..count].to_vec()),
                Err(error) => Err(error),
            };
            let is_last = chunk.as_ref().map_or(true, Vec::is_empty);
            if sender.send(chunk).is_err() || is_last {
                return;
            }
        }
    })?;
    Ok(receiver)
}
