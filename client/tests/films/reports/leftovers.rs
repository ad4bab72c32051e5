//! Boxes that must go, and boxes that must stay. After decryption nothing speaks of the protection of a clear sample,
//! and groups and information of other types are as they were, byte for byte.

use super::boxes::{AuxType, LOCAL, csgp, hidden, piff, saiz_of, saiz_saio, sbgp, senc, sgpd};
use super::check::Case;
use super::films::{SCHEMES, film, title};
use super::fragments::clear_groups;
use super::movie::{Batch, CBC1, CBCS, CENC, CENS, Movie, Scheme};
use crate::film::{KIDS, boxed};

const TYPES: [AuxType; 6] =
    [None, Some(b"cenc"), Some(b"cens"), Some(b"cbc1"), Some(b"cbcs"), Some(b"piff")];

fn type_title(kind: AuxType) -> String {
    kind.map_or_else(|| "untyped".to_owned(), |kind| String::from_utf8_lossy(kind).into_owned())
}

/// Groups, and information of other types, which have nothing to do with protection.
fn others(count: u32, base: u32) -> Vec<Vec<u8>> {
    let roll = sgpd(b"roll", &[vec![0xff, 0xff]]);
    let rap = sgpd(b"rap ", &[vec![0x80]]);
    let list = |of: &[u8; 4]| boxed(of, &[[&[0, 0, 0, 1], &b"abcd"[..], &[0; 4]].concat()]);
    let saiz = saiz_of(Some(b"abcd"), &vec![9; count as usize]);
    let saio = [&list(b"saio")[8..], &[0, 0, 0, 1, 0, 0, 0, 20]].concat();
    vec![
        roll,
        sbgp(b"roll", &[(count, base)]),
        rap,
        csgp(b"rap ", count as u8, 1, base == LOCAL),
        saiz,
        boxed(b"saio", &[saio]),
        boxed(b"uuid", &[b"sixteen of mine.".to_vec(), vec![0; 8]]),
    ]
}

/// The films of a scheme, with the boxes of each batch replaced.
fn with_boxes(
    scheme: Scheme,
    is_fragmented: bool,
    boxes: impl Fn(&Batch, u32) -> Vec<Vec<u8>>,
) -> Movie {
    let mut movie = film(scheme, is_fragmented);
    for batch in movie.fragments.iter_mut().flatten() {
        batch.boxes = boxes(batch, if is_fragmented { LOCAL } else { 1 });
    }
    movie
}

/// `saiz` and `saio` of each type, with a `senc`, with PIFF's box, and alone.
pub(crate) fn information() -> Vec<Case> {
    let mut cases = Vec::new();
    for scheme in [CENC, CENS, CBC1, CBCS] {
        for kind in TYPES {
            for is_fragmented in [true, false] {
                let mut add = |name: &str, behind: &dyn Fn(&Batch) -> Vec<u8>| {
                    let movie = with_boxes(scheme, is_fragmented, |batch, _| {
                        vec![saiz_saio(kind, &batch.pieces, scheme), behind(batch)]
                    });
                    let kind = type_title(kind);
                    let title = title(scheme, is_fragmented);
                    cases.push(Case::new(format!("{kind} saiz {name}, {title}"), &movie));
                };
                add("with senc", &|batch| senc(&batch.pieces, scheme));
                add("with PIFF", &|batch| piff(&senc(&batch.pieces, scheme)));
                // Of two such boxes the first one is `senc`.
                add("with both", &|batch| {
                    let senc = senc(&batch.pieces, scheme);
                    [senc.clone(), piff(&senc)].concat()
                });
            }
        }
    }
    cases
}

/// `saiz` and `saio` of each type alone: the information is in a box of no interest.
pub(crate) fn information_alone(is_fragmented: bool) -> Vec<Case> {
    let mut cases = Vec::new();
    for scheme in [CENC, CENS, CBC1, CBCS] {
        for kind in TYPES {
            let movie = with_boxes(scheme, is_fragmented, |batch, _| {
                vec![saiz_saio(kind, &batch.pieces, scheme), hidden(&batch.pieces, scheme)]
            });
            let (kind, title) = (type_title(kind), title(scheme, is_fragmented));
            cases.push(Case::new(format!("{kind} saiz alone, {title}"), &movie));
        }
    }
    cases
}

/// The same boxes twice: each of them goes.
pub(crate) fn twice() -> Vec<Case> {
    let mut cases = Vec::new();
    for scheme in SCHEMES {
        let movie = with_boxes(scheme, true, |batch, _| {
            let kinds = [None, Some(scheme.name)];
            let both = kinds.map(|kind| saiz_saio(kind, &batch.pieces, scheme));
            vec![both.concat(), senc(&batch.pieces, scheme)]
        });
        cases.push(Case::new(format!("saiz untyped and typed, {}", title(scheme, true)), &movie));
    }
    cases
}

/// Groups of protection with others beside them, in every place.
pub(crate) fn groups() -> Vec<Case> {
    let mut cases = Vec::new();
    for scheme in SCHEMES {
        for is_fragmented in [true, false] {
            for is_compact in [false, true] {
                let movie = with_boxes(scheme, is_fragmented, |batch, base| {
                    let count = batch.pieces.len() as u32;
                    // The key of the track, under another description.
                    let seig = sgpd(b"seig", &[scheme.fields(KIDS[0])]);
                    let to_group = match is_compact {
                        true => csgp(b"seig", count as u8, 1, base == LOCAL),
                        false => sbgp(b"seig", &[(count, base)]),
                    };
                    let others = others(count, base);
                    let info = batch.boxes.clone();
                    [others.clone(), vec![seig, to_group], info, others].concat()
                });
                let form = if is_compact { "csgp" } else { "sbgp" };
                let title = title(scheme, is_fragmented);
                cases.push(Case::new(format!("{form} among other groups, {title}"), &movie));
            }
            let movie = with_boxes(scheme, is_fragmented, |batch, base| {
                [batch.boxes.clone(), others(batch.pieces.len() as u32, base)].concat()
            });
            let title = title(scheme, is_fragmented);
            cases.push(Case::new(format!("other groups alone, {title}"), &movie));
        }
    }
    cases
}

/// Clear fragments by group that keep information of each type, and others beside it.
pub(crate) fn of_clear_fragments() -> Vec<Case> {
    let mut cases = Vec::new();
    for scheme in SCHEMES {
        let clear = super::films::pieces(&[300, 41, 16], scheme, None);
        for kind in TYPES {
            for (form, groups) in clear_groups(clear.len()) {
                let mut movie = film(scheme, true);
                let mut batch = super::films::batch(1, scheme, clear.clone());
                let info = [saiz_saio(kind, &clear, scheme), senc(&clear, scheme)].concat();
                batch.boxes = [groups, vec![info], others(clear.len() as u32, LOCAL)].concat();
                movie.fragments.insert(1, vec![batch]);
                let (kind, title) = (type_title(kind), title(scheme, true));
                cases.push(Case::new(
                    format!("{kind} in a clear fragment by {form}, {title}"),
                    &movie,
                ));
            }
        }
    }
    cases
}

/// Headers for DRM systems and groups in the `moov`, with others beside them.
pub(crate) fn in_the_moov() -> Vec<Case> {
    let mut cases = Vec::new();
    for scheme in SCHEMES {
        let mut movie = film(scheme, true);
        let seig = sgpd(b"seig", &[scheme.fields(KIDS[1])]);
        movie.tracks[0].in_stbl = [vec![seig], others(0, 1)].concat();
        cases.push(Case::new(format!("groups in the moov, {}", title(scheme, true)), &movie));
    }
    cases
}
