//! Fragments: information that lists too few samples, samples of size zero, tracks that the `moov` does not know, and
//! clear fragments in a protected track.
//!
//! With a constant IV and whole samples nothing of the information is needed, so a list that is too short says nothing.
//! Advertisements are clear fragments without any information, in a track whose samples have IVs.

use super::boxes::{LOCAL, clear_group, csgp, saio, saiz_of, sbgp, senc, senc_of, sgpd};
use super::check::Case;
use super::films::{SCHEMES, batch, empty_senc, film, of_track, pieces, text_track, title, track};
use super::movie::{Batch, CBCS_WHOLE, Movie, Piece, Scheme, Sizes};
use crate::film::{KIDS, boxed};

/// A constant IV, whole samples, and a `senc` or `saiz` that lists fewer samples than there are.
pub(crate) fn short_information() -> Vec<Case> {
    let scheme = CBCS_WHOLE;
    let short_saiz = |count: u8, sizes: &[u8]| {
        // A default size of 0 and no list: each size should be listed.
        boxed(b"saiz", &[vec![0; 5], vec![0, 0, 0, count], sizes.to_vec()])
    };
    let saio_empty = || boxed(b"saio", &[vec![0; 8]]);
    let to_nowhere = || boxed(b"saio", &[vec![0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]]);
    let informations = [
        ("senc of 0", vec![empty_senc()]),
        ("senc of 0 with subsamples", vec![senc_of(&[], 2)]),
        ("senc of 1", vec![senc_of(&[vec![]], 0)]),
        ("senc of 3", vec![senc_of(&[vec![], vec![], vec![]], 0)]),
        ("senc of 1 without subsamples", vec![senc_of(&[vec![0, 0]], 2)]),
        ("saiz of 0", vec![short_saiz(0, &[]), saio_empty()]),
        ("saiz of 2", vec![short_saiz(2, &[0, 0]), to_nowhere()]),
        ("saiz of 2 without saio", vec![short_saiz(2, &[0, 0])]),
        ("saiz of 2 with senc of 0", vec![short_saiz(2, &[0, 0]), saio(None), empty_senc()]),
        ("saiz typed of 1", vec![saiz_of(Some(b"cbcs"), &[0]), saio_empty()]),
        ("nothing", vec![]),
    ];
    let mut cases = Vec::new();
    for (name, boxes) in informations {
        for is_fragmented in [true, false] {
            let mut movie = film(scheme, is_fragmented);
            for batch in movie.fragments.iter_mut().flatten() {
                batch.boxes = boxes.clone();
            }
            cases.push(Case::new(format!("{name}, {}", title(scheme, is_fragmented)), &movie));
        }
    }
    cases
}

/// Samples of no bytes: all of a run, or between others.
pub(crate) fn empty_samples() -> Vec<Case> {
    let mut cases = Vec::new();
    for scheme in SCHEMES {
        let some: [(&str, &[usize], Sizes); 6] = [
            ("by trex", &[0, 0, 0], Sizes::Default),
            ("by tfhd", &[0, 0, 0], Sizes::InTfhd),
            ("listed", &[0, 0, 0], Sizes::Listed),
            ("one by tfhd", &[0], Sizes::InTfhd),
            ("between others", &[90, 0, 0, 70], Sizes::Listed),
            ("at both ends", &[0, 90, 70, 0], Sizes::Listed),
        ];
        for (name, lengths, sizes) in some {
            let mut movie = film(scheme, true);
            let empty = batch(1, scheme, pieces(lengths, scheme, Some(0)));
            movie.fragments.insert(1, vec![Batch { sizes, ..empty }]);
            let title = title(scheme, true);
            cases.push(Case::new(format!("empty samples {name}, {title}"), &movie));
        }
        // A clear track beside, whose samples are empty by default.
        for sizes in [Sizes::Default, Sizes::InTfhd] {
            let mut movie = with_clear_text(scheme, true);
            movie.fragments[0][1] =
                Batch { sizes, ..batch(2, scheme, pieces(&[0, 0], scheme, None)) };
            let title = title(scheme, true);
            cases.push(Case::new(format!("empty clear samples {sizes:?}, {title}"), &movie));
        }
        for (name, lengths) in [("all", &[0, 0, 0][..]), ("some", &[0, 90, 0, 0, 70, 0])] {
            let mut movie = film(scheme, false);
            movie.fragments = vec![vec![batch(1, scheme, pieces(lengths, scheme, Some(0)))]];
            let title = title(scheme, false);
            cases.push(Case::new(format!("empty samples {name} in stsz, {title}"), &movie));
        }
    }
    cases
}

/// Protected video, with clear text beside it.
pub(crate) fn with_clear_text(scheme: Scheme, is_fragmented: bool) -> Movie {
    let mut movie = film(scheme, is_fragmented);
    let entry = super::entry::Entry::clear(b"wvtt", super::entry::common());
    movie.tracks.push(text_track(b"text", entry));
    for batches in &mut movie.fragments {
        batches.push(of_track(2, scheme, None));
    }
    movie
}

/// Samples of a clear track that share bytes, beside a protected one.
pub(crate) fn shared_bytes(is_fragmented: bool) -> Vec<Case> {
    let mut cases = Vec::new();
    for scheme in SCHEMES {
        for times in [2, 3] {
            let mut movie = with_clear_text(scheme, is_fragmented);
            movie.tracks[1].per_chunk = 1;
            for batches in &mut movie.fragments {
                batches[1].times = times;
            }
            let title = title(scheme, is_fragmented);
            cases.push(Case::new(format!("clear bytes {times} times, {title}"), &movie));
        }
    }
    cases
}

