//! Protection entries: text, subtitles, metadata and haptics beside video, several `sinf` in one entry, and sound
//! descriptions of QuickTime.
//!
//! Players met each of them: subtitles as `encu` and `enct`, a second `sinf` of another system at a large service, and
//! QuickTime files whose audio was encrypted as it was.

use super::check::Case;
use super::entry::{Entry, audio, common, enca, encv, sinf, sinf_of, video};
use super::films::{SCHEMES, film, of_track, text_track, title};
use super::movie::{Movie, Scheme, Track};
use crate::film::{KIDS, boxed};

/// Clear entries whose original format has fields before its boxes: their name, their handler and themselves.
fn formats() -> Vec<(&'static str, &'static [u8; 4], Entry)> {
    let strings = |texts: &[&str]| {
        let texts = texts.iter().flat_map(|text| [text.as_bytes(), b"\0"].concat());
        [common(), texts.collect()].concat()
    };
    let btrt = || boxed(b"btrt", &[vec![0; 12]]);
    let with = |before: Vec<Vec<u8>>, entry: Entry| Entry { before, ..entry };
    let ttml = "http://www.w3.org/ns/ttml";
    let tx3g = [common(), vec![0; 4], vec![1, 0xff], vec![0; 4], vec![0; 8], vec![0; 12]].concat();
    let ftab = boxed(b"ftab", &[vec![0, 1, 0, 1, 5], b"Serif".to_vec()]);
    let vtt = vec![boxed(b"vttC", &[b"WEBVTT".to_vec()]), boxed(b"vlab", &[b"urn:one".to_vec()])];
    vec![
        ("stpp", b"subt", with(vec![], Entry::clear(b"stpp", strings(&[ttml, "", ""])))),
        (
            "stpp with all strings",
            b"subt",
            // The name of a box in a string is none.
            with(vec![btrt()], Entry::clear(b"stpp", strings(&[ttml, "urn:sinf", "image/png"]))),
        ),
        ("wvtt", b"text", with(vtt, Entry::clear(b"wvtt", common()))),
        ("sbtt", b"subt", with(vec![btrt()], Entry::clear(b"sbtt", strings(&["", "text/vtt"])))),
        ("stxt", b"text", with(vec![], Entry::clear(b"stxt", strings(&["", "text/plain"])))),
        ("mett", b"meta", with(vec![], Entry::clear(b"mett", strings(&["", "text/plain"])))),
        ("metx", b"meta", with(vec![], Entry::clear(b"metx", strings(&["", "urn:x:meta", ""])))),
        (
            "urim",
            b"meta",
            with(
                vec![boxed(b"uri ", &[vec![0; 4], b"urn:x:meta\0".to_vec()])],
                Entry::clear(b"urim", common()),
            ),
        ),
        ("tx3g", b"text", with(vec![ftab], Entry::clear(b"tx3g", tx3g))),
        (
            "mp4s",
            b"subp",
            with(vec![boxed(b"esds", &[vec![0; 20]])], Entry::clear(b"mp4s", common())),
        ),
        ("hmpg", b"hapt", with(vec![], Entry::clear(b"hmpg", common()))),
        ("fdsm", b"fdsm", with(vec![btrt()], Entry::clear(b"fdsm", common()))),
    ]
}

/// Each original format under the types of protected entries that it is met with.
pub(crate) fn text() -> Vec<Case> {
    let kinds = |format: &str| -> &[&'static [u8; 4]] {
        match format.get(..4) {
            Some("stpp" | "wvtt" | "sbtt" | "stxt") => &[b"encu", b"enct", b"encs"],
            Some("tx3g") => &[b"enct", b"encu"],
            Some("mett" | "metx" | "urim") => &[b"encm"],
            Some("mp4s") => &[b"encs"],
            Some("hmpg") => &[b"encp"],
            _ => &[b"encf"],
        }
    };
    let mut cases = Vec::new();
    for (name, handler, entry) in formats() {
        for kind in kinds(name) {
            for scheme in SCHEMES {
                for is_fragmented in [true, false] {
                    let track = text_track(handler, entry.clone().protected(kind, scheme, KIDS[1]));
                    let movie = with_text(scheme, track, is_fragmented);
                    let kind = String::from_utf8_lossy(*kind);
                    let name = format!("{kind} of {name}, {}", title(scheme, is_fragmented));
                    cases.push(Case::new(name, &movie));
                }
            }
        }
    }
    cases
}

/// Video, with text beside it under the second key.
pub(crate) fn with_text(scheme: Scheme, track: Track, is_fragmented: bool) -> Movie {
    let mut movie = film(scheme, is_fragmented);
    let id = track.id;
    movie.tracks.push(track);
    for batches in &mut movie.fragments {
        batches.push(of_track(id, scheme, Some(1)));
    }
    movie
}

/// Two and three `sinf` in one entry; one scheme is known.
pub(crate) fn several_sinf() -> Vec<Case> {
    let format = b"avc1";
    let empty = boxed(b"adkm", &[vec![0; 12]]);
    let foreign_tenc =
        |scheme: Scheme| boxed(b"tenc", &[vec![1, 0, 0, 0], scheme.fields(*b"kid of no player")]);
    let mut cases = Vec::new();
    for scheme in SCHEMES {
        let known = sinf(format, scheme, KIDS[0]);
        let unknown = [
            ("without schi", sinf_of(format, b"adkm", None)),
            ("with schi", sinf_of(format, b"adkm", Some(&empty))),
            ("with tenc", sinf_of(format, b"xyz1", Some(&foreign_tenc(scheme)))),
        ];
        for (other, unknown) in unknown {
            let orders = [
                ("known first", vec![&known, &unknown]),
                ("known second", vec![&unknown, &known]),
                ("known first of three", vec![&known, &unknown, &unknown]),
                ("known second of three", vec![&unknown, &known, &unknown]),
                ("known last of three", vec![&unknown, &unknown, &known]),
            ];
            for (order, sinfs) in orders {
                for is_fragmented in [true, false] {
                    let mut movie = film(scheme, is_fragmented);
                    movie.tracks[0].entry.sinfs =
                        sinfs.iter().map(|sinf| (*sinf).clone()).collect();
                    let title = title(scheme, is_fragmented);
                    cases.push(Case::new(format!("sinf {other}, {order}, {title}"), &movie));
                }
            }
        }
    }
    cases
}

