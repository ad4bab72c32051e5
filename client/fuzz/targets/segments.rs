//! Whole films: in place, as a stream, from a reader, and checked without their media. All of them agree, and an error
//! leaves a file as it was.
#![no_main]

use std::convert::Infallible;
use std::io::Read;

use libfuzzer_sys::fuzz_target;
use reelkey_client::cenc::boxes::Boxes;
use reelkey_client::cenc::stream::append_to;
use reelkey_client::cenc::{Error, Keys, Reader, Stream, decrypt_file};
use reelkey_client::key::{ContentKey, KeyId};

/// As the films of the tests have them.
fn keys() -> Keys {
    let pair = |kid: &[u8; 16], key: &[u8; 16]| {
        let key = ContentKey::try_init(|bytes| {
            bytes.copy_from_slice(key);
            Ok::<_, ()>(())
        });
        (KeyId::from_bytes(*kid), key.unwrap())
    };
    let first = pair(b"sixteen byte kid", b"sixteen byte key");
    [first, pair(b"another such kid", b"another such key")].into_iter().collect()
}

/// A sink that drops the clear bytes.
fn nowhere(_: &[u8]) -> Result<(), Infallible> {
    Ok(())
}

fn stream(keys: &Keys, film: &[u8], piece: usize) -> (Vec<u8>, Result<usize, Error>) {
    let (mut stream, mut clear) = (Stream::new(keys), Vec::new());
    let pushed = film.chunks(piece).try_for_each(|piece| stream.push(piece, append_to(&mut clear)));
    let ended = pushed.and_then(|()| stream.finish(append_to(&mut clear)));
    (clear, ended.map_err(Error::from))
}

/// A film whose `moov` lists its samples, with that at hand.
fn table(keys: &Keys, film: &[u8], piece: usize) -> Option<Vec<u8>> {
    let boxes: Vec<_> = Boxes::of(film).collect::<Result<_, _>>().ok()?;
    let of = |kind: &[u8; 4]| boxes.iter().filter(|this| this.kind.0 == *kind).collect::<Vec<_>>();
    let (moovs, moofs) = (of(b"moov"), of(b"moof"));
    let ([moov], []) = (moovs.as_slice(), moofs.as_slice()) else { return None };
    let media: Vec<_> = of(b"mdat").iter().map(|mdat| mdat.body_at..mdat.end()).collect();
    let mut stream = Stream::with_table(keys, &film[moov.at..moov.end()], &media).ok()??;
    let mut clear = Vec::new();
    for piece in film.chunks(piece) {
        // What is no box, and holds media, is found while it goes by.
        stream.push(piece, append_to(&mut clear)).ok()?;
    }
    stream.finish(append_to(&mut clear)).ok()?;
    Some(clear)
}

fn check(keys: &Keys, film: &[u8]) -> Result<usize, Error> {
    let (mut stream, mut at) = (Stream::new(keys), 0);
    while at < film.len() {
        let to = film.len().min(at + 20);
        stream.push(&film[at..to], nowhere)?;
        at = to + usize::try_from(stream.skip((film.len() - to) as u64)).unwrap();
    }
    Ok(stream.finish(nowhere)?)
}

fuzz_target!(|film: &[u8]| {
    let keys = keys();
    let mut placed = film.to_vec();
    let in_place = decrypt_file(&keys, &mut placed);
    assert_eq!(placed.len(), film.len());
    if in_place.is_err() {
        assert_eq!(placed, film, "an error changes nothing");
    }
    let (streamed, ended) = stream(&keys, film, 1 + film.len() % 200);
    assert!(streamed.len() <= film.len());
    let (other, other_ended) = stream(&keys, film, 100_000);
    assert_eq!(ended.is_ok(), other_ended.is_ok(), "{ended:?}, {other_ended:?}");
    // A caller that has the table at hand knows that this is an MP4; in place, its first bytes have to say so.
    if let (Some(clear), Ok(_)) = (table(&keys, film, 1 + film.len() % 200), &in_place) {
        assert_eq!(clear, placed);
    }
    let mut read = Vec::new();
    let read_ended = Reader::new(film, &keys).read_to_end(&mut read);
    assert_eq!(ended.is_ok(), read_ended.is_ok(), "{ended:?}, {read_ended:?}");
    let checked = check(&keys, film);
    assert_eq!(ended.is_ok(), checked.is_ok(), "{ended:?}, {checked:?}");
    if ended.is_ok() {
        assert_eq!(streamed, other);
        assert_eq!(streamed, read);
        if in_place.is_ok() {
            assert_eq!(streamed, placed);
        }
    }
});
