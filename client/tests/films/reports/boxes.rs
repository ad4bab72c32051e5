//! Makers of the boxes about protection in a fragment or a sample table: `senc`, PIFF's box, `saiz`, `saio` and groups.
//!
//! Each maker writes what it is told, also what no packager should write.

use super::movie::{Piece, Scheme};
use crate::film::boxed;

/// Stands for the offset in a `saio` until the file is laid out.
pub(crate) const AUX: [u8; 4] = [0xfe, 0xed, 0xa0, 0x0a];

/// PIFF's SampleEncryptionBox (PIFF 1.1, 5.3.2).
pub(crate) const PIFF_SENC: [u8; 16] = [
    0xa2, 0x39, 0x4f, 0x52, 0x5a, 0x9b, 0x4f, 0x14, 0xa2, 0x44, 0x6c, 0x42, 0x7c, 0x64, 0x8d, 0xf4,
];

/// Lets each `saio` of `bytes` point to the information that follows it: the entries of a `senc` or of PIFF's box, or
/// what a `free` box hides. `at` is where the bytes begin.
pub(crate) fn aim(bytes: &mut [u8], at: usize) {
    let find = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).position(|w| w == what);
    while let Some(mark) = find(bytes, &AUX) {
        let rest = &bytes[mark..];
        // Behind the type: version and flags, and the count.
        let senc = find(rest, b"senc").map(|kind| kind + 12);
        let piff = find(rest, &PIFF_SENC).map(|uuid| uuid + 24);
        let hidden = find(rest, b"hide").map(|mark| mark + 4);
        let Some(aux) = [senc, piff, hidden].into_iter().flatten().min() else { return };
        let offset = (at + mark + aux) as u32;
        bytes[mark..mark + 4].copy_from_slice(&offset.to_be_bytes());
    }
}

/// The entry of each sample, and whether any has subsamples. Clear samples have no IV.
pub(crate) fn entries(pieces: &[Piece], scheme: Scheme) -> (Vec<Vec<u8>>, bool) {
    let has_subsamples = pieces.iter().any(|piece| !piece.layout.is_empty());
    let entry = |piece: &Piece| {
        let mut entry = Vec::new();
        if piece.key.is_some() {
            entry.extend(&piece.iv[..scheme.iv_size.into()]);
        }
        if has_subsamples {
            let layout: &[_] = if piece.key.is_some() { &piece.layout } else { &[] };
            entry.extend((layout.len() as u16).to_be_bytes());
            for (clear, protected) in layout {
                entry.extend(clear.to_be_bytes());
                entry.extend(protected.to_be_bytes());
            }
        }
        entry
    };
    (pieces.iter().map(entry).collect(), has_subsamples)
}

/// `senc` with one entry a sample.
pub(crate) fn senc(pieces: &[Piece], scheme: Scheme) -> Vec<u8> {
    let (entries, has_subsamples) = entries(pieces, scheme);
    senc_of(&entries, if has_subsamples { 2 } else { 0 })
}

/// `senc` with these entries.
pub(crate) fn senc_of(entries: &[Vec<u8>], flags: u8) -> Vec<u8> {
    let count = (entries.len() as u32).to_be_bytes().to_vec();
    boxed(b"senc", &[vec![0, 0, 0, flags], count, entries.concat()])
}

/// PIFF's form of a `senc`.
pub(crate) fn piff(senc: &[u8]) -> Vec<u8> {
    boxed(b"uuid", &[PIFF_SENC.to_vec(), senc[8..].to_vec()])
}

/// The type of auxiliary information in `saiz` and `saio`; `None`: it is not stated.
pub(crate) type AuxType = Option<&'static [u8; 4]>;

fn head(kind: AuxType) -> Vec<u8> {
    match kind {
        None => vec![0; 4],
        Some(kind) => [&[0, 0, 0, 1], &kind[..], &[0; 4]].concat(),
    }
}

/// `saiz` that lists these sizes.
pub(crate) fn saiz_of(kind: AuxType, sizes: &[u8]) -> Vec<u8> {
    let count = (sizes.len() as u32).to_be_bytes().to_vec();
    boxed(b"saiz", &[head(kind), vec![0], count, sizes.to_vec()])
}

/// `saiz` and `saio` of the samples, which point to the `senc` or the hidden entries behind them.
pub(crate) fn saiz_saio(kind: AuxType, pieces: &[Piece], scheme: Scheme) -> Vec<u8> {
    let sizes: Vec<_> = entries(pieces, scheme).0.iter().map(|entry| entry.len() as u8).collect();
    [saiz_of(kind, &sizes), saio(kind)].concat()
}

/// `saio` with one offset.
pub(crate) fn saio(kind: AuxType) -> Vec<u8> {
    boxed(b"saio", &[head(kind), vec![0, 0, 0, 1], AUX.to_vec()])
}

/// The entries in a `free` box, where only a `saio` finds them.
pub(crate) fn hidden(pieces: &[Piece], scheme: Scheme) -> Vec<u8> {
    boxed(b"free", &[b"hide".to_vec(), entries(pieces, scheme).0.concat()])
}

/// `sgpd` of version 1 with these descriptions.
pub(crate) fn sgpd(kind: &[u8; 4], descriptions: &[Vec<u8>]) -> Vec<u8> {
    let mut body = [&[1, 0, 0, 0], &kind[..], &[0; 4]].concat();
    body.extend((descriptions.len() as u32).to_be_bytes());
    for description in descriptions {
        body.extend((description.len() as u32).to_be_bytes());
        body.extend(description);
    }
    boxed(b"sgpd", &[body])
}

/// `sbgp` with runs of samples: how many, and the index of their group.
pub(crate) fn sbgp(kind: &[u8; 4], runs: &[(u32, u32)]) -> Vec<u8> {
    let mut body = [&[0; 4], &kind[..]].concat();
    body.extend((runs.len() as u32).to_be_bytes());
    for (count, index) in runs {
        body.extend([count.to_be_bytes(), index.to_be_bytes()].concat());
    }
    boxed(b"sbgp", &[body])
}

/// `csgp` of one pattern: `count` samples in group `index`, below 128; of a description in the fragment if `is_local`.
pub(crate) fn csgp(kind: &[u8; 4], count: u8, index: u8, is_local: bool) -> Vec<u8> {
    // All fields have eight bits.
    let flags = 0b01_0101 | u8::from(is_local) << 7;
    let index = index | u8::from(is_local) << 7;
    boxed(b"csgp", &[vec![0, 0, 0, flags], kind.to_vec(), vec![0, 0, 0, 1, 1, count, index]])
}

/// The index of the first description of a fragment's own (ISO/IEC 14496-12:2022, 8.9.4).
pub(crate) const LOCAL: u32 = 0x1_0001;

/// The description of a group that is not protected.
pub(crate) fn clear_group() -> Vec<u8> {
    vec![0; 20]
}
