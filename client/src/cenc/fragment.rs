//! Fragments: where the samples of a `moof` are (ISO/IEC 14496-12:2022, 8.8).
//!
//! Deliberately absent: the samples' auxiliary information, which [`aux_info`](crate::cenc::aux_info) reads.

use alloc::vec::Vec;
use core::ops::Range;

use crate::cenc::boxes::{self, BoxRef, FourCc};
use crate::cenc::group::{self, Descriptions};
use crate::cenc::init::Init;
use crate::cenc::protection;
use crate::cenc::samples::{EntryRun, Media, Samples, spans};
use crate::cenc::signals::{Contradiction, Signals};

/// A fragment is unreadable or contradicts the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A box is damaged.
    #[error(transparent)]
    Box(#[from] boxes::Error),
    /// A group of protection.
    #[error(transparent)]
    Group(#[from] group::Error),
    /// A protection breaks a rule.
    #[error("the traf at byte {at}: {source}")]
    Protection {
        /// Where the box begins.
        at: usize,
        /// The rule.
        source: protection::Error,
    },
    /// A `traf` without `tfhd` (8.8.7).
    #[error("the traf at byte {0} has no tfhd (ISO/IEC 14496-12, 8.8.7)")]
    NoTfhd(usize),
    /// Encrypted samples of a track that the `moov` does not know (8.8.7).
    #[error(
        "the traf at byte {at} has encrypted samples of track {track}, which the moov does not know (ISO/IEC 14496-12, 8.8.7)"
    )]
    UnknownTrack {
        /// Where the `traf` begins.
        at: usize,
        /// The track ID.
        track: u32,
    },
    /// A fragment that leaves out what only a `trex` says, and the `moov` has none for its track (8.8.3).
    #[error(
        "track {track} has no trex, whose defaults the traf at byte {at} needs: this is not supported (ISO/IEC 14496-12, 8.8.3)"
    )]
    NoTrex {
        /// Where the `traf` begins.
        at: usize,
        /// The track ID.
        track: u32,
    },
    /// Samples of a clear track are said to be encrypted.
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
    /// A sample entry that the track does not have (8.8.7).
    #[error(
        "the traf at byte {at} uses sample entry {index}, which the track does not have (ISO/IEC 14496-12, 8.8.7)"
    )]
    SampleEntry {
        /// Where the `traf` begins.
        at: usize,
        /// The index, from 1.
        index: u32,
    },
    /// More samples without a listed size than any fragment has: their number is not bounded by bytes of the file.
    #[error(
        "the trun at byte {0} brings its moof to more than 2097152 samples whose sizes are not listed"
    )]
    TooManySamples(usize),
    /// A sample that does not lie in an `mdat` (8.1.1).
    #[error("the {kind} at byte {at} points to bytes outside every mdat (ISO/IEC 14496-12, 8.1.1)")]
    OutsideMedia {
        /// What points there.
        kind: FourCc,
        /// Where it begins.
        at: usize,
    },
    /// Two protected samples share bytes.
    #[error("two samples share the byte {0}")]
    Overlap(usize),
}

/// How many samples of one `moof` may have the default size. A listed size takes bytes of the file; a default size does
/// not, so a `moof` of a few bytes could demand any amount of memory.
const UNLISTED_SAMPLES_MAX: u32 = 1 << 21;

/// A sample that has no bytes counts as so many.
const EMPTY_SAMPLE_COST: u32 = 1 << 7;

const BASE_DATA_OFFSET: u32 = 0x1;
const SAMPLE_DESCRIPTION_INDEX: u32 = 0x2;
const DEFAULT_SAMPLE_DURATION: u32 = 0x8;
const DEFAULT_SAMPLE_SIZE: u32 = 0x10;
const DEFAULT_BASE_IS_MOOF: u32 = 0x2_0000;

/// Positions from which the offsets of a track fragment may count (8.8.7), in bytes from where `moof.at` counts.
#[derive(Clone, Copy)]
struct Bases {
    /// The start of the `moof`.
    moof: u64,
    /// The end of the data of the `traf` before, or the start of the `moof` for the first.
    following: u64,
}

