//! Fragments: where the samples of a `moof` are (ISO/IEC 14496-12:2022, 8.8).

use alloc::vec::Vec;
use core::ops::Range;

use crate::cenc::boxes::{self, BoxRef, FourCc};
use crate::cenc::group::{self, Descriptions};
use crate::cenc::init::Init;
use crate::cenc::protection;
use crate::cenc::samples::{Media, Samples, spans};

/// A fragment is unreadable or contradicts the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
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
    /// A track that the `moov` does not know (8.8.7).
    #[error(
        "the traf at byte {at} is of track {track}, which the moov does not know (ISO/IEC 14496-12, 8.8.7)"
    )]
    UnknownTrack {
        /// Where the `traf` begins.
        at: usize,
        /// The number.
        track: u32,
    },
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
    /// A `trun` of samples that have no size.
    #[error("the trun at byte {0} has samples without size (ISO/IEC 14496-12, 8.8.8)")]
    NoSize(usize),
    /// More samples than any fragment has, and nothing in the file that is as long as they are many.
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

/// How many samples of one `moof` may have the size that is the default. A listed size takes bytes of the file; without
/// them a `moof` of a few bytes could ask for any amount of memory.
const UNLISTED_SAMPLES_MAX: u32 = 1 << 21;

const BASE_DATA_OFFSET: u32 = 0x1;
const SAMPLE_DESCRIPTION_INDEX: u32 = 0x2;
const DEFAULT_SAMPLE_DURATION: u32 = 0x8;
const DEFAULT_SAMPLE_SIZE: u32 = 0x10;
const DEFAULT_BASE_IS_MOOF: u32 = 0x2_0000;

/// Reads the track fragments of a `moof`, which lies in bytes that begin at `origin` of the file, and hands each on.
pub(super) fn read_moof<'a, E: From<Error> + From<boxes::Error>>(
    init: &Init,
    moof: &BoxRef<'a>,
    origin: u64,
    media: &Media,
    mut take: impl FnMut(Samples<'a>) -> Result<(), E>,
) -> Result<(), E> {
    // 8.8.7: without an offset of its own, the first traf counts from the moof, a later one from the
    // end of the one before it.
    let moof_at = u64::try_from(moof.at).unwrap_or(u64::MAX);
    let mut following = moof_at;
    let mut allowance = UNLISTED_SAMPLES_MAX;
    for traf in moof.children(0)? {
        let traf = traf?;
        if traf.kind.0 == *b"traf" {
            let (fragment, end) =
                read_traf(init, traf, origin, [moof_at, following], media, &mut allowance)?;
            following = end;
            take(fragment)?;
        }
    }
    Ok(())
}

/// `tfhd` (8.8.7) and the `trun`s; also answers where the data ends.
fn read_traf<'a>(
    init: &Init,
    traf: BoxRef<'a>,
    origin: u64,
    [moof_at, following]: [u64; 2],
    media: &Media,
    allowance: &mut u32,
) -> Result<(Samples<'a>, u64), Error> {
    let tfhd = traf.children(0)?.find(b"tfhd")?.ok_or(Error::NoTfhd(traf.at))?;
    let outside = Error::OutsideMedia { kind: tfhd.kind, at: tfhd.at };
    let mut tfhd = tfhd.fields();
    let flags = tfhd.version_and_flags()?.flags;
    let number = tfhd.u32()?;
    let track = init.tracks.get(&number);
    let track = track.ok_or(Error::UnknownTrack { at: traf.at, track: number })?;
    let base = match (flags & BASE_DATA_OFFSET != 0, flags & DEFAULT_BASE_IS_MOOF != 0) {
        // The one offset that counts from the start of the file.
        (true, _) => tfhd.u64()?.checked_sub(origin).ok_or(outside)?,
        (false, true) => moof_at,
        (false, false) => following,
    };
    let has = |flag| flags & flag != 0;
    let index = if has(SAMPLE_DESCRIPTION_INDEX) { tfhd.u32()? } else { track.description_index };
    if has(DEFAULT_SAMPLE_DURATION) {
        tfhd.u32()?;
    }
    let size = if has(DEFAULT_SAMPLE_SIZE) { tfhd.u32()? } else { track.sample_size };
    let entry = track.entry(index).ok_or(Error::SampleEntry { at: traf.at, index })?;

    let mut samples = Samples {
        container: traf,
        outer: None,
        track: number,
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
    let groups = group::read_runs(sbgp.as_ref(), &local, &track.groups, count)?;
    samples.spans = spans(&[(count, entry)], &groups)
        .map_err(|source| Error::Protection { at: traf.at, source })?;
    Ok((samples, end))
}

const DATA_OFFSET: u32 = 0x1;
const FIRST_SAMPLE_FLAGS: u32 = 0x4;
const SAMPLE_SIZE: u32 = 0x200;
/// Duration, flags and composition offset, 4 bytes each, around the size.
const OTHERS_BEFORE_SIZE: u32 = 0x100;
const OTHERS_AFTER_SIZE: [u32; 2] = [0x400, 0x800];

/// A run of samples (8.8.8), which begins where the one before it ended or where it says. Answers
/// where it ends.
fn read_trun(
    samples: &mut Samples<'_>,
    trun: &BoxRef<'_>,
    default_size: u32,
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
    let before = if flags & OTHERS_BEFORE_SIZE == 0 { 0 } else { 4 };
    let after = OTHERS_AFTER_SIZE.into_iter().filter(|flag| flags & flag != 0).count() * 4;
    let samples_there = usize::try_from(count).unwrap_or(usize::MAX);
    let listed = before + if has_size { 4 } else { 0 } + after;
    let entries = fields.bytes(samples_there.saturating_mul(listed))?;
    if !has_size {
        // What is not listed is not bounded by the box, so it has to be by the media.
        let total = u64::from(count).saturating_mul(u64::from(default_size));
        if count > 0 && default_size == 0 {
            return Err(Error::NoSize(trun.at));
        }
        media.range(at, total).ok_or_else(outside)?;
        *allowance = allowance.checked_sub(count).ok_or(Error::TooManySamples(trun.at))?;
    }
    samples.runs.push(samples.ranges.len());
    let laid_out = if has_size {
        let sizes = entries.chunks_exact(listed).map(|entry| {
            let size = entry.get(before..).and_then(|entry| entry.first_chunk());
            size.map_or(0, |size| u32::from_be_bytes(*size))
        });
        lay_out(&mut samples.ranges, media, at, sizes)
    } else {
        lay_out(&mut samples.ranges, media, at, core::iter::repeat_n(default_size, samples_there))
    };
    laid_out.ok_or_else(outside)
}

/// Adds samples of these sizes, one behind the other. Answers where they end, if each lies in an `mdat`.
fn lay_out(
    ranges: &mut Vec<Range<usize>>,
    media: &Media,
    mut at: u64,
    sizes: impl Iterator<Item = u32> + Clone,
) -> Option<u64> {
    let total = sizes.clone().map(u64::from).sum();
    if let Some(Range { start: mut next, .. }) = media.range(at, total) {
        // Most often all lie in the same.
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