/// A fragment that also speaks of a track that the `moov` does not have, and says nothing of encryption there.
pub(crate) fn unknown_clear_track() -> Vec<Case> {
    let mut cases = Vec::new();
    for scheme in SCHEMES {
        for (place, is_first) in [("before", true), ("behind", false)] {
            let mut movie = film(scheme, true);
            let other = of_track(9, scheme, None);
            for batches in &mut movie.fragments {
                batches.insert(if is_first { 0 } else { 1 }, other.clone());
            }
            let title = title(scheme, true);
            cases.push(Case::new(format!("unknown clear track {place}, {title}"), &movie));
        }
        let mut movie = film(scheme, true);
        movie.fragments.insert(1, vec![of_track(9, scheme, None)]);
        cases
            .push(Case::new(format!("unknown clear track alone, {}", title(scheme, true)), &movie));
    }
    cases
}

/// Clear fragments without information, in a track whose samples have IVs.
pub(crate) fn advertisements() -> Vec<Case> {
    let mut cases = Vec::new();
    for scheme in SCHEMES.into_iter().filter(|scheme| !scheme.has_constant_iv()) {
        for (place, at) in [("first", 0), ("second", 1), ("last", 2)] {
            let mut movie = film(scheme, true);
            let clear = batch(1, scheme, pieces(&[300, 41, 16], scheme, None));
            movie.fragments.insert(at, vec![clear]);
            let title = title(scheme, true);
            cases.push(Case::new(format!("advertisement {place}, {title}"), &movie));
        }
        // With text beside it that is protected.
        let entry = super::entry::Entry::clear(b"wvtt", super::entry::common());
        let text = entry.protected(b"enct", scheme, KIDS[1]);
        let mut movie = film(scheme, true);
        movie.tracks.push(track(2, b"text", text));
        movie.fragments[0].push(of_track(2, scheme, Some(1)));
        movie.fragments[1] = vec![
            batch(1, scheme, pieces(&[300, 41, 16], scheme, None)),
            of_track(2, scheme, Some(1)),
        ];
        let title = title(scheme, true);
        cases.push(Case::new(format!("advertisement beside protected text, {title}"), &movie));
    }
    cases
}

/// How the fragment says that its samples are in the clear group: the boxes, for this many samples.
pub(crate) fn clear_groups(count: usize) -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let local = sgpd(b"seig", &[clear_group()]);
    let runs = [(count as u32, LOCAL)];
    let halves = [(1, LOCAL), (count as u32 - 1, LOCAL)];
    vec![
        ("sbgp", vec![local.clone(), sbgp(b"seig", &runs)]),
        ("sbgp first", vec![sbgp(b"seig", &runs), local.clone()]),
        ("sbgp of two runs", vec![local.clone(), sbgp(b"seig", &halves)]),
        ("csgp", vec![local, csgp(b"seig", count as u8, 1, true)]),
    ]
}

/// The information that packagers leave in a fragment that is clear.
pub(crate) fn information_of_clear(
    pieces: &[Piece],
    scheme: Scheme,
) -> Vec<(&'static str, Vec<u8>)> {
    let none: Vec<_> = pieces.iter().map(|_| vec![0, 0]).collect();
    let plain = senc(pieces, scheme);
    let of_none = senc_of(&none, 2);
    let sizes = |size: u8| vec![size; pieces.len()];
    let with =
        |size, senc: &[u8]| [saiz_of(None, &sizes(size)), saio(None), senc.to_vec()].concat();
    vec![
        ("nothing", Vec::new()),
        ("senc of 0", empty_senc()),
        ("senc", plain),
        ("senc of no subsamples", of_none.clone()),
        ("saiz and senc of no subsamples", with(2, &of_none)),
        ("saiz of zeros", saiz_of(None, &sizes(0))),
        ("saiz, saio and PIFF", with(2, &super::boxes::piff(&of_none))),
    ]
}

/// Clear fragments by a group of protection, with and without information. Before it, or behind it, all is protected.
pub(crate) fn clear_by_group() -> Vec<Case> {
    let mut cases = Vec::new();
    for scheme in SCHEMES {
        let clear = pieces(&[300, 41, 16], scheme, None);
        for (group, groups) in clear_groups(clear.len()) {
            for (what, information) in information_of_clear(&clear, scheme) {
                for at in [0, 1] {
                    let mut movie = film(scheme, true);
                    let mut fragment = batch(1, scheme, clear.clone());
                    fragment.boxes = [groups.clone(), vec![information.clone()]].concat();
                    movie.fragments.insert(at, vec![fragment]);
                    let title = title(scheme, true);
                    let name = format!("clear fragment {at} by {group} with {what}, {title}");
                    cases.push(Case::new(name, &movie));
                }
            }
        }
    }
    cases
}

/// Clear and protected samples in one fragment or table, by groups, with the information as GPAC and others write it.
pub(crate) fn mixed_by_group() -> Vec<Case> {
    let mut cases = Vec::new();
    for scheme in SCHEMES {
        for is_fragmented in [true, false] {
            let mut all = pieces(&[300, 41, 16, 90], scheme, None);
            for piece in &mut all[2..] {
                piece.key = Some(1);
            }
            let descriptions = [clear_group(), scheme.fields(KIDS[1])];
            let base = if is_fragmented { LOCAL } else { 1 };
            let groups =
                vec![sgpd(b"seig", &descriptions), sbgp(b"seig", &[(2, base), (2, base + 1)])];
            let mut movie = film(scheme, is_fragmented);
            let mut fragment = batch(1, scheme, all);
            fragment.boxes.splice(0..0, groups);
            match is_fragmented {
                true => movie.fragments.insert(1, vec![fragment]),
                false => movie.fragments = vec![vec![fragment]],
            }
            let title = title(scheme, is_fragmented);
            cases.push(Case::new(format!("clear and protected by groups, {title}"), &movie));
        }
    }
    cases
}
