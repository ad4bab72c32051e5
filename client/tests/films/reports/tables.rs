//! Sample tables and `moov` boxes: chunks without samples, information in an initialization segment, and films whose
//! `moov` comes first and that come as a stream.

use super::boxes::{AuxType, saiz_of, sgpd};
use super::check::Case;
use super::films::{SCHEMES, batch, empty_senc, film, pieces, title};
use super::fragments::with_clear_text;
use crate::film::{KIDS, boxed};

/// `stco` lists chunks behind the last sample, far outside the file or inside of it.
pub(crate) fn extra_chunks() -> Vec<Case> {
    let mut cases = Vec::new();
    for scheme in SCHEMES {
        let chunks: [(&str, &[u32]); 4] = [
            ("one far away", &[3_000_000_000]),
            ("three far away", &[3_000_000_000, 3_000_000_001, u32::MAX]),
            ("one at the start", &[0]),
            ("one that was there", &[800]),
        ];
        for (name, chunks) in chunks {
            for per_chunk in [1, 2, 3, 8] {
                let mut movie = film(scheme, false);
                movie.tracks[0].chunks_more = chunks.to_vec();
                movie.tracks[0].per_chunk = per_chunk;
                let title = title(scheme, false);
                let name = format!("chunks of {per_chunk}, {name}, {title}");
                cases.push(Case::new(name, &movie));
            }
        }
    }
    cases
}

/// Empty information in the `stbl` or the `trak` of an initialization segment.
pub(crate) fn information_in_init() -> Vec<Case> {
    let saio_empty = || boxed(b"saio", &[vec![0; 8]]);
    let boxes = |kind: AuxType| {
        let saio_typed = boxed(
            b"saio",
            &[match kind {
                None => vec![0; 8],
                Some(kind) => [&[0, 0, 0, 1], &kind[..], &[0; 8]].concat(),
            }],
        );
        vec![saiz_of(kind, &[]), saio_typed]
    };
    let mut cases = Vec::new();
    for scheme in SCHEMES {
        let held = [
            ("senc", vec![empty_senc()]),
            ("saiz and saio", boxes(None)),
            ("typed saiz and saio", boxes(Some(scheme.name))),
            ("saiz", vec![saiz_of(None, &[])]),
            ("saio", vec![saio_empty()]),
            ("all", [boxes(None), vec![empty_senc()]].concat()),
            ("sgpd", vec![sgpd(b"seig", &[scheme.fields(KIDS[1])])]),
            ("empty sgpd", vec![sgpd(b"seig", &[])]),
        ];
        for (name, held) in held {
            for is_outside in [false, true] {
                if is_outside && name.ends_with("sgpd") {
                    continue;
                }
                let mut movie = film(scheme, true);
                let place = if is_outside { "trak" } else { "stbl" };
                match is_outside {
                    true => movie.tracks[0].in_trak = held.clone(),
                    false => movie.tracks[0].in_stbl = held.clone(),
                }
                let title = title(scheme, true);
                cases.push(Case::new(format!("{name} in the {place}, {title}"), &movie));
            }
        }
    }
    cases
}

/// A sample table whose information is in the `trak`, where 23001-7 allows it too.
pub(crate) fn information_in_trak() -> Vec<Case> {
    let mut cases = Vec::new();
    for scheme in SCHEMES {
        let mut movie = film(scheme, false);
        movie.tracks[0].in_trak = core::mem::take(&mut movie.fragments[0][0].boxes);
        cases.push(Case::new(format!("senc in the trak, {}", title(scheme, false)), &movie));
    }
    cases
}

/// The `moov` first and all samples behind it, with chunks of every size, and with a clear track beside.
pub(crate) fn moov_first() -> Vec<Case> {
    let mut cases = Vec::new();
    for scheme in SCHEMES {
        for per_chunk in [1, 3, 8] {
            let mut movie = film(scheme, false);
            movie.tracks[0].per_chunk = per_chunk;
            let title = title(scheme, false);
            cases.push(Case::new(format!("moov first, chunks of {per_chunk}, {title}"), &movie));
        }
        let movie = with_clear_text(scheme, false);
        let name = format!("moov first with clear text, {}", title(scheme, false));
        cases.push(Case::new(name, &movie));
        let mut movie = film(scheme, false);
        movie.fragments = vec![vec![batch(1, scheme, pieces(&[5000, 3, 2000], scheme, Some(0)))]];
        let name = format!("moov first, long samples, {}", title(scheme, false));
        cases.push(Case::new(name, &movie));
    }
    cases
}
