//! Films that come and go in pieces: readers of every size, readers and sinks that fail, and films that end too early.

use std::collections::VecDeque;
use std::io::{self, BufRead, ErrorKind, Read};

use reelkey_client::cenc::stream::{PushError, append_to};
use reelkey_client::cenc::{Error, Reader, Stream, decrypt_file};

use crate::film::{Film, Group, Info, Sample, keys};

/// Three samples of several thousand bytes, clear and protected.
fn film() -> Film {
    let sample = |group| Sample {
        layout: vec![(5, 3001), (70, 2048)],
        length: 0,
        iv: *b"vector of a film",
        group,
    };
    Film {
        scheme: b"cbcs",
        iv_size: 16,
        pattern: (1, 9),
        samples: vec![sample(Group::None), sample(Group::Other), sample(Group::Clear)],
        info: Info::Senc,
        is_fragmented: true,
        compact: None,
    }
}

fn encrypted_and_clear() -> (Vec<u8>, Vec<u8>) {
    let film = film().file();
    let mut clear = film.clone();
    decrypt_file(&keys(), &mut clear).unwrap();
    (film, clear)
}

/// Returns at most `most` bytes of a film at once, and before them the planned errors.
struct Sparing<'a> {
    film: &'a [u8],
    most: usize,
    errors: VecDeque<ErrorKind>,
}

impl Read for Sparing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(kind) = self.errors.pop_front() {
            return Err(kind.into());
        }
        let most = self.most.min(buffer.len());
        self.film.read(&mut buffer[..most])
    }
}

fn sparing(film: &[u8], most: usize) -> Sparing<'_> {
    Sparing { film, most, errors: VecDeque::new() }
}

#[test]
fn a_reader_gives_the_clear_film_whatever_sizes_are_read_and_asked_for() {
    let (film, clear) = encrypted_and_clear();
    for most in [1, 7, 16, 1000, usize::MAX] {
        for asked in [1, 3, 17, 4096, 100_000] {
            let mut reader = Reader::new(sparing(&film, most), keys());
            let (mut read, mut buffer) = (Vec::new(), vec![0; asked]);
            loop {
                let length = reader.read(&mut buffer).unwrap();
                if length == 0 {
                    break;
                }
                read.extend_from_slice(&buffer[..length]);
            }
            assert!(read == clear, "{most} bytes read at most, {asked} asked for");
            assert_eq!(reader.stream().samples(), 3);
            assert_eq!(reader.read(&mut buffer).unwrap(), 0, "the end stays the end");
        }
    }
}

#[test]
fn what_is_consumed_in_parts_is_the_clear_film() {
    let (film, clear) = encrypted_and_clear();
    let mut reader = Reader::new(sparing(&film, 900), keys());
    let (mut read, mut parts) = (Vec::new(), (1..=400).cycle());
    loop {
        let ready = reader.fill_buf().unwrap();
        if ready.is_empty() {
            break;
        }
        let part = ready.len().min(parts.next().unwrap());
        read.extend_from_slice(&ready[..part]);
        reader.consume(part);
    }
    assert!(read == clear);
}

#[test]
fn an_interrupted_read_is_repeated_and_other_errors_are_passed_on() {
    let (film, clear) = encrypted_and_clear();
    let mut inner = sparing(&film, 500);
    inner.errors = [ErrorKind::Interrupted, ErrorKind::Interrupted, ErrorKind::WouldBlock].into();
    let mut reader = Reader::new(inner, keys());
    let mut read = Vec::new();
    let error = reader.read_to_end(&mut read).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert!(error.get_ref().is_none(), "it is the inner reader's own");
    assert!(read.is_empty());
    // The stream is whole: it goes on where it was.
    reader.read_to_end(&mut read).unwrap();
    assert!(read == clear);
}

#[test]
fn a_truncated_film_is_an_error_behind_all_that_could_be_decrypted() {
    let (film, clear) = encrypted_and_clear();
    for length in 1..film.len() {
        let mut read = Vec::new();
        let mut reader = Reader::new(&film[..length], keys());
        let Err(error) = reader.read_to_end(&mut read) else {
            // It was cut between two boxes.
            assert_eq!(read, clear[..length]);
            continue;
        };
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        assert!(inner.is_some(), "{error}");
        assert!(clear.starts_with(&read), "cut at {length}");
        let again = reader.read(&mut [0; 10]).unwrap_err().to_string();
        assert_eq!(again, Error::Failed.to_string(), "an error is not the end of the film");
    }
}

