//! Auxiliary information: what each protected sample needs beside its key, an IV and which of its bytes are protected
//! (ISO/IEC 23001-7:2023, 7).
//!
//! It is in `senc`, in a PIFF box of the same form, or anywhere in the file, where `saiz` and `saio` point to it
//! (ISO/IEC 14496-12:2022, 8.7.8 and 8.7.9). The size of the IVs is not in it, so the samples' protection has to be known
//! before. Deliberately absent: auxiliary information of other types.

use alloc::vec::Vec;
use core::ops::Range;

use crate::cenc::boxes::{self, BoxRef, Fields, FourCc, VersionAndFlags};
use crate::cenc::protection::{self, Description, Entry, Iv, IvBlock, IvSize};
use crate::cenc::samples::{Samples, Span};
use crate::cenc::signals::{PIFF_SENC, Signals};

/// The auxiliary information of protected samples is missing or unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A box is damaged.
    #[error(transparent)]
    Box(#[from] boxes::Error),
    /// There is no auxiliary information, and the samples need it (7.1).
    #[error(
        "the samples of the box at byte {0} are protected and there is neither senc nor saiz and saio (ISO/IEC 23001-7, 7.1)"
    )]
    Missing(usize),
    /// Another number of entries than samples (7.2).
    #[error(
        "the {kind} at byte {at} has {entries} entries for {samples} samples (ISO/IEC 23001-7, 7.2)"
    )]
    Count {
        /// The box.
        kind: FourCc,
        /// Where it begins.
        at: usize,
        /// How many entries it has.
        entries: u32,
        /// How many samples there are.
        samples: usize,
    },
    /// A `senc` of a later version: samples with several keys (7.2.2).
    #[error(
        "the {kind} at byte {at} has version {version}: samples with several keys are not supported (ISO/IEC 23001-7, 7.2)"
    )]
    Version {
        /// The box.
        kind: FourCc,
        /// Where it begins.
        at: usize,
        /// Its version.
        version: u8,
    },
    /// Bytes that belong to no entry: the IVs have another size than `tenc` says.
    #[error("the {kind} at byte {at} is longer than its entries (ISO/IEC 23001-7, 7.2)")]
    Trailing {
        /// The box.
        kind: FourCc,
        /// Where it begins.
        at: usize,
    },
    /// PIFF's own parameters (flag 1), which replace those of the track, break a rule.
    #[error("the uuid box at byte {at}: {source}")]
    Override {
        /// Where it begins.
        at: usize,
        /// The rule.
        source: protection::Error,
    },
    /// `saio` points outside the file, or has another number of offsets than runs (8.7.9).
    #[error(
        "the saio at byte {0} does not point to the samples' information (ISO/IEC 14496-12, 8.7.9)"
    )]
    Offset(usize),
    /// The size of an entry is not that of an IV and whole subsamples (7.1).
    #[error("the saiz at byte {0} has a size that no entry has (ISO/IEC 23001-7, 7.1)")]
    Size(usize),
    /// The sizes of the subsamples do not add up to the sample's (7.2).
    #[error(
        "the subsamples of sample {sample} in the box at byte {at} are not as long as it (ISO/IEC 23001-7, 7.2)"
    )]
    Subsamples {
        /// Where the `traf` or `stbl` begins.
        at: usize,
        /// Which sample, from 0.
        sample: usize,
    },
}

/// The auxiliary information of one sample.
#[derive(Clone, Debug)]
pub(super) struct SampleInfo {
    pub(super) iv: IvBlock,
    /// The indices of its subsamples in [`AuxInfo::subsamples`]; none: all of the sample is protected.
    pub(super) subsamples: Range<usize>,
}

impl SampleInfo {
    /// A sample that is protected as a whole, with an IV of 8 or 16 bytes.
    fn of_iv(iv: &[u8]) -> Self {
        let short = |iv: &[u8; 8]| (u128::from(u64::from_be_bytes(*iv)) << 64).to_be_bytes();
        let iv = iv.first_chunk().copied().or_else(|| iv.first_chunk().map(short));
        Self { iv: iv.unwrap_or_default(), subsamples: 0..0 }
    }
}

