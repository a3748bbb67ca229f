//! Where a sink's bytes go: a file, a compressed file, a file that appears when it is whole, or standard output.
//!
//! Invariants  a file written to the side is renamed by `finish` and removed when the sink is dropped before it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::write::GzEncoder;

use crate::error::{Error, Result};
use crate::stream::format::Compression;
use crate::stream::source::listing::reason;

/// An open end for bytes.
pub struct Output {
    name: String,
    stream: Stream,
    /// Where the file stands until it is whole.
    aside: Option<Aside>,
}

enum Stream {
    File(File),
    Stdout(File),
    Gzip(GzEncoder<File>),
    Zstd(zstd::Encoder<'static, File>),
    Closed,
}

struct Aside {
    temporary: PathBuf,
    target: PathBuf,
}

impl Drop for Aside {
    fn drop(&mut self) {
        // After the rename there is nothing left; before it, half a file is worth nothing.
        let _ = fs::remove_file(&self.temporary);
    }
}

impl Output {
    /// Standard output.
    pub fn stdout() -> Result<Output> {
        let failed = |e| failed("standard output", e);
        let file = duplicate_stdout().map_err(failed)?;
        Ok(Output { name: "standard output".to_string(), stream: Stream::Stdout(file), aside: None })
    }

    /// A file that grows in place; with `append`, behind what is there.
    pub fn in_place(path: &Path, compression: Option<Compression>, append: bool) -> Result<Output> {
        let name = path.display().to_string();
        let failed = |e| failed(&name, e);
        let file = match append {
            true => OpenOptions::new().append(true).create(true).open(path),
            false => File::create(path),
        };
        let file = file.map_err(failed)?;
        let stream = match compression {
            None => Stream::File(file),
            Some(Compression::Gzip) => Stream::Gzip(GzEncoder::new(file, flate2::Compression::default())),
            Some(Compression::Zstd) => Stream::Zstd(zstd::Encoder::new(file, 0).map_err(failed)?),
        };
        Ok(Output { name, stream, aside: None })
    }

    /// A file that appears at `path` when it is whole.
    pub fn aside(path: &Path) -> Result<Output> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = path.display().to_string();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(format!(".tmp-{}-{number}", std::process::id()));
        let temporary = PathBuf::from(temporary);
        let file = File::create_new(&temporary).map_err(|e| failed(&name, e))?;
        let aside = Some(Aside { temporary, target: path.to_path_buf() });
        Ok(Output { name, stream: Stream::File(file), aside })
    }

    /// Writes bytes; they may wait in a compressor.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let name = &self.name;
        self.stream.as_write().and_then(|stream| stream.write_all(bytes)).map_err(|e| failed(name, e))
    }

    /// Makes what was written visible, as far as the format allows.
    pub fn flush(&mut self) -> Result<()> {
        let name = &self.name;
        self.stream.as_write().and_then(Write::flush).map_err(|e| failed(name, e))
    }

    /// Ends the file, and gives it its name.
    pub fn finish(&mut self) -> Result<()> {
        let name = &self.name;
        let ended = match std::mem::replace(&mut self.stream, Stream::Closed) {
            Stream::Gzip(stream) => stream.finish().map(drop),
            Stream::Zstd(stream) => stream.finish().map(drop),
            Stream::File(_) | Stream::Stdout(_) | Stream::Closed => Ok(()),
        };
        ended.map_err(|e| failed(name, e))?;
        let Some(aside) = self.aside.take() else { return Ok(()) };
        fs::rename(&aside.temporary, &aside.target).map_err(|e| failed(name, e))
    }
}

impl Stream {
    fn as_write(&mut self) -> io::Result<&mut dyn Write> {
        match self {
            Stream::File(file) | Stream::Stdout(file) => Ok(file),
            Stream::Gzip(stream) => Ok(stream),
            Stream::Zstd(stream) => Ok(stream),
            Stream::Closed => Err(io::Error::other("it has been closed")),
        }
    }
}

/// Standard output without the library's own line buffer.
#[cfg(unix)]
fn duplicate_stdout() -> io::Result<File> {
    use std::os::fd::AsFd;
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

#[cfg(windows)]
fn duplicate_stdout() -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    Ok(File::from(io::stdout().as_handle().try_clone_to_owned()?))
}

/// The error of an output; a reader that went away cancels the query.
fn failed(name: &str, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Error::cancelled().caused_by(error),
        _ => Error::outside(format!("file cannot be written: {name}: {}", reason(&error))).caused_by(error),
    }
}