#[test]
fn a_damaged_fragment_is_an_error_behind_the_fragments_before_it() {
    let (film, clear) = encrypted_and_clear();
    let moof = film.windows(4).position(|kind| kind == b"moof").unwrap() - 4;
    let mut damaged = [&film[..], &film[moof..]].concat();
    let trun = damaged.windows(4).rposition(|kind| kind == b"trun").unwrap();
    damaged[trun + 12..trun + 16].fill(0xff);
    let mut read = Vec::new();
    let mut reader = Reader::new(damaged.as_slice(), keys());
    reader.read_to_end(&mut read).unwrap_err();
    assert!(read == clear);
}

/// Claims to have read more than it was asked for, and counts what it was asked for.
struct Boaster(usize);

impl Read for Boaster {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0 += buffer.len();
        Ok(buffer.len() + 1000)
    }
}

#[test]
fn a_reader_is_not_believed_more_than_it_was_asked_for() {
    // The bytes are zeros: a free box of 2^40 bytes goes by.
    let head = [1_u32.to_be_bytes(), *b"free", [0, 0, 1, 0], [0; 4]].concat();
    let mut stream = Stream::new(keys());
    let mut handed_on = Vec::new();
    stream.push(&head, append_to(&mut handed_on)).unwrap();
    assert_eq!(handed_on, head);
    let mut reader = Reader::from_stream(Boaster(0), stream);
    let mut read = 0;
    for _ in 0..3 {
        let ready = reader.fill_buf().unwrap().len();
        assert!(ready > 0);
        read += ready;
        reader.consume(ready);
    }
    assert_eq!(read, reader.into_inner().0);
}

#[test]
fn the_error_of_a_sink_comes_back_and_ends_the_stream() {
    let (film, clear) = encrypted_and_clear();
    for room in [0, 100, clear.len() - 1] {
        let (mut taken, mut stream) = (Vec::new(), Stream::new(keys()));
        let mut sink = |bytes: &[u8]| {
            if taken.len() + bytes.len() > room {
                return Err("the disk is full");
            }
            taken.extend_from_slice(bytes);
            Ok(())
        };
        let pushed = film.chunks(50).try_for_each(|piece| stream.push(piece, &mut sink));
        assert!(matches!(pushed, Err(PushError::Sink("the disk is full"))), "{pushed:?}");
        // Bytes are missing from the output, so none may follow.
        let pushed = stream.push(b"\0\0\0\x08free", &mut sink);
        assert!(matches!(pushed, Err(PushError::Media(Error::Failed))), "{pushed:?}");
        let finished = stream.finish(&mut sink);
        assert!(matches!(finished, Err(PushError::Media(Error::Failed))), "{finished:?}");
        assert!(clear.starts_with(&taken));
    }
}

#[test]
fn a_sink_that_fails_at_the_end_is_an_error_of_the_end() {
    // A moof up to the end of the stream, without samples: it is held until then.
    let (film, _) = encrypted_and_clear();
    let moof = film.windows(4).position(|kind| kind == b"moof").unwrap() - 4;
    let mut stream = Stream::new(keys());
    stream.push(&film[..moof], append_to(&mut Vec::new())).unwrap();
    stream.push(b"\0\0\0\0moof", append_to(&mut Vec::new())).unwrap();
    let finished = stream.finish(|bytes| Err(bytes.to_vec()));
    assert!(matches!(&finished, Err(PushError::Sink(bytes)) if bytes == b"\0\0\0\0moof"));
}

#[test]
fn an_error_of_the_media_ends_a_stream() {
    let mut stream = Stream::new(keys());
    let mut clear = Vec::new();
    let pushed = stream.push(b"\0\0\0\x07free", append_to(&mut clear)).map_err(Error::from);
    assert!(matches!(pushed, Err(Error::Box(_))), "{pushed:?}");
    let pushed = stream.push(b"\0\0\0\x08free", append_to(&mut clear)).map_err(Error::from);
    assert!(matches!(pushed, Err(Error::Failed)), "{pushed:?}");
    assert!(clear.is_empty());
}
