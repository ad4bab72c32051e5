//! Sample tables: where the samples of a track are that is not fragmented (ISO/IEC 14496-12:2022, 8.5 to 8.7).
//!
//! Deliberately absent: times, and everything else that a player needs to seek.

use alloc::vec::Vec;

use crate::cenc::boxes::{self, BoxRef, Fields, FourCc};
use crate::cenc::group::{self, Descriptions};
use crate::cenc::moov;
use crate::cenc::protection;
use crate::cenc::samples::{EntryRun, Media, Samples, spans};
use crate::cenc::track::TrackFacts;

/// A sample table is unreadable or contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A box is damaged.
    #[error(transparent)]
    Box(#[from] boxes::Error),
    /// A mandatory box is missing.
    #[error(transparent)]
    Init(#[from] moov::Error),
    /// A group of protection.
    #[error(transparent)]
    Group(#[from] group::Error),
    /// A protection breaks a rule.
    #[error("the stbl at byte {at}: {source}")]
    Protection {
        /// Where the box begins.
        at: usize,
        /// The rule.
        source: protection::Error,
    },
    /// Sizes of another width than 4, 8 and 16 bits (8.7.3.3).
    #[error(
        "the stz2 at byte {0} has sizes of a width that does not exist (ISO/IEC 14496-12, 8.7.3.3)"
    )]
    Width(usize),
    /// Chunks that `stsc` does not describe, or in another order (8.7.4).
    #[error("the stsc at byte {0} does not describe the chunks (ISO/IEC 14496-12, 8.7.4)")]
    Chunks(usize),
    /// Fewer samples in chunks than have a size (8.7.4).
    #[error(
        "the stbl at byte {at} has {sizes} sizes for {samples} samples in chunks (ISO/IEC 14496-12, 8.7.4)"
    )]
    Count {
        /// Where the box begins.
        at: usize,
        /// How many samples have a size.
        sizes: usize,
        /// How many are in chunks.
        samples: usize,
    },
    /// A sample entry that the track does not have (8.7.4).
    #[error(
        "the stsc at byte {at} uses sample entry {index}, which the track does not have (ISO/IEC 14496-12, 8.7.4)"
    )]
    SampleEntry {
        /// Where the box begins.
        at: usize,
        /// The index, from 1.
        index: u32,
    },
    /// More samples of one size than media that is still to come may be held to.
    #[error(
        "the stbl at byte {0} has too many samples of one size for a stream; read it as a file"
    )]
    Unbounded(usize),
    /// A sample that does not lie in an `mdat` (8.1.1).
    #[error("the {kind} at byte {at} points to bytes outside every mdat (ISO/IEC 14496-12, 8.1.1)")]
    OutsideMedia {
        /// What points there.
        kind: FourCc,
        /// Where it begins.
        at: usize,
    },
}

/// How many samples may have one size while nobody knows yet how long the media is.
const UNBOUNDED_SAMPLES_MAX: usize = 1 << 18;

/// The samples of a track, if its table has any. `media` is where they may be.
pub(super) fn read<'a>(
    track: &TrackFacts,
    track_id: u32,
    trak: &BoxRef<'a>,
    media: &Media,
) -> Result<Option<Samples<'a>>, Error> {
    let stbl = moov::stbl_of(trak)?;
    let mut chunk_offsets = None;
    let (mut sizes, mut chunks, mut sbgp) = (None, None, None);
    for this in stbl.children(0)? {
        let this = this?;
        match &this.kind.0 {
            b"stsz" | b"stz2" => sizes = Some(Sizes::read(&this)?),
            b"stsc" => chunks = Some(this),
            b"stco" | b"co64" => chunk_offsets = Some(this),
            b"sbgp" | b"csgp" if group::is_seig(&this)? => sbgp = Some(this),
            _ => {}
        }
    }
    let Some(sizes) = sizes.filter(|sizes| sizes.count > 0) else { return Ok(None) };
    let missing = |kind: &[u8; 4]| moov::Error::Missing { at: stbl.at, missing: FourCc(*kind) };
    let chunks = chunks.ok_or_else(|| missing(b"stsc"))?;
    let offsets = chunk_offsets.ok_or_else(|| missing(b"stco"))?;

    if let Width::Constant(size) = sizes.width {
        // The sizes take no bytes of the box, so the media has to bound the number of samples.
        let total = u64::try_from(sizes.count).unwrap_or(u64::MAX).saturating_mul(size.into());
        if total > media.bytes() {
            return Err(Error::OutsideMedia { kind: FourCc(*b"stsz"), at: stbl.at });
        }
        if media.is_open() && sizes.count > UNBOUNDED_SAMPLES_MAX {
            return Err(Error::Unbounded(stbl.at));
        }
    }

    let mut samples = Samples {
        container: stbl,
        outer: Some(*trak),
        is_known: true,
        has_protected_entry: false,
        track_id,
        base: 0,
        ranges: Vec::new(),
        runs: Vec::new(),
        spans: Vec::new(),
    };
    let entries = place(&mut samples, track, sizes, &chunks, &offsets, media, stbl.at)?;
    samples.has_protected_entry = entries.iter().any(|run| run.entry.is_some());
    let none = Descriptions::default();
    let count = samples.ranges.len();
    let groups = group::read_runs(sbgp.as_ref(), &none, &track.groups, count)?;
    samples.spans =
        spans(&entries, &groups).map_err(|source| Error::Protection { at: stbl.at, source })?;
    Ok(Some(samples))
}

