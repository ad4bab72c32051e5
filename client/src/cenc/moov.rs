//! The boxes of a `moov` (ISO/IEC 14496-12:2022, 8.2 to 8.5), and what may be wrong with one.
//!
//! Deliberately absent: what the boxes say of tracks, which [`init`](crate::cenc::init) reads.

use crate::cenc::boxes::{self, BoxRef, FourCc};
use crate::cenc::foreign::Foreign;
use crate::cenc::group;
use crate::cenc::protection;
use crate::cenc::signals::Contradiction;

/// The `moov` cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A box is damaged.
    #[error(transparent)]
    Box(#[from] boxes::Error),
    /// This is no MP4 at all.
    #[error(transparent)]
    Foreign(#[from] Foreign),
    /// There is no `moov` (ISO/IEC 14496-12:2022, 8.2.1): a media segment needs its initialization segment.
    #[error(
        "there is no moov box (ISO/IEC 14496-12, 8.2.1): a media segment needs its initialization segment"
    )]
    NoMoov,
    /// There are two `moov`s, each with tracks of its own (8.2.1). A stream may have several in turn.
    #[error(
        "there is another moov at byte {0} (ISO/IEC 14496-12, 8.2.1); read the file as a stream"
    )]
    Repeated(usize),
    /// The `moov` has no tracks (8.3.1).
    #[error("the moov has no trak (ISO/IEC 14496-12, 8.3.1)")]
    NoTrack,
    /// A mandatory box is missing.
    #[error("the box at byte {at} has no {missing} (ISO/IEC 14496-12, 8)")]
    Missing {
        /// Where the box that lacks it begins.
        at: usize,
        /// What is missing.
        missing: FourCc,
    },
    /// Two tracks have the same ID (8.3.2.3).
    #[error("two tracks have the number {0} (ISO/IEC 14496-12, 8.3.2.3)")]
    RepeatedTrack(u32),
    /// A protected sample entry that is protected twice, or whose fields are not known.
    #[error(
        "sample entry {kind} at byte {at} is protected in a way that is not supported (ISO/IEC 14496-12, 8.12.1)"
    )]
    SampleEntry {
        /// Its type.
        kind: FourCc,
        /// Where it begins.
        at: usize,
    },
    /// A protection breaks a rule.
    #[error("the sample entry at byte {at}: {source}")]
    Protection {
        /// Where the sample entry begins.
        at: usize,
        /// The rule.
        source: protection::Error,
    },
    /// A group of protection.
    #[error(transparent)]
    Group(#[from] group::Error),
    /// Samples of a clear track are said to be encrypted.
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
}

/// PIFF's ProtectionSystemSpecificHeaderBox (PIFF 1.1, 5.3.1).
const PIFF_PSSH: [u8; 16] = [
    0xd0, 0x8a, 0x4f, 0x18, 0x10, 0xf3, 0x4a, 0x82, 0xb6, 0xc8, 0x32, 0xd8, 0xab, 0xa1, 0x83, 0xd3,
];

/// Whether a box is for a DRM system.
pub(super) fn is_pssh(this: &BoxRef<'_>) -> bool {
    match &this.kind.0 {
        b"pssh" => true,
        b"uuid" => this.body.starts_with(&PIFF_PSSH),
        _ => false,
    }
}

/// The sample table of a track (8.5.1).
pub(super) fn stbl_of<'a>(trak: &BoxRef<'a>) -> Result<BoxRef<'a>, Error> {
    need(&need(&need(trak, b"mdia")?, b"minf")?, b"stbl")
}

/// The ID of a track (8.3.2).
pub(super) fn track_id_of(trak: &BoxRef<'_>) -> Result<u32, Error> {
    let mut tkhd = need(trak, b"tkhd")?.fields();
    let version = tkhd.version_and_flags()?.version;
    tkhd.bytes(if version == 1 { 16 } else { 8 })?;
    Ok(tkhd.u32()?)
}

/// The kind of media of a track (8.4.3). Decryption does without it, so it may be missing or damaged.
pub(super) fn handler_of(trak: &BoxRef<'_>) -> Option<FourCc> {
    let mdia = trak.children(0).ok()?.find(b"mdia").ok()??;
    let mut hdlr = mdia.children(0).ok()?.find(b"hdlr").ok()??.fields();
    hdlr.version_and_flags().ok()?;
    let _pre_defined = hdlr.u32().ok()?;
    hdlr.array().ok().map(FourCc)
}

/// The first child box of this type.
pub(super) fn need<'a>(parent: &BoxRef<'a>, kind: &[u8; 4]) -> Result<BoxRef<'a>, Error> {
    let missing = || Error::Missing { at: parent.at, missing: FourCc(*kind) };
    parent.children(0)?.find(kind)?.ok_or_else(missing)
}
