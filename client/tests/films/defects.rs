//! A corpus of defects: each file is named after what is wrong with it, and ends in the one error that says so.
//!
//! The files are made here, from a film of [`crate::film`] and what is done to it. `REELKEY_WRITE_DEFECTS=1` writes
//! them anew.

use std::convert::Infallible;
use std::fs;
use std::path::Path;

use reelkey_client::cenc::stream::PushError;
use reelkey_client::cenc::{Keys, Stream, decrypt_file};

use crate::film::{Film, Group, Info, Sample, keys, nowhere};

fn film() -> Film {
    let sample =
        |group| Sample { layout: vec![(5, 40)], length: 0, iv: *b"vector of a film", group };
    Film {
        scheme: b"cbcs",
        iv_size: 16,
        pattern: (1, 1),
        samples: vec![sample(Group::None), sample(Group::Other)],
        info: Info::Senc,
        is_fragmented: true,
        compact: None,
    }
}

/// Bytes of a film, to be spoiled.
struct Spoiled(Vec<u8>);

impl Spoiled {
    fn of(film: &Film) -> Self {
        Self(film.file())
    }

    /// Where the last box of a type has its body.
    fn body(&self, kind: &str) -> usize {
        self.0.windows(4).rposition(|window| window == kind.as_bytes()).unwrap() + 4
    }

    /// Writes over the body of a box, from one of its bytes on.
    fn put(mut self, kind: &str, at: usize, bytes: &[u8]) -> Vec<u8> {
        let at = self.body(kind) + at;
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self.0
    }

    /// Gives a box another type.
    fn rename(mut self, kind: &str, other: &[u8; 4]) -> Vec<u8> {
        let at = self.body(kind) - 4;
        self.0[at..at + 4].copy_from_slice(other);
        self.0
    }

    fn resize(mut self, kind: &str, size: u32) -> Vec<u8> {
        let at = self.body(kind) - 8;
        self.0[at..at + 4].copy_from_slice(&size.to_be_bytes());
        self.0
    }

    /// Ends the file `at` bytes into the body of a box.
    fn cut(mut self, kind: &str, at: usize) -> Vec<u8> {
        let length = self.body(kind) + at;
        self.0.truncate(length);
        self.0
    }
}

const MANY: [u8; 4] = [0xff; 4];