/// Places every sample: chunk by chunk (8.7.4 and 8.7.5), one behind the other. Returns the samples' entries.
fn place(
    samples: &mut Samples<'_>,
    track: &TrackFacts,
    mut sizes: Sizes<'_>,
    stsc: &BoxRef<'_>,
    stco: &BoxRef<'_>,
    media: &Media,
    stbl_at: usize,
) -> Result<Vec<EntryRun>, Error> {
    let mut runs = ChunkRuns::read(stsc)?;
    let mut offsets = stco.fields();
    offsets.version_and_flags()?;
    let wide = stco.kind == FourCc(*b"co64");
    let total = sizes.count;
    let mut entries: Vec<EntryRun> = Vec::new();
    for chunk in 1..=offsets.u32()? {
        if samples.ranges.len() == total {
            // Some writers list more chunks than there are samples for.
            break;
        }
        let mut at = if wide { offsets.u64()? } else { offsets.u32()?.into() };
        let ChunkRun { samples_per_chunk, entry_index: index, .. } = runs.of(chunk)?;
        let entry = track.entry(index).ok_or(Error::SampleEntry { at: stsc.at, index })?;
        let count = usize::try_from(samples_per_chunk).unwrap_or(usize::MAX);
        let count = count.min(total.saturating_sub(samples.ranges.len()));
        samples.runs.push(samples.ranges.len());
        for _ in 0..count {
            let size = u64::from(sizes.next()?);
            let outside = Error::OutsideMedia { kind: stco.kind, at: stco.at };
            samples.ranges.push(media.range(at, size).ok_or(outside)?);
            at = at.saturating_add(size);
        }
        match entries.last_mut() {
            Some(last) if last.entry == entry => last.count = last.count.saturating_add(count),
            _ => entries.push(EntryRun { count, entry }),
        }
    }
    match samples.ranges.len() {
        placed if placed == total => Ok(entries),
        placed => Err(Error::Count { at: stbl_at, sizes: total, samples: placed }),
    }
}

/// `stsz` or `stz2` (8.7.3).
struct Sizes<'a> {
    fields: Fields<'a>,
    count: usize,
    width: Width,
}

/// How a size is written.
enum Width {
    /// Not at all: every sample has this size.
    Constant(u32),
    Four {
        low_half: Option<u8>,
    },
    Eight,
    Sixteen,
    ThirtyTwo,
}

impl<'a> Sizes<'a> {
    fn read(this: &BoxRef<'a>) -> Result<Self, Error> {
        let mut fields = this.fields();
        fields.version_and_flags()?;
        let first = fields.u32()?;
        let count = usize::try_from(fields.u32()?).unwrap_or(usize::MAX);
        let width = match (&this.kind.0, first) {
            (b"stsz", 0) => Width::ThirtyTwo,
            (b"stsz", size) => Width::Constant(size),
            // Three reserved bytes, then the width.
            (_, 4) => Width::Four { low_half: None },
            (_, 8) => Width::Eight,
            (_, 16) => Width::Sixteen,
            _ => return Err(Error::Width(this.at)),
        };
        Ok(Self { fields, count, width })
    }

    fn next(&mut self) -> Result<u32, Error> {
        Ok(match &mut self.width {
            Width::Constant(size) => *size,
            Width::Four { low_half } => match low_half.take() {
                Some(low) => low.into(),
                None => {
                    let byte = self.fields.u8()?;
                    *low_half = Some(byte & 0xf);
                    (byte >> 4).into()
                }
            },
            Width::Eight => self.fields.u8()?.into(),
            Width::Sixteen => self.fields.u16()?.into(),
            Width::ThirtyTwo => self.fields.u32()?,
        })
    }
}

/// `stsc` (8.7.4), read along with the chunks.
struct ChunkRuns<'a> {
    fields: Fields<'a>,
    left: u32,
    at: usize,
    /// The run of the chunk that was asked for last.
    current: Option<ChunkRun>,
    next: Option<ChunkRun>,
}

/// Chunks in a row that are alike: an entry of `stsc`.
#[derive(Clone, Copy)]
struct ChunkRun {
    /// The number of the first chunk, from 1.
    first_chunk: u32,
    samples_per_chunk: u32,
    /// The index of the samples' entry, from 1.
    entry_index: u32,
}

impl<'a> ChunkRuns<'a> {
    fn read(stsc: &BoxRef<'a>) -> Result<Self, Error> {
        let mut fields = stsc.fields();
        fields.version_and_flags()?;
        let left = fields.u32()?;
        let mut runs = Self { fields, left, at: stsc.at, current: None, next: None };
        runs.advance()?;
        Ok(runs)
    }

    fn advance(&mut self) -> Result<(), Error> {
        self.next = match self.left.checked_sub(1) {
            None => None,
            Some(left) => {
                self.left = left;
                Some(ChunkRun {
                    first_chunk: self.fields.u32()?,
                    samples_per_chunk: self.fields.u32()?,
                    entry_index: self.fields.u32()?,
                })
            }
        };
        Ok(())
    }

    /// The run of a chunk, which counts from 1. Chunks are asked for in order.
    fn of(&mut self, chunk: u32) -> Result<ChunkRun, Error> {
        if let Some(next) = self.next {
            if next.first_chunk == chunk {
                self.current = Some(next);
                self.advance()?;
            } else if next.first_chunk < chunk {
                return Err(Error::Chunks(self.at));
            }
        }
        self.current.ok_or(Error::Chunks(self.at))
    }
}