/// Reads the track fragments of `moof` and gives the samples of each to `take`. The bytes in which the `moof` lies begin
/// at position `origin` of the file; `media` is where samples may be.
pub(super) fn read_moof<'a, E: From<Error> + From<boxes::Error>>(
    init: &Init,
    moof: &BoxRef<'a>,
    origin: u64,
    media: &Media,
    mut take: impl FnMut(Samples<'a>) -> Result<(), E>,
) -> Result<(), E> {
    let moof_at = u64::try_from(moof.at).unwrap_or(u64::MAX);
    let mut bases = Bases { moof: moof_at, following: moof_at };
    let mut allowance = UNLISTED_SAMPLES_MAX;
    for traf in moof.children(0)? {
        let traf = traf?;
        if traf.kind.0 == *b"traf" {
            let (samples, end) = read_traf(init, traf, origin, bases, media, &mut allowance)?;
            bases.following = end;
            if !init.tracks.get(&samples.track_id).is_some_and(|track| track.is_left) {
                take(samples)?;
            }
        }
    }
    Ok(())
}

/// Reads `tfhd` (8.8.7) and the `trun`s. Returns the samples and where their data ends.
fn read_traf<'a>(
    init: &Init,
    traf: BoxRef<'a>,
    origin: u64,
    bases: Bases,
    media: &Media,
    allowance: &mut u32,
) -> Result<(Samples<'a>, u64), Error> {
    let tfhd = traf.children(0)?.find(b"tfhd")?.ok_or(Error::NoTfhd(traf.at))?;
    let outside = Error::OutsideMedia { kind: tfhd.kind, at: tfhd.at };
    let mut tfhd = tfhd.fields();
    let flags = tfhd.version_and_flags()?.flags;
    let track_id = tfhd.u32()?;
    let known = init.tracks.get(&track_id);
    let base = match (flags & BASE_DATA_OFFSET != 0, flags & DEFAULT_BASE_IS_MOOF != 0) {
        // The one offset that counts from the start of the file.
        (true, _) => tfhd.u64()?.checked_sub(origin).ok_or(outside)?,
        (false, true) => bases.moof,
        (false, false) => bases.following,
    };
    let has = |flag| flags & flag != 0;
    let trex = known.and_then(|track| track.defaults);
    let no_trex = Error::NoTrex { at: traf.at, track: track_id };
    let index = match has(SAMPLE_DESCRIPTION_INDEX) {
        true => Some(tfhd.u32()?),
        false => trex.map(|trex| trex.description_index),
    };
    if has(DEFAULT_SAMPLE_DURATION) {
        tfhd.u32()?;
    }
    let size = match has(DEFAULT_SAMPLE_SIZE) {
        true => Some(tfhd.u32()?),
        false => trex.map(|trex| trex.sample_size),
    };
    let entry = match known {
        // A track that the moov does not have: right, as long as nothing says that it is encrypted.
        None => None,
        Some(track) => {
            let index = index.ok_or(no_trex)?;
            track.entry(index).ok_or(Error::SampleEntry { at: traf.at, index })?
        }
    };
    let none = Descriptions::default();
    let groups = known.map_or(&none, |track| &track.groups);

    let mut samples = Samples {
        container: traf,
        outer: None,
        is_known: known.is_some(),
        has_protected_entry: entry.is_some(),
        track_id,
        base,
        ranges: Vec::new(),
        runs: Vec::new(),
        spans: Vec::new(),
    };
    let mut end = base;
    let (mut sbgp, mut local) = (None, Descriptions::default());
    for this in traf.children(0)? {
        let this = this?;
        match &this.kind.0 {
            b"trun" => end = read_trun(&mut samples, &this, size, end, media, allowance)?,
            _ if entry.is_none() || !group::is_seig(&this)? => {}
            b"sgpd" => local = Descriptions::read(&this)?,
            _ => sbgp = Some(this),
        }
    }
    let count = samples.ranges.len();
    let groups = group::read_runs(sbgp.as_ref(), &local, groups, count)?;
    samples.spans = spans(&[EntryRun { count, entry }], &groups)
        .map_err(|source| Error::Protection { at: traf.at, source })?;
    Ok((samples, end))
}

