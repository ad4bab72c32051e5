//! A plan: every sample of a segment, where it is and how it is protected.

use alloc::vec::Vec;
use core::ops::Range;

use crate::cenc::aux_info::{self, AuxInfo, SampleInfo, Subsample};
use crate::cenc::boxes::{BoxRef, Boxes};
use crate::cenc::cipher::{Ciphers, Progress, SampleCipher};
use crate::cenc::error::Error;
use crate::cenc::fragment;
use crate::cenc::init::{self, Clearing, Init};
use crate::cenc::keys::Keys;
use crate::cenc::samples::{Media, Samples};
use crate::cenc::table;

/// What is to be done to one segment, or to a whole file. Made by [`Init::plan`].
#[derive(Debug)]
pub struct Plan {
    length: usize,
    pub(super) fragments: Vec<Fragment>,
    pub(super) clearings: Vec<Clearing>,
}

/// Samples in a row.
#[derive(Debug)]
pub(super) struct Fragment {
    track: u32,
    pub(super) samples: Vec<Range<usize>>,
    /// How they are protected; `None`: not at all.
    pub(super) protected: Option<AuxInfo>,
}

impl Fragment {
    /// What a protected sample needs.
    pub(super) fn sample(&self, number: usize) -> Option<(&SampleInfo, &[Subsample])> {
        let info = self.protected.as_ref()?;
        let sample = info.samples.get(number)?;
        Some((sample, info.subsamples.get(sample.subsamples.clone())?))
    }

    /// Decrypts so many samples in a row, from the `first` on, in bytes that begin at `from` and have all of them.
    pub(super) fn decrypt(
        &self,
        cipher: &SampleCipher,
        first: usize,
        count: usize,
        bytes: &mut [u8],
        from: usize,
    ) {
        let Some(info) = &self.protected else { return };
        let samples = self.samples.iter().zip(&info.samples);
        for (range, sample) in samples.skip(first).take(count) {
            let here = range.start.saturating_sub(from)..range.end.saturating_sub(from);
            let bytes = bytes.get_mut(here).unwrap_or_default();
            let subsamples = info.subsamples.get(sample.subsamples.clone()).unwrap_or_default();
            let length = bytes.len();
            cipher.decrypt(&mut Progress::new(sample.iv), bytes, length, subsamples);
        }
    }
}

impl Init {
    /// Reads every fragment of `segment`: one or more media segments, or the whole file. Of a file also the samples
    /// that its `moov` lists.
    ///
    /// # Errors
    /// [`Error`]: whatever is wrong with the segment is found here.
    pub fn plan(&self, segment: &[u8]) -> Result<Plan, Error> {
        self.plan_at(segment, 0)
    }

    /// As [`plan`](Self::plan), for a segment that begins so many bytes into its file: some offsets count from the
    /// file's start (ISO/IEC 14496-12:2022, 8.8.7).
    ///
    /// # Errors
    /// [`Error`].
    pub fn plan_at(&self, segment: &[u8], origin: u64) -> Result<Plan, Error> {
        self.plan_ahead(segment, origin, None)
    }

    /// Reads the samples that a `moov` lists, without the rest of its file, where the bodies of the `mdat`s are `media`:
    /// positions of boxes count from the start of `moov`, those of samples from the start of the file.
    pub(super) fn plan_table(&self, moov: &[u8], media: &[Range<usize>]) -> Result<Plan, Error> {
        let mut plan = Plan { length: moov.len(), fragments: Vec::new(), clearings: Vec::new() };
        let mut bodies = Media::default();
        media.iter().for_each(|body| bodies.extend(Some(body.clone())));
        for this in Boxes::of(moov) {
            let this = this?;
            if this.kind.0 == *b"moov" {
                // An offset of auxiliary information would lead into bytes that are not here.
                self.plan_moov(&mut plan, &this, &bodies, &[])?;
            }
        }
        plan.refuse_overlaps()?;
        Ok(plan)
    }

    /// As [`plan_at`](Self::plan_at), for a segment whose last `mdat` is still to come: its body will be `ahead`.
    pub(super) fn plan_ahead(
        &self,
        segment: &[u8],
        origin: u64,
        ahead: Option<Range<usize>>,
    ) -> Result<Plan, Error> {
        let mut plan = Plan { length: segment.len(), fragments: Vec::new(), clearings: Vec::new() };
        let (mut moov, mut moofs, mut media) = (None, Vec::new(), Media::default());
        for this in Boxes::of(segment) {
            let this = this?;
            match &this.kind.0 {
                b"moov" if moov.is_some() => return Err(init::Error::Repeated(this.at).into()),
                b"moov" => moov = Some(this),
                b"moof" => moofs.push(this),
                b"mdat" => media.push(&this),
                _ => {}
            }
        }
        media.extend(ahead);
        if let Some(moov) = moov {
            self.plan_moov(&mut plan, &moov, &media, segment)?;
        }
        for moof in &moofs {
            plan.clear_pssh(moof)?;
            fragment::read_moof(self, moof, origin, &media, |samples| plan.add(samples, segment))?;
        }
        plan.refuse_overlaps()?;
        Ok(plan)
    }