/// The name of each defect, the file, and a part of the error.
fn defects() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let fragmented = || Spoiled::of(&film());
    let table = || Spoiled::of(&Film { is_fragmented: false, ..film() });
    let hidden = || Spoiled::of(&Film { info: Info::Hidden, ..film() });
    let compact = || Spoiled::of(&Film { compact: Some(1), ..film() });
    let mut twice = film().file();
    let before_moof = fragmented().body("moof") - 8;
    twice.splice(..0, film().file().into_iter().take(before_moof));
    let nested: Vec<u8> = (0..4000_u32)
        .flat_map(|depth| [(8 * (4000 - depth)).to_be_bytes(), *b"moov"])
        .flatten()
        .collect();
    vec![
        ("moov-missing", fragmented().rename("moov", b"free"), "no moov"),
        ("moov-nested-4000-deep", nested, "no trak"),
        ("trak-missing", fragmented().rename("trak", b"free"), "no trak"),
        ("tkhd-missing", fragmented().rename("tkhd", b"free"), "no tkhd"),
        ("stsd-missing", fragmented().rename("stsd", b"free"), "no stsd"),
        ("frma-missing", fragmented().rename("frma", b"free"), "no frma"),
        ("protected-twice", fragmented().put("frma", 0, b"enca"), "enca"),
        ("tenc-missing", fragmented().rename("tenc", b"free"), "no tenc"),
        ("scheme-unknown", fragmented().put("schm", 4, b"cxyz"), "cxyz"),
        ("pattern-impossible", fragmented().put("tenc", 5, &[0x0f]), "pattern"),
        ("iv-size-impossible", fragmented().put("tenc", 7, &[7]), "7"),
        ("moof-size-of-seven", fragmented().resize("moof", 7), "moof"),
        ("traf-longer-than-its-moof", fragmented().resize("traf", 4000), "traf"),
        ("traf-of-unknown-track", fragmented().put("tfhd", 4, &[0, 0, 0, 9]), "track 9"),
        ("tfhd-missing", fragmented().rename("tfhd", b"free"), "no tfhd"),
        ("trun-of-four-billion-samples", fragmented().put("trun", 4, &MANY), "trun"),
        (
            "trun-of-four-billion-samples-without-sizes",
            fragmented().put("trun", 0, &[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]),
            "trun",
        ),
        ("trun-outside-the-mdat", fragmented().put("trun", 8, &[0, 0, 0, 0]), "outside"),
        ("sample-longer-than-the-mdat", fragmented().put("trun", 12, &[0, 1, 0, 0]), "outside"),
        ("senc-missing", fragmented().rename("senc", b"free"), "senc"),
        ("senc-of-four-billion-entries", fragmented().put("senc", 4, &MANY), "senc"),
        ("senc-shorter-than-its-entries", fragmented().put("senc", 24, &MANY), "senc"),
        ("subsamples-longer-than-the-sample", fragmented().put("senc", 26, &[0, 6]), "subsamples"),
        ("subsamples-of-four-gigabytes", fragmented().put("senc", 28, &MANY), "subsamples"),
        ("saio-outside-the-file", hidden().put("saio", 8, &MANY), "saio"),
        ("saio-missing", hidden().rename("saio", b"free"), "senc"),
        ("saiz-of-too-many-entries", hidden().put("saiz", 5, &[0, 0, 0, 3]), "saiz"),
        ("group-not-described", fragmented().put("sbgp", 24, &[0, 1, 0, 9]), "described"),
        ("groups-of-more-samples-than-there-are", fragmented().put("sbgp", 12, &MANY), "more"),
        ("group-shorter-than-its-fields", fragmented().put("sgpd", 16, &[0, 0, 0, 4]), "sgpd"),
        ("compact-pattern-of-no-samples", compact().put("csgp", 12, &[0]), "pattern"),
        ("compact-groups-of-more-samples", compact().put("csgp", 13, &[200]), "more"),
        ("mdat-cut-short", fragmented().cut("mdat", 50), "mdat"),
        ("moof-cut-short", fragmented().cut("trun", 6), "moof"),
        ("mdat-header-cut-short", fragmented().cut("mdat", 0), "mdat"),
        (
            "header-cut-short",
            fragmented().cut("moof", 0).into_iter().rev().skip(2).rev().collect(),
            "header",
        ),
        ("moov-twice", twice, "another moov"),
        ("key-missing", fragmented().put("tenc", 8, b"yet another kid."), "no key for KID"),
        ("chunk-outside-the-mdat", table().put("stco", 8, &[0, 0, 0, 1]), "outside"),
        ("chunk-offsets-missing", table().rename("stco", b"free"), "no stco"),
        ("table-of-four-billion-samples", table().put("stsz", 8, &MANY), "4294967295 sizes"),
        ("table-of-samples-of-one-size-outside", table().put("stsz", 4, &[0, 1, 0, 0]), "outside"),
        ("chunks-of-too-few-samples", table().put("stsc", 12, &[0, 0, 0, 1]), ""),
    ]
}

#[test]
fn every_defect_has_its_error_and_its_file() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/films/defects");
    let writes = std::env::var_os("REELKEY_WRITE_DEFECTS").is_some();
    let mut names = Vec::new();
    for (name, made, part) in defects() {
        let path = folder.join(name).with_extension("mp4");
        if writes {
            fs::write(&path, &made).unwrap();
        }
        let there = fs::read(&path).unwrap_or_default();
        assert!(there == made, "{name} is old: run this test with REELKEY_WRITE_DEFECTS=1");
        let mut copy = made.clone();
        let error = decrypt_file(&keys(), &mut copy).expect_err(name).to_string();
        assert!(error.contains(part), "{name}: {error}");
        assert!(copy == made, "{name}: an error changes nothing");
        // Of all defects the one that is none in a stream: there one film may follow another.
        assert!(stream(&keys(), &made).is_err() || name == "moov-twice", "{name}");
        names.push(path);
    }
    let mut found: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    found.sort();
    assert_eq!(names, found, "a file of no defect");
}

/// What cannot be handed on before it is whole is held, up to a limit.
#[test]
fn a_stream_holds_no_more_than_it_may() {
    let (keys, film) = (keys(), film().file());
    let moof = Spoiled(film.clone()).body("moof") - 8;
    let free = [&0x100_0008_u32.to_be_bytes()[..], b"free"].concat();
    let endless = [&film[..moof], &film[moof..Spoiled(film.clone()).body("mdat") - 8], &free];
    let small = [8_u32.to_be_bytes(), *b"free"].concat().repeat(10_000);
    for tail in [vec![0; 50_000], small] {
        let mut stream = Stream::new(&keys).holding_at_most(20_000);
        let bytes = [endless.concat(), tail].concat();
        let fed = bytes.chunks(3000).try_for_each(|piece| stream.push(piece, nowhere));
        let error = fed.unwrap_err().to_string();
        assert!(error.contains("more than 20000 bytes would be held"), "{error}");
    }
}

fn stream(keys: &Keys, file: &[u8]) -> Result<usize, PushError<Infallible>> {
    let mut stream = Stream::new(keys);
    file.chunks(100).try_for_each(|piece| stream.push(piece, nowhere))?;
    stream.finish(nowhere)
}