/// Clear bytes, then protected ones (7.2): how many of each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subsample {
    pub(super) clear: u16,
    pub(super) protected: u32,
}

/// The auxiliary information of samples in a row.
#[derive(Debug, Default)]
pub(super) struct AuxInfo {
    /// How the samples are protected.
    pub(super) spans: Vec<Span>,
    /// One entry a sample.
    pub(super) samples: Vec<SampleInfo>,
    pub(super) subsamples: Vec<Subsample>,
}

/// Reads the auxiliary information of `samples`, which `signals` are about, and takes their spans. `saio` points into
/// `file`.
pub(super) fn read(
    samples: &mut Samples<'_>,
    signals: &Signals<'_>,
    file: &[u8],
) -> Result<AuxInfo, Error> {
    let mut reader = Reader { samples, info: AuxInfo::default() };
    reader.info.samples.reserve(reader.samples.ranges.len());
    match (signals.senc, signals.saiz, signals.saio) {
        (Some(senc), ..) => reader.read_senc(&senc)?,
        (None, Some(saiz), Some(saio)) => reader.read_saiz(&saiz, &saio, file)?,
        (None, ..) => reader.need_nothing()?,
    }
    reader.hold_to_sizes()?;
    let Reader { samples, mut info } = reader;
    info.spans = core::mem::take(&mut samples.spans);
    Ok(info)
}

/// Passes over the type, if there is one. Returns the version.
fn skip_type(fields: &mut Fields<'_>) -> Result<u8, Error> {
    let VersionAndFlags { version, flags } = fields.version_and_flags()?;
    if flags & 1 != 0 {
        fields.bytes(8)?;
    }
    Ok(version)
}

/// For each sample where its IV comes from; `None` for a sample that is not protected.
fn ivs(spans: &[Span]) -> impl Iterator<Item = Option<Iv>> {
    spans.iter().flat_map(|span| core::iter::repeat_n(span.by.map(|by| by.scheme.iv()), span.count))
}

impl AuxInfo {
    /// Adds `count` samples with the same IV and no subsamples.
    fn add_alike(&mut self, iv: IvBlock, count: usize) {
        self.samples.extend(core::iter::repeat_n(SampleInfo { iv, subsamples: 0..0 }, count));
    }

    /// Adds samples that no box lists: all of their bytes are protected, with a constant IV. The caller has seen to it that
    /// none needs an IV of its own.
    fn add_unlisted(&mut self, source: Option<Iv>, count: usize) {
        let iv = match source {
            Some(Iv::Constant(iv)) => iv,
            _ => [0; 16],
        };
        self.add_alike(iv, count);
    }

    /// Reads one sample's entry (7.2.2). A sample that is not protected has no IV.
    #[expect(
        clippy::inline_always,
        reason = "called for every sample, and its error is large: inlining saves a tenth of a plan's time"
    )]
    #[inline(always)]
    fn read_entry(
        &mut self,
        fields: &mut Fields<'_>,
        source: Option<&Iv>,
        has_subsamples: bool,
    ) -> Result<(), Error> {
        let iv = match source {
            None => [0; 16],
            Some(Iv::Constant(constant)) => *constant,
            Some(Iv::PerSample(IvSize::Eight)) => (u128::from(fields.u64()?) << 64).to_be_bytes(),
            Some(Iv::PerSample(IvSize::Sixteen)) => fields.array()?,
        };
        let first = self.subsamples.len();
        let count = if has_subsamples { fields.u16()? } else { 0 };
        for _ in 0..count {
            let subsample = Subsample { clear: fields.u16()?, protected: fields.u32()? };
            self.subsamples.push(subsample);
        }
        let subsamples = first..self.subsamples.len();
        self.samples.push(SampleInfo { iv, subsamples });
        Ok(())
    }
}