    fn plan_moov(
        &self,
        plan: &mut Plan,
        moov: &BoxRef<'_>,
        media: &Media,
        segment: &[u8],
    ) -> Result<(), Error> {
        for trak in moov.children(0)? {
            let trak = trak?;
            if trak.kind.0 != *b"trak" {
                continue;
            }
            let number = init::number_of(&trak)?;
            let Some(track) = self.tracks.get(&number) else { continue };
            if let Some(samples) = table::read(track, number, &trak, media)? {
                plan.add(samples, segment)?;
            }
        }
        Ok(())
    }
}

impl Plan {
    /// Every sample in the order of the file: its track and where it is.
    pub fn samples(&self) -> impl Iterator<Item = (u32, Range<usize>)> {
        self.fragments.iter().flat_map(|fragment| {
            fragment.samples.iter().map(|range| (fragment.track, range.clone()))
        })
    }

    /// How many samples it is about.
    pub(super) fn count(&self) -> usize {
        self.fragments.iter().map(|fragment| fragment.samples.len()).sum()
    }

    /// Decrypts `segment`, the bytes that were planned for, in place.
    ///
    /// # Errors
    /// [`Error::MissingKey`] or [`Error::OtherBytes`], before the first byte is changed.
    pub fn decrypt(&self, keys: &Keys, segment: &mut [u8]) -> Result<(), Error> {
        self.decrypt_with(&mut Ciphers::default(), keys, segment)
    }

    /// As [`decrypt`](Self::decrypt), with the ciphers of the segments before, which had the same keys.
    pub(super) fn decrypt_with(
        &self,
        ciphers: &mut Ciphers,
        keys: &Keys,
        segment: &mut [u8],
    ) -> Result<(), Error> {
        if segment.len() != self.length {
            return Err(Error::OtherBytes);
        }
        self.prepare(ciphers, keys)?;
        for fragment in &self.fragments {
            let spans = fragment.protected.as_ref().map_or(&[][..], |info| &info.spans);
            let mut first = 0;
            for span in spans {
                if let Some(cipher) = ciphers.find(span.by) {
                    fragment.decrypt(cipher, first, span.count, segment, 0);
                }
                first += span.count;
            }
        }
        for clearing in &self.clearings {
            clearing.apply(segment);
        }
        Ok(())
    }

    /// Adds all that it takes.
    pub(super) fn prepare(&self, ciphers: &mut Ciphers, keys: &Keys) -> Result<(), Error> {
        let infos = self.fragments.iter().filter_map(|fragment| fragment.protected.as_ref());
        for by in infos.flat_map(|info| &info.spans).filter_map(|span| span.by) {
            ciphers.prepare(by, keys)?;
        }
        Ok(())
    }

    fn add(&mut self, mut samples: Samples<'_>, segment: &[u8]) -> Result<(), Error> {
        let mut protected = None;
        if samples.is_protected() {
            protected = Some(aux_info::read(&mut samples, segment, &mut self.clearings)?);
        }
        let Samples { track, ranges, .. } = samples;
        self.fragments.push(Fragment { track, samples: ranges, protected });
        Ok(())
    }

    fn clear_pssh(&mut self, moof: &BoxRef<'_>) -> Result<(), Error> {
        for this in moof.children(0)? {
            let this = this?;
            if init::is_pssh(&this) {
                self.clearings.push(Clearing::free(&this));
            }
        }
        Ok(())
    }

    /// Bytes that were decrypted twice would be garbage.
    fn refuse_overlaps(&self) -> Result<(), fragment::Error> {
        let all = || self.fragments.iter().flat_map(|fragment| &fragment.samples);
        let is_overlap = |one: &Range<usize>, next: &Range<usize>| {
            !one.is_empty() && !next.is_empty() && next.start < one.end
        };
        let mut end = 0;
        let mut is_next =
            |range: &Range<usize>| range.start >= core::mem::replace(&mut end, range.end);
        if self.fragments.iter().all(|fragment| fragment.samples.iter().all(&mut is_next)) {
            return Ok(());
        }
        let mut sorted: Vec<_> = all().filter(|range| !range.is_empty()).collect();
        sorted.sort_unstable_by_key(|range| range.start);
        let pairs = sorted.iter().zip(sorted.iter().skip(1));
        match pairs.into_iter().find(|(one, next)| is_overlap(one, next)) {
            Some((_, next)) => Err(fragment::Error::Overlap(next.start)),
            None => Ok(()),
        }
    }
}
