//! Blocks put together again are the text they were cut from.

use std::io::{self, Cursor, Read, Write};
use std::sync::Arc;
use std::sync::mpsc;

use super::*;
use crate::pipeline::Progress;
use crate::stream::decode::csv::Header;

/// A reader that gives a few bytes at a time.
struct Slow(Cursor<Vec<u8>>, usize);

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(self.1);
        self.0.read(&mut buffer[..count])
    }
}

fn csv(header: Header) -> Records {
    Records::of_csv(&CsvOptions { header, ..CsvOptions::default() })
}

/// The texts of all blocks, with the number of their first line.
fn blocks(source: &mut BlockSource) -> Result<Vec<(String, u64)>> {
    let pool = Pool::new(2);
    let mut texts = Vec::new();
    loop {
        match source.next(&pool)? {
            Next::Block { block, sequence, is_last } => {
                assert_eq!(sequence, texts.len() as u64);
                assert_eq!(source.is_ended, is_last);
                texts.push((String::from_utf8(block.text().to_vec()).unwrap(), block.first_line));
                pool.put(block.into_memory());
            }
            Next::Pending => std::thread::yield_now(),
            Next::End => return Ok(texts),
        }
    }
}

fn check(text: &str, records: fn() -> Records, wanted: &str) {
    for block_bytes in [1, 2, 7, 16, 100] {
        for step in [1, 3, 1000] {
            let reader = Slow(Cursor::new(text.as_bytes().to_vec()), step);
            let mut source = BlockSource::new(Feed::direct("test", Box::new(reader)), records(), block_bytes);
            let blocks = blocks(&mut source).unwrap();
            let whole: String = blocks.iter().map(|(text, _)| text.as_str()).collect();
            assert_eq!(whole, wanted, "blocks of {block_bytes}, {step} bytes at a time");
            let mut at = wanted.len();
            for (text, line) in blocks.iter().rev() {
                at -= text.len();
                let before = whole[..at].matches('\n').count() as u64;
                let header =
                    source.header().map_or(0, |header| header.iter().filter(|&&byte| byte == b'\n').count() as u64);
                assert_eq!(*line, 1 + header + before);
                let quotes = text.matches('"').count();
                assert!(quotes % 2 == 0, "a record is whole: {text}");
            }
        }
    }
}

#[test]
fn lines_are_cut_where_they_end() {
    check("", || Records::Lines, "");
    check(
        "one\ntwo\n\nthree, longer than a block\nfour",
        || Records::Lines,
        "one\ntwo\n\nthree, longer than a block\nfour\n",
    );
    check("\u{feff}one\r\ntwo\r\n", || Records::Lines, "one\r\ntwo\r\n");
}

#[test]
fn records_are_cut_outside_of_quotes() {
    let text = "a,\"b\nc\"\n\"\"\"\n\"\"\",\"x\r\ny\"\r\nlast,\"one\n\"";
    check(text, || csv(Header::No), &format!("{text}\n"));
}

#[test]
fn the_header_is_no_row() {
    check("\u{feff}a,\"b\nb\"\n1,2\n3,4\n", || csv(Header::Yes), "1,2\n3,4\n");
    check("a,b", || csv(Header::Yes), "");
    check("", || csv(Header::Yes), "");
    let reader = Box::new(Cursor::new(b"\xef\xbb\xbfa,b\n1,2\n".to_vec()));
    let mut source = BlockSource::new(Feed::direct("test", reader), csv(Header::Yes), 100);
    blocks(&mut source).unwrap();
    assert_eq!(source.header(), Some(&b"a,b\n"[..]));
}

#[test]
fn compressed_text_is_known_by_its_first_bytes() {
    let text: String = (0..10_000).map(|row| format!("row {row}\n")).collect();
    let (first, second) = text.as_bytes().split_at(30_000);
    let gzip = |part: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(part).unwrap();
        encoder.finish().unwrap()
    };
    let two_members = [gzip(first), gzip(second)].concat();
    let two_frames = [zstd::encode_all(first, 1).unwrap(), zstd::encode_all(second, 1).unwrap()].concat();
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in
        [("a.gz", &two_members), ("b.zst", &two_frames), ("c.txt", &two_members), ("d", &text.clone().into_bytes())]
    {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let progress = Arc::new(Progress::default());
        let mut source = BlockSource::new(Input::file(path).open(&progress).unwrap(), Records::Lines, 1000);
        let whole: String = blocks(&mut source).unwrap().into_iter().map(|(text, _)| text).collect();
        assert!(whole == text, "{name} is read whole");
        assert_eq!(progress.bytes.load(std::sync::atomic::Ordering::Relaxed), content.len() as u64, "{name}");
    }
    let cut = &two_members[..two_members.len() / 2];
    let feed = Feed::direct("cut", decompressed(Box::new(Cursor::new(cut.to_vec()))).unwrap());
    let error = blocks(&mut BlockSource::new(feed, Records::Lines, 1000)).unwrap_err();
    assert_eq!(error.kind(), crate::Kind::Outside);
}

#[test]
fn a_stream_is_not_waited_for() {
    let (sender, receiver) = mpsc::channel::<Vec<u8>>();
    struct Channel(mpsc::Receiver<Vec<u8>>, Vec<u8>);
    impl Read for Channel {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.1.is_empty() {
                self.1 = self.0.recv().unwrap_or_default();
            }
            let count = buffer.len().min(self.1.len());
            buffer[..count].copy_from_slice(&self.1[..count]);
            self.1.drain(..count);
            Ok(count)
        }
    }
    let input = Input::stream("test", move || Ok(Box::new(Channel(receiver, Vec::new()))));
    sender.send(b"{one}\n{t".to_vec()).unwrap();
    assert_eq!(input.sample(4, 1).unwrap(), b"{one");
    let pool = Pool::new(2);
    let mut source = BlockSource::new(input.open(&Arc::default()).unwrap(), Records::Lines, 1000);
    assert!(input.open(&Arc::default()).is_err(), "it can be read once only");
    let mut next_text = || loop {
        match source.next(&pool).unwrap() {
            Next::Block { block, is_last, .. } => {
                return Some((String::from_utf8(block.text().to_vec()).unwrap(), is_last));
            }
            Next::Pending => std::thread::yield_now(),
            Next::End => return None,
        }
    };
    assert_eq!(next_text(), Some(("{one}\n".to_string(), false)));
    sender.send(b"w".to_vec()).unwrap();
    sender.send(b"o}\n".to_vec()).unwrap();
    assert_eq!(next_text(), Some(("{two}\n".to_string(), false)));
    sender.send(b"{three}".to_vec()).unwrap();
    drop(sender);
    assert_eq!(next_text(), Some(("{three}\n".to_string(), true)));
    assert_eq!(next_text(), None);
}

#[test]
fn a_record_may_not_be_endless() {
    let endless = io::repeat(b'x').take(RECORD_BYTES_MAX as u64 + 1);
    let mut source = BlockSource::new(Feed::direct("test", Box::new(endless)), Records::Lines, 1 << 20);
    let error = blocks(&mut source).unwrap_err();
    assert!(error.message().starts_with("record is longer than"), "{error}");
}

#[test]
fn memory_is_used_again_when_it_is_free() {
    let pool = Pool::new(2);
    let memory = pool.take(100);
    let at = memory.as_ptr();
    let block = Block::new(memory, 0, 1);
    let held = block.buffer().clone();
    pool.put(block.into_memory());
    let other = pool.take(100);
    assert_ne!(other.as_ptr(), at, "somebody still reads it");
    drop(held);
    let again = pool.take(50);
    assert_eq!(again.as_ptr(), at);
}