/// Entries of samples in a row, one behind the other.
struct Row {
    /// The index of the first of these samples.
    first_sample: usize,
    /// The position of the first entry in the file.
    at: usize,
}

struct Reader<'r, 'a> {
    samples: &'r mut Samples<'a>,
    info: AuxInfo,
}

impl Reader<'_, '_> {
    /// `senc` (7.2.1). Flag 2: there are subsamples.
    fn read_senc(&mut self, senc: &BoxRef<'_>) -> Result<(), Error> {
        let mut fields = senc.fields();
        let is_piff = senc.kind.0 == *b"uuid";
        if is_piff {
            fields.bytes(PIFF_SENC.len())?;
        }
        let VersionAndFlags { version, flags } = fields.version_and_flags()?;
        if version > 0 && !is_piff {
            return Err(Error::Version { kind: senc.kind, at: senc.at, version });
        }
        if is_piff && flags & 1 != 0 {
            let wrong = |source| Error::Override { at: senc.at, source };
            let Entry { scheme, default } = Description::of_piff(&mut fields).map_err(wrong)?;
            let by = default.under(scheme).map_err(wrong)?;
            self.samples.spans = [Span { count: self.samples.ranges.len(), by }].into();
        }
        let count = fields.u32()?;
        let spans = self.samples.spans.as_slice();
        // GPAC leaves out samples that are not protected; they have no IV in either form.
        let protected = spans.iter().filter(|span| span.by.is_some());
        let protected: usize = protected.map(|span| span.count).sum();
        let leaves_out = usize::try_from(count).is_ok_and(|count| count == protected);
        let mut left = if leaves_out { usize::MAX } else { self.listed(senc, count)? };
        for span in spans {
            let source = span.by.map(|by| by.scheme.iv());
            let listed = span.count.min(left);
            left -= listed;
            match source {
                None if leaves_out => self.info.add_alike([0; 16], listed),
                Some(Iv::Constant(iv)) if flags & 2 == 0 => self.info.add_alike(iv, listed),
                Some(Iv::PerSample(size)) if flags & 2 == 0 => {
                    let ivs = fields.bytes(listed.saturating_mul(size.bytes()))?;
                    let ivs = ivs.chunks_exact(size.bytes());
                    self.info.samples.extend(ivs.map(SampleInfo::of_iv));
                }
                _ => {
                    for _ in 0..listed {
                        self.info.read_entry(&mut fields, source.as_ref(), flags & 2 != 0)?;
                    }
                }
            }
            self.info.add_unlisted(source, span.count - listed);
        }
        match fields.remaining() {
            0 => Ok(()),
            _ => Err(Error::Trailing { kind: senc.kind, at: senc.at }),
        }
    }

    /// `saiz` and `saio`: the entries are anywhere in the file, in one row or in one row per run.
    fn read_saiz(
        &mut self,
        saiz: &BoxRef<'_>,
        saio: &BoxRef<'_>,
        file: &[u8],
    ) -> Result<(), Error> {
        let mut sizes = saiz.fields();
        skip_type(&mut sizes)?;
        let default_size = sizes.u8()?;
        let count = sizes.u32()?;
        let listed = self.listed(saiz, count)?;
        // Where all entries are empty, it does not matter where they would be.
        let is_empty = match default_size {
            0 => sizes.clone().bytes(listed)?.iter().all(|size| *size == 0),
            _ => listed == 0,
        };
        let rows = if is_empty { Vec::new() } else { self.read_saio(saio)? };
        let mut rows = rows.into_iter().peekable();
        let mut row: &[u8] = &[];
        for (sample, source) in ivs(&self.samples.spans).enumerate() {
            if sample >= listed {
                self.info.add_unlisted(source, 1);
                continue;
            }
            // A run without samples has a row without entries.
            while let Some(next) = rows.next_if(|row| row.first_sample == sample) {
                row = file.get(next.at..).ok_or(Error::Offset(saio.at))?;
            }
            let size = if default_size == 0 { sizes.u8()? } else { default_size };
            let (entry, rest) = row.split_at_checked(size.into()).ok_or(Error::Offset(saio.at))?;
            row = rest;
            let entry = BoxRef { body: entry, ..*saiz };
            let mut fields = entry.fields();
            let has_subsamples =
                entry.body.len() > source.map_or(0, |source| source.sample_bytes());
            let read = self.info.read_entry(&mut fields, source.as_ref(), has_subsamples);
            if read.is_err() || fields.remaining() > 0 {
                return Err(Error::Size(saiz.at));
            }
        }
        Ok(())
    }

