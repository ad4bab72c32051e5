//! Films that must end in an error, since the only other end is a copy of their ciphertext.

use super::boxes::{AUX, LOCAL, hidden, piff, saio, saiz_of, saiz_saio, sbgp, senc, sgpd};
use super::check::Case;
use super::entry::{Entry, common, video};
use super::films::{SCHEMES, film, of_track, title};
use super::movie::{Batch, CENC, Movie, Scheme, Sizes};
use crate::film::{KIDS, boxed, keys};

type Refused = Vec<(Case, &'static str)>;

/// What says that the samples of a fragment are encrypted: the name, and the boxes.
fn signs(batch: &Batch, scheme: Scheme, base: u32) -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let pieces = &batch.pieces;
    let typed = |kind| vec![saiz_saio(Some(kind), pieces, scheme), hidden(pieces, scheme)];
    let protected = sgpd(b"seig", &[scheme.fields(KIDS[0])]);
    let group = || vec![protected.clone(), sbgp(b"seig", &[(pieces.len() as u32, base)])];
    vec![
        ("senc", vec![senc(pieces, scheme)]),
        ("PIFF", vec![piff(&senc(pieces, scheme))]),
        ("typed saiz and saio", typed(scheme.name)),
        ("group", group()),
        ("group with senc", [group(), vec![senc(pieces, scheme)]].concat()),
        ("saiz, saio and senc", vec![saiz_saio(None, pieces, scheme), senc(pieces, scheme)]),
    ]
}

/// Encrypted samples whose sample entry is clear: video and text.
pub(crate) fn clear_init() -> Refused {
    let mut cases = Vec::new();
    let text = || Entry::clear(b"wvtt", common());
    for scheme in SCHEMES {
        for is_fragmented in [true, false] {
            let base = if is_fragmented { LOCAL } else { 1 };
            let original = film(scheme, is_fragmented);
            let names = signs(&original.fragments[0][0], scheme, base);
            for (index, (name, _)) in names.iter().enumerate() {
                for (kind, entry) in [("avc1", video()), ("wvtt", text())] {
                    let mut movie = original.clone();
                    movie.tracks[0].entry = entry;
                    for batch in movie.fragments.iter_mut().flatten() {
                        batch.boxes = signs(batch, scheme, base).swap_remove(index).1;
                    }
                    let title = title(scheme, is_fragmented);
                    cases.push((
                        Case::new(format!("{name} under a clear {kind}, {title}"), &movie),
                        "",
                    ));
                }
            }
        }
    }
    cases
}

/// Descriptions with several keys for each sample (ISO/IEC 23001-7:2023, 6), which no player here has.
pub(crate) fn multi_key() -> Refused {
    let mut cases = Vec::new();
    for scheme in SCHEMES {
        for keys in [1_u8, 2] {
            for is_fragmented in [true, false] {
                let mut description = scheme.fields(KIDS[0]);
                // The first bit; the number of keys stands before the first of them.
                description[0] = 0x80;
                description.splice(3..3, [0, keys]);
                if keys == 2 {
                    description.extend(&scheme.fields(KIDS[1])[3..]);
                }
                let base = if is_fragmented { LOCAL } else { 1 };
                let mut movie = film(scheme, is_fragmented);
                for batch in movie.fragments.iter_mut().flatten() {
                    let count = batch.pieces.len() as u32;
                    let group = sgpd(b"seig", &[description.clone()]);
                    batch.boxes.splice(0..0, [group, sbgp(b"seig", &[(count, base)])]);
                }
                let title = title(scheme, is_fragmented);
                cases.push((Case::new(format!("seig of {keys} keys, {title}"), &movie), "multi"));
            }
        }
        // Version 1: several IVs, and a key for each subsample (7.2).
        for is_piff in [false, true] {
            let mut movie = film(scheme, true);
            for batch in movie.fragments.iter_mut().flatten() {
                batch.boxes = vec![version_1(batch, scheme)];
                if is_piff {
                    batch.boxes = vec![piff(&batch.boxes[0])];
                }
            }
            let kind = if is_piff { "PIFF" } else { "senc" };
            let name = format!("{kind} of version 1, {}", title(scheme, true));
            cases.push((Case::new(name, &movie), ""));
        }
    }
    cases
}