const DATA_OFFSET: u32 = 0x1;
const FIRST_SAMPLE_FLAGS: u32 = 0x4;
const SAMPLE_SIZE: u32 = 0x200;
/// The sample's duration, 4 bytes before its size.
const DURATION: u32 = 0x100;
/// The sample's flags and its composition time offset, 4 bytes each, behind its size.
const FLAGS_AND_COMPOSITION_OFFSET: [u32; 2] = [0x400, 0x800];

/// Reads a run of samples (8.8.8), which begins at its own offset, or else at `following`, the end of the run before.
/// Returns where it ends.
fn read_trun(
    samples: &mut Samples<'_>,
    trun: &BoxRef<'_>,
    default_size: Option<u32>,
    following: u64,
    media: &Media,
    allowance: &mut u32,
) -> Result<u64, Error> {
    let outside = || Error::OutsideMedia { kind: trun.kind, at: trun.at };
    let mut fields = trun.fields();
    let flags = fields.version_and_flags()?.flags;
    let count = fields.u32()?;
    let mut at = following;
    if flags & DATA_OFFSET != 0 {
        let offset = i32::from_be_bytes(fields.array()?);
        at = samples.base.checked_add_signed(i64::from(offset)).ok_or_else(outside)?;
    }
    if flags & FIRST_SAMPLE_FLAGS != 0 {
        fields.u32()?;
    }
    let has_size = flags & SAMPLE_SIZE != 0;
    let before = if flags & DURATION == 0 { 0 } else { 4 };
    let after =
        FLAGS_AND_COMPOSITION_OFFSET.into_iter().filter(|flag| flags & flag != 0).count() * 4;
    let samples_there = usize::try_from(count).unwrap_or(usize::MAX);
    let listed = before + if has_size { 4 } else { 0 } + after;
    let entries = fields.bytes(samples_there.saturating_mul(listed))?;
    if !has_size {
        // The sizes take no bytes of the box, so the media has to bound the number of samples.
        let no_trex = Error::NoTrex { at: samples.container.at, track: samples.track_id };
        let total = u64::from(count).saturating_mul(default_size.ok_or(no_trex)?.into());
        media.range(at, total).ok_or_else(outside)?;
        // Samples without bytes are not bounded by the media either.
        let cost = if total == 0 { count.saturating_mul(EMPTY_SAMPLE_COST) } else { count };
        *allowance = allowance.checked_sub(cost).ok_or(Error::TooManySamples(trun.at))?;
    }
    samples.runs.push(samples.ranges.len());
    let laid_out = if has_size {
        let sizes = entries.chunks_exact(listed).map(|entry| {
            let size = entry.get(before..).and_then(|entry| entry.first_chunk());
            size.map_or(0, |size| u32::from_be_bytes(*size))
        });
        lay_out(&mut samples.ranges, media, at, sizes)
    } else {
        let sizes = core::iter::repeat_n(default_size.unwrap_or(0), samples_there);
        lay_out(&mut samples.ranges, media, at, sizes)
    };
    laid_out.ok_or_else(outside)
}

/// Adds samples of these sizes, one behind the other from `at` on. Returns where they end, if each lies in an `mdat`.
fn lay_out(
    ranges: &mut Vec<Range<usize>>,
    media: &Media,
    mut at: u64,
    sizes: impl Iterator<Item = u32> + Clone,
) -> Option<u64> {
    let total = sizes.clone().map(u64::from).sum();
    if let Some(Range { start: mut next, .. }) = media.range(at, total) {
        // Usually all lie in the same mdat.
        ranges.extend(sizes.map(|size| {
            let start = next;
            next = next.saturating_add(usize::try_from(size).unwrap_or(usize::MAX));
            start..next
        }));
        return at.checked_add(total);
    }
    for size in sizes {
        ranges.push(media.range(at, size.into())?);
        at = at.saturating_add(size.into());
    }
    Some(at)
}

/// Refuses clear samples that a box says to be encrypted.
pub(super) fn refuse_contradiction(
    samples: &Samples<'_>,
    signals: &Signals<'_>,
) -> Result<(), Error> {
    let (at, track) = (samples.container.at, samples.track_id);
    match signals.encrypted()? {
        None => Ok(()),
        Some(_) if !samples.is_known => Err(Error::UnknownTrack { at, track }),
        Some(this) => Err(Contradiction { kind: this.kind, at: this.at, track }.into()),
    }
}
