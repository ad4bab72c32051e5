//! The films that the others are made of: right ones, each sample under the first key.

use super::boxes::{senc, senc_of};
use super::entry::{Entry, encv};
use super::movie::{
    Batch, CBCS, CBCS_CONSTANT, CBCS_WHOLE, CENC, Movie, Piece, Scheme, Sizes, Track,
};

/// The schemes that films are made with.
pub(crate) const SCHEMES: [Scheme; 4] = [CENC, CBCS, CBCS_CONSTANT, CBCS_WHOLE];

/// Names the scheme and the form of a film.
pub(crate) fn title(scheme: Scheme, is_fragmented: bool) -> String {
    let name = String::from_utf8_lossy(scheme.name);
    let iv = match (scheme.iv_size, scheme.pattern) {
        (0, (0, _)) => " whole samples, constant IV".to_owned(),
        (0, _) => " constant IV".to_owned(),
        (size, _) => format!(" IV of {size}"),
    };
    format!("{name}{iv} {}", if is_fragmented { "fragmented" } else { "progressive" })
}

/// A track, whose sample entry may be protected.
pub(crate) fn track(id: u32, handler: &'static [u8; 4], entry: Entry) -> Track {
    Track {
        id,
        handler,
        entry,
        in_stbl: Vec::new(),
        in_trak: Vec::new(),
        has_trex: true,
        per_chunk: 2,
        chunks_more: Vec::new(),
    }
}

/// A track of text, which has the ID 2.
pub(crate) fn text_track(handler: &'static [u8; 4], entry: Entry) -> Track {
    track(2, handler, entry)
}

/// Samples of these lengths: a pattern that is nowhere the same.
pub(crate) fn pieces(lengths: &[usize], scheme: Scheme, key: Option<usize>) -> Vec<Piece> {
    let piece = |(number, length): (usize, &usize)| {
        let clear = (0..*length).map(|n| (n * 7 + n / 256 + number * 31) as u8).collect();
        let head = (*length / 4).min(40);
        let layout = match scheme.name {
            // One subsample, as video has, unless samples are protected whole.
            _ if *length == 0 || scheme.pattern == (0, 0) && scheme.has_constant_iv() => Vec::new(),
            _ => vec![(head as u16, (length - head) as u32)],
        };
        let mut iv = *b"vector of a film";
        iv[0] = number as u8;
        Piece { clear, key, layout, iv }
    };
    lengths.iter().enumerate().map(piece).collect()
}

/// Text as the samples of a track.
pub(crate) fn texts(key: Option<usize>) -> Vec<Piece> {
    let ttml = |begin: u32, line: &str| {
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<tt xmlns=\"http://www.w3.org/ns/ttml\" xml:lang=\"en\">\
             <body><div><p begin=\"{begin}s\" end=\"{}s\">{line}</p></div></body></tt>\n",
            begin + 2
        )
    };
    let vtt = "WEBVTT\n\n00:00:04.000 --> 00:00:06.000\n- Where is the key?\n- In the license.\n";
    let clear = [ttml(0, "A film begins."), ttml(2, "Nobody speaks."), vtt.to_owned()];
    let piece = |(number, text): (usize, String)| {
        let mut iv = *b"vector of a text";
        iv[0] = number as u8;
        Piece { clear: text.into_bytes(), key, layout: Vec::new(), iv }
    };
    clear.into_iter().enumerate().map(piece).collect()
}

/// Samples of one track with their `senc`, where they need one.
pub(crate) fn batch(track: u32, scheme: Scheme, pieces: Vec<Piece>) -> Batch {
    let is_protected = pieces.iter().any(|piece| piece.key.is_some());
    let has_layout = pieces.iter().any(|piece| !piece.layout.is_empty());
    let boxes = match is_protected && (!scheme.has_constant_iv() || has_layout) {
        true => vec![senc(&pieces, scheme)],
        false => Vec::new(),
    };
    Batch { track, scheme, pieces, sizes: Sizes::Listed, times: 1, boxes }
}

/// Text of a track, under a key.
pub(crate) fn of_track(track: u32, scheme: Scheme, key: Option<usize>) -> Batch {
    batch(track, scheme, texts(key))
}

/// Lengths of the samples of two fragments, or of a sample table.
pub(crate) const LENGTHS: [&[usize]; 2] = [&[700, 64, 33, 209], &[512, 80, 1, 45]];

/// Video under the first key: two fragments, or a sample table.
pub(crate) fn film(scheme: Scheme, is_fragmented: bool) -> Movie {
    let video = |lengths: &[usize]| vec![batch(1, scheme, pieces(lengths, scheme, Some(0)))];
    let fragments = match is_fragmented {
        true => LENGTHS.map(video).to_vec(),
        false => vec![video(&LENGTHS.concat())],
    };
    let tracks = vec![track(1, b"vide", encv(scheme))];
    Movie { brand: b"iso6", tracks, fragments, is_fragmented, tail: Vec::new() }
}

/// A `senc` without entries.
pub(crate) fn empty_senc() -> Vec<u8> {
    senc_of(&[], 0)
}