/// `senc` of version 1 with one IV for each sample.
fn version_1(batch: &Batch, scheme: Scheme) -> Vec<u8> {
    let mut body = vec![1, 0, 0, 2];
    body.extend((batch.pieces.len() as u32).to_be_bytes());
    for piece in &batch.pieces {
        let iv = &piece.iv[..scheme.iv_size.into()];
        let ivs = if iv.is_empty() { vec![0, 0] } else { [&[0, 1, 0, 0], iv].concat() };
        body.extend(ivs);
        body.extend((piece.layout.len() as u32).to_be_bytes());
        for (clear, protected) in &piece.layout {
            body.extend([0, 0]);
            body.extend(clear.to_be_bytes());
            body.extend(protected.to_be_bytes());
        }
    }
    boxed(b"senc", &[body])
}

/// A fragment of a track that the `moov` does not have, which says that it is encrypted.
pub(crate) fn unknown_track() -> Refused {
    let mut cases = Vec::new();
    for scheme in SCHEMES {
        let other = of_track(9, scheme, Some(1));
        for (index, (name, _)) in signs(&other, scheme, LOCAL).iter().enumerate() {
            for is_alone in [false, true] {
                let mut other = other.clone();
                other.boxes = signs(&other, scheme, LOCAL).swap_remove(index).1;
                let mut movie = film(scheme, true);
                match is_alone {
                    true => movie.fragments.insert(1, vec![other]),
                    false => movie.fragments[1].push(other),
                }
                let place = if is_alone { "alone" } else { "beside video" };
                let name = format!("{name} of an unknown track {place}, {}", title(scheme, true));
                cases.push((Case::new(name, &movie), "track 9"));
            }
        }
    }
    cases
}

/// A fragment whose samples have a size nowhere: there is no `trex`, and neither `tfhd` nor `trun` has any.
pub(crate) fn no_size() -> Refused {
    let mut cases = Vec::new();
    for scheme in SCHEMES {
        for sizes in [Sizes::Default, Sizes::DefaultOfEntry] {
            let mut movie = film(scheme, true);
            movie.tracks[0].has_trex = false;
            for batch in movie.fragments.iter_mut().flatten() {
                batch.sizes = sizes;
            }
            let name = format!("no trex, {sizes:?}, {}", title(scheme, true));
            cases.push((Case::new(name, &movie), ""));
        }
    }
    cases
}

/// Segments without their `moov`, and nothing at all.
pub(crate) fn without_moov() -> Refused {
    let mut cases = Vec::new();
    for scheme in SCHEMES {
        for (name, styp) in [
            ("segment alone", &b""[..]),
            ("segment with styp alone", b"\0\0\0\x10stypmsdh\0\0\0\0"),
        ] {
            let mut made = film(scheme, true).make();
            let cut = made.moofs[0];
            made.file.splice(..cut, styp.iter().copied());
            let back = cut - styp.len();
            for sample in &mut made.samples {
                sample.at = sample.at.start - back..sample.at.end - back;
            }
            made.moofs.clear();
            let name = format!("{name}, {}", title(scheme, true));
            cases.push((Case { name, made, keys: keys() }, "moov"));
        }
    }
    let mut made = film(CENC, true).make();
    made.file.clear();
    made.samples.clear();
    made.moofs.clear();
    cases.push((Case { name: "nothing".to_owned(), made, keys: keys() }, ""));
    cases
}

/// Information that counts more or fewer samples than there are, where each sample has an IV.
pub(crate) fn other_counts() -> Refused {
    let mut cases = Vec::new();
    for scheme in SCHEMES.into_iter().filter(|scheme| !scheme.has_constant_iv()) {
        for is_fragmented in [true, false] {
            type Spoil = fn(&Batch, Scheme) -> Vec<Vec<u8>>;
            let spoils: [(&str, Spoil); 3] = [
                ("senc of one too few", |batch, scheme| vec![senc(&batch.pieces[1..], scheme)]),
                ("senc of none", |_, _| vec![super::films::empty_senc()]),
                ("saiz of one too few", |batch, scheme| {
                    let sizes = vec![scheme.iv_size + 8; batch.pieces.len() - 1];
                    vec![saiz_of(None, &sizes), saio(None), hidden(&batch.pieces, scheme)]
                }),
            ];
            for (name, spoil) in spoils {
                let mut movie: Movie = film(scheme, is_fragmented);
                for batch in movie.fragments.iter_mut().flatten() {
                    batch.boxes = spoil(batch, scheme);
                }
                let title = title(scheme, is_fragmented);
                cases.push((Case::new(format!("{name}, {title}"), &movie), ""));
            }
        }
    }
    assert!(!cases.iter().any(|(case, _)| case.made.file.windows(4).any(|w| w == AUX)));
    cases
}