/// An entry whose boxes are in another order, and with boxes behind `sinf`.
pub(crate) fn orders() -> Vec<Case> {
    let mut cases = Vec::new();
    for scheme in SCHEMES {
        let mut movie = film(scheme, true);
        let entry = &mut movie.tracks[0].entry;
        entry.behind = core::mem::take(&mut entry.before);
        cases.push(Case::new(format!("sinf first, {}", title(scheme, true)), &movie));
        let mut movie = film(scheme, true);
        // QuickTime ends a list of boxes with four bytes of zeros.
        movie.tracks[0].entry.behind = vec![vec![0; 4]];
        cases.push(Case::new(format!("sinf before a terminator, {}", title(scheme, true)), &movie));
    }
    cases
}

/// QuickTime's sound descriptions of version 0, 1 and 2, in an `stsd` of version 0.
pub(crate) fn quicktime() -> Vec<Case> {
    let fields = |version: u8| {
        let tail: Vec<u8> = match version {
            1 => [1024_u32, 1, 2, 2].iter().flat_map(|field| field.to_be_bytes()).collect(),
            2 => {
                let sizes = [72_u32.to_be_bytes().to_vec(), 48_000_f64.to_be_bytes().to_vec()];
                let rest = [2_u32, 0x7f00_0000, 16, 0, 2, 1024].map(u32::to_be_bytes);
                [sizes.concat(), rest.concat()].concat()
            }
            _ => Vec::new(),
        };
        let mut fields = audio().fields;
        fields[9] = version;
        [fields, tail].concat()
    };
    let mut cases = Vec::new();
    for scheme in SCHEMES {
        for (version, is_fragmented) in
            [(0, true), (1, true), (2, true), (0, false), (1, false), (2, false)]
        {
            for is_wave in [false, true] {
                let mut movie = film(scheme, is_fragmented);
                movie.brand = b"qt  ";
                let esds = boxed(b"esds", &[vec![0; 20]]);
                let frma = boxed(b"frma", &[b"mp4a".to_vec()]);
                let wave = boxed(b"wave", &[frma, esds.clone(), vec![0, 0, 0, 8, 0, 0, 0, 0]]);
                let before = vec![if is_wave { wave } else { esds }];
                let entry = Entry { fields: fields(version), before, ..enca(scheme) };
                movie.tracks[0].handler = b"soun";
                movie.tracks[0].entry = entry;
                let wave = if is_wave { " with wave" } else { "" };
                let title = title(scheme, is_fragmented);
                cases.push(Case::new(format!("QuickTime sound {version}{wave}, {title}"), &movie));
            }
        }
    }
    cases
}

/// Entries that are named as clear ones are but have a `sinf`: no copy of ciphertext is right.
pub(crate) fn not_renamed() -> Vec<Case> {
    let mut cases = Vec::new();
    for scheme in SCHEMES {
        for is_fragmented in [true, false] {
            let mut movie = film(scheme, is_fragmented);
            movie.tracks[0].entry.kind = *b"avc1";
            cases
                .push(Case::new(format!("sinf in avc1, {}", title(scheme, is_fragmented)), &movie));
        }
    }
    cases
}

/// Entries of a scheme that is not known, and the part of the error that names it.
pub(crate) fn unknown_schemes() -> Vec<(Case, &'static str)> {
    let mut cases = Vec::new();
    let tenc = |scheme: Scheme| boxed(b"tenc", &[vec![1, 0, 0, 0], scheme.fields(KIDS[0])]);
    for scheme in SCHEMES {
        let ttml = [common(), b"http://www.w3.org/ns/ttml\0\0\0".to_vec()].concat();
        let entries = [
            ("encv", Entry { kind: *b"encv", ..video() }),
            ("avc1", video()),
            ("encu", Entry { kind: *b"encu", ..Entry::clear(b"stpp", ttml.clone()) }),
            ("stpp", Entry::clear(b"stpp", ttml)),
        ];
        for (kind, entry) in entries {
            let schis =
                [("tenc", Some(tenc(scheme))), ("empty schi", Some(vec![])), ("no schi", None)];
            for (what, schi) in schis {
                for is_fragmented in [true, false] {
                    let mut movie = film(scheme, is_fragmented);
                    let sinf = sinf_of(&entry.format, b"xyz1", schi.as_deref());
                    movie.tracks[0].entry = Entry { sinfs: vec![sinf], ..entry.clone() };
                    let title = title(scheme, is_fragmented);
                    let name = format!("unknown scheme with {what} in {kind}, {title}");
                    cases.push((Case::new(name, &movie), "xyz1"));
                }
            }
        }
        // Other schemes twice: neither is known.
        let mut movie = film(scheme, true);
        let other = |kind: &[u8; 4]| sinf_of(b"avc1", kind, Some(&tenc(scheme)));
        movie.tracks[0].entry =
            Entry { sinfs: vec![other(b"xyz1"), other(b"xyz2")], ..encv(scheme) };
        cases.push((
            Case::new(format!("two unknown schemes, {}", title(scheme, true)), &movie),
            "xyz",
        ));
    }
    cases
}