    /// `saio` (ISO/IEC 14496-12:2022, 8.7.9).
    fn read_saio(&self, saio: &BoxRef<'_>) -> Result<Vec<Row>, Error> {
        let mut fields = saio.fields();
        let version = skip_type(&mut fields)?;
        let count = usize::try_from(fields.u32()?).map_err(|_| Error::Offset(saio.at))?;
        let runs = self.samples.runs.as_slice();
        let firsts = match count {
            1 => runs.get(..1).unwrap_or_default(),
            _ if count == runs.len() => runs,
            _ => return Err(Error::Offset(saio.at)),
        };
        let mut rows = Vec::new();
        for first in firsts {
            let offset = if version == 0 { fields.u32()?.into() } else { fields.u64()? };
            let at = self.samples.base.checked_add(offset);
            let at = at.and_then(|at| usize::try_from(at).ok()).ok_or(Error::Offset(saio.at))?;
            rows.push(Row { first_sample: *first, at });
        }
        Ok(rows)
    }

    /// There is no auxiliary information: right if IVs are constant and all bytes of each sample are protected.
    fn need_nothing(&mut self) -> Result<(), Error> {
        if self.needs_entries(0) {
            return Err(Error::Missing(self.at()));
        }
        for span in &self.samples.spans {
            self.info.add_unlisted(span.by.map(|by| by.scheme.iv()), span.count);
        }
        Ok(())
    }

    /// Whether a sample from index `first` on has an IV of its own.
    fn needs_entries(&self, first: usize) -> bool {
        let mut end = 0_usize;
        self.samples.spans.iter().any(|span| {
            end = end.saturating_add(span.count);
            let has_own = span.by.is_some_and(|by| matches!(by.scheme.iv(), Iv::PerSample(_)));
            has_own && end > first
        })
    }

    /// The position of the `traf` or `stbl`.
    fn at(&self) -> usize {
        self.samples.container.at
    }

    /// The number of samples that a box `this` lists. It may be too short, or empty, where the IVs of the others are
    /// constant: they need nothing.
    fn listed(&self, this: &BoxRef<'_>, entries: u32) -> Result<usize, Error> {
        let samples = self.samples.ranges.len();
        match usize::try_from(entries) {
            Ok(listed) if listed == samples => Ok(listed),
            Ok(listed) if listed < samples && !self.needs_entries(listed) => Ok(listed),
            _ => Err(Error::Count { kind: this.kind, at: this.at, entries, samples }),
        }
    }

    /// Refuses subsamples that are not as long as their sample.
    fn hold_to_sizes(&self) -> Result<(), Error> {
        if self.info.subsamples.is_empty() {
            return Ok(());
        }
        let samples = self.info.samples.iter().zip(&self.samples.ranges);
        for (sample, (info, range)) in samples.enumerate() {
            let subsamples = self.info.subsamples.get(info.subsamples.clone()).unwrap_or_default();
            let total: u64 = subsamples
                .iter()
                .map(|subsample| u64::from(subsample.clear) + u64::from(subsample.protected))
                .sum();
            let whole = u64::try_from(range.len()).unwrap_or(u64::MAX);
            if !subsamples.is_empty() && total != whole {
                return Err(Error::Subsamples { at: self.at(), sample });
            }
        }
        Ok(())
    }
}
